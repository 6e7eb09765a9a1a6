#include "tests/unit/conf/support.h"
#include "daemon/conf/records.h"

static struct host_state random_host(void)
{
        static const int64_t tables[] = { TABLE_AUTO, TABLE_OFF, 1, UINT32_MAX };
        struct host_state host = { .managed = random_below(2), .table = tables[random_below(4)] };

        if (random_below(2)) host.mtu = MTU_MIN + random_below(MTU_MAX - MTU_MIN + 1);
        host.fwmark = random_below(UINT32_MAX);
        host.mark_chosen = random_below(2);
        host.address_count = random_below(4);
        host.route_count = random_below(6);
        host.excluded_count = random_below(4);
        host.kill_switch = random_below(2);
        host.kill_switch_failed = host.kill_switch && random_below(2);
        host.masquerade = random_below(2);
        host.forward = (enum host_forward)random_below(4);
        host.forward_count = host.forward == FORWARD_NETWORKS ? random_below(4) : 0;
        host.dns_count = random_below(4);
        host.dns_means = (enum host_dns_means)random_below(4);
        host.endpoint_count = random_below(3);
        host.addresses = pool_alloc(&pool, host.address_count * sizeof *host.addresses);
        host.routes = pool_alloc(&pool, host.route_count * sizeof *host.routes);
        host.excluded = pool_alloc(&pool, host.excluded_count * sizeof *host.excluded);
        host.forwards = pool_alloc(&pool, host.forward_count * sizeof *host.forwards);
        host.endpoints = pool_alloc(&pool, host.endpoint_count * sizeof *host.endpoints);
        host.dns = pool_alloc(&pool, host.dns_count * sizeof *host.dns);
        for (size_t i = 0; i < host.address_count; i++)
                host.addresses[i] = random_prefix(false);
        for (size_t i = 0; i < host.route_count; i++)
                host.routes[i] = random_prefix(true);
        for (size_t i = 0; i < host.excluded_count; i++)
                host.excluded[i] = random_prefix(true);
        for (size_t i = 0; i < host.forward_count; i++)
                host.forwards[i] = random_prefix(true);
        for (size_t i = 0; i < host.dns_count; i++) {
                host.dns[i].kind = (enum host_dns_kind)random_below(3);
                host.dns[i].text = host.dns[i].kind == DNS_SERVER ? "fe80::53%eth0" : random_word(LETTERS, 60);
        }
        for (size_t i = 0; i < host.endpoint_count; i++) {
                random_bytes(host.endpoints[i].public_key, PUBLIC_KEY_LEN);
                snprintf(host.endpoints[i].host, sizeof host.endpoints[i].host, "%s",
                         random_below(2) ? random_word(LETTERS, 60) : "fe80::1%eth0");
                host.endpoints[i].port = (uint16_t)(1 + random_below(65535));
        }
        return host;
}

static void assert_same_host(const struct host_state *a, const struct host_state *b)
{
        assert_int_equal(a->managed, b->managed);
        assert_int_equal(a->mtu, b->mtu);
        assert_int_equal(a->table, b->table);
        assert_int_equal(a->fwmark, b->fwmark);
        assert_int_equal(a->mark_chosen, b->mark_chosen);
        assert_int_equal(a->address_count, b->address_count);
        assert_int_equal(a->route_count, b->route_count);
        assert_int_equal(a->excluded_count, b->excluded_count);
        assert_int_equal(a->endpoint_count, b->endpoint_count);
        assert_int_equal(a->kill_switch, b->kill_switch);
        assert_int_equal(a->kill_switch_failed, b->kill_switch_failed);
        assert_int_equal(a->masquerade, b->masquerade);
        assert_int_equal(a->forward, b->forward);
        assert_int_equal(a->forward_count, b->forward_count);
        assert_int_equal(a->dns_count, b->dns_count);
        assert_int_equal(a->dns_means, b->dns_means);
        assert_memory_equal(a->addresses, b->addresses, a->address_count * sizeof *a->addresses);
        assert_memory_equal(a->routes, b->routes, a->route_count * sizeof *a->routes);
        assert_memory_equal(a->excluded, b->excluded, a->excluded_count * sizeof *a->excluded);
        assert_memory_equal(a->forwards, b->forwards, a->forward_count * sizeof *a->forwards);
        for (size_t i = 0; i < a->dns_count; i++) {
                assert_int_equal(a->dns[i].kind, b->dns[i].kind);
                assert_string_equal(a->dns[i].text, b->dns[i].text);
        }
        for (size_t i = 0; i < a->endpoint_count; i++) {
                assert_memory_equal(a->endpoints[i].public_key, b->endpoints[i].public_key, PUBLIC_KEY_LEN);
                assert_string_equal(a->endpoints[i].host, b->endpoints[i].host);
                assert_int_equal(a->endpoints[i].port, b->endpoints[i].port);
        }
}

