#include "kernel-iface/plan_commands.h"

#include "kernel-iface/firewall.h"
#include "kernel-iface/netlink.h"
#include "kernel-iface/sysctl.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

/* What the commands of all kinds are made of. */
struct words {
        const struct plan_item *item;
        const char *link, *verb; /* "add" or "del" */
        char prefix[INET6_ADDRSTRLEN + 4];
        char version;   /* '4' or '6' */
        char table[24]; /* " table 51820"; of the main table: "" */
        char *text;
        size_t size;
};

static size_t address(const struct words *w)
{
        return (size_t)snprintf(w->text, w->size, "ip address %s %s dev %s\n", w->verb, w->prefix, w->link);
}

static size_t mtu(const struct words *w)
{
        return (size_t)snprintf(w->text, w->size, "ip link set dev %s mtu %u\n", w->link, w->item->value);
}

static size_t up(const struct words *w)
{
        return (size_t)snprintf(w->text, w->size, "ip link set dev %s %s\n", w->link, w->item->value ? "up" : "down");
}

static size_t route(const struct words *w)
{
        return (size_t)snprintf(w->text, w->size, "ip -%c route %s %s dev %s%s proto %d\n", w->version, w->verb,
                                w->prefix, w->link, w->table, RTPROT_ADIT);
}

static size_t throw_route(const struct words *w)
{
        return (size_t)snprintf(w->text, w->size, "ip -%c route %s throw %s%s proto %d\n", w->version, w->verb,
                                w->prefix, w->table, RTPROT_ADIT);
}

static size_t sysctl(const struct words *w)
{
        char name[SYSCTL_NAME];

        sysctl_name(w->item, name);
        return (size_t)snprintf(w->text, w->size, "sysctl -q -w %s=%u\n", name, w->item->value);
}

/* Each new rule stands before all others, so that the one that is added last is asked first. */
static size_t rules(const struct words *w)
{
        return (size_t)snprintf(w->text, w->size,
                                "ip -%c rule %s not fwmark %u table %u protocol %d\n"
                                "ip -%c rule %s not fwmark %u table main suppress_prefixlength 0 protocol %d\n",
                                w->version, w->verb, w->item->mark, w->item->value, RTPROT_ADIT, w->version, w->verb,
                                w->item->mark, RTPROT_ADIT);
}

/* The text of one that is added is not an item's to tell (firewall.h): it follows, and END. What was there is replaced
 * at once, and need not have been there. */
static size_t table(const struct words *w)
{
        char name[FIREWALL_NAME];

        firewall_name(w->item->kind == PLAN_LOCK ? FIREWALL_LOCK : FIREWALL_GATEWAY, w->link, name);
        if (*w->verb == 'd') return (size_t)snprintf(w->text, w->size, "nft delete table inet %s\n", name);
        return (size_t)snprintf(w->text, w->size, "nft -f - <<'END'\ntable inet %s\ndelete table inet %s\n", name,
                                name);
}

/* What is added follows, as commands (dns.h). */
static size_t dns(const struct words *w)
{
        if (*w->verb == 'a') return (size_t)snprintf(w->text, w->size, "%s", "");
        if (w->item->value == DNS_BY_RESOLVED)
                return (size_t)snprintf(w->text, w->size, "resolvectl revert %s\n", w->link);
        return (size_t)snprintf(w->text, w->size, "# /etc/resolv.conf is what it was before %s\n", w->link);
}

static size_t (*const kinds[PLAN_KINDS])(const struct words *w) = {
        [PLAN_LOCK] = table, [PLAN_GATEWAY] = table, [PLAN_ADDRESS] = address,   [PLAN_MTU] = mtu,
        [PLAN_UP] = up,      [PLAN_ROUTE] = route,   [PLAN_THROW] = throw_route, [PLAN_RULES] = rules,
        [PLAN_DNS] = dns,
};

size_t plan_commands(const struct plan_step *step, const char *link, char *text, size_t size)
{
        const struct plan_item *item = &step->item;
        char bytes[INET6_ADDRSTRLEN] = "";
        struct words w = {
                .item = item,
                .link = link,
                .verb = step->add ? "add" : "del",
                .version = item->prefix.family == AF_INET6 ? '6' : '4',
                .text = text,
                .size = size,
        };

        inet_ntop(w.version == '6' ? AF_INET6 : AF_INET, item->prefix.bytes, bytes, sizeof bytes);
        snprintf(w.prefix, sizeof w.prefix, "%s/%u", bytes, item->prefix.length);
        if (item->value != RT_TABLE_MAIN) snprintf(w.table, sizeof w.table, " table %u", item->value);
        return plan_is_sysctl(item->kind) ? sysctl(&w) : kinds[item->kind](&w);
}
