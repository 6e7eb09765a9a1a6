/* The policy rules of a link with a default route. libnl's rule objects lack invert, suppress_prefixlength and
 * protocol, so the messages are written here, attribute by attribute. */
#include "kernel-iface/netlink.h"

#include "kernel-iface/transact.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

enum { NO_SUPPRESSION = 0xffffffff, COPIES_MAX = 64 };

/* Both carry "not fwmark MARK": marked packets would find the main table anyway, and it tells one link's pair from
 * another's. */
struct rule {
        uint8_t family;
        uint32_t mark, table;
        uint32_t suppress; /* prefix lengths up to this are passed over */
};

static struct rule main_rule(uint8_t family, uint32_t mark)
{
        return (struct rule){ family, mark, RT_TABLE_MAIN, 0 };
}

static struct rule table_rule(uint8_t family, uint32_t mark, uint32_t table)
{
        return (struct rule){ family, mark, table, (uint32_t)NO_SUPPRESSION };
}

static int change(struct netlink *netlink, const struct rule *rule, bool add)
{
        struct fib_rule_hdr header = {
                .family = rule->family,
                .action = FR_ACT_TO_TBL,
                .flags = FIB_RULE_INVERT,
                .table = rule->table < 256 ? (uint8_t)rule->table : RT_TABLE_UNSPEC,
        };
        struct nl_msg *msg = transact_message(add ? RTM_NEWRULE : RTM_DELRULE, add ? NLM_F_CREATE | NLM_F_EXCL : 0,
                                              &header, sizeof header);

        if (!msg) return -ENOMEM;
        if (nla_put_u32(msg, FRA_FWMARK, rule->mark) || nla_put_u32(msg, FRA_FWMASK, 0xffffffff) ||
            nla_put_u32(msg, FRA_TABLE, rule->table) || nla_put_u8(msg, FRA_PROTOCOL, RTPROT_ADIT))
                return transact_discard(msg);
        if (rule->suppress != (uint32_t)NO_SUPPRESSION && nla_put_u32(msg, FRA_SUPPRESS_PREFIXLEN, rule->suppress))
                return transact_discard(msg);
        return transact(netlink, msg, NULL, NULL);
}

struct rule_search {
        struct rule rule;
        unsigned copies;
        uint32_t priority; /* of the last copy */
};

static uint32_t get_u32(struct nlattr *attr, uint32_t otherwise)
{
        return attr ? nla_get_u32(attr) : otherwise;
}

static void on_rule(struct nlmsghdr *header, void *arg)
{
        struct rule_search *search = arg;
        struct nlattr *attrs[FRA_MAX + 1];
        struct fib_rule_hdr *info;

        if (header->nlmsg_type != RTM_NEWRULE || nlmsg_parse(header, sizeof *info, attrs, FRA_MAX, NULL)) return;
        info = nlmsg_data(header);
        if (info->family != search->rule.family || info->action != FR_ACT_TO_TBL) return;
        if (!(info->flags & FIB_RULE_INVERT) || get_u32(attrs[FRA_FWMARK], 0) != search->rule.mark) return;
        if (!attrs[FRA_PROTOCOL] || nla_get_u8(attrs[FRA_PROTOCOL]) != RTPROT_ADIT) return;
        if (get_u32(attrs[FRA_TABLE], info->table) != search->rule.table) return;
        if (get_u32(attrs[FRA_SUPPRESS_PREFIXLEN], (uint32_t)NO_SUPPRESSION) != search->rule.suppress) return;
        search->copies++;
        search->priority = get_u32(attrs[FRA_PRIORITY], 0);
}

static int find(struct netlink *netlink, struct rule rule, struct rule_search *search)
{
        int error = -EAGAIN;

        for (int i = 0; error == -EAGAIN && i < TRANSACT_TRIES; i++) {
                struct fib_rule_hdr header = { .family = rule.family };
                struct nl_msg *msg = transact_message(RTM_GETRULE, NLM_F_DUMP, &header, sizeof header);
                if (!msg) return -ENOMEM;
                *search = (struct rule_search){ .rule = rule };
                error = transact(netlink, msg, on_rule, search);
        }
        return error;
}

int netlink_rules(struct netlink *netlink, uint8_t family, uint32_t mark, uint32_t table, enum rules_state *state)
{
        struct rule_search in_main, in_table;
        int error = find(netlink, main_rule(family, mark), &in_main);

        if (!error) error = find(netlink, table_rule(family, mark, table), &in_table);
        if (error) return error;
        if (in_main.copies == 1 && in_table.copies == 1 && in_main.priority < in_table.priority) *state = RULES_WHOLE;
        else *state = in_main.copies || in_table.copies ? RULES_BROKEN : RULES_NONE;
        return 0;
}

/* How many copies were removed, or -errno. */
static int remove_all(struct netlink *netlink, const struct rule *rule)
{
        int error = 0, removed = 0;

        while (removed < COPIES_MAX && (error = change(netlink, rule, false)) == 0)
                removed++;
        return error && error != -ENOENT ? error : removed;
}

static int remove_pair(struct netlink *netlink, const struct rule *first, const struct rule *second)
{
        int a = remove_all(netlink, first), b = remove_all(netlink, second);

        if (a < 0 || b < 0) return a < 0 ? a : b;
        return a + b ? 0 : -ENOENT;
}

