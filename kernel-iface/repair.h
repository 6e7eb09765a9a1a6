/* Undoes what a dead link left of its host state. The caller holds the link's claim (daemon/claim.h), so that nobody
 * who is alive owns any of it. */
#ifndef KERNEL_IFACE_REPAIR_H
#define KERNEL_IFACE_REPAIR_H

#include "kernel-iface/host.h"
#include "kernel-iface/plan.h"

/* Undoes the journal, a kill switch too, and removes the interface that it is of, should that be left. Without a
 * journal there is nothing to do but for /etc/resolv.conf and the tables of its name. Errors as of host_open(). */
bool repair_link(const char *link, const char *journal, const struct host_teller *teller, struct host_error *error);

/* Whether nftables tables of this link are there; repair_link() removes them, whoever names them. */
bool repair_finds_tables(const char *link);

/* What a damaged journal no longer tells, by our marks alone: rules and throw routes of this network namespace that no
 * journal in the folder of `journal` names, and the nftables tables of that link. They may be of that link, and are for
 * a person to judge. 0 or -errno; the caller frees *out. */
int repair_orphans(const char *link, const char *journal, struct plan_state *out);

#endif
