#include "daemon/proto/handshake.h"

#include <sodium.h>
#include <string.h>

/* ---- We are the initiator ---------------------------------------------------------------------------------------- */

static bool can_initiate(const struct engine *engine, const struct peer *peer)
{
        return engine->up && engine->has_identity && peer->handshake.usable &&
               peer->endpoint.remote.family != AF_UNSPEC;
}

static void ephemeral_new(struct engine *engine, struct key *private_key)
{
        random_fill(engine, private_key->bytes, sizeof private_key->bytes);
        key_clamp(private_key);
}

static void initiate(struct engine *engine, struct peer *peer, struct effects *out)
{
        uint64_t now = engine->now;
        uint8_t timestamp[MESSAGE_TIMESTAMP_LEN];
        struct message_initiation msg;
        struct key ephemeral;
        uint32_t index;

        if (now < peer->initiate_not_before) {
                /* Just sent one, or a response that the peer has yet to confirm: one of the two should do. */
                if (!timer_armed(&peer->timers, TIMER_RETRANSMIT_HANDSHAKE))
                        timer_arm(&peer->timers, TIMER_RETRANSMIT_HANDSHAKE,
                                  peer->initiate_not_before + timer_jitter(&peer->timers));
                return;
        }
        ephemeral_new(engine, &ephemeral);
        index = sessions_fresh_index(&engine->store, &engine->random);
        tai64n_stamp(&engine->clock, engine->wall, timestamp);
        if (noise_create_initiation(&peer->handshake, &engine->identity, &ephemeral, index, timestamp, &msg)) {
                index_remove(&engine->store.pending, &peer->pending);
                index_insert(&engine->store.pending, &peer->pending, index, peer, NULL);
                cookie_add_macs(&peer->jar, now, &msg, sizeof msg);
                effect_send(out, peer, &msg, sizeof msg);
                if (peer->attempts++ == 0) peer->unanswered_since = now;
                peer->initiate_not_before = now + REKEY_TIMEOUT;
                timers_any_packet_sent(&peer->timers, now);
                timers_handshake_initiated(&peer->timers, now);
        }
        sodium_memzero(&ephemeral, sizeof ephemeral);
}

bool handshake_start(struct engine *engine, struct peer *peer, struct effects *out)
{
        if (!can_initiate(engine, peer)) return false;
        peer->attempt_started = engine->now;
        initiate(engine, peer, out);
        return true;
}

static void give_up(struct engine *engine, struct peer *peer, struct effects *out)
{
        timer_stop(&peer->timers, TIMER_SEND_KEEPALIVE);
        peer_drop_staged(engine, peer, DROP_TX_HANDSHAKE_FAILED);
        peer->attempts = 0;
        /* A late response is still welcome, but its ephemeral key does not stay for ever. */
        if (!timer_armed(&peer->timers, TIMER_ERASE_KEYS)) timers_session_derived(&peer->timers, engine->now);
        effect_add(out, EFFECT_GAVE_UP, peer);
}

void handshake_retransmit(struct engine *engine, struct peer *peer, struct effects *out)
{
        uint64_t now = engine->now;

        if (!can_initiate(engine, peer) || now - peer->attempt_started >= REKEY_ATTEMPT_TIME) {
                give_up(engine, peer, out);
                return;
        }
        if (peer->attempts && now - peer->unanswered_since >= REKEY_ATTEMPT_TIME / 3) {
                peer->unanswered_since = now;
                effect_add(out, EFFECT_UNANSWERED, peer);
        }
        peer_forget_source(peer);
        initiate(engine, peer, out);
}

void handshake_forget(struct engine *engine, struct peer *peer)
{
        noise_reset(&peer->handshake);
        index_remove(&engine->store.pending, &peer->pending);
        peer->attempts = 0;
}

/* ---- What both roles do when a message authenticated ------------------------------------------------------------- */

static void message_accepted(struct engine *engine, struct peer *peer, size_t len, const struct endpoint *from,
                             struct effects *out)
{
        peer_set_endpoint(peer, from, out);
        peer->rx_bytes += len;
        timers_any_packet_received(&peer->timers, engine->now);
}

