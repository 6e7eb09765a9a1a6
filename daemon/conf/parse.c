#include "daemon/conf/parse.h"
#include "daemon/conf/set.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool parse_fail(struct parser *parser, const char *at, const char *format, ...)
{
        va_list args;

        parser->error->line = parser->line;
        parser->error->column = (unsigned)(at - parser->line_start) + 1;
        va_start(args, format);
        vsnprintf(parser->error->text, sizeof parser->error->text, format, args);
        va_end(args);
        return false;
}

bool parse_fail_value(struct parser *parser, struct span value, const char *why)
{
        char quoted[QUOTE_TEXT];

        return parse_fail(parser, value.text, "%s: '%s': %s", parser->key, quote(value, quoted), why);
}

bool parse_fail_full(struct parser *parser)
{
        return parse_fail(parser, parser->line_start, "the configuration is too large: its memory is full");
}

/* An error about an earlier line, found at the end. */
static bool fail_line(struct parser *parser, unsigned line, const char *text)
{
        *parser->error = (struct conf_error){ .line = line, .column = 1 };
        snprintf(parser->error->text, sizeof parser->error->text, "%s", text);
        return false;
}

static bool begin_interface(struct parser *parser, struct span header)
{
        if (parser->interface_line)
                return parse_fail(parser, header.text, "[Interface]: there is one already in line %u; a file has one",
                                  parser->interface_line);
        parser->interface_line = parser->line;
        parser->section = SECTION_INTERFACE;
        return true;
}

static bool begin_peer(struct parser *parser)
{
        struct conf_peer *peer = conf_peer_append(parser->conf, parser->pool);
        struct peer_place *place = pool_alloc(parser->pool, sizeof *place);

        if (!peer || !place) return parse_fail_full(parser);
        peer->flags = PEER_REPLACE_ALLOWED_IPS;
        *place = (struct peer_place){ .peer = peer, .line = parser->line };
        *parser->places_end = place;
        parser->places_end = &place->next;
        parser->place = place;
        parser->section = SECTION_PEER;
        parser->peer_count++;
        return true;
}

static bool parse_section(struct parser *parser, struct span line)
{
        struct span name = span_trim((struct span){ line.text + 1, line.len - 1 });
        bool closed = name.len && name.text[name.len - 1] == ']';

        if (closed) name = span_trim((struct span){ name.text, name.len - 1 });
        if (closed && span_is_nocase(name, "Interface")) return begin_interface(parser, line);
        if (closed && span_is_nocase(name, "Peer")) return begin_peer(parser);
        return parse_fail(parser, line.text, "a section is [Interface] or [Peer], on a line of its own");
}

static bool parse_line(struct parser *parser, struct span line)
{
        struct span value = span_trim(span_cut(&line, '#')), key;

        if (!value.len) return true;
        if (value.text[0] == '[') return parse_section(parser, value);
        if (!memchr(value.text, '=', value.len))
                return parse_fail(parser, value.text, "this line is not 'Key = value', a [Section] or a # comment");
        key = span_trim(span_cut(&value, '='));
        return keys_set(parser, key, span_trim(value));
}

static bool check_missing_keys(struct parser *parser)
{
        for (struct peer_place *place = parser->places; place; place = place->next)
                if (!place->key_line)
                        return fail_line(parser, place->line, "[Peer]: this peer has no PublicKey; every peer has one");
        return true;
}

static bool check_twice(struct parser *parser)
{
        struct set keys;

        if (!set_init(&keys, parser->pool, parser->peer_count, KEY_LEN)) return parse_fail_full(parser);
        for (struct peer_place *place = parser->places; place; place = place->next)
                if (set_add(&keys, &place->peer->public_key))
                        return fail_line(parser, place->key_line,
                                         "PublicKey: another peer has this key already; a peer is listed once");
        return true;
}

