/* A link as a whole: up, down, reload, check. */
#include "ctl/aditd.h"
#include "ctl/client.h"
#include "ctl/command.h"
#include "ctl/config.h"
#include "ctl/foreground.h"
#include "ctl/hooks.h"
#include "ctl/live.h"
#include "ctl/resolvconf.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DOWN_WAIT_MS = 5000, DOWN_STEP_MS = 20 };

/* ---- a config file ------------------------------------------------------------------------------------------------
 */

int config_load(struct config *out, struct pool *pool, const char *name_or_path)
{
        struct conf_error error = { 0 };
        char text[CONF_PATH_MAX + sizeof error.text];

        if (!conf_find(name_or_path, out->path, out->name, &error))
                return complain(error.denied ? STATUS_DENIED : STATUS_FAILED, "%s: %s", name_or_path, error.text);
        out->trusted = path_trusted(out->path, out->distrust); /* before it is read */
        if (conf_load(&out->conf, pool, out->path, &error)) return STATUS_OK;
        conf_error_format(&error, out->path, text, sizeof text);
        complain(0, "%s", text);
        out->mistaken = error.line > 0;
        return error.denied ? STATUS_DENIED : STATUS_FAILED;
}

static int nothing_changed(int status)
{
        return status ? complain(status, "nothing was changed") : status;
}

/* Whoever can write the file runs commands as who calls adit. */
static int hooks_allow(const struct config *config)
{
        if (config->trusted || !hooks_any(&config->conf)) return STATUS_OK;
        return complain(STATUS_FAILED, "%s: it has commands to run (PreUp, PostUp, PreDown or PostDown): %s",
                        config->path, config->distrust);
}

/* A note is what is right, but may not be meant. */
static void warn(const struct config *config, struct pool *pool)
{
        char text[OVERLAP_TEXT];
        struct conf_overlaps overlaps;
        unsigned cursor = 0;
        size_t overlap = 0;

        for (const char *what; (what = conf_remark(&config->conf, &cursor));)
                complain(0, "%s: %s", config->path, what);
        if (!conf_overlaps(&config->conf, pool, &overlaps)) return;
        while (conf_overlap_warning(&overlaps, &overlap, text))
                complain(0, "%s: %s", config->path, text);
        if (conf_overlap_note(&overlaps, text)) printf("%s: note: %s\n", config->path, text);
}

int command_check(const struct command *self, int argc, char **argv, struct pool *pool)
{
        struct config config = { 0 };
        size_t peers = 0;
        int status = options_parse(self, NULL, 1, 1, &argc, &argv);

        if (status != OPTIONS_PROCEED) return status;
        status = config_load(&config, pool, argv[0]);
        if (!status) status = hooks_allow(&config);
        if (!status) {
                warn(&config, pool);
                for (const struct conf_peer *peer = config.conf.peers; peer; peer = peer->next)
                        peers++;
                printf("%s: ok: 1 interface, %zu peer%s\n", config.path, peers, peers == 1 ? "" : "s");
        }
        sodium_memzero(&config, sizeof config);
        return status;
}

/* ---- to end it -----------------------------------------------------------------------------------------------------
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

/* Of a link that is up, or whose daemon was killed, or that has a kill switch in force and nothing else. */
static bool has_journal(const char *name)
{
        char path[sizeof CONTROL_DIRECTORY + IFNAMSIZ + 8];

        snprintf(path, sizeof path, "%s/%s.state", CONTROL_DIRECTORY, name);
        return access(path, F_OK) == 0;
}

static bool is_left_over(const char *name)
{
        return (has_journal(name) || resolvconf_left(name)) && nobody_listens(name);
}

static int take_down(const char *name)
{
        struct control_request request = { .op = CONTROL_DOWN };
        struct control_reply reply;
        int fd, none[CONTROL_FDS], status = client_open(&fd, name, false);

        if (status) return status;
        status = client_call(fd, name, &request, NULL, &reply, none);
        control_close(none);
        if (!status) status = client_verdict(name, &reply);
        if (!status && !wait_until_gone(fd, name))
                status = complain(STATUS_FAILED, "%s: aditd has not ended after %d s; its log may say why", name,
                                  DOWN_WAIT_MS / 1000);
        close(fd);
        if (!status && has_journal(name))
                status = complain(
                        STATUS_FAILED,
                        "%s: the link is down, but not all of the host's state was put back; the log says what. "
                        "To try again: adit repair %s",
                        name, name);
        return status;
}

/* ---- up ------------------------------------------------------------------------------------------------------------
 */

