/* A TUN in a network namespace of its own. */
#include "kernel-iface/netlink.h"
#include "kernel-iface/tun.h"
#include "tests/unit/kernel-iface/netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

static bool usable;
static struct tun tun;

static int begin(void **state)
{
        (void)state;
        return usable ? tun_open(&tun, "wgt") : 0;
}

static int end(void **state)
{
        (void)state;
        if (usable) close(tun.fd);
        return 0;
}

static void need_namespace(void)
{
        if (!usable) skip();
}

static void up(void)
{
        assert_int_equal(shell("ip addr add 10.9.0.1/24 dev wgt && sysctl -qw net.ipv6.conf.wgt.disable_ipv6=1 && "
                               "ip link set wgt up",
                               NULL, 0),
                         0);
}

static void test_names(void **state)
{
        struct tun other;

        (void)state;
        need_namespace();
        assert_string_equal(tun.name, "wgt");
        assert_int_equal(fcntl(tun.fd, F_GETFD), FD_CLOEXEC);
        assert_true(fcntl(tun.fd, F_GETFL) & O_NONBLOCK);
        assert_int_equal(tun_open(&other, "wgt"), -EBUSY);
        assert_int_equal(other.fd, -1);
        assert_int_equal(tun_open(&other, "a-name-much-too-long"), -EINVAL);
        assert_int_equal(tun_open(&other, "wg%d"), 0);
        assert_string_equal(other.name, "wg0");
        close(other.fd);
}

/* One that somebody else made and left is not taken over. */
static void test_foreign_interface(void **state)
{
        struct tun other;

        (void)state;
        need_namespace();
        assert_int_equal(shell("ip tuntap add wgp mode tun", NULL, 0), 0);
        assert_int_equal(tun_open(&other, "wgp"), -EBUSY);
        assert_int_equal(shell("ip link del wgp", NULL, 0), 0);
}

static void test_offloads(void **state)
{
        (void)state;
        need_namespace();
        assert_int_equal(tun_set_offloads(&tun, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6), 0);
        assert_int_equal(tun.offloads, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6);
        assert_int_equal(tun_set_offloads(&tun, 0x80), -EINVAL);
        /* with USO the kernel takes that bit, and its vnet header grows */
        assert_int_equal(tun_set_offloads(&tun, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | 0x60 | 0x80), -EINVAL);
        assert_int_equal(tun_set_offloads(&tun, TUN_F_CSUM | 0x8000), -EINVAL);
        assert_int_equal(tun.offloads, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6);
        assert_int_equal(tun_set_offloads(&tun, 0), 0);
        assert_int_equal(tun.offloads, 0);
}

static void test_up_and_down(void **state)
{
        uint8_t packet[VNET_HEADER_LEN + 20] = { 0 };

        (void)state;
        need_namespace();
        assert_int_equal(tun_is_up(tun.fd), 0);
        packet[VNET_HEADER_LEN] = 0x45;
        assert_int_equal(tun_write(tun.fd, packet + VNET_HEADER_LEN, 20), -EIO);
        up();
        assert_int_equal(tun_is_up(tun.fd), 1);
        assert_int_equal(shell("ip link set wgt down", NULL, 0), 0);
        assert_int_equal(tun_is_up(tun.fd), 0);
}

static ssize_t read_packet(uint8_t *buffer, size_t size)
{
        struct pollfd ready = { .fd = tun.fd, .events = POLLIN };

        return poll(&ready, 1, 5000) == 1 ? tun_read(tun.fd, buffer, size) : -ETIMEDOUT;
}

static uint16_t sum(const uint8_t *bytes, size_t len)
{
        uint32_t total = 0;

        for (size_t i = 0; i < len; i++)
                total += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
        while (total >> 16)
                total = (total & 0xffff) + (total >> 16);
        return (uint16_t)~total;
}

/* A datagram of a socket is read as a packet; turned round and written, it comes back to the socket. */
static void test_packets(void **state)
{
        uint8_t room[2048], *packet = room + VNET_HEADER_LEN, swap[4];
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(7), .sin_addr.s_addr = htonl(0x0a090002) };
        char answer[64];

        (void)state;
        need_namespace();
        up();
        assert_int_equal(tun_read(tun.fd, room, sizeof room), -EAGAIN);
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(sendto(fd, "ping", 4, 0, (struct sockaddr *)&to, sizeof to), 4);
        ssize_t got = read_packet(room, sizeof room);
        assert_int_equal(got, VNET_HEADER_LEN + 20 + 8 + 4);
        assert_memory_equal(packet + 28, "ping", 4);

        memcpy(swap, packet + 12, 4); /* addresses, then ports; no UDP checksum */
        memcpy(packet + 12, packet + 16, 4);
        memcpy(packet + 16, swap, 4);
        memcpy(swap, packet + 20, 2);
        memcpy(packet + 20, packet + 22, 2);
        memcpy(packet + 22, swap, 2);
        memset(packet + 26, 0, 2);
        memcpy(packet + 28, "pong", 4);
        memset(packet + 10, 0, 2);
        uint16_t check = htons(sum(packet, 20));
        memcpy(packet + 10, &check, 2);
        memset(room, 0xff, VNET_HEADER_LEN); /* tun_write() empties it */
        assert_int_equal(tun_write(tun.fd, packet, 32), 0);
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        assert_int_equal(poll(&ready, 1, 5000), 1);
        assert_int_equal(recv(fd, answer, sizeof answer, 0), 4);
        assert_memory_equal(answer, "pong", 4);
        close(fd);
}

