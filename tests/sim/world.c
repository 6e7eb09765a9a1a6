#include "tests/sim/world.h"
#include "crypto/mlkem.h"
#include "crypto/upgrade.h"
#include "daemon/proto/state.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Something that happens at a time: a datagram arrives, or a call is made. */
struct event {
        uint64_t at, order;
        struct datagram *datagram; /* NULL: the call */
        void (*call)(struct world *world, void *argument);
        void *argument;
};

struct source { /* of a flow of inner packets */
        struct host *from, *to;
        unsigned left;
        uint64_t interval;
};

const struct link link_clean = { .latency = 10 * MILLISECOND };

void world_check(const struct world *world, bool ok, const char *format, ...)
{
        char what[256];
        va_list args;

        if (ok) return;
        va_start(args, format);
        vsnprintf(what, sizeof what, format, args);
        va_end(args);
        fail_msg("at %.9f s, SIM_SEED=%lu: %s", (double)world->now / (double)SECOND, (unsigned long)world->seed, what);
}

uint64_t world_random(struct world *world, uint64_t below)
{
        return splitmix(&world->random) % below;
}

union socket_address world_address(uint32_t address, uint16_t port)
{
        union socket_address out;

        memset(&out, 0, sizeof out);
        out.in.sin_family = AF_INET;
        out.in.sin_port = htons(port);
        out.in.sin_addr.s_addr = htonl(address);
        return out;
}

/* ---- Events ------------------------------------------------------------------------------------------------------ */

static bool earlier(const struct event *a, const struct event *b)
{
        return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void event_push(struct world *world, struct event event)
{
        size_t i = world->event_count++;

        if (world->event_count > world->event_room) {
                world->event_room = 2 * world->event_count;
                world->events = realloc(world->events, world->event_room * sizeof *world->events);
                if (!world->events) abort();
        }
        event.order = world->event_order++;
        for (; i > 0 && earlier(&event, &world->events[(i - 1) / 2]); i = (i - 1) / 2)
                world->events[i] = world->events[(i - 1) / 2];
        world->events[i] = event;
}

static struct event event_pop(struct world *world)
{
        struct event first = world->events[0], last = world->events[--world->event_count];
        size_t i = 0, child;

        while ((child = 2 * i + 1) < world->event_count) {
                if (child + 1 < world->event_count && earlier(&world->events[child + 1], &world->events[child]))
                        child++;
                if (!earlier(&world->events[child], &last)) break;
                world->events[i] = world->events[child];
                i = child;
        }
        world->events[i] = last;
        return first;
}

void world_at(struct world *world, uint64_t delay, void (*call)(struct world *world, void *argument), void *argument)
{
        event_push(world, (struct event){ .at = world->now + delay, .call = call, .argument = argument });
}

/* ---- The way out ------------------------------------------------------------------------------------------------- */

uint64_t host_now(const struct host *host)
{
        return host->world->now + host->boot_offset;
}

uint64_t host_wall(const struct host *host)
{
        return UINT64_C(1700000000) * SECOND + host->world->now + (uint64_t)host->wall_offset;
}

static struct host *host_by_key(const struct world *world, const struct key *public_key)
{
        for (unsigned i = 0; i < world->host_count; i++)
                if (memcmp(&world->hosts[i]->public_key, public_key, sizeof *public_key) == 0) return world->hosts[i];
        return NULL;
}

static bool same_address(const union socket_address *a, const union socket_address *b)
{
        return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr && a->in.sin_port == b->in.sin_port;
}

static struct host *host_by_address(const struct world *world, const union socket_address *address)
{
        for (unsigned i = 0; i < world->host_count; i++)
                if (same_address(&world->hosts[i]->address, address)) return world->hosts[i];
        return NULL;
}

struct contact *host_contact(const struct host *host, const struct host *other)
{
        for (unsigned i = 0; i < host->contact_count; i++)
                if (host->contacts[i].host == other) return &host->contacts[i];
        return NULL;
}

static struct datagram *datagram_new(const union socket_address *from, const union socket_address *to,
                                     const void *bytes, size_t len)
{
        struct datagram *d = calloc(1, sizeof *d + len + 1);

        if (!d) abort();
        d->from = *from;
        d->to = *to;
        d->len = len;
        if (len) memcpy(d->bytes, bytes, len);
        return d;
}

static bool chance(struct world *world, unsigned permille)
{
        return permille && world_random(world, PERMILLE) < permille;
}

static void arrive(struct world *world, struct datagram *d)
{
        event_push(world, (struct event){ .at = world->now + d->delay, .datagram = d });
}

static void keep_copy(struct world *world, const struct datagram *d)
{
        world->captured = realloc(world->captured, (world->captured_count + 1) * sizeof(void *));
        if (!world->captured) abort();
        world->captured[world->captured_count] = datagram_new(&d->from, &d->to, d->bytes, d->len);
        world->captured[world->captured_count++]->sent_at = world->now;
}

static void lose(struct world *world, const struct datagram *d)
{
        if (!d->packet) return;
        packet_lost(world, d->packet - 1);
        world->link_lost++;
}

/* Through the filter and the chances of the link. */
static void transmit(struct host *from, struct datagram *d)
{
        struct world *world = from->world;
        const struct link *link = &from->link;
        d->delay = link->latency;
        if (world->capture) keep_copy(world, d);
        if ((world->filter && !world->filter(world, from, d)) || chance(world, link->loss)) {
                lose(world, d);
                free(d);
                return;
        }
        if (chance(world, link->duplicate)) {
                struct datagram *twin = datagram_new(&d->from, &d->to, d->bytes, d->len);

                twin->packet = d->packet;
                twin->delay = d->delay + world_random(world, link->reorder_delay + 1);
                arrive(world, twin);
        }
        if (chance(world, link->corrupt)) {
                wire_corrupt(world, &d);
                lose(world, d);
        }
        if (chance(world, link->reorder)) d->delay += world_random(world, link->reorder_delay + 1);
        arrive(world, d);
}

/* Of the peer's sessions the one whose packets go to `index`. */
static const struct session *session_to(const struct peer *peer, uint32_t index)
{
        struct session *places[] = { peer->sessions.current, peer->sessions.previous, peer->sessions.next };

        for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
                struct session *session = places[i], *child = session ? session->child : NULL;

                if (session && session->remote_index == index) return session;
                if (child && child->remote_index == index) return child;
        }
        return NULL;
}

