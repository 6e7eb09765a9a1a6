/* A link's nftables tables, as the plan sees them: which are there and whole, and the making and removing of one.
 * A table is ours when it has our name and our mark (its comment); one of our name without it is never touched.
 * Used by host.c and steps.c only. */
#ifndef KERNEL_IFACE_TABLES_H
#define KERNEL_IFACE_TABLES_H

#include "kernel-iface/firewall.h"
#include "kernel-iface/host.h"

#include <net/if.h>

struct tables {
        char link[IFNAMSIZ];              /* what they are named after, whatever the interface is called by now */
        struct firewall now, next;        /* the texts in force, and those of the change under way */
        bool look;                        /* for a plan alone: a table that says it is whole is believed */
        uint64_t prints[FIREWALL_TABLES]; /* nft_table.print just after we made it; 0: we did not */
};

/* Fills `next`. */
bool tables_prepare(struct tables *tables, const char *interface, const uint32_t *marks, size_t count,
                    const struct host_state *want);
/* The change came about, and `next` is `now`; or it did not, and is forgotten. */
void tables_settle(struct tables *tables, bool done);
void tables_free(struct tables *tables);
/* Whether the table can be made (again): its text is at hand. */
bool tables_know(const struct tables *tables, const struct plan_item *item);
/* What makes the table of this item; NULL: it is none, or not known. */
const char *tables_text(const struct tables *tables, const struct plan_item *item);

/* Appends an item for each table of ours that is there, of the kinds that `ours` or `wanted` name: of no other the
 * kernel is asked. Its digest is 0 when it is not what it was made as, or nobody knows that: then it is made again.
 * 0 or -errno. */
int tables_read(const struct tables *tables, const struct plan_state *ours, const struct plan_state *wanted,
                struct plan_state *current);
/* Believes only what the kernel says afterwards. */
bool tables_apply(struct tables *tables, const struct plan_step *step, struct host_error *error);

#endif
