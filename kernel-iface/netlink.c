#include "kernel-iface/netlink.h"

#include "kernel-iface/transact.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct netlink *netlink_open(int *error)
{
        struct netlink *netlink = calloc(1, sizeof *netlink);

        *error = netlink ? transact_open(netlink, NETLINK_ROUTE) : -ENOMEM;
        if (*error == 0) return netlink;
        free(netlink);
        return NULL;
}

void netlink_close(struct netlink *netlink)
{
        if (!netlink) return;
        transact_close(netlink);
        free(netlink);
}

static uint8_t family_bytes(uint8_t family)
{
        return family == AF_INET ? 4 : 16;
}

/* links */

bool netlink_parse_link(struct nlmsghdr *header, struct link_info *out)
{
        struct nlattr *attrs[IFLA_MAX + 1];
        struct ifinfomsg *info;

        if (header->nlmsg_type != RTM_NEWLINK && header->nlmsg_type != RTM_DELLINK) return false;
        if (nlmsg_parse(header, sizeof *info, attrs, IFLA_MAX, NULL)) return false;
        info = nlmsg_data(header);
        if (info->ifi_family != AF_UNSPEC) return false; /* a bridge tells of its ports in the same words */
        out->ifindex = info->ifi_index;
        out->up = info->ifi_flags & IFF_UP;
        if (attrs[IFLA_IFNAME]) nla_strlcpy(out->name, attrs[IFLA_IFNAME], sizeof out->name);
        if (attrs[IFLA_MTU]) out->mtu = nla_get_u32(attrs[IFLA_MTU]);
        return true;
}

static void on_link(struct nlmsghdr *header, void *arg)
{
        netlink_parse_link(header, arg);
}

static int get_link(struct netlink *netlink, const char *name, int ifindex, struct link_info *out)
{
        struct ifinfomsg info = { .ifi_index = ifindex };
        struct link_info found = { 0 };
        struct nl_msg *msg = transact_message(RTM_GETLINK, 0, &info, sizeof info);

        if (!msg) return -ENOMEM;
        if (name && nla_put_string(msg, IFLA_IFNAME, name)) return transact_discard(msg);
        int error = transact(netlink, msg, on_link, &found);
        if (error) return error;
        if (!found.ifindex) return -ENODEV;
        *out = found;
        return 0;
}

int netlink_link(struct netlink *netlink, const char *name, struct link_info *out)
{
        return get_link(netlink, name, 0, out);
}

int netlink_link_by_index(struct netlink *netlink, int ifindex, struct link_info *out)
{
        return get_link(netlink, NULL, ifindex, out);
}

int netlink_set_link(struct netlink *netlink, int ifindex, uint32_t mtu, bool up)
{
        struct ifinfomsg info = { .ifi_index = ifindex, .ifi_change = IFF_UP, .ifi_flags = up ? IFF_UP : 0 };
        struct nl_msg *msg = transact_message(RTM_NEWLINK, 0, &info, sizeof info);

        if (!msg) return -ENOMEM;
        if (mtu && nla_put_u32(msg, IFLA_MTU, mtu)) return transact_discard(msg);
        return transact(netlink, msg, NULL, NULL);
}

int netlink_delete_link(struct netlink *netlink, int ifindex)
{
        struct ifinfomsg info = { .ifi_index = ifindex };
        struct nl_msg *msg = transact_message(RTM_DELLINK, 0, &info, sizeof info);

        return msg ? transact(netlink, msg, NULL, NULL) : -ENOMEM;
}

/* addresses */

struct address_list {
        int ifindex;
        struct prefix *out;
        size_t max, count;
};

static void on_address(struct nlmsghdr *header, void *arg)
{
        struct address_list *list = arg;
        struct nlattr *attrs[IFA_MAX + 1];
        struct ifaddrmsg *info;

        if (header->nlmsg_type != RTM_NEWADDR || nlmsg_parse(header, sizeof *info, attrs, IFA_MAX, NULL)) return;
        info = nlmsg_data(header);
        /* with a point-to-point peer, IFA_ADDRESS is the peer's */
        struct nlattr *address = attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS];
        if ((int)info->ifa_index != list->ifindex || !address) return;
        if (info->ifa_family != AF_INET && info->ifa_family != AF_INET6) return;
        if (nla_len(address) != family_bytes(info->ifa_family)) return;
        if (list->count < list->max) {
                struct prefix *prefix = &list->out[list->count];
                *prefix = (struct prefix){ .family = info->ifa_family, .length = info->ifa_prefixlen };
                memcpy(prefix->bytes, nla_data(address), family_bytes(info->ifa_family));
        }
        list->count++;
}

