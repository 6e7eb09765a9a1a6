/* Two hosts and what a link can do to their datagrams. The world checks that nothing comes twice, changed or from the
 * wrong peer; here it is asserted what must come through. */
#include "tests/sim/world.h"

#include <string.h>

static uint64_t drops_of(const struct host *host)
{
        uint64_t sum = 0;

        for (unsigned reason = DROP_NONE + 1; reason < DROP_COUNT; reason++)
                sum += host_drops(host, reason);
        return sum;
}

/* Both ways; the last part of it runs on a clean link again, and must all come through. */
static struct world *run(uint64_t seed, const struct link *link, unsigned count, uint64_t interval)
{
        struct host *a, *b;
        struct world *world = world_pair(seed, &a, &b);
        uint64_t mark;

        world_send(a, b); /* so that no more than STAGED_MAX wait for the first handshake */
        world_run(world, SECOND);
        world_links(world, link);
        world_flow(a, b, count, interval);
        world_flow(b, a, count, interval);
        world_run(world, (count + count / 8) * interval + 5 * SECOND);
        world_check_accounts(world);

        world_links(world, &link_clean);
        world_run(world, 30 * SECOND);
        world_flow(a, b, 20, SECOND);
        world_flow(b, a, 20, SECOND);
        world_run(world, 10 * SECOND); /* one attempt may still have been lost */
        mark = world->packet_count;
        world_run(world, 40 * SECOND);
        world_check_delivered(world, mark);
        return world;
}

static void test_clean(void **state)
{
        (void)state;
        for (uint64_t seed = 1; seed <= 5; seed++) {
                struct world *world = run(seed, &link_clean, 2000, 100 * MILLISECOND);

                assert_int_equal(world_lost(world), 0);
                assert_int_equal(drops_of(world->hosts[0]) + drops_of(world->hosts[1]), 0);
                assert_in_range(world->hosts[0]->sent[1] + world->hosts[1]->sent[1], 2, 8);
                world_free(world);
        }
}

static void test_loss(void **state)
{
        /* With more loss than half, handshakes often fail and packets wait in vain. */
        static const struct {
                unsigned loss, least_delivered; /* permille */
        } rows[] = { { 10, 970 }, { 100, 860 }, { 300, 600 }, { 600, 200 } };

        (void)state;
        for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
                const struct link link = { .loss = rows[i].loss, .latency = 10 * MILLISECOND };
                struct world *world = run(100 + i, &link, 3000, 150 * MILLISECOND);

                world_check(world, world->delivered * PERMILLE >= rows[i].least_delivered * world->packet_count,
                            "loss %u: %lu of %lu came", rows[i].loss, (unsigned long)world->delivered,
                            (unsigned long)world->packet_count);
                world_check(world, world->delivered < world->packet_count, "loss %u: none", rows[i].loss);
                world_free(world);
        }
}

static void test_reorder_within_the_window(void **state)
{
        const struct link link = { .reorder = 500, .reorder_delay = 200 * MILLISECOND, .latency = 10 * MILLISECOND };
        struct world *world = run(200, &link, 10000, MILLISECOND / 2);

        (void)state;
        assert_int_equal(world_lost(world), 0);
        world_free(world);
        world = run(201, &link, 2000, 100 * MILLISECOND); /* slower, over a rekey */
        assert_int_equal(world_lost(world), 0);
        world_free(world);
}

/* Holds every 1000th data packet back for filter_context's time. */
static bool hold_some(struct world *world, struct host *from, struct datagram *d)
{
        if (d->bytes[0] == 4 && d->len > DATA_OVERHEAD && from->sent[4] % 1000 == 0)
                d->delay += *(const uint64_t *)world->filter_context;
        return true;
}

