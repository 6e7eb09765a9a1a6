#include "daemon/proto/worker.h"
#include "crypto/upgrade.h"
#include "daemon/proto/inner.h"
#include "daemon/proto/state.h"

#include <string.h>

/* ---- Asks -------------------------------------------------------------------------------------------------------- */

/* True: nobody had asked anything, so the owner may be asleep. */
static bool ask(struct engine *engine, struct peer *peer, uint32_t what)
{
        struct peer *first;

        if (atomic_fetch_or(&peer->asks, what)) return false;
        first = engine->asking;
        do
                peer->asks_after = first;
        while (!atomic_compare_exchange_weak(&engine->asking, &first, peer));
        return !first;
}

/* ---- Outbound ---------------------------------------------------------------------------------------------------- */

static struct peer *peer_at(const struct engine *engine, const struct inner *inner, bool source)
{
        const uint8_t *address = source ? inner->source : inner->destination;

        return inner->version == 4 ? allowedips_lookup4(&engine->allowed, address)
                                   : allowedips_lookup6(&engine->allowed, address);
}

enum drop worker_peer_to(const struct engine *engine, const uint8_t *packet, size_t len, struct peer **peer)
{
        struct inner inner;

        if (!engine->up) return DROP_TX_LINK_DOWN;
        if (!inner_parse(&inner, packet, len)) return DROP_TX_NOT_IP;
        *peer = peer_at(engine, &inner, false);
        return *peer ? DROP_NONE : DROP_TX_NO_PEER;
}

void worker_size(const struct engine *engine, struct tx *tx, size_t len)
{
        size_t whole = (len + PACKET_PADDING - 1) & ~(size_t)(PACKET_PADDING - 1);
        uint32_t mtu = atomic_load_explicit(&engine->mtu, memory_order_relaxed);

        if (mtu && whole > mtu) whole = len > mtu ? len : mtu;
        tx->plain_len = whole;
        tx->len = DATA_HEADER_LEN + whole + tx->session->cipher->tag_len;
}

/* The counters are reserved here, once, before anything is sealed with them. */
static bool reserve(struct peer *peer, uint64_t now, unsigned count, struct tx *tx)
{
        struct session *session = peer->sessions.sender;

        if (!session_can_send(session, now) || !session_reserve(session, count, &tx->counter)) return false;
        tx->session = session;
        return true;
}

enum route worker_route(struct engine *engine, uint64_t now, const uint8_t *packet, size_t len, unsigned count,
                        struct tx *tx, enum drop *reason)
{
        struct peer *peer = NULL;

        *reason = worker_peer_to(engine, packet, len, &peer);
        if (*reason == DROP_NONE) endpoint_read(&peer->published, &tx->to);
        if (*reason == DROP_NONE && tx->to.remote.family == AF_UNSPEC) *reason = DROP_TX_NO_ENDPOINT;
        if (*reason != DROP_NONE) {
                drop_count(engine, *reason, count);
                return ROUTE_DROP;
        }
        tx->peer = peer;
        tx->staged = tx->frame = false;
        if (!peer->waiting && reserve(peer, now, count, tx)) return ROUTE_SEND;
        peer->waiting += count; /* those that come after these go behind them */
        return ROUTE_OWNER;
}

/* While a handshake is under way it goes on without us. */
static bool wants_rekey(const struct peer *peer, uint64_t now)
{
        return sessions_rekey_on_send(&peer->sessions, now) && !timer_armed(&peer->timers, TIMER_RETRANSMIT_HANDSHAKE);
}

bool worker_sent(struct engine *engine, uint64_t now, struct peer *peer, uint64_t bytes, bool data)
{
        uint32_t what = 0;

        atomic_fetch_add_explicit(&peer->tx_bytes, bytes, memory_order_relaxed);
        if (timers_note_sent(&peer->timers, now, data)) what |= ASK_TIMERS;
        if (wants_rekey(peer, now)) what |= ASK_HANDSHAKE;
        return what && ask(engine, peer, what);
}