static enum drop consume_response(struct engine *engine, const struct message_response *msg,
                                  const struct endpoint *from, struct effects *out)
{
        struct index_entry *entry = index_find(&engine->store.pending, le32_get(msg->receiver));
        struct peer *peer = entry ? entry->peer : NULL;
        struct session_keys keys;
        bool begun;

        if (!peer) return DROP_RX_UNKNOWN_INDEX;
        if (!noise_consume_response(&peer->handshake, msg, &engine->identity, &keys)) return DROP_RX_BAD_HANDSHAKE;

        index_remove(&engine->store.pending, &peer->pending);
        /* Both began at once: the side with the lesser public key prevails. */
        if (memcmp(engine->identity.public_key.bytes, peer->handshake.remote_static.bytes, KEY_LEN) < 0)
                sessions_prefer_current(&peer->sessions, engine->now);
        begun = sessions_begin(&peer->sessions, &engine->store, peer, &keys, &peer->handshake, true, engine->now);
        sodium_memzero(&keys, sizeof keys);
        message_accepted(engine, peer, sizeof *msg, from, out);
        if (begun) {
                exchange_set_rtt(peer, engine->now + REKEY_TIMEOUT - peer->initiate_not_before);
                timers_session_derived(&peer->timers, engine->now);
                peer_session_up(engine, peer, out);
        }
        return DROP_NONE;
}

/* ---- We are the responder ---------------------------------------------------------------------------------------- */

/* On copies of the peer's handshake and newest timestamp: what is pending of our own is not touched. */
struct responder {
        struct noise_initiation peeked;
        struct handshake hs;
        uint8_t newest_timestamp[MESSAGE_TIMESTAMP_LEN];
        struct message_response response;
        struct session_keys keys;
};

static enum drop respond(struct engine *engine, const struct message_initiation *msg, struct responder *r,
                         struct peer **found)
{
        struct key ephemeral;
        struct peer *peer;
        uint32_t index;
        bool created;

        if (!noise_peek_initiation(&engine->identity, msg, &r->peeked)) return DROP_RX_BAD_HANDSHAKE;
        peer = peer_table_find(&engine->peers, &r->peeked.remote_static);
        if (!peer) return DROP_RX_UNKNOWN_PEER;

        r->hs = peer->handshake;
        memcpy(r->newest_timestamp, peer->newest_timestamp, sizeof r->newest_timestamp);
        switch (noise_consume_initiation(&r->hs, &r->peeked, r->newest_timestamp)) {
        case NOISE_FORGED: return DROP_RX_BAD_HANDSHAKE;
        case NOISE_REPLAYED: return DROP_RX_HANDSHAKE_REPLAY;
        case NOISE_ACCEPTED: break;
        }
        if (engine->now < peer->consume_not_before) return DROP_RX_HANDSHAKE_TOO_SOON;

        ephemeral_new(engine, &ephemeral);
        index = sessions_fresh_index(&engine->store, &engine->random);
        created = noise_create_response(&r->hs, &ephemeral, index, &r->response, &r->keys);
        sodium_memzero(&ephemeral, sizeof ephemeral);
        *found = peer;
        return created ? DROP_NONE : DROP_RX_BAD_HANDSHAKE;
}

static void commit_response(struct engine *engine, struct peer *peer, struct responder *r, const struct endpoint *from,
                            struct effects *out)
{
        uint64_t now = engine->now;

        memcpy(peer->newest_timestamp, r->newest_timestamp, sizeof peer->newest_timestamp);
        peer->consume_not_before = now + HANDSHAKE_INITIATION_INTERVAL;
        message_accepted(engine, peer, sizeof(struct message_initiation), from, out);
        if (!sessions_begin(&peer->sessions, &engine->store, peer, &r->keys, &r->hs, false, now)) return;

        cookie_add_macs(&peer->jar, now, &r->response, sizeof r->response);
        effect_send(out, peer, &r->response, sizeof r->response);
        /* The peer is about to confirm: our own initiation would only cross its first packet. */
        peer->initiate_not_before = now + REKEY_TIMEOUT;
        timers_session_derived(&peer->timers, now);
        timers_any_packet_sent(&peer->timers, now);
        exchange_responded(engine, peer);
}

static enum drop consume_initiation(struct engine *engine, const struct message_initiation *msg,
                                    const struct endpoint *from, struct effects *out)
{
        struct responder r = { 0 };
        struct peer *peer = NULL;
        enum drop verdict = respond(engine, msg, &r, &peer);

        if (verdict == DROP_NONE) commit_response(engine, peer, &r, from, out);
        sodium_memzero(&r, sizeof r);
        return verdict;
}

