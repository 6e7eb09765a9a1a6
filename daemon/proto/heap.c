#include "daemon/proto/heap.h"

size_t heap_memory(uint32_t max_items)
{
        return ((size_t)max_items + 1) * sizeof(struct heap_item *);
}

void heap_init(struct heap *heap, void *memory)
{
        *heap = (struct heap){ .items = memory };
}

static void put(struct heap *heap, uint32_t place, struct heap_item *item)
{
        heap->items[place] = item;
        item->place = place;
}

static void rise(struct heap *heap, struct heap_item *item)
{
        uint32_t place = item->place;

        for (; place > 1 && heap->items[place / 2]->at > item->at; place /= 2)
                put(heap, place, heap->items[place / 2]);
        put(heap, place, item);
}

static void sink(struct heap *heap, struct heap_item *item)
{
        uint32_t place = item->place;

        for (uint64_t child; (child = (uint64_t)place * 2) <= heap->count; place = (uint32_t)child) {
                if (child < heap->count && heap->items[child + 1]->at < heap->items[child]->at) child++;
                if (heap->items[child]->at >= item->at) break;
                put(heap, place, heap->items[child]);
        }
        put(heap, place, item);
}

void heap_set(struct heap *heap, struct heap_item *item, uint64_t at)
{
        if (!item->place) put(heap, ++heap->count, item);
        item->at = at;
        rise(heap, item);
        sink(heap, item);
}

void heap_remove(struct heap *heap, struct heap_item *item)
{
        uint32_t place = item->place;

        if (!place) return;
        item->place = 0;
        struct heap_item *last = heap->items[heap->count];
        heap->items[heap->count--] = NULL;
        if (last == item) return;
        put(heap, place, last);
        rise(heap, last);
        sink(heap, last);
}

struct heap_item *heap_first(const struct heap *heap)
{
        return heap->count ? heap->items[1] : NULL;
}
