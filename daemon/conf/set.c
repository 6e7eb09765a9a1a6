#include "daemon/conf/set.h"

#include <string.h>

bool set_init(struct set *set, struct pool *pool, size_t capacity, size_t item_size)
{
        size_t slots = 2;

        while (slots / 2 < capacity)
                slots *= 2;
        *set = (struct set){ .mask = slots - 1, .item_size = item_size };
        set->slots = slots <= pool->size ? pool_alloc(pool, slots * sizeof *set->slots) : NULL;
        return set->slots != NULL;
}

static size_t hash(const uint8_t *bytes, size_t len)
{
        uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a, with its low bits mixed at the end */

        for (size_t i = 0; i < len; i++)
                h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
        return (size_t)(h ^ h >> 32);
}

const void *set_add(struct set *set, const void *item)
{
        size_t at = hash(item, set->item_size) & set->mask;

        for (; set->slots[at]; at = (at + 1) & set->mask)
                if (memcmp(set->slots[at], item, set->item_size) == 0) return set->slots[at];
        set->slots[at] = item;
        return NULL;
}
