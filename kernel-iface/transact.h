/* One request to the kernel over netlink and all its answers, with the kernel's own errno (libnl's codes fold several
 * into one). Inside this room only: netlink.c, rules.c and nft.c are made of it. */
#ifndef KERNEL_IFACE_TRANSACT_H
#define KERNEL_IFACE_TRANSACT_H

#include <netlink/msg.h>
#include <stdbool.h>
#include <stddef.h>

enum { TRANSACT_TRIES = 8 }; /* of a dump that others' changes disturb */

typedef void transact_visit(struct nlmsghdr *header, void *arg);

struct netlink {
        int protocol;
        struct nl_sock *socket;
        struct nl_cb *callbacks;
        /* of the transaction that runs */
        transact_visit *visit;
        void *arg;
        int error;
        bool done;
};

int transact_open(struct netlink *netlink, int protocol); /* NETLINK_ROUTE or NETLINK_NETFILTER; 0 or -errno */
void transact_close(struct netlink *netlink);

/* A message with its fixed header; NULL: no memory. The caller appends attributes. */
struct nl_msg *transact_message(int type, int flags, void *header, size_t len);
/* When an attribute did not fit: frees it, and answers -EMSGSIZE. */
int transact_discard(struct nl_msg *msg);

/* Sends and frees `msg`, calls `visit` (may be NULL) for each answer. 0 or -errno; -EAGAIN: a dump was disturbed by a
 * change and may be incomplete: ask again. */
int transact(struct netlink *netlink, struct nl_msg *msg, transact_visit *visit, void *arg);

#endif
