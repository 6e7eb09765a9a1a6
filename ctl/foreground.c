#include "ctl/foreground.h"

#include "ctl/aditd.h"
#include "ctl/command.h"
#include "ctl/resolvconf.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READY = 3 }; /* aditd --ready */

/* ---- what is meant for aditd, and not for hooks --------------------------------------------------------------------
 */

static const char *const for_aditd[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID" };
enum { FOR_ADITD = sizeof for_aditd / sizeof *for_aditd };

static void environment_take(char *kept[FOR_ADITD])
{
        for (size_t i = 0; i < FOR_ADITD; i++) {
                const char *value = getenv(for_aditd[i]);

                kept[i] = value ? strdup(value) : NULL;
                unsetenv(for_aditd[i]);
        }
}

static void environment_give(char *kept[FOR_ADITD])
{
        for (size_t i = 0; i < FOR_ADITD; i++) {
                if (kept[i]) setenv(for_aditd[i], kept[i], 1);
                free(kept[i]);
        }
}

/* ---- PostUp --------------------------------------------------------------------------------------------------------
 */

int after_up(const struct hooks *hooks, struct pool *pool)
{
        bool with_resolvconf = resolvconf_serves(pool, hooks->name);
        int status = STATUS_OK;

        if (with_resolvconf) status = resolvconf_set(pool, hooks->name);
        else if (resolvconf_left(hooks->name)) resolvconf_clear(hooks->name); /* of a crash; no reason not to be up */

        if (!status) status = hooks_run(hooks, HOOK_POST_UP);
        if (status && with_resolvconf) resolvconf_clear(hooks->name);
        return status;
}

/* In the child. aditd ends without a word on the socket when it fails; it has said why. */
static void post_up(int aditd, const struct hooks *hooks, struct pool *pool)
{
        char byte;

        if (TEMP_FAILURE_RETRY(read(aditd, &byte, 1)) != 1) return;
        if (after_up(hooks, pool)) complain(0, "the link is taken down again");
        else (void)!send(aditd, &byte, 1, MSG_NOSIGNAL);
}

/* The parent gets aditd's end of the socket as READY; what ends this process ends the command that is being run, too.
 */
static int fork_post_up(const struct hooks *hooks, struct pool *pool)
{
        int pair[2];
        pid_t parent = getpid(), child;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
                return complain(STATUS_FAILED, "socketpair: %s", strerror(errno));
        child = fork();
        if (child < 0) return complain(STATUS_FAILED, "fork: %s", strerror(errno));
        if (!child) {
                close(pair[1]);
                prctl(PR_SET_PDEATHSIG, SIGTERM);
                if (getppid() == parent) post_up(pair[0], hooks, pool);
                _exit(0);
        }
        close(pair[0]);
        if (pair[1] == READY && !fcntl(READY, F_SETFD, 0)) return STATUS_OK;
        if (pair[1] != READY && dup2(pair[1], READY) == READY) return STATUS_OK;
        return complain(STATUS_FAILED, "dup2: %s", strerror(errno));
}

int foreground_up(const char *path, const struct hooks *hooks, struct pool *pool)
{
        char f[] = "-f", c[] = "-c", r[] = "--ready", full[CONF_PATH_MAX], *kept[FOR_ADITD];
        char *arguments[] = { f, c, full, r, NULL };
        struct conf_error wrong;
        int status;

        if (!conf_absolute(path, full, &wrong)) return complain(STATUS_FAILED, "%s: %s", path, wrong.text);
        environment_take(kept);
        status = hooks_run(hooks, HOOK_PRE_UP);
        if (!status) status = fork_post_up(hooks, pool);
        environment_give(kept);
        return status ? complain(status, "the link was not brought up") : aditd_become(arguments);
}
