/* What a gateway's nftables table holds: masquerade, who may be forwarded to whom, the MSS of what is. Pure.
 *
 * Masquerade: what came in through the link, and leaves by another interface, leaves with that one's address. What this
 * host itself sends, the link's own datagrams too, is not concerned, whatever its mark; so a client's packet goes
 * through another link with a default route like any other, and has that one's address then. Into the link only
 * answers come, and what was DNATed to it; FORWARD_YES lets in all.
 *
 * FORWARD_NETWORKS: from the link to these, from these to the link, and errors (a path's MTU) that others tell of
 * that. What one peer sends to another counts as both from and to the link.
 *
 * An `accept` is the table's own opinion: a drop in another one stands. */
#ifndef KERNEL_IFACE_GATEWAY_H
#define KERNEL_IFACE_GATEWAY_H

#include "kernel-iface/nft_text.h"

/* Writes the chains (each rule indented, each line ended) that go between the braces of the table "adit-gate-LINK",
 * which is the gateway's alone; nothing when nothing is wanted: then there is no table. `link` is the interface's name
 * as it stands in a rule, between quotes: iifname "wg0". */
void gateway_rules(struct nft_text *out, const char *link, const struct host_state *want);

#endif
