#include "kernel-iface/wanted.h"

#include "kernel-iface/exclude.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static bool has_v6(const struct host_state *want)
{
        for (size_t i = 0; i < want->address_count; i++)
                if (want->addresses[i].family == AF_INET6) return true;
        for (size_t i = 0; i < want->route_count; i++)
                if (want->routes[i].family == AF_INET6) return true;
        return false;
}

/* Names are not looked up here: the route to them is known when they are resolved. */
static bool literal_address(const char *host, union socket_address *out)
{
        struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_DGRAM }, *found;

        if (!*host || getaddrinfo(host, NULL, &hints, &found)) return false;
        *out = (union socket_address){ 0 };
        bool fits = found->ai_addrlen <= sizeof *out;
        if (fits) memcpy(out, found->ai_addr, found->ai_addrlen);
        freeaddrinfo(found);
        return fits;
}

/* The least of the routes to these that are literal addresses; 0: there is none. */
static uint32_t least_route_mtu(struct netlink *netlink, int ifindex, uint32_t mark,
                                const struct host_endpoint *endpoints, size_t count)
{
        uint32_t least = 0, mtu;

        for (size_t i = 0; i < count; i++) {
                union socket_address address;
                if (!literal_address(endpoints[i].host, &address)) continue;
                if (netlink_route_mtu(netlink, &address, mark, ifindex, &mtu)) continue;
                if (!least || mtu < least) least = mtu;
        }
        return least;
}

uint32_t egress_mtu(struct netlink *netlink, int ifindex, uint32_t mark, const struct host_endpoint *endpoints,
                    size_t count)
{
        /* Addresses that none but a default route leads to: those of RFC 7723, anycast for whoever is next. (0.0.0.0
         * the kernel takes for this host.) Nothing is sent there. */
        static const struct host_endpoint anywhere[] = { { .host = "192.0.0.9" }, { .host = "2001:1::1" } };
        uint32_t mtu = least_route_mtu(netlink, ifindex, mark, endpoints, count);

        return mtu ? mtu : least_route_mtu(netlink, ifindex, mark, anywhere, sizeof anywhere / sizeof anywhere[0]);
}

uint32_t wanted_mtu(struct netlink *netlink, int ifindex, const struct host_state *want)
{
        uint32_t least = has_v6(want) ? MTU_MIN_V6 : MTU_MIN, mtu;

        if (want->mtu) return want->mtu;
        mtu = least_route_mtu(netlink, ifindex, want->fwmark, want->endpoints, want->endpoint_count);
        if (!mtu) return MTU_DEFAULT;
        if (mtu < least + MTU_OVERHEAD) return least;
        return mtu - MTU_OVERHEAD < MTU_MAX ? mtu - MTU_OVERHEAD : MTU_MAX;
}

/* The kernel switches IPv6 off on a link below its minimum, and then refuses its addresses with no more than EINVAL. */
static bool check_mtu(const struct host_state *want, struct host_error *error)
{
        if (!want->mtu || want->mtu >= MTU_MIN_V6 || !has_v6(want)) return true;
        error->error = EINVAL;
        snprintf(error->text, sizeof error->text,
                 "MTU: '%u': IPv6 addresses and routes need at least %d (RFC 8200); raise it, or leave IPv6 out",
                 want->mtu, MTU_MIN_V6);
        return false;
}

/* A table of the link's own is named after the mark: it must be a number that no table of the host has. */
static bool check_own_table(const struct host_state *want, struct host_error *error)
{
        if (want->fwmark && (want->fwmark < RT_TABLE_DEFAULT || want->fwmark > RT_TABLE_LOCAL)) return true;
        error->error = EINVAL;
        snprintf(error->text, sizeof error->text,
                 "a default route with Table = auto needs a FwMark (not 0, 253, 254 or 255): it names the table of "
                 "that route");
        return false;
}

/* What is excluded, as exclude_from() wants it. */
struct excluded {
        struct prefix *list;
        size_t count;
};

static bool copy_excluded(const struct host_state *want, struct excluded *out)
{
        *out = (struct excluded){ 0 };
        if (!want->excluded_count) return true;
        out->list = reallocarray(NULL, want->excluded_count, sizeof *out->list);
        if (!out->list) return false;
        memcpy(out->list, want->excluded, want->excluded_count * sizeof *out->list);
        out->count = exclude_sort(out->list, want->excluded_count);
        return true;
}

static bool add_route(struct plan_state *out, const struct prefix *prefix, uint32_t table)
{
        return plan_add(out, &(struct plan_item){ .kind = PLAN_ROUTE, .prefix = *prefix, .value = table });
}

struct pieces {
        struct plan_state *out;
        uint32_t table;
};

static bool add_piece(void *arg, const struct prefix *prefix)
{
        const struct pieces *pieces = arg;

        return add_route(pieces->out, prefix, pieces->table);
}

