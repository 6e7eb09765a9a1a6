#include "daemon/conf/records.h"
#include "daemon/conf/text.h"

#include <assert.h>
#include <string.h>

/* One link record comes first and says how many of each kind follow, in the order of the enum. Byte order and layout
 * are the machine's. Every byte has one meaning, so what is read and written again is the same bytes. */
enum record_type {
        RECORD_LINK = 1,
        RECORD_ADDRESS,
        RECORD_ROUTE,
        RECORD_EXCLUDED,
        RECORD_FORWARD,
        RECORD_ENDPOINT,
        RECORD_DNS
};

struct record_header {
        uint32_t type, length; /* of the payload */
};

struct record_link {
        int64_t table;
        uint32_t managed, mark_chosen; /* 0 or 1 */
        uint32_t mtu, fwmark;
        uint32_t kill_switch; /* 0 or 1; 2: it is not in force (status) */
        uint32_t masquerade;  /* 0 or 1 */
        uint32_t forward;     /* enum host_forward */
        uint32_t addresses, routes, excluded, forwards, endpoints, dns;
        uint32_t dns_means; /* enum host_dns_means */
};

struct record_prefix {
        uint8_t family, length, bytes[16]; /* of an IPv4 address, the last 12 are zero */
};

struct record_endpoint {
        uint8_t public_key[PUBLIC_KEY_LEN];
        uint16_t port;
        char host[HOST_NAME_MAX_LEN + 1]; /* zeroes after its end */
};

struct record_dns {
        uint32_t kind;                    /* enum host_dns_kind */
        char text[HOST_NAME_MAX_LEN + 3]; /* zeroes after its end */
};

static_assert(sizeof(struct record_link) == 64 && sizeof(struct record_dns) == 260, "no padding");
static_assert(sizeof(struct record_prefix) == 18, "no padding");
static_assert(sizeof(struct record_endpoint) == 288, "no padding");
static_assert(AF_INET < 256 && AF_INET6 < 256, "a family is a byte");

size_t records_size(const struct host_state *host)
{
        size_t prefixes = host->address_count + host->route_count + host->excluded_count + host->forward_count;

        return 8 * (1 + prefixes + host->endpoint_count + host->dns_count) + sizeof(struct record_link) +
               sizeof(struct record_prefix) * prefixes + sizeof(struct record_endpoint) * host->endpoint_count +
               sizeof(struct record_dns) * host->dns_count;
}

static void put(uint8_t **out, uint32_t type, const void *payload, uint32_t length)
{
        struct record_header header = { type, length };

        static_assert(sizeof header == 8, "no padding");
        memcpy(*out, &header, sizeof header);
        memcpy(*out + sizeof header, payload, length);
        *out += sizeof header + length;
}

static void put_prefix(uint8_t **out, uint32_t type, const struct prefix *prefix)
{
        struct record_prefix record = { .family = prefix->family, .length = prefix->length };

        memcpy(record.bytes, prefix->bytes, prefix->family == AF_INET ? 4 : 16);
        put(out, type, &record, sizeof record);
}

static void put_endpoint(uint8_t **out, const struct host_endpoint *endpoint)
{
        struct record_endpoint record = { .port = endpoint->port };

        memcpy(record.public_key, endpoint->public_key, sizeof record.public_key);
        memcpy(record.host, endpoint->host, strnlen(endpoint->host, HOST_NAME_MAX_LEN));
        put(out, RECORD_ENDPOINT, &record, sizeof record);
}

static void put_dns(uint8_t **out, const struct host_dns *dns)
{
        struct record_dns record = { .kind = dns->kind };

        memcpy(record.text, dns->text, strnlen(dns->text, sizeof record.text - 1));
        put(out, RECORD_DNS, &record, sizeof record);
}

