/* A gateway: its rules as text, and the sysctls of forwarding in a namespace of its own, judged by all of
 * /proc/sys/net/ipv[46]/conf. */
#include "kernel-iface/firewall.h"
#include "kernel-iface/gateway.h"
#include "kernel-iface/host.h"
#include "kernel-iface/journal.h"
#include "kernel-iface/rights.h"
#include "kernel-iface/sysctl.h"
#include "kernel-iface/tun.h"
#include "tests/unit/kernel-iface/netns.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

static bool usable;
static char folder[] = "/tmp/test_gateway.XXXXXX";

/* rules */

static struct prefix networks[] = { { AF_INET, 16, { 10, 1 } },
                                    { AF_INET, 24, { 10, 3 } },
                                    { AF_INET6, 16, { 0xfd, 0x01 } } };

#define FORWARD "\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n"
#define CLAMP                                                                                    \
        "\t\tiifname \"wg0\" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu\n" \
        "\t\toifname \"wg0\" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu\n"
#define ANSWERS \
        "\t\toifname \"wg0\" iifname != \"wg0\" ct state != { established, related } ct status & dnat == 0 drop\n"
#define DROP    "\t\tiifname \"wg0\" drop\n\t\toifname \"wg0\" drop\n"
#define RELATED "\t\tct state related meta l4proto { 1, 58 } accept\n"
#define END     "\t}\n"
#define LEAVING                                                                              \
        "\tchain leaving {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n" \
        "\t\tiifname \"wg0\" oifname != \"wg0\" masquerade\n\t}\n"
#define V4(way, address) "\t\t" way " \"wg0\" ip " address " { 10.1.0.0/16, 10.3.0.0/24 } accept\n"
#define V6(way, address) "\t\t" way " \"wg0\" ip6 " address " { fd01::/16 } accept\n"

static const struct {
        bool masquerade;
        enum host_forward forward;
        size_t networks;
        const char *rules;
} rows[] = {
        { false, FORWARD_UNSET, 0, "" },
        { true, FORWARD_UNSET, 0, FORWARD CLAMP ANSWERS END LEAVING },
        { false, FORWARD_YES, 0, FORWARD CLAMP END },
        { true, FORWARD_YES, 0, FORWARD CLAMP END LEAVING },
        { false, FORWARD_NO, 0, FORWARD DROP END },
        { false, FORWARD_NETWORKS, 2, FORWARD CLAMP V4("iifname", "daddr") V4("oifname", "saddr") RELATED DROP END },
        { true, FORWARD_NETWORKS, 3,
          FORWARD CLAMP V4("iifname", "daddr") V6("iifname", "daddr") V4("oifname", "saddr") V6("oifname", "saddr")
                  RELATED DROP END LEAVING },
};

static struct host_state row_state(size_t i)
{
        return (struct host_state){ .managed = true,
                                    .masquerade = rows[i].masquerade,
                                    .forward = rows[i].forward,
                                    .forwards = networks,
                                    .forward_count = rows[i].networks };
}

static void test_rules(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct nft_text text = { 0 };
                struct host_state want = row_state(i);
                gateway_rules(&text, "wg0", &want);
                assert_false(text.failed);
                assert_string_equal(text.bytes ? text.bytes : "", rows[i].rules);
                nft_text_free(&text);
        }
}

static void test_nft_takes_the_rules(void **state)
{
        char path[64], command[128];

        (void)state;
        if (!usable) skip();
        snprintf(path, sizeof path, "%s/rules", folder);
        snprintf(command, sizeof command, "nft -f %s 2>&1", path);
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct host_state want = row_state(i);
                struct firewall firewall;
                char said[4096];
                assert_true(firewall_make(&firewall, "wg0", "wg0", NULL, 0, &want));
                const char *text = firewall.tables[FIREWALL_GATEWAY].text.bytes;
                assert_int_equal(text != NULL, *rows[i].rules != '\0');
                FILE *file = fopen(path, "w");
                fputs(text ? text : "", file);
                fclose(file);
                if (shell(command, said, sizeof said)) fail_msg("row %zu: %s", i, said);
                firewall_free(&firewall);
        }
        unlink(path);
        shell("nft flush ruleset", NULL, 0);
}