static void send_datagram(struct host *from, const struct peer *peer, const struct endpoint *to, const uint8_t *bytes,
                          size_t len, uint64_t packet)
{
        const struct host *owner = peer ? host_by_key(from->world, engine_peer_public_key(peer)) : NULL;
        struct datagram *d = datagram_new(&from->address, &to->remote, bytes, len);

        if (peer && bytes[0] == MESSAGE_DATA) {
                struct message_data header;
                const struct session *session;

                memcpy(&header, bytes, sizeof header);
                session = session_to(peer, le32_get(header.receiver));
                world_check(from->world, session != NULL, "host %u sends on a session that it does not have", from->id);
                wire_check_key(from->world, owner, session);
                if (len == (size_t)DATA_HEADER_LEN + session->cipher->tag_len) from->keepalives++;
        }
        wire_observe(from->world, from, owner, bytes, len);
        world_check(from->world, to->remote.family == AF_INET, "host %u sends to no address", from->id);
        d->packet = packet;
        transmit(from, d);
}

/* A user packet may go by this session, under the policy of the moment. */
static void check_policy(const struct host *host, const struct host *other, const struct session *session,
                         const char *does)
{
        const struct contact *contact = host_contact(host, other);

        world_check(host->world, session->mlkem || contact->policy.post_quantum != POST_QUANTUM_REQUIRE,
                    "host %u %s a user packet without ML-KEM, which it requires", host->id, does);
        world_check(host->world, !session->upgraded || !contact->policy.off || session->born < contact->policy_since,
                    "host %u %s a user packet on a child, with Upgrade = off", host->id, does);
}

static void check_seal(struct host *host, const struct tx *tx)
{
        const struct host *other = host_by_key(host->world, engine_peer_public_key(tx->peer));

        if (!tx->frame) {
                check_policy(host, other, tx->session, "sends");
                host->upgraded += tx->session->upgraded;
                return;
        }
        host->frames++;
        world_check(host->world, !tx->session->upgraded, "host %u sends a frame on a child", host->id);
        world_check(host->world, !tx->session->initiator || tx->counter > 0, "host %u confirms a session with a frame",
                    host->id);
        world_check(host->world, tx->len <= FRAME_MAX + DATA_OVERHEAD && tx->len >= UPGRADE_FRAME_MIN + DATA_OVERHEAD,
                    "host %u: a frame of %zu bytes", host->id, tx->len);
        world_check(host->world, !host_contact(host, other)->policy.off || tx->plain_len == UPGRADE_FRAME_MIN,
                    "host %u offers or accepts with Upgrade = off", host->id);
}

