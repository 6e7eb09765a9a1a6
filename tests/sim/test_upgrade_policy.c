/* What users ask for: Upgrade and PostQuantum on either side, and changes of them while packets flow. That nothing goes
 * out or is taken against the policy of the moment is the world's to check, at each packet. */
#include "tests/sim/upgrade.h"

#define AUTO    POST_QUANTUM_AUTO
#define REQUIRE POST_QUANTUM_REQUIRE
#define NO_KEM  POST_QUANTUM_OFF

static struct world *with(uint64_t seed, struct upgrade_policy of_a, struct upgrade_policy of_b, struct host **a,
                          struct host **b)
{
        struct world *world = world_adits(seed, true, a, b);

        host_policy(*a, *b, of_a);
        host_policy(*b, *a, of_b);
        return world;
}

static uint64_t held_drops(const struct host *host)
{
        return host_drops(host, DROP_TX_NOT_POST_QUANTUM);
}

/* ---- PostQuantum ------------------------------------------------------------------------------------------------- */

/* All nine, each side as initiator: with ML-KEM on both sides they upgrade with it, without `require` at least without
 * it, and where one requires what the other may not, nothing passes. */
static void test_nine_combinations(void **state)
{
        (void)state;
        for (unsigned i = 0; i < 18; i++) {
                const unsigned of_a = i % 3, of_b = i / 3 % 3;
                bool require = of_a == REQUIRE || of_b == REQUIRE, never = of_a == NO_KEM || of_b == NO_KEM;
                struct host *a, *b, *first, *second;
                struct world *world = with(100 + i, (struct upgrade_policy){ .post_quantum = (uint8_t)of_a },
                                           (struct upgrade_policy){ .post_quantum = (uint8_t)of_b }, &a, &b);
                bool can = a->abilities.mlkem;
                uint64_t mark;

                if (!can && require) { /* the configuration does not come so far */
                        world_free(world);
                        continue;
                }
                first = i < 9 ? a : b;
                second = i < 9 ? b : a;
                world_send(first, second);
                world_run(world, 2 * SECOND);
                mark = world->packet_count;
                world_flow(a, b, 400, SECOND);
                world_flow(b, a, 400, SECOND);
                world_run(world, 300 * SECOND);
                if (require && never) {
                        assert_int_equal(world->delivered, 0);
                        assert_false(upgraded(a, b) || upgraded(b, a));
                        assert_int_equal(a->upgraded + b->upgraded, 0);
                        /* what waits and what came is counted, by who requires */
                        assert_true(held_drops(of_a == REQUIRE ? a : b) > 100);
                } else {
                        bool mlkem = can && !never;

                        world_run(world, 200 * SECOND); /* all of them are there */
                        world_check_delivered(world, mark);
                        check_is_upgraded(a, b);
                        assert_int_equal(host_status(a, b).mlkem, mlkem);
                        assert_int_equal(host_status(b, a).mlkem, mlkem);
                        /* only the very first may have gone before it was known that the other side requires */
                        assert_in_range(world_lost(world), 0, require ? 1 : 0);
                        assert_int_equal(held_drops(a) + held_drops(b), 0);
                        assert_int_equal(drops_of(a) + drops_of(b), world_lost(world));
                }
                world_check_accounts(world);
                world_free(world);
        }
}

/* Where nothing passes, each side's user is told why, whichever began the session. */
static void test_told_why(void **state)
{
        (void)state;
        for (unsigned i = 0; i < 2; i++) {
                struct host *a, *b;
                struct world *world = with(150 + i, (struct upgrade_policy){ .post_quantum = REQUIRE },
                                           (struct upgrade_policy){ .post_quantum = NO_KEM }, &a, &b);
                bool can = a->abilities.mlkem;

                if (can) {
                        world_send(i ? a : b, i ? b : a);
                        world_flow(i ? a : b, i ? b : a, 100, SECOND);
                        world_run(world, MINUTE);
                        world_check(world, host_status(a, b).upgrade == UPGRADE_STATE_PEER_NO_KEM, "a is told: %s",
                                    upgrade_state_meaning(host_status(a, b).upgrade));
                        world_check(world, host_status(b, a).upgrade == UPGRADE_STATE_PEER_WANTS_KEM, "b is told: %s",
                                    upgrade_state_meaning(host_status(b, a).upgrade));
                }
                world_free(world);
                if (can) continue;
                skip_mlkem("why nothing passes");
                return;
        }
}

