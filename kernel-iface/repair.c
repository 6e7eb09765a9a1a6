#include "kernel-iface/repair.h"

#include "kernel-iface/firewall.h"
#include "kernel-iface/journal.h"
#include "kernel-iface/nft.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINK_WAIT_MS = 1000, LINK_STEP_MS = 10 };

/* ---- a link --------------------------------------------------------------------------------------------------------
 */

/* The interface goes with the last process that holds it, which may be about to end. */
static int remove_interface(const struct journal *journal, const struct host_teller *teller)
{
        int error, ifindex = journal->ifindex;
        struct link_info info;
        char text[32 + sizeof journal->link];
        struct netlink *netlink = netlink_open(&error);

        if (!netlink) return error;
        for (int waited = 0; waited < LINK_WAIT_MS; waited += LINK_STEP_MS) {
                error = netlink_link_by_index(netlink, ifindex, &info);
                if (error || strcmp(info.name, journal->link) != 0) goto close_netlink;
                poll(NULL, 0, LINK_STEP_MS);
        }
        error = netlink_delete_link(netlink, ifindex);
        if (!error && teller) {
                snprintf(text, sizeof text, "interface %s", journal->link);
                teller->tell(teller->arg, text, true);
        }
close_netlink:
        netlink_close(netlink);
        return error == -ENODEV ? 0 : error;
}

/* Tables have their link's name. */
static int add_tables(const char *link, struct plan_state *out)
{
        int error = 0;

        for (enum firewall_table table = 0; !error && table < FIREWALL_TABLES; table++) {
                struct plan_item item = { .kind = firewall_kind(table) };
                struct nft_table found;
                char name[FIREWALL_NAME];
                firewall_name(table, link, name);
                error = nft_read(name, FIREWALL_CHAIN, &found);
                if (error == -EOPNOTSUPP) return 0;
                if (!error && !strcmp(found.comment, "adit") && !plan_add(out, &item)) error = -ENOMEM;
        }
        return error;
}

/* No journal names them: it was lost, or a ruleset that was saved while the link was up was loaded again. */
static void adopt_tables(struct host *host, const char *link)
{
        struct plan_state found = { 0 };

        if (!add_tables(link, &found)) host_adopt(host, &found);
        plan_free(&found);
}

bool repair_finds_tables(const char *link)
{
        struct plan_state found = { 0 };
        bool any = !add_tables(link, &found) && found.count;

        plan_free(&found);
        return any;
}

bool repair_link(const char *link, const char *path, const struct host_teller *teller, struct host_error *error)
{
        struct journal journal;
        int code = 0;

        *error = (struct host_error){ 0 };
        if (journal_read(path, &journal) == 0 && journal.ifindex && journal.netns == journal_netns())
                code = remove_interface(&journal, teller);
        journal_free(&journal);
        if (code) {
                error->error = -code;
                snprintf(error->text, sizeof error->text, "interface %s: %s", link, strerror(-code));
                return false;
        }
        struct host *host = host_open(link, path, teller, error);
        if (host) adopt_tables(host, link);
        bool ok = host && host_lift(host, teller, error);
        host_close(host);
        return ok;
}

/* ---- what nobody names ---------------------------------------------------------------------------------------------
 */

static int add_rules(struct netlink *netlink, const char *path, struct plan_state *out)
{
        enum { RULES_MAX = 4096 };
        struct marked_rule *list = calloc(RULES_MAX, sizeof *list);
        size_t count = 0;
        int error = list ? netlink_marked_rules(netlink, list, RULES_MAX, &count) : -ENOMEM;

        if (error == -ENOBUFS) {
                error = 0;
                count = RULES_MAX;
        }
        for (size_t i = 0; !error && i < count; i++) {
                /* of a link's two rules one looks up the main table; the other's is named after the mark */
                struct plan_item item = {
                        .kind = PLAN_RULES, .prefix.family = list[i].family, .value = list[i].mark, .mark = list[i].mark
                };
                if (!journal_names(path, journal_netns(), &item) && !plan_add(out, &item)) error = -ENOMEM;
        }
        free(list);
        return error;
}

static int add_throws(struct netlink *netlink, const char *path, struct plan_state *out)
{
        enum { THROWS_MAX = 4096 };
        struct link_route *list = calloc(THROWS_MAX, sizeof *list);
        static const uint8_t families[] = { AF_INET, AF_INET6 };
        int error = list ? 0 : -ENOMEM;

        for (size_t f = 0; !error && f < sizeof families; f++) {
                size_t count = 0;
                error = netlink_throws(netlink, families[f], 0, list, THROWS_MAX, &count);
                if (error == -ENOBUFS) {
                        error = 0;
                        count = THROWS_MAX;
                }
                for (size_t i = 0; !error && i < count; i++) {
                        struct plan_item item = { .kind = PLAN_THROW,
                                                  .prefix = list[i].prefix,
                                                  .value = list[i].table };
                        if (!list[i].ours || journal_names(path, journal_netns(), &item)) continue;
                        if (!plan_add(out, &item)) error = -ENOMEM;
                }
        }
        free(list);
        return error;
}

int repair_orphans(const char *link, const char *journal, struct plan_state *out)
{
        int error;
        struct netlink *netlink = netlink_open(&error);

        *out = (struct plan_state){ 0 };
        if (!netlink) return error;
        error = add_rules(netlink, journal, out);
        if (!error) error = add_throws(netlink, journal, out);
        if (!error) error = add_tables(link, out);
        netlink_close(netlink);
        if (error) plan_free(out);
        else plan_sort(out);
        return error;
}
