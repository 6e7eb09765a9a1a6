/* The keeper: the main process. It makes what needs rights (TUN, sockets, host state), hands it to the tunnel process
 * it forked, and then keeps CAP_NET_ADMIN and CAP_NET_BIND_SERVICE only. It never sees a packet or a key. */
#ifndef DAEMON_KEEPER_H
#define DAEMON_KEEPER_H

#include <stdbool.h>

struct keeper_options {
        const char *link;
        const char *config; /* path, or NULL: the link is configured over the UAPI socket */
        bool foreground;
        /* Gets one byte when the link is ready. In the background: a pipe to the waiting parent. In the foreground: a
         * socket to who does something then, and answers with a byte when the link may be called up; or -1. */
        int ready;
};

/* Runs until the link ends; the exit status of the process. */
int keeper_run(const struct keeper_options *options);

#endif
