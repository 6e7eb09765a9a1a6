/* What one configuration changes in another: pairs of files, and the lines that tell it. */
#include "ctl/changes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SELF  "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n"
#define OTHER "[Interface]\nPrivateKey = MMDGDlNyUOfYV4kH7cOHpJ2rHCWiiqYCxCyzRE2xOmE=\n"
#define K1    "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define K2    "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
#define PSK1  "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE="
#define PSK2  "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define PEER1 "[Peer]\nPublicKey = " K1 "\n"
#define PEER2 "[Peer]\nPublicKey = " K2 "\n"

static uint8_t memory[1 << 20];

static const struct {
        const char *what, *from, *to, *lines;
} rows[] = {
        { "nothing", SELF PEER1 "AllowedIPs = 10.1.0.0/16, fd01::/64\nEndpoint = 192.0.2.1:7\n",
          SELF PEER1 "Endpoint = 192.0.2.1:7\nAllowedIPs = fd01::/64\nAllowedIPs = 10.1.0.0/16, 10.1.0.0/16\n", "" },
        { "a new peer", SELF,
          SELF PEER1 "Name = berlin\nAllowedIPs = 10.2.0.0/16, 10.1.0.0/16\nEndpoint = [2001:db8::1]:7\n"
                     "PersistentKeepalive = 25\n",
          "wg set wg0 peer " K1
          " endpoint [2001:db8::1]:7 persistent-keepalive 25 allowed-ips 10.1.0.0/16,10.2.0.0/16 # berlin\n" },
        { "a new peer of nothing", SELF, SELF PEER1, "wg set wg0 peer " K1 "\n" },
        { "a peer less", SELF PEER1 "Name = berlin\n" PEER2, SELF PEER2, "wg set wg0 peer " K1 " remove # berlin\n" },
        { "fewer allowed IPs", SELF PEER1 "AllowedIPs = 10.1.0.0/16, 10.2.0.0/16\n",
          SELF PEER1 "AllowedIPs = 10.2.0.0/16\n", "wg set wg0 peer " K1 " allowed-ips 10.2.0.0/16\n" },
        { "no allowed IPs", SELF PEER1 "AllowedIPs = 10.1.0.0/16\n", SELF PEER1,
          "wg set wg0 peer " K1 " allowed-ips ''\n" },
        { "one that a later peer has", SELF PEER1 PEER2 "AllowedIPs = 10.1.0.0/16\n",
          SELF PEER1 "AllowedIPs = 10.1.0.0/16\n" PEER2 "AllowedIPs = 10.1.0.0/16\n", "" },
        { "one that moves", SELF PEER1 "AllowedIPs = 10.1.0.0/16\n" PEER2,
          SELF PEER1 PEER2 "AllowedIPs = 10.1.0.0/16\n",
          "wg set wg0 peer " K1 " allowed-ips ''\nwg set wg0 peer " K2 " allowed-ips 10.1.0.0/16\n" },
        { "another endpoint", SELF PEER1 "Endpoint = 192.0.2.1:7\n", SELF PEER1 "Endpoint = 192.0.2.1:8\n",
          "wg set wg0 peer " K1 " endpoint 192.0.2.1:8\n" },
        { "a name for an address", SELF PEER1 "Endpoint = 192.0.2.1:7\n", SELF PEER1 "Endpoint = host.example:7\n",
          "wg set wg0 peer " K1 " endpoint host.example:7\n" },
        { "the same name", SELF PEER1 "Endpoint = host.example:7\n", SELF PEER1 "Endpoint = host.example:7\n", "" },
        { "no endpoint: it stays", SELF PEER1 "Endpoint = 192.0.2.1:7\n", SELF PEER1, "" },
        { "keepalive off", SELF PEER1 "PersistentKeepalive = 25\n", SELF PEER1,
          "wg set wg0 peer " K1 " persistent-keepalive off\n" },
        { "a preshared key", SELF PEER1, SELF PEER1 "PresharedKey = " PSK1 "\n",
          "# peer " K1 ": preshared key: one from now on (of the file)\n" },
        { "another preshared key", SELF PEER1 "PresharedKey = " PSK2 "\n", SELF PEER1 "PresharedKey = " PSK1 "\n",
          "# peer " K1 ": preshared key: another (of the file)\n" },
        { "no preshared key", SELF PEER1 "PresharedKey = " PSK1 "\n", SELF PEER1,
          "# peer " K1 ": preshared key: none any more\n" },
        { "what wg has no word for", SELF PEER1 "Name = berlin\n",
          SELF PEER1 "Name = rome\nUpgrade = off\nPostQuantum = off\n",
          "# peer rome: Name = rome\n# peer rome: Upgrade = off\n# peer rome: PostQuantum = off\n" },
        { "the interface", SELF "ListenPort = 7\nWorkers = 2\n", OTHER "ListenPort = 8\n",
          "wg set wg0 listen-port 8\n"
          "# the private key: that of the file, whose public key is dPbkbNxQAtmJtN019MGBfCAb1VNPV1uvj36zr/3opiE=\n"
          "# Workers = auto\n" },
        { "no port: it stays", SELF "ListenPort = 7\n", SELF, "" },
};

static struct conf *parsed(const char *text, struct pool *pool)
{
        struct conf_error error;
        struct conf *conf = pool_alloc(pool, sizeof *conf);

        if (!conf_parse(conf, pool, text, strlen(text), &error)) fail_msg("%u: %s", error.line, error.text);
        return conf;
}

static void test_rows(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct pool pool = { .base = memory, .size = sizeof memory };
                struct conf *from = parsed(rows[i].from, &pool), *to = parsed(rows[i].to, &pool);
                char *lines = NULL;
                size_t size, count = 0;
                FILE *out = open_memstream(&lines, &size);
                int told = changes_print(out, "wg0", from, to, &pool);
                fclose(out);
                if (strcmp(lines, rows[i].lines) != 0)
                        fail_msg("%s:\n%swanted:\n%s", rows[i].what, lines, rows[i].lines);
                for (const char *at = lines; (at = strchr(at, '\n')); at++)
                        count++;
                assert_int_equal(told, count);
                free(lines);
        }
}

static void test_a_full_pool(void **state)
{
        struct pool pool = { .base = memory, .size = sizeof memory };
        struct conf *from = parsed(SELF, &pool), *to = parsed(SELF PEER1 "AllowedIPs = 10.1.0.0/16\n", &pool);
        struct pool full = { .base = memory + pool.used, .size = 8 };
        char *lines = NULL;
        size_t size;
        FILE *out = open_memstream(&lines, &size);

        (void)state;
        assert_int_equal(changes_print(out, "wg0", from, to, &full), -1);
        fclose(out);
        free(lines);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows),
                cmocka_unit_test(test_a_full_pool),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
