#include "daemon/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <syslog.h>
#include <unistd.h>

enum { ANSWER = 3 };

/* The keeper's descriptors are not the child's to hold: the interface and the ports would live as long as it. syslog's
 * is closed by name, so that it is opened anew and not written to under a number that means something else. */
static void isolate(int to)
{
        sigset_t none;

        closelog();
        if (to != ANSWER) dup3(to, ANSWER, O_CLOEXEC);
        close_range(ANSWER + 1, ~0u, 0);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_DUMPABLE, 0);
}

pid_t child_fork(int to, int *answer)
{
        pid_t keeper = getpid(), child = fork();

        if (child) {
                int error = errno;
                close(to);
                return child < 0 ? -error : child;
        }
        isolate(to);
        if (getppid() != keeper) _exit(1); /* it died before PDEATHSIG was set */
        *answer = ANSWER;
        return 0;
}
