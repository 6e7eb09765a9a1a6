/* What the tunnel process consists of; internal to the daemon's tunnel_*.c. One thread, the owner of the engine, and
 * the workers of the data plane, which see nothing of this but the plane. */
#ifndef DAEMON_TUNNEL_STATE_H
#define DAEMON_TUNNEL_STATE_H

#include "daemon/data/workers.h"
#include "daemon/device.h"
#include "daemon/uapi_server.h"
#include "kernel-iface/ipc.h"

enum {
        POOL_SIZE = 128 << 20, /* address space for a parsed configuration; touched as needed */
        DEFERRED_MAX = 16,     /* messages of the keeper that arrived while its answer was awaited */
};

struct deferred {
        struct ipc_message message;
        int fds[IPC_FDS_MAX];
};

struct tunnel {
        struct engine *engine;
        struct device device;
        struct data_plane plane;
        struct workers workers;
        struct uapi_server uapi;
        int epoll, timer, ipc;
        unsigned cpus;       /* that this process may use */
        uint64_t armed;      /* the deadline the timer is set to */
        uint32_t link_index; /* of the interface, when it is here */
        bool link_here;      /* false: in another namespace, its state is polled from the TUN */
        uint64_t link_polled;
        uint64_t paths_told; /* when the peers were last told of another way to us */
        bool up;
        bool stop;
        uint32_t next_id;
        struct pool uapi_pool, held_pool;
        struct writer text; /* for texts of the keeper's requests, in the key arena */
        struct conf *held;  /* prepared, in held_pool, not committed; NULL: nothing */
        struct deferred deferred[DEFERRED_MAX];
        unsigned deferred_count;
};

struct moment moment_now(void);

/* tunnel_config.c: a configuration that was parsed becomes the live one, whole or not at all. 0 or a positive errno
 * with *error. */
int config_commit(struct tunnel *tunnel, const struct conf *conf, enum uapi_dialect dialect, struct conf_error *error);
/* Serves the UAPI socket (uapi_server.h). */
void config_serve_uapi(void *context, const char *request, size_t len, struct writer *out);
/* Wipes what was parsed into the pool, and gives the memory of a large one back. */
void config_forget(struct pool *pool);
void config_set_up(struct tunnel *tunnel, bool up);
unsigned workers_there(const struct tunnel *tunnel);              /* threads */
void config_set_workers(struct tunnel *tunnel, uint16_t workers); /* 0: auto */

/* tunnel_keeper.c: the tunnel process's end of the socketpair. */
void obey_keeper(struct tunnel *tunnel, struct ipc_message *message, int fds[IPC_FDS_MAX]);
void serve_keeper(struct tunnel *tunnel);
void run_deferred(struct tunnel *tunnel);
/* Asks and waits for the answer. 0 or a positive errno; of IPC_BIND the sockets. */
int ask_bind(struct tunnel *tunnel, uint16_t port, struct udp_sockets *out);
int ask_mark(struct tunnel *tunnel, uint32_t mark);
void tell_event(struct tunnel *tunnel, enum ipc_event event, const struct key *public_key);
void tell_log(void *context, int level, const char *text);

#endif
