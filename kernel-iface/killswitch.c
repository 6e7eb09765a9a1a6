#include "kernel-iface/killswitch.h"

#include <stdio.h>
#include <stdlib.h>

static void to_networks(struct nft_text *out, const char *match, const struct prefix *list, size_t count)
{
        char v4[64], v6[64];

        snprintf(v4, sizeof v4, "%sip daddr", match);
        snprintf(v6, sizeof v6, "%sip6 daddr", match);
        nft_print_rule(out, v4, AF_INET, list, count, "accept");
        nft_print_rule(out, v6, AF_INET6, list, count, "accept");
}

/* Of whomever they are. A TUN (its packets have no link-layer header: 65534, ARPHRD_NONE), not a TAP, which may lead
 * to the network as it is. */
static void passing(struct nft_text *out, const char *link, const struct host_state *want)
{
        nft_print(out,
                  "\tchain passing {\n\t\toifname \"%s\" accept\n\t\tmeta oifkind \"tun\" meta oiftype 65534 accept\n",
                  link);
        to_networks(out, "", want->excluded, want->excluded_count);
        nft_print(out, "\t}\n");
}

/* No mark, no rule: it would let everything out. Protocols are numbers: nft finds names in /etc/protocols alone.
 * ICMPv6: discovery is never forwarded, so its hop limit is what it was made with (RFC 4861, 3810). */
static void own(struct nft_text *out, const uint32_t *marks, size_t mark_count)
{
        nft_print(out, "\tchain own {\n\t\toifname \"lo\" accept\n");
        for (size_t i = 0; i < mark_count; i++)
                if (marks[i]) nft_print(out, "\t\tmeta mark %u meta l4proto 17 accept\n", marks[i]);
        nft_print(out, "\t\tmeta nfproto ipv4 udp sport { 67, 68 } udp dport { 67, 68 } accept\n"
                       "\t\tip6 daddr { fe80::/10, ff02::1:2 } udp sport { 546, 547 } udp dport { 546, 547 } accept\n"
                       "\t\ticmpv6 type { 133, 134, 135, 136 } ip6 hoplimit 255 accept\n"
                       "\t\ticmpv6 type { 130, 131, 132, 143 } ip6 hoplimit 1 accept\n"
                       "\t}\n");
}

/* What came out of the link and goes on: where `Forward` says that it may. Of everything, the answers alone. */
static void through(struct nft_text *out, const char *link, const struct host_state *want)
{
        char match[64];

        nft_print(out, "\tchain through {\n");
        if (want->forward == FORWARD_YES)
                nft_print(out, "\t\tiifname \"%s\" ct state established,related accept\n", link);
        snprintf(match, sizeof match, "iifname \"%s\" ", link);
        if (want->forward == FORWARD_NETWORKS) to_networks(out, match, want->forwards, want->forward_count);
        nft_print(out, "\t}\n");
}

static void hook(struct nft_text *out, const char *name, const char *priority, const char *chains)
{
        nft_print(out, "\tchain %s {\n\t\ttype filter hook %s priority %s; policy drop;\n%s\t}\n", name, name, priority,
                  chains);
}

static void arriving_at(struct nft_text *out, const char *match, uint8_t family, const struct host_state *want)
{
        struct prefix *hosts = want->address_count ? calloc(want->address_count, sizeof *hosts) : NULL;

        if (want->address_count && !hosts) out->failed = true;
        for (size_t i = 0; hosts && i < want->address_count; i++) {
                hosts[i] = want->addresses[i];
                hosts[i].length = hosts[i].family == AF_INET ? 32 : 128;
        }
        if (hosts) nft_print_rule(out, match, family, hosts, want->address_count, "drop");
        free(hosts);
}

static void arriving(struct nft_text *out, const char *link, const struct host_state *want)
{
        char v4[80], v6[80];

        snprintf(v4, sizeof v4, "iifname != { \"lo\", \"%s\" } ip daddr", link);
        snprintf(v6, sizeof v6, "iifname != { \"lo\", \"%s\" } ip6 daddr", link);
        nft_print(out, "\tchain arriving {\n\t\ttype filter hook prerouting priority raw; policy accept;\n");
        arriving_at(out, v4, AF_INET, want);
        arriving_at(out, v6, AF_INET6, want);
        nft_print(out, "\t}\n");
}

void killswitch_rules(struct nft_text *out, const char *link, const uint32_t *marks, size_t mark_count,
                      const struct host_state *want)
{
        passing(out, link, want);
        own(out, marks, mark_count);
        through(out, link, want);
        hook(out, "output", "filter", "\t\tjump passing\n\t\tjump own\n");
        hook(out, "forward", "filter", "\t\tjump passing\n\t\tjump through\n");
        hook(out, "postrouting", "300", "\t\tjump passing\n\t\tjump own\n\t\tjump through\n");
        arriving(out, link, want);
}
