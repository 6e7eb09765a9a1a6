/* From the 32-bit receiver index of a message to the session, or the pending handshake, that it belongs to (paper,
 * 5.4). Indices are random, so that they say nothing and hash themselves; each is used once at a time. Pure. */
#ifndef DAEMON_PROTO_INDEX_H
#define DAEMON_PROTO_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct engine_random;
struct peer;
struct session;

/* A member of what it leads to. Zeroed, it is in no table. One that was removed still leads on to the next, and is not
 * to be inserted again before no reader can be at it (grace.h). */
struct index_entry {
        uint32_t index;
        struct index_entry *_Atomic next;
        struct peer *_Atomic peer; /* NULL: not in a table */
        struct session *session;   /* NULL: the peer's pending handshake */
};

/* One writer; index_find may run beside it in any thread that holds a ticket. */
struct index_table {
        struct index_entry *_Atomic *buckets;
        uint32_t mask;
};

/* Of a hash table for so many entries: a power of two. */
uint32_t index_buckets(uint32_t max_entries);

size_t index_memory(uint32_t max_entries);
void index_init(struct index_table *table, void *memory, uint32_t max_entries);

/* A random one that is not in use. */
uint32_t index_fresh(const struct index_table *table, const struct engine_random *random);
/* `session` is NULL for a pending handshake. The entry is in no table, the index not in use. */
void index_insert(struct index_table *table, struct index_entry *entry, uint32_t index, struct peer *peer,
                  struct session *session);
void index_remove(struct index_table *table, struct index_entry *entry);         /* does nothing if it is not in */
struct index_entry *index_find(const struct index_table *table, uint32_t index); /* NULL: none */

#endif