/* sysctls */

static struct link {
        const char *name;
        struct tun tun;
        struct host *host;
        char journal[64];
} links[2] = { { .name = "wgt" }, { .name = "wgu" } };
static char before[1 << 17], after[1 << 17];

static const char list_all[] =
        "cd /proc/sys/net && grep -rs . ipv4/conf ipv6/conf ipv4/ip_forward | grep -v stable_secret | sort; "
        "nft list ruleset";

#define IS(file, value)  assert_true(shell("[ $(cat /proc/sys/net/" file ") = " value " ]", NULL, 0) == 0)
#define SET(file, value) assert_true(shell("echo " value " >/proc/sys/net/" file, NULL, 0) == 0)

/* What a plain setting back would lose: an interface that forwards though the host does not, redirects refused. */
static int begin(void **state)
{
        struct host_error error;

        (void)state;
        if (!usable) return 0;
        if (shell("ip link set lo up; ip link add vea type veth peer name veb && cd /proc/sys/net && "
                  "echo 0 >ipv4/ip_forward && echo 0 >ipv6/conf/all/forwarding && "
                  "echo 0 >ipv4/conf/all/accept_redirects && echo 1 >ipv4/conf/veb/forwarding && "
                  "echo 1 >ipv6/conf/veb/forwarding && echo 1 >ipv6/conf/vea/accept_ra && "
                  "echo 2 >ipv6/conf/veb/accept_ra && echo 0 >ipv6/conf/lo/accept_ra",
                  NULL, 0))
                return -1;
        for (int i = 0; i < 2; i++) {
                struct link *link = &links[i];
                snprintf(link->journal, sizeof link->journal, "%s/%s.state", folder, link->name);
                if (tun_open(&link->tun, link->name)) return -1;
                link->host = host_open(link->name, link->journal, NULL, &error);
                if (!link->host) return -1;
        }
        shell("ip link set wgt addrgenmode none; ip link set wgu addrgenmode none", NULL, 0);
        shell(list_all, before, sizeof before);
        return 0;
}

static int end(void **state)
{
        struct host_error error;

        (void)state;
        if (!usable) return 0;
        for (int i = 0; i < 2; i++) {
                host_undo(links[i].host, &error);
                host_close(links[i].host);
                close(links[i].tun.fd);
                unlink(links[i].journal);
        }
        return shell("ip link del vea 2>/dev/null; cd /proc/sys/net && echo 0 >ipv4/ip_forward && "
                     "echo 0 >ipv6/conf/all/forwarding && echo 1 >ipv4/conf/all/accept_redirects && "
                     "echo 1 >ipv6/conf/default/accept_ra",
                     NULL, 0);
}

static void assert_as_before(void)
{
        shell(list_all, after, sizeof after);
        assert_string_equal(after, before);
        assert_int_equal(access(links[0].journal, F_OK), -1);
        assert_int_equal(access(links[1].journal, F_OK), -1);
}

enum { V4_ONLY = 1, NOT = 2, V6_ONLY = 4 };
static bool try_apply(int i, unsigned how, struct host_error *error)
{
        struct prefix addresses[2] = { { AF_INET, 24, { 10, 9, (uint8_t)i, 1 } },
                                       { AF_INET6, 64, { 0xfd, 0x09, (uint8_t)i, [15] = 1 } } };
        struct host_state want = { .managed = true,
                                   .mtu = 1400,
                                   .addresses = addresses + !!(how & V6_ONLY),
                                   .address_count = how & (V4_ONLY | V6_ONLY) ? 1 : 2,
                                   .masquerade = !(how & NOT) };

        return host_apply(links[i].host, &want, error);
}

static void apply(int i, unsigned how)
{
        struct host_error error;

        if (!try_apply(i, how, &error)) fail_msg("%s", error.text);
}

