#include "daemon/conf/text.h"
#include "daemon/conf/uapi.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* One row for each key: where it may stand, and what sets it. A setter answers what is wrong with the value, or NULL.
 */

struct reader {
        struct conf *conf;
        struct pool *pool;
        struct conf_peer *peer; /* NULL before the first public_key */
        struct conf_drop **drops_end;
        bool get;
};

static const char pool_full[] = "the configuration is too large";

static const char *read_number(struct span value, uint64_t max, uint64_t *out)
{
        return number_parse(value, max, out) ? NULL : "not a number of its range";
}

static const char *read_port(struct span value, uint16_t *out)
{
        uint64_t number = 0;
        const char *why = read_number(value, UINT16_MAX, &number);

        if (!why) *out = (uint16_t)number;
        return why ? "0 to 65535 is wanted" : NULL;
}

static const char *read_true(struct span value, unsigned *flags, unsigned flag)
{
        *flags |= flag;
        return span_is(value, "true") ? NULL : "true is the only value";
}

static const char *read_key(struct span value, struct key *out)
{
        return key_from_hex(out, value.text, value.len) ? NULL : "a key is 64 hexadecimal digits";
}

static const char *private_key(struct reader *in, struct span value)
{
        const char *why = read_key(value, &in->conf->private_key);

        in->conf->flags |= CONF_HAS_PRIVATE_KEY;
        if (!why && in->get) key_public_from_private(&in->conf->public_key, &in->conf->private_key);
        return why;
}

static const char *own_public_key(struct reader *in, struct span value)
{
        return read_key(value, &in->conf->public_key);
}

static const char *listen_port(struct reader *in, struct span value)
{
        in->conf->flags |= CONF_HAS_LISTEN_PORT;
        return read_port(value, &in->conf->listen_port);
}

static const char *fwmark(struct reader *in, struct span value)
{
        uint64_t mark;

        if (!number_parse_hex(value, UINT32_MAX, &mark)) return "0 to 4294967295 is wanted";
        in->conf->fwmark = (uint32_t)mark;
        in->conf->flags |= CONF_HAS_FWMARK;
        return NULL;
}

static const char *replace_peers(struct reader *in, struct span value)
{
        return read_true(value, &in->conf->flags, CONF_REPLACE_PEERS);
}

static const char *public_key(struct reader *in, struct span value)
{
        if (!(in->peer = conf_peer_append(in->conf, in->pool))) return pool_full;
        return read_key(value, &in->peer->public_key);
}

static const char *remove_peer(struct reader *in, struct span value)
{
        return read_true(value, &in->peer->flags, PEER_REMOVE);
}

static const char *update_only(struct reader *in, struct span value)
{
        return read_true(value, &in->peer->flags, PEER_UPDATE_ONLY);
}

static const char *preshared_key(struct reader *in, struct span value)
{
        const char *why = read_key(value, &in->peer->preshared_key);

        if (!in->get || !key_is_zero(&in->peer->preshared_key)) in->peer->flags |= PEER_HAS_PRESHARED_KEY;
        return why;
}

static const char *has_preshared_key(struct reader *in, struct span value)
{
        return read_true(value, &in->peer->flags, PEER_HAS_PRESHARED_KEY);
}

static const char *endpoint(struct reader *in, struct span value)
{
        struct conf_peer *peer = in->peer;
        bool bracket = value.len && value.text[0] == '[';
        const char *why;

        if (!endpoint_parse(&peer->endpoint_host, &peer->endpoint_port, &peer->endpoint, in->pool, value.text,
                            value.len, &why))
                return why;
        if (peer->endpoint.family == AF_UNSPEC)
                return "an address with a port is wanted, not a name; a scope is an interface's number";
        if (bracket != (memchr(peer->endpoint_host, ':', strlen(peer->endpoint_host)) != NULL))
                return "IPv6 addresses, and no others, stand in brackets: [2001:db8::1]:51820";
        return NULL;
}

static const char *keepalive(struct reader *in, struct span value)
{
        const char *why = read_port(value, &in->peer->keepalive);

        if (!in->get || in->peer->keepalive) in->peer->flags |= PEER_HAS_KEEPALIVE;
        return why;
}

static const char *replace_allowed_ips(struct reader *in, struct span value)
{
        return read_true(value, &in->peer->flags, PEER_REPLACE_ALLOWED_IPS);
}

static const char *allowed_ip(struct reader *in, struct span value)
{
        bool minus = value.len && value.text[0] == '-';
        struct conf_prefix *item;
        struct prefix prefix;
        const char *why;

        if (!prefix_parse(&prefix, value.text + minus, value.len - minus, &why)) return why;
        prefix_mask(&prefix);
        if (!(item = conf_allowed_ip_append(in->peer, in->pool, &prefix))) return pool_full;
        item->remove = minus;
        return NULL;
}

static const char *protocol_version(struct reader *in, struct span value)
{
        (void)in;
        return span_is(value, "1") ? NULL : "1 is the only version";
}

