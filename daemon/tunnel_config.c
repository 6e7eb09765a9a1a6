#include "daemon/tunnel_state.h"

#include "daemon/log.h"
#include "kernel-iface/rights.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static void take_sockets(struct tunnel *tunnel, const struct udp_sockets *sockets)
{
        struct data_plane *plane = &tunnel->plane;

        data_pause(plane);
        /* The keeper may hold the old ones for a moment longer: closing alone would leave them in epoll. */
        workers_unwatch(&tunnel->workers, plane->sockets.v4);
        workers_unwatch(&tunnel->workers, plane->sockets.v6);
        udp_close(&plane->sockets);
        plane->sockets = *sockets;
        plane->overflow4 = plane->overflow6 = 0;
        workers_watch(&tunnel->workers, plane->sockets.v4, SOURCE_V4);
        workers_watch(&tunnel->workers, plane->sockets.v6, SOURCE_V6);
        data_resume(plane);
        tunnel->device.listen_port = sockets->port;
}

/* What was removed a moment ago may still be in use, and its place is wanted. */
static void settle(struct tunnel *tunnel)
{
        for (int tries = 0; tries < 100; tries++) {
                int due = data_attend(&tunnel->plane, moment_now());
                if (due < 0) break;
                if (due > 0) poll(NULL, 0, 1);
        }
}

static int fail(struct conf_error *error, const char *key, uint32_t value, int failed)
{
        *error = (struct conf_error){ 0 };
        snprintf(error->text, sizeof error->text, "%s: '%u': %s%s", key, value, strerror(failed),
                 failed == EADDRINUSE ? "; choose another, or end the program that has it" : "");
        return failed;
}

static int rebind(struct tunnel *tunnel, const struct conf *conf)
{
        struct udp_sockets sockets;
        bool wanted = conf->flags & CONF_HAS_LISTEN_PORT &&
                      (!conf->listen_port || conf->listen_port != tunnel->device.listen_port);
        int failed = wanted ? ask_bind(tunnel, conf->listen_port, &sockets) : 0;

        if (wanted && !failed) take_sockets(tunnel, &sockets);
        return failed;
}

static_assert((int)WORKERS_MAX == (int)DATA_WORKERS_MAX, "what a configuration may ask for");

/* Threads are started before rights are dropped, when no configuration is known. */
unsigned workers_there(const struct tunnel *tunnel)
{
        enum { LEAST = 4 }; /* somebody may know better than we what a small machine is good for */

        if (tunnel->cpus < LEAST) return LEAST;
        return tunnel->cpus < WORKERS_MAX ? tunnel->cpus : WORKERS_MAX;
}

/* One thread serves both lanes better than any split of the work where the programs that send and receive need the
 * other processor; measured on two. */
static unsigned workers_auto(const struct tunnel *tunnel)
{
        return tunnel->cpus < 4 ? 1 : workers_there(tunnel);
}

void config_set_workers(struct tunnel *tunnel, uint16_t workers)
{
        unsigned wanted = workers == WORKERS_AUTO ? workers_auto(tunnel) : workers;
        unsigned active = workers_set(&tunnel->workers, wanted);

        if (active < wanted)
                log_print(LOG_WARNING, "Workers: '%u': more than this host has use for: %u are at work", wanted,
                          active);
        tunnel->device.workers = workers;
        tunnel->device.workers_at_work = (uint16_t)active;
}

/* What a worker had in hand when a policy changed is on its way, too, before that is answered. */
static void settle_policies(struct tunnel *tunnel, const struct conf *conf)
{
        const struct conf_peer *peer = conf->peers;

        while (peer && !(peer->flags & PEER_HAS_POST_QUANTUM))
                peer = peer->next;
        if (!peer) return;
        data_pause(&tunnel->plane);
        data_resume(&tunnel->plane);
}

/* All that can fail comes first: limits and policies, the mark, then the port, of which the old stays bound until the
 * new one is. */
