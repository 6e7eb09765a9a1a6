#include "daemon/proto/peer.h"

#include <sodium.h>
#include <string.h>

size_t peer_table_memory(uint32_t max_peers)
{
        return POOL_ALIGN(index_buckets(max_peers) * sizeof(struct peer *)) +
               pool_memory(sizeof(struct peer), max_peers);
}

void peer_table_init(struct peer_table *table, void *memory, uint32_t max_peers, const uint8_t hash_key[16])
{
        uint32_t buckets = index_buckets(max_peers);

        *table = (struct peer_table){ .buckets = memory, .mask = buckets - 1 };
        memcpy(table->hash_key, hash_key, sizeof table->hash_key);
        pool_init(&table->pool, (uint8_t *)memory + POOL_ALIGN(buckets * sizeof(struct peer *)), sizeof(struct peer),
                  max_peers);
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
        struct peer *peer = pool_take(&table->pool);

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
        pool_give(&table->pool, peer, sizeof *peer);
}
