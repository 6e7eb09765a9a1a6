/* A text in nft's language that grows, and the pieces of it that several of its writers need. Pure but for memory
 * (malloc): without any, `failed` is set and stays, and the text is not to be used. Every rule ends with a newline. No
 * rule counts: its bytes are compared with what they were, to notice who changes them. */
#ifndef KERNEL_IFACE_NFT_TEXT_H
#define KERNEL_IFACE_NFT_TEXT_H

#include "kernel-iface/types.h"

struct nft_text {
        char *bytes; /* ends with '\0'; NULL while nothing was written */
        size_t len, size;
        bool failed;
};

__attribute__((format(printf, 2, 3))) void nft_print(struct nft_text *text, const char *format, ...);
/* "\t\tMATCH { 192.0.2.0/24, ... } VERDICT\n", a rule that names those of `list` that are of this family; none of them
 * lies in another (exclude_sort() sees to that). Nothing when none is. Such a set is the rule's: nobody can change it.
 */
void nft_print_rule(struct nft_text *text, const char *match, uint8_t family, const struct prefix *list, size_t count,
                    const char *verdict);
void nft_text_free(struct nft_text *text);

#endif
