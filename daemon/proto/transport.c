#include "daemon/proto/transport.h"
#include "daemon/proto/handshake.h"
#include "daemon/proto/inner.h"

#include <string.h>

static_assert(DATA_HEADER_LEN == sizeof(struct message_data), "wire layout");
static_assert((int)DATA_OVERHEAD == (int)MESSAGE_DATA_OVERHEAD, "wire layout");
static_assert((int)PACKET_PADDING == (int)MESSAGE_PADDING, "wire layout");

/* ---- Outbound ---------------------------------------------------------------------------------------------------- */

static size_t padded(const struct engine *engine, size_t len)
{
        size_t whole = (len + PACKET_PADDING - 1) & ~(size_t)(PACKET_PADDING - 1);

        if (engine->mtu && whole > engine->mtu) return len > engine->mtu ? len : engine->mtu;
        return whole;
}

/* The counter is reserved here, once, before anything is sealed with it. */
static void tx_reserve(struct engine *engine, struct peer *peer, size_t len, struct tx *tx)
{
        struct session *session = peer->sessions.current;
        size_t plain_len = padded(engine, len);

        session_get(session);
        *tx = (struct tx){
                .peer = peer,
                .session = session,
                .counter = session->send_counter++,
                .plain_len = plain_len,
                .len = plain_len + DATA_OVERHEAD,
                .to = peer->endpoint,
        };
}

static struct peer *route(const struct engine *engine, const struct inner *inner, bool source)
{
        const uint8_t *address = source ? inner->source : inner->destination;

        return inner->version == 4 ? allowedips_lookup4(&engine->allowed, address)
                                   : allowedips_lookup6(&engine->allowed, address);
}

/* Where the packet goes, or why it goes nowhere. */
static enum drop tx_route(struct engine *engine, const uint8_t *packet, size_t len, struct peer **peer)
{
        struct inner inner;

        if (!engine->up) return DROP_TX_LINK_DOWN;
        if (!inner_parse(&inner, packet, len)) return DROP_TX_NOT_IP;
        *peer = route(engine, &inner, false);
        if (!*peer) return DROP_TX_NO_PEER;
        if ((*peer)->endpoint.remote.family == AF_UNSPEC) return DROP_TX_NO_ENDPOINT;
        return DROP_NONE;
}

bool engine_tx_begin(struct engine *engine, uint64_t now, uint64_t wall, const uint8_t *packet, size_t len,
                     struct tx *tx, enum drop *reason, struct effects *out)
{
        struct peer *peer = NULL;
        bool ready;

        clock_set(engine, now, wall);
        *reason = tx_route(engine, packet, len, &peer);
        if (*reason != DROP_NONE) goto dropped;

        ready = session_can_send(peer->sessions.current, engine->now);
        if (ready && !peer->staged.count) {
                tx_reserve(engine, peer, len, tx);
                return true;
        }
        /* With a session, but others that wait for their flush: behind them, to keep the order. */
        if (!ready && !handshake_start(engine, peer, out)) {
                *reason = DROP_TX_HANDSHAKE_FAILED;
                goto dropped;
        }
        drop_count(engine, DROP_TX_STAGED_OVERFLOW,
                   staged_push(&peer->staged, &engine->staged, packet, len, STAGED_MAX));
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
        session->cipher->seal(datagram + DATA_HEADER_LEN, packet, tx->plain_len, tx->counter, &session->keys.send);
}

static void tx_sent(struct engine *engine, const struct tx *tx, struct effects *out)
{
        struct peer *peer = tx->peer;

        timers_any_packet_sent(&peer->timers, engine->now);
        if (tx->plain_len) timers_data_sent(&peer->timers, engine->now);
        if (session_rekey_on_send(peer->sessions.current, engine->now)) handshake_start(engine, peer, out);
}

void engine_tx_commit(struct engine *engine, uint64_t now, uint64_t wall, const struct tx *tx, bool sent,
                      struct effects *out)
{
        clock_set(engine, now, wall);
        if (sent) {
                tx->peer->tx_bytes += tx->len;
                tx_sent(engine, tx, out);
        }
        session_put(tx->session, &engine->store);
}

bool engine_staged_next(struct engine *engine, uint64_t now, struct peer *peer, struct tx *tx, uint8_t *datagram)
{
        const struct staged *staged = staged_first(&peer->staged);

        clock_set(engine, now, engine->wall);
        if (!staged) return false;
        if (!session_can_send(peer->sessions.current, engine->now)) {
                /* It ended under the flush: the next tick asks for another. */
                timer_arm(&peer->timers, TIMER_NEW_HANDSHAKE, engine->now);
                return false;
        }
        if (peer->endpoint.remote.family == AF_UNSPEC) {
                peer_drop_staged(engine, peer, DROP_TX_NO_ENDPOINT);
                return false;
        }
        tx_reserve(engine, peer, staged->len, tx);
        memcpy(datagram + DATA_HEADER_LEN, staged->bytes, staged->len);
        tx_seal(tx, datagram, datagram + DATA_HEADER_LEN, staged->len);
        staged_pop(&peer->staged, &engine->staged);
        return true;
}

