/* The kernel's view of links, addresses, routes and rules, over libnl. Used by the keeper only. Every call answers
 * 0 or -errno; what it changes is read back by host.c. Everything that Adit makes is marked RTPROT_ADIT. */
#ifndef KERNEL_IFACE_NETLINK_H
#define KERNEL_IFACE_NETLINK_H

#include "kernel-iface/plan.h"
#include "kernel-iface/types.h"

#include <net/if.h>

enum { RTPROT_ADIT = 109 }; /* of routes and rules: no registered protocol has this number */

struct netlink;

struct link_info {
        int ifindex;
        char name[IFNAMSIZ];
        uint32_t mtu;
        bool up;
        bool was_down; /* of netlink_watch_read: it was down at some time since the last read */
};

struct link_route {
        struct prefix prefix;
        uint32_t table;
        bool ours; /* RTPROT_ADIT; else the kernel's own for an address, or somebody else's */
};

struct netlink *netlink_open(int *error);
void netlink_close(struct netlink *netlink);

/* -ENODEV: not in this namespace */
int netlink_link(struct netlink *netlink, const char *name, struct link_info *out);
int netlink_link_by_index(struct netlink *netlink, int ifindex, struct link_info *out);
struct nlmsghdr;
bool netlink_parse_link(struct nlmsghdr *header, struct link_info *out);           /* false: not news of a link */
int netlink_set_link(struct netlink *netlink, int ifindex, uint32_t mtu, bool up); /* mtu 0: leave it */
int netlink_delete_link(struct netlink *netlink, int ifindex);

/* Lists end with -ENOBUFS if `max` is too small; *count is then what there is. */
int netlink_addresses(struct netlink *netlink, int ifindex, struct prefix *out, size_t max, size_t *count);
int netlink_change_address(struct netlink *netlink, int ifindex, const struct prefix *address, bool add);

/* All unicast routes on the link, whoever made them, in all tables but the kernel's local one. */
int netlink_routes(struct netlink *netlink, int ifindex, struct link_route *out, size_t max, size_t *count);
/* The throw routes of a table (0: of all) and family, of no link. */
int netlink_throws(struct netlink *netlink, uint8_t family, uint32_t table, struct link_route *out, size_t max,
                   size_t *count);
/* Removes only what is ours. */
int netlink_change_route(struct netlink *netlink, int ifindex, uint32_t table, const struct prefix *route, bool add);
int netlink_change_throw(struct netlink *netlink, uint32_t table, const struct prefix *route, bool add);

/* The two rules of a link whose default route is in its own table (as wg-quick has them): "not fwmark MARK lookup
 * TABLE", and before it "not fwmark MARK lookup main suppress_prefixlength 0" (the mark tells one link's from
 * another's; marked packets come to the main table anyway). Per family, marked RTPROT_ADIT. Adding completes what is
 * there; removing takes every copy. -ENOENT: there was none. */
enum rules_state { RULES_NONE, RULES_BROKEN /* one, several, or in the wrong order */, RULES_WHOLE };
int netlink_change_rules(struct netlink *netlink, uint8_t family, uint32_t mark, uint32_t table, bool add);
int netlink_rules(struct netlink *netlink, uint8_t family, uint32_t mark, uint32_t table, enum rules_state *state);

/* The rules of either family that are marked RTPROT_ADIT, whose ever they are. -ENOBUFS as above. */
struct marked_rule {
        uint8_t family;
        uint32_t mark, table;
};
int netlink_marked_rules(struct netlink *netlink, struct marked_rule *out, size_t max, size_t *count);

/* Whether a rule of either family looks up the table `number` or matches it as a mark, or a route is in that table. */
int netlink_mark_used(struct netlink *netlink, uint32_t number, bool *used);

/* MTU of the route to `address`, with `mark`, not through `ifindex`; -ENETUNREACH: there is none. */
int netlink_route_mtu(struct netlink *netlink, const union socket_address *address, uint32_t mark, int ifindex,
                      uint32_t *mtu);

/* What another program took away: of the link, or marked RTPROT_ADIT. It may be another Adit link's: who has the list
 * of what is ours tells. */
struct netlink_loss {
        struct plan_item item; /* an address, a route, a throw route or the rules */
        uint32_t port;         /* of whose request it was; mostly its pid, in 22 bits; 0: the kernel's own doing */
};

struct netlink_news {
        void (*on_loss)(const struct netlink_loss *loss, void *arg); /* in; NULL: nobody asks */
        void *arg;
        struct link_info link; /* the newest, if `changed` */
        bool changed;          /* there was news of the link */
        bool paths; /* a datagram of ours may now leave by another way, of another MTU, or from another address:
                     * any route, address or rule of the host changed, or a link came, went or got another MTU,
                     * but those on the link, those of ours, and the kernel's local and cached ones */
};

/* Watches links, addresses, routes and rules of both families: a descriptor for epoll (non-blocking, close-on-exec), or
 * -errno. Of what was done over `own` (may be NULL) only news of links is heard: our own changes make neither work nor
 * a storm. netlink_watch_read() takes all that is queued in one go, so that a storm of routes is one piece of news. 0;
 * -ENODEV when the link left this namespace (deleted or moved: the TUN tells which); -ENOBUFS when news were lost: ask
 * with netlink_link(). *news holds in every case, and `paths` is true when news were lost. */
int netlink_watch_open(const struct netlink *own);
int netlink_watch_read(int fd, int ifindex, struct netlink_news *news);

#endif