int root_check(const char *what)
{
        if (geteuid() == 0) return STATUS_OK;
        return complain(STATUS_DENIED, "%s needs root; run it by sudo, or as root", what);
}

/* Before any hook is run: also an interface that is not a link of ours is in the way. */
static int refuse_if_up(const char *name)
{
        int fd, status = client_open(&fd, name, true);

        if (status == STATUS_OK) {
                close(fd);
                return complain(STATUS_FAILED, "%s: this link is up already; to apply a changed file: adit reload %s",
                                name, name);
        }
        if (status != STATUS_NO_LINK) return status;
        if (if_nametoindex(name) == 0) return STATUS_OK;
        return complain(STATUS_FAILED, "%s: an interface of this name exists; choose another name, or delete that one",
                        name);
}

/* It answers when the link is up. */
static int start_aditd(const char *path)
{
        char option[] = "-c", full[CONF_PATH_MAX];
        char *arguments[] = { option, full, NULL };
        struct conf_error wrong;

        if (!conf_absolute(path, full, &wrong)) return complain(STATUS_FAILED, "%s: %s", path, wrong.text);
        return aditd_run(arguments, -1);
}

/* As wg-quick: a PreUp that fails ends it, and one that fails after all is set takes the link down again. */
static int up_with_hooks(const char *path, const struct hooks *hooks, struct pool *pool)
{
        int status = hooks_run(hooks, HOOK_PRE_UP);

        if (status) return complain(status, "the link was not brought up");
        status = start_aditd(path);
        if (status) return status;
        status = after_up(hooks, pool);
        if (!status) return STATUS_OK;
        if (take_down(hooks->name) == STATUS_OK) complain(0, "the link was taken down again");
        return status;
}

int command_up(const struct command *self, int argc, char **argv, struct pool *pool)
{
        bool dry = false, foreground = false;
        const struct option_row rows[] = { { "dry-run", NULL, &dry }, { "foreground", NULL, &foreground }, { 0 } };
        struct config config = { 0 };
        struct hooks hooks = { 0 };
        int status = options_parse(self, rows, 1, 1, &argc, &argv);

        if (status != OPTIONS_PROCEED) return status;
        status = config_load(&config, pool, argv[0]);
        if (!status) {
                status = hooks_allow(&config);
                config.mistaken = status != STATUS_OK;
        }
        if (config.mistaken && foreground) status = STATUS_MISTAKE;
        if (!status && !dry) status = root_check("up");
        if (!status) status = refuse_if_up(config.name);
        if (!status && dry) {
                status = dry_run(&config, pool);
                sodium_memzero(&config, sizeof config);
                return status;
        }
        if (!status && !hooks_init(&hooks, &config.conf, config.name)) status = complain_memory();
        nothing_changed(status);
        pool_reset(pool); /* no key of ours stays while aditd starts */
        sodium_memzero(&config.conf, sizeof config.conf);
        if (!status) status = (foreground ? foreground_up : up_with_hooks)(config.path, &hooks, pool);
        hooks_fini(&hooks);
        sodium_memzero(&config, sizeof config);
        return status;
}

/* ---- down ----------------------------------------------------------------------------------------------------------
 */

static int hooks_without(const char *name, int status)
{
        return complain(status, "%s: it is taken down without its PreDown and PostDown", name);
}

/* Of the file that the link was brought up from, as it is now; a link must go down without it, too. No key file is
 * read: it may be gone with what it lay on. Not STATUS_OK: there are hooks, and they will not be run. */
static int down_hooks(struct hooks *out, struct pool *pool, const char *name, const char *path)
{
        struct config config = { 0 };
        struct conf_error error = { 0 };
        char text[CONF_PATH_MAX + sizeof error.text];
        int status = STATUS_OK;

        snprintf(config.path, sizeof config.path, "%s", path);
        config.trusted = path_trusted(path, config.distrust);
        if (!conf_load_keyless(&config.conf, pool, path, &error)) {
                conf_error_format(&error, path, text, sizeof text);
                complain(0, "%s", text);
                hooks_without(name, 0);
        } else if (!config.conf.pre_down && !config.conf.post_down) {
                /* nothing to be run */
        } else if (hooks_allow(&config) || !hooks_init(out, &config.conf, name)) {
                status = hooks_without(name, STATUS_FAILED);
        }
        sodium_memzero(&config, sizeof config);
        return status;
}