static const char *name(struct reader *in, struct span value)
{
        const char *why;

        in->peer->flags |= PEER_HAS_NAME;
        in->peer->name = NULL;
        if (!value.len) return NULL; /* takes the name away */
        if (!peer_name_valid(value.text, value.len, &why)) return why;
        in->peer->name = pool_strndup(in->pool, value.text, value.len);
        return in->peer->name ? NULL : pool_full;
}

static const char *upgrade(struct reader *in, struct span value)
{
        const char *why;
        bool ok = upgrade_parse(&in->peer->upgrade_off, value.text, value.len, &why);

        if (!in->get || in->peer->upgrade_off) in->peer->flags |= PEER_HAS_UPGRADE;
        return ok ? NULL : why;
}

static const char *post_quantum(struct reader *in, struct span value)
{
        const char *why;
        bool ok = post_quantum_parse(&in->peer->post_quantum, value.text, value.len, &why);

        if (!in->get || in->peer->post_quantum) in->peer->flags |= PEER_HAS_POST_QUANTUM;
        return ok ? NULL : why;
}

/* What adit prints as it is: nothing in it may move a cursor. */
static const char *read_text(struct reader *in, struct span value, const char **out)
{
        for (size_t i = 0; i < value.len; i++)
                if (value.text[i] < ' ' || value.text[i] >= 0x7f) return "printable ASCII is wanted";
        *out = value.len ? pool_strndup(in->pool, value.text, value.len) : NULL;
        return *out || !value.len ? NULL : pool_full;
}

static const char *upgrade_state(struct reader *in, struct span value)
{
        return read_text(in, value, &in->peer->upgrade_state);
}

static const char *upgrade_reason(struct reader *in, struct span value)
{
        return read_text(in, value, &in->peer->upgrade_reason);
}

static const char *adit(struct reader *in, struct span value)
{
        in->peer->adit = span_is(value, "1");
        return NULL;
}

static const char *cipher(struct reader *in, struct span value)
{
        return read_text(in, value, &in->peer->cipher);
}

static const char *cipher_implementation(struct reader *in, struct span value)
{
        return read_text(in, value, &in->peer->cipher_implementation);
}

static const char *kem(struct reader *in, struct span value)
{
        return read_text(in, value, &in->peer->kem);
}

static const char *kem_implementation(struct reader *in, struct span value)
{
        return read_text(in, value, &in->peer->kem_implementation);
}

static const char *last_handshake_sec(struct reader *in, struct span value)
{
        return read_number(value, INT64_MAX, &in->peer->last_handshake_sec);
}

static const char *last_handshake_nsec(struct reader *in, struct span value)
{
        return read_number(value, 999999999, &in->peer->last_handshake_nsec);
}

static const char *tx_bytes(struct reader *in, struct span value)
{
        return read_number(value, UINT64_MAX, &in->peer->tx_bytes);
}

static const char *rx_bytes(struct reader *in, struct span value)
{
        return read_number(value, UINT64_MAX, &in->peer->rx_bytes);
}

static const char *session(struct reader *in, struct span value)
{
        in->peer->session = span_is(value, "true");
        return NULL;
}

static const char *handshake_attempts(struct reader *in, struct span value)
{
        uint64_t number = 0;
        const char *why = read_number(value, UINT32_MAX, &number);

        in->peer->handshake_attempts = (unsigned)number;
        return why;
}

static const char *link_mtu(struct reader *in, struct span value)
{
        uint64_t number = 0;
        const char *why = read_number(value, UINT32_MAX, &number);

        in->conf->link_mtu = (uint32_t)number;
        return why;
}

static const char *read_workers(struct span value, uint16_t *out)
{
        uint64_t number = 0;
        const char *why = read_number(value, WORKERS_MAX, &number);

        *out = (uint16_t)number;
        return why;
}

static const char *workers(struct reader *in, struct span value)
{
        in->conf->flags |= CONF_HAS_WORKERS;
        return read_workers(value, &in->conf->workers);
}

static const char *workers_at_work(struct reader *in, struct span value)
{
        return read_workers(value, &in->conf->workers_at_work);
}

enum place { DEVICE = 1, PEER = 2, SET = 4, GET = 8, ADIT = 16 };