/* What waits for ML-KEM goes once it is there, all of it and in order; the sender that requires loses nothing at all.
 */
static void test_staged_go_when_upgraded(void **state)
{
        struct upgrade_policy require = { .post_quantum = REQUIRE };

        (void)state;
        for (unsigned i = 0; i < 8; i++) {
                struct host *a, *b;
                struct world *world = with(200 + i, require, i & 1 ? require : (struct upgrade_policy){ 0 }, &a, &b);
                uint64_t mark;

                if (!a->abilities.mlkem) {
                        world_free(world);
                        skip_mlkem("what waits for it");
                        return;
                }
                if (i & 2) { /* known to each other, and in a renewal as its responder */
                        world_flow(i & 4 ? a : b, i & 4 ? b : a, 125, SECOND);
                        world_run(world, 119 * SECOND);
                }
                mark = world->packet_count;
                for (unsigned n = 0; n < 60; n++)
                        world_send(a, b);
                assert_int_equal(host_peer(a, b)->staged.count, i & 2 ? 0 : 60);
                world_flow(a, b, 2000, 2 * MILLISECOND);
                world_run(world, 10 * SECOND);
                world_check(world, a->upgraded >= 2060, "%lu went upgraded", (unsigned long)a->upgraded);
                world_check_delivered(world, mark);
                assert_int_equal(held_drops(a), 0);
                world_free(world);
        }
}

/* With a WireGuard nothing passes, either way; handshakes are tried rarely, and what waits is not kept for hours. */
static void test_require_and_a_wireguard(void **state)
{
        const struct abilities all = abilities_all(true);

        (void)state;
        for (unsigned begins = 0; begins < 2; begins++) {
                struct world *world = world_new(300 + begins);
                struct host *a = world_host(world, 4), *b = world_host(world, 4);

                host_able(a, &all);
                world_connect(a, b);
                if (!a->abilities.mlkem) {
                        world_free(world);
                        skip_mlkem("require, and a WireGuard");
                        return;
                }
                host_policy(a, b, (struct upgrade_policy){ .post_quantum = REQUIRE });
                world_send(begins ? b : a, begins ? a : b);
                world_flow(a, b, 7200, SECOND);
                world_flow(b, a, 7200, SECOND);
                world_run(world, 2 * HOUR + 5 * MINUTE);
                assert_int_equal(world->delivered, 0);
                assert_int_equal(a->upgraded, 0);
                assert_true(host_drops(a, DROP_RX_NOT_POST_QUANTUM) > 6000);
                world_check(world, held_drops(a) + host_peer(a, b)->staged.count >= 7100, "%lu counted",
                            (unsigned long)held_drops(a));
                assert_in_range(a->sent[1] + b->sent[1], 7200 / 190, 7200 / 100 + 10);
                assert_in_range(a->frames, 30, 600);
                world_check_accounts(world);
                world_run(world, 10 * MINUTE);
                assert_int_equal(host_peer(a, b)->staged.count, 0);
                world_free(world);
        }
}

/* ---- Upgrade = off ----------------------------------------------------------------------------------------------- */

