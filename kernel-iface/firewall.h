/* A link's nftables tables as texts: the kill switch, which outlives the link after a crash, and the gateway, which
 * does not. Each is replaced as a whole. Pure but for memory (malloc). */
#ifndef KERNEL_IFACE_FIREWALL_H
#define KERNEL_IFACE_FIREWALL_H

#include "kernel-iface/nft_text.h"
#include "kernel-iface/plan.h"

enum firewall_table { FIREWALL_LOCK, FIREWALL_GATEWAY, FIREWALL_TABLES };
static inline enum plan_kind firewall_kind(enum firewall_table table)
{
        return table == FIREWALL_LOCK ? PLAN_LOCK : PLAN_GATEWAY;
}

/* "adit-lock-wg0", "adit-gate-wg0", of family inet. What an interface's name may hold and a table's may not stands as /
 * and two digits. */
enum { FIREWALL_NAME = 64 };
void firewall_name(enum firewall_table table, const char *link, char name[FIREWALL_NAME]);

struct firewall {
        struct {
                struct plan_item item; /* what the plan knows of it: kind, digest; LOCK: mark */
                struct nft_text text;  /* adds or replaces it; no bytes: it is not wanted */
        } tables[FIREWALL_TABLES];
};

/* What the config wants. `link` is what the tables are named after; `interface` has that name, or was given another.
 * `marks`: of the datagrams of other links that have a kill switch. False: no memory. */
bool firewall_make(struct firewall *out, const char *link, const char *interface, const uint32_t *marks, size_t count,
                   const struct host_state *want);
void firewall_free(struct firewall *firewall);

/* The comment that a table of ours has. False: it is not of ours. */
enum { FIREWALL_COMMENT = 32 };
void firewall_comment(uint64_t digest, char comment[FIREWALL_COMMENT]);
bool firewall_comment_parse(const char *comment, uint64_t *digest);

#endif
