#include "tests/unit/conf/support.h"
#include "daemon/conf/uapi.h"

#include <sodium.h>
#include <time.h>

static struct conf conf;
static struct conf_error error;
static char text[TEXT_SIZE];

#define ONES "1111111111111111111111111111111111111111111111111111111111111111"
#define TWOS "2222222222222222222222222222222222222222222222222222222222222222"
#define ZERO "0000000000000000000000000000000000000000000000000000000000000000"
#define PEER "public_key=" ONES "\n"

static bool parse(enum uapi_dialect dialect, const char *in)
{
        pool_reset(&pool);
        return uapi_parse_set(&conf, &pool, dialect, in, strlen(in), &error);
}

/* What wireguard-go answers with errno=-22 is refused here, too, but for fwmark=0x and an address without length. */
static void test_refused(void **state)
{
        static const struct {
                const char *text;
                unsigned line, column;
                const char *says;
        } rows[] = {
                { "private_key", 1, 1, "a line is key=value" },
                { "=", 1, 1, "unknown key" },
                { "errno=0", 1, 1, "unknown key" },
                { "get=1", 1, 1, "unknown key" },
                { "Private_key=" ONES, 1, 1, "unknown key" },
                { "private_key=" ONES "\r", 1, 13, "private_key: a key is 64 hexadecimal digits" },
                { "private_key=", 1, 13, "private_key: a key is 64 hexadecimal digits" },
                { "private_key=" ONES "1", 1, 13, "private_key: a key is 64 hexadecimal digits" },
                { "fwmark=1\nlisten_port=65536", 2, 13, "listen_port: 0 to 65535 is wanted" },
                { "listen_port=", 1, 13, "listen_port: 0 to 65535 is wanted" },
                { "listen_port= 1", 1, 13, "listen_port: 0 to 65535 is wanted" },
                { "fwmark=4294967296", 1, 8, "fwmark: 0 to 4294967295 is wanted" },
                { "fwmark=off", 1, 8, "fwmark: 0 to 4294967295 is wanted" },
                { "replace_peers=false", 1, 15, "replace_peers: true is the only value" },
                { "preshared_key=" ONES, 1, 1, "preshared_key: a key of a peer comes after its public_key" },
                { "own_public_key=" ONES, 1, 1, "unknown key" },
                { "workers=2", 1, 1, "unknown key" }, /* Adit's own dialect has it */
                { "drop_x=1", 1, 1, "unknown key" },
                { PEER "listen_port=5", 2, 1, "listen_port: a key of the device comes before the first public_key" },
                { PEER "remove=false", 2, 8, "remove: true is the only value" },
                { PEER "update_only=1", 2, 13, "update_only: true is the only value" },
                { PEER "replace_allowed_ips=", 2, 21, "replace_allowed_ips: true is the only value" },
                { PEER "protocol_version=2", 2, 18, "protocol_version: 1 is the only version" },
                { PEER "persistent_keepalive_interval=off", 2, 31,
                  "persistent_keepalive_interval: 0 to 65535 is wanted" },
                { PEER "endpoint=berlin.example:80", 2, 10,
                  "endpoint: an address with a port is wanted, not a name; a scope is an interface's number" },
                { PEER "endpoint=[fe80::1%eth0]:80", 2, 10,
                  "endpoint: an address with a port is wanted, not a name; a scope is an interface's number" },
                { PEER "endpoint=2001:db8::1:80", 2, 10,
                  "endpoint: IPv6 addresses, and no others, stand in brackets: [2001:db8::1]:51820" },
                { PEER "endpoint=[192.0.2.1]:80", 2, 10,
                  "endpoint: IPv6 addresses, and no others, stand in brackets: [2001:db8::1]:51820" },
                { PEER "endpoint=192.0.2.1:65536", 2, 10, "endpoint: a port is 1 to 65535, after the last colon" },
                { PEER "allowed_ip=", 2, 12, "allowed_ip: an address such as 10.0.0.1/24 or fd00::1/64 is wanted" },
                { PEER "allowed_ip= 10.0.0.0/8", 2, 12,
                  "allowed_ip: an address such as 10.0.0.1/24 or fd00::1/64 is wanted" },
                { PEER "allowed_ip=--10.0.0.0/8", 2, 12,
                  "allowed_ip: an address such as 10.0.0.1/24 or fd00::1/64 is wanted" },
                { PEER "allowed_ip=10.0.0.0/33", 2, 12, "allowed_ip: a prefix of an IPv4 address is 0 to 32 bits" },
                { PEER "tx_bytes=1", 2, 1, "unknown key" },
                { PEER "name=a", 2, 1, "unknown key" },
                { PEER "upgrade=off", 2, 1, "unknown key" },
                { PEER "post_quantum=off", 2, 1, "unknown key" },
                { PEER "upgrade_state=off", 2, 1, "unknown key" },
                { PEER "cipher=x", 2, 1, "unknown key" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                if (parse(UAPI_STRICT, rows[i].text)) fail_msg("row %zu was accepted: %s", i, rows[i].text);
                assert_string_equal(error.text, rows[i].says);
                assert_int_equal(error.line, rows[i].line);
                assert_int_equal(error.column, rows[i].column);
        }
        pool_reset(&pool);
        assert_false(uapi_parse_set(&conf, &pool, UAPI_STRICT, "fwmark=1\0\n", 10, &error));
        assert_false(parse(UAPI_ADIT, PEER "name=a b"));
        assert_string_equal(error.text, "name: a name is 1 to 31 letters, digits or signs, without blanks or #");
        assert_false(parse(UAPI_ADIT, PEER "upgrade=require"));
        assert_string_equal(error.text, "upgrade: auto or off is wanted");
        assert_false(parse(UAPI_ADIT, PEER "post_quantum="));
        assert_string_equal(error.text, "post_quantum: auto, require or off is wanted");
        assert_false(parse(UAPI_ADIT, PEER "cipher=x")); /* of a get only */
}

static void test_accepted(void **state)
{
        const struct conf_peer *peer;
        char line[ADDRESS_TEXT];

        (void)state;
        assert_true(parse(UAPI_STRICT, ""));
        assert_int_equal(conf.flags, 0);
        assert_true(parse(UAPI_STRICT, "\nnonsense"));
        assert_true(parse(UAPI_STRICT, "private_key=" ONES "\nlisten_port=0\nfwmark=0xca6c\nreplace_peers=true\n" PEER
                                       "update_only=true\npreshared_key=" ZERO
                                       "\nendpoint=[fe80::1%7]:80\npersistent_keepalive_interval=65535\n"
                                       "replace_allowed_ips=true\nprotocol_version=1\nallowed_ip=10.1.2.3/8\n"
                                       "allowed_ip=-fd00::/8\nallowed_ip=10.0.0.1\n" PEER
                                       "remove=true\npublic_key=" TWOS "\nendpoint=[::ffff:192.0.2.1]:1"));
        assert_int_equal(conf.flags,
                         CONF_HAS_PRIVATE_KEY | CONF_HAS_LISTEN_PORT | CONF_HAS_FWMARK | CONF_REPLACE_PEERS);
        assert_int_equal(conf.fwmark, 51820);
        peer = conf.peers;
        assert_int_equal(peer->flags,
                         PEER_UPDATE_ONLY | PEER_HAS_PRESHARED_KEY | PEER_HAS_KEEPALIVE | PEER_REPLACE_ALLOWED_IPS);
        assert_int_equal(peer->endpoint.in6.sin6_scope_id, 7);
        assert_int_equal(peer->keepalive, 65535);
        assert_string_equal(prefix_format(&peer->allowed_ips->prefix, line), "10.0.0.0/8");
        assert_false(peer->allowed_ips->remove);
        assert_true(peer->allowed_ips->next->remove);
        assert_string_equal(prefix_format(&peer->allowed_ips->next->next->prefix, line), "10.0.0.1/32");
        peer = peer->next;
        assert_memory_equal(&peer->public_key, &conf.peers->public_key, KEY_LEN);
        assert_int_equal(peer->flags, PEER_REMOVE);
        assert_string_equal(endpoint_format(&peer->next->endpoint, text), "192.0.2.1:1");
        assert_null(peer->next->next);

        assert_false(parse(UAPI_ADIT, "workers=17\n"));
        assert_true(parse(UAPI_ADIT, "workers=2\n"));
        assert_int_equal(conf.workers, 2);
        assert_true(parse(UAPI_ADIT, PEER "name=berlin\n"));
        assert_string_equal(conf.peers->name, "berlin");
        assert_true(parse(UAPI_ADIT, PEER "name=berlin\nname=\n"));
        assert_null(conf.peers->name);
        assert_int_equal(conf.peers->flags, PEER_HAS_NAME);
        assert_true(parse(UAPI_ADIT, PEER "upgrade=off\n"));
        assert_int_equal(conf.peers->flags, PEER_HAS_UPGRADE);
        assert_true(conf.peers->upgrade_off);
        assert_true(parse(UAPI_ADIT, PEER "upgrade=auto\npost_quantum=require\n"));
        assert_int_equal(conf.peers->flags, PEER_HAS_UPGRADE | PEER_HAS_POST_QUANTUM);
        assert_false(conf.peers->upgrade_off);
        assert_int_equal(conf.peers->post_quantum, CONF_POST_QUANTUM_REQUIRE);
}

static void test_set_round_trips(void **state)
{
        struct conf made;

        (void)state;
        for (unsigned i = 0; i < 3000; i++) {
                struct writer out = { text, sizeof text, 0 };

                pool_reset(&pool);
                random_conf(&made, false);
                for (struct conf_peer *peer = made.peers; peer; peer = peer->next) {
                        if (random_below(4) == 0) peer->flags |= PEER_UPDATE_ONLY;
                        if (random_below(2)) peer->flags &= ~(unsigned)PEER_REPLACE_ALLOWED_IPS;
                        for (struct conf_prefix *at = peer->allowed_ips; at; at = at->next)
                                at->remove = random_below(2);
                }
                uapi_format_set(&made, &out);
                if (!uapi_parse_set(&conf, &pool, UAPI_ADIT, text, out.used, &error))
                        fail_msg("%u: %s in\n%s", error.line, error.text, text);
                assert_same_conf(&made, &conf);
        }
}

static void test_removal_says_nothing_else(void **state)
{
        struct writer out = { text, sizeof text, 0 };

        (void)state;
        assert_true(parse(UAPI_ADIT, PEER "preshared_key=" TWOS "\nname=a\nremove=true\nallowed_ip=::/0\n"));
        uapi_format_set(&conf, &out);
        assert_string_equal(text, PEER "remove=true\n");
}

static void format_get(enum uapi_dialect dialect, bool secrets)
{
        struct writer out = { text, sizeof text, 0 };

        text[0] = 0;
        uapi_format_device(&conf, dialect, secrets, &out);
        for (const struct conf_peer *peer = conf.peers; peer; peer = peer->next)
                uapi_format_peer(peer, dialect, secrets, &out);
}

/* Line for line what wireguard-go (2022) prints. */
static void test_get_as_wireguard_go(void **state)
{
        (void)state;
        assert_true(parse(UAPI_STRICT, ""));
        format_get(UAPI_STRICT, true);
        assert_string_equal(text, "");

        assert_true(parse(UAPI_STRICT, "private_key=" TWOS "\nlisten_port=7\nfwmark=17\n" PEER
                                       "endpoint=[fe80::1]:80\npersistent_keepalive_interval=25\n"
                                       "allowed_ip=10.0.0.5/8\nallowed_ip=fd00::1/64\npublic_key=" TWOS "\n"));
        conf.peers->last_handshake_sec = 1700000000;
        conf.peers->last_handshake_nsec = 5;
        conf.peers->tx_bytes = UINT64_MAX;
        conf.peers->rx_bytes = 4;
        format_get(UAPI_STRICT, true);
        assert_string_equal(text, "private_key=" TWOS "\nlisten_port=7\nfwmark=17\n" PEER "preshared_key=" ZERO
                                  "\nprotocol_version=1\nendpoint=[fe80::1]:80\nlast_handshake_time_sec=1700000000\n"
                                  "last_handshake_time_nsec=5\ntx_bytes=18446744073709551615\nrx_bytes=4\n"
                                  "persistent_keepalive_interval=25\nallowed_ip=10.0.0.0/8\nallowed_ip=fd00::/64\n"
                                  "public_key=" TWOS "\npreshared_key=" ZERO "\nprotocol_version=1\n"
                                  "last_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\n"
                                  "persistent_keepalive_interval=0\n");
}

static void test_get_between_adits(void **state)
{
        struct conf_drop drops[] = { { &drops[1], "forged", 3 }, { NULL, "replayed", UINT64_MAX } };
        struct key own;

        (void)state;
        assert_true(parse(UAPI_ADIT, "private_key=" TWOS "\n" PEER "preshared_key=" TWOS "\nname=berlin\n"));
        assert_true(key_public_from_private(&own, &conf.private_key));
        conf.drops = drops;
        conf.peers->session = true;
        conf.peers->handshake_attempts = 9;
        conf.peers->rx_bytes = 77;
        for (int secrets = 0; secrets < 2; secrets++) {
                struct conf back;

                format_get(UAPI_ADIT, secrets);
                assert_int_equal(strstr(text, TWOS) != NULL, secrets);
                assert_true(uapi_parse_get(&back, &pool, text, strlen(text), &error));
                assert_memory_equal(&back.public_key, &own, KEY_LEN);
                assert_int_equal(key_is_zero(&back.private_key), !secrets);
                assert_int_equal(back.peers->flags, PEER_HAS_PRESHARED_KEY | PEER_HAS_NAME);
                assert_int_equal(key_is_zero(&back.peers->preshared_key), !secrets);
                assert_string_equal(back.peers->name, "berlin");
                assert_true(back.peers->session);
                assert_int_equal(back.peers->handshake_attempts, 9);
                assert_int_equal(back.peers->rx_bytes, 77);
                assert_string_equal(back.drops->name, "forged");
                assert_int_equal(back.drops->count, 3);
                assert_string_equal(back.drops->next->name, "replayed");
                assert_true(back.drops->next->count == UINT64_MAX);
                assert_null(back.drops->next->next);
        }
        format_get(UAPI_STRICT, false);
        assert_null(strstr(text, "own_public_key"));
        assert_null(strstr(text, TWOS));
}

/* Policies and the state of the upgrade, to whom they are known. */
static void test_get_of_upgrades(void **state)
{
        static const char policies[] = "upgrade=off\npost_quantum=off\n";
        static const char told[] = "upgrade_state=upgraded\nupgrade_reason=upgraded, or so\nadit=1\n"
                                   "cipher=AES-256-GCM\ncipher_implementation=ipsec-mb\nkem=ML-KEM-768\n"
                                   "kem_implementation=libsodium\n";
        struct conf back;

        (void)state;
        assert_true(parse(UAPI_ADIT, PEER "upgrade=auto\npost_quantum=auto\n"));
        format_get(UAPI_ADIT, true);
        assert_null(strstr(text, "upgrade"));
        assert_null(strstr(text, "post_quantum"));
        assert_true(parse(UAPI_ADIT, PEER "upgrade=off\npost_quantum=off\n"));
        conf.peers->upgrade_state = "upgraded";
        conf.peers->upgrade_reason = "upgraded, or so";
        conf.peers->adit = true;
        conf.peers->cipher = "AES-256-GCM";
        conf.peers->cipher_implementation = "ipsec-mb";
        conf.peers->kem = "ML-KEM-768";
        conf.peers->kem_implementation = "libsodium";
        format_get(UAPI_STRICT, true);
        assert_null(strstr(text, "upgrade"));
        assert_null(strstr(text, "post_quantum"));
        assert_null(strstr(text, "adit"));
        assert_null(strstr(text, "cipher"));
        assert_null(strstr(text, "kem"));
        format_get(UAPI_ADIT, true);
        assert_non_null(strstr(text, policies));
        assert_non_null(strstr(text, told));
        assert_true(uapi_parse_get(&back, &pool, text, strlen(text), &error));
        assert_int_equal(back.peers->flags, PEER_HAS_UPGRADE | PEER_HAS_POST_QUANTUM);
        assert_true(back.peers->upgrade_off);
        assert_int_equal(back.peers->post_quantum, CONF_POST_QUANTUM_OFF);
        assert_string_equal(back.peers->upgrade_state, "upgraded");
        assert_string_equal(back.peers->upgrade_reason, "upgraded, or so");
        assert_true(back.peers->adit);
        assert_string_equal(back.peers->cipher, "AES-256-GCM");
        assert_string_equal(back.peers->cipher_implementation, "ipsec-mb");
        assert_string_equal(back.peers->kem, "ML-KEM-768");
        assert_string_equal(back.peers->kem_implementation, "libsodium");
}

/* A default in a get is no wish: adit save writes none. What is printed as it is cannot move a cursor. */
static void test_get_of_upgrades_is_checked(void **state)
{
        static const char defaults[] = PEER "upgrade=auto\npost_quantum=auto\nadit=0\ncipher=\n";
        static const char *const bad[] = { PEER "cipher=\033[2J\n", PEER "upgrade_reason=\177\n", PEER "kem=\200\n",
                                           PEER "upgrade=no\n", PEER "post_quantum=no\n" };

        (void)state;
        pool_reset(&pool);
        assert_true(uapi_parse_get(&conf, &pool, defaults, strlen(defaults), &error));
        assert_int_equal(conf.peers->flags, 0);
        assert_false(conf.peers->adit);
        assert_null(conf.peers->cipher);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                if (uapi_parse_get(&conf, &pool, bad[i], strlen(bad[i]), &error)) fail_msg("row %zu was accepted", i);
}

static void test_get_ignores_the_unknown(void **state)
{
        static const char in[] = "listen_port=1\nnew_thing=x\n" PEER "other=\nrx_bytes=5\n";
        static const char bad[] = PEER "rx_bytes=x\n", zero[] = "drop_a\0b=1\n", none[] = PEER "preshared_key=" ZERO;

        (void)state;
        assert_true(uapi_parse_get(&conf, &pool, in, strlen(in), &error));
        assert_int_equal(conf.listen_port, 1);
        assert_int_equal(conf.peers->rx_bytes, 5);
        assert_false(uapi_parse_get(&conf, &pool, bad, strlen(bad), &error));
        assert_false(uapi_parse_get(&conf, &pool, zero, sizeof zero - 1, &error));
        assert_true(uapi_parse_get(&conf, &pool, none, strlen(none), &error));
        assert_int_equal(conf.peers->flags, 0);
}

/* Ten thousand peers and a hundred thousand prefixes: quadratic work would take minutes. */
static void test_many(void **state)
{
        enum { PEERS = 10000, PREFIXES = 10, SIZE = 8 << 20 };
        struct writer out = { malloc(SIZE), SIZE, 0 };
        struct host_state host;
        clock_t began = clock();
        size_t count = 0;

        (void)state;
        for (unsigned i = 0; i < PEERS; i++) {
                writer_print(&out, "public_key=%064x\n", i);
                for (unsigned j = 0; j < PREFIXES; j++)
                        writer_print(&out, "allowed_ip=10.%u.%u.%u/32\n", i >> 8, i & 255, j);
        }
        pool_reset(&pool);
        assert_true(uapi_parse_set(&conf, &pool, UAPI_STRICT, out.text, out.used, &error));
        for (struct conf_peer *peer = conf.peers; peer; peer = peer->next)
                count++;
        assert_int_equal(count, PEERS);
        assert_true(conf_host_state(&conf, &host, &pool));
        assert_int_equal(host.route_count, PEERS * PREFIXES);
        assert_true(pool.used <= conf_pool_size(out.used));
        assert_true((clock() - began) / CLOCKS_PER_SEC < 5);
        free(out.text);
}

static void test_full_pool(void **state)
{
        static const char in[] = PEER "endpoint=192.0.2.1:1\nname=a\nallowed_ip=::/0\nallowed_ip=::/1\n";
        size_t needed;

        (void)state;
        assert_true(parse(UAPI_ADIT, in));
        needed = pool.used;
        for (size_t size = 0; size < needed; size++) {
                struct pool small = { malloc(size ? size : 1), size, 0 };
                bool ok = uapi_parse_set(&conf, &small, UAPI_ADIT, in, strlen(in), &error);

                free(small.base);
                assert_false(ok);
                assert_non_null(strstr(error.text, "too large"));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_accepted),
                cmocka_unit_test(test_set_round_trips),
                cmocka_unit_test(test_removal_says_nothing_else),
                cmocka_unit_test(test_get_as_wireguard_go),
                cmocka_unit_test(test_get_between_adits),
                cmocka_unit_test(test_get_of_upgrades),
                cmocka_unit_test(test_get_of_upgrades_is_checked),
                cmocka_unit_test(test_get_ignores_the_unknown),
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_full_pool),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
