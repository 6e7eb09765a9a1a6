/* The seccomp filters of the two processes and the resolver, as tables of system calls (rights.c installs them, last of
 * all). All set NoNewPrivs. 0 or -errno. Under ADIT_SANITIZE they do nothing: the sanitizers' runtimes need more. */
#ifndef KERNEL_IFACE_FILTER_H
#define KERNEL_IFACE_FILTER_H

/* Denies with EPERM what the keeper never does; all else goes through. Children inherit it. */
int filter_keeper(void);

/* On top of the keeper's, and for its child alone: denies what would change a file, another process or what other
 * programs of uid 0 do on request; the rest of getaddrinfo() goes through. Call it in the child: it holds its pid. */
int filter_resolver(void);

/* Allows what an event loop on open descriptors needs; anything else kills the process. */
int filter_tunnel(void);

#endif
