/* News of links, addresses, routes and rules, from a socket of their own. */
#include "kernel-iface/netlink.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WATCH_READS = 4096 /* in one go: more than a queue holds, so that a storm cannot keep us for ever */ };

int netlink_watch_open(void)
{
        static const int groups[] = { RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
                                      RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE };
        struct sockaddr_nl own = { .nl_family = AF_NETLINK };
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

        for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
                own.nl_groups |= 1U << (groups[i] - 1);
        if (fd < 0) return -errno;
        if (bind(fd, (struct sockaddr *)&own, sizeof own)) {
                int error = -errno;
                close(fd);
                return error;
        }
        return fd;
}

/* A link that goes down or away takes its IPv4 routes with it, and the kernel says no word of them. News without a
 * flag that changed is of an MTU, or of a carrier. */
static bool link_is_path(struct nlmsghdr *header, int ifindex)
{
        struct ifinfomsg *info = nlmsg_data(header);

        if (!nlmsg_valid_hdr(header, sizeof *info) || info->ifi_family != AF_UNSPEC) return false;
        if (info->ifi_index == ifindex) return false;
        return header->nlmsg_type == RTM_DELLINK || info->ifi_change & IFF_UP || !info->ifi_change;
}

static bool route_is_path(struct nlmsghdr *header, int ifindex)
{
        struct nlattr *attrs[RTA_MAX + 1];
        struct rtmsg *info = nlmsg_data(header);

        if (nlmsg_parse(header, sizeof *info, attrs, RTA_MAX, NULL)) return false;
        if (info->rtm_family != AF_INET && info->rtm_family != AF_INET6) return false; /* multicast's own families */
        if (info->rtm_flags & RTM_F_CLONED || info->rtm_table == RT_TABLE_LOCAL) return false;
        return !attrs[RTA_OIF] || (int)nla_get_u32(attrs[RTA_OIF]) != ifindex; /* of several hops: none */
}

static bool address_is_path(struct nlmsghdr *header, int ifindex)
{
        struct ifaddrmsg *info = nlmsg_data(header);

        return nlmsg_valid_hdr(header, sizeof *info) && (int)info->ifa_index != ifindex;
}

static bool rule_is_path(struct nlmsghdr *header)
{
        struct nlattr *attrs[FRA_MAX + 1];

        if (nlmsg_parse(header, sizeof(struct fib_rule_hdr), attrs, FRA_MAX, NULL)) return false;
        return !attrs[FRA_PROTOCOL] || nla_get_u8(attrs[FRA_PROTOCOL]) != RTPROT_ADIT;
}

/* Whether this news may change the way, or the source address, of our datagrams. */
static bool is_path(struct nlmsghdr *header, int ifindex)
{
        switch (header->nlmsg_type) {
        case RTM_NEWLINK:
        case RTM_DELLINK: return link_is_path(header, ifindex);
        case RTM_NEWROUTE:
        case RTM_DELROUTE: return route_is_path(header, ifindex);
        case RTM_NEWADDR:
        case RTM_DELADDR: return address_is_path(header, ifindex);
        case RTM_NEWRULE:
        case RTM_DELRULE: return rule_is_path(header);
        default: return false;
        }
}

/* What was heard so far. */
struct news {
        struct link_info *out;
        bool changed, paths, left, lost;
};

static void take_news(struct nlmsghdr *header, int len, int ifindex, struct news *news)
{
        for (; nlmsg_ok(header, len); header = nlmsg_next(header, &len)) {
                struct link_info info = { 0 };
                news->paths = news->paths || is_path(header, ifindex);
                if (!netlink_parse_link(header, &info) || info.ifindex != ifindex) continue;
                news->left = header->nlmsg_type == RTM_DELLINK;
                if (news->left) continue;
                info.was_down = !info.up || (news->changed && news->out->was_down);
                *news->out = info;
                news->changed = true;
        }
}

int netlink_watch_read(int fd, int ifindex, struct link_info *out, bool *changed, bool *paths)
{
        union {
                struct nlmsghdr header;
                char bytes[32768]; /* what the kernel makes at most */
        } buffer;
        struct news news = { .out = out };
        int error = 0;

        for (int reads = 0; !error && reads < WATCH_READS; reads++) {
                struct sockaddr_nl from = { 0 };
                socklen_t from_len = sizeof from;
                ssize_t got = recvfrom(fd, &buffer, sizeof buffer, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
                if (got >= 0 && from.nl_pid == 0) take_news(&buffer.header, (int)got, ifindex, &news); /* the kernel */
                else if (got < 0 && errno == ENOBUFS) news.lost = true; /* what did find room is still there */
                else if (got < 0 && errno != EINTR) error = -errno;
        }
        *changed = news.changed;
        *paths = news.paths || news.lost;
        if (error && error != -EAGAIN) return error;
        if (news.left) return -ENODEV;
        return news.lost ? -ENOBUFS : 0;
}
