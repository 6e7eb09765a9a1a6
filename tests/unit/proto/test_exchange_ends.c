/* What is left of an exchange when it has ended: nothing of its secrets, nothing in the pools; and how long a child
 * lives. */
#include "tests/unit/proto/upgrade_pair.h"

/* ---- Secrets ----------------------------------------------------------------------------------------------------- */

struct secrets {
        struct key exporter;
        uint8_t h[KDF_HASH_LEN];
        struct exchange_frame {
                uint8_t bytes[16];
        } frame;
        uint8_t seed[48]; /* of 64: the first bytes of an item are the pool's */
};

/* `a` has offered, with ML-KEM where it is there. b has not confirmed anything. */
static struct adits *offered(struct secrets *s)
{
        struct adits *x = adits_new(mlkem_available());
        const uint8_t *work;

        make_known(x);
        meet(x, x->a);
        SAYS(x, x->a, mlkem_available() ? "empty OFFER+" : "empty OFFER");
        s->exporter = x->a->peer->sessions.current->keys.exporter;
        memcpy(s->h, x->a->peer->sessions.current->keys.h, sizeof s->h);
        assert_memory_equal(&x->b->peer->sessions.next->keys.exporter, &s->exporter, KEY_LEN);
        work = (const uint8_t *)x->a->peer->exchange.work;
        memcpy(s->frame.bytes, work + UPGRADE_FRAME_MAX - 16, 16);
        memcpy(s->seed, work + UPGRADE_FRAME_MAX + 16, sizeof s->seed);
        assert_int_equal(sodium_is_zero(s->seed, sizeof s->seed), !mlkem_available());
        assert_true(holds(x->a, &s->exporter, KEY_LEN));
        assert_true(holds(x->a, s->h, sizeof s->h));
        assert_true(holds(x->b, &s->exporter, KEY_LEN));
        return x;
}

static void check_wiped(const struct side *side, const struct secrets *s)
{
        assert_false(holds(side, &s->exporter, KEY_LEN));
        assert_false(holds(side, s->h, sizeof s->h));
        assert_int_equal(side->engine->works.taken, 0);
        if (!mlkem_available()) return;
        assert_false(holds(side, s->seed, sizeof s->seed));
        assert_false(holds(side, s->frame.bytes, sizeof s->frame));
}

static void end_established(struct adits *x)
{
        carry_all(x);
        STATE(x->a, ESTABLISHED);
}

static void end_silent(struct adits *x)
{
        carry(x, x->a);
        advance(x, SECONDS(40));
        STATE(x->a, OFF);
        advance(x, SECONDS(1)); /* b's began 100 ms later */
        STATE(x->b, OFF);
}

static void end_unconfirmed(struct adits *x)
{
        advance(x, SECONDS(41));
        STATE(x->a, OFF);
        assert_non_null(x->b->peer->sessions.next);
}

static void end_unused(struct adits *x)
{
        carry(x, x->a);
        carry(x, x->a);
        carry(x, x->b);
        STATE(x->a, USING);
        lose(x, x->a);
        advance(x, SECONDS(6));
        STATE(x->a, OFF);
        use_policy(x, x->b, true, POST_QUANTUM_AUTO);
        engine_set_up(x->b->engine, x->p->now, false); /* it keeps its answer as long as the parent */
}

static void end_ruled_out(struct adits *x)
{
        const struct upgrade_frame hello = hello_of(0, 0, 0, 0);
        struct upgrade_frame nothing = hello;
        struct datagram d;

        nothing.header.cost[1] = 100;
        carry(x, x->a);
        d = seal_frame(x->b, &nothing);
        hand(x, x->a, &d);
        STATE(x->a, OFF);
        advance(x, SECONDS(41));
}

static void end_farewell(struct adits *x)
{
        const struct upgrade_frame hello = hello_of(0, 0, 0, 0);
        struct datagram d;

        carry(x, x->a);
        d = seal_frame(x->b, &hello);
        hand(x, x->a, &d);
        STATE(x->a, OFF);
        advance(x, SECONDS(41));
}

