/* A peer's routes: a prefix as the peer's allowed IP and as a route of the host, the two always together. */
#include "ctl/client.h"
#include "ctl/command.h"
#include "ctl/live.h"
#include "ctl/show.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct change {
        const char *peer;
        struct conf_peer prefixes; /* its allowed_ips */
};

static int parse_prefixes(struct change *change, struct pool *pool, char **argv)
{
        const char *why = "";
        struct prefix prefix;

        for (; *argv; argv++) {
                if (!prefix_parse(&prefix, *argv, strlen(*argv), &why))
                        return complain(STATUS_USAGE, "'%s': %s", *argv, why);
                prefix_mask(&prefix);
                if (!conf_allowed_ip_append(&change->prefixes, pool, &prefix)) return complain_memory();
        }
        return STATUS_OK;
}

static int parse_change(const struct command *self, struct change *change, struct pool *pool, int *argc, char ***argv)
{
        int status = options_parse(self, NULL, 3, INT_MAX, argc, argv);

        if (status != OPTIONS_PROCEED) return status;
        change->peer = (*argv)[1];
        status = link_name_check((*argv)[0]);
        if (!status) status = parse_prefixes(change, pool, *argv + 2);
        return status ? status : OPTIONS_PROCEED;
}

static int add(struct edit *edit, void *arg)
{
        const struct change *change = arg;
        struct conf_peer *peer = live_peer(&edit->live, change->peer), *set = peer ? edit_peer(edit, peer) : NULL;
        int status = set ? STATUS_OK : STATUS_FAILED;

        if (set && !edit->retry && edit->live.host.managed && edit->live.host.table == TABLE_OFF)
                complain(0, "%s: Table is off for this link: only allowed IPs are changed, the routes are yours",
                         edit->live.name);
        for (const struct conf_prefix *item = change->prefixes.allowed_ips; item && !status; item = item->next) {
                status = edit_allowed_ip_add(edit, peer, set, &item->prefix);
                if (!status && !conf_allowed_ip_append(&edit->routes, edit->pool, &item->prefix))
                        status = complain_memory();
        }
        return status;
}

static int del_one(struct edit *edit, struct conf_peer *peer, struct conf_peer *set, const struct prefix *prefix)
{
        struct conf_peer *owner = NULL;
        struct conf_prefix *found = live_allowed_ip(&edit->live, prefix, &owner), *removed;
        char text[ADDRESS_TEXT], label[KEY_BASE64_LEN];

        if (!found || owner != peer)
                return complain(STATUS_FAILED, "%s: %s is not a route of peer %s; its routes: adit route list %s",
                                edit->live.name, prefix_format(prefix, text), peer_label(peer, label), edit->live.name);
        live_allowed_ip_remove(peer, found);
        removed = conf_allowed_ip_append(set, edit->pool, prefix);
        if (!removed) return complain_memory();
        removed->remove = true;
        return STATUS_OK;
}

static int del(struct edit *edit, void *arg)
{
        const struct change *change = arg;
        struct conf_peer *peer = live_peer(&edit->live, change->peer), *set = peer ? edit_peer(edit, peer) : NULL;
        int status = set ? STATUS_OK : STATUS_FAILED;

        for (const struct conf_prefix *item = change->prefixes.allowed_ips; item && !status; item = item->next)
                status = del_one(edit, peer, set, &item->prefix);
        return status;
}

int command_route_add(const struct command *self, int argc, char **argv, struct pool *pool)
{
        struct change change = { 0 };
        int status = parse_change(self, &change, pool, &argc, &argv);

        return status != OPTIONS_PROCEED ? status : live_edit(argv[0], pool, add, &change);
}

int command_route_del(const struct command *self, int argc, char **argv, struct pool *pool)
{
        struct change change = { 0 };
        int status = parse_change(self, &change, pool, &argc, &argv);

        return status != OPTIONS_PROCEED ? status : live_edit(argv[0], pool, del, &change);
}

/* ---- list ---------------------------------------------------------------------------------------------------------
 */

static int compare(const void *a, const void *b)
{
        return memcmp(a, b, sizeof(struct prefix)); /* bytes only: no padding, and zero past the address */
}

/* Of the host's state as it should be: whether the kernel has the route now is `ip route`'s to say. */
static bool routed(const struct host_state *host, const struct prefix *prefix)
{
        for (size_t i = 0; i < host->excluded_count; i++)
                if (prefix_contains(&host->excluded[i], prefix)) return false;
        return host->table != TABLE_OFF && host->route_count &&
               bsearch(prefix, host->routes, host->route_count, sizeof *prefix, compare);
}

static const char *routed_text(const struct host_state *host, const struct prefix *prefix)
{
        if (!routed(host, prefix)) return "no";
        for (size_t i = 0; i < host->excluded_count; i++)
                if (prefix_contains(prefix, &host->excluded[i])) return "in part";
        return "yes";
}

static int print_json(const struct live *live)
{
        json_t *array = json_array();

        for (const struct conf_peer *peer = live->conf.peers; peer; peer = peer->next)
                for (const struct conf_prefix *item = peer->allowed_ips; item; item = item->next)
                        json_array_append_new(array,
                                              show_json_route(peer, &item->prefix, routed(&live->host, &item->prefix)));
        return show_json_print("routes", array);
}

static int print_table(const struct live *live)
{
        char text[ADDRESS_TEXT], label[KEY_BASE64_LEN];

        printf("%-44s  %-24s  %s\n", "peer", "prefix", "routed by adit");
        for (const struct conf_peer *peer = live->conf.peers; peer; peer = peer->next)
                for (const struct conf_prefix *item = peer->allowed_ips; item; item = item->next)
                        printf("%-44s  %-24s  %s\n", peer_label(peer, label), prefix_format(&item->prefix, text),
                               routed_text(&live->host, &item->prefix));
        return STATUS_OK;
}

int command_route_list(const struct command *self, int argc, char **argv, struct pool *pool)
{
        bool json = false;
        const struct option_row rows[] = { { "json", NULL, &json }, { 0 } };
        struct live live;
        int status = options_parse(self, rows, 1, 1, &argc, &argv);

        if (status != OPTIONS_PROCEED) return status;
        status = live_read(&live, pool, argv[0], false);
        if (status) return status;
        if (live.host.route_count) qsort(live.host.routes, live.host.route_count, sizeof *live.host.routes, compare);
        return json ? print_json(&live) : print_table(&live);
}
