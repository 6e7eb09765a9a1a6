/* The kill switch of a link, as rules: this host's own packets and those that it forwards leave through the link, or
 * not at all; whatever a route says (one more specific than ours, from a DHCP server that lies), in IPv4 and IPv6.
 * Pure.
 *
 * What leaves all the same, for without it there would be no link: the link's own datagrams, which have its mark (who
 * can set one, by CAP_NET_ADMIN or CAP_NET_RAW, can send past any rule); DHCP; neighbour and router discovery, and the
 * multicast membership that they need. Loopback. And what ExcludedIPs names: the user's choice of the LAN.
 *
 * A packet into a TUN of another program comes by here again as that program's own datagram, and is judged then; so
 * another tunnel works inside this one. Two links with a kill switch each let the other's datagrams pass.
 *
 * The hooks are output, forward and postrouting: the last one because a packet may be led to another interface after
 * output (DNAT of a local one), which keeps the interface that it saw first. Incoming packets are not looked at, but
 * for those to the link's addresses from elsewhere, which are forged; the answers to others are packets that leave. */
#ifndef KERNEL_IFACE_KILLSWITCH_H
#define KERNEL_IFACE_KILLSWITCH_H

#include "kernel-iface/nft_text.h"

/* The chains that go between the braces of the table. `marks`: of the link's own datagrams, and of those of other
 * links that have a kill switch. want->excluded and ->forwards are as exclude_sort() leaves them. */
void killswitch_rules(struct nft_text *out, const char *link, const uint32_t *marks, size_t mark_count,
                      const struct host_state *want);

#endif
