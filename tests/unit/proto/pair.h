/* Two engines and what goes between them, a step at a time: `a` is 10.0.0.1 inside and 192.0.2.1:1000 outside, `b` is
 * 10.0.0.2 and 192.0.2.2:1000. Time stands still unless a test moves it. */
#ifndef TESTS_UNIT_PROTO_PAIR_H
#define TESTS_UNIT_PROTO_PAIR_H

#include "daemon/proto/state.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define WALL_START (UINT64_C(1700000000) * 1000000000)
enum { MTU = 1420, INNER_LEN = 100 };

struct datagram {
        size_t len;
        struct endpoint from;
        uint8_t bytes[2048];
};

struct side {
        struct engine *engine;
        void *memory;
        size_t size;
        struct key private_key, public_key;
        struct endpoint at; /* as the other sees it */
        struct peer *peer;  /* the other */
        uint64_t random;
};

struct pair {
        uint64_t now, wall;
        struct side a, b;
        struct effects fx; /* of the last call */
        enum drop reason;  /* of the last call */
        size_t delivered;  /* length; 0: nothing */
};

static inline void fill(void *context, void *bytes, size_t len)
{
        uint64_t *state = context;

        for (size_t i = 0; i < len; i++) {
                *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                ((uint8_t *)bytes)[i] = (uint8_t)(*state >> 56);
        }
}

static inline struct endpoint endpoint_of(const char *address, uint16_t port)
{
        struct endpoint e = { .remote.in = { .sin_family = AF_INET, .sin_port = htons(port) } };

        assert_int_equal(inet_pton(AF_INET, address, &e.remote.in.sin_addr), 1);
        return e;
}

static inline struct prefix prefix_of(const char *address, uint8_t length)
{
        struct prefix prefix = { .family = AF_INET, .length = length };

        assert_int_equal(inet_pton(AF_INET, address, prefix.bytes), 1);
        return prefix;
}

static inline void side_new(struct side *side, uint64_t seed, const char *address)
{
        static const struct engine_config config = {
                .max_peers = 64, .max_prefixes = 128, .max_staged = 200, .staged_size = MTU
        };
        struct engine_random random = { fill, &side->random };

        side->random = seed;
        side->size = engine_memory(&config);
        side->memory = aligned_alloc(16, POOL_ALIGN(side->size));
        memset(side->memory, 0, side->size);
        side->engine = engine_new(side->memory, side->size, &config, &random, 0);
        assert_non_null(side->engine);
        fill(&seed, side->private_key.bytes, KEY_LEN);
        key_clamp(&side->private_key);
        assert_true(key_public_from_private(&side->public_key, &side->private_key));
        side->at = endpoint_of(address, 1000);
}

static inline void side_config(struct pair *p, struct side *side, const struct side *other, const char *inner)
{
        struct prefix prefix = prefix_of(inner, 32);

        engine_set_private_key(side->engine, p->now, &side->private_key);
        engine_set_mtu(side->engine, MTU);
        engine_set_up(side->engine, p->now, true);
        side->peer = engine_peer_add(side->engine, p->now, &other->public_key);
        assert_non_null(side->peer);
        engine_peer_set_endpoint(side->peer, &other->at.remote);
        assert_true(engine_allowed_ip_add(side->engine, side->peer, &prefix));
}

static inline struct pair *pair_new(void)
{
        struct pair *p = calloc(1, sizeof *p);

        assert_non_null(p);
        p->now = SECONDS(1000);
        p->wall = WALL_START;
        side_new(&p->a, 1, "192.0.2.1");
        side_new(&p->b, 2, "192.0.2.2");
        side_config(p, &p->a, &p->b, "10.0.0.2");
        side_config(p, &p->b, &p->a, "10.0.0.1");
        return p;
}

static inline void pair_free(struct pair *p)
{
        free(p->a.memory);
        free(p->b.memory);
        free(p);
}

