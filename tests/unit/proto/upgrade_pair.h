/* Two Adits (pair.h) and the mail between them: what an engine gives out lies in its side's outbox until a test carries
 * or loses it, with a word for what it is:
 *
 *     initiation, response                      of a handshake
 *     empty, data, HELLO, OFFER, ACCEPT         on the current session; OFFER+ and ACCEPT+ have ML-KEM in them
 *     c:empty, c:data                           on its child, also when that has taken its parent's place
 *     old:..., oldc:...                         on the previous session, on its child */
#ifndef TESTS_UNIT_PROTO_UPGRADE_PAIR_H
#define TESTS_UNIT_PROTO_UPGRADE_PAIR_H

#include "tests/unit/proto/pair.h"
#include "crypto/upgrade.h"
#include "daemon/proto/handshake.h"

#include <stdio.h>

/* One way; the RTO of both is twice the round trip. */
#define DELAY MILLISECONDS(50)
#define RTO   MILLISECONDS(200)

/* Doubling up to a second. */
static const __attribute__((unused)) uint64_t sends_at[] = { 0, RTO, 3 * RTO, 7 * RTO, 7 * RTO + SECONDS(1) };
#define SENDS_END (7 * RTO + SECONDS(2))

struct letter {
        char word[24];
        uint64_t at;
        struct datagram d;
        size_t plain_len;
        uint8_t plain[2048];
};

struct outbox {
        unsigned count;
        struct letter list[64];
        char words[2048];
};

struct adits {
        struct pair *p;
        struct side *a, *b;
        struct outbox from_a, from_b;
        unsigned events_a[EFFECT_ROAMED + 1], events_b[EFFECT_ROAMED + 1];
        uint64_t bytes_a, bytes_b; /* that they gave out */
};

static inline struct outbox *outbox_of(struct adits *x, const struct side *side)
{
        return side == x->a ? &x->from_a : &x->from_b;
}

static inline unsigned *events_of(struct adits *x, const struct side *side)
{
        return side == x->a ? x->events_a : x->events_b;
}

static inline struct session *sent_with(const struct session *session, uint32_t remote_index)
{
        return session && session->remote_index == remote_index ? (struct session *)(uintptr_t)session : NULL;
}

static inline bool is_of(const struct session *parent, uint32_t remote_index, struct session **found, bool *child)
{
        *child = parent && !sent_with(parent, remote_index);
        *found = parent ? sent_with(parent, remote_index) : NULL;
        if (*child) *found = sent_with(parent->child, remote_index);
        if (*found) *child = (*found)->upgraded;
        return *found;
}

static inline const char *frame_word(const struct letter *letter)
{
        static const char *const words[] = { "empty", "HELLO", "OFFER", "ACCEPT", "OFFER+", "ACCEPT+" };
        const struct upgrade_header *header = (const void *)letter->plain;

        if (!letter->plain_len) return words[0];
        if (letter->plain[0] >> 4) return "data";
        assert_in_range(header->type, UPGRADE_HELLO, UPGRADE_ACCEPT);
        return words[header->type + (header->type != UPGRADE_HELLO && header->kem ? 2 : 0)];
}

/* By the keys of who sent it. */
static inline void letter_read(struct letter *letter, const struct side *side)
{
        const struct sessions *sessions = &side->peer->sessions;
        struct session *session = NULL;
        struct datagram copy = letter->d;
        struct message_data header;
        const char *where = "old";
        bool child = false;

        if (copy.bytes[0] != MESSAGE_DATA) {
                strcpy(letter->word, copy.bytes[0] == MESSAGE_INITIATION ? "initiation" : "response");
                return;
        }
        memcpy(&header, copy.bytes, sizeof header);
        if (is_of(sessions->current, le32_get(header.receiver), &session, &child)) where = "";
        else is_of(sessions->previous, le32_get(header.receiver), &session, &child);
        assert_non_null(session);
        assert_true(session->cipher->open(copy.bytes + DATA_HEADER_LEN, copy.len - DATA_HEADER_LEN,
                                          le64_get(header.counter), session->seal_schedule));
        letter->plain_len = copy.len - DATA_HEADER_LEN - session->cipher->tag_len;
        memcpy(letter->plain, copy.bytes + DATA_HEADER_LEN, letter->plain_len);
        snprintf(letter->word, sizeof letter->word, "%s%s%s%s", where, child ? "c" : "", child || *where ? ":" : "",
                 frame_word(letter));
}