static void undo(int i)
{
        struct host_error error;

        if (!host_undo(links[i].host, &error)) fail_msg("%s", error.text);
}

static void assert_forwards(void)
{
        IS("ipv4/ip_forward", "1");
        IS("ipv4/conf/vea/forwarding", "1");
        IS("ipv6/conf/all/forwarding", "1");
        IS("ipv6/conf/vea/accept_ra", "2");
        IS("ipv6/conf/veb/accept_ra", "2");
        IS("ipv6/conf/default/accept_ra", "2");
        IS("ipv6/conf/lo/accept_ra", "0");
        IS("ipv6/conf/wgt/accept_ra", "1"); /* a peer is nobody's router */
}

static void test_all_is_as_it_was(void **state)
{
        (void)state;
        if (!usable) skip();
        apply(0, 0);
        assert_forwards();
        undo(0);
        assert_as_before();
}

static void test_reload(void **state)
{
        (void)state;
        if (!usable) skip();
        apply(0, NOT);
        shell(list_all, before, sizeof before);
        apply(0, 0);
        apply(0, 0);
        assert_forwards();
        apply(0, NOT);
        shell(list_all, after, sizeof after);
        assert_string_equal(after, before);
        undo(0);
}

/* Whoever goes first leaves it to the other, also when that one came first. */
static void test_two_links(void **state)
{
        (void)state;
        if (!usable) skip();
        for (int first = 0; first < 2; first++) {
                apply(0, 0);
                apply(1, 0);
                undo(first);
                IS("ipv4/ip_forward", "1");
                IS("ipv6/conf/all/forwarding", "1");
                IS("ipv6/conf/vea/accept_ra", "2");
                apply(!first, 0);
                undo(!first);
                SET("ipv6/conf/wgt/accept_ra", "1"); /* to a link another is an interface like any */
                SET("ipv6/conf/wgu/accept_ra", "1");
                assert_as_before();
        }
        /* one of them by a reload, and only one of the families */
        apply(0, 0);
        apply(1, V4_ONLY);
        apply(0, NOT);
        IS("ipv4/ip_forward", "1");
        IS("ipv6/conf/all/forwarding", "0");
        IS("ipv6/conf/vea/accept_ra", "1");
        undo(1);
        IS("ipv4/ip_forward", "0");
        undo(0);
        SET("ipv6/conf/wgu/accept_ra", "1");
        assert_as_before();
}

/* Each has seen that the other holds it still. */
static void test_two_links_that_go_together(void **state)
{
        struct host_error error;
        int status;

        (void)state;
        if (!usable) skip();
        for (int round = 0; round < 20; round++) {
                apply(0, 0);
                apply(1, 0);
                pid_t pid = fork();
                if (pid == 0) _exit(host_undo(links[1].host, &error) ? 0 : 1);
                undo(0);
                waitpid(pid, &status, 0);
                assert_int_equal(status, 0);
                host_close(links[1].host); /* what the child undid it does not know */
                links[1].host = host_open("wgu", links[1].journal, NULL, &error);
                SET("ipv6/conf/wgt/accept_ra", "1");
                SET("ipv6/conf/wgu/accept_ra", "1");
                assert_as_before();
        }
}

static void test_one_family_alone(void **state)
{
        (void)state;
        if (!usable) skip();
        apply(0, V4_ONLY);
        IS("ipv4/ip_forward", "1");
        IS("ipv6/conf/all/forwarding", "0");
        IS("ipv6/conf/vea/accept_ra", "1");
        undo(0);
        assert_as_before();
        apply(0, V6_ONLY);
        IS("ipv4/ip_forward", "0");
        IS("ipv6/conf/all/forwarding", "1");
        IS("ipv6/conf/vea/accept_ra", "2");
        undo(0);
        assert_as_before();
}

