/* Reads the configuration files in a child of the keeper, so that no key ever lies in the keeper's memory. The child
 * answers on a socketpair exactly as adit would on the control socket: a CONTROL_APPLY request with its two
 * descriptors; or, when the files are wrong, a control_reply that says so. */
#ifndef DAEMON_LOADER_H
#define DAEMON_LOADER_H

#include <stdbool.h>

/* The descriptor to read the answer from (SOCK_SEQPACKET), or -errno. Before the keeper confines itself the child reads
 * with all of root's rights; later, on SIGHUP, it can read what root owns. Without `keys`, for who wants to know the
 * host's state alone, no key file is read: it need not be there. */
int loader_start(const char *path, bool keys);

#endif
