/* The client's end of the control socket (daemon/conf/control.h): one request, one reply. Every function says on stderr
 * what went wrong and returns a status of command.h. */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include "daemon/conf/control.h"

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

enum {
        CLIENT_TIMEOUT_S = 30, /* the daemon may be talking to the kernel about many routes */
};

/* The interface's name of NAME or FILE: the file's without ".conf". It need not exist. */
int link_name_of(char name[IFNAMSIZ], const char *name_or_path);
/* Asked before a path is made of it. */
int link_name_check(const char *name);

/* STATUS_NO_LINK when nobody listens. `quiet` says nothing then. */
int client_open(int *out, const char *name, bool quiet);
/* Sends, waits, receives. fds_in, records and text, may be NULL; fds_out gets status and records, -1 where there is
 * none, and is the caller's to close. reply->error is the daemon's verdict; see client_verdict(). */
int client_call(int fd, const char *name, const struct control_request *request, const int *fds_in,
                struct control_reply *reply, int fds_out[CONTROL_FDS]);
/* Prints the refusal of a reply, if it is one. */
int client_verdict(const char *name, const struct control_reply *reply);

/* Calls `each` for every link with a control socket, by name, and returns the worst status. */
int client_for_each(int (*each)(const char *name, void *arg), void *arg, size_t *count);

#endif
