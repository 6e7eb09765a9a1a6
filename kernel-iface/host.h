/* The host-state transaction: what the host should look like is a function of the config (struct host_state); applying
 * it reads what is, computes the difference, writes the intent to the journal, applies, and undoes all on a failure.
 * The same code serves up, reload and down. Only what is ours (RTPROT_ADIT, addresses of our link) is ever removed.
 * Used by the keeper only. */
#ifndef KERNEL_IFACE_HOST_H
#define KERNEL_IFACE_HOST_H

#include "kernel-iface/netlink.h"

struct host;

/* Why an application failed, for a person: "route 10.1.0.0/24 dev wg0: File exists: ..., do ..." */
struct host_error {
        int error; /* positive errno */
        char text[256];
};

/* Hears of each step by which a crash is undone: "rules ipv4 mark 51820 table 51820", removed or (a value) set back. */
struct host_teller {
        void (*tell)(void *arg, const char *step, bool removed);
        void *arg;
};

/* `journal` is a path (/run/adit/NAME.state). A journal left by a crash is undone first (rules outlive the link), and
 * `teller` (NULL: nobody) hears of it; but for a kill switch: that one stays in force, and the journal names it.
 * EINVAL: the journal is damaged; EXDEV: it is of another network namespace, which must be repaired there; when that
 * one is gone, so is what the journal names, and it is removed. /etc/resolv.conf outlives that, and a reboot: it is put
 * back without a journal, too. */
struct host *host_open(const char *link, const char *journal, const struct host_teller *teller,
                       struct host_error *error);
void host_close(struct host *host); /* changes nothing */

/* Makes the host look like `want`; all or nothing. The link is set up when managed; when not, it must be up to take
 * routes. What is there already makes no step, whoever made it; nothing is written then. */
bool host_apply(struct host *host, const struct host_state *want, struct host_error *error);
/* The mark, and so the table, of a default route when the config names none: the first number from MARK_FIRST up that
 * no route's table, no rule (foreign, or another Adit link's) and no other link's kill switch uses, in IPv4 or IPv6; a
 * number that this link already holds rules for, or that its kill switch lets out, stays its own. Nothing is reserved:
 * of two links that choose at the same time, the later one's host_apply() fails with EEXIST and changes nothing; it may
 * choose again. */
enum { MARK_FIRST = 51820 };
bool host_choose_mark(struct host *host, uint32_t *mark, struct host_error *error);

/* What host_apply() would do now, as commands that a person could type, in its order; nothing is done. Of a link that
 * is not there: as it would come up, made and empty. A mark is chosen where one must be, and told in *want. `print`
 * gets each step's lines. 1: there are steps; 0: nothing is to be done; -1: *error says why not. What the kernel takes
 * along when an address goes is not foreseen: host_apply() reads it back and mends it. */
int host_preview(const char *link, const char *journal, struct host_state *want,
                 void (*print)(void *arg, const char *commands), void *arg, struct host_error *error);

/* Removes all that is ours, sets what was changed as it was, and removes the journal. Best effort: goes on after an
 * error, reports the first, and then leaves the journal for the next start. */
bool host_undo(struct host *host, struct host_error *error);
/* The same, but a kill switch stays in force and the journal keeps naming it: for an end that nobody asked for. */
bool host_undo_to_lock(struct host *host, struct host_error *error);
/* After host_open(): these, which no journal names, are ours, too, for host_lift(). False: no memory. */
bool host_adopt(struct host *host, const struct plan_state *found);
/* After host_open(): the kill switch that it left in force is lifted, and `teller` (NULL: nobody) hears of it. */
bool host_lift(struct host *host, const struct host_teller *teller, struct host_error *error);

/* By which means the DNS of `want`, which was applied, is set. */
enum host_dns_means host_dns_means(const struct host *host, const struct host_state *want);

/* Whether the journal names a kill switch of this link. */
bool host_locked(const struct host *host);
/* Puts the kill switch of want (with its mark) in force, and no more; the link need not be there. *made: it was not,
 * or not whole. */
bool host_lock(struct host *host, const struct host_state *want, bool *made, struct host_error *error);
/* The nftables tables of `want`, which was applied, are made again if they are not there as they were made; *mended
 * then. For whoever hears that another program changed the ruleset (nft_watch_open()). */
bool host_guard(struct host *host, const struct host_state *want, bool *mended, struct host_error *error);
/* The link's index, name and MTU now, and whether it is up; -ENODEV once it is elsewhere. The link is known by its
 * index since host_open(): a new name changes nothing. */
int host_link(struct host *host, struct link_info *out);
/* A watch over what others do to the host (netlink_watch_read()), that hears nothing of what this host_*() does. */
int host_watch(struct host *host);
/* The same for what is no news of netlink: IN_MODIFY of `inotify`, and any event of the name HOST_WATCH_NAME, after
 * which it is to be called again; our own writing included. Best effort: a write through another mount of /proc is not
 * heard. */
#define HOST_WATCH_NAME "resolv.conf"
void host_watch_values(int inotify);
/* Whether our /etc/resolv.conf is no more what we made it. */
bool host_dns_lost(const struct host *host);
/* Whether this is there by our doing: what another program must not take away. */
bool host_owns(const struct host *host, const struct plan_item *item);
/* The least MTU of the ways out to those of `state`'s endpoints that are literal addresses, with the mark that our
 * datagrams have now; of the default routes when there is none; 0: no way is known. Not through the link itself, which
 * is not `here` when it is in another namespace. */
uint32_t host_egress_mtu(struct host *host, const struct host_state *state, uint32_t mark, bool here);

#endif