static void end_bad_accept(struct adits *x)
{
        struct upgrade_frame frame = { 0 };
        struct datagram d;

        carry(x, x->a);
        carry(x, x->a);
        memcpy(&frame, x->from_b.list[0].plain, x->from_b.list[0].plain_len);
        frame.header.index.bytes[0] ^= 1;
        d = seal_frame(x->b, &frame);
        assert_int_equal(hand(x, x->a, &d), DROP_RX_UPGRADE_BAD);
        STATE(x->a, OFF);
        TELLS(x->a, REFUSED);
        lose(x, x->b);
        meet(x, x->b); /* b's answer goes with its parent */
        carry_all(x);
}

static void end_another_session(struct adits *x)
{
        carry(x, x->a);
        lose(x, x->a);
        x->b->peer->acquaintance.known = false; /* it begins no other */
        meet(x, x->b);
        carry(x, x->b);
}

static void end_down(struct adits *x)
{
        carry(x, x->a);
        engine_set_up(x->a->engine, x->p->now, false);
        engine_set_up(x->b->engine, x->p->now, false);
}

static void end_removed(struct adits *x)
{
        carry(x, x->a);
        carry(x, x->a);
        engine_peer_remove(x->a->engine, x->a->peer);
        engine_peer_remove(x->b->engine, x->b->peer);
}

static void end_no_room(struct adits *x)
{
        struct index_entry *entry = calloc(1, sizeof *entry); /* the index that it offered is taken meanwhile */
        uint32_t index = le32_get(((struct upgrade_frame *)(void *)x->a->peer->exchange.work)->header.index);

        index_insert(&x->a->engine->store.indices, entry, index, x->a->peer, x->a->peer->sessions.current);
        carry(x, x->a);
        carry(x, x->a);
        assert_int_equal(carry(x, x->b), DROP_NONE);
        STATE(x->a, OFF);
        TELLS(x->a, NO_ROOM);
        assert_int_equal(x->a->engine->store.children.taken, 0);
        index_remove(&x->a->engine->store.indices, entry);
        free(entry);
        engine_set_up(x->b->engine, x->p->now, false);
}

static void test_secrets_are_wiped(void **state)
{
        static void (*const ends[])(struct adits * x) = {
                end_established, end_silent,  end_unconfirmed,     end_unused, end_ruled_out, end_farewell,
                end_bad_accept,  end_no_room, end_another_session, end_down,   end_removed,
        };

        (void)state;
        for (unsigned i = 0; i < ROWS(ends); i++) {
                struct secrets s;
                struct adits *x = offered(&s);

                print_message("# end %u\n", i);
                ends[i](x);
                check_wiped(x->a, &s);
                check_wiped(x->b, &s);
                adits_free(x);
        }
}

/* With require they stay with the parent, and go with it. */
static void test_secrets_with_require(void **state)
{
        struct adits *x = adits_new(false);
        struct key exporter;

        (void)state;
        use_policy(x, x->a, false, POST_QUANTUM_REQUIRE);
        meet(x, x->a);
        exporter = x->a->peer->sessions.current->keys.exporter;
        advance(x, SECONDS(100));
        assert_true(holds(x->a, &exporter, KEY_LEN));
        lose(x, x->a);
        meet(x, x->a);
        assert_false(holds(x->a, &exporter, KEY_LEN));
        adits_free(x);
}

/* ---- The parent -------------------------------------------------------------------------------------------------- */

static void test_parent_goes(void **state)
{
        struct adits *x = adits_new(false);
        struct session_keys keys;
        struct session *child;
        struct datagram late;

        (void)state;
        upgrade_all(x, x->a);
        keys = x->a->peer->sessions.current->keys;
        child = x->a->peer->sessions.current->child;
        late = seal_on(x->a, x->a->peer->sessions.current, "", 0);
        assert_int_equal(hand(x, x->b, &late), DROP_NONE); /* so far it is there */
        late = seal_on(x->a, x->a->peer->sessions.current, "", 0);
        advance(x, SECONDS(10) - 1);
        assert_true(holds(x->a, &keys.send, KEY_LEN));
        assert_true(holds(x->b, &keys.send, KEY_LEN));
        advance(x, 1);
        for (unsigned i = 0; i < 2; i++) {
                assert_false(holds(i ? x->b : x->a, &keys.send, KEY_LEN));
                assert_false(holds(i ? x->b : x->a, &keys.receive, KEY_LEN));
                assert_int_equal((i ? x->b : x->a)->engine->store.pool.taken, 0);
                assert_int_equal((i ? x->b : x->a)->engine->store.children.taken, 1);
        }
        assert_ptr_equal(x->a->peer->sessions.current, child);
        assert_ptr_equal(x->a->peer->sessions.sender, child);
        TELLS(x->a, DONE);
        assert_int_equal(hand(x, x->b, &late), DROP_RX_UNKNOWN_INDEX);
        assert_true(user_packet(x, x->a, 100));
        carry(x, x->a);
        assert_int_equal(x->p->delivered, 100);
        adits_free(x);
}