void records_write(const struct host_state *host, uint8_t *out)
{
        struct record_link link = {
                .table = host->table,
                .managed = host->managed,
                .mark_chosen = host->mark_chosen,
                .mtu = host->mtu,
                .fwmark = host->fwmark,
                .addresses = (uint32_t)host->address_count,
                .routes = (uint32_t)host->route_count,
                .kill_switch = !host->kill_switch         ? 0
                               : host->kill_switch_failed ? 2
                                                          : 1,
                .masquerade = host->masquerade,
                .forward = host->forward,
                .excluded = (uint32_t)host->excluded_count,
                .forwards = (uint32_t)host->forward_count,
                .endpoints = (uint32_t)host->endpoint_count,
                .dns = (uint32_t)host->dns_count,
                .dns_means = host->dns_means,
        };

        put(&out, RECORD_LINK, &link, sizeof link);
        for (size_t i = 0; i < host->address_count; i++)
                put_prefix(&out, RECORD_ADDRESS, &host->addresses[i]);
        for (size_t i = 0; i < host->route_count; i++)
                put_prefix(&out, RECORD_ROUTE, &host->routes[i]);
        for (size_t i = 0; i < host->excluded_count; i++)
                put_prefix(&out, RECORD_EXCLUDED, &host->excluded[i]);
        for (size_t i = 0; i < host->forward_count; i++)
                put_prefix(&out, RECORD_FORWARD, &host->forwards[i]);
        for (size_t i = 0; i < host->endpoint_count; i++)
                put_endpoint(&out, &host->endpoints[i]);
        for (size_t i = 0; i < host->dns_count; i++)
                put_dns(&out, &host->dns[i]);
}

struct reader {
        const uint8_t *bytes;
        size_t left;
        const char **why;
};

static bool fail(struct reader *in, const char *why)
{
        *in->why = why;
        return false;
}

static bool get(struct reader *in, uint32_t type, void *payload, uint32_t length)
{
        struct record_header header;

        if (in->left < sizeof header) return fail(in, "the records end too early");
        memcpy(&header, in->bytes, sizeof header);
        if (header.type != type) return fail(in, "a record is of another type than comes here");
        if (header.length != length) return fail(in, "a record is not of its type's length");
        if (length > in->left - sizeof header) return fail(in, "the records end too early");
        memcpy(payload, in->bytes + sizeof header, length);
        in->bytes += sizeof header + length;
        in->left -= sizeof header + length;
        return true;
}

static bool get_link(struct reader *in, struct record_link *link)
{
        uint64_t wanted;

        if (!get(in, RECORD_LINK, link, sizeof *link)) return false;
        if (link->managed > 1) return fail(in, "managed is 0 or 1");
        if (link->mark_chosen > 1) return fail(in, "mark_chosen is 0 or 1");
        if (link->mtu && (link->mtu < MTU_MIN || link->mtu > MTU_MAX)) return fail(in, "the MTU is out of range");
        if (link->table < TABLE_OFF || link->table > UINT32_MAX) return fail(in, "the table is out of range");
        if (link->kill_switch > 2) return fail(in, "kill_switch is 0 to 2");
        if (link->masquerade > 1) return fail(in, "masquerade is 0 or 1");
        if (link->forward > FORWARD_NETWORKS) return fail(in, "forward is out of range");
        if (link->forwards && link->forward != FORWARD_NETWORKS)
                return fail(in, "networks to forward, but no such wish");
        if (link->dns_means > DNS_BY_RESOLVCONF) return fail(in, "dns_means is out of range");
        /* before anything is allocated: what the counts say is what is there */
        wanted = (8 + sizeof(struct record_prefix)) *
                         ((uint64_t)link->addresses + link->routes + link->excluded + link->forwards) +
                 (8 + sizeof(struct record_endpoint)) * (uint64_t)link->endpoints +
                 (8 + sizeof(struct record_dns)) * (uint64_t)link->dns;
        if (wanted > in->left) return fail(in, "the records end too early");
        if (wanted < in->left) return fail(in, "bytes after the last record");
        return true;
}

static bool get_prefix(struct reader *in, enum record_type type, struct prefix *out)
{
        static const uint8_t zero[16];
        struct record_prefix record;
        struct prefix masked;
        unsigned size;

        if (!get(in, type, &record, sizeof record)) return false;
        if (record.family != AF_INET && record.family != AF_INET6) return fail(in, "an address of an unknown family");
        size = record.family == AF_INET ? 4 : 16;
        if (record.length > size * 8) return fail(in, "a prefix is longer than its address");
        if (memcmp(record.bytes + size, zero, 16 - size) != 0) return fail(in, "bytes after an IPv4 address");

        *out = (struct prefix){ .family = record.family, .length = record.length };
        memcpy(out->bytes, record.bytes, sizeof out->bytes);
        masked = *out;
        prefix_mask(&masked);
        if (type != RECORD_ADDRESS && !prefix_equal(&masked, out)) return fail(in, "a route has host bits");
        return true;
}