static inline void post(struct adits *x, struct side *side, const struct datagram *d)
{
        struct outbox *box = outbox_of(x, side);
        struct letter *letter = &box->list[box->count++];

        assert_true(box->count < ROWS(box->list));
        letter->at = x->p->now;
        letter->plain_len = 0;
        letter->d = *d;
        *(side == x->a ? &x->bytes_a : &x->bytes_b) += d->len;
        letter_read(letter, side);
}

/* What the last call asks its caller to send, in its order. */
static inline void collect(struct adits *x, struct side *side)
{
        struct effects todo = x->p->fx;
        struct datagram d = { .from = side->at };
        struct tx tx;

        x->p->fx.count = 0;
        for (unsigned i = 0; i < todo.count; i++) {
                const struct effect *effect = &todo.list[i];

                events_of(x, side)[effect->type]++;
                if (effect->type == EFFECT_SEND) {
                        d.len = effect->len;
                        memcpy(d.bytes, effect->bytes, d.len);
                        post(x, side, &d);
                } else if (effect->type == EFFECT_FRAME) {
                        if (!engine_frame_next(side->engine, x->p->now, effect->peer, &tx, d.bytes)) continue;
                        d.len = tx.len;
                        post(x, side, &d);
                        engine_tx_commit(side->engine, x->p->now, x->p->wall, &tx, true, &x->p->fx);
                        collect(x, side);
                } else if (effect->type == EFFECT_FLUSH) {
                        while (next_staged(x->p, side, &d)) {
                                post(x, side, &d);
                                collect(x, side);
                        }
                }
        }
}

static inline const char *says(struct adits *x, struct side *side)
{
        struct outbox *box = outbox_of(x, side);
        size_t used = 0;

        box->words[0] = 0;
        for (unsigned i = 0; i < box->count; i++)
                used += (size_t)snprintf(box->words + used, sizeof box->words - used, "%s%s", i ? " " : "",
                                         box->list[i].word);
        return box->words;
}

#define SAYS(x, side, words) assert_string_equal(says(x, side), words)

static inline struct letter letter_take(struct adits *x, struct side *side)
{
        struct outbox *box = outbox_of(x, side);
        struct letter first = box->list[0];

        assert_int_not_equal(box->count, 0);
        memmove(box->list, box->list + 1, --box->count * sizeof *box->list);
        return first;
}

static inline void lose(struct adits *x, struct side *side)
{
        outbox_of(x, side)->count = 0;
}

static inline enum drop hand(struct adits *x, struct side *to, const struct datagram *d)
{
        enum drop reason;

        receive(x->p, to, d);
        reason = x->p->reason;
        collect(x, to);
        x->p->reason = reason;
        return reason;
}

/* The first that `from` has said, to the other. */
static inline enum drop carry(struct adits *x, struct side *from)
{
        struct letter letter = letter_take(x, from);

        return hand(x, other_side(x->p, from), &letter.d);
}

static inline void carry_all(struct adits *x)
{
        while (x->from_a.count || x->from_b.count) {
                while (x->from_a.count)
                        carry(x, x->a);
                while (x->from_b.count)
                        carry(x, x->b);
        }
}

static inline void ticked(struct adits *x, struct side *side)
{
        tick(x->p, side);
        collect(x, side);
}

/* Each engine is called when it wants to be; what they say stays in the outboxes. */
static inline void advance(struct adits *x, uint64_t ns)
{
        uint64_t until = x->p->now + ns;

        for (;;) {
                uint64_t a = engine_deadline(x->a->engine), b = engine_deadline(x->b->engine);
                uint64_t next = a < b ? a : b;

                if (next > until) break;
                if (next > x->p->now) pass_time(x->p, next - x->p->now);
                if (a <= x->p->now) ticked(x, x->a);
                if (b <= x->p->now) ticked(x, x->b);
        }
        pass_time(x->p, until - x->p->now);
}

