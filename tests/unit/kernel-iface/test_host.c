/* The host-state transaction on a TUN in a namespace of its own, judged by what `ip` says. */
#include "kernel-iface/host.h"
#include "kernel-iface/journal.h"
#include "kernel-iface/rights.h"
#include "kernel-iface/tun.h"
#include "kernel-iface/wanted.h"
#include "tests/unit/kernel-iface/failing.h"
#include "tests/unit/kernel-iface/netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

static bool usable;
static struct tun tun;
static struct host *host;
static char folder[] = "/tmp/test_host.XXXXXX", journal[64];
static char before[1 << 16], after[1 << 20];

static const char list_all[] =
        "ip -d addr show wgt | sed 's/qdisc [a-z_]*//;s/^[0-9]*://'; ip -4 route show table all; "
        "ip -6 route show table all; ip -4 rule; ip -6 rule; "
        "cat /proc/sys/net/ipv4/conf/all/src_valid_mark";

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

/* A host_state from words. */
struct wish {
        struct host_state state;
        struct prefix addresses[8], routes[8], excluded[8];
        struct host_endpoint endpoints[4];
};

static void wish(struct wish *w, const char *const *addresses, const char *const *routes)
{
        *w = (struct wish){ .state = { .managed = true, .mtu = 1400, .fwmark = 51820 } };
        for (; addresses && addresses[w->state.address_count]; w->state.address_count++)
                w->addresses[w->state.address_count] = net(addresses[w->state.address_count]);
        for (; routes && routes[w->state.route_count]; w->state.route_count++)
                w->routes[w->state.route_count] = net(routes[w->state.route_count]);
        w->state.addresses = w->addresses;
        w->state.routes = w->routes;
        w->state.excluded = w->excluded;
        w->state.endpoints = w->endpoints;
}

