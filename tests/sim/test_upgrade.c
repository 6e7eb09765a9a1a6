/* Two Adits on a link where nothing goes wrong, and an Adit with a WireGuard: how long an upgrade takes, what it costs,
 * and that tunnels live on with it. What can go wrong is in the test_upgrade_*.c beside. */
#include "tests/sim/upgrade.h"

enum { LATENCY_MS = 10 };

/* ---- How long it takes ------------------------------------------------------------------------------------------- */

/* World time of the n-th EFFECT_UPGRADED less that of EFFECT_SESSION_UP, in round trips. */
static uint64_t round_trips(const struct host *host)
{
        return (host->last_upgraded_at - host->last_up_at) / (2 * LATENCY_MS * MILLISECOND);
}

/* A stranger is asked first: HELLO, OFFER, and the first packet on the child, each answered. After that the HELLO is
 * not needed. The responder is done half a round trip sooner. */
static void test_round_trips(void **state)
{
        (void)state;
        for (unsigned mlkem = 0; mlkem < 2; mlkem++) {
                struct host *a, *b;
                struct world *world = world_adits(1, mlkem, &a, &b);

                if (mlkem && !a->abilities.mlkem) skip_mlkem("round trips");
                world_send(a, b);
                world_run(world, SECOND);
                check_upgraded(a, b, 1);
                assert_int_equal(round_trips(a), 3);
                assert_int_equal(a->last_upgraded_at - b->last_upgraded_at, LATENCY_MS * MILLISECOND);
                assert_int_equal(a->frames, 2);
                assert_int_equal(b->frames, 2);
                world_flow(a, b, 130, SECOND);
                world_flow(b, a, 130, SECOND);
                world_run(world, 130 * SECOND);
                check_upgraded(a, b, 2);
                assert_int_equal(round_trips(a), 2);
                assert_int_equal(a->last_upgraded_at - b->last_upgraded_at, LATENCY_MS * MILLISECOND);
                assert_int_equal(a->frames, 3);
                assert_int_equal(b->frames, 3);
                assert_int_equal(a->sent[1] + b->sent[1], 2);
                assert_int_equal(world_lost(world), 0);
                assert_int_equal(drops_of(a) + drops_of(b), 0);
                world_free(world);
        }
}

/* Every cipher that is there, where it is the only one that both can use; and the choice among all. */
static void test_ciphers(void **state)
{
        const struct abilities all = abilities_all(false);

        (void)state;
        for (unsigned id = 0; id < CIPHER_IDS; id++) {
                struct abilities one = { .costs = { 0 } };
                struct host *a, *b;
                struct world *world;

                if (!all.costs[id]) {
                        print_message("# SKIP, cipher %u is not in this build or machine\n", id);
                        continue;
                }
                one.costs[id] = 40;
                world = world_new(20 + id);
                a = world_host(world, 4);
                b = world_host(world, 4);
                host_able(a, id & 1 ? &all : &one);
                host_able(b, id & 1 ? &one : &all);
                host_set_mtu(a, 1404, 0); /* where AEGIS-256's tag fits */
                host_set_mtu(b, 1404, 0);
                world_connect(a, b);
                world_flow(a, b, 600, SECOND);
                world_flow(b, a, 600, SECOND);
                world_run(world, 700 * SECOND);
                assert_int_equal(cipher_of(a, b), id);
                assert_int_equal(cipher_of(b, a), id);
                assert_true(a->upgraded > 580 && b->upgraded > 580);
                assert_int_equal(world_lost(world), 0);
                world_free(world);
        }
}

/* With a tag of 32 bytes a full packet would be too long for the way: another cipher is chosen. */
static void test_tag_that_does_not_fit(void **state)
{
        static const struct {
                uint32_t mtu, egress;
                bool fits;
        } rows[] = { { 1404, 0, true },     { 1405, 0, false },    { 1404, 1500, true },
                     { 1404, 1499, false }, { 1420, 1516, true },  { 1420, 1515, false },
                     { 1184, 1280, true },  { 1185, 1280, false }, { 1420, 9000, true } };
        struct abilities fast_aegis = abilities_all(false);

        (void)state;
        if (!fast_aegis.costs[CIPHER_AEGIS_256]) {
                print_message("# SKIP, no AEGIS-256 in this build\n");
                return;
        }
        fast_aegis.costs[CIPHER_AEGIS_256] = 30;
        for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct world *world = world_new(30 + i);
                struct host *a = world_host(world, 4), *b = world_host(world, 4);

                host_able(a, &fast_aegis);
                host_able(b, &fast_aegis);
                host_set_mtu(i & 1 ? a : b, rows[i].mtu, rows[i].egress);
                host_set_mtu(i & 1 ? b : a, 1280, 9000);
                world_connect(a, b);
                world_flow(a, b, 50, 100 * MILLISECOND);
                world_flow(b, a, 50, 100 * MILLISECOND);
                world_run(world, 10 * SECOND);
                world_check(world, (cipher_of(a, b) == CIPHER_AEGIS_256) == rows[i].fits, "row %u", i);
                assert_int_equal(cipher_of(b, a), cipher_of(a, b));
                assert_int_equal(world_lost(world), 0);
                world_free(world);
        }
}