/* ---- Limits ------------------------------------------------------------------------------------------------------ */

/* A child is as old as its parent. */
static void test_age(void **state)
{
        (void)state;
        for (unsigned promoted = 0; promoted < 2; promoted++) {
                struct adits *x = adits_new(false);
                struct datagram in_time, late;
                struct session *child;
                uint64_t born;

                meet(x, x->a);
                born = x->p->now;
                pass_time(x->p, SECONDS(promoted ? 1 : 30));
                carry_all(x);
                STATE(x->a, ESTABLISHED);
                child = x->a->peer->sessions.current->child;
                assert_int_equal(child->born, born);
                if (promoted) advance(x, SECONDS(10));
                lose(x, x->a);
                pass_time(x->p, born + SECONDS(120) - 1 - x->p->now);
                user_packet(x, x->a, 100);
                SAYS(x, x->a, "c:data");
                lose(x, x->a);
                pass_time(x->p, 1);
                user_packet(x, x->a, 100);
                SAYS(x, x->a, "c:data initiation");
                lose(x, x->a);
                in_time = seal_on(x->a, child, "", 0);
                late = seal_on(x->a, child, "", 0);
                /* b's was born with its response, a round trip's half before */
                pass_time(x->p, born - DELAY + SECONDS(180) - 1 - x->p->now);
                assert_int_equal(hand(x, x->b, &in_time), DROP_NONE);
                pass_time(x->p, 1);
                assert_int_equal(hand(x, x->b, &late), DROP_RX_SESSION_EXPIRED);
                pass_time(x->p, DELAY - 1);
                assert_true(user_packet(x, x->a, 100));
                pass_time(x->p, 1);
                assert_false(user_packet(x, x->a, 100));
                adits_free(x);
        }
}

