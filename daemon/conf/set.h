/* A set of byte strings of one length, that stay where the caller has them: finds what is there twice, in linear time.
 * Not for other rooms: the hash is not keyed, and what is put in comes from those who may configure the link. Pure. */
#ifndef DAEMON_CONF_SET_H
#define DAEMON_CONF_SET_H

#include "daemon/conf/pool.h"

#include <stdbool.h>

struct set {
        const void **slots; /* a power of two, at most half of them used */
        size_t mask, item_size;
};

/* For at most `capacity` items. False: the pool is full. */
bool set_init(struct set *set, struct pool *pool, size_t capacity, size_t item_size);
/* The equal item that is there already; NULL when `item` was new and now is. */
const void *set_add(struct set *set, const void *item);

#endif
