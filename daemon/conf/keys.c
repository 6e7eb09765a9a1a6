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
        if (!set_text(parser, value, where.path)) return false;
        const char *credential = credential_name(*where.path);
        if (!credential || credential_name_valid(credential, strlen(credential))) return true;
        return parse_fail_value(parser, value,
                                "after credential: a name is wanted: 1 to 255 letters, digits or any of _.-");
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

static bool set_workers(struct parser *parser, struct span value)
{
        uint64_t workers = WORKERS_AUTO;

        if (!span_is_nocase(value, "auto") && (!number_parse(value, WORKERS_MAX, &workers) || !workers))
                return parse_fail_value(parser, value, "the number of threads is 1 to 16, or auto");
        parser->conf->workers = (uint16_t)workers;
        parser->conf->flags |= CONF_HAS_WORKERS;
        return true;
}

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

static bool append_networks(struct parser *parser, struct span value, struct conf_prefix ***end)
{
        const char *why;

        while (value.len) {
                struct span item = span_trim(span_cut(&value, ','));
                struct conf_prefix *network = pool_alloc(parser->pool, sizeof *network);

                if (!network) return parse_fail_full(parser);
                if (!prefix_parse(&network->prefix, item.text, item.len, &why))
                        return parse_fail_value(parser, item, why);
                prefix_mask(&network->prefix);
                **end = network;
                *end = &network->next;
        }
        return true;
}

static bool add_excluded_ips(struct parser *parser, struct span value)
{
        return append_networks(parser, value, &parser->excluded_end);
}

static bool set_mtu(struct parser *parser, struct span value)
{
        uint64_t mtu = 0;

        if (value.len && (!number_parse(value, MTU_MAX, &mtu) || mtu < MTU_MIN))
                return parse_fail_value(parser, value, "an MTU is 576 to 65455 bytes; without one it is automatic");
        parser->conf->mtu = (uint32_t)mtu;
        parser->mtu_line = parser->line;
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
        enum host_dns_kind kind;
        struct span word;

        while (next_word(&value, &word)) {
                if (!dns_parse(&kind, word))
                        return parse_fail_value(parser, word,
                                                "a DNS server is an address, a search domain is a name; ~ and a name "
                                                "is a domain that is looked up there and not searched");
                if (!append_line(parser, word, &parser->dns_end)) return false;
        }
        return true;
}

static bool set_yes(struct parser *parser, struct span value, bool *out)
{
        *out = span_is_nocase(value, "yes");
        return *out || span_is_nocase(value, "no") || parse_fail_value(parser, value, "yes or no is wanted");
}

static bool set_kill_switch(struct parser *parser, struct span value)
{
        return set_yes(parser, value, &parser->conf->kill_switch);
}

static bool set_masquerade(struct parser *parser, struct span value)
{
        parser->gateway_line = parser->line;
        return set_yes(parser, value, &parser->conf->masquerade);
}

/* Networks add up over lines; with yes and no, the last line counts. */
static bool set_forward(struct parser *parser, struct span value)
{
        struct conf *conf = parser->conf;
        bool yes = span_is_nocase(value, "yes");

        parser->gateway_line = parser->line;
        if (!value.len) return parse_fail_value(parser, value, "yes, no, or the networks on this side are wanted");
        if (yes || span_is_nocase(value, "no")) {
                conf->forward = yes ? FORWARD_YES : FORWARD_NO;
                conf->forwards = NULL;
                parser->forwards_end = &conf->forwards;
                return true;
        }
        conf->forward = FORWARD_NETWORKS;
        return append_networks(parser, value, &parser->forwards_end);
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
        const char *why;

        if (!keepalive_parse(&peer->keepalive, value.text, value.len, &why))
                return parse_fail_value(parser, value, why);
        peer->flags |= PEER_HAS_KEEPALIVE;
        return true;
}

static bool set_name(struct parser *parser, struct span value)
{
        struct conf_peer *peer = parser->place->peer;
        const char *why;

        if (!peer_name_valid(value.text, value.len, &why)) return parse_fail_value(parser, value, why);
        if (!peer->name) parser->name_count++;
        parser->place->name_line = parser->line;
        peer->flags |= PEER_HAS_NAME;
        return set_text(parser, value, &peer->name);
}

static bool set_upgrade(struct parser *parser, struct span value)
{
        struct conf_peer *peer = parser->place->peer;
        const char *why;

        if (!upgrade_parse(&peer->upgrade_off, value.text, value.len, &why))
                return parse_fail_value(parser, value, why);
        parser->place->policy_line = parser->line;
        peer->flags |= PEER_HAS_UPGRADE;
        return true;
}

static bool set_post_quantum(struct parser *parser, struct span value)
{
        struct conf_peer *peer = parser->place->peer;
        const char *why;

        if (!post_quantum_parse(&peer->post_quantum, value.text, value.len, &why))
                return parse_fail_value(parser, value, why);
        parser->place->policy_line = parser->line;
        peer->flags |= PEER_HAS_POST_QUANTUM;
        return true;
}

const struct key_row key_rows[] = {
        { SECTION_INTERFACE, "PrivateKey", set_private_key },
        { SECTION_INTERFACE, "PrivateKeyFile", set_private_key_file },
        { SECTION_INTERFACE, "ListenPort", set_listen_port },
        { SECTION_INTERFACE, "FwMark", set_fwmark },
        { SECTION_INTERFACE, "Address", add_addresses },
        { SECTION_INTERFACE, "ExcludedIPs", add_excluded_ips },
        { SECTION_INTERFACE, "MTU", set_mtu },
        { SECTION_INTERFACE, "Table", set_table },
        { SECTION_INTERFACE, "Workers", set_workers },
        { SECTION_INTERFACE, "DNS", add_dns },
        { SECTION_INTERFACE, "KillSwitch", set_kill_switch },
        { SECTION_INTERFACE, "Masquerade", set_masquerade },
        { SECTION_INTERFACE, "Forward", set_forward },
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
        { SECTION_PEER, "Upgrade", set_upgrade },
        { SECTION_PEER, "PostQuantum", set_post_quantum },
        { 0 },
};

bool keys_set(struct parser *parser, struct span key, struct span value)
{
        if (parser->section == SECTION_NONE)
                return parse_fail(parser, key.text, "a key before any section; [Interface] or [Peer] comes first");
        for (const struct key_row *row = key_rows; row->name; row++) {
                if (row->section != parser->section || !span_is_nocase(key, row->name)) continue;
                parser->key = row->name;
                return row->set(parser, value);
        }
        return key_unknown(parser, key, value);
}