/* A user packet; false: it waits, or was dropped. */
static inline bool user_packet(struct adits *x, struct side *side, size_t len)
{
        bool a = side == x->a;
        struct datagram d;
        bool sent = send_inner(x->p, side, a ? "10.0.0.1" : "10.0.0.2", a ? "10.0.0.2" : "10.0.0.1", len, &d);

        if (sent) post(x, side, &d);
        collect(x, side);
        return sent;
}

static inline void use_policy(struct adits *x, struct side *side, bool off, enum post_quantum post_quantum)
{
        const struct upgrade_policy policy = { .off = off, .post_quantum = (uint8_t)post_quantum };

        engine_peer_set_upgrade(side->engine, x->p->now, side->peer, &policy);
}

/* The initiator has its session; its first words lie in its outbox. */
static inline void meet(struct adits *x, struct side *initiator)
{
        struct side *responder = other_side(x->p, initiator);

        x->p->fx.count = 0;
        pass_time(x->p, DELAY);
        clock_set(initiator->engine, x->p->now, x->p->wall);
        initiator->peer->initiate_not_before = 0;
        assert_true(handshake_start(initiator->engine, initiator->peer, &x->p->fx));
        collect(x, initiator);
        SAYS(x, initiator, "initiation");
        pass_time(x->p, DELAY);
        assert_int_equal(carry(x, initiator), DROP_NONE);
        SAYS(x, responder, "response");
        pass_time(x->p, DELAY);
        assert_int_equal(carry(x, responder), DROP_NONE);
}

static inline void abilities(struct side *side, bool chacha, bool aes, bool mlkem)
{
        const uint8_t costs[CIPHER_IDS] = { chacha ? 100 : 0, aes ? 90 : 0 };

        engine_set_abilities(side->engine, costs, mlkem);
}

static inline struct adits *adits_new(bool mlkem)
{
        struct adits *x = calloc(1, sizeof *x);

        assert_non_null(x);
        x->p = pair_new();
        x->a = &x->p->a;
        x->b = &x->p->b;
        abilities(x->a, true, false, mlkem);
        abilities(x->b, true, false, mlkem);
        return x;
}

static inline void adits_free(struct adits *x)
{
        pair_free(x->p);
        free(x);
}

/* Upgraded, with nothing under way; `initiator` is it of the parent's handshake. */
static inline void upgrade_all(struct adits *x, struct side *initiator)
{
        meet(x, initiator);
        carry_all(x);
        assert_int_equal(x->a->peer->exchange.state, EXCHANGE_ESTABLISHED);
        assert_int_equal(x->b->peer->exchange.state, EXCHANGE_ESTABLISHED);
}

/* As strangers they meet, and one may still not be known to the other. */
static inline void make_known(struct adits *x)
{
        x->a->peer->acquaintance.known = x->b->peer->acquaintance.known = true;
}

static inline enum upgrade_state upgrade_of(const struct side *side)
{
        struct peer_status status;

        engine_peer_status(side->peer, &status);
        return status.upgrade;
}

static inline void check(const struct side *side, enum exchange_state state, enum upgrade_state upgrade, bool adit)
{
        struct peer_status status;

        engine_peer_status(side->peer, &status);
        assert_int_equal(side->peer->exchange.state, state);
        assert_string_equal(upgrade_state_name(status.upgrade), upgrade_state_name(upgrade));
        assert_int_equal(status.adit, adit);
}

#define STATE(side, s) assert_int_equal((side)->peer->exchange.state, EXCHANGE_##s)
#define TELLS(side, s) assert_string_equal(upgrade_state_name(upgrade_of(side)), upgrade_state_name(UPGRADE_STATE_##s))

static inline uint64_t due(const struct adits *x, const struct side *side, enum timer timer)
{
        uint64_t at = side->peer->timers.at[timer];

        return at == UINT64_MAX ? UINT64_MAX : at - x->p->now;
}

