#include "daemon/tunnel.h"

#include "crypto/cipher.h"
#include "crypto/mlkem.h"
#include "crypto/upgrade.h"
#include "daemon/log.h"
#include "daemon/tunnel_state.h"
#include "kernel-iface/rights.h"

#include <errno.h>
#include <sched.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 16, LINK_POLL_MS = 1000 };

static const struct engine_config limits = {
        .max_peers = 1 << 16,
        .max_prefixes = 1 << 18,
        .max_staged = 1024,
        .staged_size = PACKET_MAX,
};

static uint64_t nanoseconds(clockid_t clock)
{
        struct timespec at;

        clock_gettime(clock, &at);
        return (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
}

struct moment moment_now(void)
{
        return (struct moment){ nanoseconds(CLOCK_BOOTTIME), nanoseconds(CLOCK_REALTIME) };
}

static uint64_t cipher_clock(void)
{
        return nanoseconds(CLOCK_MONOTONIC);
}

static bool prefer_ciphers(const char *implementation)
{
        char here[64];

        if (implementation && *implementation && !cipher_prefer(implementation)) {
                log_print(LOG_ERR,
                          "ADIT_CIPHERS: '%s': no such implementation in this build and on this machine; it has: %s",
                          implementation, cipher_implementations(here, sizeof here));
                return false;
        }
        return true;
}

/* What two Adits may agree on, as far as it is up to this machine. */
static void tell_abilities(struct engine *engine)
{
        uint8_t costs[CIPHER_IDS] = { 0 };

        for (uint8_t id = 0; id < CIPHER_IDS; id++) {
                const struct cipher *cipher = cipher_find(id);

                if (!cipher) continue;
                costs[id] = upgrade_cost(cipher_cost(cipher));
                log_print(LOG_DEBUG, "%s by %s", cipher->name, cipher->implementation);
        }
        if (mlkem_available()) log_print(LOG_DEBUG, "ML-KEM-768 by %s", mlkem_implementation());
        else log_print(LOG_DEBUG, "ML-KEM is not available");
        engine_set_abilities(engine, costs, mlkem_available());
}

static unsigned usable_cpus(void)
{
        cpu_set_t set;

        return sched_getaffinity(0, sizeof set, &set) ? 1 : (unsigned)CPU_COUNT(&set);
}

static void fill_random(void *context, void *bytes, size_t len)
{
        (void)context;
        randombytes_buf(bytes, len);
}

static void log_upgraded(const struct peer *peer, const char *text)
{
        struct peer_status status;

        engine_peer_status(peer, &status);
        if (status.cipher)
                log_packet(LOG_DEBUG, "%s: session upgraded: %s by %s%s", text, status.cipher->name,
                           status.cipher->implementation, status.mlkem ? ", ML-KEM-768" : "");
        sodium_memzero(&status, sizeof status);
}

static void log_held(const struct peer *peer, const char *text)
{
        struct peer_status status;

        engine_peer_status(peer, &status);
        log_packet(LOG_WARNING, "%s: user packets wait, or are refused, for want of ML-KEM in the session: %s", text,
                   upgrade_state_meaning(status.upgrade));
        sodium_memzero(&status, sizeof status);
}

static void log_effect(const struct effect *effect)
{
        const struct peer *peer = effect->peer;
        char text[LOG_PEER];

        if (!peer) return;
        log_peer(engine_peer_name(peer), engine_peer_public_key(peer), engine_peer_remote(peer), text);
        switch (effect->type) {
        case EFFECT_SESSION_UP: log_packet(LOG_DEBUG, "%s: session established", text); break;
        case EFFECT_SESSION_DOWN: log_packet(LOG_DEBUG, "%s: session ended", text); break;
        case EFFECT_UNANSWERED: log_packet(LOG_INFO, "%s: handshakes stay unanswered", text); break;
        case EFFECT_GAVE_UP:
                log_packet(LOG_INFO, "%s: no answer to any handshake for 90 s; waiting for traffic to try again", text);
                break;
        case EFFECT_UPGRADED: log_upgraded(peer, text); break;
        case EFFECT_UPGRADE_LOST:
                log_packet(LOG_WARNING,
                           "%s: 3 session upgrades in a row came to nothing, though it is an Adit, or was one: perhaps "
                           "somebody on the way drops them; going on as WireGuard for a while",
                           text);
                break;
        case EFFECT_HELD: log_held(peer, text); break;
        case EFFECT_ROAMED: log_packet(LOG_INFO, "%s: endpoint changed", text); break;
        default: break;
        }
}

static void on_effect(void *context, const struct effect *effect)
{
        struct tunnel *tunnel = context;

        log_effect(effect);
        if (effect->peer && effect->type == EFFECT_UNANSWERED)
                tell_event(tunnel, IPC_EVENT_UNANSWERED, engine_peer_public_key(effect->peer));
}

/* The key arena, cut into the parts that hold keys. */
static bool lay_out(struct tunnel *tunnel)
{
        size_t engine_size = (engine_memory(&limits) + 4095) & ~(size_t)4095;
        size_t size = engine_size + 2 * (size_t)POOL_SIZE + UAPI_BUFFER_SIZE + uapi_server_memory();
        bool locked;
        uint8_t *arena = key_arena_open(size, &locked);

        if (!arena) return false;
        if (!locked)
                log_print(LOG_WARNING,
                          "keys could not be locked into memory (RLIMIT_MEMLOCK): they may be swapped out");
        struct engine_random random = { .fill = fill_random };
        tunnel->engine = engine_new(arena, engine_size, &limits, &random, moment_now().now);
        arena += engine_size;
        tunnel->uapi_pool = (struct pool){ .base = arena, .size = POOL_SIZE };
        arena += POOL_SIZE;
        tunnel->held_pool = (struct pool){ .base = arena, .size = POOL_SIZE };
        arena += POOL_SIZE;
        tunnel->text = (struct writer){ .text = (char *)arena, .size = UAPI_BUFFER_SIZE };
        arena += UAPI_BUFFER_SIZE;
        uapi_server_init(&tunnel->uapi, -1, tunnel->epoll, arena);
        return tunnel->engine;
}

static bool watch(struct tunnel *tunnel, int *fd)
{
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = fd };

        return *fd < 0 || !epoll_ctl(tunnel->epoll, EPOLL_CTL_ADD, *fd, &event);
}

