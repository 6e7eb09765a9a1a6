/* Allowed IPs and receiver indices, in tables of many sizes. */
#include "daemon/proto/allowedips.h"
#include "daemon/proto/index.h"
#include "tests/bench/micro/micro.h"

#include <string.h>

/* Different look-ups in a row, and not the same ones in the next run: a table larger than the caches is to be felt. */
enum { POOL_BITS = 16, POOL = 1 << POOL_BITS, LOOKUPS = 1 << 10 };

/* A permutation of the numbers of so many bits: looks random, and no two are the same. */
static uint32_t scramble(uint32_t i, unsigned bits)
{
        uint32_t mask = bits == 32 ? UINT32_MAX : (UINT32_C(1) << bits) - 1;

        for (int round = 0; round < 3; round++) {
                i = (i * UINT32_C(0x9e3779b1) + 1) & mask;
                i ^= i >> bits / 2;
        }
        return i;
}

/* ---- Allowed IPs: a default route, and peers with a network or an address each below it ---------------------------
 */

enum { NETWORK_BITS = 24, V6_PREFIX_BITS = 32 };

struct trie {
        struct allowedips table;
        struct allowedips_list list;
        uint8_t *peers; /* of a peer only its address is looked at: one byte each */
        struct {
                uint8_t address[16];
                const struct peer *peer; /* whose it is */
        } pool[POOL];
        unsigned next;
};

static struct peer *peer_of(const struct trie *trie, size_t i)
{
        return (void *)(trie->peers + i);
}

/* The i-th network: the numbers differ in NETWORK_BITS, after 2001:db8:: or at once. */
static struct prefix network(uint8_t family, uint32_t i)
{
        size_t start = family == AF_INET ? 0 : V6_PREFIX_BITS / 8;
        struct prefix prefix = { .family = family, .bytes = { 0x20, 0x01, 0x0d, 0xb8 } };
        uint32_t number = scramble(i, NETWORK_BITS);

        for (size_t at = 0; at < sizeof prefix.bytes - start; at++)
                prefix.bytes[start + at] = at < 3 ? (uint8_t)(number >> (16 - 8 * at)) : (uint8_t)(i * 7 + at);
        prefix.length = (uint8_t)(8 * start + NETWORK_BITS + i % 9);
        return prefix;
}

static bool fill_trie(struct trie *trie, uint8_t family, size_t count)
{
        struct prefix prefix = { .family = family };
        bool stored = allowedips_insert(&trie->table, &prefix, peer_of(trie, 0), &trie->list);

        for (uint32_t i = 1; i < count; i++) {
                prefix = network(family, i);
                stored &= allowedips_insert(&trie->table, &prefix, peer_of(trie, i), &trie->list);
        }
        return stored;
}

/* What is asked for: addresses of the networks, or of none where there is only the default route. */
static void fill_pool(struct trie *trie, uint8_t family, size_t count)
{
        for (uint32_t i = 0; i < POOL; i++) {
                uint32_t which = count > 1 ? 1 + scramble(i, POOL_BITS + 1) % (uint32_t)(count - 1) : 0;
                struct prefix prefix = network(family, which ? which : i + 1);

                memcpy(trie->pool[i].address, prefix.bytes, sizeof prefix.bytes);
                trie->pool[i].peer = peer_of(trie, which);
        }
}

static bool setup_trie(struct bench *bench, uint8_t family)
{
        struct trie *trie = bench->state = micro_alloc(sizeof *trie);
        uint32_t count = (uint32_t)bench->size;

        trie->peers = micro_alloc(count);
        allowedips_init(&trie->table, micro_alloc(allowedips_memory(count)), count);
        fill_pool(trie, family, count);
        return fill_trie(trie, family, count);
}

static bool setup_trie4(struct bench *bench)
{
        return setup_trie(bench, AF_INET);
}

static bool setup_trie6(struct bench *bench)
{
        return setup_trie(bench, AF_INET6);
}

