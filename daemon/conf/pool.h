/* Memory of one parse: bump allocation from bytes the caller owns, so that keys lie where the caller wants them
 * (locked, undumpable) and are wiped at one place. */
#ifndef DAEMON_CONF_POOL_H
#define DAEMON_CONF_POOL_H

#include <stddef.h>
#include <stdint.h>

struct pool {
        uint8_t *base;
        size_t size, used;
};

/* Zeroed and aligned for any type; NULL: the pool is full. */
void *pool_alloc(struct pool *pool, size_t size);
char *pool_strndup(struct pool *pool, const char *text, size_t len);
/* Wipes what was used and starts again. */
void pool_reset(struct pool *pool);

#endif
