/* UDP sockets in a network namespace of their own, on its loopback. */
#include "kernel-iface/udp.h"
#include "tests/unit/kernel-iface/netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

static bool usable;
static struct udp_sockets ours, theirs;
static uint8_t buffer[70000];

static int begin(void **state)
{
        (void)state;
        if (!usable) return 0;
        shell("ip link set lo up; { ip addr flush dev lo; ip addr add 127.0.0.1/8 dev lo; ip -6 addr add ::1/128 dev "
              "lo; "
              "ip addr add 192.0.2.1/32 dev lo; ip addr add 192.0.2.2/32 dev lo; "
              "ip addr add 2001:db8::1/128 dev lo nodad; ip addr add 2001:db8::2/128 dev lo nodad; } 2>/dev/null",
              NULL, 0);
        await_ipv6(2);
        return udp_open(&ours, 0, 0) || udp_open(&theirs, 0, 0);
}

static int end(void **state)
{
        (void)state;
        if (!usable) return 0;
        udp_close(&ours);
        udp_close(&theirs);
        return 0;
}

static void need_namespace(void)
{
        if (!usable) skip();
}

static union socket_address address(const char *text, uint16_t port)
{
        union socket_address out = { 0 };

        out.family = strchr(text, ':') ? AF_INET6 : AF_INET;
        out.in.sin_port = htons(port);
        assert_int_equal(inet_pton(out.family, text,
                                   out.family == AF_INET ? (void *)&out.in.sin_addr : (void *)&out.in6.sin6_addr),
                         1);
        return out;
}

static void assert_address(const union socket_address *is, const char *text, uint16_t port)
{
        union socket_address should = address(text, port);

        assert_int_equal(is->family, should.family);
        assert_int_equal(is->in.sin_port, should.in.sin_port);
        if (is->family == AF_INET) assert_int_equal(is->in.sin_addr.s_addr, should.in.sin_addr.s_addr);
        else assert_memory_equal(&is->in6.sin6_addr, &should.in6.sin6_addr, 16);
}

static int socket_of(const struct udp_sockets *sockets, sa_family_t family)
{
        return family == AF_INET ? sockets->v4 : sockets->v6;
}

static ssize_t receive(int fd, size_t size, struct endpoint *from)
{
        struct pollfd ready = { .fd = fd, .events = POLLIN };

        return poll(&ready, 1, 5000) == 1 ? udp_receive(fd, buffer, size, from, NULL) : -ETIMEDOUT;
}

static void test_one_port_for_both(void **state)
{
        struct udp_sockets other;
        struct sockaddr_in6 name;
        socklen_t len = sizeof name;
        struct endpoint from;
        int size = 0;

        (void)state;
        need_namespace();
        assert_int_not_equal(ours.port, 0);
        for (int i = 0; i < 2; i++) {
                int fd = i ? ours.v6 : ours.v4;
                len = sizeof name;
                assert_return_code(getsockname(fd, (struct sockaddr *)&name, &len), errno);
                assert_int_equal(ntohs(name.sin6_port), ours.port);
                assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
                assert_int_equal(udp_receive(fd, buffer, sizeof buffer, &from, NULL), -EAGAIN);
                len = sizeof size;
                getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, &len);
                assert_true(size >= 16 << 20); /* forced past net.core.rmem_max */
        }
        assert_int_equal(udp_open(&other, ours.port, 0), -EADDRINUSE);
        /* taken in one family is taken */
        close(ours.v4);
        ours.v4 = -1;
        assert_int_equal(udp_open(&other, ours.port, 0), -EADDRINUSE);
        uint16_t port = ours.port;
        udp_close(&ours);
        assert_int_equal(udp_open(&ours, port, 0), 0); /* and nothing of the failed tries holds it */
        assert_int_equal(ours.port, port);
}

static uint32_t mark_of(int fd)
{
        uint32_t mark = 0;
        socklen_t len = sizeof mark;

        assert_return_code(getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &len), errno);
        return mark;
}

static void test_mark(void **state)
{
        struct udp_sockets marked;

        (void)state;
        need_namespace();
        assert_int_equal(udp_open(&marked, 0, 0xfffffff0), 0);
        assert_int_equal(mark_of(marked.v4), 0xfffffff0);
        assert_int_equal(mark_of(marked.v6), 0xfffffff0);
        assert_int_equal(udp_set_mark(&marked, 0), 0);
        assert_int_equal(mark_of(marked.v4), 0);
        assert_int_equal(mark_of(marked.v6), 0);
        udp_close(&marked);
        assert_int_equal(marked.v4, -1);
}

static const struct {
        const char *first, *second;
} families[] = { { "192.0.2.1", "192.0.2.2" }, { "2001:db8::1", "2001:db8::2" } };

