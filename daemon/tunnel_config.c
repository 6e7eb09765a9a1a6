#include "daemon/tunnel_state.h"

#include "daemon/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static void watch(struct tunnel *tunnel, int *fd)
{
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = fd };

        if (*fd >= 0) epoll_ctl(tunnel->epoll, EPOLL_CTL_ADD, *fd, &event);
}

static void take_sockets(struct tunnel *tunnel, const struct udp_sockets *sockets)
{
        udp_close(&tunnel->plane.sockets);
        tunnel->plane.sockets = *sockets;
        tunnel->plane.overflow4 = tunnel->plane.overflow6 = 0;
        tunnel->device.listen_port = sockets->port;
        watch(tunnel, &tunnel->plane.sockets.v4);
        watch(tunnel, &tunnel->plane.sockets.v6);
}

/* All that can fail comes first: limits, then the port, of which the old stays bound until the new one is. */
int config_commit(struct tunnel *tunnel, const struct conf *conf, enum uapi_dialect dialect, struct conf_error *error)
{
        bool rebind = conf->flags & CONF_HAS_LISTEN_PORT &&
                      (!conf->listen_port || conf->listen_port != tunnel->device.listen_port);

        if (!device_check(&tunnel->device, conf, error)) return E2BIG;
        if (rebind) {
                struct udp_sockets sockets;
                int failed = keeper_bind(tunnel, conf->listen_port, &sockets);
                if (failed) {
                        *error = (struct conf_error){ 0 };
                        snprintf(error->text, sizeof error->text, "ListenPort: '%u': %s%s", conf->listen_port,
                                 strerror(failed),
                                 failed == EADDRINUSE ? "; choose another, or end the program that has it" : "");
                        return failed;
                }
                take_sockets(tunnel, &sockets);
        }
        if (conf->flags & CONF_HAS_FWMARK && conf->fwmark != tunnel->device.fwmark) {
                keeper_mark(tunnel, conf->fwmark);
                tunnel->device.fwmark = conf->fwmark;
        }
        device_apply(&tunnel->device, moment_now().now, conf, dialect);
        return 0;
}

static int set(struct tunnel *tunnel, const char *lines, size_t len)
{
        struct conf conf;
        struct conf_error error;
        int failed = EINVAL;

        if (uapi_parse_set(&conf, &tunnel->uapi_pool, UAPI_STRICT, lines, len, &error))
                failed = config_commit(tunnel, &conf, UAPI_STRICT, &error);
        if (failed)
                log_print(LOG_ERR, "UAPI set refused, nothing was changed: line %u: %s", error.line + 1, error.text);
        memset(&conf, 0, sizeof conf);
        pool_reset(&tunnel->uapi_pool);
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
        else if (starts_with(request, len, SET))
                failed = set(tunnel, request + strlen(SET), len - strlen(SET));
        else
                failed = EINVAL;
        writer_print(out, "errno=%d\n\n", -failed);
}

void config_set_up(struct tunnel *tunnel, bool up)
{
        if (up == tunnel->up) return;
        tunnel->up = up;
        engine_set_up(tunnel->engine, moment_now().now, up);
        log_print(LOG_INFO, "interface is %s", up ? "up" : "down");
}
