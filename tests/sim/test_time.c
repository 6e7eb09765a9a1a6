/* Long lives: a day of rekeys, hours of silence, keepalives, and keys that go. */
#include "tests/sim/world.h"

static void test_a_day_of_rekeys(void **state)
{
        struct host *a, *b;
        struct world *world = world_pair(1, &a, &b);
        uint64_t handshakes;

        (void)state;
        world_flow(a, b, 24 * 3600 / 4, 4 * SECOND);
        world_flow(b, a, 24 * 3600 / 5, 5 * SECOND);
        world_run(world, 25 * HOUR);
        handshakes = a->sent[1] + b->sent[1];
        assert_int_equal(world_lost(world), 0);
        assert_in_range(handshakes, 24 * 3600 / 135, 24 * 3600 / 118);
        assert_int_equal(a->sent[2] + b->sent[2], handshakes);
        world_free(world);
}

/* One way only: the receiver of the data keeps it going with passive keepalives. */
static void test_hours_one_way(void **state)
{
        (void)state;
        for (unsigned i = 0; i < 2; i++) {
                struct host *a, *b;
                struct world *world = world_pair(10 + i, &a, &b);

                world_send(a, b); /* a is the initiator */
                world_run(world, SECOND);
                i ? world_flow(b, a, 3600, 3 * SECOND) : world_flow(a, b, 3600, 3 * SECOND);
                world_run(world, 4 * HOUR);
                assert_int_equal(world_lost(world), 0);
                assert_in_range(a->sent[1] + b->sent[1], 3 * 3600 / 175, 3 * 3600 / 118);
                world_free(world);
        }
}

static void test_idle_is_silent(void **state)
{
        struct host *a, *b;
        struct world *world = world_pair(20, &a, &b);

        (void)state;
        world_send(a, b);
        world_run(world, 9 * SECOND);
        assert_int_equal(b->keepalives, 0);
        world_run(world, 10 * HOUR);
        assert_int_equal(b->keepalives, 1); /* the passive one, which nobody answers */
        assert_in_range(b->last_sent_at, 10 * SECOND, 11 * SECOND);
        assert_true(a->last_sent_at < SECOND);
        assert_int_equal(a->sent[1] + b->sent[1], 1);
        assert_int_equal(a->sent[4], 1);
        world_free(world);
}

/* Data that comes while a passive keepalive is due asks for another one, 10 s after it (paper, 6.5). */
static void test_passive_keepalives(void **state)
{
        struct host *a, *b;
        struct world *world = world_pair(21, &a, &b);

        (void)state;
        world_send(a, b);
        world_run(world, 5 * SECOND);
        world_send(a, b);
        world_send(a, b);
        world_run(world, 10 * SECOND);
        assert_int_equal(b->keepalives, 1);
        world_run(world, HOUR);
        assert_int_equal(b->keepalives, 2);
        assert_in_range(b->last_sent_at, 20 * SECOND, 21 * SECOND);

        world_send(a, b); /* an answer in time is as good */
        world_run(world, 9 * SECOND);
        world_send(b, a);
        world_run(world, HOUR);
        assert_int_equal(b->keepalives, 2);
        assert_int_equal(world_lost(world), 0);
        world_free(world);
}

/* An initiator that only listens, to keepalives that it does not answer, renews the key before it ends: at 165 s, and
 * so with the first keepalive thereafter (paper, 6.2). */
static void test_rekey_on_receive(void **state)
{
        struct host *a, *b;
        struct world *world = world_pair(22, &a, &b);

        (void)state;
        world_send(a, b);
        world_run(world, SECOND);
        host_keepalive(b, a, 25);
        world_run(world, 10 * HOUR);
        assert_int_equal(b->sent[1], 0);
        assert_in_range(a->sent[1], 36000 / 190, 36000 / 164);
        assert_int_equal(b->effects[EFFECT_SESSION_DOWN], 0);
        world_free(world);
}

/* A keepalive is due 25 s after the last packet either way. The first one with a key past REKEY_AFTER_TIME starts a
 * handshake, whose response is answered by a keepalive at once, and the 25 s begin again: a cycle of 125 s in which six
 * keepalives and one handshake are sent. */
