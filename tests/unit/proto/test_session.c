#include "tests/unit/proto/pair.h"

#define BORN SECONDS(1000)

static void test_limits(void **state)
{
        static const struct {
                uint64_t age, counter;
                bool initiator, send, receive, rekey_on_send, rekey_on_receive;
                uint8_t cipher;
        } rows[] = {
                { 0, 0, true, true, true, false, false, CIPHER_CHACHA20_POLY1305 },
                { REKEY_AFTER_TIME - 1, 0, true, true, true, false, false, CIPHER_CHACHA20_POLY1305 },
                { REKEY_AFTER_TIME, 0, true, true, true, true, false, CIPHER_CHACHA20_POLY1305 },
                { REKEY_AFTER_TIME, 0, false, true, true, false, false,
                  CIPHER_CHACHA20_POLY1305 }, /* it is on the initiator */
                { REKEY_ON_RECEIVE_TIME - 1, 0, true, true, true, true, false, CIPHER_CHACHA20_POLY1305 },
                { REKEY_ON_RECEIVE_TIME, 0, true, true, true, true, true, CIPHER_CHACHA20_POLY1305 },
                { REKEY_ON_RECEIVE_TIME, 0, false, true, true, false, false, CIPHER_CHACHA20_POLY1305 },
                { REJECT_AFTER_TIME - 1, 0, false, true, true, false, false, CIPHER_CHACHA20_POLY1305 },
                { REJECT_AFTER_TIME, 0, false, false, false, false, false, CIPHER_CHACHA20_POLY1305 },
                { 0, UINT32_MAX, false, true, true, false, false, CIPHER_CHACHA20_POLY1305 },
                { 0, UINT64_C(1) << 32, false, true, true, false, false, CIPHER_CHACHA20_POLY1305 },
                { 0, REKEY_AFTER_MESSAGES - 1, false, true, true, false, false, CIPHER_CHACHA20_POLY1305 },
                { 0, REKEY_AFTER_MESSAGES, false, true, true, true, false, CIPHER_CHACHA20_POLY1305 },
                { 0, REJECT_AFTER_MESSAGES - 1, false, true, true, true, false, CIPHER_CHACHA20_POLY1305 },
                { 0, REJECT_AFTER_MESSAGES, false, false, false, true, false, CIPHER_CHACHA20_POLY1305 },
                { 0, (UINT64_C(1) << 32) - 1, false, true, true, false, false, CIPHER_AES_256_GCM },
                { 0, UINT64_C(1) << 32, false, true, true, true, false, CIPHER_AES_256_GCM },
                { 0, (UINT64_C(1) << 34) - 1, false, true, true, true, false, CIPHER_AES_256_GCM },
                { 0, UINT64_C(1) << 34, false, false, false, true, false, CIPHER_AES_256_GCM },
        };

        (void)state;
        for (unsigned i = 0; i < ROWS(rows); i++) {
                const struct cipher cipher = { .id = rows[i].cipher };
                const struct session session = { .cipher = &cipher,
                                                 .born = BORN,
                                                 .sending = true,
                                                 .initiator = rows[i].initiator,
                                                 .send_counter = rows[i].counter };
                const uint64_t now = BORN + rows[i].age;

                assert_int_equal(session_can_send(&session, now), rows[i].send);
                assert_int_equal(session_can_receive(&session, now, rows[i].counter), rows[i].receive);
                assert_int_equal(session_rekey_on_send(&session, now), rows[i].rekey_on_send);
                assert_int_equal(session_rekey_on_receive(&session, now), rows[i].rekey_on_receive);
        }
        assert_false(session_can_send(NULL, BORN));
}

struct places {
        struct session_store store;
        struct sessions sessions;
        struct peer peer;
        uint32_t last_index;
        _Alignas(16) uint8_t memory[8 * POOL_ALIGN(sizeof(struct session))];
        struct index_entry *buckets[64];
};

static struct places *places_new(void)
{
        struct places *p = aligned_alloc(16, POOL_ALIGN(sizeof *p));