static const struct key_row {
        const char *name;
        unsigned place;
        const char *(*read)(struct reader *in, struct span value);
} rows[] = {
        { "private_key", DEVICE | SET | GET, private_key },
        { "own_public_key", DEVICE | GET, own_public_key },
        { "listen_port", DEVICE | SET | GET, listen_port },
        { "fwmark", DEVICE | SET | GET, fwmark },
        { "link_mtu", DEVICE | GET, link_mtu },
        { "workers", DEVICE | SET | GET | ADIT, workers },
        { "workers_at_work", DEVICE | GET, workers_at_work },
        { "replace_peers", DEVICE | SET, replace_peers },
        { "public_key", DEVICE | PEER | SET | GET, public_key },
        { "remove", PEER | SET, remove_peer },
        { "update_only", PEER | SET, update_only },
        { "preshared_key", PEER | SET | GET, preshared_key },
        { "has_preshared_key", PEER | GET, has_preshared_key },
        { "protocol_version", PEER | SET, protocol_version },
        { "endpoint", PEER | SET | GET, endpoint },
        { "last_handshake_time_sec", PEER | GET, last_handshake_sec },
        { "last_handshake_time_nsec", PEER | GET, last_handshake_nsec },
        { "tx_bytes", PEER | GET, tx_bytes },
        { "rx_bytes", PEER | GET, rx_bytes },
        { "persistent_keepalive_interval", PEER | SET | GET, keepalive },
        { "name", PEER | SET | GET | ADIT, name },
        { "upgrade", PEER | SET | GET | ADIT, upgrade },
        { "post_quantum", PEER | SET | GET | ADIT, post_quantum },
        { "upgrade_state", PEER | GET, upgrade_state },
        { "upgrade_reason", PEER | GET, upgrade_reason },
        { "adit", PEER | GET, adit },
        { "cipher", PEER | GET, cipher },
        { "cipher_implementation", PEER | GET, cipher_implementation },
        { "kem", PEER | GET, kem },
        { "kem_implementation", PEER | GET, kem_implementation },
        { "session", PEER | GET, session },
        { "handshake_attempts", PEER | GET, handshake_attempts },
        { "replace_allowed_ips", PEER | SET, replace_allowed_ips },
        { "allowed_ip", PEER | SET | GET, allowed_ip },
};

/* Nothing of the text but a known key is repeated: the rest may be a secret. */
static bool fail(struct conf_error *error, const char *key, const char *why)
{
        snprintf(error->text, sizeof error->text, "%s%s%s", key, *key ? ": " : "", why);
        return false;
}

static const struct key_row *find_row(struct span key, unsigned wanted, bool adit)
{
        for (const struct key_row *row = rows; row < rows + sizeof rows / sizeof *rows; row++)
                if ((row->place & wanted) && (adit || !(row->place & ADIT)) && span_is(key, row->name)) return row;
        return NULL;
}

static const char *read_drop(struct reader *in, struct span key, struct span value)
{
        const size_t prefix = sizeof "drop_" - 1;
        struct conf_drop *drop = pool_alloc(in->pool, sizeof *drop);

        if (!drop || !(drop->name = pool_strndup(in->pool, key.text + prefix, key.len - prefix))) return pool_full;
        *in->drops_end = drop;
        in->drops_end = &drop->next;
        return read_number(value, UINT64_MAX, &drop->count);
}

static bool read_line(struct reader *in, bool adit, struct span line, struct conf_error *error)
{
        const char *end = line.text + line.len;
        struct span value = line, key = span_cut(&value, '=');
        const struct key_row *row = find_row(key, in->get ? GET : SET, adit);
        const char *why;

        error->column = 1;
        if (key.len == line.len) return fail(error, "", "a line is key=value");
        if (memchr(line.text, 0, line.len)) return fail(error, "", "a zero byte");
        if (!row && in->get && key.len > 5 && memcmp(key.text, "drop_", 5) == 0) {
                why = read_drop(in, key, value);
                return !why || fail(error, "drop", why);
        }
        if (!row) return in->get || fail(error, "", "unknown key");
        if (!(row->place & (in->peer ? PEER : DEVICE)))
                return fail(error, row->name,
                            in->peer ? "a key of the device comes before the first public_key"
                                     : "a key of a peer comes after its public_key");
        if (!(why = row->read(in, value))) return true;
        error->column = (unsigned)(end - value.len - line.text) + 1;
        return fail(error, row->name, why);
}

static bool read_lines(struct reader *in, bool adit, struct span text, struct conf_error *error)
{
        *in->conf = (struct conf){ .table = TABLE_AUTO };
        *error = (struct conf_error){ 0 };
        in->conf->peers_end = &in->conf->peers;
        in->drops_end = &in->conf->drops;
        while (text.len) {
                struct span line = span_cut(&text, '\n');

                if (!line.len) break;
                error->line++;
                if (!read_line(in, adit, line, error)) return false;
        }
        *error = (struct conf_error){ 0 };
        return true;
}

bool uapi_parse_set(struct conf *out, struct pool *pool, enum uapi_dialect dialect, const char *text, size_t len,
                    struct conf_error *error)
{
        struct reader in = { .conf = out, .pool = pool };

        return read_lines(&in, dialect == UAPI_ADIT, (struct span){ text, len }, error);
}

bool uapi_parse_get(struct conf *out, struct pool *pool, const char *text, size_t len, struct conf_error *error)
{
        struct reader in = { .conf = out, .pool = pool, .get = true };

        return read_lines(&in, true, (struct span){ text, len }, error);
}
