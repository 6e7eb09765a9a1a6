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
static int watch;

static int begin(void **state)
{
        int error;

        (void)state;
        if (!usable) return 0;
        if (tun_open(&tun, "wgt")) return -1;
        struct netlink *netlink = netlink_open(&error);
        if (!netlink || netlink_link(netlink, "wgt", &ours)) return -1;
        netlink_close(netlink);
        watch = netlink_watch_open();
        return watch < 0 ? -1 : 0;
}

static int end(void **state)
{
        (void)state;
        if (!usable) return 0;
        close(watch);
        close(tun.fd);
        return shell("ip link del vea; true", NULL, 0);
}

/* Two uplinks, each with an address; the default route is by the first. Their other ends are up: no late news. */
static void make_uplinks(void)
{
        struct link_info info;
        bool changed, paths;

        assert_int_equal(shell("ip link set lo up; ip link set wgt addrgenmode none; "
                               "ip link add vea type veth peer name veb && ip link set vea addrgenmode none && "
                               "ip link set veb addrgenmode none && ip addr add 192.0.2.1/24 dev vea && "
                               "ip addr add 198.51.100.1/24 dev veb && ip link set vea up && ip link set veb up && "
                               "ip route add default via 192.0.2.2",
                               NULL, 0),
                         0);
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &info, &changed, &paths), 0);
        assert_true(paths);
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
                { "ip addr del 10.9.0.1/24 dev wgt", false, false },
        };

        (void)state;
        if (!usable) skip();
        make_uplinks();
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct link_info info = { 0 };
                bool changed = true, paths = true;
                assert_int_equal(shell(rows[i].command, NULL, 0), 0);
                assert_int_equal(netlink_watch_read(watch, ours.ifindex, &info, &changed, &paths), 0);
                if (changed != rows[i].changed || paths != rows[i].paths)
                        fail_msg("%s: changed %d, paths %d", rows[i].command, changed, paths);
                if (changed) {
                        assert_int_equal(info.mtu, 1300);
                        assert_true(info.up);
                        assert_string_equal(info.name, "wgt");
                }
        }
        shell("ip rule del fwmark 7; ip -6 rule del fwmark 7", NULL, 0);
}

static void test_link_gone(void **state)
{
        struct link_info info;
        bool changed, paths;

        (void)state;
        if (!usable) skip();
        assert_int_equal(
                shell("ip link set wgt mtu 1290 && ip link del wgt && ip link add vea type veth peer name veb && "
                      "ip link set vea up",
                      NULL, 0),
                0);
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &info, &changed, &paths), -ENODEV);
        assert_true(changed);
        assert_int_equal(info.mtu, 1290);
        assert_true(paths); /* what came after it was read too */
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &info, &changed, &paths), 0);
        assert_false(changed || paths);
}

/* One piece of news, however many routes: and when they were too many for the queue, what is lost is told once. */
static void test_storm(void **state)
{
        struct link_info info;
        bool changed, paths;

        (void)state;
        if (!usable) skip();
        make_uplinks();
        assert_int_equal(
                shell("for i in $(seq 1 100); do echo route add 10.7.$i.0/24 via 192.0.2.2; done | ip -b -", NULL, 0),
                0);
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &info, &changed, &paths), 0);
        assert_true(paths);
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &info, &changed, &paths), 0);
        assert_false(paths);
        assert_int_equal(shell("for j in $(seq 1 20); do for i in $(seq 0 250); do "
                               "echo route add 10.$((j + 20)).$i.0/24 via 192.0.2.2; done; done | ip -b -",
                               NULL, 0),
                         0);
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &info, &changed, &paths), -ENOBUFS);
        assert_true(paths);
        assert_int_equal(netlink_watch_read(watch, ours.ifindex, &info, &changed, &paths), 0);
        assert_false(paths);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_paths, begin, end),
                cmocka_unit_test_setup_teardown(test_link_gone, begin, end),
                cmocka_unit_test_setup_teardown(test_storm, begin, end),
        };

        usable = netns_enter();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
