/* A link's nftables tables as texts, and in the kernel: what is there is what was asked for, and who changes it is
 * noticed. */
#include "kernel-iface/firewall.h"
#include "kernel-iface/host.h"
#include "kernel-iface/killswitch.h"
#include "kernel-iface/nft.h"
#include "tests/unit/kernel-iface/netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static bool usable;

static struct prefix net(const char *text)
{
        struct prefix prefix = { 0 };
        char address[64];
        unsigned length;

        assert_int_equal(sscanf(text, "%63[^/]/%u", address, &length), 2);
        prefix.family = strchr(address, ':') ? AF_INET6 : AF_INET;
        prefix.length = (uint8_t)length;
        assert_int_equal(inet_pton(prefix.family, address, prefix.bytes), 1);
        return prefix;
}

static struct prefix addresses[2], excluded[3], forwards[2];

static struct host_state wish(void)
{
        addresses[0] = net("10.9.0.1/24");
        addresses[1] = net("fd09::1/64");
        excluded[0] = net("192.168.0.0/16");
        excluded[1] = net("fd01::/64");
        excluded[2] = net("192.168.7.0/24"); /* inside another */
        forwards[0] = net("10.77.0.0/24");
        forwards[1] = net("fd77::/64");
        return (struct host_state){ .managed = true,
                                    .kill_switch = true,
                                    .fwmark = 51820,
                                    .addresses = addresses,
                                    .address_count = 2,
                                    .excluded = excluded,
                                    .excluded_count = 3,
                                    .forwards = forwards,
                                    .forward_count = 2 };
}

static void test_names(void **state)
{
        static const struct {
                const char *link, *lock, *gateway;
        } rows[] = {
                { "wg0", "adit-lock-wg0", "adit-gate-wg0" },
                { "a.b-c_d", "adit-lock-a.b-c_d", "adit-gate-a.b-c_d" },
                { "a=b+c:d", "adit-lock-a/3db/2bc/3ad", "adit-gate-a/3db/2bc/3ad" },
                { "===============", "adit-lock-/3d/3d/3d/3d/3d/3d/3d/3d/3d/3d/3d/3d/3d/3d/3d",
                  "adit-gate-/3d/3d/3d/3d/3d/3d/3d/3d/3d/3d/3d/3d/3d/3d/3d" },
        };
        char name[FIREWALL_NAME];

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                firewall_name(FIREWALL_LOCK, rows[i].link, name);
                assert_string_equal(name, rows[i].lock);
                firewall_name(FIREWALL_GATEWAY, rows[i].link, name);
                assert_string_equal(name, rows[i].gateway);
        }
}

static void test_comments(void **state)
{
        static const char *const wrong[] = { "",
                                             "adit",
                                             "adit 12",
                                             "adit 0123456789abcdefg",
                                             "adit 0123456789abcdef ",
                                             "adit 0123456789abcde",
                                             "ours 0123456789abcdef" };
        char comment[FIREWALL_COMMENT];
        uint64_t digest;

        (void)state;
        firewall_comment(0x123456789abcdef, comment);
        assert_string_equal(comment, "adit 0123456789abcdef");
        assert_true(firewall_comment_parse(comment, &digest));
        assert_int_equal(digest, 0x123456789abcdef);
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
                if (firewall_comment_parse(wrong[i], &digest)) fail_msg("'%s' was taken", wrong[i]);
}

