#include "daemon/loader.h"

#include "daemon/conf/control.h"
#include "daemon/conf/records.h"
#include "daemon/conf/uapi.h"
#include "daemon/log.h"
#include "daemon/sockets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MEMORY = 256 << 20 }; /* address space; touched as needed, gone with the process */

static int text_memfd(const struct conf *conf)
{
        struct writer out = { 0 };

        uapi_format_set(conf, &out);
        out.size = out.used + 1;
        out.used = 0;
        out.text = malloc(out.size);
        if (!out.text) return -ENOMEM;
        uapi_format_set(conf, &out);
        int fd = memfd_of("text", out.text, out.used);
        explicit_bzero(out.text, out.size);
        free(out.text);
        return fd;
}

static int records_memfd(struct conf *conf, struct pool *pool)
{
        struct host_state host;

        if (!conf_host_state(conf, &host, pool)) return -ENOMEM;
        size_t size = records_size(&host);
        uint8_t *bytes = malloc(size);
        if (!bytes) return -ENOMEM;
        records_write(&host, bytes);
        int fd = memfd_of("records", bytes, size);
        free(bytes);
        return fd;
}

static int send_request(int to, int records, int text)
{
        struct control_request request = { .magic = CONTROL_MAGIC, .version = CONTROL_VERSION, .op = CONTROL_APPLY };
        struct iovec piece = { &request, sizeof request };
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(2 * sizeof(int))];
        } control = { 0 };
        struct msghdr message = {
                .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
        };
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(2 * sizeof(int));
        memcpy(CMSG_DATA(rights), (int[]){ records, text }, 2 * sizeof(int));
        return sendmsg(to, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void send_error(int to, const char *text)
{
        struct control_reply reply = { .magic = CONTROL_MAGIC, .version = CONTROL_VERSION, .error = EINVAL };

        snprintf(reply.text, sizeof reply.text, "%s", text);
        (void)!send(to, &reply, sizeof reply, MSG_NOSIGNAL);
}

static void warn_not_applied(const struct conf *conf, const char *path)
{
        unsigned cursor = 0;

        for (const char *what; (what = conf_not_applied(conf, &cursor));)
                log_print(LOG_WARNING, "%s: %s", path, what);
}

static void load(int to, const char *path)
{
        char text[CONTROL_TEXT];
        struct conf_error error;
        struct conf conf;
        struct pool pool = { .size = MEMORY };

        prctl(PR_SET_DUMPABLE, 0);
        pool.base = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (pool.base == MAP_FAILED) {
                send_error(to, "the configuration could not be read: out of memory");
                return;
        }
        if (!conf_load(&conf, &pool, path, &error)) {
                conf_error_format(&error, path, text, sizeof text);
                send_error(to, text);
                return;
        }
        warn_not_applied(&conf, path);
        conf_make_complete(&conf);
        int records = records_memfd(&conf, &pool);
        int lines = text_memfd(&conf);
        if (records < 0 || lines < 0 || send_request(to, records, lines))
                send_error(to, "the configuration could not be handed over: out of memory or descriptors");
        pool_reset(&pool);
}

int loader_start(const char *path, pid_t *child)
{
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) return -errno;
        *child = fork();
        if (*child < 0) {
                int error = -errno;
                close(pair[0]);
                close(pair[1]);
                return error;
        }
        if (!*child) {
                load(pair[1], path);
                _exit(0);
        }
        close(pair[1]);
        return pair[0];
}