/* As two WireGuards: no frame from the side that is off, nor more to it than to any stranger. */
static void test_off(void **state)
{
        (void)state;
        for (unsigned i = 0; i < 3; i++) {
                struct host *a, *b;
                struct world *world = with(400 + i, (struct upgrade_policy){ .off = i != 1 },
                                           (struct upgrade_policy){ .off = i != 0 }, &a, &b);

                world_flow(a, b, 1800, SECOND);
                world_flow(b, a, 1800, SECOND);
                world_run(world, 25 * MINUTE);
                assert_int_equal(a->frames, i == 1 ? 3 : 0);
                assert_int_equal(b->frames, i == 0 ? 3 : 0);
                assert_int_equal(a->upgraded + b->upgraded, 0);
                assert_int_equal(host_status(a, b).upgrade, i == 1 ? UPGRADE_STATE_NO_ANSWER : UPGRADE_STATE_OFF_HERE);
                assert_int_equal(host_status(b, a).upgrade, i == 0 ? UPGRADE_STATE_NO_ANSWER : UPGRADE_STATE_OFF_HERE);
                assert_int_equal(host_drops(a, DROP_RX_NOT_IP), b->frames);
                assert_int_equal(host_drops(b, DROP_RX_NOT_IP), a->frames);
                world_run(world, 10 * MINUTE);
                assert_int_equal(world_lost(world), 0);
                world_free(world);
        }
}

/* ---- Changes in mid-flow ----------------------------------------------------------------------------------------- */

static const struct upgrade_policy policies[] = { { 0 },
                                                  { .off = true },
                                                  { .post_quantum = NO_KEM },
                                                  { .post_quantum = REQUIRE },
                                                  { .off = true, .post_quantum = NO_KEM } };

static bool requires(const struct host *host, const struct host *other)
{
        return host_contact(host, other)->policy.post_quantum == REQUIRE;
}

static bool wants(const struct host *host, const struct host *other, bool mlkem)
{
        const struct upgrade_policy *policy = &host_contact(host, other)->policy;

        return !policy->off && (!mlkem || policy->post_quantum != NO_KEM);
}

/* What two policies come to, in the end. */
static void check_settled(const struct host *a, const struct host *b)
{
        struct world *world = a->world;
        uint64_t mark = world->packet_count, end;
        bool upgrade = wants(a, b, false) && wants(b, a, false), require = requires(a, b) || requires(b, a);
        bool mlkem = a->abilities.mlkem && wants(a, b, true) && wants(b, a, true);

        world_run(world, 20 * SECOND);
        end = world->packet_count;
        world_run(world, 50 * MILLISECOND); /* those arrive */
        for (uint64_t i = mark; i < end; i++)
                world_check(world, world_was_delivered(world, i) != (require && !mlkem), "packet %lu: %s",
                            (unsigned long)i, require && !mlkem ? "came" : "did not come");
        if (require && !mlkem) return;
        world_check(world, upgraded(a, b) == upgrade && upgraded(b, a) == upgrade, "upgraded %d, %d, not %d: %s and %s",
                    upgraded(a, b), upgraded(b, a), upgrade, upgrade_state_name(host_status(a, b).upgrade),
                    upgrade_state_name(host_status(b, a).upgrade));
        world_check(world, host_status(a, b).mlkem == (upgrade && mlkem), "ML-KEM: %d", host_status(a, b).mlkem);
}

/* Policies change at any time, on either side, with packets both ways; while none requires, not one is lost. */
static void test_changes(void **state)
{
        (void)state;
        for (uint64_t seed = 500; seed < 560; seed++) {
                struct host *a, *b;
                struct world *world = world_adits(seed, true, &a, &b);
                const unsigned kinds = a->abilities.mlkem ? 5 : 3;
                bool ever_required = false;

                world_flow(a, b, 100000, 100 * MILLISECOND);
                world_flow(b, a, 100000, 100 * MILLISECOND);
                for (unsigned i = 0; i < 8; i++) {
                        struct host *self = world_random(world, 2) ? a : b;
                        struct upgrade_policy policy = policies[world_random(world, kinds)];

                        ever_required = ever_required || policy.post_quantum == REQUIRE;
                        world_run(world, world_random(world, 2) ? world_random(world, 200 * MILLISECOND)
                                                                : world_random(world, 200 * SECOND));
                        host_policy(self, self == a ? b : a, policy);
                        if (i < 4) continue;
                        world_run(world, 260 * SECOND); /* a new session was asked for at once, and another was due */
                        check_settled(a, b);
                        if (!ever_required)
                                world_check(world, world_lost(world) <= 2, "lost %lu",
                                            (unsigned long)world_lost(world));
                }
                world_check_accounts(world);
                world_free(world);
        }
}

