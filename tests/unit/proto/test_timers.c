#include "tests/unit/proto/pair.h"

static struct heap_item *heap_room[8];
static uint64_t random_state;
static const struct engine_random random_source = { fill, &random_state };

static void queue_fresh(struct timer_queue *queue, struct timers *timers)
{
        *queue = (struct timer_queue){ .random = &random_source, .running = true };
        heap_init(&queue->heap, heap_room);
        timers_init(timers, queue);
}

/* Section 6.1 of the paper. */
static void test_constants(void **state)
{
        static const struct {
                uint64_t is, paper;
        } rows[] = {
                { REKEY_AFTER_MESSAGES, UINT64_C(1152921504606846976) },
                { REJECT_AFTER_MESSAGES, UINT64_C(18446744073709543423) }, /* 2^64 - 2^13 - 1 */
                { REKEY_AFTER_TIME, UINT64_C(120000000000) },
                { REJECT_AFTER_TIME, UINT64_C(180000000000) },
                { REKEY_ATTEMPT_TIME, UINT64_C(90000000000) },
                { REKEY_TIMEOUT, UINT64_C(5000000000) },
                { KEEPALIVE_TIMEOUT, UINT64_C(10000000000) },
                { ERASE_KEYS_TIME, UINT64_C(540000000000) },
                { REKEY_ON_RECEIVE_TIME, UINT64_C(165000000000) },
        };

        (void)state;
        for (unsigned i = 0; i < ROWS(rows); i++)
                assert_true(rows[i].is == rows[i].paper);
}

enum event { DATA_SENT, DATA_RECEIVED, ANY_SENT, ANY_RECEIVED, INITIATED, COMPLETE, DERIVED };

static void happen(struct timers *timers, enum event event, uint64_t now)
{
        switch (event) {
        case DATA_SENT:
                if (timers_note_sent(timers, now, true)) timers_requeue(timers);
                break;
        case DATA_RECEIVED:
                if (timers_note_received(timers, now, true)) timers_requeue(timers);
                break;
        case ANY_SENT: timers_any_packet_sent(timers, now); break;
        case ANY_RECEIVED: timers_any_packet_received(timers, now); break;
        case INITIATED: timers_handshake_initiated(timers, now); break;
        case COMPLETE: timers_handshake_complete(timers); break;
        case DERIVED: timers_session_derived(timers, now); break;
        }
}

/* Two events, and when the timer is due after them; 0: never. With jitter: from `due` to `due` + REKEY_TIMEOUT_JITTER.
 */
static void test_events(void **state)
{
        static const struct {
                enum event first, second;
                uint64_t first_at, second_at;
                enum timer timer;
                uint64_t due;
                bool jitter;
        } rows[] = {
                { DATA_SENT, DATA_SENT, 1, 5, TIMER_NEW_HANDSHAKE, 1 + 15, true },
                { DATA_SENT, ANY_SENT, 1, 5, TIMER_NEW_HANDSHAKE, 1 + 15, true },
                { DATA_SENT, ANY_RECEIVED, 1, 5, TIMER_NEW_HANDSHAKE, 0, false },
                { ANY_RECEIVED, DATA_SENT, 1, 5, TIMER_NEW_HANDSHAKE, 5 + 15, true },
                { DATA_RECEIVED, DATA_RECEIVED, 1, 5, TIMER_SEND_KEEPALIVE, 1 + 10, false },
                { DATA_RECEIVED, ANY_RECEIVED, 1, 5, TIMER_SEND_KEEPALIVE, 1 + 10, false },
                { DATA_RECEIVED, ANY_SENT, 1, 5, TIMER_SEND_KEEPALIVE, 0, false },
                { ANY_RECEIVED, ANY_RECEIVED, 1, 5, TIMER_SEND_KEEPALIVE, 0, false },
                { INITIATED, INITIATED, 1, 7, TIMER_RETRANSMIT_HANDSHAKE, 7 + 5, true },
                { INITIATED, ANY_RECEIVED, 1, 7, TIMER_RETRANSMIT_HANDSHAKE, 1 + 5, true },
                { INITIATED, COMPLETE, 1, 7, TIMER_RETRANSMIT_HANDSHAKE, 0, false },
                { DERIVED, ANY_RECEIVED, 1, 7, TIMER_ERASE_KEYS, 1 + 540, false },
                { DERIVED, DERIVED, 1, 100, TIMER_ERASE_KEYS, 100 + 540, false },
                { ANY_SENT, ANY_SENT, 1, 7, TIMER_PERSISTENT_KEEPALIVE, 7 + 25, false },
                { ANY_SENT, ANY_RECEIVED, 1, 8, TIMER_PERSISTENT_KEEPALIVE, 8 + 25, false },
        };

        (void)state;
        for (unsigned i = 0; i < ROWS(rows); i++) {
                uint64_t least = rows[i].due ? SECONDS(rows[i].due) : UINT64_MAX;
                struct timer_queue queue;
                struct timers timers;

                queue_fresh(&queue, &timers);
                timers.persistent = SECONDS(25);
                happen(&timers, rows[i].first, SECONDS(rows[i].first_at));
                happen(&timers, rows[i].second, SECONDS(rows[i].second_at));
                if (rows[i].jitter) assert_in_range(timers.at[rows[i].timer], least, least + REKEY_TIMEOUT_JITTER);
                else assert_int_equal(timers.at[rows[i].timer], least);
                assert_int_equal(timer_take(&timers, rows[i].timer, least - 1), false);
                assert_int_equal(timer_take(&timers, rows[i].timer, least + REKEY_TIMEOUT_JITTER), rows[i].due != 0);
                assert_false(timer_take(&timers, rows[i].timer, UINT64_MAX - 1)); /* once */
        }
}

