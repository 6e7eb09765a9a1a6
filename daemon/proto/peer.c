#include "daemon/proto/peer.h"

#include <sched.h>
#include <sodium.h>
#include <string.h>

size_t peer_table_memory(uint32_t max_peers)
{
        return POOL_ALIGN(index_buckets(max_peers) * sizeof(struct peer *)) +
               pool_memory(sizeof(struct peer), 2 * max_peers);
}

void peer_table_init(struct peer_table *table, void *memory, uint32_t max_peers, const uint8_t hash_key[16])
{
        uint32_t buckets = index_buckets(max_peers);

        *table = (struct peer_table){ .buckets = memory, .mask = buckets - 1, .max_peers = max_peers };
        memcpy(table->hash_key, hash_key, sizeof table->hash_key);
        pool_init(&table->pool, (uint8_t *)memory + POOL_ALIGN(buckets * sizeof(struct peer *)), sizeof(struct peer),
                  2 * max_peers);
}

static struct peer **bucket_of(const struct peer_table *table, const struct key *public_key)
{
        uint8_t hash[crypto_shorthash_BYTES];
        uint32_t value;

        crypto_shorthash(hash, public_key->bytes, sizeof public_key->bytes, table->hash_key);
        memcpy(&value, hash, sizeof value);
        return &table->buckets[value & table->mask];
}

struct peer *peer_table_find(const struct peer_table *table, const struct key *public_key)
{
        struct peer *peer = *bucket_of(table, public_key);

        while (peer && !key_equal(&peer->handshake.remote_static, public_key))
                peer = peer->same_bucket;
        return peer;
}

struct peer *peer_table_add(struct peer_table *table, const struct key *public_key)
{
        struct peer **bucket = bucket_of(table, public_key);
        struct peer *peer = table->count < table->max_peers ? pool_take(&table->pool) : NULL;

        if (!peer) return NULL;
        peer->handshake.remote_static = *public_key;
        peer->same_bucket = *bucket;
        *bucket = peer;

        peer->before = table->last;
        if (table->last) table->last->after = peer;
        else table->first = peer;
        table->last = peer;
        table->count++;
        return peer;
}

void peer_table_remove(struct peer_table *table, struct peer *peer)
{
        struct peer **at = bucket_of(table, &peer->handshake.remote_static);

        while (*at != peer)
                at = &(*at)->same_bucket;
        *at = peer->same_bucket;

        if (peer->before) peer->before->after = peer->after;
        else table->first = peer->after;
        if (peer->after) peer->after->before = peer->before;
        else table->last = peer->before;
        table->count--;
}

void peer_table_give(struct peer_table *table, struct peer *peer)
{
        pool_give(&table->pool, peer, sizeof *peer);
}

/* Each word acquires: one that is of a later version brings the change of `version` before it along. */
void endpoint_read(const struct endpoint_cell *cell, struct endpoint *out)
{
        uint64_t words[sizeof *out / sizeof(uint64_t)];
        uint32_t version;

        do {
                version = atomic_load_explicit(&cell->version, memory_order_acquire);
                for (size_t i = 0; i < sizeof words / sizeof *words; i++)
                        words[i] = atomic_load_explicit(&cell->words[version & 1][i], memory_order_acquire);
        } while (atomic_load_explicit(&cell->version, memory_order_relaxed) != version);
        memcpy(out, words, sizeof words);
}

static void lock(struct endpoint_cell *cell)
{
        while (atomic_exchange_explicit(&cell->writing, true, memory_order_acquire))
                sched_yield();
}

static void put(struct endpoint_cell *cell, const struct endpoint *in)
{
        uint32_t version = atomic_load_explicit(&cell->version, memory_order_relaxed) + 1;
        uint64_t words[sizeof *in / sizeof(uint64_t)];

        memcpy(words, in, sizeof words);
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
                atomic_store_explicit(&cell->words[version & 1][i], words[i], memory_order_release);
        atomic_store_explicit(&cell->version, version, memory_order_release);
        atomic_store_explicit(&cell->writing, false, memory_order_release);
}

void endpoint_write(struct endpoint_cell *cell, const struct endpoint *in)
{
        lock(cell);
        put(cell, in);
}

void endpoint_clear_source(struct endpoint_cell *cell)
{
        struct endpoint now;

        lock(cell);
        endpoint_read(cell, &now);
        memset(&now.source, 0, sizeof now.source);
        now.source_ifindex = 0;
        put(cell, &now);
}
