/* Is there more handshake work than this machine can spare, and then: how much of it may one source ask for (paper,
 * 5.3)? Pure.
 *
 * Work is what a message with a valid mac1 asks for: some 130 us, four X25519. So the limit is on work in a short time,
 * LOAD_HANDSHAKES in LOAD_WINDOW, two thirds of one core, and not on messages a second: hundreds of peers that all
 * come back at once are served at once. Under load a source must show a cookie, and then has a bucket of its own. */
#ifndef DAEMON_PROTO_LOAD_H
#define DAEMON_PROTO_LOAD_H

#include "kernel-iface/types.h"

#define LOAD_WINDOW (UINT64_C(100) * 1000000)  /* ns */
#define LOAD_STAYS  (UINT64_C(1000) * 1000000) /* ns under load after the last overload */
enum {
        LOAD_HANDSHAKES = 500, /* in one window; with one more it is an overload */
        LOAD_SOURCE_RATE = 20, /* handshakes a second of one IPv4 address, or IPv6 /64 */
        LOAD_SOURCE_BURST = 5,
        LOAD_SOURCES = 8192, /* remembered at a time; each is forgotten a second after it was last seen */
        LOAD_WAYS = 8,       /* places where one source may lie */
};

struct load_source {
        uint64_t credit_at; /* ns, when it was last brought up to date; 0: never used */
        uint64_t credit;    /* ns; a handshake costs 1 s / LOAD_SOURCE_RATE */
        uint8_t family;     /* of `net`: IPv4 address, or first half of an IPv6 one */
        uint8_t net[8];
};

struct load {
        uint64_t window_start, until; /* under load before `until` */
        uint32_t window_count;
        uint8_t hash_key[16];        /* so that nobody can choose whom to push out */
        struct load_source *sources; /* LOAD_SOURCES */
};

size_t load_memory(void);
void load_init(struct load *load, void *memory, const uint8_t hash_key[16]);

/* Counts one message that asks for work. True: under load. */
bool load_note(struct load *load, uint64_t now);
/* Only under load, for a source that has shown a cookie. False: too many, or too many sources. */
bool load_allow(struct load *load, uint64_t now, const union socket_address *source);

#endif
