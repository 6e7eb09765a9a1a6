/* What the service manager is told (sd_notify(3)): datagrams to the socket that $NOTIFY_SOCKET names. libsystemd would
 * bring its compression and hashing libraries into the one process that has rights, for these few lines. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
        int fd; /* -1: nobody wants to know */
        struct sockaddr_un to;
        socklen_t to_len;
        uint64_t watchdog; /* a sign of life is wanted once in so many ns; 0: none is */
};

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment: they are meant for this process, and not
 * for its children. 0, or -errno for a socket that was named and cannot be had: nobody is told then. */
int notify_open(struct notify *notify);

/* Lines of VARIABLE=VALUE: "READY=1\nSTATUS=up". One that finds no listener, or a full queue, is lost. */
void notify_send(const struct notify *notify, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