static void exclude(struct wish *w, const char *const *excluded)
{
        for (w->state.excluded_count = 0; excluded[w->state.excluded_count]; w->state.excluded_count++)
                w->excluded[w->state.excluded_count] = net(excluded[w->state.excluded_count]);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static int begin(void **state)
{
        (void)state;
        if (!usable) return 0;
        struct host_error error;
        if (tun_open(&tun, "wgt")) return -1;
        /* no link-local address, which comes and settles late; and what the kernel makes at a first time is made */
        if (shell("ip link set lo up; ip link set wgt addrgenmode none; ip link set wgt up; ip link set wgt down", NULL,
                  0))
                return -1;
        host = host_open("wgt", journal, NULL, &error);
        shell(list_all, before, sizeof before);
        return host ? 0 : -1;
}

static int end(void **state)
{
        (void)state;
        struct host_error error;
        if (!usable) return 0;
        host_undo(host, &error); /* a test that failed half way must not spoil the next */
        host_close(host);
        close(tun.fd);
        unlink(journal);
        return shell("ip rule | grep -c proto.109 >/dev/null && exit 1; exit 0", NULL, 0);
}

static void need_namespace(void)
{
        if (!usable) skip();
}

static void apply(struct wish *w)
{
        struct host_error error;

        if (!host_apply(host, &w->state, &error)) fail_msg("%s", error.text);
}

static void undo(void)
{
        struct host_error error;

        if (!host_undo(host, &error)) fail_msg("%s", error.text);
}

static bool says(const char *command, const char *what)
{
        shell(command, after, sizeof after);
        return strstr(after, what) != NULL;
}

static void assert_as_before(void)
{
        shell(list_all, after, sizeof after);
        assert_string_equal(after, before);
        assert_int_equal(access(journal, F_OK), -1);
}

static void test_up_and_down(void **state)
{
        struct wish w;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/24", "fd09::1/64"), WORDS("10.1.0.0/24", "fd01::/64", "10.9.0.0/24", "fd09::/64"));
        apply(&w);
        assert_true(says("ip link show wgt", "mtu 1400"));
        assert_true(says("ip link show wgt", ",UP"));
        assert_true(says("ip addr show wgt", "inet 10.9.0.1/24 scope global wgt"));
        assert_true(says("ip addr show wgt", "inet6 fd09::1/64"));
        assert_true(says("ip route show 10.1.0.0/24", "10.1.0.0/24 dev wgt proto 109 scope link"));
        assert_true(says("ip -6 route show fd01::/64", "fd01::/64 dev wgt proto 109"));
        assert_int_equal(access(journal, F_OK), 0);
        undo();
        assert_as_before();
}

static void test_default_route(void **state)
{
        struct wish w;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/32", "fd09::1/128"), WORDS("0.0.0.0/0", "::/0", "10.1.0.0/16"));
        apply(&w);
        assert_true(says("ip route show table 51820", "default dev wgt proto 109"));
        assert_true(says("ip -6 route show table 51820", "default dev wgt proto 109"));
        assert_true(says("ip route show 10.1.0.0/16", "dev wgt"));
        assert_true(says("ip -4 rule", "not from all fwmark 0xca6c lookup 51820"));
        assert_true(says("ip -6 rule", "not from all fwmark 0xca6c lookup 51820"));
        /* the main table without its default is asked first */
        shell("ip -4 rule", after, sizeof after);
        assert_true(strstr(after, "suppress_prefixlength 0") < strstr(after, "lookup 51820"));
        assert_true(says("cat /proc/sys/net/ipv4/conf/all/src_valid_mark", "1"));
        assert_true(says("ip route get 192.0.2.1", "dev wgt table 51820"));
        assert_true(says("ip route get 192.0.2.1 mark 51820 2>&1", "unreachable"));
        undo();
        assert_as_before();
}

static int events_open(void)
{
        struct sockaddr_nl groups = { .nl_family = AF_NETLINK, .nl_groups = 0xffffffff };
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

        assert_return_code(fd, errno);
        assert_return_code(bind(fd, (struct sockaddr *)&groups, sizeof groups), errno);
        return fd;
}

/* Only what somebody asked for: of its own accord the kernel tells late that a link has come up. */
static int events_count(int fd)
{
        union {
                struct nlmsghdr header;
                char bytes[65536];
        } buffer;
        int count = 0;

        while (recv(fd, &buffer, sizeof buffer, MSG_DONTWAIT) > 0)
                count += buffer.header.nlmsg_pid != 0;
        return count;
}

static void test_same_again_changes_nothing(void **state)
{
        struct wish w;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/24", "fd09::1/64"), WORDS("10.1.0.0/24", "10.9.0.0/24", "0.0.0.0/0", "::/0"));
        apply(&w);
        int fd = events_open();
        unlink(journal); /* whether it is written again */
        apply(&w);
        assert_int_equal(events_count(fd), 0);
        assert_int_equal(access(journal, F_OK), -1);
        w.state.route_count--;
        apply(&w);
        assert_int_equal(access(journal, F_OK), 0);
        assert_int_not_equal(events_count(fd), 0);
        close(fd);
        undo();
        assert_as_before();
}

static void test_reload(void **state)
{
        struct wish w;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/24", "10.9.0.2/24", "fd09::1/64"), WORDS("10.1.0.0/24", "10.2.0.0/24", "0.0.0.0/0"));
        apply(&w);
        shell("ip addr add 10.66.0.1/24 dev wgt; ip route add 10.67.0.0/24 dev wgt", NULL, 0); /* the user's */
        /* the first of a subnet goes and takes the second with it; the IPv6 address gets another length */
        wish(&w, WORDS("10.9.0.2/24", "fd09::1/80"), WORDS("10.2.0.0/24", "10.3.0.0/24", "0.0.0.0/0"));
        w.state.fwmark = 777;
        apply(&w);
        assert_false(says("ip addr show wgt", "10.9.0.1/24"));
        assert_true(says("ip addr show wgt", "10.9.0.2/24"));
        assert_true(says("ip addr show wgt", "10.66.0.1/24"));
        assert_true(says("ip addr show wgt", "fd09::1/80"));
        assert_false(says("ip addr show wgt", "fd09::1/64"));
        assert_false(says("ip route", "10.1.0.0/24"));
        assert_true(says("ip route", "10.2.0.0/24"));
        assert_true(says("ip route", "10.3.0.0/24"));
        assert_true(says("ip route", "10.67.0.0/24"));
        assert_true(says("ip rule", "fwmark 0x309 lookup 777"));
        assert_false(says("ip rule", "51820"));
        assert_true(says("ip route show table 777", "default dev wgt"));
        assert_false(says("ip route show table all", "table 51820"));
        /* no default route any more: what it needed is given back */
        wish(&w, WORDS("10.9.0.2/24"), NULL);
        apply(&w);
        assert_true(says("cat /proc/sys/net/ipv4/conf/all/src_valid_mark", "0"));
        assert_false(says("ip rule", "777"));
        shell("ip addr del 10.66.0.1/24 dev wgt; ip route del 10.67.0.0/24", NULL, 0);
        undo();
        assert_as_before();
}

/* A wanted route that the kernel made for an address is not ours to remove when it is no longer wanted. */
static void test_connected_route_stays(void **state)
{
        struct wish w;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/24"), WORDS("10.9.0.0/24", "10.1.0.0/24"));
        apply(&w);
        wish(&w, WORDS("10.9.0.1/24"), WORDS("10.1.0.0/24"));
        apply(&w);
        assert_true(says("ip route", "10.9.0.0/24 dev wgt proto kernel"));
        undo();
        assert_as_before();
}

static void test_failure_is_undone(void **state)
{
        struct host_error error;
        struct wish w;

        (void)state;
        need_namespace();
        shell("ip route add 10.3.0.0/24 dev lo", NULL, 0); /* in the way */
        shell(list_all, before, sizeof before);
        wish(&w, WORDS("10.9.0.1/24", "fd09::1/64"), WORDS("10.1.0.0/24", "10.3.0.0/24", "0.0.0.0/0"));
        assert_false(host_apply(host, &w.state, &error));
        assert_int_equal(error.error, EEXIST);
        assert_non_null(strstr(error.text, "route 10.3.0.0/24"));
        assert_non_null(strstr(error.text, "ip route del 10.3.0.0/24 table 254"));
        assert_as_before();

        /* the same from a state that is up: it stays as it was */
        wish(&w, WORDS("10.9.0.1/24"), WORDS("10.1.0.0/24", "0.0.0.0/0"));
        apply(&w);
        shell(list_all, after, sizeof after);
        char *up = strdup(after);
        wish(&w, WORDS("10.9.0.7/24"), WORDS("10.2.0.0/24", "10.3.0.0/24"));
        w.state.mtu = 1300;
        assert_false(host_apply(host, &w.state, &error));
        shell(list_all, after, sizeof after);
        assert_string_equal(after, up);
        free(up);
        undo();
        assert_as_before();
        shell("ip route del 10.3.0.0/24 dev lo", NULL, 0);
}

static bool is_locked(void)
{
        shell("nft list ruleset", after, sizeof after);
        return strstr(after, "table inet adit-lock-wgt") != NULL;
}

/* The failure of anything else leaves a kill switch as it was: not there, or as it was made; after a crash, when nobody
 * can tell how it was made, there. */
static void test_kill_switch_and_failure(void **state)
{
        struct host_error error;
        struct wish good, bad;
        bool made;

        (void)state;
        need_namespace();
        shell("ip route add 10.3.0.0/24 dev lo", NULL, 0); /* in the way */
        shell(list_all, before, sizeof before);
        wish(&good, WORDS("10.9.0.1/24"), WORDS("0.0.0.0/0"));
        wish(&bad, WORDS("10.9.0.1/24"), WORDS("10.3.0.0/24", "0.0.0.0/0"));
        exclude(&bad, WORDS("10.44.0.0/16"));
        good.state.kill_switch = bad.state.kill_switch = true;
        assert_false(host_apply(host, &bad.state, &error));
        assert_non_null(strstr(error.text, "route 10.3.0.0/24"));
        assert_false(is_locked());
        assert_as_before();

        assert_true(host_lock(host, &good.state, &made, &error));
        assert_true(made && is_locked());
        char *lock = strdup(after);
        assert_false(host_apply(host, &bad.state, &error));
        assert_true(is_locked());
        assert_string_equal(after, lock);
        free(lock);

        host_close(host);
        host = host_open("wgt", journal, NULL, &error);
        assert_non_null(host);
        assert_false(host_apply(host, &bad.state, &error));
        shell(list_all, after, sizeof after);
        assert_string_equal(after, before);
        assert_true(is_locked() && host_locked(host));
        apply(&good);
        assert_true(is_locked());
        assert_null(strstr(after, "10.44.0.0/16"));
        undo();
        assert_false(is_locked());
        assert_as_before();
        shell("ip route del 10.3.0.0/24 dev lo", NULL, 0);
}

/* An end that nobody asked for: all is undone but the kill switch, which the next start finds. */
static void test_undo_to_lock(void **state)
{
        struct host_error error;
        struct wish w;
        uint32_t mark = 0;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/24"), WORDS("10.1.0.0/24", "0.0.0.0/0"));
        w.state.kill_switch = true;
        w.state.fwmark = 4711;
        apply(&w);
        assert_true(host_undo_to_lock(host, &error));
        shell("ip addr show wgt; ip rule; ip route", after, sizeof after);
        assert_null(strstr(after, "10.9.0.1"));
        assert_null(strstr(after, "10.1.0.0"));
        assert_null(strstr(after, "4711"));
        assert_true(is_locked() && host_locked(host));
        host_close(host);
        host = host_open("wgt", journal, NULL, &error);
        assert_true(is_locked() && host_locked(host));
        assert_true(host_choose_mark(host, &mark, &error));
        assert_int_equal(mark, 4711);
        apply(&w);
        w.state.kill_switch = false; /* a reload lifts it */
        apply(&w);
        assert_false(is_locked() || host_locked(host));
        w.state.kill_switch = true;
        apply(&w);
        assert_true(is_locked() && host_locked(host));
        undo();
        assert_false(is_locked() || host_locked(host));
        assert_as_before();
}

static void test_not_managed(void **state)
{
        struct host_error error;
        struct wish w;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/24"), WORDS("10.1.0.0/24"));
        w.state.managed = false;
        assert_false(host_apply(host, &w.state, &error));
        assert_int_equal(error.error, ENETDOWN);
        assert_as_before();
        shell("ip link set wgt up", NULL, 0);
        shell(list_all, before, sizeof before);
        apply(&w);
        assert_true(says("ip route", "10.1.0.0/24 dev wgt"));
        assert_true(says("ip link show wgt", "mtu 1500"));
        assert_false(says("ip addr show wgt", "10.9.0.1"));
        undo();
        assert_as_before();
}

static void test_tables(void **state)
{
        struct host_error error;
        struct wish w;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/32"), WORDS("10.1.0.0/24", "0.0.0.0/0"));
        w.state.table = TABLE_OFF;
        apply(&w);
        assert_false(says("ip route show table all", "proto 109"));
        w.state.table = 1234;
        apply(&w);
        assert_true(says("ip route show table 1234", "10.1.0.0/24"));
        assert_true(says("ip route show table 1234", "default"));
        assert_false(says("ip rule", "109"));
        w.state.table = TABLE_AUTO;
        w.state.fwmark = 254;
        assert_false(host_apply(host, &w.state, &error));
        assert_int_equal(error.error, EINVAL);
        assert_true(says("ip route show table 1234", "default"));
        undo();
        assert_as_before();
}

/* What was there and is there now, as two sets of lines: what came and what went. */
static void assert_changed(const char *was, const char *is, unsigned gone, unsigned came)
{
        const char *const texts[] = { was, is };
        unsigned counts[2] = { 0 };
        char line[256];

        for (int i = 0; i < 2; i++)
                for (const char *at = texts[i]; *at; at += strcspn(at, "\n") + 1) {
                        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n") + 1, at);
                        counts[i] += !strstr(texts[!i], line);
                }
        if (counts[0] != gone || counts[1] != came)
                fail_msg("%u went and %u came, from\n%sto\n%s", counts[0], counts[1], was, is);
}

/* Without a default route: the routes lead around it. */
static void test_excluded_of_a_route(void **state)
{
        struct wish w;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/24"), WORDS("10.0.0.0/14", "10.7.0.0/24", "10.8.0.0/16", "fd01::/62"));
        exclude(&w, WORDS("10.1.0.0/16", "10.8.0.0/15", "10.1.2.0/24", "fd01::/64", "192.0.2.0/24"));
        apply(&w);
        shell("ip route show proto 109; ip -6 route show proto 109", after, sizeof after);
        assert_string_equal(after, "10.0.0.0/16 dev wgt scope link \n10.2.0.0/15 dev wgt scope link \n"
                                   "10.7.0.0/24 dev wgt scope link \n"
                                   "fd01:0:0:1::/64 dev wgt metric 1024 pref medium\n"
                                   "fd01:0:0:2::/63 dev wgt metric 1024 pref medium\n");
        char *was = strdup(after);
        exclude(&w, WORDS("10.1.0.0/17", "10.8.0.0/15", "fd01::/64")); /* a smaller one: one route more */
        apply(&w);
        shell("ip route show proto 109; ip -6 route show proto 109", after, sizeof after);
        assert_changed(was, after, 0, 1);
        free(was);
        w.state.table = 1234;
        apply(&w);
        assert_false(says("ip route show proto 109", "wgt"));
        assert_true(says("ip route show table 1234", "10.1.128.0/17 dev wgt"));
        w.state.table = TABLE_OFF;
        apply(&w);
        assert_false(says("ip route show table all", "proto 109"));
        undo();
        assert_as_before();
}

/* With one: it keeps to the main table's way, and what is set for that goes, comes and is mended as all the rest. */
static void test_excluded_of_a_default_route(void **state)
{
        static const char both[] = "ip -4 route show table 51820; ip -6 route show table 51820; "
                                   "ip -4 rule; ip -6 rule; ip route; ip -6 route";
        struct wish w;

        (void)state;
        need_namespace();
        shell("ip link add wgv type veth peer name wgw; ip link set wgv up; ip link set wgw up; "
              "ip addr add 192.0.2.1/24 dev wgv; ip route add default via 192.0.2.2",
              NULL, 0);
        shell(list_all, before, sizeof before);
        wish(&w, WORDS("10.9.0.1/32", "fd09::1/128"), WORDS("0.0.0.0/0", "::/0", "10.1.0.0/16"));
        exclude(&w, WORDS("10.1.1.0/24", "198.51.100.0/24", "198.51.100.7/32", "fd66::/64"));
        apply(&w);
        assert_true(says("ip route get 203.0.113.1", "dev wgt"));
        assert_true(says("ip route get 198.51.100.7", "dev wgv"));
        assert_true(says("ip route get 10.1.1.1", "dev wgv"));
        assert_true(says("ip route get 10.1.2.1", "dev wgt"));
        assert_true(says("ip route show table 51820", "throw 198.51.100.0/24 proto 109"));
        assert_false(says("ip route show table 51820", "198.51.100.7"));
        assert_true(says("ip -6 route show table 51820", "throw fd66::/64 "));
        assert_true(says("ip route get fd67::1", "dev wgt"));
        assert_false(says("ip route get fd66::1", "dev wgt"));

        int fd = events_open();
        unlink(journal);
        apply(&w);
        assert_int_equal(events_count(fd), 0);
        close(fd);

        shell(both, after, sizeof after);
        char *was = strdup(after);
        exclude(&w, WORDS("10.1.1.0/24", "198.51.100.0/24", "203.0.113.0/24", "fd66::/64"));
        apply(&w);
        shell(both, after, sizeof after);
        assert_changed(was, after, 0, 1);
        assert_true(says("ip route get 203.0.113.1", "dev wgv"));
        shell("ip route del throw 198.51.100.0/24 table 51820", NULL, 0);
        exclude(&w, WORDS("10.1.1.0/24", "198.51.100.0/24", "fd66::/64"));
        apply(&w);
        shell(both, after, sizeof after);
        assert_string_equal(after, was);
        free(was);

        /* of a family wholly: it has no default route then, and no rule */
        exclude(&w, WORDS("0.0.0.0/1", "128.0.0.0/1"));
        apply(&w);
        assert_false(says("ip -4 rule", "51820"));
        assert_false(says("ip -4 route show table all", "proto 109"));
        assert_true(says("ip -6 rule", "51820"));
        assert_false(says("ip -6 route show table 51820", "throw"));

        exclude(&w, WORDS("198.51.100.0/24"));
        w.state.fwmark = 777;
        apply(&w);
        assert_true(says("ip route show table 777", "throw 198.51.100.0/24"));
        assert_false(says("ip route show table all", "table 51820"));
        undo();
        assert_as_before();
        shell("ip link del wgv", NULL, 0);
}

/* A throw route of somebody else is neither added nor removed; one of ours comes back after a failure. */
static void test_throw_of_others(void **state)
{
        struct host_error error;
        struct wish w;

        (void)state;
        need_namespace();
        shell("ip route add throw 198.51.100.0/24 table 51820; ip route add 10.3.0.0/24 dev lo", NULL, 0);
        shell(list_all, before, sizeof before);
        wish(&w, WORDS("10.9.0.1/32"), WORDS("0.0.0.0/0"));
        exclude(&w, WORDS("198.51.100.0/24", "203.0.113.0/24"));
        apply(&w);
        shell(list_all, after, sizeof after);
        char *up = strdup(after);
        wish(&w, WORDS("10.9.0.1/32"), WORDS("0.0.0.0/0", "10.3.0.0/24"));
        exclude(&w, WORDS("192.0.2.0/24"));
        assert_false(host_apply(host, &w.state, &error));
        shell(list_all, after, sizeof after);
        assert_string_equal(after, up);
        free(up);
        undo();
        assert_as_before();
        shell("ip route del throw 198.51.100.0/24 table 51820; ip route del 10.3.0.0/24 dev lo", NULL, 0);
}

static void test_repairs_broken_rules(void **state)
{
        struct wish w;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/32"), WORDS("0.0.0.0/0"));
        apply(&w);
        assert_int_equal(shell("ip rule del not fwmark 0xca6c lookup 51820", NULL, 0), 0);
        apply(&w);
        shell("ip -4 rule", after, sizeof after);
        assert_non_null(strstr(after, "lookup 51820"));
        assert_true(strstr(after, "suppress_prefixlength 0") < strstr(after, "lookup 51820"));
        /* the pair in the wrong order: the table would swallow what the main table knows */
        assert_int_equal(
                shell("ip rule del not fwmark 0xca6c lookup main suppress_prefixlength 0 && "
                      "ip rule add not fwmark 0xca6c lookup main suppress_prefixlength 0 protocol 109 pref 32766",
                      NULL, 0),
                0);
        apply(&w);
        shell("ip -4 rule", after, sizeof after);
        assert_true(strstr(after, "suppress_prefixlength 0") < strstr(after, "lookup 51820"));
        assert_int_equal(shell("ip rule del not fwmark 0xca6c lookup 51820", NULL, 0), 0);
        undo();
        assert_as_before();
}

/* Two links with a default route each: one going takes nothing of the other's. */
static void test_two_links(void **state)
{
        struct host_error error;
        struct tun tun2;
        struct wish w;
        char other[80];

        (void)state;
        need_namespace();
        snprintf(other, sizeof other, "%s/wgu.state", folder);
        wish(&w, WORDS("10.9.0.1/32"), WORDS("0.0.0.0/0"));
        apply(&w);
        assert_int_equal(tun_open(&tun2, "wgu"), 0);
        struct host *host2 = host_open("wgu", other, NULL, &error);
        assert_non_null(host2);
        w.state.fwmark = 4242;
        if (!host_apply(host2, &w.state, &error)) fail_msg("%s", error.text);
        undo();
        assert_true(says("ip rule", "fwmark 0x1092 lookup 4242"));
        assert_true(says("ip rule", "fwmark 0x1092 lookup main suppress_prefixlength 0"));
        assert_false(says("ip rule", "51820"));
        assert_true(says("cat /proc/sys/net/ipv4/conf/all/src_valid_mark", "1"));
        assert_true(host_undo(host2, &error));
        host_close(host2);
        close(tun2.fd);
        assert_as_before();
}

/* All of it with the keeper's two capabilities and under its filter. */
static void test_with_the_keepers_rights(void **state)
{
        struct wish w;
        int status;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/24", "fd09::1/64"), WORDS("0.0.0.0/0", "::/0", "10.1.0.0/16"));
        pid_t pid = fork();
        if (pid == 0) {
                struct rights_error refused;
                struct host_error error;
                if (keeper_confine(&refused)) _exit(1);
                if (!host_apply(host, &w.state, &error)) {
                        fprintf(stderr, "# %s\n", error.text);
                        _exit(2);
                }
                _exit(host_undo(host, &error) ? 0 : 3);
        }
        waitpid(pid, &status, 0);
        assert_int_equal(status, 0);
        assert_as_before();
}

static void test_sysctl_changed_by_others_stays(void **state)
{
        struct wish w;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/32"), WORDS("0.0.0.0/0"));
        apply(&w);
        shell("echo 2 >/proc/sys/net/ipv4/conf/all/src_valid_mark", NULL, 0);
        undo();
        assert_true(says("cat /proc/sys/net/ipv4/conf/all/src_valid_mark", "2"));
        shell("echo 0 >/proc/sys/net/ipv4/conf/all/src_valid_mark", NULL, 0);
        assert_as_before();
}

static void test_crash_is_undone_on_open(void **state)
{
        struct host_error error;
        struct wish w;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/32"), WORDS("0.0.0.0/0", "::/0", "10.1.0.0/24"));
        exclude(&w, WORDS("198.51.100.0/24", "fd66::/64"));
        apply(&w);
        host_close(host); /* changes nothing */
        close(tun.fd);    /* the link goes, the rules and throw routes stay */
        assert_true(says("ip rule", "51820"));
        assert_true(says("ip route show table 51820", "throw 198.51.100.0/24"));
        assert_true(says("ip -6 route show table 51820", "throw fd66::/64"));
        assert_int_equal(tun_open(&tun, "wgt"), 0);
        shell("ip link set wgt addrgenmode none; ip link set wgt up; ip link set wgt mtu 1333", NULL, 0);
        host = host_open("wgt", journal, NULL, &error);
        assert_non_null(host);
        assert_false(says("ip rule", "51820"));
        assert_false(says("ip -6 rule", "51820"));
        assert_false(says("ip route show table all; ip -6 route show table all", "proto 109"));
        /* another link of that name is not the one that was changed */
        assert_true(says("ip link show wgt", "mtu 1333"));
        assert_true(says("cat /proc/sys/net/ipv4/conf/all/src_valid_mark", "0"));
        assert_int_equal(access(journal, F_OK), -1);
}

static void test_damaged_journal_is_refused(void **state)
{
        struct host_error error;

        (void)state;
        need_namespace();
        FILE *file = fopen(journal, "w");
        fputs("link wgt 5\nours route 10.0.0.0/24 table x\n", file);
        fclose(file);
        assert_null(host_open("wgt", journal, NULL, &error));
        assert_int_equal(error.error, EINVAL);
        assert_non_null(strstr(error.text, journal));
}

/* A child that holds another network namespace until it is killed. */
static pid_t hold_namespace(void)
{
        int ready[2];
        char c;

        assert_return_code(pipe(ready), errno);
        pid_t pid = fork();
        if (pid == 0) {
                if (unshare(CLONE_NEWNET) || write(ready[1], "r", 1) != 1) _exit(1);
                for (;;)
                        pause();
        }
        assert_int_equal(read(ready[0], &c, 1), 1);
        close(ready[0]);
        close(ready[1]);
        return pid;
}

static void test_moved_link(void **state)
{
        struct host_error error;
        struct wish w;
        struct link_info info;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/32"), WORDS("0.0.0.0/0"));
        apply(&w);
        assert_int_equal(host_link(host, &info), 0);
        assert_int_equal(info.mtu, 1400);
        assert_true(info.up);
        pid_t elsewhere = hold_namespace();
        char command[64];
        snprintf(command, sizeof command, "ip link set wgt netns %d", (int)elsewhere);
        int moved = shell(command, NULL, 0);
        int gone = host_link(host, &info);
        bool applied = host_apply(host, &w.state, &error);
        bool undone = host_undo(host, &(struct host_error){ 0 });
        kill(elsewhere, SIGKILL);
        waitpid(elsewhere, NULL, 0);
        assert_int_equal(moved, 0);
        assert_int_equal(gone, -ENODEV);
        assert_false(applied);
        assert_int_equal(error.error, ENODEV);
        assert_true(undone);
        assert_false(says("ip rule", "51820"));
}

/* Its name is no matter: it is the link of host_open(). */
static void test_renamed_link(void **state)
{
        struct link_info info;
        struct wish w;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/24"), WORDS("10.1.0.0/24", "0.0.0.0/0"));
        apply(&w);
        /* a name changes only on a link that is down: its routes go */
        assert_int_equal(shell("ip link set wgt down; ip link set wgt name renamed", NULL, 0), 0);
        assert_int_equal(host_link(host, &info), 0);
        assert_string_equal(info.name, "renamed");
        assert_false(info.up);
        apply(&w);
        assert_true(says("ip route show 10.1.0.0/24", "dev renamed proto 109"));
        assert_true(says("ip route show table 51820", "default dev renamed"));
        /* another that took the old one is not ours */
        assert_int_equal(shell("ip link add wgt type veth peer name other", NULL, 0), 0);
        assert_int_equal(host_link(host, &info), 0);
        assert_string_equal(info.name, "renamed");
        shell("ip link del wgt", NULL, 0);
        undo();
        assert_false(says("ip -4 addr show renamed; ip route show table all; ip rule", "10.9.0.1"));
        assert_false(says("ip route show table all; ip rule", "109"));
        assert_int_equal(shell("ip link set renamed down; ip link set renamed name wgt", NULL, 0), 0);
        assert_as_before();
}

static uint32_t chosen(void)
{
        struct host_error error;
        uint32_t mark = 0;

        if (!host_choose_mark(host, &mark, &error)) fail_msg("%s", error.text);
        return mark;
}

static void test_choice_of_a_mark(void **state)
{
        static const struct {
                const char *taken, *by, *back;
                uint32_t chosen;
        } rows[] = {
                { "nothing", "true", "true", 51820 },
                { "a route", "ip route add 10.7.0.0/24 dev lo table 51820",
                  "ip route del 10.7.0.0/24 dev lo table 51820", 51821 },
                { "a route of IPv6", "ip -6 route add fd07::/64 dev lo table 51820",
                  "ip -6 route del fd07::/64 dev lo table 51820", 51821 },
                { "a route of no link", "ip route add blackhole 10.7.0.0/24 table 51820",
                  "ip route del blackhole 10.7.0.0/24 table 51820", 51821 },
                { "a rule's table", "ip rule add from 10.7.0.1 lookup 51820", "ip rule del from 10.7.0.1 lookup 51820",
                  51821 },
                { "a rule's table of IPv6", "ip -6 rule add from fd07::1 lookup 51820",
                  "ip -6 rule del from fd07::1 lookup 51820", 51821 },
                { "a rule's mark", "ip rule add fwmark 51820 lookup 9", "ip rule del fwmark 51820 lookup 9", 51821 },
                { "wg-quick's", "ip rule add not fwmark 51820 table 9", "ip rule del not fwmark 51820 table 9", 51821 },
                { "a rule that matches a bit of it", "ip rule add fwmark 0x4/0x4 lookup 9",
                  "ip rule del fwmark 0x4/0x4 lookup 9", 51824 }, /* 0xca6c..0xca6f have it, 0xca70 has not */
                { "all but the third", "ip rule add fwmark 51820 lookup 51821", "ip rule del fwmark 51820 lookup 51821",
                  51822 },
                { "others", "ip rule add fwmark 51819 lookup 51823; ip route add 10.7.0.0/24 dev lo table 518",
                  "ip rule del fwmark 51819 lookup 51823; ip route del 10.7.0.0/24 dev lo table 518", 51820 },
        };
        struct wish w;

        (void)state;
        need_namespace();
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                assert_int_equal(shell(rows[i].by, NULL, 0), 0);
                uint32_t mark = chosen();
                assert_int_equal(shell(rows[i].back, NULL, 0), 0);
                if (mark != rows[i].chosen) fail_msg("taken: %s: %u was chosen", rows[i].taken, mark);
        }
        /* what a link holds stays its own; another link takes the next */
        wish(&w, WORDS("10.9.0.1/32"), WORDS("0.0.0.0/0"));
        w.state.fwmark = chosen();
        apply(&w);
        assert_int_equal(chosen(), 51820);
        struct host_error error;
        struct host *other = host_open("wgu", "/nowhere/wgu.state", NULL, &error);
        uint32_t mark;
        assert_non_null(other);
        assert_true(host_choose_mark(other, &mark, &error));
        assert_int_equal(mark, 51821);
        host_close(other);
        undo();
        assert_as_before();
}