static void test_reorder_beyond_the_window(void **state)
{
        /* at 10000 packets a second: 7000 and 15000 packets late, the window is 8192 */
        static const struct {
                uint64_t delay;
                bool delivered;
        } rows[] = { { 700 * MILLISECOND, true }, { 1500 * MILLISECOND, false } };

        (void)state;
        for (unsigned i = 0; i < 2; i++) {
                struct host *a, *b;
                struct world *world = world_pair(300 + i, &a, &b);
                uint64_t delay = rows[i].delay;

                world_send(a, b);
                world_run(world, SECOND);
                world->filter = hold_some;
                world->filter_context = &delay;
                world_flow(a, b, 40000, SECOND / 10000);
                world_run(world, 20 * SECOND);
                world_check(world, host_drops(b, DROP_RX_REPLAY) == world_lost(world), "a drop without its reason");
                if (rows[i].delivered) assert_int_equal(world_lost(world), 0);
                else assert_in_range(world_lost(world), 31, 32); /* the held ones that 8192 others overtook */
                world_free(world);
        }
}

static void test_duplication(void **state)
{
        static const struct link links[] = { { .duplicate = 1000, .latency = 10 * MILLISECOND },
                                             { .duplicate = 500, .reorder = 200, .reorder_delay = 300 * MILLISECOND } };

        (void)state;
        for (unsigned i = 0; i < 2; i++) {
                struct world *world = run(400 + i, &links[i], 3000, 60 * MILLISECOND);

                assert_int_equal(world_lost(world), 0);
                assert_in_range(host_drops(world->hosts[0], DROP_RX_REPLAY), 1200, 5000);
                assert_in_range(world->hosts[0]->sent[1] + world->hosts[1]->sent[1], 1, 8);
                world_free(world);
        }
}

/* The world fails when a corrupted datagram is delivered, or one that did not authenticate draws an answer. */
static void test_corruption(void **state)
{
        static const unsigned corrupt[] = { 20, 300, 1000 };

        (void)state;
        for (unsigned i = 0; i < 3; i++) {
                const struct link link = { .corrupt = corrupt[i], .latency = 10 * MILLISECOND };
                struct world *world = run(500 + i, &link, 3000, 100 * MILLISECOND);

                if (corrupt[i] < 1000)
                        world_check(world, world->delivered * PERMILLE >= (900 - corrupt[i]) * world->packet_count,
                                    "corrupt %u: %lu of %lu came", corrupt[i], (unsigned long)world->delivered,
                                    (unsigned long)world->packet_count);
                world_free(world);
        }
}

/* A living session under noise and mangled copies only: no handshake may be needed to survive it. */
static void test_session_survives_corruption(void **state)
{
        const struct link link = { .corrupt = 1000 };
        struct host *a, *b;
        struct world *world = world_pair(550, &a, &b);

        (void)state;
        world_send(a, b);
        world_run(world, SECOND);
        a->link = link;
        world_flow(a, b, 2000, MILLISECOND);
        world_run(world, 3 * SECOND);
        assert_int_equal(b->delivered, 1);
        a->link = link_clean;
        world_flow(a, b, 100, MILLISECOND);
        world_run(world, SECOND);
        assert_int_equal(b->delivered, 101);
        assert_int_equal(a->sent[1] + b->sent[1], 1);
        world_free(world);
}

static void test_everything_at_once(void **state)
{
        const struct link link = { .loss = 100,
                                   .duplicate = 100,
                                   .corrupt = 100,
                                   .reorder = 300,
                                   .latency = 30 * MILLISECOND,
                                   .reorder_delay = 500 * MILLISECOND };

        (void)state;
        for (uint64_t seed = 600; seed < 606; seed++) {
                struct world *world = run(seed, &link, 3000, 200 * MILLISECOND);

                assert_true(world->delivered * 10 > world->packet_count * 7);
                world_free(world);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_clean),
                cmocka_unit_test(test_loss),
                cmocka_unit_test(test_reorder_within_the_window),
                cmocka_unit_test(test_reorder_beyond_the_window),
                cmocka_unit_test(test_duplication),
                cmocka_unit_test(test_corruption),
                cmocka_unit_test(test_session_survives_corruption),
                cmocka_unit_test(test_everything_at_once),
        };

        return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
