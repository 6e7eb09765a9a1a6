#include "kernel-iface/gateway.h"

void gateway_rules(struct nft_text *out, const char *link, uint32_t mark, const struct host_state *want)
{
        (void)out;
        (void)link;
        (void)mark;
        (void)want;
}
