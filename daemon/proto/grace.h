/* When may memory that workers could still be looking at be used again?
 *
 * Each lane of the data plane numbers its pieces of work with tickets, and finishes them in that order (daemon/data). A
 * worker looks things up only after it took a ticket, and holds what it found no longer than until that ticket is
 * finished. So what was unpublished when a lane had given out N tickets is nobody's any more once it has finished N. A
 * reader pays nothing for that beyond its ticket, and an idle lane holds nothing back.
 *
 * The owner of the engine, one thread, unpublishes, retires and reclaims; any thread takes tickets. Pure. */
#ifndef DAEMON_PROTO_GRACE_H
#define DAEMON_PROTO_GRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum lane_id { LANE_OUTBOUND, LANE_INBOUND, LANES };

/* Sequentially consistent throughout: either a worker's look-up sees that a thing is gone, or the owner's snapshot sees
 * the worker's ticket. */
struct grace {
        _Atomic uint64_t taken[LANES], done[LANES];
};

uint64_t grace_enter(struct grace *grace, enum lane_id lane); /* the ticket */
void grace_leave(struct grace *grace, enum lane_id lane);     /* of the oldest ticket */
bool grace_unused(const struct grace *grace);                 /* no worker was ever here */

/* A member of what is retired; written once that is unpublished. */
struct retired {
        struct retired *next;
};

/* What is unpublished and not yet reclaimed. Zeroed, it is empty. */
struct limbo {
        struct retired *fresh, *waiting;
        uint64_t seen[LANES]; /* the tickets given out when `waiting` began to wait */
};

void limbo_add(struct limbo *limbo, struct retired *item);
/* Those that nobody can hold any more, as a list; NULL: none. A NULL grace: nobody ever can. */
struct retired *limbo_take(struct limbo *limbo, const struct grace *grace);
bool limbo_empty(const struct limbo *limbo);

#endif
