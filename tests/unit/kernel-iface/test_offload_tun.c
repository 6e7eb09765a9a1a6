/* Super-packets of ours to the kernel's sockets, and of the kernel's sockets to us, through a TUN in a network
 * namespace of its own. We are 10.9.0.1 and fd00::1, the kernel is 10.9.0.2 and fd00::2. */
#include "kernel-iface/offload.h"
#include "tests/unit/kernel-iface/netns.h"
#include "tests/unit/kernel-iface/test_offload.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <netinet/udp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#ifndef UDP_SEGMENT
#        define UDP_SEGMENT 103
#endif

enum { SIZE = 1000, COUNT = 40, WAIT_MS = 5000 };

static bool usable;
static struct tun tun;
static unsigned reads, writes;
static uint8_t payload[65536], segments[COUNT][SIZE + 100], room[VNET_HEADER_LEN + 65536];

static int begin(void **state)
{
        (void)state;
        if (!usable) return 0;
        if (tun_open(&tun, "wgt")) return -1;
        writes = tun_probe_writes(tun.fd);
        reads = tun_probe_offloads(tun.fd);
        return shell("ip link set wgt addrgenmode none && ip addr add 10.9.0.2/24 dev wgt && "
                     "ip addr add fd00::2/64 dev wgt nodad && ip link set wgt up",
                     NULL, 0);
}

static int end(void **state)
{
        (void)state;
        if (usable) close(tun.fd);
        return 0;
}

static bool readable(int fd)
{
        struct pollfd ready = { .fd = fd, .events = POLLIN };

        return poll(&ready, 1, WAIT_MS) == 1;
}

static void test_probe(void **state)
{
        const unsigned tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;

        (void)state;
        if (!usable) skip();
        print_message("# reads %#x, writes %#x\n", reads, writes);
        assert_int_equal(reads & tso, tso);
        assert_int_equal(reads & ~(tso | 0x60), 0);
        assert_int_equal(writes & (OFFLOAD_TCP4 | OFFLOAD_TCP6), OFFLOAD_TCP4 | OFFLOAD_TCP6);
        /* a kernel that hands out UDP super-packets takes them, and the other way round: both came with 6.2 */
        assert_int_equal(!(reads & 0x60), !(writes & (OFFLOAD_UDP4 | OFFLOAD_UDP6)));
        assert_int_equal(tun_probe_offloads(-1), 0);
        assert_int_equal(tun_probe_writes(-1), 0);
        assert_int_equal(tun_probe_writes(tun.fd), writes); /* up, and nobody minds */
}

static bool takes(const struct shape *s)
{
        if (s->tcp) return writes & (s->four ? OFFLOAD_TCP4 : OFFLOAD_TCP6);
        return writes & (s->four ? OFFLOAD_UDP4 : OFFLOAD_UDP6);
}

/* COUNT segments of SIZE as one write. */
static void write_super(const struct shape *first)
{
        struct offload_packet packets[COUNT];
        struct offload_group groups[COUNT];
        struct iovec iov[COUNT + 1];
        struct shape s = *first;

        s.payload = SIZE;
        for (int i = 0; i < COUNT; i++) {
                if (i == COUNT - 1 && s.tcp) s.flags |= PSH;
                packets[i] = (struct offload_packet){ segments[i], build(&s, segments[i], payload + i * SIZE), 0 };
                s.seq += SIZE;
        }
        assert_int_equal(offload_coalesce(packets, COUNT, groups, writes), 1);
        assert_int_equal(tun_writev(tun.fd, iov, offload_group_iov(groups, packets, iov, COUNT + 1)), 0);
}

static void write_one(const struct shape *s)
{
        build(s, room + VNET_HEADER_LEN, payload);
        assert_int_equal(tun_write(tun.fd, room + VNET_HEADER_LEN, header_size(s) + s->payload), 0);
}

/* The next packet that is a `tcp` or UDP one from the kernel to us; whatever else it has to say is passed over. */
static size_t read_packet(const struct shape *s)
{
        uint8_t *packet = room + VNET_HEADER_LEN;

        for (;;) {
                assert_true(readable(tun.fd));
                ssize_t got = tun_read(tun.fd, room, sizeof room);
                assert_true(got > VNET_HEADER_LEN);
                if (packet[0] >> 4 != (s->four ? 4 : 6)) continue;
                if (packet[s->four ? 9 : 6] == (s->tcp ? IPPROTO_TCP : IPPROTO_UDP))
                        return (size_t)got - VNET_HEADER_LEN;
        }
}

static int open_socket(bool four, int type, uint16_t port)
{
        const struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
        const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
        int fd = socket(four ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0), on = 1;

        assert_return_code(fd, errno);
        if (!four) assert_return_code(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), errno);
        assert_return_code(four ? bind(fd, (const struct sockaddr *)&v4, sizeof v4)
                                : bind(fd, (const struct sockaddr *)&v6, sizeof v6),
                           errno);
        return fd;
}

