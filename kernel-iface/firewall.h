/* A link's nftables tables as texts: the kill switch, which outlives the link after a crash, and the gateway, which
 * does not. Each is replaced as a whole. Pure but for memory (malloc).
 *
 * A table of ours has the comment "adit", and a chain "adit" with one rule, whose comment tells of which text it is
 * made. (A table's comment cannot be changed.) */
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
                struct nft_text text;  /* "table inet ... { ... }"; no bytes: it is not wanted */
        } tables[FIREWALL_TABLES];
};

/* What the config wants. `link` is what the tables are named after; `interface` has that name, or was given another.
 * `marks`: of the datagrams of other links that have a kill switch. False: no memory. */
bool firewall_make(struct firewall *out, const char *link, const char *interface, const uint32_t *marks, size_t count,
                   const struct host_state *want);
void firewall_free(struct firewall *firewall);

/* What makes a table as `text` says in one transaction. `anew`: another one, whatever was in it: its hooks are gone for
 * a moment to a packet that is just passing, on another processor or under a hypervisor that took this one away (seen:
 * one in twenty replacements under load). Else in place: only the rules change, between two packets; for a table whose
 * chains are those of the text, or that is not there. */
void firewall_transaction(struct nft_text *out, const char *name, const char *text, bool anew);

/* The comment of that rule in the chain FIREWALL_CHAIN. False: it is none. */
#define FIREWALL_CHAIN "adit"
enum { FIREWALL_COMMENT = 32 };
void firewall_comment(uint64_t digest, char comment[FIREWALL_COMMENT]);
bool firewall_comment_parse(const char *comment, uint64_t *digest);

#endif
