/* A text in nft's language that grows, and the pieces of it that several of its writers need. Pure but for memory
 * (malloc): without any, `failed` is set and stays, and the text is not to be used. Every rule ends with a newline. */
#ifndef KERNEL_IFACE_NFT_TEXT_H
#define KERNEL_IFACE_NFT_TEXT_H

#include "kernel-iface/types.h"

struct nft_text {
        char *bytes; /* ends with '\0'; NULL while nothing was written */
        size_t len, size;
        bool failed;
};

__attribute__((format(printf, 2, 3))) void nft_print(struct nft_text *text, const char *format, ...);
/* "192.0.2.0/24": as it stands in a rule. */
void nft_print_prefix(struct nft_text *text, const struct prefix *prefix);
/* "\tset NAME { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, ... }; }" of those of `list` that are of
 * this family; none lies in another (exclude_sort() sees to that). False, and nothing is written: none is. */
bool nft_print_set(struct nft_text *text, const char *name, uint8_t family, const struct prefix *list, size_t count);
void nft_text_free(struct nft_text *text);

#endif