/* Splits what was read; every segment must be right, and its payload be what follows at `from`. Answers how many bytes
 * of payload there were. */
static size_t take_segments(const struct shape *s, size_t len, size_t header_len, size_t from, unsigned *count)
{
        struct offload_split split;
        size_t taken = 0, got;
        uint8_t *segment;

        assert_int_not_equal(offload_split_begin(&split, room, room + VNET_HEADER_LEN, len), OFFLOAD_MALFORMED);
        *count = split.count;
        while (offload_split_next(&split, &segment, &got)) {
                size_t ip = ip_size(s);
                assert_int_equal(naive(segment + ip, got - ip, pseudo(s, segment, got - ip)), 0xffff);
                if (s->four) assert_int_equal(naive(segment, 20, 0), 0xffff);
                assert_memory_equal(segment + header_len, payload + from + taken, got - header_len);
                taken += got - header_len;
        }
        return taken;
}

/* ---- UDP --------------------------------------------------------------------------------------------------------- */

static void check_udp_in(bool four)
{
        struct shape s = plain_shape(four, false);
        uint8_t answer[SIZE + 1];

        if (!takes(&s)) return;
        int fd = open_socket(four, SOCK_DGRAM, 5000);
        write_super(&s);
        for (int i = 0; i < COUNT; i++) {
                assert_true(readable(fd));
                assert_int_equal(recv(fd, answer, sizeof answer, 0), SIZE);
                assert_memory_equal(answer, payload + i * SIZE, SIZE);
        }
        close(fd);
}

static void check_udp_out(bool four)
{
        const struct shape s = plain_shape(four, false);
        const struct sockaddr_in v4 = { AF_INET, htons(4000), { htonl(0x0a090001) }, { 0 } };
        const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
                                         .sin6_port = htons(4000),
                                         .sin6_addr.s6_addr = { 0xfd, [15] = 1 } };
        int fd = open_socket(four, SOCK_DGRAM, 5000), size = 500;
        unsigned count = 0;

        assert_return_code(four ? connect(fd, (const struct sockaddr *)&v4, sizeof v4)
                                : connect(fd, (const struct sockaddr *)&v6, sizeof v6),
                           errno);
        assert_return_code(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size), errno);
        assert_int_equal(send(fd, payload, 4900, 0), 4900);
        for (size_t from = 0; from < 4900;)
                from += take_segments(&s, read_packet(&s), header_size(&s), from, &count);
        if (reads & 0x60) assert_int_equal(count, 10);
        close(fd);
}

static void test_udp(void **state)
{
        (void)state;
        if (!usable) skip();
        for (int four = 0; four < 2; four++) {
                check_udp_in(four);
                check_udp_out(four);
        }
}

/* ---- TCP --------------------------------------------------------------------------------------------------------- */

/* Opens a connection to the kernel's socket by hand; the shape is then that of the next segment. */
static int shake_hands(struct shape *s, int listener)
{
        uint8_t *tcp = room + VNET_HEADER_LEN + ip_size(s);

        s->flags = SYN;
        s->ack = s->payload = s->option_words = 0;
        s->window = 65535;
        write_one(s);
        read_packet(s);
        assert_int_equal(tcp[13], SYN | ACK);
        s->ack = ((uint32_t)tcp[4] << 24 | (uint32_t)tcp[5] << 16 | (uint32_t)tcp[6] << 8 | tcp[7]) + 1;
        s->flags = ACK;
        s->seq++;
        write_one(s);
        assert_true(readable(listener));
        int fd = accept(listener, NULL, NULL);
        assert_return_code(fd, errno);
        return fd;
}

static void check_tcp(bool four)
{
        struct shape s = plain_shape(four, true);
        int listener = open_socket(four, SOCK_STREAM, 5000);
        static uint8_t answer[COUNT * SIZE];
        size_t from = 0, largest = 0;
        unsigned count;

        assert_return_code(listen(listener, 1), errno);
        int fd = shake_hands(&s, listener);
        write_super(&s);
        for (size_t got = 0; got < sizeof answer;) {
                assert_true(readable(fd));
                ssize_t more = recv(fd, answer + got, sizeof answer - got, 0);
                assert_true(more > 0);
                got += (size_t)more;
        }
        assert_memory_equal(answer, payload, sizeof answer);

        assert_int_equal(send(fd, payload, 4000, 0), 4000); /* less than its first window */
        while (from < 4000) {
                from += take_segments(&s, read_packet(&s), header_size(&s), from, &count);
                if (count > largest) largest = count;
        }
        assert_true(largest > 1);
        close(fd);
        close(listener);
}

static void test_tcp(void **state)
{
        (void)state;
        if (!usable) skip();
        check_tcp(true);
        check_tcp(false);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_probe, begin, end),
                cmocka_unit_test_setup_teardown(test_udp, begin, end),
                cmocka_unit_test_setup_teardown(test_tcp, begin, end),
        };

        usable = netns_enter();
        fill(payload, sizeof payload);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
