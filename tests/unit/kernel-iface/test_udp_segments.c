/* Batches of datagrams over loopback: whole, in order, with source and ECN, with and without the kernel's help. */
#include "tests/unit/kernel-iface/udp_kernel.h"

static void try_size(int family, unsigned count, size_t segment, size_t last)
{
        size_t len = (count - 1) * segment + last, most = UDP_BATCH_BYTES / segment;
        bool gso = ours.features & UDP_GSO_BOTH, gro = theirs.features & UDP_GRO_BOTH;

        if (most > UDP_BATCH_SEGMENTS) most = UDP_BATCH_SEGMENTS;
        if (most < 1 || !gso) most = 1;
        kernel_is_sound();
        struct arrival all = transfer(family, len, segment, 0);
        assert_int_equal(kernel.calls, (count + most - 1) / most);
        assert_true(kernel.largest <= 65000);
        assert_true(kernel.largest_count <= 64);
        if (count > 1 && most > 1) assert_true(kernel.batches > 0);
        assert_int_equal(all.coalesced, gro ? kernel.batches : 0);
        assert_int_equal(all.reads, gro ? kernel.calls : count);
}

static void try_sizes(int family)
{
        static const unsigned counts[] = { 1, 2, 3, 44, 45, 46, 63, 64, 65, 127, 128, 129, 200 };
        static const size_t segments[] = { 1,    2,    31,    32,    100,   1015,  1016,  1452,
                                           1500, 9000, 32499, 32500, 32501, 40000, 65000, 65487 };

        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
                for (size_t j = 0; j < sizeof segments / sizeof segments[0]; j++) {
                        if (counts[i] * segments[j] > BYTES_MAX) continue;
                        try_size(family, counts[i], segments[j], segments[j]);
                        try_size(family, counts[i], segments[j], 1);
                        try_size(family, counts[i], segments[j], (segments[j] + 1) / 2);
                }
}

static void test_batches_arrive(void **state)
{
        (void)state;
        need_namespace();
        assert_int_equal(ours.features, UDP_GSO_BOTH | UDP_ECN4 | UDP_ECN6);
        for (int gro = 0; gro < 2; gro++) {
                if (gro) udp_enable_gro(&theirs);
                assert_int_equal(theirs.features & UDP_GRO_BOTH, gro ? UDP_GRO_BOTH : 0);
                for (int family = 0; family < 2; family++) {
                        ours.features |= UDP_GSO_BOTH;
                        try_sizes(family);
                        ours.features &= ~(uint32_t)UDP_GSO_BOTH;
                        try_sizes(family);
                }
        }
}

static void test_one_or_none(void **state)
{
        struct endpoint to = to_them(0), nowhere = { 0 };
        unsigned sent = 7;
        bool gone = true;

        (void)state;
        need_namespace();
        assert_int_equal(udp_send_segments(&ours, &to, bytes, 0, 0, 0, &gone, &sent), 0);
        assert_int_equal(sent, 0);
        assert_false(readable(theirs.v4));
        assert_int_equal(udp_send_segments(&ours, &to, bytes, 3000, 0, 0, &gone, &sent), 0);
        assert_int_equal(sent, 1);
        assert_int_equal(arrive(theirs.v4, 3000).datagrams, 1);
        assert_int_equal(udp_send_segments(&ours, &nowhere, bytes, 100, 10, 0, &gone, &sent), -EAFNOSUPPORT);
        assert_int_equal(sent, 0);
        /* too large for any datagram: each fails by itself, and the short one at the end goes */
        assert_int_equal(udp_send_segments(&ours, &to, bytes, 2 * 65508 + 5, 65508, 0, &gone, &sent), -EMSGSIZE);
        assert_int_equal(sent, 1);
        assert_int_equal(arrive(theirs.v4, 5).len, 5);
        assert_int_equal(ours.features & UDP_GSO_BOTH, UDP_GSO_BOTH);
}