static void settle(struct host *host, struct effects *effects);

static void flush(struct host *host, struct peer *peer)
{
        uint8_t datagram[SIM_MTU + DATA_OVERHEAD_MAX + PACKET_PADDING];
        struct tx tx;

        for (;;) {
                const struct staged *first = staged_first(&peer->staged);
                uint64_t number = first ? packet_number(first->bytes) : 0;
                struct effects effects = { .count = 0 };

                if (!engine_staged_next(host->engine, host_now(host), peer, &tx, datagram)) return;
                world_check(host->world, tx.peer == peer, "host %u: staged packet of another peer", host->id);
                check_seal(host, &tx);
                send_datagram(host, tx.peer, &tx.to, datagram, tx.len, 1 + number);
                engine_tx_commit(host->engine, host_now(host), host_wall(host), &tx, true, &effects);
                settle(host, &effects);
        }
}

static void say(struct host *host, struct peer *peer)
{
        uint8_t datagram[FRAME_MAX + DATA_OVERHEAD];
        struct effects effects = { .count = 0 };
        struct tx tx;

        if (!engine_frame_next(host->engine, host_now(host), peer, &tx, datagram)) return;
        world_check(host->world, tx.peer == peer && tx.frame, "host %u: no frame of this peer", host->id);
        check_seal(host, &tx);
        send_datagram(host, tx.peer, &tx.to, datagram, tx.len, 0);
        engine_tx_commit(host->engine, host_now(host), host_wall(host), &tx, true, &effects);
        settle(host, &effects);
}

/* Carries out what a call into the engine wants, and asks when to call again. */
static void settle(struct host *host, struct effects *effects)
{
        world_check(host->world, effects->count <= EFFECTS_MAX, "host %u: %u effects", host->id, effects->count);
        for (unsigned i = 0; i < effects->count; i++) {
                const struct effect *e = &effects->list[i];

                host->effects[e->type]++;
                if (e->type == EFFECT_SEND) send_datagram(host, e->peer, &e->to, e->bytes, e->len, 0);
                if (e->type == EFFECT_FLUSH) flush(host, e->peer);
                if (e->type == EFFECT_FRAME) say(host, e->peer);
                if (e->type == EFFECT_UPGRADED) host->last_upgraded_at = host->world->now;
                if (e->type == EFFECT_SESSION_UP) host->last_up_at = host->world->now;
                if (e->type == EFFECT_SESSION_DOWN) host->last_down_at = host->world->now;
        }
        host->deadline = engine_deadline(host->engine);
}

void world_send(struct host *from, const struct host *to)
{
        uint8_t packet[SIM_MTU + PACKET_PADDING] = { 0 };
        uint8_t datagram[SIM_MTU + DATA_OVERHEAD_MAX + PACKET_PADDING];
        struct world *world = from->world;
        struct effects effects = { .count = 0 };
        enum drop reason = DROP_NONE;
        struct tx tx;
        size_t len = packet_new(world, from, to, packet);

        if (engine_tx_begin(from->engine, host_now(from), host_wall(from), packet, len, &tx, &reason, &effects)) {
                world_check(world, reason == DROP_NONE, "a packet both dropped and sent");
                world_check(world,
                            tx.plain_len >= len && tx.plain_len <= from->mtu &&
                                    (tx.plain_len % PACKET_PADDING == 0 || tx.plain_len == from->mtu),
                            "packet of %zu bytes padded to %zu", len, tx.plain_len);
                check_seal(from, &tx);
                tx_seal(&tx, datagram, packet, len);
                send_datagram(from, tx.peer, &tx.to, datagram, tx.len, 1 + packet_number(packet));
                settle(from, &effects);
                effects.count = 0;
                engine_tx_commit(from->engine, host_now(from), host_wall(from), &tx, true, &effects);
        }
        settle(from, &effects);
}

/* ---- The way in -------------------------------------------------------------------------------------------------- */