/* Two that chose the same: the later one is told, and nothing of the first is touched. */
static void test_same_mark_is_refused(void **state)
{
        struct host_error error;
        struct wish w;

        (void)state;
        need_namespace();
        shell("ip route add default dev lo table 51820", NULL, 0);
        wish(&w, WORDS("10.9.0.1/32"), WORDS("0.0.0.0/0"));
        assert_false(host_apply(host, &w.state, &error));
        assert_int_equal(error.error, EEXIST);
        assert_false(says("ip rule", "51820"));
        assert_int_equal(chosen(), 51821);
        shell("ip route del default dev lo table 51820", NULL, 0);
        assert_as_before();
}

/* The folder is shared by all network namespaces, the sysctl is not. */
static void test_journals_of_other_namespaces(void **state)
{
        struct journal elsewhere = { .link = "wgx", .ifindex = 3, .netns = 1 }; /* which no namespace has */
        struct host_error error;
        char other[80];
        struct wish w;

        (void)state;
        need_namespace();
        assert_int_not_equal(journal_netns(), 0);
        snprintf(other, sizeof other, "%s/wgx.state", folder);
        plan_add(&elsewhere.before, &(struct plan_item){ .kind = PLAN_VALID_MARK, .value = 1 });
        assert_int_equal(journal_write(other, &elsewhere), 0);
        wish(&w, WORDS("10.9.0.1/32"), WORDS("0.0.0.0/0"));
        apply(&w);
        undo();
        unlink(other);
        assert_as_before(); /* the last of this namespace gives it back */

        /* a journal of this name from there undoes nothing here */
        shell("echo 1 >/proc/sys/net/ipv4/conf/all/src_valid_mark; "
              "ip rule add not fwmark 77 lookup 77 protocol 109",
              NULL, 0);
        elsewhere.before.items[0].value = 0;
        plan_add(&elsewhere.ours,
                 &(struct plan_item){ .kind = PLAN_RULES, .prefix.family = AF_INET, .value = 77, .mark = 77 });
        assert_int_equal(journal_write(journal, &elsewhere), 0);
        struct host *second = host_open("wgt", journal, NULL, &error);
        assert_non_null(second);
        host_close(second);
        journal_free(&elsewhere);
        assert_true(says("cat /proc/sys/net/ipv4/conf/all/src_valid_mark", "1"));
        assert_true(says("ip rule", "lookup 77"));
        shell("echo 0 >/proc/sys/net/ipv4/conf/all/src_valid_mark; ip rule del not fwmark 77 lookup 77", NULL, 0);
        assert_as_before();
}