static bool run_trie4(struct bench *bench)
{
        struct trie *trie = bench->state;
        bool right = true;

        for (unsigned i = 0; i < LOOKUPS; i++, trie->next = (trie->next + 1) % POOL)
                right &=
                        allowedips_lookup4(&trie->table, trie->pool[trie->next].address) == trie->pool[trie->next].peer;
        return right;
}

static bool run_trie6(struct bench *bench)
{
        struct trie *trie = bench->state;
        bool right = true;

        for (unsigned i = 0; i < LOOKUPS; i++, trie->next = (trie->next + 1) % POOL)
                right &=
                        allowedips_lookup6(&trie->table, trie->pool[trie->next].address) == trie->pool[trie->next].peer;
        return right;
}

/* What belongs to no peer of its own goes to the default route. */
static bool verify_trie4(struct bench *bench)
{
        const struct trie *trie = bench->state;
        struct prefix other = network(AF_INET, (uint32_t)bench->size + 1);

        return run_trie4(bench) && allowedips_lookup4(&trie->table, other.bytes) == peer_of(trie, 0);
}

static bool verify_trie6(struct bench *bench)
{
        const struct trie *trie = bench->state;
        struct prefix other = network(AF_INET6, (uint32_t)bench->size + 1);

        return run_trie6(bench) && allowedips_lookup6(&trie->table, other.bytes) == peer_of(trie, 0);
}

/* ---- Receiver indices -------------------------------------------------------------------------------------------- */

struct indices {
        struct index_table table;
        struct index_entry *entries;
        struct {
                uint32_t index;
                const struct index_entry *entry;
        } pool[POOL];
        unsigned next;
};

static bool setup_index(struct bench *bench)
{
        struct indices *indices = bench->state = micro_alloc(sizeof *indices);
        uint32_t count = (uint32_t)bench->size;

        indices->entries = micro_alloc(count * sizeof *indices->entries);
        index_init(&indices->table, micro_alloc(index_memory(count)), count);
        for (uint32_t i = 0; i < count; i++)
                index_insert(&indices->table, &indices->entries[i], scramble(i, 32), (void *)indices, NULL);
        for (uint32_t i = 0; i < POOL; i++) {
                uint32_t which = scramble(i, POOL_BITS) % count;

                indices->pool[i].index = scramble(which, 32);
                indices->pool[i].entry = &indices->entries[which];
        }
        return true;
}

static bool run_index(struct bench *bench)
{
        struct indices *indices = bench->state;
        bool right = true;

        for (unsigned i = 0; i < LOOKUPS; i++, indices->next = (indices->next + 1) % POOL)
                right &= index_find(&indices->table, indices->pool[indices->next].index) ==
                         indices->pool[indices->next].entry;
        return right;
}

static bool verify_index(struct bench *bench)
{
        const struct indices *indices = bench->state;

        return run_index(bench) && !index_find(&indices->table, scramble((uint32_t)bench->size, 32));
}

static const struct bench benches[] = {
        { .name = "allowed IPs, IPv4, 1 prefix",
          .setup = setup_trie4,
          .run = run_trie4,
          .verify = verify_trie4,
          .size = 1 },
        { .name = "allowed IPs, IPv4, 1,000 prefixes",
          .setup = setup_trie4,
          .run = run_trie4,
          .verify = verify_trie4,
          .size = 1000 },
        { .name = "allowed IPs, IPv4, 100,000 prefixes",
          .setup = setup_trie4,
          .run = run_trie4,
          .verify = verify_trie4,
          .size = 100000 },
        { .name = "allowed IPs, IPv6, 100,000 prefixes",
          .setup = setup_trie6,
          .run = run_trie6,
          .verify = verify_trie6,
          .size = 100000 },
        { .name = "receiver index, 10 entries",
          .setup = setup_index,
          .run = run_index,
          .verify = verify_index,
          .size = 10 },
        { .name = "receiver index, 30,000 entries",
          .setup = setup_index,
          .run = run_index,
          .verify = verify_index,
          .size = 30000 },
};

size_t micro_proto(struct bench *out)
{
        size_t count = sizeof benches / sizeof benches[0];

        memcpy(out, benches, sizeof benches);
        for (size_t i = 0; i < count; i++)
                out[i].operations = LOOKUPS;
        return count;
}