/* One route, or those around what is excluded. Each allowed IP for itself, so that another excluded prefix changes no
 * route but those that held it, and 0.0.0.0/1 with its other half does not become a default route. */
static bool add_around(struct plan_state *out, const struct prefix *prefix, const struct excluded *excluded,
                       uint32_t table)
{
        struct pieces pieces = { out, table };

        return exclude_from(prefix, excluded->list, excluded->count, add_piece, &pieces);
}

static bool is_piece(void *arg, const struct prefix *prefix)
{
        (void)arg;
        (void)prefix;
        return false;
}

static bool nothing_left(const struct prefix *prefix, const struct excluded *excluded)
{
        return exclude_from(prefix, excluded->list, excluded->count, is_piece, NULL);
}

/* As wg-quick: the default route in its own table, with rules that send to it what is not marked. Beside it, a throw
 * route sends what is excluded on to the next rules, and so to the main table. */
static bool add_default(struct plan_state *out, const struct prefix *prefix, const struct excluded *excluded,
                        uint32_t mark)
{
        struct plan_item rules = { .kind = PLAN_RULES, .prefix.family = prefix->family, .value = mark, .mark = mark };
        struct plan_item valid_mark = { .kind = PLAN_VALID_MARK, .value = 1 };

        if (!add_route(out, prefix, mark) || !plan_add(out, &rules)) return false;
        for (size_t i = 0; i < excluded->count; i++) {
                struct plan_item item = { .kind = PLAN_THROW, .prefix = excluded->list[i], .value = mark };
                if (item.prefix.family == prefix->family && !plan_add(out, &item)) return false;
        }
        /* rp_filter looks the answers up by their mark only when told to */
        return prefix->family == AF_INET6 || plan_add(out, &valid_mark);
}

static bool add_routes(const struct host_state *want, struct plan_state *out, struct host_error *error)
{
        struct excluded excluded;
        bool ok = false;

        if (!copy_excluded(want, &excluded)) goto no_memory;
        for (size_t i = 0; want->table != TABLE_OFF && i < want->route_count; i++) {
                const struct prefix *route = &want->routes[i];
                bool added;
                if (want->table != TABLE_AUTO) {
                        added = add_around(out, route, &excluded, (uint32_t)want->table);
                } else if (route->length != 0) {
                        added = add_around(out, route, &excluded, RT_TABLE_MAIN);
                } else if (nothing_left(route, &excluded)) {
                        added = true;
                } else {
                        if (!check_own_table(want, error)) goto free_excluded;
                        added = add_default(out, route, &excluded, want->fwmark);
                }
                if (!added) goto no_memory;
        }
        ok = true;
        goto free_excluded;

no_memory:
        *error = (struct host_error){ ENOMEM, "out of memory" };
free_excluded:
        free(excluded.list);
        return ok;
}

static bool has_v4(const struct host_state *want)
{
        for (size_t i = 0; i < want->address_count; i++)
                if (want->addresses[i].family == AF_INET) return true;
        for (size_t i = 0; i < want->route_count; i++)
                if (want->routes[i].family == AF_INET) return true;
        return false;
}

/* A gateway forwards what the link carries: without IPv6 inside, IPv6 of the host stays as it is. */
static bool add_forwarding(const struct host_state *want, struct plan_state *out)
{
        bool gateway = want->masquerade || want->forward == FORWARD_YES || want->forward == FORWARD_NETWORKS;
        struct plan_item v4 = { .kind = PLAN_FORWARDING_V4, .value = 1 };
        struct plan_item v6 = { .kind = PLAN_FORWARDING_V6, .value = 1 };

        if (gateway && has_v4(want) && !plan_add(out, &v4)) return false;
        return !gateway || !has_v6(want) || plan_add(out, &v6);
}

static bool add_link(struct netlink *netlink, int ifindex, const struct host_state *want, struct plan_state *out)
{
        struct plan_item mtu = { .kind = PLAN_MTU, .value = wanted_mtu(netlink, ifindex, want) };
        struct plan_item up = { .kind = PLAN_UP, .value = 1 };

        for (size_t i = 0; i < want->address_count; i++) {
                struct plan_item address = { .kind = PLAN_ADDRESS, .prefix = want->addresses[i] };
                if (!plan_add(out, &address)) return false;
        }
        return plan_add(out, &mtu) && plan_add(out, &up);
}

bool wanted_state(struct netlink *netlink, int ifindex, const struct host_state *want, struct plan_state *out,
                  struct host_error *error)
{
        *out = (struct plan_state){ 0 };
        if (want->managed && !check_mtu(want, error)) return false;
        if (want->managed && (!add_link(netlink, ifindex, want, out) || !add_forwarding(want, out))) {
                *error = (struct host_error){ ENOMEM, "out of memory" };
                goto free_out;
        }
        if (!add_routes(want, out, error)) goto free_out;
        plan_sort(out);
        return true;

free_out:
        plan_free(out);
        return false;
}