static void test_changed_by_others(void **state)
{
        (void)state;
        if (!usable) skip();
        apply(0, 0);
        SET("ipv4/ip_forward", "0");
        SET("ipv6/conf/all/forwarding", "0");
        SET("ipv6/conf/vea/accept_ra", "0");
        undo(0);
        IS("ipv4/ip_forward", "0");
        IS("ipv4/conf/veb/forwarding", "1"); /* as before: that other one wanted no more than we undo */
        IS("ipv4/conf/all/accept_redirects", "0");
        IS("ipv6/conf/veb/forwarding", "1");
        IS("ipv6/conf/vea/accept_ra", "0");
        IS("ipv6/conf/default/accept_ra", "1");
        IS("ipv6/conf/veb/accept_ra", "2");
        SET("ipv6/conf/vea/accept_ra", "1");
        assert_as_before();
        apply(0, 0);
        SET("ipv4/conf/all/accept_redirects", "1");
        SET("ipv4/conf/veb/forwarding", "0");
        undo(0);
        IS("ipv4/conf/all/accept_redirects", "1");
        IS("ipv4/conf/veb/forwarding", "0");
        IS("ipv6/conf/veb/forwarding", "1");
}

/* A host that forwards anyway goes on, and takes no more advertisements than it did. */
static void test_forwards_anyway(void **state)
{
        (void)state;
        if (!usable) skip();
        SET("ipv4/ip_forward", "1");
        SET("ipv6/conf/all/forwarding", "1");
        shell(list_all, before, sizeof before);
        apply(0, 0);
        IS("ipv6/conf/vea/accept_ra", "1");
        apply(1, 0);
        SET("ipv4/ip_forward", "0");
        apply(0, 0);
        IS("ipv4/ip_forward", "1");
        undo(1);
        undo(0);
        assert_as_before();
}

static void test_interfaces_come_and_go(void **state)
{
        (void)state;
        if (!usable) skip();
        apply(0, 0);
        assert_int_equal(shell("ip link del vea; ip link add vec type veth peer name ved", NULL, 0), 0);
        IS("ipv6/conf/vec/accept_ra", "2");
        apply(0, 0);
        undo(0);
        IS("ipv4/conf/vec/forwarding", "0");
        IS("ipv6/conf/vec/forwarding", "0");
        IS("ipv4/conf/default/forwarding", "0");
        IS("ipv6/conf/default/accept_ra", "1");
        IS("ipv4/conf/all/accept_redirects", "0");
        assert_int_equal(access(links[0].journal, F_OK), -1);
        shell("ip link del vec", NULL, 0);
}

static void test_crash(void **state)
{
        struct host_error error;

        (void)state;
        if (!usable) skip();
        apply(0, 0);
        host_close(links[0].host);
        links[0].host = host_open("wgt", links[0].journal, NULL, &error);
        if (!links[0].host) fail_msg("%s", error.text);
        assert_as_before();
}

static void test_journal_of_an_older_version(void **state)
{
        struct host_error error;

        (void)state;
        if (!usable) skip();
        SET("ipv4/conf/all/src_valid_mark", "1");
        FILE *file = fopen(links[0].journal, "w");
        fprintf(file, "link wgt 77 %llu\nwas src_valid_mark 0\n", (unsigned long long)journal_netns());
        fclose(file);
        host_close(links[0].host);
        links[0].host = host_open("wgt", links[0].journal, NULL, &error);
        if (!links[0].host) fail_msg("%s", error.text);
        assert_as_before();
}

/* /proc/sys as in a container: it says which, and all is as it was. */
static void test_read_only(void **state)
{
        int status;

        (void)state;
        if (!usable) skip();
        pid_t pid = fork();
        if (pid == 0) {
                struct host_error error;
                if (unshare(CLONE_NEWNS)) _exit(77);
                if (shell("mount --make-rprivate / && mount -o bind /proc/sys /proc/sys && "
                          "mount -o remount,bind,ro /proc/sys",
                          NULL, 0))
                        _exit(77);
                if (try_apply(0, 0, &error)) _exit(1);
                fprintf(stderr, "# %s\n", error.text);
                bool told = strstr(error.text,
                                   "accept_ra = 2: Read-only file system: /proc/sys cannot be written here; set "
                                   "it from outside: sysctl -w net.ipv6.conf.all.forwarding=1");
                _exit(told ? 0 : 2);
        }
        waitpid(pid, &status, 0);
        if (WEXITSTATUS(status) == 77) skip();
        assert_int_equal(status, 0);
        assert_as_before();
}