/* /run without room: its one page takes the first journal of a change, and then not the second beside it. */
static void test_no_room_for_the_journal(void **state)
{
        struct host_error error;
        char small[80], path[96], filler[96], command[256];
        struct wish w;

        (void)state;
        need_namespace();
        snprintf(small, sizeof small, "%s/small", folder);
        snprintf(path, sizeof path, "%s/wgt.state", small);
        snprintf(filler, sizeof filler, "%s/filler", small);
        snprintf(command, sizeof command, "mkdir %s && mount -t tmpfs -o size=4k none %s", small, small);
        if (shell(command, NULL, 0)) skip();
        host_close(host);
        host = host_open("wgt", path, NULL, &error);
        assert_non_null(host);

        /* none at all: refused, and nothing noted stays: the MTU that is undone to is the one of later */
        snprintf(command, sizeof command, "head -c 4096 /dev/zero >%s", filler);
        assert_int_equal(shell(command, NULL, 0), 0);
        wish(&w, WORDS("10.9.0.1/24"), WORDS("10.1.0.0/24"));
        bool refused = !host_apply(host, &w.state, &error);
        int code = error.error;
        unlink(filler);
        shell("ip link set wgt mtu 1450", NULL, 0);
        bool applied = host_apply(host, &w.state, &error);
        bool undone = host_undo(host, &error);
        bool later = says("ip link show wgt", "mtu 1450");

        bool last = host_apply(host, &w.state, &error); /* two writes: of one page each, the second in vain */
        bool up = says("ip route", "10.1.0.0/24");
        bool kept = access(path, F_OK) == 0;
        bool down = host_undo(host, &error);
        host_close(host);
        snprintf(command, sizeof command, "umount %s && rmdir %s", small, small);
        int unmounted = shell(command, NULL, 0);
        host = host_open("wgt", journal, NULL, &error);
        shell("ip link set wgt mtu 1500", NULL, 0);
        assert_int_equal(unmounted, 0);
        assert_true(refused);
        assert_int_equal(code, ENOSPC);
        assert_true(applied);
        assert_true(undone);
        assert_true(later);
        assert_true(last && up && kept && down);
        assert_as_before();
}

