#include "kernel-iface/gateway.h"

#include <stdio.h>

/* Of what the route, and the route back, can carry in one packet; only ever less than what is there. */
static void clamp(struct nft_text *out, const char *direction, const char *link)
{
        nft_print(out, "\t\t%s \"%s\" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu\n", direction,
                  link);
}

static void among(struct nft_text *out, const char *direction, const char *link, const char *address,
                  const struct host_state *want)
{
        char v4[64], v6[64];

        snprintf(v4, sizeof v4, "%s \"%s\" ip %s", direction, link, address);
        snprintf(v6, sizeof v6, "%s \"%s\" ip6 %s", direction, link, address);
        nft_print_rule(out, v4, AF_INET, want->forwards, want->forward_count, "accept");
        nft_print_rule(out, v6, AF_INET6, want->forwards, want->forward_count, "accept");
}

static void networks(struct nft_text *out, const char *link, const struct host_state *want)
{
        among(out, "iifname", link, "daddr", want);
        among(out, "oifname", link, "saddr", want);
        nft_print(out, "\t\tct state related meta l4proto { 1, 58 } accept\n");
}

static void forward(struct nft_text *out, const char *link, const struct host_state *want)
{
        nft_print(out, "\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n");
        if (want->forward != FORWARD_NO) {
                clamp(out, "iifname", link);
                clamp(out, "oifname", link);
        }
        if (want->forward == FORWARD_NETWORKS) networks(out, link, want);
        if (want->forward == FORWARD_NETWORKS || want->forward == FORWARD_NO)
                nft_print(out, "\t\tiifname \"%s\" drop\n\t\toifname \"%s\" drop\n", link, link);
        if (want->forward == FORWARD_UNSET)
                nft_print(out,
                          "\t\toifname \"%s\" iifname != \"%s\" ct state != { established, related } "
                          "ct status & dnat == 0 drop\n",
                          link, link);
        nft_print(out, "\t}\n");
}

void gateway_rules(struct nft_text *out, const char *link, const struct host_state *want)
{
        if (!want->masquerade && want->forward == FORWARD_UNSET) return;
        forward(out, link, want);
        if (!want->masquerade) return;
        nft_print(out,
                  "\tchain leaving {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n"
                  "\t\tiifname \"%s\" oifname != \"%s\" masquerade\n\t}\n",
                  link, link);
}
