/* What a gateway's nftables table holds: masquerade, who may be forwarded to whom, the MSS of what is. Pure. */
#ifndef KERNEL_IFACE_GATEWAY_H
#define KERNEL_IFACE_GATEWAY_H

#include "kernel-iface/nft_text.h"

/* Writes the sets and chains (each rule indented, each line ended) that go between the braces of the table
 * "adit-gate-LINK", which is the gateway's alone; nothing when nothing is wanted: then there is no table. `link` is
 * the interface's name as it stands in a rule, between quotes: iifname "wg0". `mark` is that of the link's own
 * datagrams; 0: none. */
void gateway_rules(struct nft_text *out, const char *link, uint32_t mark, const struct host_state *want);

#endif
