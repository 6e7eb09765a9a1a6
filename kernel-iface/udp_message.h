/* One sendmsg or recvmsg with its control messages, and the remedies for what a send can fail of. Inside of
 * kernel-iface/udp*. */
#ifndef KERNEL_IFACE_UDP_MESSAGE_H
#define KERNEL_IFACE_UDP_MESSAGE_H

#include "kernel-iface/udp.h"

/* Where datagrams go, and how. */
struct udp_way {
        int fd;
        struct endpoint *to;
        uint8_t ecn;       /* set to 0 when the socket was found to refuse the control message */
        bool *source_gone; /* set when the source was cleared */
};

/* What a read's control messages told. */
struct udp_received {
        uint32_t segment; /* 0: one datagram */
        uint8_t ecn;
        bool cut; /* larger than the buffer */
};

/* -1: none of the family. */
int udp_socket_to(const struct udp_sockets *sockets, const struct endpoint *to);

bool udp_has_source(const struct endpoint *to);

/* Sends one datagram (segment 0) or a batch. Each remedy is tried once: again after ECONNREFUSED, without ECN after
 * EIO, without the source when it is gone. EINVAL of a batch may blame UDP_SEGMENT as well, so that one is the caller's
 * to find out. 0 or -errno. */
int udp_send_message(struct udp_way *way, const void *bytes, size_t len, uint16_t segment);

/* Bytes or -errno. */
ssize_t udp_receive_message(int fd, void *buffer, size_t size, struct endpoint *from, struct udp_received *out,
                            uint32_t *overflow);

#endif
