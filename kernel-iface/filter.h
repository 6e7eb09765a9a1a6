/* The seccomp filters of the two processes, as tables of system calls (rights.c installs them, last of all).
 * Both set NoNewPrivs. 0 or -errno. Under ADIT_SANITIZE they do nothing: the sanitizers' runtimes need more. */
#ifndef KERNEL_IFACE_FILTER_H
#define KERNEL_IFACE_FILTER_H

/* Denies with EPERM what the keeper never does; all else goes through. Children inherit it. */
int filter_keeper(void);

/* Allows what an event loop on open descriptors needs; anything else kills the process. */
int filter_tunnel(void);

#endif
