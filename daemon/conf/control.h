/* The control protocol on /run/adit/NAME.sock: what adit asks of aditd. A SOCK_SEQPACKET connection; one request and
 * one reply at a time, each a fixed-size struct, with descriptors beside it (SCM_RIGHTS). Byte order and layout are the
 * machine's: both ends are of one installation, and `version` is checked.
 *
 * Request descriptors, in this order: `records`: a memfd of host state (records.h), read by the keeper;
 * `text`: a memfd of UAPI_ADIT set lines, handed to the tunnel process unread. Both must be sealed against writing
 * and shrinking (F_SEAL_WRITE | F_SEAL_SHRINK), or are refused.
 * Changes need uid 0; CONTROL_SHOW without secrets may be read by whoever may connect (root:adit 0660). */
#ifndef DAEMON_CONF_CONTROL_H
#define DAEMON_CONF_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONTROL_DIRECTORY "/run/adit"
#define UAPI_DIRECTORY    "/var/run/wireguard"

enum {
        CONTROL_MAGIC = 0x74696461, /* "adit" */
        CONTROL_VERSION = 2,
        CONTROL_TEXT = 480,
        CONTROL_FDS = 2,             /* at most, beside a request or a reply */
        CONTROL_DATA_MAX = 64 << 20, /* bytes of one memfd */
};

enum control_op {
        CONTROL_SHOW = 1,     /* descriptors back: status (UAPI_ADIT get lines), records (host state as it should be) */
        CONTROL_SHOW_SECRETS, /* the same with keys, for `adit save`; uid 0 */
        CONTROL_APPLY,        /* records and text: both are applied, or nothing is */
        CONTROL_DOWN,         /* undo the host state, end the daemon; the answer comes before it ends */
};

struct control_request {
        uint32_t magic, version, op;
        uint32_t reserved;   /* 0 */
        uint64_t generation; /* of CONTROL_APPLY: that of the CONTROL_SHOW it was made from; 0: do not check */
};

struct control_reply {
        uint32_t magic, version;
        int32_t error; /* 0, or a positive errno; EAGAIN: the generation changed meanwhile, read again */
        uint32_t line; /* of the text, when the error is in it */
        uint64_t generation;
        char text[CONTROL_TEXT]; /* what is wrong and what to do; of SHOW: the config file's path, or "" */
};

/* ---- control.c: to send and receive them; not pure: it uses the socket --------------------------------------------
 */

/* One message with `count` descriptors beside it, which stay the caller's. 0 or -errno, never a SIGPIPE. */
int control_send(int fd, const void *message, size_t len, const int *fds, unsigned count);

/* One message; flags: 0 or MSG_DONTWAIT. Its length; 0: the other end is gone; -errno: -EMSGSIZE when it is longer than
 * `size`, or more than CONTROL_FDS descriptors are beside it. Unused fds are -1 (all of them, if no message came); the
 * others are close-on-exec and the caller's: control_close() closes what is there. */
ssize_t control_receive(int fd, void *message, size_t size, int fds[CONTROL_FDS], int flags);
void control_close(int fds[CONTROL_FDS]);

#endif
