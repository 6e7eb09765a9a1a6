/* The timestamps of initiations (paper, 5.1): TAI64N, which a responder takes only when it is greater than all it saw
 * from this peer. Pure.
 *
 * A timestamp once sent cannot be taken back. Within one process ours never go back: when the wall clock does, they
 * go on from the last one sent, a nanosecond a time, and no peer refuses us. What remains is a process that starts
 * with a wall clock behind what an earlier one sent (a board without a battery, a clock that was set far ahead by
 * mistake): each peer then refuses our initiations until our clock has caught up. Three things help: the clock is set
 * before the tunnel comes up; the peer initiates, since its own timestamps are judged by us alone; or the peer
 * forgets what it saw, which it does when we are removed there and added again. */
#ifndef DAEMON_PROTO_TAI64N_H
#define DAEMON_PROTO_TAI64N_H

#include "crypto/message.h"

/* The low bits of the clock say more of this machine than a peer needs: they are cleared. Initiations of one peer are
 * at least 20 ms apart (HANDSHAKE_INITIATION_INTERVAL), and the greatest power of two below is 2^24 ns. */
enum { TAI64N_WHITEN_BITS = 24 };

struct tai64n {
        uint64_t last; /* nanoseconds since the epoch, of the last one given out; 0: none */
};

/* max(wall, last + 1), `wall` in nanoseconds since the epoch. */
void tai64n_stamp(struct tai64n *clock, uint64_t wall, uint8_t out[MESSAGE_TIMESTAMP_LEN]);

#endif
