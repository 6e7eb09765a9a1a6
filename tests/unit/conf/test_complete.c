#include "tests/unit/conf/support.h"

#include "daemon/conf/uapi.h"

static struct conf conf;

static const char FILE_TEXT[] =
        "[Interface]\nDNS = 9.9.9.9\nPreDown = true\nSaveConfig = true\n"
        "[Peer]\nPublicKey = F+LLfdrID7W4GrWjMjbyOfLyTZM8v8MO1kiHYqzfW1c=\nAllowedIPs = 10.0.0.0/24\n";

static void parse_file(void)
{
        struct conf_error error;

        pool_reset(&pool);
        assert_true(conf_parse(&conf, &pool, FILE_TEXT, sizeof FILE_TEXT - 1, &error));
}

/* What the file leaves out is said with its default, so that a live link loses it; the keys and the port stay. */
static void test_complete_names_every_default(void **state)
{
        static uint8_t text[4096];
        struct writer out = { .text = (char *)text, .size = sizeof text };

        (void)state;
        parse_file();
        conf_make_complete(&conf);
        uapi_format_set(&conf, &out);
        assert_string_equal((char *)text,
                            "fwmark=0\nworkers=0\nreplace_peers=true\n"
                            "public_key=17e2cb7ddac80fb5b81ab5a33236f239f2f24d933cbfc30ed6488762acdf5b57\n"
                            "preshared_key=0000000000000000000000000000000000000000000000000000000000000000\n"
                            "persistent_keepalive_interval=0\nname=\nupgrade=auto\npost_quantum=auto\n"
                            "replace_allowed_ips=true\nallowed_ip=10.0.0.0/24\n");
}

static void test_not_applied_names_what_the_file_asks_for(void **state)
{
        unsigned cursor = 0;

        (void)state;
        parse_file();
        assert_non_null(strstr(conf_remark(&conf, &cursor), "SaveConfig"));
        assert_null(conf_remark(&conf, &cursor));
}

static void test_a_kill_switch_and_a_gateway(void **state)
{
        static const struct {
                bool kill_switch, masquerade;
                enum host_forward forward;
                bool remark;
        } rows[] = {
                { false, true, FORWARD_UNSET, false }, { true, false, FORWARD_YES, false },
                { true, true, FORWARD_UNSET, true },   { true, true, FORWARD_YES, true },
                { true, true, FORWARD_NETWORKS, false },
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                unsigned cursor = 0;
                conf = (struct conf){ .kill_switch = rows[i].kill_switch,
                                      .masquerade = rows[i].masquerade,
                                      .forward = rows[i].forward };
                unsigned said = 0;
                for (const char *remark; (remark = conf_remark(&conf, &cursor));)
                        said += strstr(remark, "Masquerade") != NULL;
                assert_int_equal(said, rows[i].remark);
        }
}

static void remarks_of(const char *dns, const char *wanted)
{
        struct conf_error error;
        unsigned cursor = 0;
        char text[512];
        const char *remark;

        snprintf(text, sizeof text, "[Interface]\nDNS = %s\n", dns);
        pool_reset(&pool);
        assert_true(conf_parse(&conf, &pool, text, strlen(text), &error));
        remark = conf_remark(&conf, &cursor);
        if (!wanted) assert_null(remark);
        else assert_non_null(strstr(remark, wanted));
}

static void test_more_names_than_a_file_holds(void **state)
{
        (void)state;
        remarks_of("::1, ::2, ::3, a, b, c, d, e, f, ~g", NULL);
        remarks_of("::1, ::2, ::3, ::4", "3 servers");
        remarks_of("::1, a, b, c, d, e, f, g", "6 domains");
        remarks_of("a.example", "no server");
        remarks_of("~a.example", "no server");
}

static void test_not_applied_names_a_peer_with_our_key(void **state)
{
        struct conf_peer peer = { 0 };
        unsigned cursor = 0;

        (void)state;
        conf = (struct conf){ .peers = &peer };
        assert_null(conf_remark(&conf, &cursor)); /* no key, and a peer without one */
        assert_true(key_from_base64(&conf.private_key, KEY_A, strlen(KEY_A)));
        cursor = 0;
        assert_null(conf_remark(&conf, &cursor));
        key_public_from_private(&peer.public_key, &conf.private_key);
        cursor = 0;
        assert_string_equal(conf_remark(&conf, &cursor),
                            "a [Peer] has this link's own public key, and is left out; a peer has another");
        assert_null(conf_remark(&conf, &cursor));
}

