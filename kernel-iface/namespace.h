/* Network namespaces by their inode, as a journal names the one it is of. */
#ifndef KERNEL_IFACE_NAMESPACE_H
#define KERNEL_IFACE_NAMESPACE_H

#include <stdbool.h>
#include <stdint.h>

enum { NAMESPACE_TEXT = 128 };

/* How a person gets there: "ip netns exec NAME" or "nsenter --net=/proc/PID/ns/net". False: no name of /run/netns and
 * no process that can be seen has it, so it is gone with all that was in it. */
bool namespace_find(uint64_t inode, char enter[NAMESPACE_TEXT]);

#endif
