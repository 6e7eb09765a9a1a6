/* The intent, written before it is carried out, so that whoever finds it after a crash can undo it. One text file a
 * link: link wg0 7 4026531840 was mtu 1500 ours route 10.1.0.0/24 table 254 It is replaced as a whole (rename); it lies
 * in /run, so it does not outlive a boot and needs no fsync. */
#ifndef KERNEL_IFACE_JOURNAL_H
#define KERNEL_IFACE_JOURNAL_H

#include "kernel-iface/plan.h"

#include <net/if.h>

struct journal {
        char link[IFNAMSIZ];
        int ifindex;              /* another link of the same name is not the one that was changed */
        uint64_t netns;           /* inode of the network namespace: all share one folder; 0: not known */
        struct plan_state ours;   /* what we added: to be removed */
        struct plan_state before; /* the values that we changed, as they were: to be set again */
};

/* 0 or -errno. */
int journal_write(const char *path, const struct journal *journal);
/* 0, -ENOENT, -EINVAL (not a journal; *journal is empty) or -errno. The caller frees with journal_free(). */
int journal_read(const char *path, struct journal *journal);
void journal_free(struct journal *journal);

/* Of the network namespace that the process is in; 0: it cannot be told. */
uint64_t journal_netns(void);

/* Appends the sysctls that other links of the namespace `netns` hold, as they were before: all that the journals in the
 * same folder tell. Of one that several hold, the first found counts; not sorted. False: no memory. */
bool journal_held(const char *path, uint64_t netns, struct plan_state *held);
/* Whether the journal of another link there names this item as its own. */
bool journal_names(const char *path, uint64_t netns, const struct plan_item *item);
/* The marks of the datagrams that the kill switches of other links of that namespace let out, at most `max`. */
size_t journal_marks(const char *path, uint64_t netns, uint32_t *marks, size_t max);

#endif