/* By the kernel itself: EMSGSIZE (EINVAL before) for a segment above the MTU, EINVAL for UDP without a checksum. */
static void test_real_refusals(void **state)
{
        int on = 1;

        (void)state;
        need_namespace();
        shell("ip link set lo mtu 1500", NULL, 0);
        for (int family = 0; family < 2; family++) {
                kernel_is_sound();
                transfer(family, 20 * 4000 + 17, 4000, 0);
                assert_int_equal(kernel.calls - kernel.batches, 21);
                ours.features |= UDP_GSO_BOTH;
                kernel_is_sound();
                transfer(family, 100 * 1452, 1452, 0);
                assert_int_equal(kernel.calls, 3);
        }
        assert_return_code(setsockopt(ours.v4, SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), errno);
        transfer(0, 100 * 1400, 1400, 0);
        assert_int_equal(ours.features & UDP_GSO_BOTH, UDP_GSO6);
}

/* One that reads a datagram at a time is never given several as one. */
static void test_plain_receive(void **state)
{
        struct endpoint to = to_them(0), from;
        unsigned sent;
        bool gone;

        (void)state;
        need_namespace();
        for (int gro = 0; gro < 2; gro++) {
                if (gro) udp_enable_gro(&theirs);
                assert_int_equal(udp_send_segments(&ours, &to, bytes, 300, 100, 3, &gone, &sent), 0);
                assert_int_equal(udp_send_segments(&ours, &to, bytes, 100, 100, 3, &gone, &sent), 0);
                for (int i = 0; i < 3 && !gro; i++)
                        assert_int_equal(udp_receive(theirs.v4, got, sizeof got, &from, NULL), 100);
                if (gro) assert_int_equal(udp_receive(theirs.v4, got, sizeof got, &from, NULL), -EMSGSIZE);
                assert_int_equal(udp_receive(theirs.v4, got, sizeof got, &from, NULL), 100);
                assert_int_equal(udp_receive(theirs.v4, got, sizeof got, &from, NULL), -EAGAIN);
        }
}

/* A read larger than the buffer is lost, whole, and the next is fine. */
static void test_cut_short(void **state)
{
        struct endpoint from;
        uint16_t segment;
        uint8_t ecn;

        (void)state;
        need_namespace();
        udp_enable_gro(&theirs);
        for (int family = 0; family < 2; family++) {
                struct endpoint to = to_them(family);
                int fd = fd_of(&theirs, family);
                unsigned sent;
                bool gone;
                assert_int_equal(udp_send_segments(&ours, &to, bytes, 3000, 1000, 0, &gone, &sent), 0);
                assert_int_equal(udp_send_segments(&ours, &to, bytes, 2000, 0, 0, &gone, &sent), 0);
                assert_int_equal(udp_send_segments(&ours, &to, bytes, 1500, 1000, 0, &gone, &sent), 0);
                assert_int_equal(udp_receive_segments(fd, got, 1999, &from, &segment, &ecn, NULL), -EMSGSIZE);
                assert_int_equal(udp_receive_segments(fd, got, 1999, &from, &segment, &ecn, NULL), -EMSGSIZE);
                assert_int_equal(udp_receive_segments(fd, got, 1999, &from, &segment, &ecn, NULL), 1500);
                assert_int_equal(segment, 1000);
                assert_int_equal(udp_receive_segments(fd, got, 1999, &from, &segment, &ecn, NULL), -EAGAIN);
        }
}

/* The outer header's other six bits are 0 on the way out, and not taken for ECN on the way in. */
static void test_ecn(void **state)
{
        int class = 0xb9;

        (void)state;
        need_namespace();
        for (int gro = 0; gro < 2; gro++) {
                if (gro) udp_enable_gro(&theirs);
                for (int family = 0; family < 2; family++)
                        for (uint8_t ecn = 0; ecn < 4; ecn++) {
                                assert_int_equal(transfer(family, 1000, 1000, ecn).ecn, ecn);
                                assert_int_equal(transfer(family, 64 * 1000, 1000, ecn).ecn, ecn);
                                assert_int_equal(transfer(family, 64 * 1000, 1000, ecn | 0xfc).ecn, ecn);
                                assert_int_equal(kernel.traffic_class, ecn);
                        }
        }
        assert_return_code(setsockopt(ours.v4, IPPROTO_IP, IP_TOS, &class, sizeof class), errno);
        assert_return_code(setsockopt(ours.v6, IPPROTO_IPV6, IPV6_TCLASS, &class, sizeof class), errno);
        assert_int_equal(transfer(0, 64 * 1000, 1000, 0).ecn, 1);
        assert_int_equal(transfer(1, 64 * 1000, 1000, 0).ecn, 1);
}