static void test_persistent_keepalive(void **state)
{
        struct host *a, *b;
        struct world *world = world_pair(30, &a, &b);
        const unsigned cycles = 80;

        (void)state;
        host_keepalive(a, b, 25); /* due at once: that is the first handshake, and its keepalive */
        world_run(world, cycles * 125 * SECOND + 10 * SECOND);
        assert_int_equal(a->sent[1], cycles + 1);
        assert_int_equal(b->sent[2], cycles + 1);
        assert_int_equal(a->keepalives, cycles * 6 + 1);
        assert_int_equal(b->sent[4] + b->sent[1], 0); /* keepalives do not answer keepalives */
        assert_true(host_status(a, b).session && host_status(b, a).session);
        world_free(world);
}

static void test_keepalive_off_again(void **state)
{
        struct host *a, *b;
        struct world *world = world_pair(31, &a, &b);
        uint64_t sent;

        (void)state;
        host_keepalive(a, b, 25);
        world_run(world, 60 * SECOND);
        assert_int_equal(a->keepalives, 3);
        host_keepalive(a, b, 0);
        sent = a->sent[4];
        world_run(world, HOUR);
        assert_int_equal(a->sent[4], sent);
        world_free(world);
}

static void test_idle_keys_are_erased(void **state)
{
        struct host *a, *b;
        struct world *world = world_pair(40, &a, &b);
        uint64_t born;

        (void)state;
        world_send(a, b);
        world_run(world, 60 * SECOND);
        born = a->last_up_at;
        assert_int_equal(a->effects[EFFECT_SESSION_UP], 1);
        world_run(world, 539 * SECOND - 60 * SECOND);
        assert_int_equal(a->effects[EFFECT_SESSION_DOWN] + b->effects[EFFECT_SESSION_DOWN], 0);
        world_run(world, 5 * SECOND);
        assert_int_equal(a->effects[EFFECT_SESSION_DOWN], 1);
        assert_int_equal(b->effects[EFFECT_SESSION_DOWN], 1);
        assert_in_range(a->last_down_at - born, 540 * SECOND, 541 * SECOND);
        assert_false(host_status(a, b).session || host_status(b, a).session);
        assert_true(a->deadline == UINT64_MAX && b->deadline == UINT64_MAX); /* nothing is left to do */

        world_send(b, a); /* and back again */
        world_run(world, SECOND);
        assert_int_equal(a->delivered, 1);
        world_free(world);
}

/* A key is good for REJECT_AFTER_TIME and no longer, even where no new one is to be had. */
static bool no_handshakes(struct world *world, struct host *from, struct datagram *d)
{
        (void)world;
        (void)from;
        return d->bytes[0] == 4;
}

static void test_keys_expire(void **state)
{
        struct host *a, *b;
        struct world *world = world_pair(50, &a, &b);
        uint64_t delivered;

        (void)state;
        world_send(a, b);
        world_run(world, SECOND);
        world->filter = no_handshakes;
        world_flow(a, b, 400, SECOND);
        world_flow(b, a, 400, SECOND);
        world_run(world, 170 * SECOND);
        world_check_delivered(world, 0);
        world_run(world, 10 * SECOND);
        delivered = world->delivered;
        world_run(world, 3 * MINUTE);
        assert_in_range(world->delivered, delivered, delivered + 2);
        world->filter = NULL;
        delivered = world->delivered;
        world_run(world, 20 * SECOND);
        assert_true(world->delivered > delivered + 20);
        world_free(world);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_day_of_rekeys),     cmocka_unit_test(test_hours_one_way),
                cmocka_unit_test(test_idle_is_silent),      cmocka_unit_test(test_passive_keepalives),
                cmocka_unit_test(test_rekey_on_receive),    cmocka_unit_test(test_persistent_keepalive),
                cmocka_unit_test(test_keepalive_off_again), cmocka_unit_test(test_idle_keys_are_erased),
                cmocka_unit_test(test_keys_expire),
        };

        return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
