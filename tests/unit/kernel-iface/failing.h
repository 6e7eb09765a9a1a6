/* The n-th message that the program sends or reads fails, libraries' own included. For one file of a test program. */
#ifndef TESTS_KERNEL_IFACE_FAILING_H
#define TESTS_KERNEL_IFACE_FAILING_H

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
        unsigned after, times; /* how many pass, and how many fail then */
        int error;
} failing;

static bool fails(void)
{
        if (!failing.times) return false;
        if (failing.after) {
                failing.after--;
                return false;
        }
        failing.times--;
        errno = failing.error;
        return true;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
        return fails() ? -1 : syscall(SYS_sendmsg, fd, msg, flags);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
        return fails() ? -1 : syscall(SYS_recvmsg, fd, msg, flags);
}

#endif
