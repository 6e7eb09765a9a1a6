#include "tests/sim/world.h"
#include "crypto/message.h"
#include "daemon/proto/state.h"

#include <sodium.h>

#include <stdlib.h>
#include <string.h>

/* A receiver index that a host announced, and the counters that were sent to it. */
struct flow {
        const struct host *owner;
        uint32_t index;
        uint64_t announced_at;
        const struct session *child; /* that was learnt of by looking into the owner */
        unsigned frames;
        uint8_t *seen; /* a bit for each counter */
        size_t seen_bytes;
};

/* A key that sealed, and for whom. */
struct sealer {
        uint8_t digest[16];
        const struct host *to;
        uint32_t index;
};

struct wire {
        struct flow *flows; /* a hash table, linear probing */
        size_t room, count;
        struct sealer *sealers; /* another one; twice as much room, since a pair of indices has two keys */
        size_t sealer_count;
};

enum { COUNTERS_MAX = 1 << 24 };

/* A session is born at most this long after its initiator announced its index: it answers the last initiation, and the
 * next one, 5 s and a jitter later, takes its place (paper, 6.4). */
#define INDEX_LIFE (180 * SECOND + 6 * SECOND)

struct wire *wire_new(void)
{
        struct wire *wire = calloc(1, sizeof *wire);

        if (wire) {
                wire->room = 1024;
                wire->flows = calloc(wire->room, sizeof *wire->flows);
                wire->sealers = calloc(2 * wire->room, sizeof *wire->sealers);
        }
        return wire;
}

void wire_free(struct wire *wire)
{
        for (size_t i = 0; i < wire->room; i++)
                free(wire->flows[i].seen);
        free(wire->flows);
        free(wire->sealers);
        free(wire);
}

/* Its place, or the empty place where it belongs. */
static struct flow *find(const struct wire *wire, const struct host *owner, uint32_t index)
{
        uint64_t hash = (uint64_t)owner->id << 32 | index;
        size_t i = splitmix(&hash) & (wire->room - 1);

        while (wire->flows[i].owner && (wire->flows[i].owner != owner || wire->flows[i].index != index))
                i = (i + 1) & (wire->room - 1);
        return &wire->flows[i];
}

static struct sealer *find_sealer(const struct wire *wire, const uint8_t digest[16])
{
        size_t i;

        memcpy(&i, digest, sizeof i);
        while (wire->sealers[i &= 2 * wire->room - 1].to && memcmp(wire->sealers[i].digest, digest, 16) != 0)
                i++;
        return &wire->sealers[i];
}

static void grow(struct wire *wire)
{
        struct wire bigger = { .room = 2 * wire->room, .count = wire->count, .sealer_count = wire->sealer_count };

        bigger.flows = calloc(bigger.room, sizeof *bigger.flows);
        bigger.sealers = calloc(2 * bigger.room, sizeof *bigger.sealers);
        if (!bigger.flows || !bigger.sealers) abort();
        for (size_t i = 0; i < 2 * wire->room; i++)
                if (wire->sealers[i].to) *find_sealer(&bigger, wire->sealers[i].digest) = wire->sealers[i];
        free(wire->sealers);
        for (size_t i = 0; i < wire->room; i++)
                if (wire->flows[i].owner) *find(&bigger, wire->flows[i].owner, wire->flows[i].index) = wire->flows[i];
        free(wire->flows);
        *wire = bigger;
}