/* A second keepalive follows the first if data came in between; not if something was sent. */
static void test_another_keepalive(void **state)
{
        struct timer_queue queue;
        struct timers timers;

        (void)state;
        queue_fresh(&queue, &timers);
        assert_true(timers_note_received(&timers, SECONDS(1), true));
        assert_false(timers.another_keepalive);
        assert_false(timers_note_received(&timers, SECONDS(2), true));
        assert_true(timers.another_keepalive);
        timers_any_packet_sent(&timers, SECONDS(3));
        assert_false(timers.another_keepalive);
}

static void test_jitter(void **state)
{
        struct timer_queue queue;
        struct timers timers;
        uint64_t least = UINT64_MAX, most = 0;

        (void)state;
        queue_fresh(&queue, &timers);
        for (unsigned i = 0; i < 10000; i++) {
                uint64_t jitter = timer_jitter(&timers);

                if (jitter < least) least = jitter;
                if (jitter > most) most = jitter;
        }
        assert_true(most <= MILLISECONDS(333));
        assert_true(most > MILLISECONDS(330));
        assert_true(least < MILLISECONDS(3));
}

/* The deadline is never late, however events move the timers; a link that is down has none. */
static void test_queue(void **state)
{
        struct timer_queue queue;
        struct timers timers[4];
        uint64_t now = 1;

        (void)state;
        queue_fresh(&queue, &timers[0]);
        for (unsigned i = 0; i < 4; i++) {
                timers_init(&timers[i], &queue);
                timers[i].persistent = SECONDS(i * 7);
        }
        srand(4);
        for (unsigned step = 0; step < 100000; step++) {
                struct timers *due;
                uint64_t least = UINT64_MAX;

                happen(&timers[rand() % 4], (enum event)(rand() % (DERIVED + 1)), now);
                for (unsigned i = 0; i < 4 * TIMER_COUNT; i++)
                        if (timers[i / TIMER_COUNT].at[i % TIMER_COUNT] < least)
                                least = timers[i / TIMER_COUNT].at[i % TIMER_COUNT];
                assert_true(timers_deadline(&queue) <= least);
                now += (uint64_t)rand() % SECONDS(2);
                while ((due = timers_due(&queue, now))) {
                        for (unsigned i = 0; i < TIMER_COUNT; i++)
                                timer_take(due, (enum timer)i, now);
                        timers_requeue(due);
                }
                assert_true(timers_deadline(&queue) > now);
        }
        queue.running = false;
        for (unsigned i = 0; i < 4; i++)
                timers_stop(&timers[i]);
        assert_true(timers_deadline(&queue) == UINT64_MAX);
        for (unsigned event = DATA_SENT; event <= DERIVED; event++)
                happen(&timers[1], (enum event)event, now);
        assert_true(timers_deadline(&queue) == UINT64_MAX);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_constants),
                cmocka_unit_test(test_events),
                cmocka_unit_test(test_another_keepalive),
                cmocka_unit_test(test_jitter),
                cmocka_unit_test(test_queue),
        };

        return RUN(tests);
}
