#ifndef ADIT_CRYPTO_REPLAY_H
#define ADIT_CRYPTO_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

/* Accepts each packet counter of a session once, in any order, within a window (RFC 6479).
 * Pure. One caller at a time for one window. All zero is a new window. */
enum { REPLAY_WINDOW = 8192 }; /* counters that may lag behind the newest */

/* Counters of a session lie below this, sent or received (WireGuard paper, 6.1). */
#define REJECT_AFTER_MESSAGES (UINT64_MAX - REPLAY_WINDOW)

struct replay {
        uint64_t next;                         /* one past the highest counter accepted */
        uint64_t seen[REPLAY_WINDOW / 64 + 1]; /* a ring of bits; one word is always being recycled */
};

/* True the first time `counter` is shown, and remembers it; false when seen, too old, or not
 * below REJECT_AFTER_MESSAGES (WireGuard paper, 5.4.6). Call it only after the packet authenticated. */
bool replay_accept(struct replay *window, uint64_t counter);

#endif
