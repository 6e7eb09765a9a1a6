/* Items of one size from memory that the caller gives. What was never used was never touched, and what is free is
 * all zero but for the link of the free list: an item comes zeroed, and its secrets do not outlive it. Pure. */
#ifndef DAEMON_PROTO_POOL_H
#define DAEMON_PROTO_POOL_H

#include <stddef.h>
#include <stdint.h>

struct pool {
        uint8_t *unused; /* the first item that was never taken */
        void *free;
        size_t item_size;
        uint32_t unused_count, taken;
};

/* Rounds up to what every object may lie at. */
#define POOL_ALIGN(size) (((size) + 15) & ~(size_t)15)

size_t pool_memory(size_t item_size, uint32_t count);
/* `memory` is 16-byte aligned and zeroed. */
void pool_init(struct pool *pool, void *memory, size_t item_size, uint32_t count);

void *pool_take(struct pool *pool); /* NULL: there are no more */
/* Wipes the first `used` bytes of the item; those after them were never written. */
void pool_give(struct pool *pool, void *item, size_t used);

#endif