bool worker_source_gone(struct engine *engine, struct peer *peer)
{
        return ask(engine, peer, ASK_FORGET_SOURCE);
}

/* ---- Inbound ----------------------------------------------------------------------------------------------------- */

static enum drop find_session(struct engine *engine, uint64_t now, uint8_t *datagram, size_t len, struct rx *rx)
{
        const struct index_entry *entry;
        struct message_data header;
        struct peer *peer;
        size_t overhead;

        if (len < DATA_OVERHEAD) return DROP_RX_MALFORMED;
        memcpy(&header, datagram, sizeof header);
        entry = index_find(&engine->store.indices, le32_get(header.receiver));
        peer = entry ? entry->peer : NULL;
        if (!peer) return DROP_RX_UNKNOWN_INDEX;
        overhead = DATA_HEADER_LEN + entry->session->cipher->tag_len;
        if (len < overhead) return DROP_RX_MALFORMED;
        if (!session_can_receive(entry->session, now, le64_get(header.counter))) return DROP_RX_SESSION_EXPIRED;
        *rx = (struct rx){
                .peer = peer,
                .session = entry->session,
                .counter = le64_get(header.counter),
                .plain = datagram + DATA_HEADER_LEN,
                .plain_len = len - overhead,
                .datagram_len = len,
        };
        return DROP_NONE;
}

static size_t handshake_len(uint32_t type)
{
        switch (type) {
        case MESSAGE_INITIATION: return sizeof(struct message_initiation);
        case MESSAGE_RESPONSE: return sizeof(struct message_response);
        case MESSAGE_COOKIE_REPLY: return sizeof(struct message_cookie_reply);
        default: return SIZE_MAX;
        }
}

enum find worker_find(struct engine *engine, uint64_t now, uint8_t *datagram, size_t len, struct rx *rx,
                      enum drop *reason)
{
        struct le32 type = { 0 };

        if (len >= sizeof type) memcpy(&type, datagram, sizeof type);
        if (!engine->up) *reason = DROP_RX_LINK_DOWN;
        else if (le32_get(type) == MESSAGE_DATA) *reason = find_session(engine, now, datagram, len, rx);
        else *reason = handshake_len(le32_get(type)) == len ? DROP_NONE : DROP_RX_MALFORMED;

        if (*reason == DROP_NONE) return le32_get(type) == MESSAGE_DATA ? FIND_DATA : FIND_HANDSHAKE;
        drop_count(engine, *reason, 1);
        return FIND_DROP;
}

/* The peer speaks from elsewhere than it is spoken to at: the very next packet follows it there. */
static bool follow(struct peer *peer, const struct endpoint *from)
{
        struct endpoint known;

        endpoint_read(&peer->published, &known);
        if (!memcmp(&known, from, sizeof known)) return false;
        endpoint_write(&peer->published, from);
        return true;
}

/* From here on the other side speaks with a new session, and may have forgotten the ones before: what answers this
 * packet goes by the owner, who makes that one the current. And does it still have what was agreed on in the old one?
 * Accepted race: an owner that publishes just now may put the old sender back, until it attends to this. */
static void turn_to_next(struct peer *peer, struct session *next)
{
        struct session *old = session_upgraded(peer->sessions.current);

        if (old) old->proven = false;
        next->proven = true;
        peer->sessions.sender = NULL;
}

/* What every authentic packet does, empty or not. */
static uint32_t accepted(const struct rx *rx, uint64_t now, const struct endpoint *from, bool data)
{
        struct peer *peer = rx->peer;
        uint32_t what = 0;

        atomic_fetch_add_explicit(&peer->rx_bytes, rx->datagram_len, memory_order_relaxed);
        if (follow(peer, from)) what |= ASK_ROAM;
        if (timers_note_received(&peer->timers, now, data)) what |= ASK_TIMERS;
        if (!rx->session->proven && now >= rx->session->yields_until) {
                if (rx->session == peer->sessions.next) turn_to_next(peer, rx->session);
                else rx->session->proven = true;
                what |= ASK_CONFIRM;
        }
        if (session_rekey_on_receive(peer->sessions.current, now) && !peer->rekeyed_on_receive) what |= ASK_RENEW;
        return what;
}

