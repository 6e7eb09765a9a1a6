/* What the keeper consists of; internal to the daemon's keeper_*.c. One thread: while the link is up it waits for
 * nobody, neither the tunnel process nor a client nor a child, but for netlink, nft (10 s at most), systemd-resolved
 * (5 s) and the lock of the links' resolv.conf (2 s); at the end, shortly for the tunnel process. */
#ifndef DAEMON_KEEPER_STATE_H
#define DAEMON_KEEPER_STATE_H

#include "daemon/claim.h"
#include "daemon/conf/control.h"
#include "daemon/conf/records.h"
#include "daemon/keeper.h"
#include "daemon/notify.h"
#include "daemon/log.h"
#include "daemon/sockets.h"
#include "kernel-iface/host.h"
#include "kernel-iface/ipc.h"
#include "kernel-iface/tun.h"
#include "kernel-iface/udp.h"

enum {
        CLIENTS_MAX = 16,
        NAMES_MAX = 256,       /* endpoints given by name */
        NAME_ADDRESSES = 8,    /* of one name, that are tried in turn */
        RESOLVERS_MAX = 4,     /* children at a time */
        HOST_POOL = 128 << 20, /* address space for a host state; touched as needed */
};

/* One connection of adit, or the loader's. */
struct client {
        int fd;          /* -1: free */
        bool privileged; /* uid 0 */
        bool loader;
};

enum stage {
        STAGE_IDLE,
        STAGE_RESOLVING /* names, before a kill switch closes */,
        STAGE_PREPARING,
        STAGE_COMMITTING,
        STAGE_SHOWING
};

/* One request at a time is carried out; the others wait unread. */
struct transaction {
        enum stage stage;
        struct client *client;
        uint32_t id;              /* of the request to the tunnel process that is awaited */
        struct host_state wanted; /* in pools[!current_pool] */
        bool whole;               /* a reload, not an edit of the live link */
        bool named;               /* keeper.names are those of `wanted`: the tunnel process is not to know them yet */
        int text;                 /* RESOLVING: the memfd for the tunnel process; -1 */
        uint64_t deadline;        /* RESOLVING */
        int status;               /* memfd of a show; -1 */
};

/* An endpoint given by name. */
struct name {
        struct host_endpoint endpoint;
        union socket_address address; /* handed to the tunnel process last */
        uint64_t due;                 /* when to resolve (CLOCK_BOOTTIME, ns); UINT64_MAX: not now */
        uint64_t backoff;
        int child;   /* pipe of the resolver at work; -1: none */
        pid_t pid;   /* of that resolver; 0: none, or it was reaped */
        bool kept;   /* the address was resolved by an earlier run, not by this one */
        bool failed; /* the last time */
        bool untold; /* the tunnel process is to be told: it had no room, or was not to know yet */
};

/* What other programs did to the host's state since it was last put right. */
struct drift {
        uint64_t due;  /* when to put it right; UINT64_MAX: nothing is known to be amiss */
        uint64_t last; /* when it was put right last */
        uint64_t wait; /* how long the next time is to wait from then: it grows while somebody keeps at it */
        char told_item[PLAN_TEXT]; /* what the log was last told of */
        uint64_t told;             /* when it was told of a fight over that; 0: it was not */
        unsigned lost;             /* items of ours that were taken away, and that the log does not know of */
        char item[PLAN_TEXT];      /* the first of them */
        char who[LOG_TEXT / 4];    /* its name */
        uint64_t told_dns;         /* when the log was told of a foreign resolv.conf */
};

struct keeper {
        const struct keeper_options *options;
        struct tun tun;
        unsigned merge; /* enum offload_feature: what the TUN takes as one packet */
        struct udp_sockets sockets;
        uint32_t mark;
        struct claim claim;           /* from before the first change to the end */
        struct listener listeners[2]; /* UAPI, control */
        int epoll, ipc, signals, links, files, timer;
        int ruleset; /* news of nftables; -1: no table of ours was wanted so far */
        int tunnel;  /* pid; 0: gone */
        int ifindex;
        struct host *host;
        struct pool pools[2];
        int current_pool;
        struct host_state current;
        uint64_t generation;
        struct client clients[CLIENTS_MAX];
        struct transaction transaction;
        struct name *names; /* NAMES_MAX */
        unsigned name_count, resolving;
        uint32_t next_id;
        uint32_t egress_mtu;            /* of the ways to the peers, as last looked up; 0: not known */
        uint64_t egress_due;            /* when to look it up again; UINT64_MAX: not now */
        bool link_untold, paths_untold; /* the tunnel process had no room for the news */
        bool lock_failed;     /* the kill switch is not in force: somebody took it away, and it could not be put back */
        bool host_due;        /* the host's state is to be put right when nothing else is going on */
        bool link_away;       /* the interface is in another namespace, or gone */
        uint64_t guard_due;   /* when to look after our nftables tables; UINT64_MAX: not now */
        uint64_t guard_spent; /* see keeper_guard.c */
        bool asked_to_end;    /* by a person or the service manager: then the kill switch is lifted, too */
        struct drift drift;
        struct notify notify; /* the service manager */
        uint64_t beat_due;    /* when to ask the tunnel process whether it is alive; UINT64_MAX: not now */
        bool beat_awaited;    /* it was asked, and has not answered */
        bool called_up;       /* the service manager was told that the link is up */
        bool tunnel_ready, ready, stop;
        int status; /* exit status */
};

