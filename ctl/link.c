/* A link as a whole: up, down, reload, check. */
#include "ctl/client.h"
#include "ctl/command.h"
#include "ctl/live.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DOWN_WAIT_MS = 5000, DOWN_STEP_MS = 20 };

extern char **environ;

/* ---- a config file ------------------------------------------------------------------------------------------------
 */

struct config {
        char path[CONF_PATH_MAX], name[IFNAMSIZ];
        struct conf conf;
};

/* Prints what is wrong as path:line:column. */
static int config_load(struct config *out, struct pool *pool, const char *name_or_path)
{
        struct conf_error error = { 0 };
        char text[CONF_PATH_MAX + sizeof error.text];

        if (!conf_find(name_or_path, out->path, out->name, &error))
                return complain(error.denied ? STATUS_DENIED : STATUS_FAILED, "%s: %s", name_or_path, error.text);
        if (conf_load(&out->conf, pool, out->path, &error)) return STATUS_OK;
        conf_error_format(&error, out->path, text, sizeof text);
        complain(0, "%s", text);
        return error.denied ? STATUS_DENIED : STATUS_FAILED;
}

static int nothing_changed(int status)
{
        return status ? complain(status, "nothing was changed") : status;
}

static void warn(const struct config *config)
{
        unsigned cursor = 0;

        for (const char *what; (what = conf_remark(&config->conf, &cursor));)
                complain(0, "%s: %s", config->path, what);
}

int command_check(const struct command *self, int argc, char **argv, struct pool *pool)
{
        struct config config = { 0 };
        size_t peers = 0;
        int status = options_parse(self, NULL, 1, 1, &argc, &argv);

        if (status != OPTIONS_PROCEED) return status;
        status = config_load(&config, pool, argv[0]);
        if (!status) {
                warn(&config);
                for (const struct conf_peer *peer = config.conf.peers; peer; peer = peer->next)
                        peers++;
                printf("%s: ok: 1 interface, %zu peer%s\n", config.path, peers, peers == 1 ? "" : "s");
        }
        sodium_memzero(&config, sizeof config);
        return status;
}

/* ---- up -----------------------------------------------------------------------------------------------------------
 */

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

static void path_extend(void)
{
        static const char EXTRA[] = "/usr/local/sbin:/usr/sbin:/sbin";
        const char *path = getenv("PATH");
        char longer[4096];

        if (snprintf(longer, sizeof longer, "%s%s%s", path ? path : "", path && *path ? ":" : "", EXTRA) <
            (int)sizeof longer)
                setenv("PATH", longer, 1);
}

/* aditd answers by its exit status when the link is up, or why it is not on stderr, which it shares. */
static int aditd_run(const char *path)
{
        char program[CONF_PATH_MAX], dash_c[] = "-c", full[CONF_PATH_MAX];
        struct conf_error wrong;
        char *argv[] = { program, dash_c, full, NULL };
        int error, wait_status, status = STATUS_FAILED;
        pid_t pid;

        if (!conf_absolute(path, full, &wrong)) return complain(STATUS_FAILED, "%s: %s", path, wrong.text);
        aditd_find(program);
        path_extend();
        error = posix_spawnp(&pid, program, NULL, NULL, argv, environ);
        if (error == ENOENT)
                return complain(STATUS_FAILED, "aditd is not installed: neither beside adit nor in %s", getenv("PATH"));
        if (error) return complain(STATUS_FAILED, "%s: %s", program, strerror(error));
        if (TEMP_FAILURE_RETRY(waitpid(pid, &wait_status, 0)) < 0)
                return complain(STATUS_FAILED, "aditd: %s", strerror(errno));
        if (WIFSIGNALED(wait_status))
                status = complain(STATUS_FAILED, "aditd ended by signal %d before the link was up",
                                  WTERMSIG(wait_status));
        else status = WEXITSTATUS(wait_status);
        return status;
}

/* `what`: "up", to say what needs root. */
static int root_check(const char *what)
{
        if (geteuid() == 0) return STATUS_OK;
        return complain(STATUS_DENIED, "%s needs root; run it by sudo, or as root", what);
}