static inline struct side *other_side(struct pair *p, const struct side *side)
{
        return side == &p->a ? &p->b : &p->a;
}

static inline void pass_time(struct pair *p, uint64_t ns)
{
        p->now += ns;
        p->wall += ns;
}

static inline void tick(struct pair *p, struct side *side)
{
        p->fx.count = 0;
        engine_tick(side->engine, p->now, p->wall, &p->fx);
}

/* How many effects of a type the last call had. */
static inline unsigned had(const struct pair *p, enum effect_type type)
{
        unsigned n = 0;

        for (unsigned i = 0; i < p->fx.count; i++)
                n += p->fx.list[i].type == type;
        return n;
}

/* The datagram of the first SEND of the last call; its first byte is the message type. */
static inline struct datagram sent_by(const struct pair *p, const struct side *side)
{
        struct datagram d = { .from = side->at };

        for (unsigned i = 0; i < p->fx.count && !d.len; i++) {
                if (p->fx.list[i].type != EFFECT_SEND) continue;
                d.len = p->fx.list[i].len;
                memcpy(d.bytes, p->fx.list[i].bytes, d.len);
        }
        assert_int_not_equal(d.len, 0);
        return d;
}

static inline size_t inner_packet(uint8_t *out, const char *source, const char *destination, size_t len)
{
        memset(out, 0, len);
        out[0] = 0x45;
        out[2] = (uint8_t)(len >> 8);
        out[3] = (uint8_t)len;
        inet_pton(AF_INET, source, out + 12);
        inet_pton(AF_INET, destination, out + 16);
        for (size_t i = 20; i < len; i++)
                out[i] = (uint8_t)i;
        return len;
}

/* Any bytes as an inner packet, in the current session of the side, whatever its routes say. */
static inline struct datagram seal_raw(struct side *side, const uint8_t *plain, size_t len)
{
        struct session *session = side->peer->sessions.current;
        struct datagram d = { .from = side->at, .len = len + DATA_OVERHEAD };
        struct tx tx = { .session = session, .counter = session->send_counter++, .plain_len = len };
        uint8_t packet[2048];

        memcpy(packet, plain, len);
        tx_seal(&tx, d.bytes, packet, len);
        return d;
}

/* Outbound; true: `d` is the datagram. */
static inline bool send_inner(struct pair *p, struct side *side, const char *source, const char *destination,
                              size_t len, struct datagram *d)
{
        uint8_t packet[2048];
        struct tx tx;

        p->fx.count = 0;
        inner_packet(packet, source, destination, len);
        if (!engine_tx_begin(side->engine, p->now, p->wall, packet, len, &tx, &p->reason, &p->fx)) return false;
        d->from = side->at;
        d->len = tx.len;
        tx_seal(&tx, d->bytes, packet, len);
        engine_tx_commit(side->engine, p->now, p->wall, &tx, true, &p->fx);
        return true;
}

static inline bool send_data(struct pair *p, struct side *side, struct datagram *d)
{
        return side == &p->a ? send_inner(p, side, "10.0.0.1", "10.0.0.2", INNER_LEN, d)
                             : send_inner(p, side, "10.0.0.2", "10.0.0.1", INNER_LEN, d);
}

/* Inbound; true: an inner packet is delivered. `d` is not changed. */
static inline bool receive(struct pair *p, struct side *side, const struct datagram *d)
{
        struct datagram copy = *d;
        struct rx rx;

        p->fx.count = 0;
        p->delivered = 0;
        if (!engine_rx_begin(side->engine, p->now, p->wall, copy.bytes, copy.len, &copy.from, &rx, &p->reason, &p->fx))
                return false;
        bool opened = rx_open(&rx);
        return engine_rx_commit(side->engine, p->now, p->wall, &rx, opened, &copy.from, &p->delivered, &p->reason,
                                &p->fx);
}