static void fail_after(unsigned calls)
{
        failing.after = calls;
        failing.times = 1;
        failing.error = calls % 2 ? ENOMEM : ENOBUFS;
}

/* Whatever message of an application is lost, it is done or undone; and of the undoing, it is tried again. */
static void test_each_lost_message(void **state)
{
        enum { STEP = 3 }; /* all of them: make check-all */
        struct host_error error;
        struct wish w;
        unsigned refused = 0, calls = 0;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/24", "fd09::1/64"), WORDS("0.0.0.0/0", "::/0", "10.1.0.0/16"));
        exclude(&w, WORDS("10.2.0.0/16"));
        for (failing.times = 0; failing.times == 0; calls += STEP) { /* until it had no such message */
                fail_after(calls);
                bool applied = host_apply(host, &w.state, &error);
                unsigned left = failing.times;
                failing.times = 0;
                refused += !applied;
                if (applied) undo();
                assert_as_before();
                failing.times = left;
        }
        assert_in_range(calls, 40, 1000);
        assert_in_range(refused, 10, calls);
        failing.times = 0;
        for (calls = 0; failing.times == 0; calls += STEP) {
                apply(&w);
                fail_after(calls);
                undo();
                unsigned left = failing.times;
                failing.times = 0;
                assert_as_before();
                failing.times = left;
        }
        failing.times = 0;
        assert_in_range(calls, 20, 1000);
}

