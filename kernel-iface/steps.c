#include "kernel-iface/steps.h"

#include "kernel-iface/sysctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* reading */

/* For a list of unknown length, which is asked for again with room for what there was, and some more. NULL: no memory,
 * and the list is as it was. */
static void *with_room(void *list, size_t count, size_t *max, size_t size)
{
        *max = count + 64;
        return reallocarray(list, *max, size);
}

static int read_addresses(struct netlink *netlink, int ifindex, struct plan_state *current)
{
        struct prefix *list = NULL;
        size_t max = 0, count = 0;
        int error;

        do {
                struct prefix *larger = with_room(list, count, &max, sizeof *list);
                error = larger ? netlink_addresses(netlink, ifindex, larger, max, &count) : -ENOMEM;
                if (larger) list = larger;
        } while (error == -ENOBUFS);
        for (size_t i = 0; !error && i < count; i++) {
                struct plan_item item = { .kind = PLAN_ADDRESS, .prefix = list[i] };
                if (!plan_add(current, &item)) error = -ENOMEM;
        }
        free(list);
        return error;
}

static int read_routes(struct netlink *netlink, int ifindex, const struct plan_state *wanted,
                       struct plan_state *current)
{
        struct link_route *list = NULL;
        size_t max = 0, count = wanted->count; /* what is to be expected: or a long list is asked for twice */
        int error;

        do {
                struct link_route *larger = with_room(list, count, &max, sizeof *list);
                error = larger ? netlink_routes(netlink, ifindex, larger, max, &count) : -ENOMEM;
                if (larger) list = larger;
        } while (error == -ENOBUFS);
        for (size_t i = 0; !error && i < count; i++) {
                struct plan_item item = { .kind = PLAN_ROUTE, .prefix = list[i].prefix, .value = list[i].table };
                if (!list[i].ours && !plan_has(wanted, &item)) continue;
                if (!plan_add(current, &item)) error = -ENOMEM;
        }
        free(list);
        return error;
}

static int read_link(struct netlink *netlink, struct steps_link *link, const struct plan_state *wanted,
                     struct plan_state *current)
{
        struct link_info info;
        int error = link->ifindex ? netlink_link_by_index(netlink, link->ifindex, &info) : -ENODEV;

        link->here = !error;
        if (error == -ENODEV) return 0;
        if (error) return error;
        link->up = info.up;
        struct plan_item mtu = { .kind = PLAN_MTU, .value = info.mtu };
        struct plan_item up = { .kind = PLAN_UP, .value = info.up };
        if (!plan_add(current, &mtu) || !plan_add(current, &up)) return -ENOMEM;
        error = read_addresses(netlink, link->ifindex, current);
        return error ? error : read_routes(netlink, link->ifindex, wanted, current);
}

static int read_rules(struct netlink *netlink, const struct plan_state *from, const struct plan_state *wanted,
                      struct plan_state *current)
{
        for (size_t i = 0; i < from->count; i++) {
                const struct plan_item *item = &from->items[i];
                enum rules_state state;
                if (item->kind != PLAN_RULES) continue;
                int error = netlink_rules(netlink, item->prefix.family, item->mark, item->value, &state);
                if (error) return error;
                if (state == RULES_WHOLE || (state == RULES_BROKEN && !plan_has(wanted, item)))
                        if (!plan_add(current, item)) return -ENOMEM;
        }
        return 0;
}

/* Of the throw routes those that are named: they are of no link, and may be another's. */
static int read_throws_of(struct netlink *netlink, uint8_t family, uint32_t table, const struct plan_state *ours,
                          const struct plan_state *wanted, struct plan_state *current)
{
        struct link_route *list = NULL;
        size_t max = 0, count = 0;
        int error;

        do {
                struct link_route *larger = with_room(list, count, &max, sizeof *list);
                error = larger ? netlink_throws(netlink, family, table, larger, max, &count) : -ENOMEM;
                if (larger) list = larger;
        } while (error == -ENOBUFS);
        for (size_t i = 0; !error && i < count; i++) {
                struct plan_item item = { .kind = PLAN_THROW, .prefix = list[i].prefix, .value = table };
                bool named = plan_has(wanted, &item) || (list[i].ours && plan_has(ours, &item));
                if (named && !plan_add(current, &item)) error = -ENOMEM;
        }
        free(list);
        return error;
}

/* Each table is asked once for each family. A link has one; it is two while it changes. */
static int read_throws(struct netlink *netlink, const struct plan_state *from, const struct plan_state *ours,
                       const struct plan_state *wanted, struct plan_state *current)
{
        enum { ASKED_MAX = 8 }; /* of more, those beyond are asked again and again */
        const struct plan_item *asked[ASKED_MAX];
        size_t count = 0;

        for (size_t i = 0; i < from->count; i++) {
                const struct plan_item *item = &from->items[i];
                size_t n = 0;
                if (item->kind != PLAN_THROW) continue;
                while (n < count && (asked[n]->prefix.family != item->prefix.family || asked[n]->value != item->value))
                        n++;
                if (n < count) continue;
                if (count < ASKED_MAX) asked[count++] = item;
                int error = read_throws_of(netlink, item->prefix.family, item->value, ours, wanted, current);
                if (error) return error;
        }
        return 0;
}

