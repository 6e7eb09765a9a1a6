/* The data plane over loopback: two planes, each with a socketpair for its TUN, real UDP sockets between them. */
#include "daemon/data/data.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static const struct engine_config limits = { .max_peers = 4, .max_prefixes = 8, .max_staged = 16, .staged_size = 2048 };

struct side {
        struct data_plane plane;
        struct key private_key, public_key;
        struct peer *peer;
        int user; /* the far end of the TUN */
        unsigned sessions_up;
        uint8_t slab[DATA_SLAB_SIZE];
};

static struct side sides[2];
static struct moment at = { 1000000000, 1700000000000000000 };

static void fill(void *context, void *bytes, size_t len)
{
        (void)context;
        randombytes_buf(bytes, len);
}

static void on_event(void *context, const struct effect *effect)
{
        struct side *side = context;

        side->sessions_up += effect->type == EFFECT_SESSION_UP;
}

static void side_open(struct side *side)
{
        struct engine_random random = { .fill = fill };
        size_t size = engine_memory(&limits);
        void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        int pair[2];

        assert_ptr_not_equal(memory, MAP_FAILED);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
        key_generate_private(&side->private_key);
        assert_true(key_public_from_private(&side->public_key, &side->private_key));
        side->user = pair[1];
        side->plane = (struct data_plane){ .engine = engine_new(memory, size, &limits, &random, at.now),
                                           .tun = pair[0],
                                           .event = on_event,
                                           .event_context = side,
                                           .slab = side->slab };
        assert_non_null(side->plane.engine);
        assert_int_equal(udp_open(&side->plane.sockets, 0, 0), 0);
        engine_set_private_key(side->plane.engine, at.now, &side->private_key);
        engine_set_mtu(side->plane.engine, 1420);
        engine_set_up(side->plane.engine, at.now, true);
}