static void test_aes_gcm_limits(void **state)
{
        struct adits *x = adits_new(false);
        struct session *child;
        struct datagram d;

        (void)state;
        if (!cipher_find(CIPHER_AES_256_GCM)) {
                print_message("# without AES-256-GCM on this machine: its limits\n");
                adits_free(x);
                return;
        }
        abilities(x->a, true, true, false);
        abilities(x->b, true, true, false);
        upgrade_all(x, x->a);
        child = x->a->peer->sessions.current->child;
        assert_int_equal(child->cipher->id, CIPHER_AES_256_GCM);
        x->a->peer->initiate_not_before = 0;

        child->send_counter = (UINT64_C(1) << 32) - 2;
        user_packet(x, x->a, 100);
        SAYS(x, x->a, "c:data");
        user_packet(x, x->a, 100);
        SAYS(x, x->a, "c:data c:data initiation");
        lose(x, x->a);

        child->send_counter = (UINT64_C(1) << 34) - 1;
        assert_true(user_packet(x, x->a, 100));
        SAYS(x, x->a, "c:data");
        assert_int_equal(carry(x, x->a), DROP_NONE);
        assert_true(user_packet(x, x->a, 100)); /* what auto has beside it */
        SAYS(x, x->a, "data");
        d = seal_on(x->a, child, "", 0);
        assert_int_equal(child->send_counter, (UINT64_C(1) << 34) + 1);
        assert_int_equal(hand(x, x->b, &d), DROP_RX_SESSION_EXPIRED);
        adits_free(x);
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

static void test_pools(void **state)
{
        struct adits *x = adits_new(mlkem_available());

        (void)state;
        for (unsigned i = 0; i < 300; i++) { /* more than there are children */
                meet(x, i % 3 ? x->a : x->b);
                if (i % 7 == 0) lose(x, x->a);
                if (i % 11 == 0) lose(x, x->b);
                carry_all(x);
                assert_in_range(x->a->engine->store.children.taken, 0, CHILDREN_PER_PEER);
                assert_in_range(x->b->engine->store.children.taken, 0, CHILDREN_PER_PEER);
                assert_in_range(x->a->engine->works.taken, 0, 1);
                assert_in_range(x->b->engine->works.taken, 0, 1);
                pass_time(x->p, MILLISECONDS(30));
        }
        for (unsigned i = 0; i < 2; i++) {
                struct engine *engine = i ? x->b->engine : x->a->engine;

                if (i) engine_peer_remove(engine, x->b->peer);
                else engine_set_up(engine, x->p->now, false);
                assert_int_equal(engine->store.pool.taken, 0);
                assert_int_equal(engine->store.children.taken, 0);
                assert_int_equal(engine->works.taken, 0);
                assert_int_equal(engine->staged.taken, 0);
        }
        adits_free(x);
}

/* The index of a child is nobody's: not a session's, not that of a handshake that is pending. */
static void test_index_is_taken(void **state)
{
        struct adits *x = adits_new(false);
        struct child_terms terms = { .cipher = cipher_default() };
        struct session *parent;

        (void)state;
        meet(x, x->a);
        parent = x->a->peer->sessions.current;
        clock_set(x->a->engine, x->p->now, x->p->wall);
        x->a->peer->initiate_not_before = 0;
        handshake_start(x->a->engine, x->a->peer, &x->p->fx);
        x->p->fx.count = 0;
        terms.local_index = parent->entry.index;
        assert_null(sessions_add_child(&x->a->engine->store, parent, &terms));
        terms.local_index = x->a->peer->pending.index;
        assert_null(sessions_add_child(&x->a->engine->store, parent, &terms));
        assert_null(parent->child);
        assert_int_equal(x->a->engine->store.children.taken, 0);
        do
                terms.local_index++;
        while (terms.local_index == parent->entry.index);
        assert_non_null(sessions_add_child(&x->a->engine->store, parent, &terms));
        adits_free(x);
}

/* ---- Terms ------------------------------------------------------------------------------------------------------- */

/* AEGIS-256 has a longer tag: it costs something only where that is known to fit. */
static void test_aegis_fits(void **state)
{
        static const struct {
                uint32_t mtu, egress;
                bool fits;
        } rows[] = {
                { 1404, 0, true },    { 1405, 0, false },    { 0, 0, false },      { 0, 9000, false },
                { 1420, 1516, true }, { 1420, 1515, false }, { 1184, 1280, true }, { 1185, 1280, false },
                { 1404, 1500, true }, { 8904, 9000, true },
        };
        static const uint8_t costs[CIPHER_IDS] = { 100, 90, 80 };

        (void)state;
        for (unsigned i = 0; i < ROWS(rows); i++) {
                struct adits *x = adits_new(false);
                const struct upgrade_header *header;

                engine_set_abilities(x->a->engine, costs, false);
                engine_set_mtu(x->a->engine, rows[i].mtu);
                engine_set_egress_mtu(x->a->engine, rows[i].egress);
                for (unsigned known = 0; known < 2; known++) {
                        if (known) make_known(x);
                        meet(x, x->a);
                        SAYS(x, x->a, known ? "empty OFFER" : "empty HELLO");
                        header = (const void *)x->from_a.list[1].plain;
                        if (header->cost[CIPHER_AEGIS_256] != (rows[i].fits ? 80 : 0)) fail_msg("row %u", i);
                        assert_int_equal(header->cost[CIPHER_CHACHA20_POLY1305], 100);
                        assert_int_equal(header->cost[CIPHER_AES_256_GCM], 90);
                        lose(x, x->a);
                }
                adits_free(x);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_secrets_are_wiped), cmocka_unit_test(test_secrets_with_require),
                cmocka_unit_test(test_parent_goes),       cmocka_unit_test(test_age),
                cmocka_unit_test(test_aes_gcm_limits),    cmocka_unit_test(test_pools),
                cmocka_unit_test(test_index_is_taken),    cmocka_unit_test(test_aegis_fits),
        };

        return RUN_ADITS(tests);
}
