#include "tests/unit/conf/support.h"

static char text[TEXT_SIZE];

static size_t format(const struct conf *conf)
{
        struct writer measure = { 0 }, out = { text, sizeof text, 0 };

        conf_format(conf, &measure);
        conf_format(conf, &out);
        assert_int_equal(measure.used, out.used);
        assert_int_equal(strlen(text), out.used);
        return out.used;
}

static void test_random_round_trips(void **state)
{
        struct conf conf, back;
        struct conf_error error;

        (void)state;
        for (unsigned i = 0; i < 3000; i++) {
                pool_reset(&pool);
                random_conf(&conf, true);
                if (!conf_parse(&back, &pool, text, format(&conf), &error))
                        fail_msg("%u:%u: %s in\n%s", error.line, error.column, error.text, text);
                assert_same_conf(&conf, &back);
        }
}

static void test_writer_stops_at_its_size(void **state)
{
        char small[8] = "1234567";
        struct writer out = { small, 5, 0 };

        (void)state;
        writer_print(&out, "%s", "ab");
        writer_print(&out, "%s", "cdef");
        writer_print(&out, "%s", "g");
        assert_int_equal(out.used, 7);
        assert_string_equal(small, "abcd");
        assert_memory_equal(small + 5, "67", 3);
}

/* ---- conf_host_state() ---------------------------------------------------------------------------------------------
 */

#define PEER(key) "[Peer]\nPublicKey=" key "\n"

