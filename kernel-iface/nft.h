/* nftables tables of family inet in the kernel. What changes them is libnftables, in a child, for it may exit or crash;
 * what is there is asked of the kernel, and that is the verdict. Every call answers 0 or -errno; -EOPNOTSUPP: this
 * kernel has no nftables. */
#ifndef KERNEL_IFACE_NFT_H
#define KERNEL_IFACE_NFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NFT_COMMENT = 64 };

struct nft_table {
        bool there;
        char comment[NFT_COMMENT]; /* "": it has none */
        char marker[NFT_COMMENT];  /* that of the last rule in the chain asked for */
        uint64_t print; /* of all that is in it, and of this very table: anybody's change of a flag, a chain, a policy
                           or a rule makes another; so does the same table made anew */
};

int nft_read(const char *name, const char *chain, struct nft_table *out);

/* Carries out a text in nft's language, one transaction; waits for it 10 s at most. On an error `why` is what nft said
 * of it, one line. */
int nft_run(const char *text, char *why, size_t size);

/* Watches the tables whose name begins with "adit-": a descriptor for epoll, or -errno. nft_watch_read() takes all that
 * is queued. True: one of them was changed (by us too), or news were lost. */
int nft_watch_open(void);
bool nft_watch_read(int fd);

#endif
