#include "daemon/proto/transport.h"
#include "daemon/proto/handshake.h"
#include "daemon/proto/sender.h"
#include "daemon/proto/worker.h"

#include <string.h>

static_assert(DATA_HEADER_LEN == sizeof(struct message_data), "wire layout");
static_assert((int)DATA_OVERHEAD == (int)MESSAGE_DATA_OVERHEAD, "wire layout");
static_assert((int)PACKET_PADDING == (int)MESSAGE_PADDING, "wire layout");

/* ---- Outbound ---------------------------------------------------------------------------------------------------- */

static bool tx_reserve(struct engine *engine, struct peer *peer, struct session *session, size_t len, struct tx *tx)
{
        if (!session_can_send(session, engine->now)) return false;
        *tx = (struct tx){ .peer = peer, .session = session, .to = peer->endpoint };
        worker_size(engine, tx, len);
        if (!session_reserve(session, 1, &tx->counter)) return false;
        session_get(session);
        return true;
}

/* Those that wait are counted for the workers, too: none of theirs may pass. */
static void stage(struct engine *engine, struct peer *peer, const uint8_t *packet, size_t len, enum drop overflow)
{
        uint32_t before = peer->staged.count;

        drop_count(engine, overflow, staged_push(&peer->staged, &engine->staged, packet, len, STAGED_MAX));
        peer->waiting += peer->staged.count - before;
}

bool engine_tx_begin(struct engine *engine, uint64_t now, uint64_t wall, const uint8_t *packet, size_t len,
                     struct tx *tx, enum drop *reason, struct effects *out)
{
        struct peer *peer = NULL;
        bool ready, held;

        clock_set(engine, now, wall);
        *reason = worker_peer_to(engine, packet, len, &peer);
        if (*reason == DROP_NONE && peer->endpoint.remote.family == AF_UNSPEC) *reason = DROP_TX_NO_ENDPOINT;
        if (*reason != DROP_NONE) goto dropped;

        if (!session_can_send(peer->sessions.sender, engine->now)) {
                peer_confirm(engine, peer, out); /* a worker may wait for that */
                sender_publish(engine, peer, out);
        }
        if (!peer->staged.count && tx_reserve(engine, peer, peer->sessions.sender, len, tx)) return true;
        ready = session_can_send(peer->sessions.sender, engine->now);
        held = !ready && sender_holds(engine, peer);
        /* With a session, but others that wait for their flush: behind them, to keep the order. */
        if (!ready && !held && !handshake_start(engine, peer, out)) {
                *reason = DROP_TX_HANDSHAKE_FAILED;
                goto dropped;
        }
        stage(engine, peer, packet, len, held ? DROP_TX_NOT_POST_QUANTUM : DROP_TX_STAGED_OVERFLOW);
        if (held) sender_held(engine, peer);
        if (ready) effect_add(out, EFFECT_FLUSH, peer);
        return false;
dropped:
        drop_count(engine, *reason, 1);
        return false;
}

void tx_seal(const struct tx *tx, uint8_t *datagram, uint8_t *packet, size_t len)
{
        const struct session *session = tx->session;
        const struct message_data header = {
                .type = le32_put(MESSAGE_DATA),
                .receiver = le32_put(session->remote_index),
                .counter = le64_put(tx->counter),
        };

        memcpy(datagram, &header, sizeof header);
        if (tx->plain_len > len) memset(packet + len, 0, tx->plain_len - len);
        session->cipher->seal(datagram + DATA_HEADER_LEN, packet, tx->plain_len, tx->counter, session->seal_schedule);
}

void engine_tx_commit(struct engine *engine, uint64_t now, uint64_t wall, const struct tx *tx, bool sent,
                      struct effects *out)
{
        clock_set(engine, now, wall);
        /* A frame moves no timer: some of those that drop it do so before they look at theirs. */
        if (sent && tx->frame) tx->peer->tx_bytes += tx->len;
        else if (sent) {
                worker_sent(engine, engine->now, tx->peer, tx->len, tx->plain_len != 0);
                asks_attend(engine, out);
        }
        if (tx->staged) engine_waited(tx->peer);
        session_put(tx->session, &engine->store);
}

void engine_waited(struct peer *peer)
{
        peer->waiting--;
}

bool engine_staged_next(struct engine *engine, uint64_t now, struct peer *peer, struct tx *tx, uint8_t *datagram)
{
        const struct staged *staged = staged_first(&peer->staged);

        clock_set(engine, now, engine->wall);
        if (!staged) return false;
        if (peer->endpoint.remote.family == AF_UNSPEC) {
                peer_drop_staged(engine, peer, DROP_TX_NO_ENDPOINT);
                return false;
        }
        if (!tx_reserve(engine, peer, peer->sessions.sender, staged->len, tx)) {
                /* The session ended under the flush: the next tick asks for another. */
                if (!sender_holds(engine, peer)) timer_arm(&peer->timers, TIMER_NEW_HANDSHAKE, engine->now);
                return false;
        }
        tx->staged = true;
        memcpy(datagram + DATA_HEADER_LEN, staged->bytes, staged->len);
        tx_seal(tx, datagram, datagram + DATA_HEADER_LEN, staged->len);
        staged_pop(&peer->staged, &engine->staged);
        return true;
}