static void test_fwmark(void **state)
{
        static const struct {
                const char *text;
                uint32_t fwmark;
                bool chosen; /* is to be: by the keeper, which knows what is free */
        } rows[] = {
                { "[Interface]\n" PEER(KEY_B) "AllowedIPs=10.0.0.0/8", 0, false },
                { "[Interface]\n" PEER(KEY_B) "AllowedIPs=0.0.0.0/0", 0, true },
                { "[Interface]\n" PEER(KEY_B) "AllowedIPs=::/0", 0, true },
                { "[Interface]\n" PEER(KEY_B) "AllowedIPs=::/1, 8000::/1, 0.0.0.0/1", 0, false },
                { "[Interface]\nListenPort=4500\n" PEER(KEY_B) PEER(KEY_C) "AllowedIPs=::/0", 0, true },
                { "[Interface]\nListenPort=0\n" PEER(KEY_B) "AllowedIPs=::/0", 0, true },
                { "[Interface]\nFwMark=7\n" PEER(KEY_B) "AllowedIPs=::/0", 7, false },
                { "[Interface]\nFwMark=off\n" PEER(KEY_B) "AllowedIPs=::/0", 0, true },
                { "[Interface]\nFwMark=7\n", 7, false },
                { "[Interface]\nTable=off\n" PEER(KEY_B) "AllowedIPs=::/0", 0, false },
                { "[Interface]\nExcludedIPs=10.0.0.0/8\n" PEER(KEY_B) "AllowedIPs=0.0.0.0/0", 0, true },
                { "[Interface]\nExcludedIPs=::/0\n" PEER(KEY_B) "AllowedIPs=0.0.0.0/0, ::/0", 0, true },
                { "[Interface]\nExcludedIPs=::/0, 0.0.0.0/0\n" PEER(KEY_B) "AllowedIPs=0.0.0.0/0, ::/0", 0, false },
                { "[Interface]\nTable=main\n" PEER(KEY_B) "AllowedIPs=::/0", 0, false },
                { "[Interface]\nKillSwitch=yes\n" PEER(KEY_B) "AllowedIPs=10.0.0.0/8", 0, true },
                { "[Interface]\nKillSwitch=yes\nTable=off\n" PEER(KEY_B) "AllowedIPs=::/0", 0, true },
                { "[Interface]\nKillSwitch=yes\nFwMark=7\n" PEER(KEY_B) "AllowedIPs=::/0", 7, false },
                { "[Interface]\nKillSwitch=no\n" PEER(KEY_B) "AllowedIPs=10.0.0.0/8", 0, false },
                { "[Interface]\nTable=off\nFwMark=9\n" PEER(KEY_B) "AllowedIPs=::/0", 9, false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct conf_error error;
                struct host_state host;
                struct conf conf, before;

                pool_reset(&pool);
                assert_true(conf_parse(&conf, &pool, rows[i].text, strlen(rows[i].text), &error));
                before = conf;
                assert_true(conf_host_state(&conf, &host, &pool));
                if (host.fwmark != rows[i].fwmark) fail_msg("row %zu: mark %u", i, host.fwmark);
                if (host.mark_chosen != rows[i].chosen) fail_msg("row %zu: chosen %u", i, host.mark_chosen);
                assert_same_conf(&conf, &before);
        }
}

/* KEY_A is a private key here. Its peer is left out, by the private key as by the public one of a status. */
static void test_own_key(void **state)
{
        struct conf_prefix rest = { .prefix = { AF_INET, 8, { 12 } } },
                           both = { .next = &rest, .prefix = { AF_INET, 0, { 0 } } };
        struct conf_peer other = { .allowed_ips = &rest }, self = { .next = &other, .allowed_ips = &both };
        struct conf conf = { .peers = &self };
        struct host_state host;
        struct key private_key;

        (void)state;
        pool_reset(&pool);
        assert_true(key_from_base64(&private_key, KEY_A, strlen(KEY_A)));
        assert_true(key_public_from_private(&self.public_key, &private_key));
        self.endpoint_host = other.endpoint_host = "192.0.2.1";
        self.endpoint_port = other.endpoint_port = 1;

        assert_true(conf_host_state(&conf, &host, &pool)); /* the key is not known */
        assert_int_equal(host.route_count, 2);
        assert_int_equal(host.endpoint_count, 2);
        assert_true(host.mark_chosen);
        for (unsigned known = 0; known < 2; known++) {
                conf.private_key = known ? (struct key){ 0 } : private_key;
                conf.public_key = known ? self.public_key : (struct key){ 0 };
                assert_true(conf_host_state(&conf, &host, &pool));
                assert_int_equal(host.route_count, 1);
                assert_true(prefix_equal(&host.routes[0], &rest.prefix));
                assert_int_equal(host.endpoint_count, 1);
                assert_memory_equal(host.endpoints[0].public_key, &other.public_key, KEY_LEN);
                assert_false(host.mark_chosen);
        }
        conf.private_key.bytes[0] ^= 8; /* another key: what a status said before counts no more */
        conf.private_key.bytes[1] ^= 8;
        assert_true(conf_host_state(&conf, &host, &pool));
        assert_int_equal(host.route_count, 2);
}

static void assert_prefixes(const struct prefix *list, size_t count, const char *wanted)
{
        char one[ADDRESS_TEXT], all[1024] = "";

        for (size_t i = 0; i < count; i++) {
                size_t used = strlen(all);

                snprintf(all + used, sizeof all - used, "%s%s", i ? " " : "", prefix_format(&list[i], one));
        }
        assert_string_equal(all, wanted);
}

static void test_host_state(void **state)
{
        static const char in[] =
                "[Interface]\nAddress=10.0.0.1/24, fd00::1/64, 10.0.0.1/24, 10.0.0.1/25\nMTU=1380\n"
                "Table=77\nDNS = 192.0.2.53, ~., ~corp.example lan.example fe80::53%eth0\nKillSwitch = yes\n"
                "Forward = 10.0.0.0/16, 10.0.3.0/16\n"
                "ExcludedIPs = 10.1.7.3/24 ,10.1.7.0/24\nexcludedips=fd01::/64, 192.0.2.1\nExcludedIPs "
                "=\n" PEER(KEY_B) "AllowedIPs=10.1.0.0/16, 10.1.2.3/16, fd01::/48\n"
                                  "Endpoint=berlin.example:4500\n" PEER(
                                          KEY_C) "AllowedIPs=fd01::/48, 10.2.0.0/16\nEndpoint=[fe80::1%eth0]:80\n";
        static const struct host_dns dns[] = { { DNS_SERVER, "192.0.2.53" },
                                               { DNS_ROUTE_DOMAIN, "." },
                                               { DNS_ROUTE_DOMAIN, "corp.example" },
                                               { DNS_DOMAIN, "lan.example" },
                                               { DNS_SERVER, "fe80::53%eth0" } };
        struct conf_error error;
        struct host_state host;
        struct conf conf;

        (void)state;
        pool_reset(&pool);
        assert_true(conf_parse(&conf, &pool, in, strlen(in), &error));
        assert_true(conf_host_state(&conf, &host, &pool));
        assert_true(host.managed);
        assert_int_equal(host.mtu, 1380);
        assert_int_equal(host.table, 77);
        assert_prefixes(host.addresses, host.address_count, "10.0.0.1/24 fd00::1/64 10.0.0.1/25");
        assert_prefixes(host.routes, host.route_count, "10.1.0.0/16 fd01::/48 10.2.0.0/16");
        assert_prefixes(host.excluded, host.excluded_count, "10.1.7.0/24 fd01::/64 192.0.2.1/32");
        assert_true(host.kill_switch && !host.masquerade);
        assert_int_equal(host.forward, FORWARD_NETWORKS);
        assert_prefixes(host.forwards, host.forward_count, "10.0.0.0/16");
        assert_int_equal(host.dns_count, sizeof dns / sizeof *dns);
        for (size_t i = 0; i < host.dns_count; i++) {
                assert_int_equal(host.dns[i].kind, dns[i].kind);
                assert_string_equal(host.dns[i].text, dns[i].text);
        }
        assert_int_equal(host.endpoint_count, 2);
        assert_string_equal(host.endpoints[0].host, "berlin.example");
        assert_int_equal(host.endpoints[0].port, 4500);
        assert_memory_equal(host.endpoints[0].public_key, &conf.peers->public_key, KEY_LEN);
        assert_string_equal(host.endpoints[1].host, "fe80::1%eth0");

        conf.peers->flags |= PEER_REMOVE;
        assert_true(conf_host_state(&conf, &host, &pool));
        assert_prefixes(host.routes, host.route_count, "fd01::/48 10.2.0.0/16");
        assert_int_equal(host.endpoint_count, 1);

        for (size_t size = 0; size < 256; size += 16) {
                struct pool small = { pool_bytes + POOL_SIZE - 256, size, 0 };

                assert_false(conf_host_state(&conf, &host, &small));
        }
}

/* Against comparing every route with every other. */
static void test_no_route_twice(void **state)
{
        struct conf conf;
        struct host_state host;

        (void)state;
        for (unsigned round = 0; round < 50; round++) {
                size_t distinct = 0;

                pool_reset(&pool);
                random_conf(&conf, false);
                for (unsigned i = 0; i < 200; i++) {
                        struct prefix prefix = random_prefix(false);

                        prefix.length %= 6;
                        prefix_mask(&prefix);
                        if (!conf.peers) conf_peer_append(&conf, &pool);
                        conf_allowed_ip_append(conf.peers, &pool, &prefix);
                }
                for (struct conf_peer *p = conf.peers; p; p = p->next)
                        for (struct conf_prefix *a = p->allowed_ips; a; a = a->next) {
                                bool seen = false;

                                for (struct conf_peer *q = conf.peers; q != p->next; q = q->next)
                                        for (struct conf_prefix *b = q->allowed_ips; b && b != a; b = b->next)
                                                seen |= prefix_equal(&a->prefix, &b->prefix);
                                distinct += !seen;
                        }
                assert_true(conf_host_state(&conf, &host, &pool));
                assert_int_equal(host.route_count, distinct);
        }
}

static void test_error_format(void **state)
{
        struct conf_error error = { 14, 3, "Key: what", false };
        char out[64];

        (void)state;
        conf_error_format(&error, "a.conf", out, sizeof out);
        assert_string_equal(out, "a.conf:14:3: Key: what");
        error.column = 0;
        conf_error_format(&error, "a.conf", out, sizeof out);
        assert_string_equal(out, "a.conf:14: Key: what");
        error.line = 0;
        conf_error_format(&error, "a.conf", out, sizeof out);
        assert_string_equal(out, "a.conf: Key: what");
        conf_error_format(&error, "a.conf", out, 5);
        assert_string_equal(out, "a.co");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_random_round_trips),
                cmocka_unit_test(test_writer_stops_at_its_size),
                cmocka_unit_test(test_fwmark),
                cmocka_unit_test(test_own_key),
                cmocka_unit_test(test_host_state),
                cmocka_unit_test(test_no_route_twice),
                cmocka_unit_test(test_error_format),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
