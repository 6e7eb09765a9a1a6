/* Batches of datagrams through a kernel that refuses some, and through one that knows no batches. */
#include "tests/unit/kernel-iface/udp_kernel.h"

/* Nothing may be lost of any of these, and the right feature goes. 200 datagrams of 1000 bytes: batches of 64, 64,
 * 64, 8. */
static void test_faults_lose_nothing(void **state)
{
        enum { EVER = 1000, GSO = 1, ECN = 2 };
        static const struct {
                struct fault fault;
                uint8_t ecn, lost;
                unsigned calls; /* that passed */
        } rows[] = {
                { { EIO, BATCH, 0, EVER }, 0, GSO, 200 },
                { { EIO, BATCH, 1, EVER }, 0, GSO, 1 + 136 },
                { { EIO, BATCH, 3, 1 }, 0, GSO, 3 + 8 },
                { { EINVAL, BATCH, 0, EVER }, 0, GSO, 200 },
                { { EINVAL, BATCH, 2, 1 }, 0, GSO, 2 + 72 },
                { { ENOPROTOOPT, BATCH, 0, EVER }, 0, GSO, 200 },
                { { EMSGSIZE, BATCH, 0, EVER }, 0, 0, 200 },
                { { EMSGSIZE, BATCH, 1, 1 }, 0, 0, 1 + 64 + 2 },
                { { ENOBUFS, BATCH, 1, 1 }, 0, 0, 1 + 64 + 2 },
                { { ENOMEM, BATCH, 3, 1 }, 0, 0, 3 + 8 },
                { { ECONNREFUSED, ALL, 2, 1 }, 0, 0, 4 },
                { { ECONNREFUSED, BATCH, 2, 2 }, 0, 0, 2 + 64 + 1 },
                { { EINTR, ALL, 1, 3 }, 0, 0, 4 },
                { { EIO, WITH_ECN, 0, EVER }, 1, ECN, 4 },
                { { EIO, WITH_ECN, 2, EVER }, 3, ECN, 4 },
                { { EIO, BATCH, 0, EVER }, 2, GSO, 200 },
                { { EIO, BATCH_OR_ECN, 0, EVER }, 2, GSO | ECN, 200 },
        };

        (void)state;
        need_namespace();
        udp_enable_gro(&theirs);
        for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
                int family = i & 1;
                uint32_t gso = family ? UDP_GSO6 : UDP_GSO4, ecn = family ? UDP_ECN6 : UDP_ECN4;
                uint32_t all = UDP_GSO_BOTH | UDP_ECN4 | UDP_ECN6;
                uint8_t lost = rows[i / 2].lost;
                ours.features = all;
                kernel_is_sound();
                kernel.faults[0] = rows[i / 2].fault;
                struct arrival came = transfer(family, 199 * 1000 + 1, 1000, rows[i / 2].ecn);
                assert_int_equal(came.ecn, lost & ECN ? 0 : rows[i / 2].ecn);
                if (kernel.calls != rows[i / 2].calls) fail_msg("row %zu: %u calls", i / 2, kernel.calls);
                uint32_t left = all & ~(lost & GSO ? gso : 0) & ~(lost & ECN ? ecn : 0);
                if (ours.features != left) fail_msg("row %zu: features %x", i / 2, ours.features);
                /* and what was lost is not tried again */
                kernel_is_sound();
                assert_int_equal(transfer(family, 200 * 1000, 1000, rows[i / 2].ecn).ecn, came.ecn);
                assert_int_equal(kernel.calls, lost & GSO ? 200 : 4);
        }
}

