#include "daemon/conf/pool.h"

#include <sodium.h>
#include <string.h>

void *pool_alloc(struct pool *pool, size_t size)
{
        const size_t align = _Alignof(max_align_t);
        size_t left = pool->size - pool->used;
        size_t pad = -((uintptr_t)pool->base + pool->used) & (align - 1);
        uint8_t *at;

        if (pad > left || size > left - pad) return NULL;
        at = pool->base + pool->used + pad;
        pool->used += pad + size;
        memset(at, 0, size);
        return at;
}

char *pool_strndup(struct pool *pool, const char *text, size_t len)
{
        char *copy = len < SIZE_MAX ? pool_alloc(pool, len + 1) : NULL;

        if (copy && len) memcpy(copy, text, len);
        return copy;
}

void pool_reset(struct pool *pool)
{
        if (pool->used) sodium_memzero(pool->base, pool->used);
        pool->used = 0;
}
