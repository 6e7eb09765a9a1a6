/* The allowed IPs of all peers: longest match from an address to its peer, IPv4 and IPv6 (paper, section 2).
 * A path-compressed binary trie. Pure; nodes come from the caller's memory through a free list, so that the bound is
 * known. One writer; look-ups may run beside it in any thread that holds a ticket (grace.h), without a lock. */
#ifndef DAEMON_PROTO_ALLOWEDIPS_H
#define DAEMON_PROTO_ALLOWEDIPS_H

#include "daemon/proto/grace.h"
#include "kernel-iface/types.h"

struct peer;
struct allowedips_node;

struct allowedips {
        struct allowedips_node *_Atomic root4, *_Atomic root6;
        struct retired *free;
        struct limbo limbo;
        const struct grace *grace;      /* NULL: nobody reads beside the writer */
        struct allowedips_node *unused; /* never used yet: the memory behind it is untouched */
        uint32_t unused_count, used;
        uint32_t generation;
        uint32_t prefixes; /* stored now */
        uint32_t max_prefixes;
};

/* Head of one peer's list of prefixes, in order of insertion; lives in struct peer, zeroed. */
struct allowedips_list {
        struct allowedips_node *first, *last;
};

size_t allowedips_memory(uint32_t max_prefixes);
void allowedips_init(struct allowedips *table, void *memory, uint32_t max_prefixes);

/* Gives `prefix` to `peer` whose list is `list`, taking it from whoever had it. Host bits are ignored. False: full,
 * nothing changed. */
bool allowedips_insert(struct allowedips *table, const struct prefix *prefix, struct peer *peer,
                       struct allowedips_list *list);
/* False: it is not this peer's. */
bool allowedips_remove(struct allowedips *table, const struct prefix *prefix, struct peer *peer);
/* To replace a list without a moment in which what stays is missing: begin, insert the new ones, sweep away those that
 * were not inserted since. */
void allowedips_begin(struct allowedips *table);
void allowedips_sweep(struct allowedips *table, struct allowedips_list *list);
void allowedips_reclaim(struct allowedips *table); /* nodes that nobody can be in any more */
void allowedips_clear(struct allowedips *table, struct allowedips_list *list);

/* The peer of the longest prefix that holds `address` (4 or 16 bytes); NULL: none. */
struct peer *allowedips_lookup4(const struct allowedips *table, const uint8_t address[4]);
struct peer *allowedips_lookup6(const struct allowedips *table, const uint8_t address[16]);

/* The prefix after *cursor (NULL: the first) of a list. */
const struct allowedips_node *allowedips_next(const struct allowedips_list *list, const struct allowedips_node *cursor,
                                              struct prefix *out);

#endif