static bool check_names(struct parser *parser)
{
        struct set names;

        if (!set_init(&names, parser->pool, parser->name_count, PEER_NAME_MAX + 1)) return parse_fail_full(parser);
        for (struct peer_place *place = parser->places; place; place = place->next) {
                char *name;

                if (!place->peer->name) continue;
                if (!(name = pool_alloc(parser->pool, PEER_NAME_MAX + 1))) return parse_fail_full(parser);
                snprintf(name, PEER_NAME_MAX + 1, "%s", place->peer->name);
                if (set_add(&names, name))
                        return fail_line(parser, place->name_line,
                                         "Name: another peer has this name already; a name is given once");
        }
        return true;
}

/* At the end, for a key that is given again replaces what it said before. */
static bool check_policies(struct parser *parser)
{
        for (struct peer_place *place = parser->places; place; place = place->next) {
                const char *why = policy_conflict(place->peer->upgrade_off, place->peer->post_quantum);

                if (why) return fail_line(parser, place->policy_line, why);
        }
        return true;
}

static bool has_v6(const struct conf *conf)
{
        for (const struct conf_prefix *address = conf->addresses; address; address = address->next)
                if (address->prefix.family == AF_INET6) return true;
        if (conf->table == TABLE_OFF) return false;
        for (const struct conf_peer *peer = conf->peers; peer; peer = peer->next)
                for (const struct conf_prefix *allowed = peer->allowed_ips; allowed; allowed = allowed->next)
                        if (allowed->prefix.family == AF_INET6) return true;
        return false;
}

/* The kernel would refuse the addresses, and only then. */
static bool check_mtu(struct parser *parser)
{
        const struct conf *conf = parser->conf;

        if (!conf->mtu || conf->mtu >= MTU_MIN_V6 || !has_v6(conf)) return true;
        return fail_line(parser, parser->mtu_line,
                         "MTU: IPv6 addresses and routes need at least 1280 (RFC 8200); raise it, or leave IPv6 out");
}

static bool check_gateway(struct parser *parser)
{
        const struct conf *conf = parser->conf;

        if (!conf->masquerade || conf->forward != FORWARD_NO) return true;
        return fail_line(parser, parser->gateway_line,
                         "Masquerade = yes needs what Forward = no forbids: leave one of them out");
}

static bool parse_text(struct parser *parser, struct span text)
{
        const char *nul;

        if (text.len >= 3 && memcmp(text.text, "\xef\xbb\xbf", 3) == 0)
                text = (struct span){ text.text + 3, text.len - 3 };
        while (text.len) {
                struct span line = span_cut(&text, '\n');

                parser->line++;
                parser->line_start = line.text;
                if ((nul = memchr(line.text, 0, line.len)))
                        return parse_fail(parser, nul, "a zero byte: this is not a text file");
                if (!parse_line(parser, line)) return false;
        }
        if (!parser->interface_line) return fail_line(parser, 1, "[Interface]: there is none; a file has one");
        return check_missing_keys(parser) && check_twice(parser) && check_names(parser) && check_policies(parser) &&
               check_mtu(parser) && check_gateway(parser);
}

bool conf_parse_files(struct conf *out, struct pool *pool, const char *text, size_t len, struct key_file **files,
                      struct conf_error *error)
{
        struct parser parser = { .conf = out, .pool = pool, .error = error, .line_start = text };

        *out = (struct conf){ .flags = CONF_REPLACE_PEERS, .table = TABLE_AUTO };
        *error = (struct conf_error){ 0 };
        out->peers_end = &out->peers;
        parser.places_end = &parser.places;
        parser.addresses_end = &out->addresses;
        parser.excluded_end = &out->excluded;
        parser.forwards_end = &out->forwards;
        parser.dns_end = &out->dns;
        parser.pre_up_end = &out->pre_up;
        parser.post_up_end = &out->post_up;
        parser.pre_down_end = &out->pre_down;
        parser.post_down_end = &out->post_down;
        parser.files_end = files;
        *files = NULL;
        return parse_text(&parser, (struct span){ text, len });
}

bool conf_parse(struct conf *out, struct pool *pool, const char *text, size_t len, struct conf_error *error)
{
        struct key_file *files;

        return conf_parse_files(out, pool, text, len, &files, error);
}