static int refuse_if_up(const char *name)
{
        int fd, status = client_open(&fd, name, true);

        if (status == STATUS_NO_LINK) return STATUS_OK;
        if (status) return status;
        close(fd);
        return complain(STATUS_FAILED, "%s: this link is up already; to apply a changed file: adit reload %s", name,
                        name);
}

int command_up(const struct command *self, int argc, char **argv, struct pool *pool)
{
        struct config config = { 0 };
        int status = options_parse(self, NULL, 1, 1, &argc, &argv);

        if (status != OPTIONS_PROCEED) return status;
        status = config_load(&config, pool, argv[0]);
        if (!status) status = root_check("up");
        if (!status) status = refuse_if_up(config.name);
        nothing_changed(status);
        if (!status) {
                pool_reset(pool); /* no key of ours stays while aditd starts */
                sodium_memzero(&config.conf, sizeof config.conf);
                status = aditd_run(config.path);
        }
        sodium_memzero(&config, sizeof config);
        return status;
}

/* ---- down ---------------------------------------------------------------------------------------------------------
 */

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool nobody_listens(const char *name)
{
        int fd, status = client_open(&fd, name, true);

        if (status == STATUS_OK) close(fd);
        return status == STATUS_NO_LINK;
}

/* Down is: the daemon is gone (our connection ended), nobody listens any more, and the interface is not here. */
static bool wait_until_gone(int fd, const char *name)
{
        int64_t deadline = now_ms() + DOWN_WAIT_MS;
        struct pollfd end = { .fd = fd, .events = POLLRDHUP };

        do {
                if (poll(&end, 1, DOWN_STEP_MS) > 0) end.fd = -1; /* ended: from here on poll() is only a pause */
                if (end.fd < 0 && nobody_listens(name) && if_nametoindex(name) == 0) return true;
        } while (now_ms() < deadline);
        return false;
}

int command_down(const struct command *self, int argc, char **argv, struct pool *pool)
{
        struct control_request request = { .op = CONTROL_DOWN };
        struct control_reply reply;
        char name[IFNAMSIZ];
        int fd, none[CONTROL_FDS], status = options_parse(self, NULL, 1, 1, &argc, &argv);

        (void)pool;
        if (status != OPTIONS_PROCEED) return status;
        status = link_name_of(name, argv[0]);
        if (!status) status = client_open(&fd, name, false);
        if (status) return status;
        status = client_call(fd, name, &request, NULL, &reply, none);
        control_close(none);
        if (!status) status = client_verdict(name, &reply);
        if (!status && !wait_until_gone(fd, name))
                status = complain(STATUS_FAILED, "%s: aditd has not ended after %d s; its log may say why", name,
                                  DOWN_WAIT_MS / 1000);
        close(fd);
        return status;
}

/* ---- reload -------------------------------------------------------------------------------------------------------
 */

static int refuse_unmanaged(struct pool *pool, const char *name)
{
        struct live live;
        int status = live_read(&live, pool, name, false);

        if (!status && !live.host.managed)
                status = complain(
                        STATUS_FAILED,
                        "%s: this link was brought up without a file, and its addresses and routes are not adit's; use "
                        "wg syncconf, or: adit down %s, then: adit up %s",
                        name, name, name);
        return status;
}

int command_reload(const struct command *self, int argc, char **argv, struct pool *pool)
{
        struct config config = { 0 };
        struct host_state host = { 0 };
        bool again = false;
        int status = options_parse(self, NULL, 1, 1, &argc, &argv);

        if (status != OPTIONS_PROCEED) return status;
        status = config_load(&config, pool, argv[0]);
        if (!status) status = refuse_unmanaged(pool, config.name);
        if (!status && !conf_host_state(&config.conf, &host, pool)) status = complain_memory();
        if (!status) {
                conf_make_complete(&config.conf);
                status = live_apply(config.name, 0, &host, &config.conf, &again);
        }
        if (!status && again)
                status = complain(STATUS_FAILED, "%s: the link is being changed by others; try again", config.name);
        nothing_changed(status);
        sodium_memzero(&config, sizeof config);
        return status;
}