/* Those reasons for which nothing authenticated, or nothing new did. */
static bool before_authentication(enum drop reason)
{
        switch (reason) {
        case DROP_RX_MALFORMED:
        case DROP_RX_BAD_MAC1:
        case DROP_RX_BAD_COOKIE:
        case DROP_RX_RATE_LIMITED:
        case DROP_RX_UNKNOWN_PEER:
        case DROP_RX_BAD_HANDSHAKE:
        case DROP_RX_HANDSHAKE_REPLAY:
        case DROP_RX_HANDSHAKE_TOO_SOON:
        case DROP_RX_UNKNOWN_INDEX:
        case DROP_RX_SESSION_EXPIRED:
        case DROP_RX_BAD_TAG:
        case DROP_RX_REPLAY: return true;
        default: return false;
        }
}

static void check_silence(const struct host *host, const struct datagram *d, enum drop reason,
                          const struct effects *effects)
{
        if (reason == DROP_RX_UNDER_LOAD) {
                world_check(host->world,
                            effects->count == 1 && effects->list[0].type == EFFECT_SEND &&
                                    effects->list[0].len <= d->len && effects->list[0].bytes[0] == 3,
                            "host %u: under load, and more than a cookie", host->id);
                world_check(host->world, same_address(&effects->list[0].to.remote, &d->from), "cookie sent elsewhere");
        }
        world_check(host->world, !before_authentication(reason) || effects->count == 0,
                    "host %u: %s, but %u effects, the first of type %d", host->id, drop_name(reason), effects->count,
                    (int)effects->list[0].type);
}

/* A frame that was no more than counted. */
static bool looked_at(enum drop reason)
{
        return reason != DROP_RX_UPGRADE_LIMIT && reason != DROP_RX_REPLAY && reason != DROP_RX_SESSION_EXPIRED &&
               reason != DROP_RX_NOT_IP;
}

static void receive(struct host *host, struct datagram *d)
{
        struct endpoint from = { .remote = d->from, .source.in = host->address.in.sin_addr, .source_ifindex = 1 };
        struct effects effects = { .count = 0 };
        enum drop reason = DROP_NONE;
        uint64_t now = host_now(host), wall = host_wall(host);
        size_t len = 0;
        struct rx rx;

        if (engine_rx_begin(host->engine, now, wall, d->bytes, d->len, &from, &rx, &reason, &effects)) {
                struct session session = *rx.session; /* as it was: the commit may be its end */
                bool opened = rx_open(&rx);
                bool frame = opened && !session.upgraded && upgrade_is_frame(rx.plain, rx.plain_len);
                bool deliver = engine_rx_commit(host->engine, now, wall, &rx, opened, &from, &len, &reason, &effects);

                world_check(host->world, deliver || len == 0 || reason != DROP_NONE, "neither delivered nor dropped");
                if (frame && looked_at(reason)) wire_frame_seen(host->world, host, session.entry.index);
                wire_know_children(host->world, host, rx.peer);
                if (deliver) {
                        const struct host *peer = host_by_key(host->world, engine_peer_public_key(rx.peer));

                        check_policy(host, peer, &session, "takes");
                        world_check(host->world, !d->corrupted, "host %u delivers a corrupted datagram", host->id);
                        packet_delivered(host, peer, rx.plain, len);
                }
        }
        if (d->packet && reason != DROP_NONE) packet_dropped(host->world, d->packet - 1);
        check_silence(host, d, reason, &effects);
        settle(host, &effects);
}

void world_inject(struct world *world, const union socket_address *from, const union socket_address *to,
                  const void *bytes, size_t len)
{
        arrive(world, datagram_new(from, to, bytes, len));
}

/* ---- Time -------------------------------------------------------------------------------------------------------- */

static void happen(struct world *world)
{
        struct event event = event_pop(world);
        struct host *host;

        world->now = event.at;
        if (!event.datagram) {
                event.call(world, event.argument);
                return;
        }
        host = host_by_address(world, &event.datagram->to);
        if (host && !host->asleep) receive(host, event.datagram);
        else if (event.datagram->packet) packet_lost(world, event.datagram->packet - 1);
        if (!host) world->strays[event.datagram->bytes[0] % WIRE_TYPES]++;
        free(event.datagram);
}

static void tick(struct host *host)
{
        struct effects effects = { .count = 0 };
        bool full;

        engine_tick(host->engine, host_now(host), host_wall(host), &effects);
        full = effects.count > 0;
        settle(host, &effects);
        world_check(host->world, full || host->deadline > host_now(host),
                    "host %u: a tick does nothing and is due again", host->id);
}

/* World time of a host's deadline. */
static uint64_t due_at(const struct host *host)
{
        if (host->asleep || host->deadline == UINT64_MAX) return UINT64_MAX;
        return host->deadline > host_now(host) ? host->deadline - host->boot_offset : host->world->now;
}