static void test_deleted(void **state)
{
        uint8_t room[128] = { 0 };

        (void)state;
        need_namespace();
        up();
        assert_int_equal(shell("ip link del wgt", NULL, 0), 0);
        assert_int_equal(tun_read(tun.fd, room, sizeof room), -EBADFD);
        assert_int_equal(tun_write(tun.fd, room + VNET_HEADER_LEN, 20), -EBADFD);
        assert_int_equal(tun_is_up(tun.fd), -EBADFD);
}

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

static int wait_for_news(int fd, int ifindex, struct netlink_news *news)
{
        struct pollfd ready = { .fd = fd, .events = POLLIN };

        return poll(&ready, 1, 5000) == 1 ? netlink_watch_read(fd, ifindex, news) : -ETIMEDOUT;
}

/* The watch tells MTU, state, departure; the TUN tells moved from deleted. */
static void test_watch(void **state)
{
        struct link_info info = { 0 };
        struct netlink_news news = { 0 };
        char command[64];
        int error;

        (void)state;
        need_namespace();
        struct netlink *netlink = netlink_open(&error);
        assert_non_null(netlink);
        assert_int_equal(netlink_link(netlink, "absent", &info), -ENODEV);
        assert_int_equal(netlink_link(netlink, "wgt", &info), 0);
        int ifindex = info.ifindex, fd = netlink_watch_open(NULL);
        assert_return_code(fd, errno);
        assert_int_equal(netlink_watch_read(fd, ifindex, &news), 0);
        assert_false(news.changed);

        assert_int_equal(netlink_set_link(netlink, ifindex, 1333, true), 0);
        assert_int_equal(wait_for_news(fd, ifindex, &news), 0);
        assert_true(news.changed);
        assert_true(news.link.up);
        assert_int_equal(news.link.mtu, 1333);
        shell("ip link set lo up", NULL, 0); /* another link's news are none of ours */
        assert_int_equal(wait_for_news(fd, ifindex, &news), 0);
        assert_false(news.changed);

        pid_t elsewhere = hold_namespace();
        snprintf(command, sizeof command, "ip link set wgt netns %d", (int)elsewhere);
        assert_int_equal(shell(command, NULL, 0), 0);
        assert_int_equal(wait_for_news(fd, ifindex, &news), -ENODEV);
        int is_up = tun_is_up(tun.fd); /* it was set down on the way, but is not gone */
        kill(elsewhere, SIGKILL);
        waitpid(elsewhere, NULL, 0);
        assert_int_equal(is_up, 0);
        close(fd);
        netlink_close(netlink);
}

/* A port that leaves a bridge is told as deleted, but by the bridge: the link is still there. */
static void test_watch_of_a_bridge_port(void **state)
{
        struct link_info info = { 0 };
        struct netlink_news news = { 0 };
        int error;

        (void)state;
        need_namespace();
        if (shell("ip link add wgb type bridge && ip link add vea type veth peer name veb && ip link set vea master "
                  "wgb",
                  NULL, 0))
                skip();
        struct netlink *netlink = netlink_open(&error);
        assert_non_null(netlink);
        assert_int_equal(netlink_link(netlink, "vea", &info), 0);
        int ifindex = info.ifindex, fd = netlink_watch_open(NULL);
        assert_int_equal(shell("ip link set vea nomaster", NULL, 0), 0);
        int code = netlink_watch_read(fd, ifindex, &news);
        shell("ip link del vea; ip link del wgb", NULL, 0);
        assert_int_equal(code, 0);
        assert_int_equal(netlink_watch_read(fd, ifindex, &news), -ENODEV);
        close(fd);
        netlink_close(netlink);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_names, begin, end),
                cmocka_unit_test_setup_teardown(test_foreign_interface, begin, end),
                cmocka_unit_test_setup_teardown(test_offloads, begin, end),
                cmocka_unit_test_setup_teardown(test_up_and_down, begin, end),
                cmocka_unit_test_setup_teardown(test_packets, begin, end),
                cmocka_unit_test_setup_teardown(test_deleted, begin, end),
                cmocka_unit_test_setup_teardown(test_watch, begin, end),
                cmocka_unit_test_setup_teardown(test_watch_of_a_bridge_port, begin, end),
        };

        usable = netns_enter();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
