#include "daemon/conf/parse.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool set_key(struct parser *parser, struct span value, struct key *key)
{
        if (key_from_base64(key, value.text, value.len)) return true;
        return parse_fail(parser, value.text,
                          "%s: this is not a key: a key is 44 characters of base64, the last one =", parser->key);
}

static bool set_number(struct parser *parser, struct span value, uint64_t max, uint64_t *out, const char *why)
{
        return number_parse(value, max, out) || parse_fail_value(parser, value, why);
}

static bool set_text(struct parser *parser, struct span value, const char **out)
{
        return (*out = pool_strndup(parser->pool, value.text, value.len)) || parse_fail_full(parser);
}

/* A key and a file with that key exclude each other. */
static bool refuse_both(struct parser *parser, struct span value, bool other)
{
        static const char *const kinds[] = { "PrivateKey", "PresharedKey" };
        const char *kind = kinds[parser->section == SECTION_PEER];

        if (!other) return true;
        return parse_fail(parser, value.text, "%s: give %s or %sFile, not both", parser->key, kind, kind);
}

/* Given again in one section, the last one counts, as with every key. */
static bool set_key_file(struct parser *parser, struct span value, struct key_file where)
{
        struct key_file *file = parser->last_file;

        if (!value.len) return parse_fail_value(parser, value, "the path of a file with a key is wanted");
        if (!*where.path) {
                if (!(file = pool_alloc(parser->pool, sizeof *file))) return parse_fail_full(parser);
                *parser->files_end = file;
                parser->files_end = &file->next;
                parser->last_file = file;
        }
        where.name = parser->key;
        where.line = parser->line;
        where.column = (unsigned)(value.text - parser->line_start) + 1;
        *file = where;
        return set_text(parser, value, where.path);
}

static bool append_line(struct parser *parser, struct span value, struct conf_line ***end)
{
        struct conf_line *item;

        if (!value.len) return true;
        if (!(item = pool_alloc(parser->pool, sizeof *item))) return parse_fail_full(parser);
        **end = item;
        *end = &item->next;
        return set_text(parser, value, &item->text);
}

/* wg-quick parts Address and DNS at blanks, too, and takes nothing amiss at two commas. */
static bool next_word(struct span *rest, struct span *word)
{
        const char *at = rest->text, *end = rest->text + rest->len, *from;

        while (at < end && (*at == ',' || isspace((unsigned char)*at)))
                at++;
        from = at;
        while (at < end && *at != ',' && !isspace((unsigned char)*at))
                at++;
        *word = span_until(from, at);
        *rest = span_until(at, end);
        return word->len != 0;
}

/* ---- [Interface] ---------------------------------------------------------------------------------------------------
 */

static bool set_private_key(struct parser *parser, struct span value)
{
        struct conf *conf = parser->conf;

        if (!refuse_both(parser, value, conf->private_key_file)) return false;
        conf->flags |= CONF_HAS_PRIVATE_KEY;
        return set_key(parser, value, &conf->private_key);
}

static bool set_private_key_file(struct parser *parser, struct span value)
{
        struct conf *conf = parser->conf;

        return refuse_both(parser, value, conf->flags & CONF_HAS_PRIVATE_KEY) &&
               set_key_file(parser, value,
                            (struct key_file){ .path = &conf->private_key_file,
                                               .into = &conf->private_key,
                                               .flags = &conf->flags,
                                               .flag = CONF_HAS_PRIVATE_KEY });
}

static bool set_listen_port(struct parser *parser, struct span value)
{
        uint64_t port;

        if (!set_number(parser, value, UINT16_MAX, &port, "a port is 0 to 65535; 0 lets the system choose"))
                return false;
        parser->conf->listen_port = (uint16_t)port;
        parser->conf->flags |= CONF_HAS_LISTEN_PORT;
        return true;
}

static bool set_fwmark(struct parser *parser, struct span value)
{
        uint64_t mark = 0;

        if (!span_is_nocase(value, "off") && !number_parse_hex(value, UINT32_MAX, &mark))
                return parse_fail_value(parser, value,
                                        "a mark is 1 to 4294967295, or in hex 0x1 to 0xffffffff, or off");
        parser->conf->fwmark = (uint32_t)mark;
        parser->conf->flags |= CONF_HAS_FWMARK;
        return true;
}

static bool add_addresses(struct parser *parser, struct span value)
{
        struct span word;
        const char *why;

        while (next_word(&value, &word)) {
                struct conf_prefix *item = pool_alloc(parser->pool, sizeof *item);

                if (!item) return parse_fail_full(parser);
                if (!prefix_parse(&item->prefix, word.text, word.len, &why)) return parse_fail_value(parser, word, why);
                *parser->addresses_end = item;
                parser->addresses_end = &item->next;
        }
        return true;
}

