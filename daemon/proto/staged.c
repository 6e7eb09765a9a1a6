#include "daemon/proto/staged.h"

#include <string.h>

size_t staged_item_size(uint32_t staged_size)
{
        return POOL_ALIGN(sizeof(struct staged) + staged_size);
}

unsigned staged_push(struct staged_queue *queue, struct pool *pool, const uint8_t *packet, size_t len, uint32_t max)
{
        unsigned dropped = 0;
        struct staged *item;

        if (len > pool->item_size - sizeof *item) return 1;
        if (queue->count >= max) {
                staged_pop(queue, pool);
                dropped++;
        }
        item = pool_take(pool);
        if (!item && queue->count) {
                staged_pop(queue, pool);
                dropped++;
                item = pool_take(pool);
        }
        if (!item) return dropped + 1;

        item->len = len;
        memcpy(item->bytes, packet, len);
        if (queue->last) queue->last->next = item;
        else queue->first = item;
        queue->last = item;
        queue->count++;
        return dropped;
}

const struct staged *staged_first(const struct staged_queue *queue)
{
        return queue->first;
}

void staged_pop(struct staged_queue *queue, struct pool *pool)
{
        struct staged *item = queue->first;

        queue->first = item->next;
        if (!queue->first) queue->last = NULL;
        queue->count--;
        pool_give(pool, item, sizeof *item + item->len);
}

uint32_t staged_clear(struct staged_queue *queue, struct pool *pool)
{
        uint32_t count = queue->count;

        while (queue->count)
                staged_pop(queue, pool);
        return count;
}