int netlink_addresses(struct netlink *netlink, int ifindex, struct prefix *out, size_t max, size_t *count)
{
        int error = -EAGAIN;

        for (int i = 0; error == -EAGAIN && i < TRANSACT_TRIES; i++) {
                struct ifaddrmsg info = { .ifa_index = (uint32_t)ifindex };
                struct address_list list = { ifindex, out, max, 0 };
                struct nl_msg *msg = transact_message(RTM_GETADDR, NLM_F_DUMP, &info, sizeof info);
                if (!msg) return -ENOMEM;
                error = transact(netlink, msg, on_address, &list);
                *count = list.count;
        }
        if (error) return error;
        return *count > max ? -ENOBUFS : 0;
}

int netlink_change_address(struct netlink *netlink, int ifindex, const struct prefix *address, bool add)
{
        struct ifaddrmsg info = { .ifa_family = address->family,
                                  .ifa_prefixlen = address->length,
                                  .ifa_index = (uint32_t)ifindex };
        struct nl_msg *msg = transact_message(add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_EXCL : 0,
                                              &info, sizeof info);

        if (!msg) return -ENOMEM;
        if (nla_put(msg, IFA_LOCAL, family_bytes(address->family), address->bytes) ||
            nla_put(msg, IFA_ADDRESS, family_bytes(address->family), address->bytes))
                return transact_discard(msg);
        return transact(netlink, msg, NULL, NULL);
}

/* routes */

struct route_list {
        int ifindex;    /* 0: of throw routes */
        uint32_t table; /* of these; 0: all */
        uint8_t family;
        struct link_route *out;
        size_t max, count;
};

static bool is_on_link(const struct rtmsg *info, struct nlattr *const *attrs, uint32_t table, int ifindex)
{
        return info->rtm_type == RTN_UNICAST && table != RT_TABLE_LOCAL && attrs[RTA_OIF] &&
               (int)nla_get_u32(attrs[RTA_OIF]) == ifindex;
}

static void on_route(struct nlmsghdr *header, void *arg)
{
        struct route_list *list = arg;
        struct nlattr *attrs[RTA_MAX + 1];
        struct rtmsg *info;

        if (header->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(header, sizeof *info, attrs, RTA_MAX, NULL)) return;
        info = nlmsg_data(header);
        uint32_t table = attrs[RTA_TABLE] ? nla_get_u32(attrs[RTA_TABLE]) : info->rtm_table;
        if (info->rtm_family != list->family || info->rtm_flags & RTM_F_CLONED) return;
        if (list->ifindex ? !is_on_link(info, attrs, table, list->ifindex)
                          : info->rtm_type != RTN_THROW || (list->table && table != list->table))
                return;
        if (attrs[RTA_DST] && nla_len(attrs[RTA_DST]) != family_bytes(list->family)) return;
        if (list->count < list->max) {
                struct link_route *route = &list->out[list->count];
                *route = (struct link_route){ .table = table, .ours = info->rtm_protocol == RTPROT_ADIT };
                route->prefix.family = list->family;
                route->prefix.length = info->rtm_dst_len;
                if (attrs[RTA_DST]) memcpy(route->prefix.bytes, nla_data(attrs[RTA_DST]), family_bytes(list->family));
        }
        list->count++;
}

/* The kernel sifts by link or table when it knows strict dumps, so that a full Internet table costs nothing here. */
static int dump_routes(struct netlink *netlink, struct route_list *list)
{
        size_t before = list->count;
        int error = -EAGAIN;

        for (int i = 0; error == -EAGAIN && i < TRANSACT_TRIES; i++) {
                struct rtmsg info = { .rtm_family = list->family };
                struct nl_msg *msg = transact_message(RTM_GETROUTE, NLM_F_DUMP, &info, sizeof info);
                if (!msg) return -ENOMEM;
                int full = list->ifindex ? nla_put_u32(msg, RTA_OIF, (uint32_t)list->ifindex)
                           : list->table ? nla_put_u32(msg, RTA_TABLE, list->table)
                                         : 0;
                if (full) return transact_discard(msg);
                list->count = before;
                error = transact(netlink, msg, on_route, list);
        }
        return error;
}

int netlink_routes(struct netlink *netlink, int ifindex, struct link_route *out, size_t max, size_t *count)
{
        struct route_list list = { .ifindex = ifindex, .family = AF_INET, .out = out, .max = max };
        int error = dump_routes(netlink, &list);

        list.family = AF_INET6;
        if (!error) error = dump_routes(netlink, &list);
        *count = list.count;
        if (error) return error;
        return list.count > max ? -ENOBUFS : 0;
}