static uint32_t get32(const uint8_t *bytes)
{
        return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static struct flow *announce(struct world *world, const struct host *owner, uint32_t index)
{
        struct flow *flow;

        if (2 * world->wire->count >= world->wire->room) grow(world->wire);
        flow = find(world->wire, owner, index);
        world_check(world, !flow->owner, "host %u announces index %08x twice", owner->id, index);
        *flow = (struct flow){ .owner = owner, .index = index, .announced_at = world->now };
        world->wire->count++;
        return flow;
}

static void know(struct world *world, const struct host *host, const struct session *child)
{
        struct flow *flow = find(world->wire, host, child->entry.index);

        if (flow->owner && flow->child == child) return;
        flow = announce(world, host, child->entry.index);
        flow->child = child;
        flow->announced_at = child->born - host->boot_offset;
}

void wire_know_children(struct world *world, const struct host *host, const struct peer *peer)
{
        const struct session *current = peer->sessions.current, *previous = peer->sessions.previous;

        if (current && current->child) know(world, host, current->child);
        if (previous && previous->child) know(world, host, previous->child);
}

void wire_check_key(struct world *world, const struct host *to, const struct session *session)
{
        struct wire *wire = world->wire;
        struct sealer *sealer;
        uint8_t digest[16];

        crypto_generichash(digest, sizeof digest, session->seal_schedule, session->cipher->schedule_len, NULL, 0);
        if (wire->sealer_count >= wire->room) grow(wire);
        sealer = find_sealer(wire, digest);
        if (!sealer->to) {
                memcpy(sealer->digest, digest, sizeof digest);
                sealer->to = to;
                sealer->index = session->remote_index;
                wire->sealer_count++;
        }
        world_check(world, sealer->to == to && sealer->index == session->remote_index,
                    "one key seals for index %08x and for %08x", sealer->index, session->remote_index);
}

void wire_frame_seen(struct world *world, const struct host *host, uint32_t index)
{
        struct flow *flow = find(world->wire, host, index);

        flow->frames++;
        world_check(world, flow->frames <= FRAMES_MAX, "host %u looks at %u frames of index %08x", host->id,
                    flow->frames, index);
}

static void use_counter(struct world *world, struct flow *flow, uint64_t counter)
{
        size_t byte = (size_t)(counter / 8);

        world_check(world, counter < COUNTERS_MAX, "index %08x: counter %lu", flow->index, (unsigned long)counter);
        if (byte >= flow->seen_bytes) {
                size_t bytes = 2 * byte + 64;

                flow->seen = realloc(flow->seen, bytes);
                if (!flow->seen) abort();
                memset(flow->seen + flow->seen_bytes, 0, bytes - flow->seen_bytes);
                flow->seen_bytes = bytes;
        }
        world_check(world, !(flow->seen[byte] >> counter % 8 & 1), "index %08x: counter %lu is used twice", flow->index,
                    (unsigned long)counter);
        flow->seen[byte] |= (uint8_t)(1u << counter % 8);
}

static void observe_data(struct world *world, const struct host *from, const struct host *to, const uint8_t *bytes)
{
        struct flow *flow = find(world->wire, to, get32(bytes + 4));

        world_check(world, flow->owner != NULL, "host %u sends to an index that host %u never announced", from->id,
                    to->id);
        world_check(world, world->now - flow->announced_at < INDEX_LIFE, "host %u sends under a key %lu s old",
                    from->id, (unsigned long)((world->now - flow->announced_at) / SECOND));
        use_counter(world, flow, (uint64_t)get32(bytes + 12) << 32 | get32(bytes + 8));
}

void wire_observe(struct world *world, struct host *from, const struct host *to, const uint8_t *bytes, size_t len)
{
        static const size_t lengths[WIRE_TYPES] = { 0, 148, 92, 64, 0 };
        uint32_t type = len >= 4 ? get32(bytes) : 0;

        world_check(world, type >= 1 && type < WIRE_TYPES, "host %u sends a message of type %u", from->id, type);
        world_check(world, lengths[type] ? len == lengths[type] : len >= DATA_OVERHEAD, "type %u, %zu bytes", type,
                    len);
        from->sent[type]++;
        from->last_sent_at = world->now;
        if (type <= 2) announce(world, from, get32(bytes + 4));
        if (type == 4) {
                world_check(world, to != NULL, "host %u sends data to nobody", from->id);
                observe_data(world, from, to, bytes);
        }
}

/* Changes a datagram in one of the ways that wires and attackers have. */
static void damage(struct world *world, struct datagram *d, size_t original)
{
        size_t at = d->len ? world_random(world, d->len) : 0;

        switch (world_random(world, CORRUPTIONS)) {
        case 0: /* one bit */ d->bytes[at] ^= (uint8_t)(1u << world_random(world, 8)); break;
        case 1: /* one byte */ d->bytes[at] = (uint8_t)world_random(world, 256); break;
        case 2: /* cut short, perhaps to nothing */ d->len = at; break;
        case 3: /* one bit of the header */
                d->bytes[world_random(world, d->len < 16 ? d->len : 16)] ^= (uint8_t)(1u << world_random(world, 8));
                break;
        case 4: /* one bit of the tag */
                d->bytes[d->len - 1 - world_random(world, 16)] ^= (uint8_t)(1u << world_random(world, 8));
                break;
        case 5: /* zeros to the end */ memset(d->bytes + at, 0, d->len - at); break;
        case 6: /* grown */ d->len = original + 1 + world_random(world, 32); break;
        default: /* noise throughout, but for the first byte */
                for (size_t i = 1; i < d->len; i++)
                        d->bytes[i] = (uint8_t)world_random(world, 256);
        }
}

void wire_corrupt(struct world *world, struct datagram **datagram)
{
        size_t len = (*datagram)->len;
        struct datagram *d = calloc(1, sizeof *d + len + 64);

        if (!d) abort();
        do {
                memcpy(d, *datagram, sizeof *d + len);
                damage(world, d, len);
        } while (d->len == len && memcmp(d->bytes, (*datagram)->bytes, len) == 0);
        d->corrupted = true;
        free(*datagram);
        *datagram = d;
}
