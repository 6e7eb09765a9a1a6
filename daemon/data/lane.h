/* What the two lanes share; internal to daemon/data. */
#ifndef DAEMON_DATA_LANE_H
#define DAEMON_DATA_LANE_H

#include "daemon/data/data.h"

/* The counter of what sendmsg refused. */
enum drop lane_drop(int error);
/* Sends one datagram, counts it if the kernel refuses it, and forgets a source address that is gone. True: it went out.
 */
bool lane_send(struct data_plane *plane, struct peer *peer, struct endpoint *to, const uint8_t *datagram, size_t len);

/* After EFFECT_FLUSH: sends what the peer has staged. */
void outbound_flush_staged(struct data_plane *plane, struct moment at, struct peer *peer, struct effects *more);

/* ECN between inner and outer header as the kernel driver does it (RFC 6040, compatibility): outward the inner bits, CE
 * as ECT(0); inward an outer CE marks an inner packet that is capable. `packet` is a whole IPv4 or IPv6 header at
 * least. */
uint8_t ecn_outward(const uint8_t *packet);
void ecn_inward(uint8_t *packet, size_t len, uint8_t outer);

#endif