        assert_non_null(p);
        memset(p, 0, sizeof *p);
        pool_init(&p->store.pool, p->memory, sizeof(struct session), 8);
        index_init(&p->store.indices, p->buckets, 16);
        return p;
}

static struct session *begin(struct places *p, bool initiator)
{
        const struct handshake hs = { .local_index = ++p->last_index };
        struct session_keys keys;

        memset(&keys, (int)p->last_index, sizeof keys);
        return sessions_begin(&p->sessions, &p->store, &p->peer, &keys, &hs, initiator, BORN);
}

static void check_places(const struct places *p, uint32_t previous, uint32_t current, uint32_t next)
{
        const struct sessions *s = &p->sessions;
        unsigned count = (previous != 0) + (current != 0) + (next != 0);

        assert_int_equal(s->previous ? s->previous->entry.index : 0, previous);
        assert_int_equal(s->current ? s->current->entry.index : 0, current);
        assert_int_equal(s->next ? s->next->entry.index : 0, next);
        assert_int_equal(p->store.pool.taken, count);
        for (uint32_t index = 1; index <= p->last_index; index++)
                assert_int_equal(index_find(&p->store.indices, index) != NULL,
                                 index == previous || index == current || index == next);
}

static void test_places(void **state)
{
        struct places *p = places_new();

        (void)state;
        begin(p, true);
        check_places(p, 0, 1, 0);
        begin(p, true);
        check_places(p, 1, 2, 0);
        begin(p, false);
        check_places(p, 1, 2, 3);
        begin(p, false); /* the initiator tried again */
        check_places(p, 1, 2, 4);
        assert_false(sessions_confirm(&p->sessions, &p->store, p->sessions.previous, BORN));
        assert_true(sessions_confirm(&p->sessions, &p->store, p->sessions.next, BORN));
        check_places(p, 2, 4, 0);
        assert_true(sessions_drop(&p->sessions, &p->store));
        assert_false(sessions_drop(&p->sessions, &p->store));
        check_places(p, 0, 0, 0);
        free(p);
}

static void test_crossing(void **state)
{
        struct places *p = places_new();

        (void)state;
        begin(p, true);
        begin(p, false);
        sessions_prefer_current(&p->sessions, BORN);
        begin(p, true);
        check_places(p, 1, 3, 2);
        assert_false(sessions_confirm(&p->sessions, &p->store, p->sessions.next, BORN + REKEY_TIMEOUT - 1));
        assert_true(sessions_confirm(&p->sessions, &p->store, p->sessions.next, BORN + REKEY_TIMEOUT));
        check_places(p, 3, 2, 0);
        free(p);
}

/* The one that yielded stays until the next renewal of ours: then nobody sends with it any more. */
static void test_yielded_does_not_stay(void **state)
{
        struct places *p = places_new();

        (void)state;
        begin(p, false);
        sessions_prefer_current(&p->sessions, BORN);
        begin(p, true);
        p->sessions.current->born++; /* ours came behind it */
        check_places(p, 0, 2, 1);
        begin(p, true);
        check_places(p, 2, 3, 0);
        free(p);
}

/* A session that a packet still uses keeps its keys until that is committed, and no longer. */
static void test_wiped_with_its_last_packet(void **state)
{
        struct places *p = places_new();
        struct session *session = begin(p, true);
        uint8_t key[KEY_LEN];

        (void)state;
        memset(key, 1, sizeof key);
        session_get(session);
        session_get(session);
        assert_false(session_dropped(session));
        sessions_drop(&p->sessions, &p->store);
        assert_true(session_dropped(session));
        session_put(session, &p->store);
        assert_non_null(memmem(p->memory, sizeof p->memory, key, sizeof key));
        session_put(session, &p->store);
        assert_null(memmem(p->memory, sizeof p->memory, key, sizeof key));
        assert_int_equal(p->store.pool.taken, 0);
        free(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_places),
                cmocka_unit_test(test_crossing),
                cmocka_unit_test(test_yielded_does_not_stay),
                cmocka_unit_test(test_wiped_with_its_last_packet),
        };

        return RUN(tests);
}