void world_run(struct world *world, uint64_t duration)
{
        uint64_t end = world->now + duration, last = 0;
        unsigned at_once = 0;

        for (;;) {
                uint64_t next = world->event_count ? world->events[0].at : UINT64_MAX;
                struct host *host = NULL;

                for (unsigned i = 0; i < world->host_count; i++) {
                        if (due_at(world->hosts[i]) < next) {
                                host = world->hosts[i];
                                next = due_at(host);
                        }
                }
                if (next > end) break;
                at_once = next == last ? at_once + 1 : 0;
                last = next;
                world_check(world, at_once < 100000, "time stands still");
                if (host) {
                        world->now = next;
                        tick(host);
                } else {
                        happen(world);
                }
        }
        world->now = end;
}

static void source_next(struct world *world, void *argument)
{
        struct source *source = argument;

        if (source->left == 0) {
                free(source);
                return;
        }
        source->left--;
        if (!source->from->asleep) world_send(source->from, source->to);
        world_at(world, source->interval / 2 + world_random(world, source->interval + 1), source_next, source);
}

void world_flow(struct host *from, struct host *to, unsigned count, uint64_t interval)
{
        struct source *source = malloc(sizeof *source);

        if (!source) abort();
        *source = (struct source){ from, to, count, interval };
        world_at(from->world, world_random(from->world, interval + 1), source_next, source);
}

/* ---- The world itself -------------------------------------------------------------------------------------------- */

struct world *world_pair(uint64_t seed, struct host **a, struct host **b)
{
        struct world *world = world_new(seed);

        *a = world_host(world, 4);
        *b = world_host(world, 4);
        world_connect(*a, *b);
        return world;
}

static uint64_t host_waiting(const struct host *host)
{
        uint64_t count = 0;

        for (unsigned i = 0; i < host->contact_count; i++)
                count += host_peer(host, host->contacts[i].host)->staged.count;
        return count;
}

void world_check_accounts(const struct world *world)
{
        uint64_t drops = 0;

        for (size_t i = 0; i < world->event_count; i++)
                drops += world->events[i].datagram && world->events[i].datagram->packet;
        for (unsigned i = 0; i < world->host_count; i++) {
                drops += world->hosts[i]->past_tx_drops + host_waiting(world->hosts[i]);
                for (unsigned reason = DROP_TX_NOT_IP; reason < DROP_COUNT; reason++)
                        drops += host_drops(world->hosts[i], reason);
        }
        world_check(world, packets_unexplained(world) <= drops,
                    "of %lu packets %lu vanished, %lu drops before sending, waiting or under way",
                    (unsigned long)world->packet_count, (unsigned long)packets_unexplained(world),
                    (unsigned long)drops);
}

void world_check_delivered(const struct world *world, uint64_t first)
{
        for (uint64_t i = first; i < world->packet_count; i++)
                world_check(world, world_was_delivered(world, i), "packet %lu of %lu never came, counted from %lu",
                            (unsigned long)i, (unsigned long)world->packet_count, (unsigned long)first);
}

static uint64_t clock_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* Which implementation of a cipher is the fastest changes no byte of a run. */
void world_init(void)
{
        static bool done;

        if (done) return;
        if (sodium_init() < 0) abort();
        cipher_init(1, clock_ns);
        mlkem_init();
        done = true;
}

struct world *world_new(uint64_t seed)
{
        struct world *world = calloc(1, sizeof *world);
        const char *chosen = getenv("SIM_SEED");

        if (!world) abort();
        world_init();
        world->seed = world->random = chosen ? strtoull(chosen, NULL, 0) : seed;
        world->wire = wire_new();
        return world;
}

void world_free(struct world *world)
{
        while (world->event_count) {
                struct event event = event_pop(world);

                if (!event.datagram && event.call == source_next) free(event.argument);
                free(event.datagram);
        }
        for (unsigned i = 0; i < world->host_count; i++)
                host_free(world->hosts[i]);
        for (size_t i = 0; i < world->captured_count; i++)
                free(world->captured[i]);
        wire_free(world->wire);
        free(world->captured);
        free(world->hosts);
        free(world->events);
        free(world->packets);
        free(world);
}

void world_links(struct world *world, const struct link *link)
{
        for (unsigned i = 0; i < world->host_count; i++)
                world->hosts[i]->link = *link;
}
