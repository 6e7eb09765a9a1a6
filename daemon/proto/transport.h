/* Data messages outside the packet path: what the engine itself sends, and when a session asks to be renewed
 * (paper, 5.4.6, 6.2 and 6.5). Internal; the packet path is declared in engine.h. */
#ifndef DAEMON_PROTO_TRANSPORT_H
#define DAEMON_PROTO_TRANSPORT_H

#include "daemon/proto/state.h"

/* An empty data message; without a session to send it in, a handshake. */
void transport_keepalive(struct engine *engine, struct peer *peer, struct effects *out);

#endif