static inline bool next_staged(struct pair *p, struct side *side, struct datagram *d)
{
        struct tx tx;

        d->from = side->at;
        if (!engine_staged_next(side->engine, p->now, side->peer, &tx, d->bytes)) return false;
        d->len = tx.len;
        p->fx.count = 0;
        engine_tx_commit(side->engine, p->now, p->wall, &tx, true, &p->fx);
        return true;
}

/* A packet of `side` draws an initiation. */
static inline struct datagram initiation_of(struct pair *p, struct side *side)
{
        struct datagram unused;

        assert_false(send_data(p, side, &unused));
        assert_int_equal(p->reason, DROP_NONE);
        struct datagram d = sent_by(p, side);
        assert_int_equal(d.bytes[0], MESSAGE_INITIATION);
        return d;
}

/* `side` is the initiator; its staged packet confirms the session. */
static inline void establish(struct pair *p, struct side *side)
{
        struct side *other = other_side(p, side);
        struct datagram d = initiation_of(p, side);

        assert_false(receive(p, other, &d));
        assert_int_equal(p->reason, DROP_NONE);
        d = sent_by(p, other);
        assert_int_equal(d.bytes[0], MESSAGE_RESPONSE);
        assert_false(receive(p, side, &d));
        assert_int_equal(p->reason, DROP_NONE);
        assert_int_equal(had(p, EFFECT_SESSION_UP), 1);
        assert_int_equal(had(p, EFFECT_FLUSH), 1);
        assert_null(side->peer->pending.peer);
        assert_true(next_staged(p, side, &d));
        assert_true(receive(p, other, &d));
        assert_int_equal(had(p, EFFECT_SESSION_UP), 1);
}

/* What must not change by a message that is refused: all of the engine's memory but the drop counters, the count of
 * messages that asked for work, and the time of the call. */
static inline void *snapshot(const struct side *side)
{
        void *copy = malloc(side->size);

        assert_non_null(copy);
        memcpy(copy, side->memory, side->size);
        return copy;
}

static inline void snapshot_check(const struct side *side, const void *before)
{
        struct engine now = *side->engine;

        memcpy(now.drops, ((const struct engine *)before)->drops, sizeof now.drops);
        now.load = ((const struct engine *)before)->load; /* how many asked for work; its table is checked */
        now.now = ((const struct engine *)before)->now;
        now.wall = ((const struct engine *)before)->wall;
        assert_int_equal(memcmp(&now, before, sizeof now), 0);
        assert_int_equal(memcmp((const uint8_t *)side->memory + sizeof now, (const uint8_t *)before + sizeof now,
                                side->size - sizeof now),
                         0);
}

static inline uint64_t drops(const struct side *side, enum drop reason)
{
        return engine_dropped(side->engine, reason);
}

static inline uint64_t all_drops(const struct side *side)
{
        uint64_t sum = 0;

        for (unsigned i = 0; i < DROP_COUNT; i++)
                sum += engine_dropped(side->engine, i);
        return sum;
}

static inline int start_sodium(void **state)
{
        (void)state;
        return sodium_init() < 0;
}

#define RUN(tests) cmocka_run_group_tests(tests, start_sodium, NULL)
#define ROWS(rows) (sizeof(rows) / sizeof *(rows))

static inline void check_dropped(struct pair *p, struct side *side, const struct datagram *d, enum drop reason)
{
        void *before = snapshot(side);
        uint64_t drops_before = all_drops(side);

        assert_false(receive(p, side, d));
        assert_int_equal(p->reason, reason);
        assert_int_equal(p->fx.count, 0);
        assert_int_equal(all_drops(side), drops_before + 1);
        snapshot_check(side, before);
        free(before);
}

static inline struct pair *pair_established(void)
{
        struct pair *p = pair_new();

        establish(p, &p->a);
        return p;
}

static inline bool holds(const struct side *side, const void *secret, size_t len)
{
        return memmem(side->memory, side->size, secret, len) != NULL;
}

#endif