/* A batch goes out from the source that it is told, with ECN bits beside it; the reader is told which address of its it
 * came to. */
static void test_source_sticks(void **state)
{
        (void)state;
        need_namespace();
        udp_enable_gro(&theirs);
        for (int family = 0; family < 2; family++) {
                struct endpoint to = to_them(family), seen = { 0 };
                unsigned sent;
                bool gone;
                put_source(&to, families[family].second);
                to.source_ifindex = if_nametoindex("lo");
                assert_int_equal(udp_send_segments(&ours, &to, bytes, 100000, 1000, 1, &gone, &sent), 0);
                assert_false(gone);
                struct arrival all = arrive(fd_of(&theirs, family), 1000);
                assert_int_equal(all.len, 100000);
                assert_int_equal(all.ecn, 1);
                assert_true(came_from(&all.from, families[family].second));
                put_source(&seen, families[family].first);
                assert_memory_equal(&all.from.source, &seen.source, sizeof seen.source);
                assert_int_equal(all.from.source_ifindex, to.source_ifindex);
                /* without a source it is the other: the check above can fail */
                all = transfer(family, 100000, 1000, 1);
                assert_false(came_from(&all.from, families[family].second));
        }
}

/* By the kernel itself: ENETUNREACH, EINVAL, ENODEV. The batch goes out all the same, and UDP_SEGMENT is not blamed. */
static void test_source_is_let_go(void **state)
{
        static const struct {
                int family;
                const char *source;
                uint32_t ifindex;
        } rows[] = {
                { 0, "192.0.2.77", 0 },   { 0, "192.0.2.77", 1 },   { 0, "192.0.2.1", 4444 },   { 0, "0.0.0.0", 4444 },
                { 1, "2001:db8::77", 0 }, { 1, "2001:db8::77", 1 }, { 1, "2001:db8::1", 4444 }, { 1, "::", 4444 },
        };
        static const struct endpoint none;

        (void)state;
        need_namespace();
        udp_enable_gro(&theirs);
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct endpoint to = to_them(rows[i].family);
                unsigned sent;
                bool gone = false;
                put_source(&to, rows[i].source);
                to.source_ifindex = rows[i].ifindex;
                kernel_is_sound();
                int error = udp_send_segments(&ours, &to, bytes, 200000, 1000, 2, &gone, &sent);
                if (error || !gone || sent != 200) fail_msg("row %zu: %d, %u, %d", i, error, sent, gone);
                assert_memory_equal(&to.source, &none.source, sizeof to.source);
                assert_int_equal(to.source_ifindex, 0);
                struct arrival all = arrive(fd_of(&theirs, rows[i].family), 1000);
                assert_int_equal(all.len, 200000);
                assert_memory_equal(got, bytes, all.len);
                assert_int_equal(ours.features, UDP_GSO_BOTH | UDP_ECN4 | UDP_ECN6);
                assert_true(kernel.batches >= 4);
                assert_true(kernel.calls <= 7); /* not one by one */
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_batches_arrive, begin, end),
                cmocka_unit_test_setup_teardown(test_one_or_none, begin, end),
                cmocka_unit_test_setup_teardown(test_real_refusals, begin, end),
                cmocka_unit_test_setup_teardown(test_plain_receive, begin, end),
                cmocka_unit_test_setup_teardown(test_cut_short, begin, end),
                cmocka_unit_test_setup_teardown(test_ecn, begin, end),
                cmocka_unit_test_setup_teardown(test_source_sticks, begin, end),
                cmocka_unit_test_setup_teardown(test_source_is_let_go, begin, end),
        };

        usable = netns_enter();
        fill();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