int netlink_throws(struct netlink *netlink, uint8_t family, uint32_t table, struct link_route *out, size_t max,
                   size_t *count)
{
        struct route_list list = { .table = table, .family = family, .out = out, .max = max };
        int error = dump_routes(netlink, &list);

        *count = list.count;
        if (error) return error == -ENOENT ? 0 : error; /* no such table */
        return list.count > max ? -ENOBUFS : 0;
}

int netlink_change_route(struct netlink *netlink, int ifindex, uint32_t table, const struct prefix *route, bool add)
{
        struct rtmsg info = {
                .rtm_family = route->family,
                .rtm_dst_len = route->length,
                .rtm_table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC,
                .rtm_protocol = RTPROT_ADIT,
                .rtm_type = RTN_UNICAST,
                .rtm_scope = !add                       ? RT_SCOPE_NOWHERE
                             : route->family == AF_INET ? RT_SCOPE_LINK
                                                        : RT_SCOPE_UNIVERSE,
        };
        struct nl_msg *msg = transact_message(add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_EXCL : 0,
                                              &info, sizeof info);

        if (!msg) return -ENOMEM;
        if (nla_put(msg, RTA_DST, family_bytes(route->family), route->bytes) || nla_put_u32(msg, RTA_TABLE, table) ||
            nla_put_u32(msg, RTA_OIF, (uint32_t)ifindex))
                return transact_discard(msg);
        return transact(netlink, msg, NULL, NULL);
}

int netlink_change_throw(struct netlink *netlink, uint32_t table, const struct prefix *route, bool add)
{
        struct rtmsg info = {
                .rtm_family = route->family,
                .rtm_dst_len = route->length,
                .rtm_table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC,
                .rtm_protocol = RTPROT_ADIT,
                .rtm_type = RTN_THROW,
                .rtm_scope = add ? RT_SCOPE_UNIVERSE : RT_SCOPE_NOWHERE,
        };
        struct nl_msg *msg = transact_message(add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_EXCL : 0,
                                              &info, sizeof info);

        if (!msg) return -ENOMEM;
        if (nla_put(msg, RTA_DST, family_bytes(route->family), route->bytes) || nla_put_u32(msg, RTA_TABLE, table))
                return transact_discard(msg);
        return transact(netlink, msg, NULL, NULL);
}

struct route_answer {
        int ifindex;
        uint32_t mtu;
};

static void on_route_answer(struct nlmsghdr *header, void *arg)
{
        struct route_answer *answer = arg;
        struct nlattr *attrs[RTA_MAX + 1], *metrics[RTAX_MAX + 1];
        struct rtmsg *info;

        if (header->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(header, sizeof *info, attrs, RTA_MAX, NULL)) return;
        info = nlmsg_data(header);
        if (info->rtm_type != RTN_UNICAST && info->rtm_type != RTN_LOCAL) return;
        if (attrs[RTA_OIF]) answer->ifindex = (int)nla_get_u32(attrs[RTA_OIF]);
        if (attrs[RTA_METRICS] && nla_parse_nested(metrics, RTAX_MAX, attrs[RTA_METRICS], NULL) == 0 &&
            metrics[RTAX_MTU])
                answer->mtu = nla_get_u32(metrics[RTAX_MTU]);
}

int netlink_route_mtu(struct netlink *netlink, const union socket_address *address, uint32_t mark, int ifindex,
                      uint32_t *mtu)
{
        bool v4 = address->family == AF_INET;
        struct rtmsg info = { .rtm_family = (uint8_t)address->family, .rtm_dst_len = v4 ? 32 : 128 };
        const void *bytes = v4 ? (const void *)&address->in.sin_addr : (const void *)&address->in6.sin6_addr;
        uint32_t scope = v4 ? 0 : address->in6.sin6_scope_id;
        struct route_answer answer = { 0 };
        struct link_info link;
        struct nl_msg *msg = transact_message(RTM_GETROUTE, 0, &info, sizeof info);

        if (!msg) return -ENOMEM;
        if (nla_put(msg, RTA_DST, v4 ? 4 : 16, bytes) || (mark && nla_put_u32(msg, RTA_MARK, mark)) ||
            (scope && nla_put_u32(msg, RTA_OIF, scope)))
                return transact_discard(msg);
        int error = transact(netlink, msg, on_route_answer, &answer);
        if (error) return error == -EHOSTUNREACH ? -ENETUNREACH : error;
        if (!answer.ifindex || answer.ifindex == ifindex) return -ENETUNREACH;
        if (!answer.mtu) {
                error = get_link(netlink, NULL, answer.ifindex, &link);
                if (error) return error;
                answer.mtu = link.mtu;
        }
        *mtu = answer.mtu;
        return 0;
}
