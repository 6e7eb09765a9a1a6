/* Hosts with an engine each, the links between them, and one virtual clock: whole lives of tunnels in milliseconds.
 *
 * Every run is a function of its seed, which a failure prints; SIM_SEED in the environment replaces it.
 * Beside what a test asserts, the world always checks (world_check fails the test):
 * - what is delivered was sent, is byte-identical, from the peer it claims, and comes at most once;
 * - nothing that the link corrupted is delivered;
 * - no (receiver index, counter) pair is sent twice, and none under a session past REJECT_AFTER_TIME; no key ever seals
 *   for two indices, across restarts too: so none meets a counter twice;
 * - user packets go out, and are delivered, on sessions that the policy of the moment allows;
 * - a frame of the upgrade goes out on a handshake's session, whose initiator has said something else there before, and
 *   no more of them are looked at than may be;
 * - a datagram that was dropped before it authenticated draws no effect, but for a cookie reply under load;
 * - engine_deadline() moves on after a tick.
 * Without abilities (host_able) a host is a WireGuard as any other.
 * Times are in nanoseconds. Each host has its own CLOCK_BOOTTIME; asleep, it hears and does nothing. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "daemon/proto/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MILLISECOND UINT64_C(1000000)
#define SECOND      (1000 * MILLISECOND)
#define MINUTE      (60 * SECOND)
#define HOUR        (60 * MINUTE)

enum { SIM_MTU = 1420, WIRE_TYPES = 5, PERMILLE = 1000 };

/* What happens to the datagrams of one host on their way; chances in permille. */
struct link {
        unsigned loss, duplicate, corrupt, reorder;
        uint64_t latency, reorder_delay; /* reorder adds a random part of reorder_delay */
};

struct datagram {
        uint64_t packet; /* one past the number of the user packet in it; 0: none */
        union socket_address from, to;
        bool corrupted;
        uint64_t delay;   /* from now until it arrives */
        uint64_t sent_at; /* of one captured */
        size_t len;
        uint8_t bytes[];
};

struct contact {
        struct host *host;
        bool endpoint;
        uint16_t keepalive;
        struct key preshared_key;
        struct upgrade_policy policy;
        uint64_t policy_since; /* of the host's clock */
};

/* What a host can do in an upgrade. */
struct abilities {
        uint8_t costs[CIPHER_IDS];
        bool mlkem;
};

struct host {
        struct world *world;
        unsigned id;
        struct key private_key, public_key;
        union socket_address address; /* change it: the host roams */
        struct link link;
        bool asleep;
        uint64_t boot_offset; /* CLOCK_BOOTTIME less the world's clock */
        int64_t wall_offset;  /* of its wall clock, from the truth */

        struct engine *engine;
        struct engine_config config;
        size_t memory_size;
        void *memory;
        uint64_t random, deadline;
        struct abilities abilities;
        uint32_t mtu, egress_mtu; /* at first SIM_MTU, and not known */
        struct contact *contacts;
        unsigned contact_count;

        uint64_t sent[WIRE_TYPES], keepalives, delivered; /* datagrams by type; data of length zero; inner packets */
        uint64_t frames, upgraded;                        /* sent, of the upgrade; user packets sent on children */
        uint64_t last_upgraded_at;                        /* world time of EFFECT_UPGRADED */
        uint64_t past_tx_drops;                           /* of engines before a restart, and what was staged in them */
        uint64_t last_sent_at, last_up_at, last_down_at;  /* world time */
        unsigned effects[EFFECT_ROAMED + 1];              /* how often each came */
};

struct world {
        uint64_t now, seed, random;
        struct host **hosts;
        unsigned host_count;
        struct event *events; /* a heap */
        size_t event_count, event_room;
        uint64_t event_order;
        struct packet *packets;                                   /* every inner packet ever sent, by number */
        uint64_t packet_count, packet_room, delivered, link_lost; /* link_lost: lost or corrupted */
        struct wire *wire;
        uint64_t strays[WIRE_TYPES]; /* datagrams to addresses that no host has */

        /* Sees each datagram before the link's chances; false loses it. May set corrupted and delay. */
        bool (*filter)(struct world *world, struct host *from, struct datagram *datagram);
        void *filter_context;
        bool capture; /* keep a copy of every datagram sent */
        struct datagram **captured;
        size_t captured_count;
};

extern const struct link link_clean; /* 10 ms, and nothing ever goes wrong */