static void test_many_routes(void **state)
{
        enum { MANY = 2000 };
        static struct prefix routes[MANY];
        struct wish w;

        (void)state;
        need_namespace();
        wish(&w, WORDS("10.9.0.1/32"), NULL);
        for (unsigned i = 0; i < MANY; i++) {
                routes[i] = net(i % 2 ? "172.16.0.0/24" : "fd00::/48");
                routes[i].bytes[i % 2 ? 1 : 2] += (uint8_t)(i / 256);
                routes[i].bytes[i % 2 ? 2 : 3] = (uint8_t)i;
        }
        w.state.routes = routes;
        w.state.route_count = MANY;
        apply(&w);
        assert_true(says("{ ip route; ip -6 route; } | grep -c proto.109", "2000"));
        int fd = events_open();
        apply(&w);
        assert_int_equal(events_count(fd), 0);
        close(fd);
        w.state.route_count = MANY / 2;
        apply(&w);
        assert_true(says("{ ip route; ip -6 route; } | grep -c proto.109", "1000"));
        undo();
        assert_as_before();
}

/* On the devices of test_mtu, and one more. */
static void check_egress_mtu(struct netlink *netlink)
{
        static const struct {
                const char *command;
                const char *endpoints[3];
                uint32_t mark;
                uint32_t mtu;
        } rows[] = {
                { "true", { NULL }, 0, 0 }, /* no endpoint, no default route */
                { "true", { "192.0.2.9" }, 0, 1400 },
                { "true", { "127.0.0.1", "198.51.100.9", "192.0.2.9" }, 0, 1300 }, /* the least */
                { "true", { "192.0.2.9", "name.example" }, 0, 1400 },              /* not known: not asked for */
                { "true", { "203.0.113.9" }, 0, 0 },
                { "ip route add default via 192.0.2.2 mtu 1390", { NULL }, 0, 1390 },
                { "true", { "203.0.113.9" }, 0, 1390 },
                { "true", { "192.0.2.9" }, 0, 1400 }, /* the default route is not asked where one is known */
                { "ip -6 route add default via 2001:db8::2 mtu 1350", { NULL }, 0, 1350 },
                { "ip -6 route del default && ip -6 route add unreachable default", { NULL }, 0, 1390 },
                { "ip route add default dev vea mtu 1000 table 99 && ip rule add fwmark 9 lookup 99",
                  { NULL },
                  9,
                  1000 },
                { "true", { NULL }, 8, 1390 },
                { "true", { "192.0.2.9" }, 9, 1000 },
                { "ip rule del fwmark 9 && ip -6 route del default && ip route del default", { NULL }, 9, 0 },
                { "ip route add default dev wgt", { NULL }, 0, 0 }, /* by the link itself */
                { "true", { "203.0.113.9" }, 0, 0 },
                { "ip route del default", { NULL }, 0, 0 },
        };
        struct link_info info;

        assert_int_equal(host_link(host, &info), 0);
        assert_int_equal(shell("ip link set wgt up", NULL, 0), 0);
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct wish w;
                wish(&w, NULL, NULL);
                for (; w.state.endpoint_count < 3 && rows[i].endpoints[w.state.endpoint_count];
                     w.state.endpoint_count++)
                        strcpy(w.endpoints[w.state.endpoint_count].host, rows[i].endpoints[w.state.endpoint_count]);
                assert_int_equal(shell(rows[i].command, NULL, 0), 0);
                uint32_t mtu = egress_mtu(netlink, info.ifindex, rows[i].mark, w.endpoints, w.state.endpoint_count);
                if (mtu != rows[i].mtu) fail_msg("row %zu (%s): %u, not %u", i, rows[i].command, mtu, rows[i].mtu);
                assert_int_equal(host_egress_mtu(host, &w.state, rows[i].mark, true), rows[i].mtu);
        }
}