int config_commit(struct tunnel *tunnel, const struct conf *conf, enum uapi_dialect dialect, struct conf_error *error)
{
        uint32_t mark = conf->flags & CONF_HAS_FWMARK ? conf->fwmark : tunnel->device.fwmark;
        bool remark = mark != tunnel->device.fwmark;
        int failed;

        if ((failed = device_check(&tunnel->device, conf, error))) return failed;
        if (remark && (failed = ask_mark(tunnel, mark))) return fail(error, "FwMark", mark, failed);
        if ((failed = rebind(tunnel, conf))) {
                if (remark) ask_mark(tunnel, tunnel->device.fwmark);
                return fail(error, "ListenPort", conf->listen_port, failed);
        }
        tunnel->device.fwmark = mark;
        settle(tunnel);
        device_apply(&tunnel->device, moment_now().now, conf, dialect);
        settle_policies(tunnel, conf);
        if (conf->flags & CONF_HAS_WORKERS) config_set_workers(tunnel, conf->workers);
        return 0;
}

void config_forget(struct pool *pool)
{
        enum { KEEP = 64 << 10 };
        size_t used = pool->used;

        pool_reset(pool);
        if (used > KEEP) key_arena_trim(pool->base, used, KEEP);
}

static int set(struct tunnel *tunnel, const char *lines, size_t len)
{
        struct conf *conf = pool_alloc(&tunnel->uapi_pool, sizeof *conf);
        struct conf_error error = { .text = "out of memory" };
        int failed = EINVAL;

        if (conf && uapi_parse_set(conf, &tunnel->uapi_pool, UAPI_STRICT, lines, len, &error)) {
                device_keep_policies(&tunnel->device, conf);
                failed = config_commit(tunnel, conf, UAPI_STRICT, &error);
        }
        if (failed && error.line)
                log_print(LOG_ERR, "UAPI set refused, nothing was changed: line %u: %s", error.line + 1, error.text);
        else if (failed) log_print(LOG_ERR, "UAPI set refused, nothing was changed: %s", error.text);
        config_forget(&tunnel->uapi_pool);
        return failed;
}

static bool starts_with(const char *text, size_t len, const char *with)
{
        return len >= strlen(with) && !memcmp(text, with, strlen(with));
}

/* `wg` wants a failed set answered negative and a failed get positive (FINDINGS). */
void config_serve_uapi(void *context, const char *request, size_t len, struct writer *out)
{
        struct tunnel *tunnel = context;
        static const char GET[] = "get=1\n", SET[] = "set=1\n";
        int failed = 0;

        for (; len && *request == '\n'; len--)
                request++;
        tunnel->device.kernel_drops = tunnel->plane.kernel_drops;
        if (len == strlen(GET) && starts_with(request, len, GET))
                device_status(&tunnel->device, UAPI_STRICT, true, out);
        else if (starts_with(request, len, SET)) failed = set(tunnel, request + strlen(SET), len - strlen(SET));
        else failed = EINVAL;
        writer_print(out, "errno=%d\n\n", -failed);
}

void config_set_up(struct tunnel *tunnel, bool up)
{
        if (up == tunnel->up) return;
        tunnel->up = up;
        engine_set_up(tunnel->engine, moment_now().now, up);
        if (up) {
                epoll_ctl(tunnel->epoll, EPOLL_CTL_DEL, tunnel->plane.tun, NULL);
                workers_watch(&tunnel->workers, tunnel->plane.tun, SOURCE_TUN);
        } else {
                struct epoll_event event = { .events = EPOLLIN, .data.ptr = &tunnel->plane.tun };
                workers_unwatch(&tunnel->workers, tunnel->plane.tun);
                epoll_ctl(tunnel->epoll, EPOLL_CTL_ADD, tunnel->plane.tun, &event);
        }
        log_print(LOG_INFO, "interface is %s", up ? "up" : "down");
}