/* In a heap block of just its size, so that the address sanitizer sees a byte read beyond. */
static uint8_t *written(const struct host_state *host, size_t *len)
{
        uint8_t *bytes;

        *len = records_size(host);
        bytes = malloc(*len + 1);
        bytes[*len] = 0x5a;
        records_write(host, bytes);
        assert_int_equal(bytes[*len], 0x5a);
        return bytes;
}

static bool read_copy(struct host_state *out, const uint8_t *bytes, size_t len, const char **why)
{
        uint8_t *copy = malloc(len ? len : 1);
        bool ok;

        memcpy(copy, bytes, len);
        ok = records_read(out, &pool, copy, len, why);
        free(copy);
        return ok;
}

static void test_round_trips(void **state)
{
        const char *why = NULL;

        (void)state;
        for (unsigned i = 0; i < 2000; i++) {
                struct host_state host, back;
                uint8_t *bytes;
                size_t len;

                pool_reset(&pool);
                host = random_host();
                bytes = written(&host, &len);
                if (!read_copy(&back, bytes, len, &why)) fail_msg("round %u: %s", i, why);
                assert_same_host(&host, &back);
                free(bytes);
        }
}

static void test_every_truncation_is_refused(void **state)
{
        struct host_state host, back = { .mtu = 7 };
        const char *why;
        uint8_t *bytes, longer[4096] = { 0 };
        size_t len;

        (void)state;
        for (unsigned i = 0; i < 40; i++) {
                pool_reset(&pool);
                host = random_host();
                bytes = written(&host, &len);
                for (size_t cut = 0; cut < len; cut++) {
                        assert_false(read_copy(&back, bytes, cut, &why));
                        assert_non_null(why);
                }
                memcpy(longer, bytes, len);
                assert_false(read_copy(&back, longer, len + 1, &why));
                assert_string_equal(why, "bytes after the last record");
                assert_int_equal(back.mtu, 7);
                free(bytes);
        }
}

/* Whatever one byte becomes, the records are refused, or mean just what they then say. */
static void test_mutations(void **state)
{
        const char *why;
        unsigned refused = 0, accepted = 0;

        (void)state;
        for (unsigned round = 0; round < 300; round++) {
                struct host_state host, back;
                uint8_t *bytes, *again;
                size_t len, again_len;

                pool_reset(&pool);
                host = random_host();
                bytes = written(&host, &len);
                for (unsigned i = 0; i < 100; i++) {
                        size_t at = random_below((uint32_t)len);
                        uint8_t was = bytes[at];

                        bytes[at] ^= (uint8_t)(1 + random_below(255));
                        if (read_copy(&back, bytes, len, &why)) {
                                again = written(&back, &again_len);
                                assert_int_equal(again_len, len);
                                assert_memory_equal(again, bytes, len);
                                free(again);
                                accepted++;
                        } else {
                                refused++;
                        }
                        bytes[at] = was;
                }
                free(bytes);
        }
        assert_true(refused > 1000 && accepted > 1000);
}