static bool set_mtu(struct parser *parser, struct span value)
{
        uint64_t mtu = 0;

        if (value.len && (!number_parse(value, MTU_MAX, &mtu) || mtu < MTU_MIN))
                return parse_fail_value(parser, value, "an MTU is 576 to 65455 bytes; without one it is automatic");
        parser->conf->mtu = (uint32_t)mtu;
        return true;
}

static bool set_table(struct parser *parser, struct span value)
{
        /* the names that every system has; others lie in files of the host, and a parser reads none */
        static const struct {
                const char *name;
                int64_t table;
        } names[] = { { "auto", TABLE_AUTO }, { "off", TABLE_OFF }, { "main", 254 }, { "default", 253 } };
        uint64_t number;

        if (!value.len) return true;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                if (span_is_nocase(value, names[i].name)) {
                        parser->conf->table = names[i].table;
                        return true;
                }
        if (!number_parse_hex(value, UINT32_MAX, &number) || !number)
                return parse_fail_value(parser, value, "a table is auto, off, main, default or 1 to 4294967295");
        parser->conf->table = (int64_t)number;
        return true;
}

static bool add_dns(struct parser *parser, struct span value)
{
        union socket_address address;
        struct span word;
        const char *why;

        while (next_word(&value, &word)) {
                if (!host_parse(&address, word, &why))
                        return parse_fail_value(parser, word, "a DNS server is an address, a search domain is a name");
                if (!append_line(parser, word, &parser->dns_end)) return false;
        }
        return true;
}

static bool add_pre_up(struct parser *parser, struct span value)
{
        return append_line(parser, value, &parser->pre_up_end);
}

static bool add_post_up(struct parser *parser, struct span value)
{
        return append_line(parser, value, &parser->post_up_end);
}

static bool add_pre_down(struct parser *parser, struct span value)
{
        return append_line(parser, value, &parser->pre_down_end);
}

static bool add_post_down(struct parser *parser, struct span value)
{
        return append_line(parser, value, &parser->post_down_end);
}

static bool set_save_config(struct parser *parser, struct span value)
{
        bool yes = span_is_nocase(value, "true");

        if (!yes && !span_is_nocase(value, "false")) return parse_fail_value(parser, value, "true or false is wanted");
        parser->conf->flags = (parser->conf->flags & ~(unsigned)CONF_SAVE_CONFIG) | (yes ? CONF_SAVE_CONFIG : 0u);
        return true;
}

/* ---- [Peer] --------------------------------------------------------------------------------------------------------
 */

static bool set_public_key(struct parser *parser, struct span value)
{
        parser->place->key_line = parser->line;
        return set_key(parser, value, &parser->place->peer->public_key);
}

static bool set_preshared_key(struct parser *parser, struct span value)
{
        struct conf_peer *peer = parser->place->peer;

        if (!refuse_both(parser, value, peer->preshared_key_file)) return false;
        peer->flags |= PEER_HAS_PRESHARED_KEY;
        return set_key(parser, value, &peer->preshared_key);
}

static bool set_preshared_key_file(struct parser *parser, struct span value)
{
        struct conf_peer *peer = parser->place->peer;

        return refuse_both(parser, value, peer->flags & PEER_HAS_PRESHARED_KEY) &&
               set_key_file(parser, value,
                            (struct key_file){ .path = &peer->preshared_key_file,
                                               .into = &peer->preshared_key,
                                               .flags = &peer->flags,
                                               .flag = PEER_HAS_PRESHARED_KEY });
}

static bool add_allowed_ips(struct parser *parser, struct span value)
{
        const char *why;

        while (value.len) {
                struct span item = span_trim(span_cut(&value, ','));
                struct prefix prefix;

                if (!prefix_parse(&prefix, item.text, item.len, &why)) return parse_fail_value(parser, item, why);
                prefix_mask(&prefix);
                if (!conf_allowed_ip_append(parser->place->peer, parser->pool, &prefix)) return parse_fail_full(parser);
        }
        return true;
}

static bool set_endpoint(struct parser *parser, struct span value)
{
        struct conf_peer *peer = parser->place->peer;
        const char *why;

        return endpoint_parse(&peer->endpoint_host, &peer->endpoint_port, &peer->endpoint, parser->pool, value.text,
                              value.len, &why) ||
               parse_fail_value(parser, value, why);
}

static bool set_keepalive(struct parser *parser, struct span value)
{
        struct conf_peer *peer = parser->place->peer;
        uint64_t seconds = 0;

        if (!span_is_nocase(value, "off") &&
            !set_number(parser, value, UINT16_MAX, &seconds, "an interval is 1 to 65535 seconds, or off"))
                return false;
        peer->keepalive = (uint16_t)seconds;
        peer->flags |= PEER_HAS_KEEPALIVE;
        return true;
}