uint64_t keeper_now(void);
/* The mark of our own datagrams, on all sockets or on none. 0 or -errno. */
int keeper_set_mark(struct keeper *keeper, uint32_t mark);
bool keeper_watch(struct keeper *keeper, int fd, void *source); /* false: it has said why */
/* Before any close of a watched descriptor: a child that is just being forked may hold it for a moment. Closes it. */
void keeper_unwatch(struct keeper *keeper, int fd);
void keeper_stop(struct keeper *keeper, int status);
/* The link serves: tells the waiting parent, and goes on in the background. */
void keeper_ready(struct keeper *keeper);
int keeper_post(struct keeper *keeper, const struct ipc_message *message, const int *fds, unsigned count);

void keeper_to_background(void);

/* keeper_start.c: makes everything, forks the tunnel process, drops the rights. False: it has said why. */
bool keeper_start(struct keeper *keeper);

/* keeper_service.c: what the service manager is told. service_open() comes before the first fork. */
void service_open(struct keeper *keeper);
void service_up(struct keeper *keeper);
void service_started(struct keeper *keeper); /* who started us answers, or is gone */
void service_reloading(struct keeper *keeper);
void service_reloaded(struct keeper *keeper, bool good);
void service_stopping(struct keeper *keeper);
void service_tick(struct keeper *keeper);
void service_pong(struct keeper *keeper);

/* keeper_tunnel.c: a message of the tunnel process; and to it, what the interface's state and MTU are now. */
void tell_link(struct keeper *keeper);
/* Looks the MTU of the ways to the peers up; told with the interface's when it is another. */
void renew_egress_mtu(struct keeper *keeper);
void tell_paths(struct keeper *keeper);
void serve_tunnel(struct keeper *keeper);
/* It ended: prints what it said before. */
void tunnel_last_words(struct keeper *keeper);

/* keeper_control.c: the control socket. */
void control_accept(struct keeper *keeper);
void control_readable(struct keeper *keeper, struct client *client);
/* Starts the loader, whose answer is applied: at the start, and on SIGHUP. */
void control_load(struct keeper *keeper);
void control_reply(struct keeper *keeper, struct client *client, int error, uint32_t line, const char *text,
                   const int *fds, unsigned fd_count);
/* Lets the clients that wait go on, or holds them. */
void control_hold(struct keeper *keeper, bool hold);

/* keeper_apply.c: one transaction over the tunnel process's configuration and the host's state. */
void apply_begin(struct keeper *keeper, struct client *client, const struct control_request *request, int records,
                 int text);
void apply_show(struct keeper *keeper, struct client *client, bool secrets);
void apply_result(struct keeper *keeper, const struct ipc_message *message);
/* A name was resolved, or could not be, or the time is over: what waits for it goes on. */
void apply_resolved(struct keeper *keeper);
/* A name that was resolved may change the MTU; a link that was down and is up again has lost its routes. True: it is
 * done; else it has failed and said why, or is to be done later. */
bool apply_host_again(struct keeper *keeper);
/* The host's state with names replaced by the addresses they resolved to; to be freed: (*copy).endpoints. */
bool apply_resolve(const struct keeper *keeper, const struct host_state *state, struct host_state *copy);

/* keeper_guard.c: our nftables tables, which another program may flush. */
/* Before the first is made; false and the reason, when this kernel has none. */
bool guard_watch(struct keeper *keeper, const struct host_state *wanted, struct host_error *error);
void guard_readable(struct keeper *keeper);
void guard_tick(struct keeper *keeper);

/* keeper_kept.c: the addresses of endpoints that a kill switch must be able to reach when no name can be looked up:
 * /var/lib/adit/NAME.endpoints, a line "HOST ADDRESS" each. Scopes are not kept: interfaces are numbered anew. */
bool kept_find(const char *link, const struct host_endpoint *endpoint, union socket_address *address);
/* Of all names that have an address. */
void kept_write(const struct keeper *keeper);

/* keeper_drift.c: what other programs take away, or set back, is put right: at once, and when they keep at it, once a
 * second. */
void drift_lost(const struct netlink_loss *loss, void *keeper);
/* Something may be amiss: news were lost, or a value was written. */
void drift_suspect(struct keeper *keeper);
/* A file may have been written that says something of ours. */
void drift_written(struct keeper *keeper);
void drift_tick(struct keeper *keeper);

/* keeper_names.c: endpoints given by name, resolved in a child each. */
/* `replace`: also where the peer has another endpoint now (a reload undoes live edits). */
void names_set(struct keeper *keeper, const struct host_state *host, bool replace);
/* Before a kill switch closes, for then only the tunnel leads to a name server: whether each name was resolved, or
 * could not be now but has an address from an earlier run; *which is one that is not known. */
bool names_known(const struct keeper *keeper, const struct name **which);
bool names_literal(const char *host); /* an address as it stands, which nobody needs to resolve */
void names_stop(struct keeper *keeper);
void names_reaped(struct keeper *keeper, pid_t pid);
void names_unanswered(struct keeper *keeper, const uint8_t public_key[PUBLIC_KEY_LEN]);
bool names_own(const struct keeper *keeper, const void *source);
void names_readable(struct keeper *keeper, struct name *name);
void names_tick(struct keeper *keeper);
uint64_t names_deadline(const struct keeper *keeper);

#endif
