/* What the watch makes of what `ip` does in a namespace of its own. */
#include "kernel-iface/netlink.h"
#include "kernel-iface/tun.h"
#include "tests/unit/kernel-iface/netns.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static bool usable;
static struct tun tun;
static struct link_info ours;
static struct netlink *netlink;
static int watch;

static int begin(void **state)
{
        int error;

        (void)state;
        if (!usable) return 0;
        if (tun_open(&tun, "wgt")) return -1;
        netlink = netlink_open(&error);
        if (!netlink || netlink_link(netlink, "wgt", &ours)) return -1;
        watch = netlink_watch_open(netlink);
        return watch < 0 ? -1 : 0;
}

static int end(void **state)
{
        (void)state;
        if (!usable) return 0;
        close(watch);
        netlink_close(netlink);
        close(tun.fd);
        return shell("ip link del vea; true", NULL, 0);
}

/* Two uplinks, each with an address; the default route is by the first. Their other ends are up: no late news. */
static void make_uplinks(void)
{
        struct netlink_news news = { 0 };

        assert_int_equal(shell("ip link set lo up; ip link set wgt addrgenmode none; "
                               "ip link add vea type veth peer name veb && ip link set vea addrgenmode none && "
                               "ip link set veb addrgenmode none && ip addr add 192.0.2.1/24 dev vea && "
                               "ip addr add 198.51.100.1/24 dev veb && ip link set vea up && ip link set veb up && "
                               "ip route add default via 192.0.2.2",
                               NULL, 0),
                         0);
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &news), 0);
        assert_true(news.paths);
}

static void test_paths(void **state)
{
        static const struct {
                const char *command;
                bool changed, paths;
        } rows[] = {
                { "true", false, false },
                { "ip route replace default via 198.51.100.2", false, true }, /* the old address is still up */
                { "ip route add 10.7.0.0/24 via 192.0.2.2", false, true },
                { "ip route del 10.7.0.0/24", false, true },
                { "ip route add 10.7.0.0/24 nexthop via 192.0.2.2 nexthop via 198.51.100.2", false, true },
                { "ip route add blackhole 10.8.0.0/24", false, true },
                { "ip -6 route add fd07::/64 dev vea", false, true },
                { "ip addr add 192.0.2.7/24 dev vea", false, true },
                { "ip addr del 192.0.2.7/24 dev vea", false, true },
                { "ip -6 addr add fd08::1/64 dev vea nodad", false, true },
                { "ip rule add fwmark 7 lookup 7", false, true },
                { "ip -6 rule add fwmark 7 lookup 7", false, true },
                { "ip link set veb down", false, true },     /* of its routes the kernel says no word */
                { "ip link set vea mtu 1400", false, true }, /* of the same routes the MTU is another */
                { "ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev vea", false, false },
                { "ip route add local 10.9.9.9/32 dev vea table local", false, false },
                { "ip route get 192.0.2.44", false, false },
                /* what is ours */
                { "ip link set wgt up mtu 1300", true, false },
                { "ip addr add 10.9.0.1/24 dev wgt", false, false },
                { "ip -6 addr add fd09::1/64 dev wgt nodad", false, false },
                { "ip route add 10.1.0.0/24 dev wgt", false, false },
                { "ip -6 route add fd01::/64 dev wgt", false, false },
                { "ip route del 10.1.0.0/24 dev wgt", false, false },
                { "ip rule add not fwmark 51820 lookup 51820 protocol 109", false, false },
                { "ip rule del not fwmark 51820 lookup 51820 protocol 109", false, false },
                { "ip route add throw 10.5.0.0/16 table 51820 protocol 109", false, false },
                { "ip route del throw 10.5.0.0/16 table 51820 protocol 109", false, false },
                { "ip addr del 10.9.0.1/24 dev wgt", false, false },
        };

        (void)state;
        if (!usable) skip();
        make_uplinks();
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct netlink_news news = { .changed = true, .paths = true };
                assert_int_equal(shell(rows[i].command, NULL, 0), 0);
                assert_int_equal(netlink_watch_read(watch, ours.ifindex, &news), 0);
                if (news.changed != rows[i].changed || news.paths != rows[i].paths)
                        fail_msg("%s: changed %d, paths %d", rows[i].command, news.changed, news.paths);
                if (news.changed) {
                        assert_int_equal(news.link.mtu, 1300);
                        assert_true(news.link.up);
                        assert_string_equal(news.link.name, "wgt");
                }
        }
        shell("ip rule del fwmark 7; ip -6 rule del fwmark 7", NULL, 0);
}

static void test_link_gone(void **state)
{
        struct netlink_news news = { 0 };

        (void)state;
        if (!usable) skip();
        assert_int_equal(
                shell("ip link set wgt mtu 1290 && ip link del wgt && ip link add vea type veth peer name veb && "
                      "ip link set vea up",
                      NULL, 0),
                0);
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &news), -ENODEV);
        assert_true(news.changed);
        assert_int_equal(news.link.mtu, 1290);
        assert_true(news.paths); /* what came after it was read too */
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &news), 0);
        assert_false(news.changed || news.paths);
}

/* One piece of news, however many routes: and when they were too many for the queue, what is lost is told once. */
static void test_storm(void **state)
{
        struct netlink_news news = { 0 };

        (void)state;
        if (!usable) skip();
        make_uplinks();
        assert_int_equal(
                shell("for i in $(seq 1 100); do echo route add 10.7.$i.0/24 via 192.0.2.2; done | ip -b -", NULL, 0),
                0);
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &news), 0);
        assert_true(news.paths);
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &news), 0);
        assert_false(news.paths);
        assert_int_equal(shell("for j in $(seq 1 20); do for i in $(seq 0 250); do "
                               "echo route add 10.$((j + 20)).$i.0/24 via 192.0.2.2; done; done | ip -b -",
                               NULL, 0),
                         0);
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &news), -ENOBUFS);
        assert_true(news.paths);
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &news), 0);
        assert_false(news.paths);
}