/* A change asks for a new session at once: some round trips later that is what is used. */
static void test_changes_hold_soon(void **state)
{
        (void)state;
        for (uint64_t seed = 570; seed < 582; seed++) {
                struct host *a, *b;
                struct world *world = world_adits(seed, true, &a, &b);
                struct upgrade_policy off = { .off = true }, no_kem = { .post_quantum = NO_KEM }, none = { 0 };
                uint64_t before;

                world_flow(a, b, 100000, 50 * MILLISECOND);
                world_flow(b, a, 100000, 50 * MILLISECOND);
                world_run(world, 20 * SECOND + world_random(world, 200 * SECOND));
                check_is_upgraded(a, b);
                host_policy(a, b, seed & 1 ? off : no_kem);
                world_run(world, 6 * SECOND);
                before = a->upgraded + b->upgraded;
                world_run(world, 4 * SECOND);
                assert_int_equal(a->upgraded + b->upgraded > before, !(seed & 1));
                assert_false(host_status(a, b).mlkem || host_status(b, a).mlkem);
                host_policy(a, b, none);
                world_run(world, 12 * SECOND);
                check_is_upgraded(a, b);
                assert_int_equal(host_status(a, b).mlkem, a->abilities.mlkem);
                assert_in_range(world_lost(world), 0, 2); /* under way */
                world_free(world);
        }
}

/* By the return of the call nothing goes under less than what is required, and soon all goes again. */
static void test_require_in_mid_flow(void **state)
{
        (void)state;
        for (uint64_t seed = 600; seed < 640; seed++) {
                struct host *a, *b;
                struct world *world = with(seed, (struct upgrade_policy){ .off = seed & 1, .post_quantum = NO_KEM },
                                           (struct upgrade_policy){ 0 }, &a, &b);
                uint64_t mark;

                if (!a->abilities.mlkem) {
                        world_free(world);
                        skip_mlkem("require in mid-flow");
                        return;
                }
                world_flow(a, b, 100000, 10 * MILLISECOND);
                world_flow(b, a, 100000, 10 * MILLISECOND);
                world_run(world, 5 * SECOND + world_random(world, 300 * SECOND));
                mark = a->upgraded;
                host_policy(a, b, (struct upgrade_policy){ .post_quantum = REQUIRE });
                world_check(world, !host_peer(a, b)->sessions.sender || host_peer(a, b)->sessions.sender->mlkem,
                            "published");
                world_run(world, 10 * SECOND);
                assert_true(a->upgraded > mark + 200);
                assert_true(host_status(a, b).mlkem && host_status(b, a).mlkem);
                mark = world->packet_count;
                world_run(world, 10 * SECOND);
                for (uint64_t i = mark; i < world->packet_count - 20; i++)
                        world_check(world, world_was_delivered(world, i), "packet %lu", (unsigned long)i);
                world_free(world);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nine_combinations),
                cmocka_unit_test(test_told_why),
                cmocka_unit_test(test_staged_go_when_upgraded),
                cmocka_unit_test(test_require_and_a_wireguard),
                cmocka_unit_test(test_off),
                cmocka_unit_test(test_changes),
                cmocka_unit_test(test_changes_hold_soon),
                cmocka_unit_test(test_require_in_mid_flow),
        };

        return cmocka_run_group_tests_name("upgrade policies", tests, NULL, NULL);
}