/* ---- Lives ------------------------------------------------------------------------------------------------------- */

/* Hours, both ways or one way only: every session of them is upgraded. */
static void test_hours(void **state)
{
        static const struct {
                unsigned forth, back; /* packets */
        } rows[] = { { 10000, 10000 }, { 10000, 0 }, { 0, 10000 } };

        (void)state;
        for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct host *a, *b;
                struct world *world = world_adits(40 + i, true, &a, &b);
                uint64_t sessions, both;

                world_send(a, b);
                world_flow(a, b, rows[i].forth, SECOND);
                world_flow(b, a, rows[i].back, SECOND);
                world_run(world, 3 * HOUR);
                sessions = a->effects[EFFECT_SESSION_UP];
                assert_in_range(sessions, 10000 / 185, 10000 / 115);
                assert_int_equal(a->sent[1] + b->sent[1], sessions);
                check_upgraded(a, b, (unsigned)sessions);
                assert_int_equal(world_lost(world), 0);
                both = a->upgraded + b->upgraded;
                assert_in_range(world->packet_count - both, 0, 2 * sessions);
                /* an OFFER and an ACCEPT for each session, and the HELLOs of the first */
                assert_int_equal(a->frames + b->frames, 2 * sessions + 2);
                world_free(world);
        }
}

/* Without any packet of a user's, an hour after the last one: nothing is sent. */
static void test_idle(void **state)
{
        struct host *a, *b;
        struct world *world = world_adits(50, true, &a, &b);
        uint64_t sent;

        (void)state;
        world_flow(a, b, 10, SECOND);
        world_flow(b, a, 10, SECOND);
        world_run(world, 10 * MINUTE);
        sent = sent_by(a) + sent_by(b);
        world_run(world, 10 * HOUR);
        assert_int_equal(sent_by(a) + sent_by(b), sent);
        assert_int_equal(a->sent[1] + b->sent[1], 1);
        world_free(world);
}

/* The datagrams of an idle link with persistent keepalives, beside those of two WireGuards: one handshake in two
 * minutes or so for each, and of an upgrade a fixed number for each. */
static void test_persistent_keepalive(void **state)
{
        uint64_t handshakes[2], keepalives[2];

        (void)state;
        for (unsigned adits = 0; adits < 2; adits++) {
                struct host *a, *b;
                struct world *world = adits ? world_adits(60, true, &a, &b) : world_pair(60, &a, &b);

                host_keepalive(a, b, 25);
                world_run(world, 5 * HOUR);
                handshakes[adits] = a->sent[1] + b->sent[1];
                keepalives[adits] = a->keepalives + b->keepalives;
                if (adits) assert_int_equal(a->frames + b->frames, 2 * handshakes[1] + 2);
                assert_int_equal(a->effects[EFFECT_UPGRADED], adits ? handshakes[1] : 0);
                world_free(world);
        }
        assert_in_range(handshakes[0], 5 * 3600 / 155, 5 * 3600 / 120);
        assert_int_equal(handshakes[1], handshakes[0]);
        /* confirm the parent; on the child of the session before, there and back; on the child, there and back */
        assert_in_range(keepalives[1], keepalives[0], keepalives[0] + 5 * handshakes[1]);
}

/* ---- With others ------------------------------------------------------------------------------------------------- */

static struct world *mixed(uint64_t seed, bool adit, bool adit_begins, struct host **a, struct host **b)
{
        const struct abilities all = abilities_all(true);
        struct world *world = world_new(seed);

        *a = world_host(world, 4);
        *b = world_host(world, 4);
        if (adit) host_able(adit_begins ? *a : *b, &all);
        world_connect(*a, *b);
        return world;
}

/* A stock peer is asked in three sessions, then once an hour; whatever else goes over the wire is as between two of
 * its kind, but for the confirmation that an initiator's HELLO follows and the keepalive that it draws. */