bool engine_frame_next(struct engine *engine, uint64_t now, struct peer *peer, struct tx *tx, uint8_t *datagram)
{
        struct session *parent = peer->sessions.current;
        uint8_t *plain = datagram + DATA_HEADER_LEN;
        size_t len;

        clock_set(engine, now, engine->wall);
        len = exchange_frame(engine, peer, plain);
        if (!len || !parent || parent->upgraded || peer->endpoint.remote.family == AF_UNSPEC) return false;
        if (!tx_reserve(engine, peer, parent, len, tx)) return false;
        tx->plain_len = len; /* whatever the MTU, the peer looks at the whole */
        tx->len = len + DATA_OVERHEAD;
        tx->frame = true;
        tx_seal(tx, datagram, plain, len);
        return true;
}

void transport_empty(struct engine *engine, struct peer *peer, struct session *session, struct effects *out)
{
        uint8_t datagram[DATA_OVERHEAD_MAX];
        struct tx tx;

        if (peer->endpoint.remote.family == AF_UNSPEC || !tx_reserve(engine, peer, session, 0, &tx)) return;
        tx_seal(&tx, datagram, datagram + DATA_HEADER_LEN, 0);
        effect_send(out, peer, datagram, tx.len);
        timers_any_packet_sent(&peer->timers, engine->now);
        session_put(tx.session, &engine->store);
}

void transport_keepalive(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *sender = peer->sessions.sender;

        if (!session_can_send(sender, engine->now)) sender = peer->sessions.current;
        if (!session_can_send(sender, engine->now)) {
                handshake_start(engine, peer, out);
                return;
        }
        transport_empty(engine, peer, sender, out);
        if (sessions_rekey_on_send(&peer->sessions, engine->now)) handshake_start(engine, peer, out);
}

/* ---- Inbound ----------------------------------------------------------------------------------------------------- */

bool engine_rx_begin(struct engine *engine, uint64_t now, uint64_t wall, uint8_t *datagram, size_t len,
                     const struct endpoint *from, struct rx *rx, enum drop *reason, struct effects *out)
{
        clock_set(engine, now, wall);
        switch (worker_find(engine, engine->now, datagram, len, rx, reason)) {
        case FIND_DATA: session_get(rx->session); return true;
        case FIND_HANDSHAKE: *reason = handshake_receive(engine, datagram, len, from, out); break;
        case FIND_DROP: return false;
        }
        if (*reason != DROP_NONE) drop_count(engine, *reason, 1);
        return false;
}

bool rx_open(struct rx *rx)
{
        const struct session *session = rx->session;

        return session->cipher->open(rx->plain, rx->plain_len + session->cipher->tag_len, rx->counter,
                                     session->open_schedule);
}

static enum drop frame_receive(struct engine *engine, struct peer *peer, uint32_t index, const uint8_t *plain,
                               size_t len, struct effects *out)
{
        const struct index_entry *entry = index_find(&engine->store.indices, index);
        enum drop reason = DROP_RX_SESSION_EXPIRED;

        peer->frame_waits = false;
        if (out->count + PEER_EFFECTS_MAX > EFFECTS_MAX) reason = DROP_RX_UPGRADE_LIMIT;
        else if (entry && entry->peer == peer) {
                if (entry->session == peer->sessions.next) peer_confirm(engine, peer, out); /* sooner than the ask */
                reason = exchange_receive(engine, peer, entry->session, plain, len, out);
        }
        return reason == DROP_NONE ? reason : drop_count(engine, reason, 1);
}

void engine_frame_receive(struct engine *engine, uint64_t now, uint64_t wall, struct peer *peer, uint32_t index,
                          const uint8_t *plain, size_t len, struct effects *out)
{
        clock_set(engine, now, wall);
        if (!peer->removed) frame_receive(engine, peer, index, plain, len, out);
}

bool engine_rx_commit(struct engine *engine, uint64_t now, uint64_t wall, const struct rx *rx, bool opened,
                      const struct endpoint *from, size_t *deliver_len, enum drop *reason, struct effects *out)
{
        enum accepted accepted;
        bool wake = false;

        clock_set(engine, now, wall);
        accepted = worker_accept(engine, engine->now, rx, opened, from, deliver_len, reason, &wake);
        asks_attend(engine, out);
        if (accepted == ACCEPTED_FRAME)
                *reason = frame_receive(engine, rx->peer, worker_index(rx), rx->plain, rx->plain_len, out);
        session_put(rx->session, &engine->store);
        return *deliver_len != 0;
}
