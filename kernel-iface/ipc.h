/* Between keeper and tunnel process: a SOCK_SEQPACKET socketpair, one fixed-size message each, descriptors beside it.
 * All that the tunnel process may ask of the keeper is IPC_BIND and IPC_MARK; everything else it sends is
 * an answer, a log line or an event. Both ends check length, type and descriptor count, and end on a breach. */
#ifndef KERNEL_IFACE_IPC_H
#define KERNEL_IFACE_IPC_H

#include "kernel-iface/types.h"

enum { IPC_FDS_MAX = 2, IPC_TEXT = 400 };

enum ipc_type {
        /* keeper -> tunnel */
        IPC_PREPARE = 1, /* fd: UAPI_ADIT set text. Parse and check whole, hold it; answer IPC_RESULT */
        IPC_COMMIT,      /* apply what is held; answer IPC_RESULT */
        IPC_ABORT,       /* forget what is held; no answer */
        IPC_STATUS,      /* fd: a memfd to write UAPI_ADIT get lines to; value: 1 with secrets; answer IPC_RESULT */
        IPC_LINK,        /* link: the interface's state and MTU as netlink tells, and the MTU of the ways out */
        IPC_ENDPOINT,    /* endpoint: a resolved address of a peer */
        IPC_REPLY,       /* reply: of BIND (with a descriptor for each family, IPv4 first) or MARK */
        IPC_PATHS,       /* routes or addresses of the host changed: forget cached source addresses */
        IPC_PING,        /* answer IPC_PONG: the service manager wants to know whether you are alive */
        IPC_STOP,        /* end cleanly */
        /* tunnel -> keeper */
        IPC_READY,  /* confined and serving */
        IPC_BIND,   /* value: port, 0 any */
        IPC_MARK,   /* value: fwmark, for the sockets of the last BIND that was answered */
        IPC_RESULT, /* result: of PREPARE, COMMIT or STATUS */
        IPC_LOG,    /* log */
        IPC_EVENT,  /* event */
        IPC_PONG,   /* of PING */
        IPC_TYPES
};

enum ipc_event { IPC_EVENT_UNANSWERED = 1, IPC_EVENT_INTERFACE_GONE };

struct ipc_message {
        uint32_t type;
        uint32_t id; /* of a request, repeated in its answer */
        union {
                struct {
                        uint32_t value;
                } request;
                struct {
                        int32_t error;
                        uint32_t value;
                        uint32_t line;
                        char text[IPC_TEXT];
                } result; /* error: 0 or positive errno */
                struct {
                        int32_t error;
                        uint32_t port, has_v4, has_v6, features;
                } reply; /* features: of struct udp_sockets */
                struct {
                        uint32_t mtu;
                        uint32_t up;
                        uint32_t here;
                        uint32_t egress_mtu;
                } link; /* here: 0 once in another namespace; egress_mtu: of the ways to the peers, 0: not known */
                struct {
                        uint8_t public_key[PUBLIC_KEY_LEN];
                        union socket_address address;
                        uint32_t replace;
                } endpoint; /* replace: 0 only if it has none */
                struct {
                        int32_t level;
                        char text[IPC_TEXT];
                } log; /* syslog's levels */
                struct {
                        uint32_t event;
                        uint8_t public_key[PUBLIC_KEY_LEN];
                } event;
        };
};

int ipc_pair(int fds[2]); /* 0 or -errno; both non-blocking and close-on-exec */

/* 0 or -errno: -EAGAIN when full; -EPIPE when the other end is gone; -EINVAL for a type or descriptor count that
 * ipc_receive() would refuse. */
int ipc_send(int fd, const struct ipc_message *message, const int *fds, unsigned fd_count);
/* 1: a message; 0: the other end is gone; -errno: -EAGAIN, or -EPROTO for a wrong length, type
 * or descriptor count. Texts are NUL-terminated. Unused descriptors in fds are -1; the others are close-on-exec and the
 * caller's. */
int ipc_receive(int fd, struct ipc_message *message, int fds[IPC_FDS_MAX]);

#endif