static int down_with_hooks(const struct hooks *hooks, const char *name, struct pool *pool)
{
        int named = STATUS_OK, status = hooks_run(hooks, HOOK_PRE_DOWN);
        bool with_resolvconf = resolvconf_serves(pool, name);

        if (status) return complain(status, "%s: the link was left up", name);
        status = take_down(name);
        if (status) return status;
        if (with_resolvconf) named = resolvconf_clear(name);
        status = hooks_run(hooks, HOOK_POST_DOWN);
        if (!status) status = named;
        return status ? complain(status, "%s: the link is down", name) : STATUS_OK;
}

static int repair(char *name)
{
        char option[] = "--repair", end[] = "--";
        char *arguments[] = { option, end, name, NULL };
        int status = aditd_run(arguments, -1), named = resolvconf_repair(name);

        return status ? status : named;
}

int command_down(const struct command *self, int argc, char **argv, struct pool *pool)
{
        struct hooks hooks = { 0 };
        char name[IFNAMSIZ], path[CONTROL_TEXT];
        int skipped = STATUS_OK, status = options_parse(self, NULL, 1, 1, &argc, &argv);

        if (status != OPTIONS_PROCEED) return status;
        status = link_name_of(name, argv[0]);
        if (!status && geteuid() == 0 && is_left_over(name)) return repair(name);
        if (!status) status = live_path(path, name);
        if (!status) status = root_check("down");
        if (!status && *path) skipped = down_hooks(&hooks, pool, name, path);
        if (!status) status = down_with_hooks(&hooks, name, pool);
        hooks_fini(&hooks);
        return status ? status : skipped;
}

/* ---- repair --------------------------------------------------------------------------------------------------------
 */

int command_repair(const struct command *self, int argc, char **argv, struct pool *pool)
{
        bool all = false;
        const struct option_row rows[] = { { "all", NULL, &all }, { 0 } };
        char name[IFNAMSIZ];
        int status = options_parse(self, rows, 0, 1, &argc, &argv);

        (void)pool;
        if (status != OPTIONS_PROCEED) return status;
        if (all && argc) return complain(STATUS_USAGE, "repair: --all and a name are one too many");
        status = argc ? link_name_of(name, argv[0]) : STATUS_OK;
        if (!status) status = root_check("repair");
        return status ? status : repair(argc ? name : NULL);
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

/* What changed in PreDown and PostDown counts: they are read from the file when the link goes down. */
static void remark_hooks(const struct config *config)
{
        const struct conf *conf = &config->conf;
        const char *which = !conf->post_up ? "PreUp" : !conf->pre_up ? "PostUp" : "PreUp and PostUp";

        if (conf->pre_up || conf->post_up)
                complain(0,
                         "%s: %s: a reload runs no commands; what was changed in these is done by: adit down %s, then: "
                         "adit up %s",
                         config->path, which, config->name, config->name);
}

/* A name stands for the file that the link came up from, wherever that is. */
static int reload_source(const char **source, char path[CONTROL_TEXT])
{
        int status;

        if (conf_is_path(*source) || !interface_name_valid(*source, strlen(*source))) return STATUS_OK;
        status = live_path(path, *source);
        if (!status && *path) *source = path;
        return status;
}

/* What resolvconf was given before, it gets anew, or loses. */
static int follow_names(struct pool *pool, const char *name, bool served)
{
        if (resolvconf_serves(pool, name)) return resolvconf_set(pool, name);
        return served ? resolvconf_clear(name) : STATUS_OK;
}

int command_reload(const struct command *self, int argc, char **argv, struct pool *pool)
{
        struct config config = { 0 };
        struct host_state host = { 0 };
        char path[CONTROL_TEXT] = "";
        const char *source;
        bool again = false, served = false;
        int status = options_parse(self, NULL, 1, 1, &argc, &argv);

        if (status != OPTIONS_PROCEED) return status;
        source = argv[0];
        status = reload_source(&source, path);
        if (!status) status = config_load(&config, pool, source);
        if (!status) status = refuse_unmanaged(pool, config.name);
        if (!status && !conf_host_state(&config.conf, &host, pool)) status = complain_memory();
        if (!status) {
                conf_make_complete(&config.conf);
                served = resolvconf_serves(pool, config.name);
                status = live_apply(config.name, 0, &host, &config.conf, &again);
        }
        if (!status && again)
                status = complain(STATUS_FAILED, "%s: the link is being changed by others; try again", config.name);
        nothing_changed(status);
        if (!status) remark_hooks(&config);
        if (!status && !again) status = follow_names(pool, config.name, served);
        sodium_memzero(&config, sizeof config);
        return status;
}
