/* What would be done, and is not: adit up --dry-run, adit diff. */
#include "ctl/aditd.h"
#include "ctl/changes.h"
#include "ctl/client.h"
#include "ctl/command.h"
#include "ctl/config.h"
#include "ctl/live.h"
#include "daemon/conf/handover.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- the host's part -----------------------------------------------------------------------------------------------
 */

/* aditd prints it. *steps: there were some. */
static int host_changes(const char *name, const struct host_state *host, bool *steps)
{
        enum { ADITD_PLAN_STEPS = 3 }; /* aditd(8): it printed some */
        char option[] = "--plan", end[] = "--", link[IFNAMSIZ];
        char *arguments[] = { option, end, link, NULL };
        int records = handover_records(host);

        if (records < 0) return complain(STATUS_FAILED, "%s: %s", name, strerror(-records));
        snprintf(link, sizeof link, "%s", name);
        int status = aditd_run(arguments, records);
        close(records);
        *steps = status == ADITD_PLAN_STEPS;
        return *steps ? STATUS_OK : status;
}

static bool has_names(const struct conf *conf)
{
        for (const struct conf_peer *peer = conf->peers; peer; peer = peer->next)
                if (peer->endpoint_host && !peer->endpoint.family) return true;
        return false;
}

/* ---- adit up --dry-run ---------------------------------------------------------------------------------------------
 */

static void print_hooks(const char *key, const struct conf_line *list)
{
        for (; list; list = list->next)
                printf("# %s: %s\n", key, list->text);
}

int dry_run(const struct config *config, struct pool *pool)
{
        static const struct conf empty;
        const struct conf *conf = &config->conf;
        struct host_state host;
        char journal[128];
        bool steps;

        if (!conf_host_state(conf, &host, pool)) return complain_memory();
        snprintf(journal, sizeof journal, "%s/%s.state", CONTROL_DIRECTORY, config->name);
        if (!access(journal, F_OK))
                printf("# a link of this name was killed; what it left is undone first, as by: adit repair %s\n",
                       config->name);
        print_hooks("PreUp", conf->pre_up);
        printf("aditd %s\n", config->name);
        if (conf->fwmark) printf("wg set %s fwmark %u\n", config->name, conf->fwmark);
        int status = host_changes(config->name, &host, &steps);
        if (status) return status;
        if (!conf->mtu && has_names(conf)) puts("# the MTU may follow when the names of endpoints are resolved");
        if (changes_print(stdout, config->name, &empty, conf, pool) < 0) return complain_memory();
        print_hooks("PostUp", conf->post_up);
        return STATUS_OK;
}

/* ---- adit diff -----------------------------------------------------------------------------------------------------
 */

/* The file as the keeper would see it: with the mark that it chose, and names as they are resolved now. */
static void take_from_live(struct host_state *host, const struct live *live)
{
        char text[ENDPOINT_TEXT], *port;

        if (host->mark_chosen && live->host.mark_chosen) host->fwmark = live->host.fwmark;
        for (size_t i = 0; i < host->endpoint_count; i++) {
                struct host_endpoint *endpoint = &host->endpoints[i];
                struct key key;
                memcpy(key.bytes, endpoint->public_key, sizeof key.bytes);
                const struct conf_peer *peer = conf_peer_find(&live->conf, &key);
                if (!peer || !peer->endpoint.family || !peer->endpoint_host ||
                    strcmp(peer->endpoint_host, endpoint->host) != 0)
                        continue;
                endpoint_format(&peer->endpoint, text);
                port = strrchr(text, ':');
                if (!port) continue;
                *port = 0;
                char *host_text = text;
                if (*text == '[') {
                        host_text++;
                        text[strlen(text) - 1] = 0;
                }
                snprintf(endpoint->host, sizeof endpoint->host, "%s", host_text);
        }
}

/* Set before the rules that look for it, and taken away after them. */
static bool print_mark(const struct live *live, const struct host_state *host, bool before)
{
        uint32_t is = live->host.mark_chosen ? live->host.fwmark : live->conf.fwmark;

        if (host->fwmark == is || (host->mark_chosen && !host->fwmark) || before != (host->fwmark != 0)) return false;
        printf("wg set %s fwmark %u\n", live->name, host->fwmark);
        return true;
}

static int compare(const struct live *live, struct config *config, struct pool *pool, bool *different)
{
        struct host_state host;
        bool steps;

        if (!conf_host_state(&config->conf, &host, pool)) return complain_memory();
        take_from_live(&host, live);
        *different = print_mark(live, &host, true);
        int status = host_changes(live->name, &host, &steps);
        if (status) return status;
        bool after = print_mark(live, &host, false);
        int lines = changes_print(stdout, live->name, &live->conf, &config->conf, pool);
        if (lines < 0) return complain_memory();
        *different |= steps || after || lines;
        return STATUS_OK;
}

static int check_live(const struct live *live)
{
        if (!live->host.managed)
                return complain(STATUS_FAILED,
                                "%s: this link was brought up without a file, and its addresses and "
                                "routes are not adit's",
                                live->name);
        if (if_nametoindex(live->name)) return STATUS_OK;
        return complain(STATUS_FAILED, "%s: its interface is not in this network namespace: ask where it is",
                        live->name);
}

static int diff(const char *name, const char *file, struct pool *pool, bool *different)
{
        struct config config = { 0 };
        struct live live = { 0 };
        int status = live_read(&live, pool, name, true);

        if (!status) status = check_live(&live);
        if (!status && !file && !*live.path) status = complain(STATUS_FAILED, "%s: which file?", name);
        if (!status) status = config_load(&config, pool, file ? file : live.path);
        if (!status) status = compare(&live, &config, pool, different);
        sodium_memzero(&config, sizeof config);
        sodium_memzero(&live, sizeof live);
        return status;
}

/* As of diff(1): 1 says that there are differences, so that what went wrong is 2. */
int command_diff(const struct command *self, int argc, char **argv, struct pool *pool)
{
        bool different = false;
        char name[IFNAMSIZ];
        int status = options_parse(self, NULL, 1, 2, &argc, &argv);

        if (status != OPTIONS_PROCEED) return status;
        status = link_name_of(name, argv[0]);
        if (!status) status = root_check("diff");
        if (!status) status = diff(name, argc > 1 ? argv[1] : NULL, pool, &different);
        if (status == STATUS_FAILED) return STATUS_USAGE;
        if (!status && !different) printf("%s: nothing to do\n", name);
        return status ? status : different;
}
