/* What was unpublished comes back when nobody can hold it any more, and not before; and readers beside a writer. */
#include "tests/unit/proto/pair.h"

#include "daemon/proto/grace.h"

#include <pthread.h>

static unsigned count(const struct retired *item)
{
        unsigned n = 0;

        for (; item; item = item->next)
                n++;
        return n;
}

static void test_nobody_reads(void **state)
{
        struct grace grace = { 0 };
        struct retired items[3];
        struct limbo limbo = { 0 };

        (void)state;
        assert_true(grace_unused(&grace));
        assert_true(limbo_empty(&limbo));
        for (int i = 0; i < 3; i++)
                limbo_add(&limbo, &items[i]);
        assert_false(limbo_empty(&limbo));
        assert_int_equal(count(limbo_take(&limbo, &grace)), 3);
        assert_true(limbo_empty(&limbo));
        limbo_add(&limbo, &items[0]);
        assert_int_equal(count(limbo_take(&limbo, NULL)), 1); /* no lanes at all */
}

/* Steps: + takes a ticket of a lane, - gives the oldest back, r retires one, t takes what comes back. */
static void test_tickets(void **state)
{
        static const struct {
                const char *steps; /* o, i: the lane of the + or - before it */
                unsigned back;     /* in the last t */
        } rows[] = {
                { "rt", 1 },           { "+orti", 0 },       { "+ort-ot", 1 },   { "+irt-it", 1 },   { "+o+irt-ot", 0 },
                { "+o+irt-ot-it", 1 }, { "rt+o", 1 },        { "+ort+o-ot", 1 }, /* a later one counts not */
                { "+o+ort-ot", 0 },    { "+ortrt", 0 },      { "+ortr-ot", 1 },  { "+ortr-ott", 1 }, /* the second has
                                                                                                        its own wait */
                { "+o-ort", 1 },       { "+i-i+ort-ot", 1 },
        };

        (void)state;
        for (unsigned i = 0; i < ROWS(rows); i++) {
                struct grace grace = { 0 };
                struct limbo limbo = { 0 };
                struct retired items[8];
                unsigned used = 0, back = 0;

                for (const char *c = rows[i].steps; *c; c++) {
                        enum lane_id lane = c[1] == 'i' ? LANE_INBOUND : LANE_OUTBOUND;
                        if (*c == '+') grace_enter(&grace, lane);
                        if (*c == '-') grace_leave(&grace, lane);
                        if (*c == 'r') limbo_add(&limbo, &items[used++]);
                        if (*c == 't') back = count(limbo_take(&limbo, &grace));
                }
                if (back != rows[i].back) fail_msg("%s: %u came back, not %u", rows[i].steps, back, rows[i].back);
        }
}

/* A session that a worker found stays whole until its ticket is given back, and its keys no longer. */
static void test_session_outlives_its_place(void **state)
{
        struct pair *p = pair_new();
        struct datagram d = initiation_of(p, &p->a);
        struct engine *engine = p->a.engine;
        struct session *session;
        struct key keys;

        (void)state;
        receive(p, &p->b, &d);
        d = sent_by(p, &p->b);
        receive(p, &p->a, &d);
        session = p->a.peer->sessions.current;
        keys = session->keys.send;
        engine_enter(engine, LANE_OUTBOUND);
        engine_set_up(engine, p->now, false);
        assert_null(p->a.peer->sessions.current);
        assert_true(session_dropped(session));
        assert_true(engine_reclaim(engine));
        assert_memory_equal(&session->keys.send, &keys, sizeof keys);
        engine_leave(engine, LANE_OUTBOUND);
        assert_false(engine_reclaim(engine));
        assert_null(memmem(p->a.memory, p->a.size, &keys, sizeof keys));
        pair_free(p);
}