static const char rules[] =
        "\tchain passing {\n"
        "\t\toifname \"wg0\" accept\n"
        "\t\tmeta oifkind \"tun\" meta oiftype 65534 accept\n"
        "\t\tip daddr { 192.168.0.0/16 } accept\n"
        "\t\tip6 daddr { fd01::/64 } accept\n"
        "\t}\n"
        "\tchain own {\n"
        "\t\toifname \"lo\" accept\n"
        "\t\tmeta mark 7 meta l4proto 17 accept\n"
        "\t\tmeta mark 51820 meta l4proto 17 accept\n"
        "\t\tmeta nfproto ipv4 udp sport { 67, 68 } udp dport { 67, 68 } accept\n"
        "\t\tip6 daddr { fe80::/10, ff02::1:2 } udp sport { 546, 547 } udp dport { 546, 547 } accept\n"
        "\t\ticmpv6 type { 133, 134, 135, 136 } ip6 hoplimit 255 accept\n"
        "\t\ticmpv6 type { 130, 131, 132, 143 } ip6 hoplimit 1 accept\n"
        "\t}\n"
        "\tchain through {\n"
        "\t\tiifname \"wg0\" ip daddr { 10.77.0.0/24 } accept\n"
        "\t\tiifname \"wg0\" ip6 daddr { fd77::/64 } accept\n"
        "\t}\n"
        "\tchain output {\n\t\ttype filter hook output priority filter; policy drop;\n"
        "\t\tjump passing\n\t\tjump own\n\t}\n"
        "\tchain forward {\n\t\ttype filter hook forward priority filter; policy drop;\n"
        "\t\tjump passing\n\t\tjump through\n\t}\n"
        "\tchain postrouting {\n\t\ttype filter hook postrouting priority 300; policy drop;\n"
        "\t\tjump passing\n\t\tjump own\n\t\tjump through\n\t}\n"
        "\tchain arriving {\n\t\ttype filter hook prerouting priority raw; policy accept;\n"
        "\t\tiifname != { \"lo\", \"wg0\" } ip daddr { 10.9.0.1/32 } drop\n"
        "\t\tiifname != { \"lo\", \"wg0\" } ip6 daddr { fd09::1/128 } drop\n"
        "\t}\n";

static void test_text_of_the_lock(void **state)
{
        struct host_state want = wish();
        struct firewall firewall;
        char whole[4096], comment[FIREWALL_COMMENT];
        const uint32_t other = 7;

        (void)state;
        want.forward = FORWARD_NETWORKS;
        assert_true(firewall_make(&firewall, "wg0", "wg0", &other, 1, &want));
        const struct plan_item *item = &firewall.tables[FIREWALL_LOCK].item;
        assert_int_equal(item->kind, PLAN_LOCK);
        assert_int_equal(item->mark, 51820);
        firewall_comment(item->digest, comment);
        snprintf(whole, sizeof whole,
                 "table inet adit-lock-wg0 {\n\tcomment \"adit\"\n"
                 "\tchain adit {\n\t\treturn comment \"%s\"\n\t}\n%s}\n",
                 comment, rules);
        assert_string_equal(firewall.tables[FIREWALL_LOCK].text.bytes, whole);
        firewall_free(&firewall);
        want.kill_switch = false;
        assert_true(firewall_make(&firewall, "wg0", "wg0", NULL, 0, &want));
        assert_null(firewall.tables[FIREWALL_LOCK].text.bytes);
        firewall_free(&firewall);
}

/* A text without a way that must not be there, whatever else it says. */
static void test_no_way_out(void **state)
{
        struct host_state want = wish();
        struct nft_text text = { 0 };
        const uint32_t none = 0;

        (void)state;
        want.excluded_count = 0;
        killswitch_rules(&text, "wg0", &none, 1, &want);
        assert_null(strstr(text.bytes, "meta mark")); /* it would let all out that has none */
        assert_null(strstr(text.bytes, "iifname \"wg0\" "));
        nft_text_free(&text);
        want.forward = FORWARD_NO;
        killswitch_rules(&text, "wg0", &none, 1, &want);
        assert_null(strstr(text.bytes, "iifname \"wg0\" "));
        nft_text_free(&text);
        want.forward = FORWARD_YES;
        killswitch_rules(&text, "wg0", &none, 1, &want);
        assert_non_null(strstr(text.bytes, "iifname \"wg0\" ct state established,related accept"));
        nft_text_free(&text);
}

