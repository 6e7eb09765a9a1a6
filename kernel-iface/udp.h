/* UDP sockets for IPv4 and IPv6 on one port. Made and configured by the keeper, used by the tunnel process. */
#ifndef KERNEL_IFACE_UDP_H
#define KERNEL_IFACE_UDP_H

#include "kernel-iface/types.h"

#include <sys/types.h>

/* What the kernel does for a socket. Found out by udp_open; a bit that turns out wrong is cleared for good while
 * sending. */
enum udp_feature {
        UDP_GSO4 = 1 << 0, /* UDP_SEGMENT: one sendmsg carries many datagrams */
        UDP_GSO6 = 1 << 1,
        UDP_ECN4 = 1 << 2, /* takes the ECN bits with a datagram (Android does not) */
        UDP_ECN6 = 1 << 3,
        UDP_GRO4 = 1 << 4, /* switched on by udp_enable_gro: a read may hold many datagrams */
        UDP_GRO6 = 1 << 5,
};

/* The features go where the descriptors go: without them (0) everything works, one datagram at a time and Not-ECT. */
struct udp_sockets {
        int v4, v6;        /* -1: this host has no such family */
        uint16_t port;     /* host byte order */
        uint32_t features; /* enum udp_feature; read and cleared atomically, so threads may send on one struct */
};

/* Of one UDP_SEGMENT batch. The whole skb must stay below 65536, and other receivers overflow above 64 datagrams. */
enum { UDP_BATCH_BYTES = 65000, UDP_BATCH_SEGMENTS = 64, UDP_READ_MAX = 65535 };

/* Binds both to `port`; 0: any that is free in both. Sets PKTINFO, large buffers (SO_*BUFFORCE), RXQ_OVFL,
 * non-blocking, `mark`, and DF off as the kernel driver. 0 or -errno (EADDRINUSE: names the port in the caller's
 * error). A family the host lacks (EAFNOSUPPORT, or IPv6 disabled) is left at -1; both lacking is an error. */
int udp_open(struct udp_sockets *sockets, uint16_t port, uint32_t mark);
void udp_close(struct udp_sockets *sockets);
int udp_set_mark(const struct udp_sockets *sockets, uint32_t mark);

/* One datagram: bytes, or -errno: -EAGAIN; -EMSGSIZE: it was larger than the buffer and is gone. `from` gets the
 * sender, and our address and interface it came to. *overflow is the socket's count of datagrams the kernel dropped
 * (SO_RXQ_OVFL), unchanged if not told. */
ssize_t udp_receive(int fd, void *buffer, size_t size, struct endpoint *from, uint32_t *overflow);

/* Sends one datagram to->remote from to->source. 0 or -errno. When the source is gone (ENETUNREACH, EINVAL, ENODEV,
 * EADDRNOTAVAIL; on each of them) it clears to->source and retries once without: *source_gone is then true.
 * ECONNREFUSED is retried once. ENOBUFS, EPERM, EMSGSIZE, ENETUNREACH, EHOSTUNREACH are the caller's to count. */
int udp_send(const struct udp_sockets *sockets, struct endpoint *to, const void *datagram, size_t len,
             bool *source_gone);

/* Switches UDP_GRO on where the kernel has it, else does nothing. From then on only udp_receive_segments reads these
 * sockets: udp_receive would answer -EMSGSIZE for a coalesced read. By the keeper: the tunnel process may set no
 * option. */
void udp_enable_gro(struct udp_sockets *sockets);

/* Sends `len` bytes that hold datagrams one after the other, all of `segment` bytes but the last (1..segment; segment
 * 0: it is one datagram), in order, in as few calls as the kernel lets us. What fails as a batch is sent again one by
 * one, so that nothing is lost for being in a batch; when that shows UDP_SEGMENT or ECN to be at fault, the feature is
 * cleared. `ecn`: 0..3, RFC 3168, of the outer header. `to` and *source_gone as in udp_send. 0: all went out. Else the
 * first -errno, and *sent tells how many did; the caller counts the others as lost. -EAGAIN: nothing was tried past the
 * first *sent datagrams: poll and go on there, or drop them. */
int udp_send_segments(struct udp_sockets *sockets, struct endpoint *to, const uint8_t *bytes, size_t len,
                      size_t segment, uint8_t ecn, bool *source_gone, unsigned *sent);

/* One read: bytes, or -errno as udp_receive. *segment 0: one datagram; else many, of that size but the last
 * (1..*segment). `size` is UDP_READ_MAX or more, or coalesced reads are cut short and lost (-EMSGSIZE). *ecn: 0..3, the
 * outer header's. */
ssize_t udp_receive_segments(int fd, void *buffer, size_t size, struct endpoint *from, uint16_t *segment, uint8_t *ecn,
                             uint32_t *overflow);

#endif
