/* News of links, addresses, routes and rules, from a socket of their own. */
#include "kernel-iface/netlink.h"

#include "kernel-iface/transact.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/socket.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WATCH_READS = 4096 /* in one go: more than a queue holds, so that a storm cannot keep us for ever */ };

/* In the kernel, so that thousands of routes of our own neither wake us nor fill the queue. The filter reads numbers as
 * the network has them. A message of its own comes for each change. */
static int leave_out(int fd, uint32_t port)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWLINK), 3, 0),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(port), 0, 1),
                BPF_STMT(BPF_RET | BPF_K, 0),
                BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        };
        struct sock_fprog program = { .len = sizeof code / sizeof code[0], .filter = code };

        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) ? -errno : 0;
}

int netlink_watch_open(const struct netlink *own)
{
        static const int groups[] = { RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
                                      RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE };
        struct sockaddr_nl all = { .nl_family = AF_NETLINK };
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

        for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
                all.nl_groups |= 1U << (groups[i] - 1);
        if (fd < 0) return -errno;
        int error = own ? leave_out(fd, nl_socket_get_local_port(own->socket)) : 0;
        if (!error && bind(fd, (struct sockaddr *)&all, sizeof all)) error = -errno;
        if (!error) return fd;
        close(fd);
        return error;
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
        if (info->rtm_type == RTN_THROW && info->rtm_protocol == RTPROT_ADIT) return false; /* marked packets pass it */
        return !attrs[RTA_OIF] || (int)nla_get_u32(attrs[RTA_OIF]) != ifindex;              /* of several hops: none */
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

/* What was taken away. */

static void take_prefix(struct prefix *out, uint8_t family, uint8_t length, struct nlattr *address)
{
        *out = (struct prefix){ .family = family, .length = length };
        if (address && nla_len(address) <= (int)sizeof out->bytes)
                memcpy(out->bytes, nla_data(address), (size_t)nla_len(address));
}

/* Gone, or replaced by another's: then it may have been any of the table that leads to the same. */
static void route_lost(struct nlmsghdr *header, int ifindex, const struct netlink_news *news)
{
        struct nlattr *attrs[RTA_MAX + 1];
        struct rtmsg *info = nlmsg_data(header);
        struct netlink_loss loss = { .item.kind = PLAN_ROUTE, .port = header->nlmsg_pid };
        bool gone = header->nlmsg_type == RTM_DELROUTE;

        if (gone ? info->rtm_protocol != RTPROT_ADIT : !(header->nlmsg_flags & NLM_F_REPLACE)) return;
        if (nlmsg_parse(header, sizeof *info, attrs, RTA_MAX, NULL)) return;
        take_prefix(&loss.item.prefix, info->rtm_family, info->rtm_dst_len, attrs[RTA_DST]);
        loss.item.value = attrs[RTA_TABLE] ? nla_get_u32(attrs[RTA_TABLE]) : info->rtm_table;
        bool on_link = info->rtm_type == RTN_UNICAST && attrs[RTA_OIF] && (int)nla_get_u32(attrs[RTA_OIF]) == ifindex;
        if (gone ? on_link : !on_link) news->on_loss(&loss, news->arg);
        loss.item.kind = PLAN_THROW;
        if (gone ? info->rtm_type == RTN_THROW : info->rtm_type != RTN_THROW) news->on_loss(&loss, news->arg);
}

static void address_lost(struct nlmsghdr *header, int ifindex, const struct netlink_news *news)
{
        struct nlattr *attrs[IFA_MAX + 1];
        struct ifaddrmsg *info = nlmsg_data(header);
        struct netlink_loss loss = { .item.kind = PLAN_ADDRESS, .port = header->nlmsg_pid };

        if (nlmsg_parse(header, sizeof *info, attrs, IFA_MAX, NULL) || (int)info->ifa_index != ifindex) return;
        take_prefix(&loss.item.prefix, info->ifa_family, info->ifa_prefixlen,
                    attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS]);
        news->on_loss(&loss, news->arg);
}

/* One of the two. Their table has the mark's number (wanted.c). */
static void rule_lost(struct nlmsghdr *header, const struct netlink_news *news)
{
        struct nlattr *attrs[FRA_MAX + 1];
        struct fib_rule_hdr *info = nlmsg_data(header);
        struct netlink_loss loss = { .item.kind = PLAN_RULES, .port = header->nlmsg_pid };

        if (nlmsg_parse(header, sizeof *info, attrs, FRA_MAX, NULL)) return;
        if (!attrs[FRA_PROTOCOL] || nla_get_u8(attrs[FRA_PROTOCOL]) != RTPROT_ADIT || !attrs[FRA_FWMARK]) return;
        loss.item.prefix.family = info->family;
        loss.item.mark = loss.item.value = nla_get_u32(attrs[FRA_FWMARK]);
        news->on_loss(&loss, news->arg);
}

static void tell_loss(struct nlmsghdr *header, int ifindex, const struct netlink_news *news)
{
        switch (header->nlmsg_type) {
        case RTM_NEWROUTE:
        case RTM_DELROUTE:
                if (nlmsg_valid_hdr(header, sizeof(struct rtmsg))) route_lost(header, ifindex, news);
                break;
        case RTM_DELADDR: address_lost(header, ifindex, news); break;
        case RTM_DELRULE: rule_lost(header, news); break;
        default: break;
        }
}

/* Answers whether the link left, by the last that was said of it. */
static bool take_news(struct nlmsghdr *header, int len, int ifindex, struct netlink_news *news, bool left)
{
        for (; nlmsg_ok(header, len); header = nlmsg_next(header, &len)) {
                struct link_info info = { 0 };
                news->paths = news->paths || is_path(header, ifindex);
                if (news->on_loss) tell_loss(header, ifindex, news);
                if (!netlink_parse_link(header, &info) || info.ifindex != ifindex) continue;
                left = header->nlmsg_type == RTM_DELLINK;
                if (left) continue;
                info.was_down = !info.up || (news->changed && news->link.was_down);
                news->link = info;
                news->changed = true;
        }
        return left;
}

int netlink_watch_read(int fd, int ifindex, struct netlink_news *news)
{
        union {
                struct nlmsghdr header;
                char bytes[32768]; /* what the kernel makes at most */
        } buffer;
        bool lost = false, left = false;
        int error = 0;

        news->changed = news->paths = false;
        for (int reads = 0; !error && reads < WATCH_READS; reads++) {
                struct sockaddr_nl from = { 0 };
                socklen_t from_len = sizeof from;
                ssize_t got = recvfrom(fd, &buffer, sizeof buffer, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
                if (got >= 0 && from.nl_pid == 0) left = take_news(&buffer.header, (int)got, ifindex, news, left);
                else if (got < 0 && errno == ENOBUFS) lost = true; /* what did find room is still there */
                else if (got < 0 && errno != EINTR) error = -errno;
        }
        if (lost) news->paths = true;
        if (error && error != -EAGAIN) return error;
        if (left) return -ENODEV;
        return lost ? -ENOBUFS : 0;
}
