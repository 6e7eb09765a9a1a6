#include "kernel-iface/host_inside.h"

#include "kernel-iface/plan_commands.h"
#include "kernel-iface/values.h"
#include "kernel-iface/wanted.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The plan without the deed */

/* With the journal of the link that is there. What a crash left is undone before a link comes up, and is not looked at.
 */
static bool open_to_look(struct host *host, const char *link, const char *journal, struct host_error *error)
{
        int code;

        host->path = strdup(journal);
        host->netlink = host->path ? netlink_open(&code) : NULL;
        if (!host->netlink) return host_fail(error, host->path ? code : ENOMEM, "netlink");
        snprintf(host->journal.link, sizeof host->journal.link, "%s", link);
        host_find_index(host);
        int ifindex = host->journal.ifindex;
        code = journal_read(journal, &host->journal);
        if (code && code != -ENOENT && ifindex) return host_fail(error, code, journal);
        if (!ifindex || host->journal.ifindex != ifindex) journal_free(&host->journal);
        snprintf(host->journal.link, sizeof host->journal.link, "%s", link);
        host->journal.ifindex = ifindex;
        host->journal.netns = journal_netns();
        snprintf(host->tables.link, sizeof host->tables.link, "%s", link);
        snprintf(host->dns.link, sizeof host->dns.link, "%s", link);
        host->tables.look = true;
        return true;
}

/* The kernel makes some of the routes that are wanted when it gets the addresses that are. */
static bool foresee_routes(struct change *change)
{
        struct plan_item route;
        bool ok = true;

        for (size_t i = 0; ok && i < change->wanted.count; i++) {
                const struct plan_item *item = &change->wanted.items[i];
                if (item->kind != PLAN_ADDRESS || plan_has(&change->current, item)) continue;
                if (plan_connected(item, &route) && plan_has(&change->wanted, &route))
                        ok = plan_add(&change->current, &route);
        }
        plan_sort(&change->current);
        return ok;
}

static bool read_change(struct host *host, const struct host_state *want, struct change *change,
                        struct host_error *error)
{
        bool here = host->journal.ifindex;

        if (!wanted_state(host->netlink, host->journal.ifindex, want, &change->wanted, error)) return false;
        if (!host_want_dns(host, want, &change->wanted, error)) return false;
        if (here && !host_want_tables(host, want, &change->wanted, error)) return false;
        struct steps_link link = host_steps_link_for(host, &change->wanted);
        int code = steps_read(host->netlink, &link, &host->journal.ours, &change->wanted, &change->current);
        if (code) return host_fail(error, code, "reading the host's state");
        /* only root may ask for tables; those of a link that is not there are made, or replaced at once */
        if (!here && !host_want_tables(host, want, &change->wanted, error)) return false;
        return (change_prepare(host, change) && foresee_routes(change)) || host_fail(error, ENOMEM, "planning");
}

static int print_change(const struct host *host, const struct change *change,
                        void (*print)(void *arg, const char *commands), void *arg, struct host_error *error)
{
        struct plan_step *steps = calloc(change->current.count + change->wanted.count + 1, sizeof *steps);
        size_t count = steps ? plan_difference(&change->current, &change->reach, &change->wanted, steps) : 0;
        char text[PLAN_COMMANDS_TEXT];

        for (size_t i = 0; i < count; i++) {
                const char *table = steps[i].add ? tables_text(&host->tables, &steps[i].item) : NULL;
                plan_commands(&steps[i], host->journal.link, text, sizeof text); /* of a table: up to its text */
                print(arg, text);
                if (table) print(arg, table);
                if (table) print(arg, "END\n");
                char *dns = steps[i].add ? dns_commands(&host->dns, &steps[i].item, host->journal.link) : NULL;
                if (dns) print(arg, dns);
                free(dns);
        }
        bool ok = steps || host_fail(error, ENOMEM, "planning");
        free(steps);
        return ok ? count > 0 : -1;
}

int host_preview(const char *link, const char *journal, struct host_state *want,
                 void (*print)(void *arg, const char *commands), void *arg, struct host_error *error)
{
        struct host host = { 0 };
        struct change change = { 0 };
        int result = -1;
        bool ok = open_to_look(&host, link, journal, error);

        if (ok && want->mark_chosen && !want->fwmark) ok = host_choose_mark(&host, &want->fwmark, error);
        if (ok && read_change(&host, want, &change, error)) result = print_change(&host, &change, print, arg, error);
        change_free(&change);
        tables_free(&host.tables);
        dns_free(&host.dns);
        journal_free(&host.journal);
        if (host.netlink) netlink_close(host.netlink);
        free(host.path);
        return result;
}