/* Each check, by a record that breaks only that. Offsets: header 8, link 64, then header 8 and payload. */
static void test_ranges(void **state)
{
        struct prefix address = { AF_INET, 24, { 10, 0, 0, 1 } }, route = { AF_INET, 8, { 10 } },
                      excluded = { AF_INET, 16, { 10, 7 } }, forward = { AF_INET, 16, { 10, 9 } };
        struct host_endpoint endpoint = { .host = "berlin.example", .port = 4500 };
        struct host_dns dns = { DNS_ROUTE_DOMAIN, "example" };
        const struct host_state host = { .managed = true,
                                         .mtu = 1420,
                                         .table = 5,
                                         .fwmark = 6,
                                         .addresses = &address,
                                         .address_count = 1,
                                         .routes = &route,
                                         .route_count = 1,
                                         .excluded = &excluded,
                                         .excluded_count = 1,
                                         .endpoints = &endpoint,
                                         .endpoint_count = 1,
                                         .dns = &dns,
                                         .dns_count = 1,
                                         .forward = FORWARD_NETWORKS,
                                         .forwards = &forward,
                                         .forward_count = 1 };
        enum {
                LINK = 8,
                ADDRESS = LINK + 64 + 8,
                ROUTE = ADDRESS + 18 + 8,
                EXCLUDED = ROUTE + 18 + 8,
                FORWARD = EXCLUDED + 18 + 8,
                ENDPOINT = FORWARD + 18 + 8,
                DNS = ENDPOINT + 288 + 8
        };
        static const struct {
                size_t at;
                uint8_t value;
                const char *why;
        } rows[] = {
                { 0, 2, "a record is of another type than comes here" },
                { 4, 65, "a record is not of its type's length" },
                { LINK + 7, 0x80, "the table is out of range" },
                { LINK + 4, 1, "the table is out of range" },
                { LINK + 8, 2, "managed is 0 or 1" },
                { LINK + 11, 1, "managed is 0 or 1" },
                { LINK + 12, 1, NULL },
                { LINK + 12, 2, "mark_chosen is 0 or 1" },
                { LINK + 15, 1, "mark_chosen is 0 or 1" },
                { LINK + 17, 1, "the MTU is out of range" },
                { LINK + 18, 1, "the MTU is out of range" },
                { LINK + 24, 1, NULL },
                { LINK + 24, 2, NULL },
                { LINK + 24, 3, "kill_switch is 0 to 2" },
                { LINK + 28, 1, NULL },
                { LINK + 31, 1, "masquerade is 0 or 1" },
                { LINK + 32, FORWARD_YES, "networks to forward, but no such wish" },
                { LINK + 32, FORWARD_NETWORKS + 1, "forward is out of range" },
                { LINK + 36, 0, "bytes after the last record" },
                { LINK + 36, 2, "the records end too early" },
                { LINK + 39, 0xff, "the records end too early" },
                { LINK + 43, 0xff, "the records end too early" },
                { LINK + 44, 0, "bytes after the last record" },
                { LINK + 44, 2, "the records end too early" },
                { LINK + 47, 0xff, "the records end too early" },
                { LINK + 48, 0, "bytes after the last record" },
                { LINK + 51, 0xff, "the records end too early" },
                { LINK + 52, 0, "bytes after the last record" },
                { LINK + 52, 2, "the records end too early" },
                { LINK + 55, 0xff, "the records end too early" },
                { LINK + 56, 0, "bytes after the last record" },
                { LINK + 56, 2, "the records end too early" },
                { LINK + 60, DNS_BY_RESOLVCONF, NULL },
                { LINK + 60, DNS_BY_RESOLVCONF + 1, "dns_means is out of range" },
                { ADDRESS - 8, 3, "a record is of another type than comes here" },
                { ADDRESS - 4, 19, "a record is not of its type's length" },
                { ADDRESS, 1, "an address of an unknown family" },
                { ADDRESS + 1, 33, "a prefix is longer than its address" },
                { ADDRESS + 6, 1, "bytes after an IPv4 address" },
                { ROUTE + 3, 1, "a route has host bits" },
                { EXCLUDED - 8, 3, "a record is of another type than comes here" },
                { EXCLUDED + 4, 1, "a route has host bits" },
                { EXCLUDED + 1, 33, "a prefix is longer than its address" },
                { FORWARD - 8, 4, "a record is of another type than comes here" },
                { FORWARD + 4, 1, "a route has host bits" },
                { DNS, DNS_DOMAIN, NULL },
                { DNS, DNS_SERVER, "neither a DNS server nor a domain" },
                { DNS, 3, "neither a DNS server nor a domain" },
                { DNS + 4, '~', "neither a DNS server nor a domain" },
                { DNS + 4, ' ', "neither a DNS server nor a domain" },
                { DNS + 4, 0, "bytes after a DNS text" },
                { DNS + 4 + 20, 'x', "bytes after a DNS text" },
                { ENDPOINT + 32, 0, NULL },
                { ENDPOINT + 34, '/', "not a host name" },
                { ENDPOINT + 34, 0, "bytes after a host name" },
                { ENDPOINT + 34 + 20, 'x', "bytes after a host name" },
        };
        struct host_state back;
        const char *why;
        uint8_t *bytes;
        size_t len;

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                pool_reset(&pool);
                bytes = written(&host, &len);
                assert_true(read_copy(&back, bytes, len, &why));
                bytes[rows[i].at] = rows[i].value;
                why = NULL;
                if (read_copy(&back, bytes, len, &why) != (rows[i].why == NULL)) fail_msg("row %zu: %s", i, why);
                if (rows[i].why) assert_string_equal(why, rows[i].why);
                free(bytes);
        }
        bytes = written(&host, &len);
        memset(bytes + ENDPOINT + 34, 'a', HOST_NAME_MAX_LEN + 1);
        assert_false(read_copy(&back, bytes, len, &why));
        assert_string_equal(why, "a host name without an end");
        free(bytes);

        endpoint.port = 0;
        bytes = written(&host, &len);
        assert_false(read_copy(&back, bytes, len, &why));
        assert_string_equal(why, "an endpoint without a port");
        free(bytes);
}

static void test_full_pool(void **state)
{
        struct prefix routes[3] = { { AF_INET, 8, { 10 } }, { AF_INET, 8, { 11 } }, { AF_INET, 8, { 12 } } };
        const struct host_state host = { .routes = routes, .route_count = 3 };
        struct pool small = { pool_bytes, sizeof routes - 1, 0 };
        struct host_state back;
        const char *why;
        uint8_t *bytes;
        size_t len;

        (void)state;
        bytes = written(&host, &len);
        assert_false(records_read(&back, &small, bytes, len, &why));
        assert_string_equal(why, "the configuration is too large");
        free(bytes);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trips), cmocka_unit_test(test_every_truncation_is_refused),
                cmocka_unit_test(test_mutations),   cmocka_unit_test(test_ranges),
                cmocka_unit_test(test_full_pool),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
