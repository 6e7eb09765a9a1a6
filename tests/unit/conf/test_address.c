#include "tests/unit/conf/support.h"
#include "daemon/conf/set.h"

static void test_prefixes(void **state)
{
        static const struct {
                const char *text, *is, *masked; /* NULL: refused */
        } rows[] = {
                { "10.0.0.1/24", "10.0.0.1/24", "10.0.0.0/24" },
                { "10.255.255.255", "10.255.255.255/32", "10.255.255.255/32" },
                { "255.255.255.255/0", "255.255.255.255/0", "0.0.0.0/0" },
                { "255.255.255.255/1", "255.255.255.255/1", "128.0.0.0/1" },
                { "255.255.255.255/31", "255.255.255.255/31", "255.255.255.254/31" },
                { "fd00::1", "fd00::1/128", "fd00::1/128" },
                { "FD00:0:0::1/64", "fd00::1/64", "fd00::/64" },
                { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127",
                  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127" },
                { "ffff::/9", "ffff::/9", "ff80::/9" },
                { "::/0", "::/0", "::/0" },
                { .text = "10.0.0.1/33" },
                { .text = "10.0.0.1/" },
                { .text = "10.0.0.1/ 8" },
                { .text = "10.0.0.1/8/8" },
                { .text = "10.0.0.1/255.0.0.0" },
                { .text = "::/129" },
                { .text = "10.0.0" },
                { .text = "10.0.0.01" },
                { .text = "" },
                { .text = "/8" },
                { .text = "fe80::1%1/64" },
                { .text = " ::" },
        };
        struct prefix prefix;
        char text[ADDRESS_TEXT];
        const char *why;

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                why = NULL;
                if (prefix_parse(&prefix, rows[i].text, strlen(rows[i].text), &why) != (rows[i].is != NULL))
                        fail_msg("row %zu: %s", i, rows[i].text);
                if (!rows[i].is) {
                        assert_non_null(why);
                        continue;
                }
                assert_string_equal(prefix_format(&prefix, text), rows[i].is);
                prefix_mask(&prefix);
                assert_string_equal(prefix_format(&prefix, text), rows[i].masked);
        }
        assert_true(prefix_parse(&prefix, "10.0.0.1/241", 11, &why)); /* no NUL is needed */
        assert_int_equal(prefix.length, 24);
        assert_false(prefix_parse(&prefix, "10.0.0.1\0", 9, &why));
}

static void test_endpoints(void **state)
{
        static const struct {
                const char *text, *host; /* NULL: refused */
                unsigned port;
                const char *literal;
        } rows[] = {
                { "192.0.2.1:51820", "192.0.2.1", 51820, "192.0.2.1:51820" },
                { "[2001:DB8::1]:1", "2001:DB8::1", 1, "[2001:db8::1]:1" },
                { "2001:db8::1:65535", "2001:db8::1", 65535, "[2001:db8::1]:65535" },
                { "[fe80::1%2]:80", "fe80::1%2", 80, "[fe80::1%2]:80" },
                { "[fe80::1%eth0.5]:80", "fe80::1%eth0.5", 80, "(none)" },
                { "[::ffff:192.0.2.1]:80", "::ffff:192.0.2.1", 80, "192.0.2.1:80" },
                { "host.example:51820", "host.example", 51820, "(none)" },
                { "host.example.:51820", "host.example.", 51820, "(none)" },
                { "a_b-c:1", "a_b-c", 1, "(none)" },
                { "[host]:1", "host", 1, "(none)" },
                { "1.2.3.4.com:1", "1.2.3.4.com", 1, "(none)" },
                { .text = "" },
                { .text = ":" },
                { .text = ":1" },
                { .text = "[]:1" },
                { .text = "[:1" },
                { .text = "[::1]1" },
                { .text = "[::1]" },
                { .text = "[::1]:" },
                { .text = "[::1]:65536" },
                { .text = "[::1]:0" },
                { .text = "[::1]:+1" },
                { .text = "::1" },
                { .text = "a..b:1" },
                { .text = ".a:1" },
                { .text = "a b:1" },
                { .text = "1.2.3:1" },
                { .text = "1.2.3.4.5:1" },
                { .text = "1.2.3.4%5:1" },
                { .text = "[fe80::1%]:1" },
                { .text = "[fe80::1%sixteen-letters!]:1" },
                { .text = "[fe80::1%sixteenletters16]:1" },
                { .text = "a%eth0:1" },
                { .text = "\xc3\xbc:1" },
        };
        char text[ENDPOINT_TEXT];

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                const char *why = NULL, *host = NULL;
                union socket_address address;
                uint16_t port;

                if (endpoint_parse(&host, &port, &address, &pool, rows[i].text, strlen(rows[i].text), &why) !=
                    (rows[i].host != NULL))
                        fail_msg("row %zu: %s", i, rows[i].text);
                if (!rows[i].host) {
                        assert_non_null(why);
                        continue;
                }
                assert_string_equal(host, rows[i].host);
                assert_int_equal(port, rows[i].port);
                assert_string_equal(endpoint_format(&address, text), rows[i].literal);
        }
}