/* A removed peer's memory comes back once more later: a mailbox may have named it. */
static void test_peer_comes_back_last(void **state)
{
        struct pair *p = pair_new();
        struct engine *engine = p->a.engine;

        (void)state;
        engine_enter(engine, LANE_OUTBOUND);
        engine_peer_remove(engine, p->a.peer);
        assert_int_equal(engine_peer_count(engine), 0);
        assert_true(engine_reclaim(engine));
        engine_leave(engine, LANE_OUTBOUND);
        assert_true(engine_reclaim(engine));
        assert_true(p->a.peer->removed);
        assert_false(engine_reclaim(engine));
        assert_false(p->a.peer->removed); /* wiped */
        pair_free(p);
}

/* ---- Readers beside a writer ------------------------------------------------------------------------------------- */

enum { ROUNDS = 3000 };

static struct engine *shared;
static struct peer *left, *right;
static _Atomic bool done;

static struct prefix narrow(unsigned i)
{
        return (struct prefix){ .family = AF_INET,
                                .length = (uint8_t)(20 + i % 13),
                                .bytes = { 10, (uint8_t)(i * 37), (uint8_t)(i * 91), 0 } };
}

/* 10.0.0.0/8 is one of the two's at any time, whatever is inserted and removed below it. */
struct reader {
        pthread_t thread;
        enum lane_id lane; /* of its own: tickets of one lane are given back in their order */
        unsigned wrong;
};

static void *look_up(void *context)
{
        struct reader *reader = context;

        for (unsigned i = 0; !done; i++) {
                const uint8_t address[4] = { 10, (uint8_t)(i * 37), (uint8_t)(i * 91), (uint8_t)i };
                engine_enter(shared, reader->lane);
                struct peer *peer = allowedips_lookup4(&shared->allowed, address);
                if (peer != left && peer != right) reader->wrong++;
                engine_leave(shared, reader->lane);
        }
        return NULL;
}

static void churn(unsigned round)
{
        const struct prefix wide = { .family = AF_INET, .length = 8, .bytes = { 10 } };
        struct prefix prefix = narrow(round);

        engine_allowed_ip_add(shared, round % 3 ? left : right, &wide); /* moves, and is never nobody's */
        if (round % 7 < 4) engine_allowed_ip_add(shared, round % 2 ? left : right, &prefix);
        else engine_allowed_ip_remove(shared, round % 2 ? left : right, &prefix);
        if (round % 50 == 0) { /* replaced, all but the wide one */
                engine_allowed_ips_begin(shared);
                engine_allowed_ip_add(shared, left, &wide);
                engine_allowed_ips_sweep(shared, left);
                engine_allowed_ips_sweep(shared, right);
                assert_int_equal(engine_prefix_count(shared), 1);
        }
}

static void test_look_ups_beside_changes(void **state)
{
        struct pair *p = pair_new();
        static const struct key stranger = { { 5 } };
        struct reader readers[LANES] = { { .lane = LANE_OUTBOUND }, { .lane = LANE_INBOUND } };
        const struct prefix wide = { .family = AF_INET, .length = 8, .bytes = { 10 } };

        (void)state;
        shared = p->a.engine;
        left = p->a.peer;
        right = engine_peer_add(shared, p->now, &stranger);
        engine_allowed_ips_clear(shared, left);
        assert_true(engine_allowed_ip_add(shared, left, &wide));
        done = false;
        for (int i = 0; i < LANES; i++)
                assert_int_equal(pthread_create(&readers[i].thread, NULL, look_up, &readers[i]), 0);
        for (unsigned round = 0; round < ROUNDS; round++)
                churn(round);
        done = true;
        for (int i = 0; i < LANES; i++) {
                pthread_join(readers[i].thread, NULL);
                assert_int_equal(readers[i].wrong, 0);
        }
        pair_free(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nobody_reads),
                cmocka_unit_test(test_tickets),
                cmocka_unit_test(test_session_outlives_its_place),
                cmocka_unit_test(test_peer_comes_back_last),
                cmocka_unit_test(test_look_ups_beside_changes),
        };

        return RUN(tests);
}
