#include "kernel-iface/errand.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void run_in_child(int (*errand)(void *arg), void *arg, int to, pid_t parent)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1); /* it died before: what is repaired meanwhile is not to be made again */
        if (dup2(to, STDERR_FILENO) < 0) _exit(1);
        close_range(STDERR_FILENO + 1, ~0u, 0); /* the interface and the ports are not this one's to hold */
        _exit(errand(arg));
}

static int left_until(const struct timespec *end)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        long left = (end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
        return left > 0 ? (int)left : 0;
}

/* What the child says until it ends. False: it does not end in time. */
static bool listen_to(int from, unsigned ms, char *said, size_t size)
{
        struct timespec end;
        size_t len = 0;
        char waste[256];

        clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_sec += ms / 1000;
        for (;;) {
                struct pollfd poll_fd = { .fd = from, .events = POLLIN };
                bool room = len + 1 < size;
                int ready = poll(&poll_fd, 1, left_until(&end));
                if (ready == 0) return false;
                if (ready < 0) continue;
                ssize_t got = room ? read(from, said + len, size - len - 1) : read(from, waste, sizeof waste);
                if (got == 0) return true;
                if (room && got > 0) said[len += (size_t)got] = '\0';
        }
}

int errand_run(int (*errand)(void *arg), void *arg, unsigned ms, char *said, size_t size)
{
        int pair[2], status = 0;

        if (size) *said = '\0';
        if (pipe2(pair, O_CLOEXEC)) return -errno;
        pid_t parent = getpid(), child = fork();
        if (!child) run_in_child(errand, arg, pair[1], parent);
        int error = child < 0 ? -errno : 0;
        close(pair[1]);
        if (child > 0) {
                if (!listen_to(pair[0], ms, said, size)) error = -ETIMEDOUT;
                if (error) kill(child, SIGKILL);
                while (waitpid(child, &status, 0) < 0 && errno == EINTR)
                        continue;
                if (!error && status) error = -EIO;
        }
        close(pair[0]);
        return error;
}
