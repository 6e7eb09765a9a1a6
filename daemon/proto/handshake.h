/* Handshakes with all that surrounds them: who may be answered, when, and what follows (paper, 5.4 and 6). Messages
 * are verified on copies; the peer changes after the last check. */
#ifndef DAEMON_PROTO_HANDSHAKE_H
#define DAEMON_PROTO_HANDSHAKE_H

#include "daemon/proto/state.h"

/* A new session is wanted: sends an initiation, now or as soon as REKEY_TIMEOUT permits; the retries go on for
 * REKEY_ATTEMPT_TIME from here. False: there is no key, no endpoint, or the peer's key is of low order. */
bool handshake_start(struct engine *engine, struct peer *peer, struct effects *out);
/* TIMER_RETRANSMIT_HANDSHAKE is due. */
void handshake_retransmit(struct engine *engine, struct peer *peer, struct effects *out);
/* Wipes a pending handshake; a response to it finds nothing. */
void handshake_forget(struct engine *engine, struct peer *peer);

/* An initiation, response or cookie reply, of any length. DROP_NONE: it authenticated and is dealt with. Else the
 * reason, not counted. */
enum drop handshake_receive(struct engine *engine, const uint8_t *datagram, size_t len, const struct endpoint *from,
                            struct effects *out);

#endif