static bool get_endpoint(struct reader *in, struct host_endpoint *out)
{
        struct record_endpoint record;
        union socket_address address;
        const char *why;
        size_t len;

        if (!get(in, RECORD_ENDPOINT, &record, sizeof record)) return false;
        len = strnlen(record.host, sizeof record.host);
        if (len == sizeof record.host) return fail(in, "a host name without an end");
        for (size_t i = len; i < sizeof record.host; i++)
                if (record.host[i]) return fail(in, "bytes after a host name");
        if (!host_parse(&address, (struct span){ record.host, len }, &why)) return fail(in, "not a host name");
        if (!record.port) return fail(in, "an endpoint without a port");

        memcpy(out->public_key, record.public_key, sizeof out->public_key);
        memcpy(out->host, record.host, sizeof out->host);
        out->port = record.port;
        return true;
}

static bool get_dns(struct reader *in, struct host_dns *out, struct pool *pool)
{
        struct record_dns record;
        enum host_dns_kind kind;
        size_t len, tilde;

        if (!get(in, RECORD_DNS, &record, sizeof record)) return false;
        len = strnlen(record.text, sizeof record.text);
        if (len == sizeof record.text) return fail(in, "a DNS text without an end");
        for (size_t i = len; i < sizeof record.text; i++)
                if (record.text[i]) return fail(in, "bytes after a DNS text");
        tilde = record.kind == DNS_ROUTE_DOMAIN;
        memmove(record.text + tilde, record.text, len);
        if (tilde) record.text[0] = '~';
        if (!dns_parse(&kind, (struct span){ record.text, len + tilde }) || kind != record.kind)
                return fail(in, "neither a DNS server nor a domain");
        out->kind = kind;
        out->text = pool_strndup(pool, record.text + tilde, len);
        return out->text || fail(in, "the configuration is too large");
}

static bool get_all(struct reader *in, struct host_state *out, struct pool *pool)
{
        struct record_link link;

        if (!get_link(in, &link)) return false;
        *out = (struct host_state){
                .managed = link.managed,
                .mark_chosen = link.mark_chosen,
                .mtu = link.mtu,
                .table = link.table,
                .fwmark = link.fwmark,
                .address_count = link.addresses,
                .route_count = link.routes,
                .kill_switch = link.kill_switch != 0,
                .kill_switch_failed = link.kill_switch == 2,
                .masquerade = link.masquerade,
                .forward = link.forward,
                .excluded_count = link.excluded,
                .forward_count = link.forwards,
                .endpoint_count = link.endpoints,
                .dns_count = link.dns,
                .dns_means = link.dns_means,
        };
        out->addresses = pool_alloc(pool, out->address_count * sizeof *out->addresses);
        out->routes = pool_alloc(pool, out->route_count * sizeof *out->routes);
        out->excluded = pool_alloc(pool, out->excluded_count * sizeof *out->excluded);
        out->forwards = pool_alloc(pool, out->forward_count * sizeof *out->forwards);
        out->endpoints = pool_alloc(pool, out->endpoint_count * sizeof *out->endpoints);
        out->dns = pool_alloc(pool, out->dns_count * sizeof *out->dns);
        if (!out->addresses || !out->routes || !out->excluded || !out->forwards || !out->endpoints || !out->dns)
                return fail(in, "the configuration is too large");

        for (size_t i = 0; i < out->address_count; i++)
                if (!get_prefix(in, RECORD_ADDRESS, &out->addresses[i])) return false;
        for (size_t i = 0; i < out->route_count; i++)
                if (!get_prefix(in, RECORD_ROUTE, &out->routes[i])) return false;
        for (size_t i = 0; i < out->excluded_count; i++)
                if (!get_prefix(in, RECORD_EXCLUDED, &out->excluded[i])) return false;
        for (size_t i = 0; i < out->forward_count; i++)
                if (!get_prefix(in, RECORD_FORWARD, &out->forwards[i])) return false;
        for (size_t i = 0; i < out->endpoint_count; i++)
                if (!get_endpoint(in, &out->endpoints[i])) return false;
        for (size_t i = 0; i < out->dns_count; i++)
                if (!get_dns(in, &out->dns[i], pool)) return false;
        return true;
}

bool records_read(struct host_state *out, struct pool *pool, const uint8_t *bytes, size_t len, const char **why)
{
        struct reader in = { bytes, len, why };
        struct host_state host;

        if (!get_all(&in, &host, pool)) return false;
        *out = host;
        return true;
}
