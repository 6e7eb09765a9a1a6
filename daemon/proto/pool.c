#include "daemon/proto/pool.h"

#include <sodium.h>
#include <string.h>

size_t pool_memory(size_t item_size, uint32_t count)
{
        return POOL_ALIGN(item_size) * count;
}

void pool_init(struct pool *pool, void *memory, size_t item_size, uint32_t count)
{
        *pool = (struct pool){ .unused = memory, .item_size = POOL_ALIGN(item_size), .unused_count = count };
}

void *pool_take(struct pool *pool)
{
        void *item = pool->free;

        if (item) {
                memcpy(&pool->free, item, sizeof pool->free);
                memset(item, 0, sizeof pool->free);
        } else if (pool->unused_count) {
                item = pool->unused;
                pool->unused += pool->item_size;
                pool->unused_count--;
        } else {
                return NULL;
        }
        pool->taken++;
        return item;
}

void pool_give(struct pool *pool, void *item, size_t used)
{
        sodium_memzero(item, used);
        memcpy(item, &pool->free, sizeof pool->free);
        pool->free = item;
        pool->taken--;
}