static enum drop accept_frame(const struct rx *rx, enum accepted *verdict)
{
        struct session *session = rx->session;

        if (rx->plain_len > FRAME_MAX)
                return DROP_RX_UPGRADE_BAD; /* it would fill the mailbox, which is of all peers */
        if (session->frames == FRAMES_MAX || atomic_exchange(&rx->peer->frame_waits, true))
                return DROP_RX_UPGRADE_LIMIT;
        session->frames++; /* of who commits, alone */
        *verdict = ACCEPTED_FRAME;
        return DROP_NONE;
}

/* Where one side requires ML-KEM: ours does not take what is without, the other's does not send it. */
static enum drop check_mlkem(const struct rx *rx, uint32_t *what)
{
        struct peer *peer = rx->peer;

        if (rx->session->mlkem) return DROP_NONE;
        if (peer->they_require && !rx->session->said_require && rx->session == peer->sessions.current)
                *what |= ASK_RELEASE;
        if (!peer->we_require) return DROP_NONE;
        if (!atomic_exchange(&peer->refused, true)) *what |= ASK_REFUSED;
        return DROP_RX_NOT_POST_QUANTUM;
}

/* What comes of an authentic packet that is not empty. */
static enum drop sort(struct engine *engine, const struct rx *rx, const struct inner *inner, bool whole,
                      enum accepted *verdict, uint32_t *what)
{
        enum drop reason;

        if (!rx->session->upgraded && upgrade_is_frame(rx->plain, rx->plain_len)) return accept_frame(rx, verdict);
        if (!whole) return DROP_RX_NOT_IP;
        if (peer_at(engine, inner, true) != rx->peer) return DROP_RX_SPOOFED_SOURCE;
        reason = check_mlkem(rx, what);
        if (reason == DROP_NONE) *verdict = ACCEPTED_PACKET;
        return reason;
}

static enum drop judge(struct engine *engine, uint64_t now, const struct rx *rx, bool opened,
                       const struct endpoint *from, size_t *deliver_len, enum accepted *verdict, uint32_t *what)
{
        struct inner inner;
        enum drop reason;

        if (!opened) return DROP_RX_BAD_TAG;
        if (!engine->up) return DROP_RX_LINK_DOWN;
        if (session_dropped(rx->session)) return DROP_RX_SESSION_EXPIRED;
        if (!replay_accept(&rx->session->window, rx->counter)) return DROP_RX_REPLAY;
        bool whole = inner_parse(&inner, rx->plain, rx->plain_len) && inner.len <= rx->plain_len;
        *what = accepted(rx, now, from, whole);
        if (!rx->plain_len) return DROP_NONE; /* a keepalive */
        reason = sort(engine, rx, &inner, whole, verdict, what);
        if (*verdict == ACCEPTED_PACKET) *deliver_len = inner.len; /* less the padding */
        return reason;
}

enum accepted worker_accept(struct engine *engine, uint64_t now, const struct rx *rx, bool opened,
                            const struct endpoint *from, size_t *deliver_len, enum drop *reason, bool *wake)
{
        enum accepted verdict = ACCEPTED_NOTHING;
        uint32_t what = 0;

        *deliver_len = 0;
        *reason = judge(engine, now, rx, opened, from, deliver_len, &verdict, &what);
        if (*reason != DROP_NONE) drop_count(engine, *reason, 1);
        if (what && ask(engine, rx->peer, what)) *wake = true;
        return verdict;
}

uint32_t worker_index(const struct rx *rx)
{
        return rx->session->entry.index;
}

void worker_frame_lost(const struct rx *rx)
{
        drop_count(rx->peer->engine, DROP_RX_UPGRADE_LIMIT, 1);
        rx->peer->frame_waits = false;
}