int netlink_change_rules(struct netlink *netlink, uint8_t family, uint32_t mark, uint32_t table, bool add)
{
        struct rule in_main = main_rule(family, mark), in_table = table_rule(family, mark, table);
        enum rules_state state;
        int error;

        if (!add) return remove_pair(netlink, &in_table, &in_main);
        error = netlink_rules(netlink, family, mark, table, &state);
        if (error || state == RULES_WHOLE) return error;
        /* A half that is there would stand on the wrong side of the other: begin anew. The kernel puts a new rule
         * before all others. */
        error = remove_pair(netlink, &in_table, &in_main);
        if (error && error != -ENOENT) return error;
        error = change(netlink, &in_table, true);
        if (error) return error;
        error = change(netlink, &in_main, true);
        if (error) remove_all(netlink, &in_table);
        return error;
}

/* all of ours */

struct marked_list {
        struct marked_rule *out;
        size_t max, count;
};

static void on_marked_rule(struct nlmsghdr *header, void *arg)
{
        struct marked_list *list = arg;
        struct nlattr *attrs[FRA_MAX + 1];
        struct fib_rule_hdr *info;

        if (header->nlmsg_type != RTM_NEWRULE || nlmsg_parse(header, sizeof *info, attrs, FRA_MAX, NULL)) return;
        info = nlmsg_data(header);
        if (!attrs[FRA_PROTOCOL] || nla_get_u8(attrs[FRA_PROTOCOL]) != RTPROT_ADIT) return;
        if (list->count < list->max)
                list->out[list->count] = (struct marked_rule){ info->family, get_u32(attrs[FRA_FWMARK], 0),
                                                               get_u32(attrs[FRA_TABLE], info->table) };
        list->count++;
}

static int list_marked_rules(struct netlink *netlink, uint8_t family, struct marked_list *list)
{
        size_t before = list->count;
        int error = -EAGAIN;

        for (int i = 0; error == -EAGAIN && i < TRANSACT_TRIES; i++) {
                struct fib_rule_hdr header = { .family = family };
                struct nl_msg *msg = transact_message(RTM_GETRULE, NLM_F_DUMP, &header, sizeof header);
                if (!msg) return -ENOMEM;
                list->count = before;
                error = transact(netlink, msg, on_marked_rule, list);
        }
        return error;
}

int netlink_marked_rules(struct netlink *netlink, struct marked_rule *out, size_t max, size_t *count)
{
        struct marked_list list = { .out = out, .max = max };
        int error = list_marked_rules(netlink, AF_INET, &list);

        if (!error) error = list_marked_rules(netlink, AF_INET6, &list);
        *count = list.count;
        if (error) return error;
        return list.count > max ? -ENOBUFS : 0;
}

/* numbers that are taken */

struct use_search {
        uint32_t number;
        bool found;
};

static void on_any_rule(struct nlmsghdr *header, void *arg)
{
        struct use_search *search = arg;
        struct nlattr *attrs[FRA_MAX + 1];
        struct fib_rule_hdr *info;

        if (header->nlmsg_type != RTM_NEWRULE || nlmsg_parse(header, sizeof *info, attrs, FRA_MAX, NULL)) return;
        info = nlmsg_data(header);
        uint32_t mark = get_u32(attrs[FRA_FWMARK], 0), mask = get_u32(attrs[FRA_FWMASK], 0xffffffff);
        bool table = info->action == FR_ACT_TO_TBL && get_u32(attrs[FRA_TABLE], info->table) == search->number;
        if (table || (mark && (search->number & mask) == mark)) search->found = true;
}

static void on_any_route(struct nlmsghdr *header, void *arg)
{
        struct use_search *search = arg;
        struct nlattr *attrs[RTA_MAX + 1];
        struct rtmsg *info;

        if (header->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(header, sizeof *info, attrs, RTA_MAX, NULL)) return;
        info = nlmsg_data(header);
        if (get_u32(attrs[RTA_TABLE], info->rtm_table) == search->number) search->found = true;
}

static int search_rules(struct netlink *netlink, uint8_t family, struct use_search *search)
{
        struct fib_rule_hdr header = { .family = family };
        struct nl_msg *msg = transact_message(RTM_GETRULE, NLM_F_DUMP, &header, sizeof header);

        return msg ? transact(netlink, msg, on_any_rule, search) : -ENOMEM;
}

static int search_routes(struct netlink *netlink, uint8_t family, struct use_search *search)
{
        struct rtmsg header = { .rtm_family = family };
        struct nl_msg *msg = transact_message(RTM_GETROUTE, NLM_F_DUMP, &header, sizeof header);

        if (!msg) return -ENOMEM;
        if (nla_put_u32(msg, RTA_TABLE, search->number)) return transact_discard(msg); /* sifted there, or here */
        int error = transact(netlink, msg, on_any_route, search);
        return error == -ENOENT ? 0 : error; /* no such table */
}

int netlink_mark_used(struct netlink *netlink, uint32_t number, bool *used)
{
        static const uint8_t families[] = { AF_INET, AF_INET6 };
        struct use_search search = { .number = number };

        for (size_t i = 0; i < sizeof families && !search.found; i++) {
                int error = -EAGAIN;
                for (int tries = 0; error == -EAGAIN && tries < TRANSACT_TRIES; tries++)
                        error = search_rules(netlink, families[i], &search);
                if (error) return error;
                error = -EAGAIN;
                for (int tries = 0; error == -EAGAIN && !search.found && tries < TRANSACT_TRIES; tries++)
                        error = search_routes(netlink, families[i], &search);
                if (error && !search.found) return error;
        }
        *used = search.found;
        return 0;
}
