/* The sysctls that a plan sets: a small fixed table, a kind of item for each. A file of /proc/sys/net each, or one for
 * each interface; of the network namespace of whoever reads and writes.
 *
 * Some come as a group, because the kernel changes the rest of it along with the head: forwarding of IPv4 sets
 * accept_redirects and every interface's own forwarding; forwarding of IPv6 every interface's own, and with it what
 * accept_ra means. A link holds a group by its head; what it found in the rest goes back after the head. */
#ifndef KERNEL_IFACE_SYSCTL_H
#define KERNEL_IFACE_SYSCTL_H

#include "kernel-iface/plan.h"

/* The kind whose holding holds this one; its own when it stands alone. */
enum plan_kind sysctl_head(enum plan_kind kind);
/* False: the kernel alone sets it, along with its head. */
bool sysctl_is_set(enum plan_kind kind);
/* Whether it has the value that we set: any other is another program's, and stays. */
bool sysctl_is_ours(const struct plan_item *item);
/* Of one that the kernel sets: whether it is what comes with that value of its head. */
bool sysctl_came_along(const struct plan_item *item, uint32_t head);

enum { SYSCTL_NAME = 64 };
/* "net.ipv6.conf.eth0.accept_ra"; a dot in an interface's name stands as a slash, as sysctl(8) has it. */
void sysctl_name(const struct plan_item *item, char name[SYSCTL_NAME]);

/* Appends the value of a kind; of one of each interface all, and that of new ones with 0 for an interface. 0 or -errno;
 * none, as without IPv6, is 0. */
int sysctl_read(enum plan_kind kind, struct plan_state *current);
/* That its interface is gone is no error. */
int sysctl_write(const struct plan_item *item);
/* An interface of ours takes no address, route or redirect that a peer advertises. Best effort: without IPv6 there is
 * nothing to be closed. */
void sysctl_close(const char *interface);
/* Adds their files to what `inotify` watches, as IN_MODIFY, but for those of each interface. */
void sysctl_watch(int inotify);

#endif
