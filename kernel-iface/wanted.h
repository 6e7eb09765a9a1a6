/* From a config's host_state to the items that the host should have. Used by host.c only. */
#ifndef KERNEL_IFACE_WANTED_H
#define KERNEL_IFACE_WANTED_H

#include "kernel-iface/host.h"
#include "kernel-iface/plan.h"

enum { MTU_OVERHEAD = 80 /* IPv6 40, UDP 8, WireGuard 32 */ };

/* The configured MTU; else the least of the routes to the endpoints that are literal addresses, less MTU_OVERHEAD; else
 * MTU_DEFAULT. What is not configured stays within what IPv4, and IPv6 if there is any inside, need. */
uint32_t wanted_mtu(struct netlink *netlink, int ifindex, const struct host_state *want);

/* The least MTU of the ways that datagrams with this mark take: the routes to the endpoints that are literal addresses;
 * where there is none, the default routes; 0 where there is none of these either. Not through `ifindex`. */
uint32_t egress_mtu(struct netlink *netlink, int ifindex, uint32_t mark, const struct host_endpoint *endpoints,
                    size_t count);

/* Fills *out, sorted; the caller frees it. The endpoints' routes are asked of `netlink` when an MTU is wanted and not
 * given. */
bool wanted_state(struct netlink *netlink, int ifindex, const struct host_state *want, struct plan_state *out,
                  struct host_error *error);

#endif