void world_init(void); /* what a process does once; world_new and abilities_all do it */
struct world *world_new(uint64_t seed);
void world_free(struct world *world);
/* A world of two hosts that know each other. */
struct world *world_pair(uint64_t seed, struct host **a, struct host **b);
void world_check(const struct world *world, bool ok, const char *format, ...) __attribute__((format(printf, 3, 4)));
uint64_t world_random(struct world *world, uint64_t below);

/* New keys, address and engine, on a clean link. */
struct host *world_host(struct world *world, uint32_t max_peers);
/* Each becomes a peer of the other; both know the other's endpoint, and a preshared key. */
void world_connect(struct host *a, struct host *b);
void world_connect_one_way(struct host *knows, struct host *waits); /* `waits` has no endpoint for the other */
/* Before it is connected: what it can do from now on, restarted too. */
void host_able(struct host *host, const struct abilities *abilities);
void host_set_mtu(struct host *host, uint32_t mtu, uint32_t egress_mtu);
void host_policy(struct host *host, const struct host *peer, struct upgrade_policy policy);
/* What this build and machine can do: each cipher that is there, the fast ones cheaper; ML-KEM if wanted and there. */
struct abilities abilities_all(bool mlkem);
/* Of two hosts that can all of that. */
struct world *world_adits(uint64_t seed, bool mlkem, struct host **a, struct host **b);
void host_free(struct host *host);
void host_keepalive(struct host *host, const struct host *peer, uint16_t seconds);
/* The process ends and starts: a new engine, the same keys and configuration. */
void host_restart(struct host *host);
void host_sleep(struct host *host);
void host_wake(struct host *host);
void host_roam(struct host *host);                                               /* to an address that nobody had */
struct contact *host_contact(const struct host *host, const struct host *other); /* NULL: it has none */
struct peer *host_peer(const struct host *host, const struct host *other);
struct peer_status host_status(const struct host *host, const struct host *other);
/* Where `host` thinks that `other` is. */
const union socket_address *host_sees(const struct host *host, const struct host *other);
uint64_t host_now(const struct host *host);
uint64_t host_wall(const struct host *host);
uint64_t host_drops(const struct host *host, enum drop reason);
void world_links(struct world *world, const struct link *link); /* for all hosts */

/* Runs the world for a time. */
void world_run(struct world *world, uint64_t duration);
void world_at(struct world *world, uint64_t delay, void (*call)(struct world *world, void *argument), void *argument);

/* A numbered inner packet of random size now, IPv4 or IPv6. */
void world_send(struct host *from, const struct host *to);
/* `count` of them, `interval` apart on average (half to one and a half). */
void world_flow(struct host *from, struct host *to, unsigned count, uint64_t interval);
uint64_t world_lost(const struct world *world); /* sent, and not (yet) delivered */
/* No packet vanished: each one lost was lost by the link, dropped on arrival for a reason, counted as a drop, waits, or
 * is under way.
 */
void world_check_accounts(const struct world *world);
/* All packets from number `first` on were delivered. */
void world_check_delivered(const struct world *world, uint64_t first);
bool world_was_delivered(const struct world *world, uint64_t number);

/* A datagram of a third party, which arrives now. */
void world_inject(struct world *world, const union socket_address *from, const union socket_address *to,
                  const void *bytes, size_t len);
union socket_address world_address(uint32_t address, uint16_t port);

/* What the wire looks like to one who watches it (wire.c). */
struct wire *wire_new(void);
void wire_free(struct wire *wire);
void wire_observe(struct world *world, struct host *from, const struct host *to, const uint8_t *bytes, size_t len);
void wire_corrupt(struct world *world, struct datagram **datagram);
/* What does not show on the wire: the host has learnt of children. */
void wire_know_children(struct world *world, const struct host *host, const struct peer *peer);
/* `session` of the host's sealed what goes to `index` of `to`. */
void wire_check_key(struct world *world, const struct host *to, const struct session *session);
/* The host looks at a frame that came by `index`. */
void wire_frame_seen(struct world *world, const struct host *host, uint32_t index);
enum { CORRUPTIONS = 8 };

/* Inner packets (packet.c). */
size_t packet_new(struct world *world, const struct host *from, const struct host *to, uint8_t *out);
void packet_delivered(struct host *at, const struct host *from, const uint8_t *bytes, size_t len);
uint64_t packet_number(const uint8_t *bytes); /* of one made by packet_new */
/* Where it went that did not arrive. */
void packet_lost(struct world *world, uint64_t number);
void packet_dropped(struct world *world, uint64_t number);
uint64_t packets_unexplained(const struct world *world); /* neither delivered, nor lost, nor dropped on arrival */
struct prefix packet_prefix(const struct host *host, int family);
uint64_t splitmix(uint64_t *state);

#endif
