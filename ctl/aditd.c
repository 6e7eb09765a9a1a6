#include "ctl/aditd.h"

#include "ctl/command.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 6 };

extern char **environ;

/* Beside this program, where `make install` puts it, or in PATH and where a user's PATH does not go. */
static void aditd_find(char out[CONF_PATH_MAX])
{
        static const char *const beside[] = { "aditd", "../sbin/aditd" };
        char self[CONF_PATH_MAX - 16];
        ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
        char *slash;

        if (len > 0) {
                self[len] = 0;
                slash = strrchr(self, '/');
                for (size_t i = 0; slash && i < sizeof beside / sizeof *beside; i++) {
                        snprintf(out, CONF_PATH_MAX, "%.*s/%s", (int)(slash - self), self, beside[i]);
                        if (access(out, X_OK) == 0) return;
                }
        }
        snprintf(out, CONF_PATH_MAX, "aditd");
}

/* Gives what PATH was, for path_restore(): hooks have the caller's. */
static char *path_extend(void)
{
        static const char EXTRA[] = "/usr/local/sbin:/usr/sbin:/sbin";
        const char *path = getenv("PATH");
        char longer[4096], *before = path ? strdup(path) : NULL;

        if (snprintf(longer, sizeof longer, "%s%s%s", path ? path : "", path && *path ? ":" : "", EXTRA) <
            (int)sizeof longer)
                setenv("PATH", longer, 1);
        return before;
}

static void path_restore(char *before)
{
        if (before) setenv("PATH", before, 1);
        else unsetenv("PATH");
        free(before);
}

static void explain(const char *program, int error)
{
        if (error == ENOENT) complain(0, "aditd is not installed: neither beside adit nor in %s", getenv("PATH"));
        else if (error) complain(0, "%s: %s", program, strerror(error));
}

static int spawn(pid_t *pid, char *argv[], int in)
{
        posix_spawn_file_actions_t actions;
        char *path_before = path_extend();

        posix_spawn_file_actions_init(&actions);
        if (in >= 0) posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
        int error = posix_spawnp(pid, argv[0], &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);

        explain(argv[0], error);
        path_restore(path_before);
        return error;
}

static void arguments_add(char *argv[ARGUMENTS_MAX + 2], char *const arguments[])
{
        for (size_t i = 0; i < ARGUMENTS_MAX && arguments[i]; i++)
                argv[i + 1] = arguments[i];
}

int aditd_run(char *const arguments[], int in)
{
        char program[CONF_PATH_MAX], *argv[ARGUMENTS_MAX + 2] = { program };
        int wait_status;
        pid_t pid;

        arguments_add(argv, arguments);
        aditd_find(program);
        fflush(stdout);
        if (spawn(&pid, argv, in)) return STATUS_FAILED;
        if (TEMP_FAILURE_RETRY(waitpid(pid, &wait_status, 0)) < 0)
                return complain(STATUS_FAILED, "aditd: %s", strerror(errno));
        if (WIFSIGNALED(wait_status))
                return complain(STATUS_FAILED, "aditd ended by signal %d before it was done", WTERMSIG(wait_status));
        return WEXITSTATUS(wait_status);
}

int aditd_become(char *const arguments[])
{
        char program[CONF_PATH_MAX], *argv[ARGUMENTS_MAX + 2] = { program }, *path_before;

        arguments_add(argv, arguments);
        aditd_find(program);
        fflush(NULL);
        path_before = path_extend();
        execvp(program, argv);
        explain(program, errno);
        path_restore(path_before);
        return STATUS_FAILED;
}
