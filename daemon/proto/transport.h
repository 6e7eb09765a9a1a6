/* Data messages that the engine itself sends (paper, 6.5). Internal; the packet path of the owner is declared in
 * engine.h, that of workers in worker.h. */
#ifndef DAEMON_PROTO_TRANSPORT_H
#define DAEMON_PROTO_TRANSPORT_H

#include "daemon/proto/state.h"

/* An empty data message; without a session to send it in, a handshake. */
void transport_keepalive(struct engine *engine, struct peer *peer, struct effects *out);

/* An empty message on just this session, if it still sends. */
void transport_empty(struct engine *engine, struct peer *peer, struct session *session, struct effects *out);

#endif