/* They speak from and to the second address; our answer comes from it, though the first would be chosen. */
static void test_source_sticks(void **state)
{
        struct endpoint from, back;
        bool gone;

        (void)state;
        need_namespace();
        for (size_t i = 0; i < 2; i++) {
                struct endpoint to = { .remote = address(families[i].second, ours.port) };
                struct endpoint first = { .remote = address(families[i].first, ours.port) };
                assert_int_equal(udp_send(&theirs, &to, "hello", 5, &gone), 0);
                assert_false(gone);
                assert_int_equal(receive(socket_of(&ours, to.remote.family), sizeof buffer, &from), 5);
                assert_memory_equal(buffer, "hello", 5);
                assert_int_not_equal(from.source_ifindex, 0);
                /* answered to another of their addresses, where the kernel would choose that as source too */
                from.remote = first.remote;
                from.remote.in.sin_port = htons(theirs.port);
                assert_int_equal(udp_send(&ours, &from, "answer", 6, &gone), 0);
                assert_false(gone);
                assert_int_equal(receive(socket_of(&theirs, to.remote.family), sizeof buffer, &back), 6);
                assert_address(&back.remote, families[i].second, ours.port);
                /* and without a source the kernel does choose: the check above can fail */
                struct endpoint plain = { .remote = from.remote };
                assert_int_equal(udp_send(&ours, &plain, "answer", 6, &gone), 0);
                assert_int_equal(receive(socket_of(&theirs, to.remote.family), sizeof buffer, &back), 6);
                assert_address(&back.remote, families[i].first, ours.port);
        }
}

static void put_source(struct endpoint *to, const char *text)
{
        union socket_address source = address(text, 0);

        if (source.family == AF_INET) to->source.in = source.in.sin_addr;
        else to->source.in6 = source.in6.sin6_addr;
}

static void test_source_is_let_go(void **state)
{
        static const struct {
                const char *remote, *source;
                uint32_t ifindex;
        } rows[] = {
                { "192.0.2.1", "192.0.2.77", 0 },       { "192.0.2.1", "192.0.2.77", 1 },
                { "192.0.2.1", "192.0.2.1", 4444 },     { "192.0.2.1", "0.0.0.0", 4444 },
                { "2001:db8::1", "2001:db8::77", 0 },   { "2001:db8::1", "2001:db8::77", 1 },
                { "2001:db8::1", "2001:db8::1", 4444 }, { "2001:db8::1", "::", 4444 },
        };

        (void)state;
        need_namespace();
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct endpoint to = { .remote = address(rows[i].remote, theirs.port) }, back;
                bool gone = false;
                put_source(&to, rows[i].source);
                to.source_ifindex = rows[i].ifindex;
                int error = udp_send(&ours, &to, "still here", 10, &gone);
                if (error || !gone) fail_msg("row %zu: %d, %s", i, error, gone ? "gone" : "not gone");
                static const struct endpoint none;
                assert_memory_equal(&to.source, &none.source, sizeof to.source);
                assert_int_equal(to.source_ifindex, 0);
                assert_int_equal(receive(socket_of(&theirs, to.remote.family), sizeof buffer, &back), 10);
        }
}

/* An address that was there when the peer spoke, and is removed from the host. */
static void test_source_removed(void **state)
{
        struct endpoint from, back;
        bool gone;

        (void)state;
        need_namespace();
        for (size_t i = 0; i < 2; i++) {
                struct endpoint to = { .remote = address(families[i].second, ours.port) };
                put_source(&to, families[i].first);
                assert_int_equal(udp_send(&theirs, &to, "hello", 5, &gone), 0);
                assert_int_equal(receive(socket_of(&ours, to.remote.family), sizeof buffer, &from), 5);
                char command[128];
                snprintf(command, sizeof command, "ip addr del %s/%d dev lo", families[i].second, i ? 128 : 32);
                assert_int_equal(shell(command, NULL, 0), 0);
                assert_int_equal(udp_send(&ours, &from, "answer", 6, &gone), 0);
                assert_true(gone);
                assert_int_equal(receive(socket_of(&theirs, to.remote.family), sizeof buffer, &back), 6);
                assert_int_equal(udp_send(&ours, &from, "again", 5, &gone), 0);
                assert_false(gone); /* it was forgotten */
                assert_int_equal(receive(socket_of(&theirs, to.remote.family), sizeof buffer, &back), 5);
        }
}