static bool set_up(struct tunnel *tunnel, const struct tunnel_start *start)
{
        tunnel->epoll = epoll_create1(EPOLL_CLOEXEC);
        tunnel->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
        tunnel->ipc = start->ipc;
        tunnel->armed = UINT64_MAX;
        tunnel->link_here = true;
        tunnel->link_index = start->link_index;
        if (tunnel->epoll < 0 || tunnel->timer < 0 || !lay_out(tunnel)) return false;
        tunnel->device =
                (struct device){ .engine = tunnel->engine, .limits = limits, .listen_port = start->sockets.port };
        tunnel->plane = (struct data_plane){ .engine = tunnel->engine,
                                             .tun = start->tun,
                                             .sockets = start->sockets,
                                             .event = on_effect,
                                             .event_context = tunnel,
                                             .merge = start->merge,
                                             .link_index = start->link_index,
                                             .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
        if (tunnel->plane.wake < 0 || data_init(&tunnel->plane) || workers_init(&tunnel->workers, &tunnel->plane))
                return false;
        tunnel->uapi.listener = start->uapi;
        tunnel->uapi.serve = config_serve_uapi;
        tunnel->uapi.context = tunnel;
        engine_set_up(tunnel->engine, moment_now().now, false);
        engine_set_mtu(tunnel->engine, start->mtu);
        return watch(tunnel, &tunnel->plane.tun) && watch(tunnel, &tunnel->plane.wake) &&
               watch(tunnel, &tunnel->timer) && watch(tunnel, &tunnel->ipc) && watch(tunnel, &tunnel->uapi.listener);
}

static bool confine(struct tunnel *tunnel, const struct tunnel_start *start)
{
        const int keep[] = { STDERR_FILENO,      tunnel->epoll,         tunnel->timer,    tunnel->ipc,
                             tunnel->plane.wake, tunnel->workers.epoll, start->tun,       tunnel->workers.stop_event,
                             start->uapi,        start->sockets.v4,     start->sockets.v6 };
        struct rights_error error;
        int failed = tunnel_drop_rights(start->uid, start->gid, keep, sizeof keep / sizeof *keep, &error);

        if (!failed && (failed = workers_start(&tunnel->workers, workers_there(tunnel))))
                error = (struct rights_error){ "threads", failed };
        if (!failed) failed = tunnel_filter(&error);
        if (!failed) { /* nothing of the outside is looked at before */
                workers_watch(&tunnel->workers, start->sockets.v4, SOURCE_V4);
                workers_watch(&tunnel->workers, start->sockets.v6, SOURCE_V6);
        }
        if (failed) log_print(LOG_ERR, "tunnel process: %s: %s", error.step, strerror(-error.error));
        return !failed;
}

static void interface_gone(struct tunnel *tunnel)
{
        if (!tunnel->stop) tell_event(tunnel, IPC_EVENT_INTERFACE_GONE, NULL);
        tunnel->stop = true;
}

/* While the link is down the TUN is the owner's to watch: a packet may be here before netlink has told that the
 * interface is up. */
static void tun_stirs(struct tunnel *tunnel, struct moment at)
{
        config_set_up(tunnel, tun_is_up(tunnel->plane.tun) == 1);
        if (!tunnel->up) data_outbound(&tunnel->plane, at.now); /* drops and counts it */
}

static void dispatch(struct tunnel *tunnel, const struct epoll_event *event, struct moment at)
{
        void *source = event->data.ptr;
        struct data_plane *plane = &tunnel->plane;
        uint64_t number;

        if (source == &plane->tun) {
                if (!tunnel->up) tun_stirs(tunnel, at); /* else it is watched by the workers by now */
        } else if (source == &plane->wake) (void)!read(plane->wake, &number, sizeof number);
        else if (source == &tunnel->ipc) serve_keeper(tunnel);
        else if (source == &tunnel->uapi.listener) uapi_server_accept(&tunnel->uapi);
        else if (uapi_server_owns(&tunnel->uapi, source)) uapi_server_ready(&tunnel->uapi, source, event->events);
        else if (source == &tunnel->timer) (void)!read(tunnel->timer, &number, sizeof number);
}

static void arm(struct tunnel *tunnel)
{
        uint64_t deadline = engine_deadline(tunnel->engine);

        if (deadline == tunnel->armed) return;
        tunnel->armed = deadline;
        struct itimerspec at = { 0 }; /* disarms */
        if (deadline != UINT64_MAX) {
                at.it_value.tv_sec = (time_t)(deadline / 1000000000);
                at.it_value.tv_nsec = (long)(deadline % 1000000000);
                if (!deadline) at.it_value.tv_nsec = 1;
        }
        timerfd_settime(tunnel->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

/* netlink is of one namespace: from afar only the TUN itself tells. */
static void poll_link(struct tunnel *tunnel, uint64_t now)
{
        if (now - tunnel->link_polled < LINK_POLL_MS * 1000000ull) return;
        tunnel->link_polled = now;
        int up = tun_is_up(tunnel->plane.tun);
        if (up == -EBADFD) interface_gone(tunnel);
        else if (up >= 0) config_set_up(tunnel, up);
}

/* Milliseconds to wait at most. */
static int patience(const struct tunnel *tunnel, int due)
{
        if (tunnel->link_here) return due;
        return due >= 0 && due < LINK_POLL_MS ? due : LINK_POLL_MS;
}

static void loop(struct tunnel *tunnel)
{
        struct epoll_event events[EVENTS];
        int due = -1;

        while (!tunnel->stop) {
                arm(tunnel);
                int count = epoll_wait(tunnel->epoll, events, EVENTS, patience(tunnel, due));
                if (count < 0 && errno != EINTR) return;
                struct moment at = moment_now();
                data_attend(&tunnel->plane, at); /* first: what is asked next is to be answered as of now */
                for (int i = 0; i < count && !tunnel->stop; i++)
                        dispatch(tunnel, &events[i], at);
                run_deferred(tunnel);
                if (!tunnel->link_here && !tunnel->stop) poll_link(tunnel, at.now);
                at = moment_now();
                if (engine_deadline(tunnel->engine) <= at.now) data_tick(&tunnel->plane, at);
                due = data_attend(&tunnel->plane, at);
                if (tunnel->plane.gone) interface_gone(tunnel);
        }
}

int tunnel_run(const struct tunnel_start *start)
{
        static struct tunnel tunnel;
        struct ipc_message ready = { .type = IPC_READY };

        tunnel.ipc = start->ipc;
        log_open_sink(tell_log, &tunnel, log_level());
        /* before confinement: ipsec-mb asks for memory and for the processor's features, OpenSSL opens files */
        tunnel.cpus = usable_cpus();
        cipher_init(workers_there(&tunnel) + 1, cipher_clock);
        mlkem_init();
        if (!prefer_ciphers(getenv("ADIT_CIPHERS"))) return EXIT_FAILURE;
        if (!set_up(&tunnel, start)) {
                log_print(LOG_ERR, "tunnel process: cannot start: %s", strerror(errno));
                return EXIT_FAILURE;
        }
        tell_abilities(tunnel.engine);
        if (!confine(&tunnel, start) || ipc_send(tunnel.ipc, &ready, NULL, 0)) return EXIT_FAILURE;
        config_set_workers(&tunnel, WORKERS_AUTO);
        loop(&tunnel);
        return EXIT_SUCCESS;
}
