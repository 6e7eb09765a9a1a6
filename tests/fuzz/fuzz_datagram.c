/* Two engines with a session, and an input that says what happens to them: datagrams raw, copied and mangled, time,
 * inner packets, changes of the configuration, frames of the session upgrade from a peer that is authentic and hostile.
 * Every input starts from the same state, byte for byte. Both engines can upgrade: what the build and machine have.
 *
 * What must hold, else abort():
 * - only a datagram that the other engine sent to this one, unchanged, is delivered, once, and is what went in there;
 * - any other draws no effect, unless it differs only where the protocol does not look (sender index, macs); under
 *   load it may draw a cookie reply, not longer than itself;
 * - a drop is counted under its reason; after a tick the deadline moves on;
 * - no index and counter are sent twice; a frame goes on a handshake's session, no more are looked at than may be;
 * - a session that is not current any more holds nothing to agree with;
 * - what user packets go out with is a living session of the peer's, with ML-KEM where the policy requires it. */
#include "crypto/cookie.h"
#include "crypto/message.h"
#include "crypto/mlkem.h"
#include "crypto/upgrade.h"
#include "daemon/proto/state.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum {
        SIDES = 2,
        MTU = 1420,
        BUFFER = MTU + DATA_OVERHEAD_MAX + PACKET_PADDING,
        CAPTURED = 64,      /* datagrams sent, the newest */
        INNER = 64,         /* inner packets sent, the newest */
        STEPS = 256,        /* of one input */
        LOAD = 600,         /* initiations at once that put an engine under load */
        STEP_UPGRADE = 240, /* bytes from here on: what came later, so that inputs from before mean what they did */
        CONFIG_UPGRADE = 240,
};

#define NS_PER_MS  UINT64_C(1000000)
#define WALL_EPOCH UINT64_C(1700000000000000000)

struct side {
        struct engine *engine;
        void *memory;
        size_t size;
        uint64_t random;
        struct key private_key, public_key;
        union socket_address address;
};

struct message {
        unsigned from;
        size_t len;
        bool carried; /* to the other side */
        uint8_t bytes[BUFFER];
};

struct inner {
        unsigned from;
        bool delivered;
        size_t len;
        uint8_t bytes[MTU];
};

/* All but the engines' memory; plain data, so that a copy is a snapshot. */
static struct state {
        struct side sides[SIDES];
        uint64_t now;
        unsigned message_count, inner_count;
        struct message messages[CAPTURED];
        struct inner inners[INNER];
} s;

/* Where an input may begin: as strangers; with a session, Upgrade being off; or under load, which an input alone would
 * be too slow to bring about, one side about to call again with the cookie that the other gave it. By its length, or by
 * its first byte: with a HELLO under way; offered; accepted; upgraded. */
enum { STRANGERS, SESSION, UNDER_LOAD, BY_LENGTH, MEETING = BY_LENGTH, OFFERED, ACCEPTED, UPGRADED, BEGINNINGS };
enum { FIRST_BYTE = 256 - (BEGINNINGS - BY_LENGTH) };

static struct snapshot {
        struct state state;
        void *memory[SIDES];
} snapshots[BEGINNINGS];

static struct input {
        const uint8_t *at, *end;
} in;

static void check(bool ok)
{
        if (!ok) abort();
}

static uint8_t take(void)
{
        return in.at < in.end ? *in.at++ : 0;
}