static uint64_t digest(const struct host_state *want, const char *interface, const uint32_t *marks, size_t count)
{
        struct firewall firewall;

        assert_true(firewall_make(&firewall, "wg0", interface, marks, count, want));
        uint64_t digest = firewall.tables[FIREWALL_LOCK].item.digest;
        firewall_free(&firewall);
        return digest;
}

static void test_digest_tells_every_difference(void **state)
{
        struct host_state want = wish(), other;
        const uint32_t marks[] = { 9, 8 }, sorted[] = { 8, 9 };

        (void)state;
        uint64_t one = digest(&want, "wg0", NULL, 0);
        assert_int_equal(digest(&want, "wg0", NULL, 0), one);
        assert_int_equal(digest(&want, "wg0", marks, 2), digest(&want, "wg0", sorted, 2));
        assert_int_not_equal(digest(&want, "wg0", marks, 2), one);
        assert_int_not_equal(digest(&want, "wg1", NULL, 0), one);
        other = want;
        other.fwmark++;
        assert_int_not_equal(digest(&other, "wg0", NULL, 0), one);
        other = want;
        other.excluded_count = 1;
        assert_int_not_equal(digest(&other, "wg0", NULL, 0), one);
        other = want;
        other.address_count = 1;
        assert_int_not_equal(digest(&other, "wg0", NULL, 0), one);
}

/* ---- in the kernel --------------------------------------------------------------------------------------------------
 */

static int begin(void **state)
{
        (void)state;
        return usable ? shell("nft flush ruleset", NULL, 0) : 0;
}

static void need_namespace(void)
{
        if (!usable) skip();
}

static void run(const char *text)
{
        char why[160];
        int error = nft_run(text, why, sizeof why);

        if (error) fail_msg("%s: %s", strerror(-error), why);
}

/* The lock as it is first made, or in place of another. */
static void put(const struct firewall *firewall, const char *link, bool anew)
{
        struct nft_text text = { 0 };
        char name[FIREWALL_NAME];

        firewall_name(FIREWALL_LOCK, link, name);
        firewall_transaction(&text, name, firewall->tables[FIREWALL_LOCK].text.bytes, anew);
        assert_false(text.failed);
        run(text.bytes);
        nft_text_free(&text);
}

static void make(struct firewall *firewall, const char *link)
{
        struct host_state want = wish();

        want.forward = FORWARD_YES;
        assert_true(firewall_make(firewall, link, link, NULL, 0, &want));
}

enum { RULES = 21 };
static int rules_of(const char *name)
{
        char command[256], out[16];

        snprintf(command, sizeof command, "nft -a list table inet %s | grep -c '^\t\t.*# handle'", name);
        shell(command, out, sizeof out);
        return atoi(out);
}

static void test_the_kernel_takes_it(void **state)
{
        static const char *const links[] = { "wg0", "a=b+c.d_e-f" };
        struct firewall firewall;
        struct nft_table table;
        char name[FIREWALL_NAME];
        uint64_t found;

        (void)state;
        need_namespace();
        for (size_t i = 0; i < 2; i++) {
                make(&firewall, links[i]);
                firewall_name(FIREWALL_LOCK, links[i], name);
                assert_int_equal(nft_read(name, FIREWALL_CHAIN, &table), 0);
                assert_false(table.there);
                for (int times = 0; times < 4; times++) {
                        put(&firewall, links[i], times & 1);
                        assert_int_equal(nft_read(name, FIREWALL_CHAIN, &table), 0);
                        assert_true(table.there);
                        assert_string_equal(table.comment, "adit");
                        assert_true(firewall_comment_parse(table.marker, &found));
                        assert_int_equal(found, firewall.tables[FIREWALL_LOCK].item.digest);
                        firewall_name(FIREWALL_LOCK, links[i], name);
                        assert_int_equal(rules_of(name), RULES);
                }
                firewall_free(&firewall);
        }
}

