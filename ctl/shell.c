#include "ctl/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_LEN = 1024, PIPE_ROOM = 65536, STEP_MS = 20 };

extern char **environ;

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- what it says -------------------------------------------------------------------------------------------------
 */

struct lines {
        int fd; /* -1: at its end */
        FILE *out;
        const char *prefix;
        char line[LINE_MAX_LEN];
        size_t used;
};

static void lines_flush(struct lines *lines)
{
        fprintf(lines->out, "%s%.*s\n", lines->prefix, (int)lines->used, lines->line);
        lines->used = 0;
}

static void lines_add(struct lines *lines, const char *text, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                if (text[i] == '\n' || lines->used == sizeof lines->line) lines_flush(lines);
                if (text[i] != '\n') lines->line[lines->used++] = text[i] ? text[i] : '?';
        }
}

/* What is there now. No more than the pipe can hold: somebody may write on and on. */
static void lines_read(struct lines *lines)
{
        char text[4096];

        for (size_t total = 0; lines->fd >= 0 && total < PIPE_ROOM;) {
                ssize_t len = TEMP_FAILURE_RETRY(read(lines->fd, text, sizeof text));

                if (len < 0) return; /* EAGAIN */
                if (len == 0) {
                        close(lines->fd);
                        lines->fd = -1;
                        return;
                }
                lines_add(lines, text, (size_t)len);
                total += (size_t)len;
        }
}

static void lines_fini(struct lines *lines)
{
        lines_read(lines);
        if (lines->used) lines_flush(lines);
        if (lines->fd >= 0) close(lines->fd);
        fflush(lines->out);
}

/* ---- to start it --------------------------------------------------------------------------------------------------
 */

static int spawn(pid_t *pid, const char *text, int out)
{
        char bash[] = "bash", sh[] = "/bin/sh", e[] = "-e", o[] = "-o", pipefail[] = "pipefail", big_o[] = "-O",
             extglob[] = "extglob", c[] = "-c", command[] = "--", *copy = strdup(text);
        char *const by_bash[] = { bash, e, o, pipefail, big_o, extglob, c, command, copy, NULL };
        char *const by_sh[] = { sh, e, c, command, copy, NULL };
        posix_spawn_file_actions_t files;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        int error;

        if (!copy) return ENOMEM;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawn_file_actions_init(&files);
        error = posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
        if (!error) error = posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);
        if (!error) error = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        if (!error) error = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
        if (!error) error = posix_spawnp(pid, bash, &files, &attributes, by_bash, environ);
        if (error == ENOENT) error = posix_spawn(pid, sh, &files, &attributes, by_sh, environ);
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&attributes);
        free(copy);
        return error;
}

/* A pipe whose ends lie above stderr, also when we were called without stdin, stdout or stderr. */
static int pipe_open(int ends[2])
{
        int low[2], error = 0;

        ends[0] = ends[1] = -1;
        if (pipe2(low, O_CLOEXEC) < 0) return errno;
        for (int i = 0; i < 2; i++)
                if ((ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1)) < 0) error = errno;
        close(low[0]);
        close(low[1]);
        if (!error && fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0) error = errno;
        for (int i = 0; error && i < 2; i++)
                if (ends[i] >= 0) close(ends[i]);
        return error;
}

/* ---- to wait for it -----------------------------------------------------------------------------------------------
 */

struct run {
        pid_t pid;
        int signals; /* a signalfd */
        bool reaped;
        int status; /* of waitpid() */
        struct lines lines;
};

static void reap(struct run *run)
{
        if (!run->reaped && waitpid(run->pid, &run->status, WNOHANG) == run->pid) run->reaped = true;
}

/* One of SIGINT, SIGTERM, SIGHUP; 0: none of them. */
static int take_signals(struct run *run)
{
        struct signalfd_siginfo info;
        int asked = 0;

        while (read(run->signals, &info, sizeof info) == sizeof info)
                if (info.ssi_signo != SIGCHLD) asked = (int)info.ssi_signo;
        reap(run);
        return asked;
}

/* Until it ends, the limit is over, or we are told to end. */
static struct shell_result watch(struct run *run, int limit_ms)
{
        int64_t deadline = now_ms() + limit_ms, left;

        while ((left = deadline - now_ms()) > 0) {
                struct pollfd fds[] = { { .fd = run->signals, .events = POLLIN },
                                        { .fd = run->lines.fd, .events = POLLIN } };
                int asked;

                poll(fds, 2, (int)left);
                lines_read(&run->lines);
                asked = take_signals(run);
                if (run->reaped && WIFSIGNALED(run->status))
                        return (struct shell_result){ SHELL_KILLED, WTERMSIG(run->status) };
                if (run->reaped)
                        return (struct shell_result){ WEXITSTATUS(run->status) ? SHELL_FAILED : SHELL_DONE,
                                                      WEXITSTATUS(run->status) };
                if (asked) return (struct shell_result){ SHELL_INTERRUPTED, asked };
        }
        return (struct shell_result){ .end = SHELL_LATE };
}

/* The whole process group: a shell that dies at once must not take from its children the time to clean up. They become
 * ours, to be reaped: the group is gone with its last zombie, and its number is not used anew before. */
static void end(struct run *run)
{
        int64_t deadline = now_ms() + SHELL_GRACE_MS;
        bool killed = false;

        prctl(PR_SET_CHILD_SUBREAPER, 1);
        kill(-run->pid, SIGTERM);
        for (;;) {
                while (waitpid(-run->pid, NULL, WNOHANG) > 0)
                        ;
                lines_read(&run->lines);
                if (kill(-run->pid, 0) < 0 && errno == ESRCH) break;
                if (now_ms() >= deadline) {
                        if (killed) break; /* it hangs in the kernel */
                        kill(-run->pid, SIGKILL);
                        killed = true;
                        deadline += SHELL_GRACE_MS;
                }
                poll(NULL, 0, STEP_MS);
        }
        prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static struct shell_result run_watched(const char *text, FILE *out, const char *prefix, int limit_ms, int signals)
{
        struct run run = { .signals = signals, .lines = { .out = out, .prefix = prefix } };
        struct shell_result result;
        int ends[2], error = pipe_open(ends);

        if (error) return (struct shell_result){ SHELL_NOT_RUN, error };
        error = spawn(&run.pid, text, ends[1]);
        close(ends[1]);
        run.lines.fd = ends[0];
        result = error ? (struct shell_result){ SHELL_NOT_RUN, error } : watch(&run, limit_ms);
        if (result.end == SHELL_LATE || result.end == SHELL_INTERRUPTED) end(&run);
        lines_fini(&run.lines);
        return result;
}

struct shell_result shell_run(const char *text, FILE *out, const char *prefix, int limit_ms)
{
        struct shell_result result = { .end = SHELL_NOT_RUN };
        struct sigaction child = { .sa_handler = SIG_DFL },
                         child_before; /* ignored, it would leave nothing to wait for */
        sigset_t ours, before;
        int signals;

        sigemptyset(&ours);
        for (const int *signal = (const int[]){ SIGCHLD, SIGINT, SIGTERM, SIGHUP, 0 }; *signal; signal++)
                sigaddset(&ours, *signal);
        signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
        if (signals < 0) {
                result.code = errno;
                return result;
        }
        fflush(NULL);
        sigaction(SIGCHLD, &child, &child_before);
        sigprocmask(SIG_BLOCK, &ours, &before);
        result = run_watched(text, out, prefix, limit_ms, signals);
        sigprocmask(SIG_SETMASK, &before, NULL);
        sigaction(SIGCHLD, &child_before, NULL);
        close(signals);
        return result;
}