/* What cannot be sent is told and counted, and the rest still goes, in order. */
static void test_losses_are_told(void **state)
{
        enum { N = 200, EVER = 1000 };
        static const struct {
                struct fault fault, then;
                bool gso, gso_after;
                int told;
                unsigned sent;
        } rows[] = {
                { { ENOBUFS, SINGLE, 5, 1 }, { 0 }, false, false, ENOBUFS, N - 1 },
                { { EMSGSIZE, ALL, 0, EVER }, { 0 }, true, true, EMSGSIZE, 0 },
                /* datagrams fail by themselves too: that is not UDP_SEGMENT's fault */
                { { EIO, ALL, 0, EVER }, { 0 }, true, true, EIO, 0 },
                { { EINVAL, ALL, 1, EVER }, { 0 }, true, true, EINVAL, 64 },
                /* but this is, and one of them fails for another reason */
                { { EIO, BATCH, 0, EVER }, { ENOBUFS, SINGLE, 0, 1 }, true, false, ENOBUFS, N - 1 },
                { { EPERM, ALL, 1, 1 }, { 0 }, true, true, EPERM, N - 64 },
                { { EPERM, ALL, 0, 4 }, { 0 }, true, true, EPERM, 0 }, /* by four calls: nothing goes one by one */
                { { ENETUNREACH, ALL, 3, 1 }, { 0 }, true, true, ENETUNREACH, N - 8 },
                { { EHOSTUNREACH, ALL, 3, 1 }, { 0 }, true, true, EHOSTUNREACH, N - 8 },
                { { EAGAIN, ALL, 1, 1 }, { 0 }, true, true, EAGAIN, 64 },
                { { EAGAIN, ALL, 0, 1 }, { 0 }, true, true, EAGAIN, 0 },
                { { EAGAIN, SINGLE, 77, 1 }, { 0 }, false, false, EAGAIN, 77 },
                { { EIO, BATCH, 1, EVER }, { EAGAIN, SINGLE, 10, 1 }, true, false, EAGAIN, 74 },
                /* the first error is told, and all ends where the socket is full */
                { { EPERM, ALL, 1, 1 }, { EAGAIN, ALL, 1, 1 }, true, true, EPERM, 64 },
                { { ENOBUFS, SINGLE, 5, 1 }, { EAGAIN, SINGLE, 5, 1 }, false, false, ENOBUFS, 5 },
                { { ENOBUFS, ALL, 0, 2 }, { EAGAIN, ALL, 0, 1 }, true, true, ENOBUFS, 0 },
        };

        (void)state;
        need_namespace();
        for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
                int family = i & 1;
                struct endpoint to = to_them(family);
                unsigned sent;
                bool gone;
                ours.features = rows[i / 2].gso ? UDP_GSO_BOTH : 0;
                kernel_is_sound();
                kernel.faults[0] = rows[i / 2].fault;
                kernel.faults[1] = rows[i / 2].then;
                int error = udp_send_segments(&ours, &to, bytes, N * 1000, 1000, 0, &gone, &sent);
                if (error != -rows[i / 2].told || sent != rows[i / 2].sent)
                        fail_msg("row %zu: %d, %u sent", i / 2, error, sent);
                if (rows[i / 2].gso != rows[i / 2].gso_after)
                        assert_int_equal(ours.features, family ? UDP_GSO4 : UDP_GSO6);
                else assert_int_equal(ours.features, rows[i / 2].gso ? UDP_GSO_BOTH : 0);
                struct arrival all = arrive(fd_of(&theirs, family), 1000);
                assert_int_equal(all.datagrams, sent);
                assert_false(gone);
                for (size_t at = 0, k = 0; at < all.len; at += 1000, k++) {
                        while (k < N && memcmp(got + at, bytes + k * 1000, 1000) != 0)
                                k++;
                        assert_true(k < N); /* each is one of those sent, later than the one before */
                }
                if (error != -EAGAIN) continue;
                /* full: what is left goes on from there */
                kernel_is_sound();
                assert_int_equal(
                        udp_send_segments(&ours, &to, bytes + sent * 1000, (N - sent) * 1000, 1000, 0, &gone, &sent),
                        0);
                struct arrival rest = arrive(fd_of(&theirs, family), 1000);
                assert_int_equal(all.datagrams + rest.datagrams, N);
                assert_memory_equal(got, bytes + all.len, rest.len);
        }
}

static void test_kernel_without(void **state)
{
        (void)state;
        need_namespace();
        for (int gro = 0; gro < 2; gro++) {
                uint32_t expected = UDP_ECN4 | UDP_ECN6 | (gro ? UDP_GSO_BOTH : 0);
                kernel_is_sound();
                udp_close(&ours);
                udp_close(&theirs);
                kernel.option = gro ? UDP_GRO : UDP_SEGMENT;
                assert_int_equal(udp_open(&ours, 0, 0), 0);
                assert_int_equal(udp_open(&theirs, 0, 0), 0);
                udp_enable_gro(&theirs);
                assert_int_equal(ours.features, expected);
                assert_int_equal(theirs.features, gro ? expected : expected | UDP_GRO_BOTH);
                for (int family = 0; family < 2; family++) {
                        kernel.calls = kernel.batches = 0;
                        struct arrival all = transfer(family, 130 * 1452 + 7, 1452, 1);
                        assert_int_equal(kernel.calls, gro ? 3 : 131);
                        assert_int_equal(kernel.batches, gro ? 3 : 0);
                        assert_int_equal(all.coalesced, 0);
                        assert_int_equal(all.ecn, 1);
                }
        }
}

/* EINVAL of a batch may blame its source, UDP_SEGMENT or both: which it was is found out within the call. */
static void test_source_and_batch(void **state)
{
        static const struct {
                const char *source;
                int family;
                bool gone;
        } rows[] = {
                { "192.0.2.77", 0, true },
                { "2001:db8::77", 1, true },
                { "192.0.2.2", 0, false },
                { "2001:db8::2", 1, false },
        };

        (void)state;
        need_namespace();
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct endpoint to = to_them(rows[i].family);
                unsigned sent;
                bool gone;
                put_source(&to, rows[i].source);
                ours.features = UDP_GSO_BOTH;
                kernel.faults[0] = (struct fault){ EINVAL, BATCH, 0, 1000 };
                assert_int_equal(udp_send_segments(&ours, &to, bytes, 200000, 1000, 0, &gone, &sent), 0);
                assert_int_equal(gone, rows[i].gone);
                assert_int_equal(sent, 200);
                struct arrival all = arrive(fd_of(&theirs, rows[i].family), 1000);
                assert_int_equal(all.len, 200000);
                assert_memory_equal(got, bytes, all.len);
                assert_int_equal(came_from(&all.from, rows[i].source), !gone);
                assert_int_equal(ours.features, rows[i].family ? UDP_GSO4 : UDP_GSO6);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_faults_lose_nothing, begin, end),
                cmocka_unit_test_setup_teardown(test_losses_are_told, begin, end),
                cmocka_unit_test_setup_teardown(test_kernel_without, begin, end),
                cmocka_unit_test_setup_teardown(test_source_and_batch, begin, end),
        };

        usable = netns_enter();
        fill();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
