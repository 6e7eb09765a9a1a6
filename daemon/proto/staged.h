/* Packets that wait for a handshake: a queue for each peer, all from one shared pool. Of too many the oldest is
 * dropped. The owner of the queue counts what is dropped; nothing here is sent or counted. Pure. */
#ifndef DAEMON_PROTO_STAGED_H
#define DAEMON_PROTO_STAGED_H

#include "daemon/proto/pool.h"

#include <stdbool.h>

struct staged {
        struct staged *next;
        size_t len;
        uint8_t bytes[];
};

/* Zeroed, it is empty. */
struct staged_queue {
        struct staged *first, *last;
        uint32_t count;
};

size_t staged_item_size(uint32_t staged_size);

/* Appends a copy of the packet; how many packets were dropped for it: of the queue's head, or the packet itself where
 * the pool is empty, this queue is and so others have it all, or the packet is too large to stage. */
unsigned staged_push(struct staged_queue *queue, struct pool *pool, const uint8_t *packet, size_t len, uint32_t max);
const struct staged *staged_first(const struct staged_queue *queue);  /* NULL: empty */
void staged_pop(struct staged_queue *queue, struct pool *pool);       /* it is not empty */
uint32_t staged_clear(struct staged_queue *queue, struct pool *pool); /* how many there were */

#endif
