#include "daemon/conf/control.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union rights { /* aligned for the kernel's header */
        struct cmsghdr header;
        char bytes[CMSG_SPACE(CONTROL_FDS * sizeof(int))];
};

enum { SEND_TRIES = 3 };

int control_send(int fd, const void *message, size_t len, const int *fds, unsigned count)
{
        struct iovec piece = { (void *)(uintptr_t)message, len };
        struct msghdr header = { .msg_iov = &piece, .msg_iovlen = 1 };
        union rights rights = { 0 };

        if (count > CONTROL_FDS) return -EINVAL;
        if (count) {
                header.msg_control = &rights;
                header.msg_controllen = CMSG_SPACE(count * sizeof(int));
                rights.header.cmsg_level = SOL_SOCKET;
                rights.header.cmsg_type = SCM_RIGHTS;
                rights.header.cmsg_len = CMSG_LEN(count * sizeof(int));
                memcpy(CMSG_DATA(&rights.header), fds, count * sizeof(int));
        }
        for (int tries = 1; sendmsg(fd, &header, MSG_NOSIGNAL) < 0; tries += errno != EINTR) {
                bool no_room = errno == ENOBUFS || errno == ENOMEM; /* another time there may be */
                if (errno != EINTR && (!no_room || tries >= SEND_TRIES)) return -errno;
        }
        return 0;
}

/* The buffer bounds what is there to CONTROL_FDS descriptors; the kernel closes those beyond. */
static void take_rights(struct msghdr *header, int fds[CONTROL_FDS])
{
        for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part))
                if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS)
                        memcpy(fds, CMSG_DATA(part), part->cmsg_len - CMSG_LEN(0));
}

ssize_t control_receive(int fd, void *message, size_t size, int fds[CONTROL_FDS], int flags)
{
        union rights rights;
        struct iovec piece = { message, size };
        struct msghdr header = {
                .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights
        };
        ssize_t len;

        for (unsigned i = 0; i < CONTROL_FDS; i++)
                fds[i] = -1;
        len = TEMP_FAILURE_RETRY(recvmsg(fd, &header, MSG_CMSG_CLOEXEC | flags));
        if (len < 0) return -errno;
        take_rights(&header, fds);
        if (!(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) return len;
        control_close(fds);
        return -EMSGSIZE;
}

void control_close(int fds[CONTROL_FDS])
{
        for (unsigned i = 0; i < CONTROL_FDS; i++) {
                if (fds[i] >= 0) close(fds[i]);
                fds[i] = -1;
        }
}
