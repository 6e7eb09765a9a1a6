/* The data plane over loopback, one step at a time. */
#include "tests/unit/data/sides.h"

#include <net/if.h>

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
                data_fini(&sides[i].plane);
                udp_close(&sides[i].plane.sockets);
                close(sides[i].plane.tun);
                close(sides[i].user);
        }
        return 0;
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
                        if (ready[0].revents) assert_in_range(data_outbound(plane, at.now), 0, 1);
                        if (ready[1].revents) assert_in_range(data_inbound(plane, at.now, false), 0, 1);
                        data_attend(plane, at);
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
        assert_int_equal(engine_dropped(sides[side].plane.engine, reason), count);
}

/* What came by the link itself is nobody's word: no handshake, no new endpoint, no packet. */
static void test_datagrams_out_of_the_link(void **state)
{
        uint8_t packet[VNET_HEADER_LEN + 100];
        size_t len = packet_make(packet, 1, 2, 100, 7);

        (void)state;
        sides[1].plane.link_index = if_nametoindex("lo"); /* where all of it comes from here */
        assert_int_equal(send(sides[0].user, packet, len, 0), len);
        run();
        assert_int_equal(sides[1].sessions_up, 0);
        assert_true(engine_dropped(sides[1].plane.engine, DROP_RX_LOOP) > 0);
        sides[1].plane.link_index = 0;
        run();
        at.now += 6000000000;
        data_tick(&sides[0].plane, at);
        run();
        assert_arrives(&sides[1], packet, len);
}

/* One that we sent, led into the link by a route; one from another port, or to another, is a user's. */
static void test_own_datagrams_into_the_link(void **state)
{
        const struct prefix loopback = { .family = AF_INET, .length = 8, .bytes = { 127 } };
        uint16_t own = sides[0].plane.sockets.port, other = sides[1].plane.sockets.port;
        const struct {
                uint16_t from, to;
                uint8_t last, protocol;
                bool loop;
        } rows[] = { { own, other, 1, IPPROTO_UDP, true },
                     { (uint16_t)(own ^ 1), other, 1, IPPROTO_UDP, false },
                     { own, (uint16_t)(other ^ 1), 1, IPPROTO_UDP, false },
                     { own, other, 2, IPPROTO_UDP, false },
                     { own, other, 1, IPPROTO_TCP, false } };
        uint8_t packet[VNET_HEADER_LEN + 100], *ip = packet + VNET_HEADER_LEN;
        uint64_t loops = 0;

        (void)state;
        assert_true(engine_allowed_ip_add(sides[0].plane.engine, sides[0].peer, &loopback));
        size_t len = packet_make(packet, 1, 2, 100, 7);
        assert_int_equal(send(sides[0].user, packet, len, 0), len);
        run();
        assert_arrives(&sides[1], packet, len);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                ip[9] = rows[i].protocol;
                memcpy(ip + 16, (uint8_t[]){ 127, 0, 0, rows[i].last }, 4);
                memcpy(ip + 20, (uint16_t[]){ htons(rows[i].from), htons(rows[i].to) }, 4);
                assert_int_equal(send(sides[0].user, packet, len, 0), len);
                run();
                loops += rows[i].loop;
                expect_drop(0, DROP_TX_LOOP, loops);
                if (!rows[i].loop) assert_arrives(&sides[1], packet, len);
        }
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
        assert_int_equal(data_outbound(plane, at.now), 0);
        signal(SIGPIPE, SIG_IGN);
        struct pollfd ready = { .fd = sides[0].plane.sockets.v4, .events = POLLIN };
        assert_int_equal(poll(&ready, 1, 1000), 1);
        assert_int_equal(data_inbound(&sides[0].plane, at.now, false), 1);
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
        len = packet_make(packet, 1, 2, 65500, 0);
        assert_int_equal(send(sides[0].user, packet, len, 0), len);
        run();
        expect_drop(0, DROP_TX_TOO_BIG, 1);
        len = packet_make(small, 1, 2, 64, 1); /* and the next one goes */
        assert_int_equal(send(sides[0].user, small, len, 0), len);
        run();
        assert_arrives(&sides[1], small, len);
}

static void wait_for_session(void)
{
        uint8_t packet[VNET_HEADER_LEN + 64];
        size_t len = packet_make(packet, 1, 2, 64, 0);

        assert_int_equal(send(sides[0].user, packet, len, 0), len);
        run();
        assert_arrives(&sides[1], packet, len);
}

enum { PAYLOAD = 60 * 1360 / 2 + 77, SEGMENT = 1360 };

/* Split, sealed, sent as a batch, opened; and where the TUN takes no super-packets, written one by one. */
static void test_super_packet_comes_as_segments(void **state)
{
        static uint8_t super[VNET_HEADER_LEN + 65535], got[VNET_HEADER_LEN + PACKET_MAX];
        size_t len = super_make(super, PAYLOAD, SEGMENT);
        uint32_t done = 0;

        (void)state;
        wait_for_session();
        assert_int_equal(send(sides[0].user, super, len, 0), len);
        run();
        while (done < PAYLOAD) {
                size_t here = PAYLOAD - done < SEGMENT ? PAYLOAD - done : SEGMENT;
                uint32_t seq;
                assert_int_equal(recv(sides[1].user, got, sizeof got, 0), VNET_HEADER_LEN + 40 + here);
                memcpy(&seq, got + VNET_HEADER_LEN + 24, 4);
                assert_int_equal(ntohl(seq), done);
                assert_int_equal(got[0], 0); /* a whole checksum, which the vnet header need not speak of */
                assert_memory_equal(got + VNET_HEADER_LEN + 40, super + VNET_HEADER_LEN + 40 + done, here);
                done += here;
        }
        assert_int_equal(recv(sides[1].user, got, 1, 0), -1);
}

/* And where it does, in one write, as it was. */
static void test_super_packet_comes_as_one(void **state)
{
        static uint8_t super[VNET_HEADER_LEN + 65535], sent[VNET_HEADER_LEN + 65535], got[VNET_HEADER_LEN + PACKET_MAX];
        size_t len = super_make(super, PAYLOAD, SEGMENT);
        struct virtio_net_hdr vnet;

        (void)state;
        memcpy(sent, super, len);
        wait_for_session();
        sides[1].plane.merge = OFFLOAD_TCP4;
        assert_int_equal(send(sides[0].user, sent, len, 0), len);
        run();
        assert_int_equal(recv(sides[1].user, got, sizeof got, 0), len);
        memcpy(&vnet, got, sizeof vnet);
        assert_int_equal(vnet.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
        assert_int_equal(vnet.gso_size, SEGMENT);
        assert_memory_equal(got + VNET_HEADER_LEN, super + VNET_HEADER_LEN, 20);
        assert_memory_equal(got + VNET_HEADER_LEN + 40, super + VNET_HEADER_LEN + 40, PAYLOAD);
        assert_int_equal(recv(sides[1].user, got, 1, 0), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_every_size_both_ways, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_datagrams_out_of_the_link, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_own_datagrams_into_the_link, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_drops_are_counted_by_reason, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_too_big_for_the_path, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_super_packet_comes_as_segments, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_super_packet_comes_as_one, set_up, tear_down),
        };

        if (sodium_init() < 0) return 1;
        return cmocka_run_group_tests_name("data plane", tests, NULL, NULL);
}