/* A packet that is just passing would find no hook. */
static void test_in_place_the_hooks_stay(void **state)
{
        static const char handles[] =
                "nft -a list table inet adit-lock-wg0 | grep -E 'table|chain' | grep -v 'chain adit'";
        char before[2048], after[2048];
        struct firewall firewall;

        (void)state;
        need_namespace();
        make(&firewall, "wg0");
        put(&firewall, "wg0", false);
        shell(handles, before, sizeof before);
        put(&firewall, "wg0", false);
        shell(handles, after, sizeof after);
        assert_non_null(strstr(before, "chain postrouting { # handle"));
        assert_string_equal(after, before);
        put(&firewall, "wg0", true);
        shell(handles, after, sizeof after);
        assert_string_not_equal(after, before);
        firewall_free(&firewall);
}

static void test_a_wrong_text_changes_nothing(void **state)
{
        struct nft_table before, after;
        char why[160];

        (void)state;
        need_namespace();
        run("table inet adit-lock-x { comment \"adit 0123456789abcdef\"; }");
        assert_int_equal(nft_read("adit-lock-x", FIREWALL_CHAIN, &before), 0);
        assert_int_equal(nft_run("delete table inet adit-lock-x\ntable inet adit-lock-x { chain c { nonsense } }", why,
                                 sizeof why),
                         -EIO);
        assert_non_null(strstr(why, "syntax error"));
        assert_int_equal(nft_run("delete table inet adit-lock-x\ndelete table inet nowhere", why, sizeof why), -EIO);
        assert_int_equal(nft_read("adit-lock-x", FIREWALL_CHAIN, &after), 0);
        assert_true(after.there && after.print == before.print);
}

static void test_who_changes_it_is_noticed(void **state)
{
        static const struct {
                const char *command;
                bool noticed;
        } rows[] = {
                { "nft list ruleset", false },
                { "nft add table inet other", false },
                { "nft add table ip adit-lock-wg0", false }, /* of another family */
                { "nft add table inet adit-lock-wg1", false },
                { "nft add rule inet adit-lock-wg0 passing accept", true },
                { "nft insert rule inet adit-lock-wg0 output accept", true },
                { "h=$(nft -a list chain inet adit-lock-wg0 output | sed -n 's/.*jump own # handle //p') && "
                  "nft delete rule inet adit-lock-wg0 output handle $h",
                  true },
                { "h=$(nft -a list chain inet adit-lock-wg0 output | sed -n 's/.*jump own # handle //p') && "
                  "nft replace rule inet adit-lock-wg0 output handle $h accept",
                  true },
                { "nft 'chain inet adit-lock-wg0 output { policy accept; }'", true },
                { "nft 'add chain inet adit-lock-wg0 more { type filter hook input priority 0; }'", true },
                { "nft 'add table inet adit-lock-wg0 { flags dormant; }'", true },
                { "nft flush table inet adit-lock-wg0", true },
                { "nft delete table inet adit-lock-wg0", true },
                { "nft flush ruleset", true },
        };
        struct firewall firewall;
        struct nft_table before, after;
        int watch;

        (void)state;
        need_namespace();
        watch = nft_watch_open();
        assert_true(watch >= 0);
        make(&firewall, "wg0");
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                put(&firewall, "wg0", true);
                assert_true(nft_watch_read(watch));
                assert_false(nft_watch_read(watch));
                assert_int_equal(nft_read("adit-lock-wg0", FIREWALL_CHAIN, &before), 0);
                if (shell(rows[i].command, NULL, 0)) fail_msg("%s failed", rows[i].command);
                assert_int_equal(nft_read("adit-lock-wg0", FIREWALL_CHAIN, &after), 0);
                if ((after.print != before.print) != rows[i].noticed)
                        fail_msg("%s: %d", rows[i].command, !rows[i].noticed);
                bool of_adit = rows[i].noticed || strstr(rows[i].command, "inet adit-lock-wg1");
                if (nft_watch_read(watch) != of_adit) fail_msg("%s: news: %d", rows[i].command, !of_adit);
        }
        assert_false(after.there);
        firewall_free(&firewall);
        close(watch);
}