static void test_with_a_wireguard(void **state)
{
        (void)state;
        for (unsigned begins = 0; begins < 2; begins++) {
                uint64_t data[2] = { 0 }, handshakes[2], keepalives[2];

                for (unsigned adit = 0; adit < 2; adit++) {
                        struct host *a, *b, *it;
                        struct world *world = mixed(70 + begins, adit, begins, &a, &b);

                        it = begins ? a : b;
                        world_flow(a, b, 16000, 1300 * MILLISECOND);
                        world_flow(b, a, 16000, 1300 * MILLISECOND);
                        world_run(world, 10 * MINUTE);
                        if (adit) {
                                assert_int_equal(it->frames, 3);
                                assert_int_equal(host_status(it, it == a ? b : a).upgrade, UPGRADE_STATE_NO_ANSWER);
                        }
                        world_run(world, 5 * HOUR);
                        world_run(world, 50 * MINUTE);
                        handshakes[adit] = a->sent[1] + b->sent[1];
                        data[adit] = a->sent[4] + b->sent[4];
                        keepalives[adit] = a->keepalives + b->keepalives;
                        assert_int_equal(world_lost(world), 0);
                        assert_int_equal(a->upgraded + b->upgraded, 0);
                        if (adit) {
                                assert_in_range(it->frames, 3 + 5, 3 + 6); /* in nearly six hours */
                                data[1] -= it->frames;
                                assert_int_equal(host_drops(it == a ? b : a, DROP_RX_NOT_IP), it->frames);
                        }
                        world_free(world);
                }
                assert_in_range(handshakes[1], handshakes[0] - 2, handshakes[0] + 2);
                assert_in_range(keepalives[1], keepalives[0], keepalives[0] + 10);
                assert_in_range(data[1] - keepalives[1], data[0] - keepalives[0], data[0] - keepalives[0]);
        }
}

/* An idle link to a WireGuard with frames under way: they move no timer, so none begins a handshake. */
static void test_frames_move_no_timer(void **state)
{
        (void)state;
        for (unsigned begins = 0; begins < 2; begins++) {
                struct host *a, *b, *it;
                struct world *world = mixed(80 + begins, true, begins, &a, &b);

                it = begins ? a : b;
                world_send(a, b);
                world_run(world, 10 * HOUR);
                assert_int_equal(it->frames, 1);
                assert_int_equal(a->sent[1] + b->sent[1], 1);
                /* a keepalive for the packet, and one for the frame where the responder's owes one */
                assert_in_range(a->sent[4] + b->sent[4], 3, 5);
                world_free(world);
        }
}

/* Elsewhere there may be another one: it is asked again. */
static void test_asked_after_a_move(void **state)
{
        struct host *a, *b;
        struct world *world = mixed(90, true, true, &a, &b);

        (void)state;
        world_flow(a, b, 2600, SECOND);
        world_flow(b, a, 2600, SECOND);
        world_run(world, 20 * MINUTE);
        assert_int_equal(a->frames, 3);
        host_roam(b);
        world_run(world, 20 * MINUTE);
        assert_int_equal(a->frames, 4);
        world_free(world);
}

/* A stock peer that becomes an Adit is found out; one that becomes a stock peer again is told of. */
static void test_software_changes(void **state)
{
        static const struct abilities none;
        const struct abilities all = abilities_all(true);
        struct host *a, *b;
        struct world *world = mixed(95, true, true, &a, &b);

        (void)state;
        world_flow(a, b, 20000, SECOND);
        world_flow(b, a, 20000, SECOND);
        world_run(world, 20 * MINUTE);
        b->abilities = all;
        host_restart(b);
        world_run(world, 65 * MINUTE);
        assert_true(b->effects[EFFECT_UPGRADED] > 0);
        check_upgraded(a, b, b->effects[EFFECT_UPGRADED]);
        assert_int_equal(a->effects[EFFECT_UPGRADE_LOST], 0);
        world_check_delivered(world, world->packet_count - 1000);
        b->abilities = none;
        host_restart(b);
        world_run(world, 20 * MINUTE);
        assert_int_equal(a->effects[EFFECT_UPGRADE_LOST], 1);
        assert_false(host_status(a, b).adit);
        world_check_delivered(world, world->packet_count - 1000);
        world_free(world);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trips),
                cmocka_unit_test(test_ciphers),
                cmocka_unit_test(test_tag_that_does_not_fit),
                cmocka_unit_test(test_hours),
                cmocka_unit_test(test_idle),
                cmocka_unit_test(test_persistent_keepalive),
                cmocka_unit_test(test_with_a_wireguard),
                cmocka_unit_test(test_frames_move_no_timer),
                cmocka_unit_test(test_asked_after_a_move),
                cmocka_unit_test(test_software_changes),
        };

        return cmocka_run_group_tests_name("upgrade", tests, NULL, NULL);
}