/* The items that were told as lost, with a comma after each. */
struct losses {
        char text[512];
        bool by_somebody; /* each had a port; of IPv6 addresses the kernel tells none */
};

static void note_loss(const struct netlink_loss *loss, void *arg)
{
        struct losses *losses = arg;
        char text[PLAN_TEXT];
        size_t len = strlen(losses->text);

        plan_print(&loss->item, text);
        snprintf(losses->text + len, sizeof losses->text - len, "%s,", text);
        if (!loss->port && strcmp(text, "address fd09::1/64")) losses->by_somebody = false;
}

static void test_losses(void **state)
{
        static const struct {
                const char *command, *lost;
        } rows[] = {
                { "ip link set wgt up", "" },
                { "ip addr add 10.9.0.1/24 dev wgt; ip addr add 10.9.3.1/32 dev wgt", "" },
                { "ip addr del 10.9.3.1/32 dev wgt", "address 10.9.3.1/32," },
                { "ip addr add 192.0.2.7/24 dev vea; ip addr del 192.0.2.7/24 dev vea", "" },
                { "ip -6 addr add fd09::1/64 dev wgt nodad; ip -6 addr del fd09::1/64 dev wgt", "address fd09::1/64," },
                { "ip route add 10.1.0.0/24 dev wgt protocol 109", "" },
                { "ip route del 10.1.0.0/24", "route 10.1.0.0/24 table 254," },
                { "ip route add 10.1.0.0/24 dev wgt; ip route del 10.1.0.0/24", "" },              /* somebody's own */
                { "ip route add 10.1.0.0/24 dev vea protocol 109; ip route del 10.1.0.0/24", "" }, /* another link's */
                { "ip -6 route add fd01::/64 dev wgt table 7 protocol 109; ip -6 route flush table 7",
                  "route fd01::/64 table 7," },
                { "ip route add throw 10.5.0.0/16 table 51820 protocol 109", "" },
                { "ip route flush table 51820", "throw 10.5.0.0/16 table 51820," },
                /* What takes the place of another may have taken ours. */
                { "ip route add 10.1.0.0/24 dev wgt protocol 109; ip route replace 10.1.0.0/24 dev vea",
                  "route 10.1.0.0/24 table 254,throw 10.1.0.0/24 table 254," },
                { "ip rule add not fwmark 51820 lookup 51820 protocol 109", "" },
                { "ip rule add not fwmark 51820 lookup main suppress_prefixlength 0 protocol 109", "" },
                { "ip rule del not fwmark 51820 lookup main", "rules ipv4 mark 51820 table 51820," },
                { "ip rule del not fwmark 51820 lookup 51820", "rules ipv4 mark 51820 table 51820," },
                { "ip -6 rule add not fwmark 7 lookup 7 protocol 109; ip -6 rule del not fwmark 7 lookup 7",
                  "rules ipv6 mark 7 table 7," },
                { "ip rule add fwmark 7 lookup 7; ip rule del fwmark 7 lookup 7", "" },
        };

        (void)state;
        if (!usable) skip();
        make_uplinks();
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct losses losses = { .by_somebody = true };
                struct netlink_news news = { .on_loss = note_loss, .arg = &losses };
                if (shell(rows[i].command, NULL, 0)) fail_msg("%s: failed", rows[i].command);
                assert_int_equal(netlink_watch_read(watch, ours.ifindex, &news), 0);
                if (strcmp(losses.text, rows[i].lost)) fail_msg("%s: lost '%s'", rows[i].command, losses.text);
                if (!losses.by_somebody) fail_msg("%s: nobody's doing", rows[i].command);
        }
}

static void change_routes(bool add)
{
        for (unsigned i = 0; i < 5000; i++) {
                struct prefix route = { .family = AF_INET,
                                        .length = 32,
                                        .bytes = { 10, 7, (uint8_t)(i >> 8), (uint8_t)i } };
                assert_int_equal(netlink_change_route(netlink, ours.ifindex, 254, &route, add), 0);
        }
}

/* More of our own changes than the queue holds: they are no news, but that the link changed is. */
static void test_own(void **state)
{
        struct losses losses = { 0 };
        struct netlink_news news = { .on_loss = note_loss, .arg = &losses };
        const struct prefix address = { .family = AF_INET, .length = 24, .bytes = { 10, 9, 0, 1 } };

        (void)state;
        if (!usable) skip();
        assert_int_equal(shell("ip link set wgt addrgenmode none up", NULL, 0), 0);
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &news), 0);
        change_routes(true);
        change_routes(false);
        assert_int_equal(netlink_change_address(netlink, ours.ifindex, &address, true), 0);
        assert_int_equal(netlink_change_address(netlink, ours.ifindex, &address, false), 0);
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &news), 0);
        assert_false(news.changed || news.paths);
        assert_string_equal(losses.text, "");
        assert_int_equal(netlink_set_link(netlink, ours.ifindex, 1300, true), 0);
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &news), 0);
        assert_true(news.changed);
        assert_int_equal(news.link.mtu, 1300);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_paths, begin, end),
                cmocka_unit_test_setup_teardown(test_link_gone, begin, end),
                cmocka_unit_test_setup_teardown(test_storm, begin, end),
                cmocka_unit_test_setup_teardown(test_losses, begin, end),
                cmocka_unit_test_setup_teardown(test_own, begin, end),
        };

        usable = netns_enter();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
