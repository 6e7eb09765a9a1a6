#include "daemon/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NOTIFY_TEXT = 512 };

/* A path, or with @ before it a name in the abstract namespace. */
static int read_address(struct notify *notify, const char *name)
{
        size_t len = strlen(name);

        if (*name != '/' && *name != '@') return -EAFNOSUPPORT;
        if (len >= sizeof notify->to.sun_path) return -ENAMETOOLONG;
        notify->to.sun_family = AF_UNIX;
        memcpy(notify->to.sun_path, name, len + 1);
        notify->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
        if (*name == '@') notify->to.sun_path[0] = '\0';
        else notify->to_len++;
        return 0;
}

/* ns; 0: it is absent, not a number, or meant for another process. */
static uint64_t read_watchdog(const char *usec, const char *pid)
{
        char *end;
        unsigned long long value;

        if (pid && strtoull(pid, &end, 10) != (unsigned long long)getpid()) return 0;
        if (!usec || *usec < '0' || *usec > '9') return 0;
        errno = 0;
        value = strtoull(usec, &end, 10);
        return errno || *end || value > UINT64_MAX / 1000 ? 0 : value * 1000;
}

int notify_open(struct notify *notify)
{
        const char *name = getenv("NOTIFY_SOCKET");
        int error = 0;

        *notify = (struct notify){ .fd = -1 };
        if (name && *name) error = read_address(notify, name);
        if (name && *name && !error) {
                notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                if (notify->fd < 0) error = -errno;
                else notify->watchdog = read_watchdog(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"));
        }
        unsetenv("NOTIFY_SOCKET");
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
        return error;
}

void notify_send(const struct notify *notify, const char *format, ...)
{
        char text[NOTIFY_TEXT];
        va_list arguments;
        int len;

        if (notify->fd < 0) return;
        va_start(arguments, format);
        len = vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        if (len < 0 || len >= (int)sizeof text) return;
        (void)sendto(notify->fd, text, (size_t)len, MSG_NOSIGNAL, (const struct sockaddr *)&notify->to, notify->to_len);
}