static void test_with_the_keepers_rights(void **state)
{
        int status;

        (void)state;
        if (!usable) skip();
        pid_t pid = fork();
        if (pid == 0) {
                struct rights_error refused;
                struct host_error error;
                if (keeper_confine(&refused)) _exit(1);
                if (!try_apply(0, 0, &error)) {
                        fprintf(stderr, "# %s\n", error.text);
                        _exit(2);
                }
                struct plan_state is = { 0 };
                if (sysctl_read(PLAN_FORWARDING_V4, &is) || !is.count || is.items[0].value != 1) _exit(4);
                plan_free(&is);
                _exit(host_undo(links[0].host, &error) ? 0 : 3);
        }
        waitpid(pid, &status, 0);
        assert_int_equal(status, 0);
        assert_as_before();
}

static void test_names(void **state)
{
        static const struct {
                struct plan_item item;
                const char *name;
        } names[] = {
                { { .kind = PLAN_VALID_MARK }, "net.ipv4.conf.all.src_valid_mark" },
                { { .kind = PLAN_FORWARDING_V4 }, "net.ipv4.conf.all.forwarding" },
                { { .kind = PLAN_FORWARDING_V6 }, "net.ipv6.conf.all.forwarding" },
                { { .kind = PLAN_REDIRECTS }, "net.ipv4.conf.all.accept_redirects" },
                { { .kind = PLAN_EACH_V4 }, "net.ipv4.conf.default.forwarding" },
                { { .kind = PLAN_EACH_V6, .mark = 1 }, "net.ipv6.conf.lo.forwarding" },
                { { .kind = PLAN_ACCEPT_RA, .mark = 999999 }, "net.ipv6.conf.(gone).accept_ra" },
        };
        char name[SYSCTL_NAME];

        (void)state;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
                sysctl_name(&names[i].item, name);
                assert_string_equal(name, names[i].name);
        }
        for (enum plan_kind kind = 0; kind < PLAN_KINDS; kind++)
                if (plan_is_sysctl(kind)) assert_true(plan_is_sysctl(sysctl_head(kind)));
        assert_int_equal(sysctl_write(&(struct plan_item){ .kind = PLAN_ACCEPT_RA, .mark = 999999 }), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rules),
                cmocka_unit_test(test_nft_takes_the_rules),
                cmocka_unit_test(test_names),
                cmocka_unit_test_setup_teardown(test_all_is_as_it_was, begin, end),
                cmocka_unit_test_setup_teardown(test_reload, begin, end),
                cmocka_unit_test_setup_teardown(test_two_links, begin, end),
                cmocka_unit_test_setup_teardown(test_two_links_that_go_together, begin, end),
                cmocka_unit_test_setup_teardown(test_one_family_alone, begin, end),
                cmocka_unit_test_setup_teardown(test_changed_by_others, begin, end),
                cmocka_unit_test_setup_teardown(test_forwards_anyway, begin, end),
                cmocka_unit_test_setup_teardown(test_interfaces_come_and_go, begin, end),
                cmocka_unit_test_setup_teardown(test_crash, begin, end),
                cmocka_unit_test_setup_teardown(test_journal_of_an_older_version, begin, end),
                cmocka_unit_test_setup_teardown(test_read_only, begin, end),
                cmocka_unit_test_setup_teardown(test_with_the_keepers_rights, begin, end),
        };

        usable = netns_enter();
        if (usable && !mkdtemp(folder)) return 1;
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        if (usable) rmdir(folder);
        return failed;
}