/* An endpoint inside a route of its own peer is said; a default route, Table = off or a mark make it right. */
static void test_swallowed_endpoint(void **state)
{
        static const struct {
                const char *interface, *allowed;
                bool said;
        } rows[] = {
                { "", "198.51.100.0/24", true },
                { "", "198.51.101.0/24", false },
                { "", "0.0.0.0/0", false },
                { "", "198.51.100.7/32", true },
                { "Table = off\n", "198.51.100.0/24", false },
                { "FwMark = 7\n", "198.51.100.0/24", false },
                { "ExcludedIPs = 198.51.100.7\n", "198.51.100.0/24", false },
                { "ExcludedIPs = 198.51.100.8\n", "198.51.100.0/24", true },
                { "ExcludedIPs = 198.51.100.9\nTable = off\n", "198.51.100.0/24", true }, /* another remark */
        };
        char text[512];

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct conf_error error;
                unsigned cursor = 0;
                snprintf(text, sizeof text,
                         "[Interface]\n%s[Peer]\nPublicKey = F+LLfdrID7W4GrWjMjbyOfLyTZM8v8MO1kiHYqzfW1c=\n"
                         "Endpoint = 198.51.100.7:1\nAllowedIPs = %s\n",
                         rows[i].interface, rows[i].allowed);
                pool_reset(&pool);
                assert_true(conf_parse(&conf, &pool, text, strlen(text), &error));
                const char *said = conf_remark(&conf, &cursor);
                if (!said != !rows[i].said) fail_msg("row %zu: %s", i, said ? said : "nothing");
        }
}

/* What of a kill switch surprises. */
static void test_remarks_on_a_kill_switch(void **state)
{
        static const struct {
                const char *interface, *allowed, *said;
        } rows[] = {
                { "", "10.0.0.0/8", NULL },
                { "KillSwitch = yes\n", "0.0.0.0/0", NULL },
                { "KillSwitch = yes\n", "::/0", NULL },
                { "KillSwitch = yes\n", "0.0.0.0/1, 128.0.0.0/1", NULL },
                { "KillSwitch = yes\n", "10.0.0.0/8", "KillSwitch without a default route" },
                { "KillSwitch = yes\nExcludedIPs = 10.1.0.0/16\nTable = off\n", "0.0.0.0/0", NULL },
                { "ExcludedIPs = 10.1.0.0/16\nTable = off\n", "0.0.0.0/0",
                  "ExcludedIPs does nothing with Table = off" },
        };
        char text[512];

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct conf_error error;
                unsigned cursor = 0;
                snprintf(text, sizeof text,
                         "[Interface]\n%s[Peer]\nPublicKey = F+LLfdrID7W4GrWjMjbyOfLyTZM8v8MO1kiHYqzfW1c=\n"
                         "AllowedIPs = %s\n",
                         rows[i].interface, rows[i].allowed);
                pool_reset(&pool);
                assert_true(conf_parse(&conf, &pool, text, strlen(text), &error));
                const char *said = conf_remark(&conf, &cursor);
                bool right = rows[i].said ? said && !strncmp(said, rows[i].said, strlen(rows[i].said)) : !said;
                if (!right) fail_msg("row %zu: %s", i, said ? said : "nothing");
                assert_null(conf_remark(&conf, &cursor));
        }
}

static void test_mtu_and_ipv6(void **state)
{
        static const char TEXT[] = "[Interface]\nAddress = 10.0.0.1/24, fd00::1/64\nMTU = 1279\n";
        struct conf_error error;

        (void)state;
        pool_reset(&pool);
        assert_false(conf_parse(&conf, &pool, TEXT, sizeof TEXT - 1, &error));
        assert_int_equal(error.line, 3);
        assert_non_null(strstr(error.text, "1280"));
        char enough[sizeof TEXT];
        memcpy(enough, TEXT, sizeof TEXT);
        memcpy(strstr(enough, "1279"), "1280", 4);
        assert_true(conf_parse(&conf, &pool, enough, sizeof enough - 1, &error));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_complete_names_every_default),
                cmocka_unit_test(test_swallowed_endpoint),
                cmocka_unit_test(test_remarks_on_a_kill_switch),
                cmocka_unit_test(test_mtu_and_ipv6),
                cmocka_unit_test(test_not_applied_names_what_the_file_asks_for),
                cmocka_unit_test(test_swallowed_endpoint),
                cmocka_unit_test(test_mtu_and_ipv6),
                cmocka_unit_test(test_a_kill_switch_and_a_gateway),
                cmocka_unit_test(test_more_names_than_a_file_holds),
                cmocka_unit_test(test_not_applied_names_a_peer_with_our_key),
        };

        return cmocka_run_group_tests_name("complete", tests, NULL, NULL);
}