/* Those of forwarding have files of each interface: they are read when it is somebody's business. */
static int read_sysctls(bool forwarding, struct plan_state *current)
{
        int error = 0;

        for (enum plan_kind kind = 0; !error && kind < PLAN_KINDS; kind++)
                if (kind == PLAN_VALID_MARK || (forwarding && plan_is_sysctl(kind))) error = sysctl_read(kind, current);
        return error;
}

int steps_read(struct netlink *netlink, struct steps_link *link, const struct plan_state *ours,
               const struct plan_state *wanted, struct plan_state *current)
{
        *current = (struct plan_state){ 0 };
        int error = read_link(netlink, link, wanted, current);

        if (!error) error = tables_read(link->tables, ours, wanted, current);
        if (!error) error = dns_read(link->dns, link->here ? link->ifindex : 0, ours, wanted, current);
        if (!error) error = read_rules(netlink, ours, wanted, current);
        if (!error) error = read_rules(netlink, wanted, wanted, current);
        if (!error) error = read_throws(netlink, ours, ours, wanted, current);
        if (!error) error = read_throws(netlink, wanted, ours, wanted, current);
        if (!error) error = read_sysctls(link->forwarding, current);
        if (error) plan_free(current);
        else plan_sort(current);
        return error;
}

/* applying */

static int change(struct netlink *netlink, const struct steps_link *link, const struct plan_step *step)
{
        const struct plan_item *item = &step->item;

        switch (item->kind) {
        case PLAN_ADDRESS: return netlink_change_address(netlink, link->ifindex, &item->prefix, step->add);
        case PLAN_MTU: return netlink_set_link(netlink, link->ifindex, item->value, link->up);
        case PLAN_UP: return netlink_set_link(netlink, link->ifindex, 0, item->value);
        case PLAN_ROUTE: return netlink_change_route(netlink, link->ifindex, item->value, &item->prefix, step->add);
        case PLAN_THROW: return netlink_change_throw(netlink, item->value, &item->prefix, step->add);
        case PLAN_RULES: return netlink_change_rules(netlink, item->prefix.family, item->mark, item->value, step->add);
        default: return plan_is_sysctl(item->kind) ? sysctl_write(item) : -EINVAL;
        }
}

static bool is_gone(int error)
{
        return error == -ESRCH || error == -ENOENT || error == -EADDRNOTAVAIL || error == -ENODEV;
}

/* The head of its group is what has to be set: with that, the rest is the kernel's. */
static void explain_sysctl(struct host_error *error, const struct plan_item *item)
{
        char name[SYSCTL_NAME], head[SYSCTL_NAME];
        size_t len;

        sysctl_name(item, name);
        len = (size_t)snprintf(error->text, sizeof error->text, "%s = %u: %s", name, item->value,
                               strerror(error->error));
        if (error->error != EROFS) return;
        sysctl_name(&(struct plan_item){ .kind = sysctl_head(item->kind) }, head);
        snprintf(error->text + len, sizeof error->text - len,
                 ": /proc/sys cannot be written here; set it from outside: sysctl -w %s=1", head);
}

static void explain(struct host_error *error, const struct steps_link *link, const struct plan_item *item)
{
        char text[PLAN_TEXT];
        size_t len;

        plan_print(item, text);
        len = (size_t)snprintf(error->text, sizeof error->text, "%s dev %s: %s", text, link->name,
                               strerror(error->error));
        if (len >= sizeof error->text) return;
        if (error->error == EEXIST && item->kind == PLAN_ROUTE)
                snprintf(error->text + len, sizeof error->text - len,
                         ": that table has another route to it; remove that one (ip %sroute del %s) or set Table",
                         item->prefix.family == AF_INET6 ? "-6 " : "", text + strlen("route "));
        else if (error->error == EEXIST && item->kind == PLAN_ADDRESS)
                snprintf(error->text + len, sizeof error->text - len, ": the link has it with another prefix length");
        else if (error->error == EEXIST && item->kind == PLAN_RULES)
                snprintf(error->text + len, sizeof error->text - len, ": another link has taken this mark; set FwMark");
        else if (item->prefix.family == AF_INET6 && (error->error == EACCES || error->error == EAFNOSUPPORT))
                snprintf(error->text + len, sizeof error->text - len,
                         ": IPv6 is switched off on this host (net.ipv6.conf.%s.disable_ipv6)", link->name);
}

bool steps_apply(struct netlink *netlink, const struct steps_link *link, const struct plan_step *step,
                 struct host_error *error)
{
        if (plan_is_table(step->item.kind)) return tables_apply(link->tables, step, error);
        if (step->item.kind == PLAN_DNS) return dns_apply(link->dns, link->ifindex, step, error);
        int code = change(netlink, link, step);

        if (code == 0 || (!step->add && is_gone(code))) return true;
        *error = (struct host_error){ .error = -code };
        if (plan_is_sysctl(step->item.kind)) explain_sysctl(error, &step->item);
        else explain(error, link, &step->item);
        return false;
}