/* ---- The way in: mac1, load, cookie ------------------------------------------------------------------------------ */

static size_t address_bytes(uint8_t out[COOKIE_ADDRESS_MAX], const union socket_address *address)
{
        const bool v6 = address->family == AF_INET6;
        const size_t len = v6 ? 16 : 4;

        memcpy(out, v6 ? (const void *)&address->in6.sin6_addr : (const void *)&address->in.sin_addr, len);
        memcpy(out + len, v6 ? &address->in6.sin6_port : &address->in.sin_port, 2);
        return len + 2;
}

static void reply_cookie(struct engine *engine, const uint8_t *datagram, size_t len, const struct endpoint *from,
                         const uint8_t *address, size_t address_len, struct effects *out)
{
        struct effect *effect = effect_add(out, EFFECT_SEND, NULL);
        struct message_cookie_reply reply;
        uint8_t nonce[MESSAGE_NONCE_LEN];

        random_fill(engine, nonce, sizeof nonce);
        cookie_reply_create(&engine->checker, engine->now, datagram, len, address, address_len, nonce, &reply);
        memcpy(effect->bytes, &reply, sizeof reply);
        effect->len = sizeof reply;
        effect->to = *from;
}

/* May this message ask for work? A response to nothing of ours asks for none: it counts for no load and draws no
 * cookie. */
static enum drop admit(struct engine *engine, const uint8_t *datagram, size_t len, const struct endpoint *from,
                       struct effects *out)
{
        uint8_t address[COOKIE_ADDRESS_MAX];
        size_t address_len = address_bytes(address, &from->remote);
        enum cookie_verdict cookie;

        if (!engine->has_identity) return DROP_RX_BAD_MAC1;
        cookie = cookie_check(&engine->checker, engine->now, datagram, len, address, address_len);
        if (cookie == COOKIE_INVALID_MAC1) return DROP_RX_BAD_MAC1;
        if (len == sizeof(struct message_response)) {
                struct le32 receiver;

                memcpy(&receiver, datagram + offsetof(struct message_response, receiver), sizeof receiver);
                if (!index_find(&engine->store.pending, le32_get(receiver))) return DROP_RX_UNKNOWN_INDEX;
        }
        if (!load_note(&engine->load, engine->now)) return DROP_NONE;
        if (cookie != COOKIE_VALID) {
                reply_cookie(engine, datagram, len, from, address, address_len, out);
                return DROP_RX_UNDER_LOAD;
        }
        return load_allow(&engine->load, engine->now, &from->remote) ? DROP_NONE : DROP_RX_RATE_LIMITED;
}

static enum drop consume_cookie_reply(struct engine *engine, const struct message_cookie_reply *msg)
{
        struct index_entry *entry = index_find(&engine->store.pending, le32_get(msg->receiver));

        if (!entry) entry = index_find(&engine->store.indices, le32_get(msg->receiver));
        if (!entry) return DROP_RX_UNKNOWN_INDEX;
        return cookie_consume_reply(&entry->peer->jar, engine->now, msg) ? DROP_NONE : DROP_RX_BAD_COOKIE;
}

enum drop handshake_receive(struct engine *engine, const uint8_t *datagram, size_t len, const struct endpoint *from,
                            struct effects *out)
{
        union {
                struct le32 type;
                struct message_initiation initiation;
                struct message_response response;
                struct message_cookie_reply cookie_reply;
        } msg;
        enum drop verdict;

        if (len < sizeof msg.type || len > sizeof msg) return DROP_RX_MALFORMED;
        memcpy(&msg, datagram, len);
        switch (le32_get(msg.type)) {
        case MESSAGE_INITIATION:
                if (len != sizeof msg.initiation) break;
                verdict = admit(engine, datagram, len, from, out);
                return verdict ? verdict : consume_initiation(engine, &msg.initiation, from, out);
        case MESSAGE_RESPONSE:
                if (len != sizeof msg.response) break;
                verdict = admit(engine, datagram, len, from, out);
                return verdict ? verdict : consume_response(engine, &msg.response, from, out);
        case MESSAGE_COOKIE_REPLY:
                if (len != sizeof msg.cookie_reply) break;
                return consume_cookie_reply(engine, &msg.cookie_reply);
        }
        return DROP_RX_MALFORMED;
}
