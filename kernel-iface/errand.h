/* What may crash, exit or hang is done by a forked child, for so long and no longer: libnftables, D-Bus. */
#ifndef KERNEL_IFACE_ERRAND_H
#define KERNEL_IFACE_ERRAND_H

#include <stddef.h>

/* Runs `errand` in a child that has no descriptor but 0 to 2, the last for what it has to say; its answer is its exit
 * status. Waits `ms` at most, then kills it. 0 when the answer was 0; -EIO: it was not, or the child crashed;
 * -ETIMEDOUT; or -errno. `said` is what it said so far as there is room, with its end. */
int errand_run(int (*errand)(void *arg), void *arg, unsigned ms, char *said, size_t size);

#endif