/* `plain` as an authentic packet of `session` of the side's. */
static inline struct datagram seal_on(struct side *side, struct session *session, const void *plain, size_t len)
{
        struct datagram d = { .from = side->at, .len = DATA_HEADER_LEN + len + session->cipher->tag_len };
        struct tx tx = { .session = session, .counter = session->send_counter++, .plain_len = len };
        uint8_t packet[2048];

        memcpy(packet, plain, len);
        tx_seal(&tx, d.bytes, packet, len);
        return d;
}

static inline struct datagram seal_frame(struct side *side, const struct upgrade_frame *frame)
{
        return seal_on(side, side->peer->sessions.current, frame, upgrade_padded(frame));
}

static inline struct upgrade_frame hello_of(uint8_t flags, uint8_t kems, uint8_t chacha, uint8_t aes)
{
        const struct upgrade_terms terms = { .costs = { chacha, aes }, .flags = flags };
        struct upgrade_frame frame;

        upgrade_hello(&frame, &terms, kems);
        return frame;
}

static inline struct upgrade_frame offer_of(uint32_t index, uint8_t flags)
{
        const struct upgrade_terms terms = { .costs = { 100 }, .flags = flags };
        struct upgrade_frame frame;

        upgrade_offer(&frame, &terms, index, NULL);
        return frame;
}

/* ---- What a refused frame may change ----------------------------------------------------------------------------- */

/* `at` is the address of a member in the side's memory. */
static inline void allow_at(const struct side *side, void *before, uintptr_t at, size_t len)
{
        size_t offset = at - (uintptr_t)side->memory;

        memcpy((uint8_t *)before + offset, (const uint8_t *)side->memory + offset, len);
}

#define ALLOW(member) allow_at(side, before, (uintptr_t) & (member), sizeof(member))

/* What every authentic packet changes, and the count of frames; of one that is a frame, what it tells of its sender. */
static inline void allow(const struct side *side, void *before, struct session *session, bool is_frame)
{
        ALLOW(session->window);
        ALLOW(session->proven);
        ALLOW(session->frames);
        ALLOW(side->peer->rx_bytes);
        ALLOW(side->peer->timers.at[TIMER_NEW_HANDSHAKE]);
        ALLOW(side->peer->timers.at[TIMER_PERSISTENT_KEEPALIVE]);
        ALLOW(side->peer->asks_after);
        if (!is_frame) return;
        ALLOW(side->peer->acquaintance);
        ALLOW(side->peer->exchange.heard);
}

static inline void check_frame_refused(struct adits *x, struct side *side, const struct datagram *d, enum drop reason,
                                       bool is_frame)
{
        void *before = snapshot(side);
        uint64_t drops_before = all_drops(side);
        struct session *session = NULL;
        struct message_data header;
        struct index_entry *entry;

        memcpy(&header, d->bytes, sizeof header);
        entry = index_find(&side->engine->store.indices, le32_get(header.receiver));
        if (entry) session = entry->session;
        assert_string_equal(drop_name(hand(x, side, d)), drop_name(reason));
        SAYS(x, side, "");
        assert_int_equal(all_drops(side), drops_before + 1);
        if (session && reason != DROP_RX_BAD_TAG && reason != DROP_RX_REPLAY) allow(side, before, session, is_frame);
        snapshot_check(side, before);
        free(before);
}

/* `a` has said its first word; b is confirmed. */
static inline struct adits *said(bool known, bool kem, struct letter *word)
{
        struct adits *x = adits_new(kem);

        if (known) make_known(x);
        meet(x, x->a);
        carry(x, x->a);
        *word = letter_take(x, x->a);
        x->a->peer->sessions.current->send_counter = 100;
        return x;
}

static inline uint64_t no_clock(void)
{
        return 1000000;
}

static inline int start_ciphers(void **state)
{
        (void)state;
        if (sodium_init() < 0) return -1;
        cipher_init(1, no_clock);
        mlkem_init();
        return 0;
}

/* With it or not at all. */
#define NEEDS_MLKEM()                                                              \
        if (!mlkem_available()) {                                                  \
                print_message("# without ML-KEM in this build: %s\n", __func__);   \
                return; /* cmocka's skip() says "not ok", which fails for prove */ \
        }

#define RUN_ADITS(tests) cmocka_run_group_tests(tests, start_ciphers, NULL)

#endif