static void test_news_that_were_lost(void **state)
{
        int watch, small = 1;

        (void)state;
        need_namespace();
        watch = nft_watch_open();
        setsockopt(watch, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        for (int i = 0; i < 8; i++)
                assert_int_equal(shell("nft 'table inet other { chain a { }; chain b { }; chain c { }; }; delete table "
                                       "inet other'",
                                       NULL, 0),
                                 0);
        assert_true(nft_watch_read(watch));
        assert_false(nft_watch_read(watch));
        close(watch);
}

/* ---- in the transaction ---------------------------------------------------------------------------------------------
 */

static char folder[] = "/tmp/test_firewall.XXXXXX", journal[64];

static struct host *open_host(void)
{
        struct host_error error;
        struct host *host = host_open("wg0", journal, NULL, &error);

        if (!host) fail_msg("%s", error.text);
        return host;
}

static bool there(const char *name)
{
        struct nft_table table;

        assert_int_equal(nft_read(name, FIREWALL_CHAIN, &table), 0);
        return table.there;
}

static void test_lock_without_a_link(void **state)
{
        struct host_state want = wish();
        struct host_error error;
        struct host *host;
        uint32_t mark = 0;
        bool made = false;

        (void)state;
        need_namespace();
        host = open_host();
        assert_false(host_locked(host));
        assert_true(host_choose_mark(host, &mark, &error));
        want.fwmark = mark + 5;
        assert_true(host_lock(host, &want, &made, &error));
        assert_true(made && host_locked(host) && there("adit-lock-wg0"));
        assert_true(host_lock(host, &want, &made, &error));
        assert_false(made);
        assert_int_equal(shell("nft flush ruleset", NULL, 0), 0);
        assert_true(host_guard(host, &want, &made, &error));
        assert_true(made && there("adit-lock-wg0"));
        host_close(host); /* as a crash would: nothing is undone */

        host = open_host();
        assert_true(host_locked(host) && there("adit-lock-wg0"));
        assert_true(host_choose_mark(host, &mark, &error));
        assert_int_equal(mark, want.fwmark); /* that one is let out */
        assert_true(host_undo_to_lock(host, &error));
        assert_true(host_locked(host) && there("adit-lock-wg0"));
        assert_true(host_undo(host, &error));
        assert_false(host_locked(host) || there("adit-lock-wg0"));
        host_close(host);
        assert_int_equal(access(journal, F_OK), -1);
}

static void test_table_of_others_is_left_alone(void **state)
{
        struct host_state want = wish();
        struct host_error error;
        struct host *host;
        bool made = false;

        (void)state;
        need_namespace();
        assert_int_equal(shell("nft 'table inet adit-lock-wg0 { comment \"mine\"; }'", NULL, 0), 0);
        host = open_host();
        assert_false(host_lock(host, &want, &made, &error));
        assert_int_equal(error.error, EEXIST);
        assert_non_null(strstr(error.text, "adit-lock-wg0"));
        assert_true(host_undo(host, &error));
        assert_true(there("adit-lock-wg0"));
        host_close(host);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_comments),
                cmocka_unit_test(test_text_of_the_lock),
                cmocka_unit_test(test_no_way_out),
                cmocka_unit_test(test_digest_tells_every_difference),
                cmocka_unit_test_setup(test_the_kernel_takes_it, begin),
                cmocka_unit_test_setup(test_in_place_the_hooks_stay, begin),
                cmocka_unit_test_setup(test_a_wrong_text_changes_nothing, begin),
                cmocka_unit_test_setup(test_who_changes_it_is_noticed, begin),
                cmocka_unit_test_setup(test_news_that_were_lost, begin),
                cmocka_unit_test_setup(test_lock_without_a_link, begin),
                cmocka_unit_test_setup(test_table_of_others_is_left_alone, begin),
        };

        usable = mkdtemp(folder) && netns_enter();
        snprintf(journal, sizeof journal, "%s/wg0.state", folder);
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        unlink(journal);
        rmdir(folder);
        return failed;
}
