/* Reads what a link's host state is, and carries out one step of a plan. Used by host.c only. */
#ifndef KERNEL_IFACE_STEPS_H
#define KERNEL_IFACE_STEPS_H

#include "kernel-iface/dns.h"
#include "kernel-iface/host.h"
#include "kernel-iface/plan.h"
#include "kernel-iface/tables.h"

struct steps_link {
        const char *name; /* for messages */
        int ifindex;      /* in: of the link meant; 0: it is gone */
        struct tables *tables;
        struct dns *dns;
        bool forwarding; /* in: the sysctls of forwarding matter */
        bool here;       /* out of steps_read() */
        bool up;
};

/* The items that are there: of the link all, but of others' routes only those that are wanted (so that they are not
 * added, and never removed); of the rest (throw routes, rules, sysctl) those that `ours` or `wanted` name. Broken rules
 * count as there only when they are not wanted: so they are mended, or removed. 0 or -errno; the caller frees *current.
 */
int steps_read(struct netlink *netlink, struct steps_link *link, const struct plan_state *ours,
               const struct plan_state *wanted, struct plan_state *current);

/* What is already gone counts as removed. */
bool steps_apply(struct netlink *netlink, const struct steps_link *link, const struct plan_step *step,
                 struct host_error *error);

#endif
