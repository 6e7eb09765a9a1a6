/* Which servers and domains this host asks while a link is up. By which means is found out anew for each change:
 *
 *  resolved    systemd-resolved, when its stub listens in our network namespace: the link's own servers and domains
 *  resolvconf  /etc/resolv.conf is resolvconf's: not touched here, `adit` runs resolvconf
 *  file        /etc/resolv.conf is replaced by one made of what all links of ours want, the newest first
 *
 * What a replaced /etc/resolv.conf was is kept, with what each link wants, in a folder of /var/lib/adit/dns that its
 * first line names: so it is found by whoever sees that file, after a crash or a reboot and in another mount namespace,
 * too. The last link puts it back, if the file is still as we wrote it.
 * Used by host*.c, steps.c and, for dns_left(), daemon/repair.c. */
#ifndef KERNEL_IFACE_DNS_H
#define KERNEL_IFACE_DNS_H

#include "kernel-iface/host.h"
#include "kernel-iface/plan.h"

#include <net/if.h>

struct dns_wish {
        char *text;            /* dns_text_make(); NULL: none */
        struct plan_item item; /* its means and digest */
};

struct dns {
        char link[IFNAMSIZ];
        struct dns_wish now, next; /* in force; of the change under way */
};

/* Fills `next`: with an item when it is ours to do. False: no memory. */
bool dns_prepare(struct dns *dns, const struct host_state *want);
/* The change came about, and `next` is `now`; or it did not, and is forgotten. */
void dns_settle(struct dns *dns, bool done);
void dns_free(struct dns *dns);
/* Whether this can be done (again): its text is at hand. */
bool dns_knows(const struct dns *dns, const struct plan_item *item);

/* The commands that set what `item`, of `next`, says; to be freed. NULL: no memory, or another item. */
char *dns_commands(const struct dns *dns, const struct plan_item *item, const char *interface);

/* Appends an item for each means that `ours` or `wanted` names and by which something is set for this link; its digest
 * is 0 when that is not as we set it. 0 or -errno. */
int dns_read(const struct dns *dns, int ifindex, const struct plan_state *ours, const struct plan_state *wanted,
             struct plan_state *current);
/* Where no journal names it, for /run is empty after a reboot: whether this link's /etc/resolv.conf is still there; and
 * puts back what was before it. */
bool dns_left(const char *link);
bool dns_put_back(struct dns *dns, struct host_error *error);
bool dns_apply(struct dns *dns, int ifindex, const struct plan_step *step, struct host_error *error);

#endif
