/* A binary heap of deadlines: the earliest is at hand, a change costs the logarithm of how many there are. The items
 * are members of what they belong to; zeroed, an item is in no heap. Pure. */
#ifndef DAEMON_PROTO_HEAP_H
#define DAEMON_PROTO_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap_item {
        uint64_t at;
        uint32_t place; /* in the heap, from 1; 0: not in it */
};

struct heap {
        struct heap_item **items; /* room for all; [0] is unused */
        uint32_t count;
};

size_t heap_memory(uint32_t max_items);
void heap_init(struct heap *heap, void *memory);

/* Puts the item in, or moves it. */
void heap_set(struct heap *heap, struct heap_item *item, uint64_t at);
void heap_remove(struct heap *heap, struct heap_item *item); /* does nothing if it is not in */
struct heap_item *heap_first(const struct heap *heap);       /* NULL: empty */

#endif