static void test_long_names(void **state)
{
        char text[300];
        const char *why, *host;
        union socket_address address;
        uint16_t port;

        (void)state;
        for (unsigned len = 60; len < 66; len++) { /* one label */
                snprintf(text, sizeof text, "%.*s:1", (int)len,
                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
                assert_int_equal(endpoint_parse(&host, &port, &address, &pool, text, strlen(text), &why), len <= 63);
        }
        for (unsigned len = 250; len < 257; len++) {
                for (unsigned i = 0; i < len; i++)
                        text[i] = i % 50 == 49 && i < 240 ? '.' : 'a';
                snprintf(text + len, sizeof text - len, ":1");
                assert_int_equal(endpoint_parse(&host, &port, &address, &pool, text, strlen(text), &why), len <= 253);
        }
}

static void test_interface_names(void **state)
{
        (void)state;
        assert_true(interface_name_valid("wg0", 3));
        assert_true(interface_name_valid("a_=+.-Z9", 8));
        assert_true(interface_name_valid("fifteenletters0", 15));
        assert_false(interface_name_valid("sixteenletters00", 16));
        assert_false(interface_name_valid("", 0));
        assert_false(interface_name_valid(".", 1));
        assert_false(interface_name_valid("..", 2));
        assert_false(interface_name_valid("a/b", 3));
        assert_false(interface_name_valid("a b", 3));
        assert_false(interface_name_valid("a\0b", 3));
}

static void test_pool(void **state)
{
        uint8_t bytes[257];
        struct pool odd = { bytes + 1, 256, 0 };
        char *text;

        (void)state;
        memset(bytes, 0xee, sizeof bytes);
        for (size_t size = 1; size < 20; size++) {
                uint8_t *at = pool_alloc(&odd, size);

                if (!at) break;
                assert_int_equal((uintptr_t)at % _Alignof(max_align_t), 0);
                for (size_t i = 0; i < size; i++)
                        assert_int_equal(at[i], 0);
                memset(at, 0xaa, size);
        }
        assert_true(odd.used > 100 && odd.used <= odd.size);
        assert_null(pool_alloc(&odd, SIZE_MAX));
        assert_null(pool_alloc(&odd, SIZE_MAX - 8));
        assert_null(pool_strndup(&odd, "x", SIZE_MAX));
        pool_reset(&odd);
        assert_int_equal(odd.used, 0);
        for (size_t i = 1; i < 100; i++)
                assert_int_equal(bytes[i], 0);
        text = pool_strndup(&odd, "abcdef", 3);
        assert_string_equal(text, "abc");
        assert_non_null(pool_alloc(&odd, 0));
}

static void test_set(void **state)
{
        enum { ITEMS = 3000, VALUES = 1500 };
        static uint32_t items[ITEMS];
        struct set set;

        (void)state;
        pool_reset(&pool);
        assert_true(set_init(&set, &pool, ITEMS, sizeof *items));
        for (unsigned i = 0; i < ITEMS; i++) {
                const uint32_t *first = NULL;

                items[i] = random_below(VALUES) * 0x10001;
                for (unsigned j = 0; j < i && !first; j++)
                        if (items[j] == items[i]) first = &items[j];
                assert_ptr_equal(set_add(&set, &items[i]), first);
        }
}

static void test_keepalive(void **state)
{
        static const struct {
                const char *text;
                long seconds; /* -1: refused */
        } rows[] = {
                { "off", 0 }, { "OFF", 0 }, { "0", 0 },   { "1", 1 },   { "65535", 65535 }, { "65536", -1 },
                { "", -1 },   { "1x", -1 }, { "-1", -1 }, { " 1", -1 }, { "0x10", -1 },     { "offf", -1 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                uint16_t seconds = 7;
                const char *why = NULL;
                bool ok = keepalive_parse(&seconds, rows[i].text, strlen(rows[i].text), &why);

                if (ok != (rows[i].seconds >= 0)) fail_msg("row %zu: '%s'", i, rows[i].text);
                assert_int_equal(seconds, ok ? rows[i].seconds : 7);
                if (!ok) assert_string_equal(why, "an interval is 1 to 65535 seconds, or off");
        }
}

static void test_prefix_contains(void **state)
{
        static const struct {
                const char *wide, *narrow;
                bool contains;
        } rows[] = {
                { "10.0.0.0/8", "10.1.2.3/32", true },
                { "10.0.0.0/8", "10.0.0.0/8", true },
                { "10.0.0.0/8", "11.0.0.0/9", false },
                { "10.1.0.0/16", "10.0.0.0/8", false },
                { "10.0.0.0/16", "10.0.0.0/8", false },
                { "0.0.0.0/0", "203.0.113.0/24", true },
                { "0.0.0.0/0", "::/0", false },
                { "::/0", "0.0.0.0/0", false },
                { "fe00::/7", "fc00::/8", false },
                { "fc00::/7", "fd00::/8", true },
                { "192.0.2.128/25", "192.0.2.127/32", false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct prefix wide, narrow;
                const char *why;

                assert_true(prefix_parse(&wide, rows[i].wide, strlen(rows[i].wide), &why));
                assert_true(prefix_parse(&narrow, rows[i].narrow, strlen(rows[i].narrow), &why));
                prefix_mask(&wide);
                if (prefix_contains(&wide, &narrow) != rows[i].contains) fail_msg("row %zu", i);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_prefix_contains),
                cmocka_unit_test(test_keepalive),
                cmocka_unit_test(test_prefixes),
                cmocka_unit_test(test_endpoints),
                cmocka_unit_test(test_long_names),
                cmocka_unit_test(test_interface_names),
                cmocka_unit_test(test_pool),
                cmocka_unit_test(test_set),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
