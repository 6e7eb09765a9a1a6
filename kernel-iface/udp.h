/* UDP sockets for IPv4 and IPv6 on one port. Made and configured by the keeper, used by the tunnel process. */
#ifndef KERNEL_IFACE_UDP_H
#define KERNEL_IFACE_UDP_H

#include "kernel-iface/types.h"

#include <sys/types.h>

struct udp_sockets {
        int v4, v6;    /* -1: this host has no such family */
        uint16_t port; /* host byte order */
};

/* Binds both to `port`; 0: any that is free in both. Sets PKTINFO, large buffers (SO_*BUFFORCE), RXQ_OVFL, non-blocking,
 * `mark`, and DF off as the kernel driver. 0 or -errno (EADDRINUSE: names the port in the caller's error). A family the host lacks
 * (EAFNOSUPPORT, or IPv6 disabled) is left at -1; both lacking is an error. */
int udp_open(struct udp_sockets *sockets, uint16_t port, uint32_t mark);
void udp_close(struct udp_sockets *sockets);
int udp_set_mark(const struct udp_sockets *sockets, uint32_t mark);

/* One datagram: bytes, or -errno: -EAGAIN; -EMSGSIZE: it was larger than the buffer and is gone. `from` gets the sender, and our address
 * and interface it came to. *overflow is the socket's count of datagrams the kernel dropped (SO_RXQ_OVFL), unchanged if not told. */
ssize_t udp_receive(int fd, void *buffer, size_t size, struct endpoint *from, uint32_t *overflow);

/* Sends one datagram to->remote from to->source. 0 or -errno. When the source is gone (ENETUNREACH, EINVAL, ENODEV,
 * EADDRNOTAVAIL; on each of them) it clears to->source and retries once without: *source_gone is then true. ECONNREFUSED is retried once. ENOBUFS, EPERM,
 * EMSGSIZE, ENETUNREACH, EHOSTUNREACH are the caller's to count. */
int udp_send(const struct udp_sockets *sockets, struct endpoint *to, const void *datagram, size_t len, bool *source_gone);

#endif
