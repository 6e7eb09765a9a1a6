/* The threads that move packets.
 *
 * Worker 0 waits for the TUN and the sockets, and does what it finds itself: a lone packet never crosses a CPU. The
 * others sleep until a read was so large, or so many packets are waiting, that one should not do it alone; each that is
 * woken takes slabs until there are none, and may wake the next. */
#ifndef DAEMON_DATA_WORKERS_H
#define DAEMON_DATA_WORKERS_H

#include "daemon/data/data.h"

struct worker {
        struct workers *all;
        unsigned number;
        pthread_t thread;
};

struct workers {
        struct data_plane *plane;
        int epoll, stop_event;
        unsigned count;          /* threads there are */
        _Atomic unsigned active; /* of them at work; the others sleep for good */
        _Atomic unsigned asleep; /* of the active ones, waiting to be called */
        _Atomic bool stop;
        pthread_mutex_t lock;
        pthread_cond_t begun, called, activated;
        unsigned running; /* threads past libc's own beginnings */
        unsigned calls;   /* to wake, not yet answered */
        struct worker worker[DATA_WORKERS_MAX];
};

enum workers_source { SOURCE_TUN, SOURCE_V4, SOURCE_V6 };

/* Makes the descriptors; before rights are dropped. 0 or -errno. */
int workers_init(struct workers *workers, struct data_plane *plane);
/* Starts `count` threads, or as many as there can be, of which one is active, and waits until they run: a filter of
 * system calls may follow. They inherit the rights of the caller. 0 or -errno. */
int workers_start(struct workers *workers, unsigned count);
void workers_stop(struct workers *workers); /* ends and joins them, and closes what workers_init() made */

/* The owner. How many are to be at work, at most as many as there are: as many as that are now. */
unsigned workers_set(struct workers *workers, unsigned active);
/* What worker 0 waits for. Unwatch before closing; -1 is nothing. */
void workers_watch(struct workers *workers, int fd, enum workers_source source);
void workers_unwatch(struct workers *workers, int fd);

#endif