static void test_mtu(void **state)
{
        static const struct {
                const char *host;
                const char *route;
                uint32_t mtu;
        } rows[] = {
                { "192.0.2.9", "10.1.0.0/24", 1320 },    /* veth of 1400 */
                { "2001:db8::9", "10.1.0.0/24", 1320 },  /* the same over IPv6 */
                { "198.51.100.9", "10.1.0.0/24", 1220 }, /* a route with an MTU of its own */
                { "198.51.100.9", "fd01::/64", 1280 },   /* IPv6 inside needs that much */
                { "203.0.113.9", "10.1.0.0/24", 1420 },  /* no route */
                { "name.example", "10.1.0.0/24", 1420 }, /* a name is not asked for */
                { "127.0.0.1", "10.1.0.0/24", MTU_MAX }, /* loopback's 65536 */
        };
        int error;

        (void)state;
        need_namespace();
        assert_int_equal(shell("ip link add vea type veth peer name veb && ip addr add 192.0.2.1/24 dev vea && "
                               "ip addr add 2001:db8::1/64 dev vea nodad && ip link set veb up && "
                               "ip link set vea mtu 1400 up && "
                               "ip route add 198.51.100.0/24 via 192.0.2.2 mtu 1300",
                               NULL, 0),
                         0);
        struct netlink *netlink = netlink_open(&error);
        assert_non_null(netlink);
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct wish w;
                wish(&w, WORDS("10.9.0.1/32"), &(const char *const[]){ rows[i].route, NULL }[0]);
                w.state.mtu = 0;
                w.state.endpoint_count = 1;
                strcpy(w.endpoints[0].host, rows[i].host);
                assert_int_equal(wanted_mtu(netlink, 999, &w.state), rows[i].mtu);
        }
        struct wish w; /* the least of several */
        wish(&w, NULL, NULL);
        w.state.mtu = 0;
        w.state.endpoint_count = 3;
        strcpy(w.endpoints[0].host, "127.0.0.1");
        strcpy(w.endpoints[1].host, "198.51.100.1");
        strcpy(w.endpoints[2].host, "192.0.2.9");
        assert_int_equal(wanted_mtu(netlink, 999, &w.state), 1220);

        check_egress_mtu(netlink);

        /* a route through the link itself does not count */
        wish(&w, WORDS("10.9.0.1/32"), WORDS("0.0.0.0/0"));
        apply(&w);
        union socket_address address = { .in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xcb007109) } };
        struct link_info info;
        uint32_t mtu;
        assert_int_equal(host_link(host, &info), 0);
        assert_int_equal(netlink_route_mtu(netlink, &address, 0, info.ifindex, &mtu), -ENETUNREACH);
        assert_int_equal(netlink_route_mtu(netlink, &address, 51820, info.ifindex, &mtu), -ENETUNREACH);
        address.in.sin_addr.s_addr = htonl(0xc0000209);
        assert_int_equal(netlink_route_mtu(netlink, &address, 51820, info.ifindex, &mtu), 0);
        assert_int_equal(mtu, 1400);
        /* and a marked one does, where rules look at marks */
        shell("ip rule add fwmark 9 lookup 99 && ip route add 192.0.2.0/24 dev vea mtu 1000 table 99", NULL, 0);
        assert_int_equal(netlink_route_mtu(netlink, &address, 9, info.ifindex, &mtu), 0);
        assert_int_equal(mtu, 1000);
        shell("ip rule del fwmark 9 lookup 99", NULL, 0);
        netlink_close(netlink);
        shell("ip link del vea", NULL, 0);
        undo();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_up_and_down, begin, end),
                cmocka_unit_test_setup_teardown(test_default_route, begin, end),
                cmocka_unit_test_setup_teardown(test_same_again_changes_nothing, begin, end),
                cmocka_unit_test_setup_teardown(test_reload, begin, end),
                cmocka_unit_test_setup_teardown(test_connected_route_stays, begin, end),
                cmocka_unit_test_setup_teardown(test_failure_is_undone, begin, end),
                cmocka_unit_test_setup_teardown(test_kill_switch_and_failure, begin, end),
                cmocka_unit_test_setup_teardown(test_undo_to_lock, begin, end),
                cmocka_unit_test_setup_teardown(test_not_managed, begin, end),
                cmocka_unit_test_setup_teardown(test_tables, begin, end),
                cmocka_unit_test_setup_teardown(test_excluded_of_a_route, begin, end),
                cmocka_unit_test_setup_teardown(test_excluded_of_a_default_route, begin, end),
                cmocka_unit_test_setup_teardown(test_throw_of_others, begin, end),
                cmocka_unit_test_setup_teardown(test_repairs_broken_rules, begin, end),
                cmocka_unit_test_setup_teardown(test_two_links, begin, end),
                cmocka_unit_test_setup_teardown(test_with_the_keepers_rights, begin, end),
                cmocka_unit_test_setup_teardown(test_sysctl_changed_by_others_stays, begin, end),
                cmocka_unit_test_setup_teardown(test_crash_is_undone_on_open, begin, end),
                cmocka_unit_test_setup_teardown(test_damaged_journal_is_refused, begin, end),
                cmocka_unit_test_setup_teardown(test_moved_link, begin, end),
                cmocka_unit_test_setup_teardown(test_renamed_link, begin, end),
                cmocka_unit_test_setup_teardown(test_choice_of_a_mark, begin, end),
                cmocka_unit_test_setup_teardown(test_same_mark_is_refused, begin, end),
                cmocka_unit_test_setup_teardown(test_journals_of_other_namespaces, begin, end),
                cmocka_unit_test_setup_teardown(test_no_room_for_the_journal, begin, end),
                cmocka_unit_test_setup_teardown(test_each_lost_message, begin, end),
                cmocka_unit_test_setup_teardown(test_many_routes, begin, end),
                cmocka_unit_test_setup_teardown(test_mtu, begin, end),
        };

        usable = netns_enter();
        if (usable && !mkdtemp(folder)) return 1;
        snprintf(journal, sizeof journal, "%s/wgt.state", folder);
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        if (usable) rmdir(folder);
        return failed;
}