static bool set_name(struct parser *parser, struct span value)
{
        struct conf_peer *peer = parser->place->peer;

        if (!peer_name_valid(value))
                return parse_fail_value(parser, value, "a name is 1 to 31 letters, digits or signs, without blanks");
        if (!peer->name) parser->name_count++;
        parser->place->name_line = parser->line;
        peer->flags |= PEER_HAS_NAME;
        return set_text(parser, value, &peer->name);
}

static const struct key_row {
        enum section section;
        const char *name;
        bool (*set)(struct parser *parser, struct span value);
} rows[] = {
        { SECTION_INTERFACE, "PrivateKey", set_private_key },
        { SECTION_INTERFACE, "PrivateKeyFile", set_private_key_file },
        { SECTION_INTERFACE, "ListenPort", set_listen_port },
        { SECTION_INTERFACE, "FwMark", set_fwmark },
        { SECTION_INTERFACE, "Address", add_addresses },
        { SECTION_INTERFACE, "MTU", set_mtu },
        { SECTION_INTERFACE, "Table", set_table },
        { SECTION_INTERFACE, "DNS", add_dns },
        { SECTION_INTERFACE, "PreUp", add_pre_up },
        { SECTION_INTERFACE, "PostUp", add_post_up },
        { SECTION_INTERFACE, "PreDown", add_pre_down },
        { SECTION_INTERFACE, "PostDown", add_post_down },
        { SECTION_INTERFACE, "SaveConfig", set_save_config },
        { SECTION_PEER, "PublicKey", set_public_key },
        { SECTION_PEER, "PresharedKey", set_preshared_key },
        { SECTION_PEER, "PresharedKeyFile", set_preshared_key_file },
        { SECTION_PEER, "AllowedIPs", add_allowed_ips },
        { SECTION_PEER, "Endpoint", set_endpoint },
        { SECTION_PEER, "PersistentKeepalive", set_keepalive },
        { SECTION_PEER, "Name", set_name },
};

enum { ROWS = sizeof rows / sizeof *rows, KEY_NAME_MAX = 24 };

static const char *const section_names[] = { "", "[Interface]", "[Peer]" };

/* Levenshtein's distance without regard to case. */
static unsigned edit_distance(struct span a, const char *b)
{
        unsigned row[KEY_NAME_MAX + 1], b_len = (unsigned)strlen(b);

        for (unsigned j = 0; j <= b_len; j++)
                row[j] = j;
        for (unsigned i = 0; i < a.len; i++) {
                unsigned diagonal = row[0];

                row[0] = i + 1;
                for (unsigned j = 0; j < b_len; j++) {
                        bool same = tolower((unsigned char)a.text[i]) == tolower((unsigned char)b[j]);
                        unsigned best = diagonal + !same;

                        diagonal = row[j + 1];
                        if (row[j] + 1 < best) best = row[j] + 1;
                        if (diagonal + 1 < best) best = diagonal + 1;
                        row[j + 1] = best;
                }
        }
        return row[b_len];
}

static const struct key_row *nearest(enum section section, struct span key)
{
        const struct key_row *found = NULL;
        unsigned least = 4;

        for (const struct key_row *row = rows; row < rows + ROWS; row++) {
                unsigned distance = row->section == section ? edit_distance(key, row->name) : least;

                if (distance >= least || distance * 2 >= strlen(row->name)) continue;
                least = distance;
                found = row;
        }
        return found;
}

/* A word, not what was left of a key that a line break cut in two: that one ends in '='. */
static bool showable(struct span key, struct span value)
{
        if (!key.len || key.len > KEY_NAME_MAX || !value.len || value.text[0] == '=') return false;
        for (size_t i = 0; i < key.len; i++)
                if (!isalpha((unsigned char)key.text[i])) return false;
        return true;
}

static bool fail_unknown(struct parser *parser, struct span key, struct span value)
{
        const char *section = section_names[parser->section];
        const struct key_row *row;

        for (row = rows; row < rows + ROWS; row++)
                if (span_is_nocase(key, row->name))
                        return parse_fail(parser, key.text, "%s: a key of %s, not of %s", row->name,
                                          section_names[row->section], section);
        if (!showable(key, value))
                return parse_fail(parser, key.text, "unknown key of %s; a line is 'Key = value'", section);
        if ((row = nearest(parser->section, key)))
                return parse_fail(parser, key.text, "%.*s: unknown key of %s; did you mean %s?", (int)key.len, key.text,
                                  section, row->name);
        return parse_fail(parser, key.text, "%.*s: unknown key of %s", (int)key.len, key.text, section);
}

bool keys_set(struct parser *parser, struct span key, struct span value)
{
        if (parser->section == SECTION_NONE)
                return parse_fail(parser, key.text, "a key before any section; [Interface] or [Peer] comes first");
        for (const struct key_row *row = rows; row < rows + ROWS; row++) {
                if (row->section != parser->section || !span_is_nocase(key, row->name)) continue;
                parser->key = row->name;
                return row->set(parser, value);
        }
        return fail_unknown(parser, key, value);
}