static void test_sizes(void **state)
{
        struct endpoint to = { .remote = address("192.0.2.1", ours.port) }, from;
        bool gone;

        (void)state;
        need_namespace();
        memset(buffer, 7, sizeof buffer);
        assert_int_equal(udp_send(&theirs, &to, buffer, 65508, &gone), -EMSGSIZE);
        assert_int_equal(udp_send(&theirs, &to, buffer, 65507, &gone), 0);
        assert_int_equal(receive(ours.v4, sizeof buffer, &from), 65507);
        assert_int_equal(udp_send(&theirs, &to, buffer, 101, &gone), 0);
        assert_int_equal(udp_send(&theirs, &to, buffer, 100, &gone), 0);
        assert_int_equal(udp_send(&theirs, &to, buffer, 0, &gone), 0);
        assert_int_equal(receive(ours.v4, 100, &from), -EMSGSIZE); /* cut short: gone, and the loop goes on */
        assert_int_equal(receive(ours.v4, 100, &from), 100);
        assert_int_equal(receive(ours.v4, 100, &from), 0);
}

static void test_errors_are_told(void **state)
{
        struct endpoint to = { .remote = address("198.51.100.1", 9) };
        struct udp_sockets one = { .v4 = ours.v4, .v6 = -1 };
        bool gone;

        (void)state;
        need_namespace();
        assert_int_equal(udp_send(&ours, &to, "x", 1, &gone), -ENETUNREACH); /* no route, and no source to blame */
        assert_false(gone);
        put_source(&to, "192.0.2.1");
        assert_int_equal(udp_send(&ours, &to, "x", 1, &gone), -ENETUNREACH);
        to.remote = address("2001:db8::1", 9);
        assert_int_equal(udp_send(&one, &to, "x", 1, &gone), -EAFNOSUPPORT);
        to.remote = (union socket_address){ 0 };
        assert_int_equal(udp_send(&ours, &to, "x", 1, &gone), -EAFNOSUPPORT);
}

/* An ICMP error of an earlier datagram makes the next send fail in its place: that one is sent again. */
static void test_stale_error(void **state)
{
        struct endpoint to = { .remote = address("192.0.2.1", theirs.port) }, from;
        union socket_address closed = address("192.0.2.2", 9);
        bool gone;

        (void)state;
        need_namespace();
        assert_return_code(connect(ours.v4, &closed.sa, sizeof closed.in), errno);
        assert_return_code(send(ours.v4, "x", 1, 0), errno);
        assert_int_equal(udp_send(&ours, &to, "hello", 5, &gone), 0);
        assert_false(gone);
        assert_int_equal(receive(theirs.v4, sizeof buffer, &from), 5);
}

/* The kernel's count of what it dropped comes with the next datagram. */
static void test_overflow(void **state)
{
        struct endpoint to = { .remote = address("192.0.2.1", ours.port) }, from;
        uint32_t overflow = 0;
        int small = 4096, sent = 0;
        bool gone;

        (void)state;
        need_namespace();
        assert_return_code(setsockopt(ours.v4, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), errno);
        for (int i = 0; i < 50; i++)
                sent += udp_send(&theirs, &to, buffer, 1000, &gone) == 0;
        int got = 0;
        while (udp_receive(ours.v4, buffer, sizeof buffer, &from, &overflow) > 0)
                got++;
        assert_true(got < sent);
        assert_int_equal(udp_send(&theirs, &to, buffer, 10, &gone), 0);
        assert_int_equal(udp_receive(ours.v4, buffer, sizeof buffer, &from, &overflow), 10);
        assert_int_equal(overflow, sent - got);
}

/* A host without IPv6 addresses at all still gets its IPv4 socket, and an IPv4 sender is never seen as mapped. */
static void test_families_are_apart(void **state)
{
        struct endpoint to = { .remote = address("127.0.0.1", ours.port) }, from;
        bool gone;

        (void)state;
        need_namespace();
        assert_int_equal(udp_send(&theirs, &to, "4", 1, &gone), 0);
        assert_int_equal(receive(ours.v4, sizeof buffer, &from), 1);
        assert_address(&from.remote, "127.0.0.1", theirs.port);
        assert_int_equal(udp_receive(ours.v6, buffer, sizeof buffer, &from, NULL), -EAGAIN);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_one_port_for_both, begin, end),
                cmocka_unit_test_setup_teardown(test_mark, begin, end),
                cmocka_unit_test_setup_teardown(test_source_sticks, begin, end),
                cmocka_unit_test_setup_teardown(test_source_is_let_go, begin, end),
                cmocka_unit_test_setup_teardown(test_source_removed, begin, end),
                cmocka_unit_test_setup_teardown(test_sizes, begin, end),
                cmocka_unit_test_setup_teardown(test_errors_are_told, begin, end),
                cmocka_unit_test_setup_teardown(test_stale_error, begin, end),
                cmocka_unit_test_setup_teardown(test_overflow, begin, end),
                cmocka_unit_test_setup_teardown(test_families_are_apart, begin, end),
        };

        usable = netns_enter();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
