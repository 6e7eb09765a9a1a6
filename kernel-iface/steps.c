#include "kernel-iface/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char steps_valid_mark[] = "/proc/sys/net/ipv4/conf/all/src_valid_mark";

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

static int read_valid_mark(struct plan_state *current)
{
        struct plan_item item = { .kind = PLAN_VALID_MARK };
        char text[16] = "";
        int fd = open(steps_valid_mark, O_RDONLY | O_CLOEXEC);

        if (fd < 0) return -errno;
        ssize_t got = read(fd, text, sizeof text - 1);
        close(fd);
        if (got <= 0) return -EIO;
        item.value = (uint32_t)strtoul(text, NULL, 10);
        return plan_add(current, &item) ? 0 : -ENOMEM;
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
        /* without IPv4 there is none, and none is wanted */
        if (!error) error = read_valid_mark(current);
        if (error == -ENOENT) error = 0;
        if (error) plan_free(current);
        else plan_sort(current);
        return error;
}

/* applying */

static int write_valid_mark(uint32_t value)
{
        int fd = open(steps_valid_mark, O_WRONLY | O_CLOEXEC);
        int error = 0;

        if (fd < 0) return -errno;
        if (dprintf(fd, "%u\n", value) < 0) error = -errno;
        close(fd);
        return error;
}

static int change(struct netlink *netlink, const struct steps_link *link, const struct plan_step *step)
{
        const struct plan_item *item = &step->item;

        switch (item->kind) {
        case PLAN_ADDRESS: return netlink_change_address(netlink, link->ifindex, &item->prefix, step->add);
        case PLAN_MTU: return netlink_set_link(netlink, link->ifindex, item->value, link->up);
        case PLAN_UP: return netlink_set_link(netlink, link->ifindex, 0, item->value);
        case PLAN_ROUTE: return netlink_change_route(netlink, link->ifindex, item->value, &item->prefix, step->add);
        case PLAN_THROW: return netlink_change_throw(netlink, item->value, &item->prefix, step->add);
        case PLAN_VALID_MARK: return write_valid_mark(item->value);
        case PLAN_RULES: return netlink_change_rules(netlink, item->prefix.family, item->mark, item->value, step->add);
        default: return -EINVAL;
        }
}

static bool is_gone(int error)
{
        return error == -ESRCH || error == -ENOENT || error == -EADDRNOTAVAIL || error == -ENODEV;
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
        else if (item->kind == PLAN_VALID_MARK && error->error == EROFS)
                snprintf(error->text + len, sizeof error->text - len,
                         ": /proc/sys cannot be written here; set it from outside: sysctl -w "
                         "net.ipv4.conf.all.src_valid_mark=%u",
                         item->value);
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
        explain(error, link, &step->item);
        return false;
}
