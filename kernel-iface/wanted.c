#include "kernel-iface/wanted.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netdb.h>
#include <stdio.h>
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

static bool add_route(struct plan_state *out, const struct prefix *prefix, uint32_t table)
{
        return plan_add(out, &(struct plan_item){ .kind = PLAN_ROUTE, .prefix = *prefix, .value = table });
}

/* As wg-quick: the default route in its own table, with rules that send to it what is not marked. */
static bool add_default(struct plan_state *out, const struct prefix *prefix, uint32_t mark)
{
        struct plan_item rules = { .kind = PLAN_RULES, .prefix.family = prefix->family, .value = mark, .mark = mark };
        struct plan_item valid_mark = { .kind = PLAN_VALID_MARK, .value = 1 };

        if (!add_route(out, prefix, mark) || !plan_add(out, &rules)) return false;
        /* rp_filter looks the answers up by their mark only when told to */
        return prefix->family == AF_INET6 || plan_add(out, &valid_mark);
}

static bool add_routes(const struct host_state *want, struct plan_state *out, struct host_error *error)
{
        for (size_t i = 0; want->table != TABLE_OFF && i < want->route_count; i++) {
                const struct prefix *route = &want->routes[i];
                bool added;
                if (want->table != TABLE_AUTO) {
                        added = add_route(out, route, (uint32_t)want->table);
                } else if (route->length != 0) {
                        added = add_route(out, route, RT_TABLE_MAIN);
                } else {
                        if (!check_own_table(want, error)) return false;
                        added = add_default(out, route, want->fwmark);
                }
                if (!added) goto no_memory;
        }
        return true;

no_memory:
        *error = (struct host_error){ ENOMEM, "out of memory" };
        return false;
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
        if (want->managed && !add_link(netlink, ifindex, want, out)) {
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
