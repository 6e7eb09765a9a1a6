#include "daemon/loader.h"

#include "daemon/child.h"
#include "daemon/conf/handover.h"
#include "daemon/log.h"
#include "kernel-iface/rights.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MEMORY = 256 << 20 }; /* address space; touched as needed, gone with the process */

static int send_request(int to, struct conf *conf, struct pool *pool)
{
        struct control_request request = { .magic = CONTROL_MAGIC, .version = CONTROL_VERSION, .op = CONTROL_APPLY };
        struct host_state host;
        int fds[CONTROL_FDS];

        if (!conf_host_state(conf, &host, pool)) return -ENOMEM;
        int error = handover_open(fds, &host, conf);
        return error ? error : control_send(to, &request, sizeof request, fds, CONTROL_FDS);
}

static void send_error(int to, const char *text)
{
        struct control_reply reply = { .magic = CONTROL_MAGIC, .version = CONTROL_VERSION, .error = EINVAL };

        snprintf(reply.text, sizeof reply.text, "%s", text);
        control_send(to, &reply, sizeof reply, NULL, 0);
}

static void warn(const struct conf *conf, struct pool *pool, const char *path)
{
        char text[OVERLAP_TEXT];
        struct conf_overlaps overlaps;
        unsigned cursor = 0;
        size_t overlap = 0;

        for (const char *what; (what = conf_remark(conf, &cursor));)
                log_print(LOG_WARNING, "%s: %s", path, what);
        if (!conf_overlaps(conf, pool, &overlaps)) return;
        while (conf_overlap_warning(&overlaps, &overlap, text))
                log_print(LOG_WARNING, "%s: %s", path, text);
}

static void load(int to, const char *path, bool keys)
{
        char text[CONTROL_TEXT];
        struct conf_error error;
        bool locked;
        struct pool pool = { .base = key_arena_open(MEMORY, &locked), .size = MEMORY };
        struct conf *conf = pool.base ? pool_alloc(&pool, sizeof *conf) : NULL;

        if (!conf) {
                send_error(to, "the configuration could not be read: out of memory");
        } else if (!(keys ? conf_load : conf_load_keyless)(conf, &pool, path, &error)) {
                conf_error_format(&error, path, text, sizeof text);
                send_error(to, text);
        } else {
                warn(conf, &pool, path);
                conf_make_complete(conf);
                if (send_request(to, conf, &pool))
                        send_error(to, "the configuration could not be handed over: out of memory or descriptors");
        }
        if (conf) pool_reset(&pool);
}

int loader_start(const char *path, bool keys)
{
        int pair[2], answer;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) return -errno;
        pid_t child = child_fork(pair[1], &answer);
        if (!child) {
                load(answer, path, keys);
                _exit(0);
        }
        if (child < 0) {
                close(pair[0]);
                return child;
        }
        return pair[0];
}
