/* struct host_state as bytes: records of a fixed-size header {type, length} and a payload whose length must be exactly
 * that of its type. It crosses a trust boundary (adit or the loader to the keeper), so reading checks everything. Pure.
 */
#ifndef DAEMON_CONF_RECORDS_H
#define DAEMON_CONF_RECORDS_H

#include "daemon/conf/conf.h"

/* Bytes that records_write() needs. */
size_t records_size(const struct host_state *host);
/* Writes exactly records_size() bytes. */
void records_write(const struct host_state *host, uint8_t *out);
/* False: malformed, out of range or the pool is full; *why says which. */
bool records_read(struct host_state *out, struct pool *pool, const uint8_t *bytes, size_t len, const char **why);

#endif