static uint64_t splitmix(uint64_t *state)
{
        uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

static void fill(void *context, void *bytes, size_t len)
{
        for (size_t i = 0; i < len; i++)
                ((uint8_t *)bytes)[i] = (uint8_t)(splitmix(context) >> 32);
}

static union socket_address address_of(uint8_t last)
{
        union socket_address a;

        memset(&a, 0, sizeof a);
        a.in.sin_family = AF_INET;
        a.in.sin_addr.s_addr = htonl(0xc0000200u + last);
        a.in.sin_port = htons(51820);
        return a;
}

/* ---- What comes out of an engine --------------------------------------------------------------------------------- */

static void capture(unsigned from, const uint8_t *bytes, size_t len)
{
        struct message *m = &s.messages[s.message_count++ % CAPTURED];

        check(len <= BUFFER);
        for (unsigned i = 0; i < CAPTURED && bytes[0] == MESSAGE_DATA; i++) /* type, index, counter */
                check(s.messages[i].from != from || memcmp(s.messages[i].bytes, bytes, DATA_HEADER_LEN) != 0);
        *m = (struct message){ .from = from, .len = len };
        memcpy(m->bytes, bytes, len);
}

static void settle(unsigned side, struct effects *effects);

static void check_sender(const struct peer *peer, const struct session *session)
{
        check(session->entry.peer == peer);
        check(session->mlkem || peer->policy.post_quantum != POST_QUANTUM_REQUIRE);
}

static void say(unsigned side, struct peer *peer)
{
        struct engine *engine = s.sides[side].engine;
        uint8_t datagram[FRAME_MAX + DATA_OVERHEAD];
        struct effects effects = { .count = 0 };
        struct tx tx;

        if (!engine_frame_next(engine, s.now, peer, &tx, datagram)) return;
        check(tx.frame && !tx.session->upgraded && tx.len <= sizeof datagram);
        check(tx.counter > 0 || !tx.session->initiator);
        capture(side, datagram, tx.len);
        engine_tx_commit(engine, s.now, WALL_EPOCH + s.now, &tx, true, &effects);
        settle(side, &effects);
}

static void flush(unsigned side, struct peer *peer)
{
        struct engine *engine = s.sides[side].engine;
        uint8_t datagram[BUFFER];
        struct tx tx;

        while (engine_staged_next(engine, s.now, peer, &tx, datagram)) {
                struct effects effects = { .count = 0 };

                check_sender(peer, tx.session);
                capture(side, datagram, tx.len);
                engine_tx_commit(engine, s.now, WALL_EPOCH + s.now, &tx, true, &effects);
                settle(side, &effects);
        }
}

static void settle(unsigned side, struct effects *effects)
{
        check(effects->count <= EFFECTS_MAX);
        for (unsigned i = 0; i < effects->count; i++) {
                const struct effect *e = &effects->list[i];

                if (e->type == EFFECT_SEND) capture(side, e->bytes, e->len);
                if (e->type == EFFECT_FLUSH) flush(side, e->peer);
                if (e->type == EFFECT_FRAME) say(side, e->peer);
        }
}

/* ---- A datagram -------------------------------------------------------------------------------------------------- */

static bool same_but_for_macs(const struct message *m, const uint8_t *bytes, size_t len)
{
        size_t macs = len - sizeof(struct message_macs);

        if (len < sizeof(struct message_response) || m->bytes[0] > MESSAGE_RESPONSE) return false;
        return memcmp(m->bytes, bytes, 4) == 0 && memcmp(m->bytes + 8, bytes + 8, macs - 8) == 0;
}

static bool has_mac1(unsigned to, const uint8_t *bytes, size_t len)
{
        uint8_t copy[MESSAGE_HANDSHAKE_MAX];
        struct cookie_jar jar;

        memcpy(copy, bytes, len);
        cookie_jar_init(&jar, &s.sides[to].public_key);
        cookie_add_macs(&jar, s.now, copy, len);
        return memcmp(copy, bytes, len - MESSAGE_MAC_LEN) == 0;
}

enum likeness { FORGED, NEARLY_GENUINE, GENUINE };

static enum likeness likeness_of(unsigned to, const uint8_t *bytes, size_t len)
{
        enum likeness best = FORGED;

        for (unsigned i = 0; i < CAPTURED; i++) {
                const struct message *m = &s.messages[i];

                if (m->len != len || m->from == to || len == 0) continue;
                if (memcmp(m->bytes, bytes, len) == 0) return GENUINE;
                if (same_but_for_macs(m, bytes, len) && has_mac1(to, bytes, len)) best = NEARLY_GENUINE;
        }
        return best;
}

static void check_delivered(unsigned at, const uint8_t *bytes, size_t len)
{
        for (unsigned i = 0; i < INNER; i++) {
                struct inner *p = &s.inners[i];

                /* an IP header may claim less than was sent, or, up to the padding, more */
                if (p->from == at || p->delivered || p->len + PACKET_PADDING <= len) continue;
                if (len > MTU || memcmp(p->bytes, bytes, len) != 0) continue;
                p->delivered = true;
                return;
        }
        abort(); /* nobody sent that, or it came twice */
}

static void check_answer(enum likeness likeness, enum drop reason, size_t len, const struct effects *effects)
{
        if (reason == DROP_RX_UNDER_LOAD) {
                check(effects->count == 1 && effects->list[0].type == EFFECT_SEND);
                check(effects->list[0].bytes[0] == MESSAGE_COOKIE_REPLY && effects->list[0].len <= len);
        } else if (likeness == FORGED) {
                check(effects->count == 0);
                check(reason != DROP_NONE);
        }
}

/* All zero: there is no such peer now. */
static struct peer_status status_of(unsigned side)
{
        const struct peer *peer = engine_peer_find(s.sides[side].engine, &s.sides[!side].public_key);
        struct peer_status status;

        memset(&status, 0, sizeof status);
        if (peer) engine_peer_status(peer, &status);
        return status;
}

static void check_untouched(unsigned side, const struct peer_status *before)
{
        const struct peer_status now = status_of(side);

        check(now.rx_bytes == before->rx_bytes && now.tx_bytes == before->tx_bytes);
        check(now.last_handshake_wall == before->last_handshake_wall);
        check(memcmp(&now.endpoint, &before->endpoint, sizeof now.endpoint) == 0);
}

static void datagram(unsigned to, const struct endpoint *from, uint8_t *bytes, size_t len)
{
        struct engine *engine = s.sides[to].engine;
        enum likeness likeness = likeness_of(to, bytes, len);
        struct effects effects = { .count = 0 };
        enum drop reason = DROP_NONE;
        const struct peer_status before = status_of(to);
        uint64_t drops[DROP_COUNT];
        size_t deliver = 0;
        struct rx rx;

        for (int i = 0; i < DROP_COUNT; i++)
                drops[i] = engine_dropped(engine, i);
        if (engine_rx_begin(engine, s.now, WALL_EPOCH + s.now, bytes, len, from, &rx, &reason, &effects)) {
                bool opened = rx_open(&rx);

                check(opened == (likeness == GENUINE));
                if (engine_rx_commit(engine, s.now, WALL_EPOCH + s.now, &rx, opened, from, &deliver, &reason,
                                     &effects)) {
                        check(likeness == GENUINE && reason == DROP_NONE);
                        check(rx.plain >= bytes && rx.plain + deliver <= bytes + len);
                        check_delivered(to, rx.plain, deliver);
                }
        }
        check(reason == DROP_NONE || engine_dropped(engine, reason) == drops[reason] + 1);
        check_answer(likeness, reason, len, &effects);
        if (likeness == FORGED) check_untouched(to, &before);
        settle(to, &effects);
}

/* In memory of just this size, so that a read past its end is seen. */
static void datagram_exact(unsigned to, uint8_t address, const uint8_t *bytes, size_t len)
{
        const struct endpoint from = { .remote = address_of(address) };
        uint8_t *copy = malloc(len ? len : 1);

        check(copy != NULL);
        memcpy(copy, bytes, len);
        datagram(to, &from, copy, len);
        free(copy);
}

/* ---- What an input can ask for ----------------------------------------------------------------------------------- */

static void do_raw(void)
{
        uint8_t how = take(), bytes[256] = { 0 };
        size_t len = take();

        for (size_t i = 0; i < len; i++)
                bytes[i] = take();
        if (how & 2) memcpy(bytes, (uint8_t[]){ (uint8_t)(1 + how / 4 % 4), 0, 0, 0 }, 4);
        datagram_exact(how & 1, 1, bytes, len);
}

/* A message sent before, changed in up to seven places, cut or grown; its mac1 made good again if asked for. */
static void do_mangled(void)
{
        uint8_t how = take(), changes = take();
        const struct message *m = &s.messages[(s.message_count - 1 - take() % CAPTURED) % CAPTURED];
        uint8_t bytes[BUFFER + 256] = { 0 };
        size_t len = m->len;
        unsigned to = how & 1;

        if (len == 0) return;
        memcpy(bytes, m->bytes, len);
        for (unsigned i = 0; i < changes % 8u; i++) {
                size_t at = (size_t)take() << 8 | take();

                bytes[at % len] ^= take();
        }
        if (how & 2) len = how & 4 ? len + take() : take() % (len + 1);
        if (how & 8 && (len == sizeof(struct message_initiation) || len == sizeof(struct message_response))) {
                struct cookie_jar jar;

                cookie_jar_init(&jar, &s.sides[to].public_key);
                cookie_add_macs(&jar, s.now, bytes, len);
        }
        datagram_exact(to, how & 16 ? 9 : (uint8_t)(2 - to), bytes, len);
}

/* Carries the oldest messages not yet carried, in order, up to a number: the network doing its work. */
static void carry(unsigned most)
{
        unsigned first = s.message_count > CAPTURED ? s.message_count - CAPTURED : 0;

        for (unsigned i = first; i != s.message_count && most; i++) {
                struct message *m = &s.messages[i % CAPTURED];

                if (m->carried || m->len == 0) continue;
                m->carried = true;
                most--;
                datagram_exact(!m->from, (uint8_t)(1 + m->from), m->bytes, m->len);
        }
}

static void tick(unsigned side)
{
        struct engine *engine = s.sides[side].engine;

        for (unsigned i = 0; i < 64 && engine_deadline(engine) <= s.now; i++) {
                struct effects effects = { .count = 0 };

                engine_tick(engine, s.now, WALL_EPOCH + s.now, &effects);
                check(effects.count > 0 || engine_deadline(engine) > s.now);
                settle(side, &effects);
        }
        check(engine_deadline(engine) > s.now);
}

/* Time passes, deadline by deadline if there are not too many, else in a jump, as after a suspend. */
static void do_time(void)
{
        static const uint64_t units[4] = { NS_PER_MS, 100 * NS_PER_MS, 5000 * NS_PER_MS, 60000 * NS_PER_MS };
        uint8_t how = take();
        uint64_t end = s.now + units[how & 3] * (1 + take());

        for (unsigned i = 0; i < 32 && !(how & 4); i++) {
                uint64_t a = engine_deadline(s.sides[0].engine), b = engine_deadline(s.sides[1].engine);
                uint64_t next = a < b ? a : b;

                if (next > end) break;
                if (next > s.now) s.now = next;
                tick(0);
                tick(1);
                if (how & 8) carry(CAPTURED);
        }
        s.now = end;
        tick(0);
        tick(1);
}

static void send_inner(unsigned side, uint8_t *packet, size_t len)
{
        struct engine *engine = s.sides[side].engine;
        struct effects effects = { .count = 0 };
        enum drop reason = DROP_NONE;
        uint8_t out[BUFFER];
        struct tx tx;

        if (engine_tx_begin(engine, s.now, WALL_EPOCH + s.now, packet, len, &tx, &reason, &effects)) {
                check(tx.len <= sizeof out && tx.plain_len >= len);
                check_sender(tx.peer, tx.session);
                tx_seal(&tx, out, packet, len);
                capture(side, out, tx.len);
                settle(side, &effects);
                effects.count = 0;
                engine_tx_commit(engine, s.now, WALL_EPOCH + s.now, &tx, true, &effects);
        }
        settle(side, &effects);
}

/* From 10.0.0.1 (or fd00::1) to 10.0.0.2, or the other way; or whatever the input says. */
static void do_inner(void)
{
        uint8_t how = take(), packet[MTU + PACKET_PADDING] = { 0 };
        unsigned side = how & 1;
        bool v6 = how & 2;
        size_t header = v6 ? 40 : 20, len = header + (how & 4 ? 5u * take() : take() % 32u);
        struct inner *p = &s.inners[s.inner_count % INNER];

        packet[0] = v6 ? 0x60 : 0x45;
        packet[v6 ? 4 : 2] = (uint8_t)((v6 ? len - 40 : len) >> 8);
        packet[v6 ? 5 : 3] = (uint8_t)(v6 ? len - 40 : len);
        memcpy(packet + (v6 ? 8 : 12), v6 ? (uint8_t[4]){ 0xfd } : (uint8_t[4]){ 10 }, 4);
        memcpy(packet + (v6 ? 24 : 16), v6 ? (uint8_t[4]){ 0xfd } : (uint8_t[4]){ 10 }, 4);
        packet[v6 ? 23 : 15] = (uint8_t)(1 + side);
        packet[v6 ? 39 : 19] = (uint8_t)(2 - side);
        memcpy(packet + (v6 ? 6 : 4), &s.inner_count, v6 ? 1 : 2);
        if (how & 8) packet[take() % len] = take();
        if (how & 16) len = take() % (len + 1); /* cut: it may still go, but is not delivered */
        *p = (struct inner){ .from = side, .len = len };
        memcpy(p->bytes, packet, len);
        s.inner_count++;
        send_inner(side, packet, len);
}

static struct upgrade_policy policy_from(uint8_t how)
{
        struct upgrade_policy policy = { .off = how & 1, .post_quantum = how / 2 % 3 };

        /* the configuration refuses it */
        if (policy.post_quantum == POST_QUANTUM_REQUIRE && (policy.off || !mlkem_available()))
                policy.post_quantum = POST_QUANTUM_AUTO;
        return policy;
}

static void reconfigure(unsigned side, uint8_t what)
{
        struct side *self = &s.sides[side];
        struct peer *peer = engine_peer_find(self->engine, &s.sides[!side].public_key);
        struct prefix prefix = { .family = AF_INET, .length = take() % 33, .bytes = { 10, 0, 0, (uint8_t)(2 - side) } };
        union socket_address remote = address_of((uint8_t)(2 - side));
        struct key key = { { take() % 3 } };
        struct upgrade_policy policy;

        if (!peer) peer = engine_peer_add(self->engine, s.now, &s.sides[!side].public_key);
        if (!peer) { /* only our own key, or none, can be the reason */
                engine_set_private_key(self->engine, s.now, &self->private_key);
                return;
        }
        engine_peer_set_endpoint(peer, &remote);
        if (what == 0) engine_peer_set_preshared_key(peer, &key);
        if (what == 1) engine_peer_set_keepalive(self->engine, s.now, peer, take());
        if (what == 2) engine_allowed_ip_remove(self->engine, peer, &prefix);
        if (what == 3) engine_allowed_ips_clear(self->engine, peer);
        if (what == 4) engine_set_up(self->engine, s.now, take() & 1);
        if (what == 5) engine_set_mtu(self->engine, 576u + 3u * take());
        if (what == 6) engine_set_private_key(self->engine, s.now, take() & 1 ? &self->private_key : &key);
        if (what == 7) engine_peer_remove(self->engine, peer);
        if (what == 8) {
                policy = policy_from(take());
                engine_peer_set_upgrade(self->engine, s.now, peer, &policy);
        }
        if (what == 9) engine_set_egress_mtu(self->engine, 6u * take());
        if (what != 7 && what != 3) (void)engine_allowed_ip_add(self->engine, peer, &prefix);
}

static void do_config(void)
{
        uint8_t how = take();

        reconfigure(how & 1, how < CONFIG_UPGRADE ? how / 2 % 8 : 8 + how / 2 % 2);
}

static void do_carry(void)
{
        uint8_t how = take();

        if (how & 1) carry(how / 2);
        else if (how / 2) s.messages[(s.message_count - how / 2) % CAPTURED].carried = true; /* lost */
}

/* ---- A hostile peer ---------------------------------------------------------------------------------------------- */

static struct peer *peer_of(unsigned side)
{
        return engine_peer_find(s.sides[side].engine, &s.sides[!side].public_key);
}

/* One of the sessions that a side has, or NULL. */
static struct session *session_of(unsigned side, uint8_t which)
{
        struct peer *peer = peer_of(side);
        struct session *session;

        if (!peer) return NULL;
        session = which % 3 == 0   ? peer->sessions.current
                  : which % 3 == 1 ? peer->sessions.previous
                                   : peer->sessions.next;
        return session && which & 4 ? session->child : session;
}

/* What looks like a frame, more or less: one of ours that was, or anything; changed in up to seven places. */
static size_t make_frame(uint8_t plain[FRAME_MAX + PACKET_PADDING])
{
        static const uint16_t lengths[] = { 16, 32, 1200, 1120 };
        uint8_t how = take(), changes = take();
        struct upgrade_frame frame;
        size_t len;

        memset(&frame, 0, sizeof frame);
        frame.header = (struct upgrade_header){ .version = UPGRADE_SPEAKS,
                                                .type = how & 3,
                                                .length = le16_put(lengths[how / 4 % 4]),
                                                .index = le32_put(take()),
                                                .kem = how / 16 & 1,
                                                .flags = how / 32 & 1,
                                                .cipher = how / 64,
                                                .speaks = UPGRADE_SPEAKS };
        memcpy(frame.header.cost, (uint8_t[UPGRADE_COSTS]){ take(), take(), take() }, UPGRADE_COSTS);
        len = upgrade_padded(&frame);
        memset(plain, 0, FRAME_MAX + PACKET_PADDING);
        memcpy(plain, &frame, sizeof frame);
        for (unsigned i = 0; i < changes % 8u; i++) {
                size_t at = (size_t)take() << 8 | take();
                plain[at % len] = take();
        }
        if (changes & 8) len = take() % 80u;
        if (changes & 16) len = FRAME_MAX - take() % 16u;
        plain[0] &= 0x0f; /* else it is a packet, and may be delivered */
        return len;
}

/* Sealed with a session of the side's, as if the side had said so. It is carried as any other message. */
static void do_seal(void)
{
        uint8_t how = take(), plain[FRAME_MAX + PACKET_PADDING], datagram[BUFFER];
        struct session *session = session_of(how & 1, how / 2);
        size_t len = make_frame(plain);
        struct tx tx = { .session = session, .plain_len = len };

        if (!session || !session_reserve(session, 1, &tx.counter)) return;
        tx_seal(&tx, datagram, plain, len);
        capture(how & 1, datagram, DATA_HEADER_LEN + len + session->cipher->tag_len);
}

/* What a worker may hand over: whatever became of the session meanwhile. */
static void do_hand_over(void)
{
        uint8_t how = take(), plain[FRAME_MAX + PACKET_PADDING];
        const struct session *session = session_of(how & 1, how / 2);
        struct effects effects = { .count = 0 };
        struct peer *peer = peer_of(how & 1);
        size_t len = make_frame(plain);
        uint8_t *exact = malloc(len ? len : 1);

        check(exact != NULL);
        memcpy(exact, plain, len);
        if (peer)
                engine_frame_receive(s.sides[how & 1].engine, s.now, WALL_EPOCH + s.now, peer,
                                     session ? session->entry.index : (uint32_t)how * take(), exact, len, &effects);
        free(exact);
        settle(how & 1, &effects);
}

/* ---- What holds at all times ------------------------------------------------------------------------------------- */

static void check_session(const struct peer *peer, const struct session *session)
{
        if (!session) return;
        check(session->entry.peer == peer && session->frames <= FRAMES_MAX);
        check(!session->upgraded || !session->child);
        if (!session->child) return;
        check(session->child->upgraded && session->child->entry.peer == peer && session->child->born == session->born);
        check(session->child->initiator == session->initiator);
}

static void check_peer(const struct peer *peer)
{
        const struct sessions *have = &peer->sessions;
        const struct session *current = have->current, *previous = have->previous, *sender = have->sender;

        check_session(peer, have->current);
        check_session(peer, have->previous);
        check_session(peer, have->next);
        check(!have->next || !have->next->child);
        check(!previous || sodium_is_zero(previous->keys.exporter.bytes, KEY_LEN));
        if (!sender) return;
        check_sender(peer, sender);
        check(sender == current || (current && sender == current->child) ||
              (previous && (sender == previous->child || (sender == previous && sender->upgraded))));
}

static void check_all(void)
{
        for (unsigned side = 0; side < SIDES; side++)
                if (peer_of(side)) check_peer(peer_of(side));
}

static void (*const steps[])(void) = { do_raw, do_mangled, do_time, do_inner, do_carry, do_config };
static void (*const upgrade_steps[])(void) = { do_seal, do_hand_over };

static void take_step(uint8_t which)
{
        if (which >= STEP_UPGRADE) upgrade_steps[which % 2]();
        else steps[which % (sizeof steps / sizeof *steps)]();
        check_all();
}

/* ---- The state where every input begins -------------------------------------------------------------------------- */

static uint8_t abilities[CIPHER_IDS];

static uint64_t clock_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void find_abilities(void)
{
        static const uint8_t costs[CIPHER_IDS] = { 81, 53, 59 };

        cipher_init(1, clock_ns);
        mlkem_init();
        for (uint8_t id = 0; id < CIPHER_IDS; id++)
                if (cipher_find(id)) abilities[id] = costs[id];
}

static void side_init(unsigned i)
{
        static const struct engine_config config = {
                .max_peers = 2, .max_prefixes = 8, .max_staged = 8, .staged_size = MTU
        };
        struct side *side = &s.sides[i];
        const struct engine_random random = { fill, &side->random };

        side->random = 100 + i;
        fill(&side->random, side->private_key.bytes, KEY_LEN);
        key_clamp(&side->private_key);
        key_public_from_private(&side->public_key, &side->private_key);
        side->size = engine_memory(&config);
        side->memory = mmap(NULL, side->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(side->memory != MAP_FAILED);
        side->engine = engine_new(side->memory, side->size, &config, &random, s.now);
        check(side->engine != NULL);
        engine_set_private_key(side->engine, s.now, &side->private_key);
        engine_set_abilities(side->engine, abilities, mlkem_available());
        engine_set_mtu(side->engine, MTU);
        engine_set_up(side->engine, s.now, true);
}

static void introduce(unsigned i)
{
        const struct prefix v4 = { AF_INET, 32, { 10, 0, 0, (uint8_t)(2 - i) } };
        const struct prefix v6 = { AF_INET6, 16, { 0xfd } };
        const union socket_address remote = address_of((uint8_t)(2 - i));
        struct peer *peer = engine_peer_add(s.sides[i].engine, s.now, &s.sides[!i].public_key);

        check(peer != NULL);
        engine_peer_set_endpoint(peer, &remote);
        check(engine_allowed_ip_add(s.sides[i].engine, peer, &v4));
        check(engine_allowed_ip_add(s.sides[i].engine, peer, &v6));
}

static void snapshot_take(unsigned which)
{
        snapshots[which].state = s;
        for (unsigned i = 0; i < SIDES; i++) {
                snapshots[which].memory[i] = malloc(s.sides[i].size);
                check(snapshots[which].memory[i] != NULL);
                memcpy(snapshots[which].memory[i], s.sides[i].memory, s.sides[i].size);
        }
}

static void snapshot_restore(unsigned which)
{
        s = snapshots[which].state;
        for (unsigned i = 0; i < SIDES; i++)
                memcpy(s.sides[i].memory, snapshots[which].memory[i], s.sides[i].size);
}

/* Initiations as one makes them who knows no more than the public key, enough for more than a source's share. */
static void put_under_load(unsigned to)
{
        struct message_initiation msg = { .type = le32_put(MESSAGE_INITIATION) };
        struct cookie_jar jar;

        cookie_jar_init(&jar, &s.sides[to].public_key);
        cookie_add_macs(&jar, s.now, &msg, sizeof msg);
        for (unsigned i = 0; i < LOAD; i++)
                datagram_exact(to, 7, (const uint8_t *)&msg, sizeof msg);
}

static void step_with(void (*step)(void), uint8_t how, uint8_t what)
{
        const uint8_t bytes[] = { how, what };

        in = (struct input){ bytes, bytes + sizeof bytes };
        step();
}

static void begin_under_load(void)
{
        uint64_t deadline;

        put_under_load(1);
        step_with(do_inner, 0, 3);
        carry(2 * CAPTURED); /* all that the flood drew, the initiation, and its cookie */
        deadline = engine_deadline(s.sides[0].engine);
        check(deadline != UINT64_MAX && s.messages[(s.message_count - 1) % CAPTURED].len == 64);
        s.now = deadline - NS_PER_MS;
        put_under_load(1);
        put_under_load(0);
}

static void set_policies(struct upgrade_policy policy)
{
        for (unsigned i = 0; i < SIDES; i++)
                engine_peer_set_upgrade(s.sides[i].engine, s.now, peer_of(i), &policy);
}

/* A handshake, and a packet each way of each family. */
static void begin_with_session(void)
{
        set_policies((struct upgrade_policy){ .off = true });
        for (unsigned i = 0; i < 4; i++) {
                step_with(do_inner, (uint8_t)i, 3);
                carry(CAPTURED);
        }
        for (unsigned i = 0; i < 4; i++)
                check(s.inners[i].delivered);
        s.now += 500 * NS_PER_MS;
}

/* Carries one message after the other until the exchange is there. */
static void begin_at(uint8_t state)
{
        step_with(do_inner, 0, 3);
        for (unsigned i = 0; i < 20 && peer_of(0)->exchange.state != state && peer_of(1)->exchange.state != state; i++)
                carry(1);
        check(peer_of(0)->exchange.state == state || peer_of(1)->exchange.state == state);
        s.now += NS_PER_MS;
}

static const uint8_t states[] = { EXCHANGE_ASKED, EXCHANGE_OFFERED, EXCHANGE_ACCEPTED, EXCHANGE_ESTABLISHED };

static void start(void)
{
        check(sodium_init() >= 0);
        find_abilities();
        s.now = 1000 * NS_PER_MS;
        for (unsigned i = 0; i < SIDES; i++)
                side_init(i);
        for (unsigned i = 0; i < SIDES; i++)
                introduce(i);
        snapshot_take(STRANGERS);
        begin_under_load();
        snapshot_take(UNDER_LOAD);
        snapshot_restore(STRANGERS);
        begin_with_session();
        snapshot_take(SESSION);
        for (unsigned i = 0; i < sizeof states; i++) {
                snapshot_restore(STRANGERS);
                begin_at(states[i]);
                snapshot_take(MEETING + i);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (!snapshots[STRANGERS].memory[0]) start();
        in = (struct input){ data, data + size };
        if (size && *in.at >= FIRST_BYTE) snapshot_restore(MEETING + (take() - FIRST_BYTE));
        else snapshot_restore(size % BY_LENGTH);
        for (unsigned i = 0; i < STEPS && in.at < in.end; i++)
                take_step(take());
        return 0;
}