void transport_keepalive(struct engine *engine, struct peer *peer, struct effects *out)
{
        uint8_t datagram[DATA_OVERHEAD];
        struct tx tx;

        if (!session_can_send(peer->sessions.current, engine->now)) {
                handshake_start(engine, peer, out);
                return;
        }
        if (peer->endpoint.remote.family == AF_UNSPEC) return;
        tx_reserve(engine, peer, 0, &tx);
        tx_seal(&tx, datagram, datagram + DATA_HEADER_LEN, 0);
        effect_send(out, peer, datagram, sizeof datagram);
        tx_sent(engine, &tx, out);
        session_put(tx.session, &engine->store);
}

/* ---- Inbound ----------------------------------------------------------------------------------------------------- */

static enum drop rx_find(struct engine *engine, uint8_t *datagram, size_t len, struct rx *rx)
{
        struct message_data header;
        const struct index_entry *entry;

        if (len < DATA_OVERHEAD) return DROP_RX_MALFORMED;
        memcpy(&header, datagram, sizeof header);
        entry = index_find(&engine->store.indices, le32_get(header.receiver));
        if (!entry || !entry->session) return DROP_RX_UNKNOWN_INDEX;
        if (!session_can_receive(entry->session, engine->now, le64_get(header.counter))) return DROP_RX_SESSION_EXPIRED;
        *rx = (struct rx){
                .peer = entry->peer,
                .session = entry->session,
                .counter = le64_get(header.counter),
                .plain = datagram + DATA_HEADER_LEN,
                .plain_len = len - DATA_OVERHEAD,
                .datagram_len = len,
        };
        session_get(rx->session);
        return DROP_NONE;
}

bool engine_rx_begin(struct engine *engine, uint64_t now, uint64_t wall, uint8_t *datagram, size_t len,
                     const struct endpoint *from, struct rx *rx, enum drop *reason, struct effects *out)
{
        struct le32 type = { 0 };
        bool data;

        clock_set(engine, now, wall);
        if (len >= sizeof type) memcpy(&type, datagram, sizeof type);
        data = le32_get(type) == MESSAGE_DATA;

        if (!engine->up) *reason = DROP_RX_LINK_DOWN;
        else if (data) *reason = rx_find(engine, datagram, len, rx);
        else *reason = handshake_receive(engine, datagram, len, from, out);

        if (*reason == DROP_NONE) return data;
        drop_count(engine, *reason, 1);
        return false;
}

bool rx_open(struct rx *rx)
{
        return rx->session->cipher->open(rx->plain, rx->plain_len + MESSAGE_TAG_LEN, rx->counter,
                                         &rx->session->keys.receive);
}

/* What every authentic packet does, empty or not. */
static void rx_accepted(struct engine *engine, const struct rx *rx, const struct endpoint *from, struct effects *out)
{
        struct peer *peer = rx->peer;

        peer_set_endpoint(peer, from, out);
        peer->rx_bytes += rx->datagram_len;
        timers_any_packet_received(&peer->timers, engine->now);
        if (sessions_confirm(&peer->sessions, &engine->store, rx->session, engine->now))
                peer_session_up(engine, peer, out);
        if (!peer->rekeyed_on_receive && session_rekey_on_receive(peer->sessions.current, engine->now))
                peer->rekeyed_on_receive = handshake_start(engine, peer, out);
}

static enum drop rx_deliver(struct engine *engine, const struct rx *rx, size_t *deliver_len)
{
        struct inner inner;

        if (!inner_parse(&inner, rx->plain, rx->plain_len) || inner.len > rx->plain_len) return DROP_RX_NOT_IP;
        timers_data_received(&rx->peer->timers, engine->now);
        if (route(engine, &inner, true) != rx->peer) return DROP_RX_SPOOFED_SOURCE;
        *deliver_len = inner.len; /* less the padding */
        return DROP_NONE;
}

static enum drop rx_judge(struct engine *engine, const struct rx *rx, bool opened, const struct endpoint *from,
                          size_t *deliver_len, struct effects *out)
{
        if (!opened) return DROP_RX_BAD_TAG;
        if (!engine->up) return DROP_RX_LINK_DOWN;
        if (session_dropped(rx->session)) return DROP_RX_SESSION_EXPIRED;
        if (!replay_accept(&rx->session->window, rx->counter)) return DROP_RX_REPLAY;
        rx_accepted(engine, rx, from, out);
        return rx->plain_len ? rx_deliver(engine, rx, deliver_len) : DROP_NONE;
}

bool engine_rx_commit(struct engine *engine, uint64_t now, uint64_t wall, const struct rx *rx, bool opened,
                      const struct endpoint *from, size_t *deliver_len, enum drop *reason, struct effects *out)
{
        clock_set(engine, now, wall);
        *deliver_len = 0;
        *reason = rx_judge(engine, rx, opened, from, deliver_len, out);
        session_put(rx->session, &engine->store);
        if (*reason != DROP_NONE) drop_count(engine, *reason, 1);
        return *deliver_len != 0;
}