static void know(struct side *side, const struct side *other, uint8_t last, bool with_endpoint)
{
        struct prefix prefix = { .family = AF_INET, .length = 32, .bytes = { 10, 0, 0, last } };
        union socket_address remote = { .in = { .sin_family = AF_INET,
                                                .sin_port = htons(other->plane.sockets.port),
                                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };

        side->peer = engine_peer_add(side->plane.engine, at.now, &other->public_key);
        assert_non_null(side->peer);
        assert_true(engine_allowed_ip_add(side->plane.engine, side->peer, &prefix));
        if (with_endpoint) engine_peer_set_endpoint(side->peer, &remote);
}

static int set_up(void **state)
{
        (void)state;
        memset(sides, 0, sizeof sides);
        for (int i = 0; i < 2; i++)
                side_open(&sides[i]);
        know(&sides[0], &sides[1], 2, true);
        know(&sides[1], &sides[0], 1, false);
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        for (int i = 0; i < 2; i++) {
                udp_close(&sides[i].plane.sockets);
                close(sides[i].plane.tun);
                close(sides[i].user);
        }
        return 0;
}

/* [empty vnet header][IPv4 header of 20 bytes][a pattern] */
static size_t packet_make(uint8_t *out, uint8_t from, uint8_t to, size_t len, uint8_t pattern)
{
        uint8_t *ip = out + VNET_HEADER_LEN;

        memset(out, 0, VNET_HEADER_LEN + 20);
        ip[0] = 0x45;
        ip[2] = (uint8_t)(len >> 8);
        ip[3] = (uint8_t)len;
        ip[8] = 64;
        memcpy(ip + 12, (uint8_t[]){ 10, 0, 0, from, 10, 0, 0, to }, 8);
        for (size_t i = 20; i < len; i++)
                ip[i] = (uint8_t)(pattern + i);
        return VNET_HEADER_LEN + len;
}

/* Until nothing moves any more. */
static void run(void)
{
        for (bool moved = true; moved;) {
                moved = false;
                for (int i = 0; i < 2; i++) {
                        struct data_plane *plane = &sides[i].plane;
                        struct pollfd ready[2] = { { .fd = plane->tun, .events = POLLIN },
                                                   { .fd = plane->sockets.v4, .events = POLLIN } };
                        if (poll(ready, 2, 20) <= 0) continue;
                        moved = true;
                        if (ready[0].revents) assert_int_equal(data_outbound(plane, at), 0);
                        if (ready[1].revents) assert_int_equal(data_inbound(plane, at, plane->sockets.v4), 0);
                }
        }
}

static void assert_arrives(struct side *to, const uint8_t *packet, size_t len)
{
        uint8_t got[VNET_HEADER_LEN + PACKET_MAX];

        assert_int_equal(recv(to->user, got, sizeof got, 0), len);
        assert_memory_equal(got + VNET_HEADER_LEN, packet + VNET_HEADER_LEN, len - VNET_HEADER_LEN);
}

/* The first packets wait for the handshake, come in order, and every size comes as it was. */
static void test_every_size_both_ways(void **state)
{
        static const size_t sizes[] = { 20, 21, 35, 36, 37, 100, 1399, 1419, 1420 };
        uint8_t packets[9][VNET_HEADER_LEN + 1420];

        (void)state;
        for (int direction = 0; direction < 2; direction++) {
                struct side *from = &sides[direction], *to = &sides[!direction];
                for (unsigned i = 0; i < 9; i++) {
                        size_t len =
                                packet_make(packets[i], direction ? 2 : 1, direction ? 1 : 2, sizes[i], (uint8_t)i);
                        assert_int_equal(send(from->user, packets[i], len, 0), len);
                }
                run();
                for (unsigned i = 0; i < 9; i++)
                        assert_arrives(to, packets[i], VNET_HEADER_LEN + sizes[i]);
        }
        assert_int_equal(sides[0].sessions_up, 1);
        assert_int_equal(sides[1].sessions_up, 1);
}

static void expect_drop(int side, enum drop reason, uint64_t count)
{
        assert_int_equal(engine_drops(sides[side].plane.engine)[reason], count);
}

static void test_drops_are_counted_by_reason(void **state)
{
        uint8_t packet[VNET_HEADER_LEN + 64], byte;
        size_t len = packet_make(packet, 1, 9, 64, 0);

        (void)state;
        assert_int_equal(send(sides[0].user, packet, len, 0), len); /* no peer has 10.0.0.9 */
        len = packet_make(packet, 7, 2, 64, 0);
        assert_int_equal(send(sides[0].user, packet, len, 0), len); /* 10.0.0.7 is not ours to be */
        packet[VNET_HEADER_LEN] = 0x15;
        assert_int_equal(send(sides[0].user, packet, len, 0), len); /* not IP */
        assert_int_equal(send(sides[0].user, packet, 3, 0), 3);     /* not even a vnet header */
        run();
        expect_drop(0, DROP_TX_NO_PEER, 1);
        expect_drop(0, DROP_TX_NOT_IP, 2);
        expect_drop(1, DROP_RX_SPOOFED_SOURCE, 1);
        assert_int_equal(recv(sides[1].user, &byte, 1, 0), -1);
        len = packet_make(packet, 2, 1, 64, 0);
        shutdown(sides[0].user, SHUT_RD); /* the interface takes nothing any more */
        close(sides[0].user);
        assert_int_equal(send(sides[1].user, packet, len, MSG_NOSIGNAL), len);
        struct data_plane *plane = &sides[1].plane;
        assert_int_equal(data_outbound(plane, at), 0);
        signal(SIGPIPE, SIG_IGN);
        struct pollfd ready = { .fd = sides[0].plane.sockets.v4, .events = POLLIN };
        assert_int_equal(poll(&ready, 1, 1000), 1);
        assert_int_equal(data_inbound(&sides[0].plane, at, sides[0].plane.sockets.v4), 0);
        expect_drop(0, DROP_RX_TUN_WRITE, 1);
        sides[0].user = -1;
}

static void test_too_big_for_the_path(void **state)
{
        static uint8_t packet[VNET_HEADER_LEN + 65500];
        uint8_t small[VNET_HEADER_LEN + 64];
        size_t len = packet_make(small, 1, 2, 64, 0);

        (void)state;
        assert_int_equal(send(sides[0].user, small, len, 0), len);
        run();
        assert_arrives(&sides[1], small, len);
        int room = 1 << 20;
        setsockopt(sides[0].user, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        len = packet_make(packet, 1, 2, 65500, 0);
        assert_int_equal(send(sides[0].user, packet, len, 0), len);
        run();
        expect_drop(0, DROP_TX_TOO_BIG, 1);
        len = packet_make(small, 1, 2, 64, 1); /* and the next one goes */
        assert_int_equal(send(sides[0].user, small, len, 0), len);
        run();
        assert_arrives(&sides[1], small, len);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_every_size_both_ways, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_drops_are_counted_by_reason, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_too_big_for_the_path, set_up, tear_down),
        };

        if (sodium_init() < 0) return 1;
        return cmocka_run_group_tests_name("data plane", tests, NULL, NULL);
}
