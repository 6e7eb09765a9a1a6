/* What the two lanes share; internal to daemon/data. */
#ifndef DAEMON_DATA_LANE_H
#define DAEMON_DATA_LANE_H

#include "daemon/data/data.h"

/* Sends, counts what the kernel refuses, and forgets a source address that is gone. True: it went out. */
bool lane_send(struct data_plane *plane, struct peer *peer, struct endpoint *to, const uint8_t *datagram, size_t len);

#endif
