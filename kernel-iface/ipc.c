#include "kernel-iface/ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How many descriptors a message of each type brings: fewer or more is a breach. */
static const struct {
        uint8_t least, most;
} fds_of[IPC_TYPES] = {
        [IPC_PREPARE] = { 1, 1 },
        [IPC_STATUS] = { 1, 1 },
        [IPC_REPLY] = { 0, IPC_FDS_MAX },
};

union control {
        char bytes[CMSG_SPACE(IPC_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
};

int ipc_pair(int fds[2])
{
        return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) ? -errno : 0;
}

static bool is_lawful(uint32_t type, unsigned fd_count)
{
        return type > 0 && type < IPC_TYPES && fd_count >= fds_of[type].least && fd_count <= fds_of[type].most;
}

enum { SEND_TRIES = 3 };

/* Another time there may be: no reason to give the other process up. */
static bool no_room(int error)
{
        return error == ENOBUFS || error == ENOMEM;
}

int ipc_send(int fd, const struct ipc_message *message, const int *fds, unsigned fd_count)
{
        struct ipc_message copy = *message;
        struct iovec iov = { &copy, sizeof copy };
        union control control = { 0 };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t sent;
        int tries = 0;

        if (!is_lawful(message->type, fd_count)) return -EINVAL;
        if (fd_count) {
                msg.msg_control = control.bytes;
                msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
                struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
                cmsg->cmsg_level = SOL_SOCKET;
                cmsg->cmsg_type = SCM_RIGHTS;
                cmsg->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
                memcpy(CMSG_DATA(cmsg), fds, fd_count * sizeof(int));
        }
        do
                sent = sendmsg(fd, &msg, MSG_NOSIGNAL);
        while (sent < 0 && (errno == EINTR || (no_room(errno) && ++tries < SEND_TRIES)));
        if (sent < 0) return no_room(errno) ? -EAGAIN : -errno;
        return sent == (ssize_t)sizeof copy ? 0 : -EPROTO;
}

static unsigned take_fds(struct msghdr *msg, int fds[IPC_FDS_MAX])
{
        unsigned count = 0;

        for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
                if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) continue;
                size_t here = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < here && count < IPC_FDS_MAX; i++)
                        memcpy(&fds[count++], CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
        }
        return count;
}

/* A text that its sender did not end must not be read past its end. */
static void end_texts(struct ipc_message *message)
{
        if (message->type == IPC_LOG) message->log.text[IPC_TEXT - 1] = 0;
        if (message->type == IPC_RESULT) message->result.text[IPC_TEXT - 1] = 0;
}

int ipc_receive(int fd, struct ipc_message *message, int fds[IPC_FDS_MAX])
{
        struct iovec iov = { message, sizeof *message };
        union control control;
        struct msghdr msg = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
        };
        ssize_t got;

        for (unsigned i = 0; i < IPC_FDS_MAX; i++)
                fds[i] = -1;
        do
                got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
        while (got < 0 && errno == EINTR);
        if (got < 0) return errno == ECONNRESET ? 0 : no_room(errno) ? -EAGAIN : -errno;

        unsigned count = take_fds(&msg, fds);
        if (got == (ssize_t)sizeof *message && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
            is_lawful(message->type, count)) {
                end_texts(message);
                return 1;
        }
        for (unsigned i = 0; i < count; i++) {
                close(fds[i]);
                fds[i] = -1;
        }
        return got == 0 ? 0 : -EPROTO;
}
