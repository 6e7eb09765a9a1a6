#include "kernel-iface/udp_message.h"

#include <errno.h>
#include <linux/udp.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        /* The default loses a fifth of the rate and retransmits (FINDINGS). Some 10 ms of what AES-256-GCM carries: as
         * long as another program may have the processor. */
        SOCKET_BUFFER = 16 << 20,
        PORT_TRIES = 64, /* a port that IPv4 gave us may be taken in IPv6 */
};

static int set_int(int fd, int level, int name, int value)
{
        return setsockopt(fd, level, name, &value, sizeof value) ? -errno : 0;
}

static void set_buffer(int fd, int forced, int plain)
{
        if (set_int(fd, SOL_SOCKET, forced, SOCKET_BUFFER)) set_int(fd, SOL_SOCKET, plain, SOCKET_BUFFER);
}

/* DF stays off as in the kernel driver: an outer packet too large for the path is fragmented, not lost. */
static int set_options(int fd, sa_family_t family, uint32_t mark)
{
        int error;

        if (family == AF_INET) {
                error = set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
                if (!error) error = set_int(fd, IPPROTO_IP, IP_RECVTOS, 1);
                if (!error) error = set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
        } else {
                error = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
                if (!error) error = set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
                if (!error) error = set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
                if (!error) error = set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
        }
        if (!error) error = set_int(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
        if (!error && mark) error = set_int(fd, SOL_SOCKET, SO_MARK, (int)mark);
        set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
        set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
        return error;
}

static int open_one(sa_family_t family, uint16_t *port, uint32_t mark)
{
        union socket_address any = { .family = family };
        socklen_t len = family == AF_INET ? sizeof any.in : sizeof any.in6;
        int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
        int error;

        if (fd < 0) return -errno;
        error = set_options(fd, family, mark);
        if (error) goto close_fd;
        /* sin_port and sin6_port lie at the same place */
        any.in.sin_port = htons(*port);
        if (bind(fd, &any.sa, len) || getsockname(fd, &any.sa, &len)) {
                error = -errno;
                goto close_fd;
        }
        *port = ntohs(any.in.sin_port);
        return fd;

close_fd:
        close(fd);
        return error;
}

/* An older kernel would ignore the control message and send the batch as one datagram: ask before the first. 0: the
 * socket's default stays "no segments". */
static uint32_t find_features(int fd, uint32_t gso, uint32_t ecn)
{
        return ecn | (set_int(fd, IPPROTO_UDP, UDP_SEGMENT, 0) ? 0 : gso);
}

static bool lacks_family(int error)
{
        return error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL;
}

static int open_both(struct udp_sockets *sockets, uint16_t port, uint32_t mark)
{
        *sockets = (struct udp_sockets){ .v4 = -1, .v6 = -1, .port = port };
        int v4 = open_one(AF_INET, &sockets->port, mark);
        if (v4 < 0 && !lacks_family(v4)) return v4;
        int v6 = open_one(AF_INET6, &sockets->port, mark);
        if (v6 < 0 && !lacks_family(v6)) {
                if (v4 >= 0) close(v4);
                return v6;
        }
        if (v4 < 0 && v6 < 0) return v4;
        sockets->v4 = v4 < 0 ? -1 : v4;
        sockets->v6 = v6 < 0 ? -1 : v6;
        if (v4 >= 0) sockets->features |= find_features(v4, UDP_GSO4, UDP_ECN4);
        if (v6 >= 0) sockets->features |= find_features(v6, UDP_GSO6, UDP_ECN6);
        return 0;
}

int udp_open(struct udp_sockets *sockets, uint16_t port, uint32_t mark)
{
        int error;

        for (int i = 0; i < PORT_TRIES; i++) {
                error = open_both(sockets, port, mark);
                if (error != -EADDRINUSE || port != 0) break;
        }
        return error;
}

void udp_close(struct udp_sockets *sockets)
{
        if (sockets->v4 >= 0) close(sockets->v4);
        if (sockets->v6 >= 0) close(sockets->v6);
        *sockets = (struct udp_sockets){ .v4 = -1, .v6 = -1 };
}

int udp_set_mark(const struct udp_sockets *sockets, uint32_t mark)
{
        int v4 = sockets->v4 < 0 ? 0 : set_int(sockets->v4, SOL_SOCKET, SO_MARK, (int)mark);
        int v6 = sockets->v6 < 0 ? 0 : set_int(sockets->v6, SOL_SOCKET, SO_MARK, (int)mark);

        return v4 ? v4 : v6;
}

void udp_enable_gro(struct udp_sockets *sockets)
{
        if (sockets->v4 >= 0 && !set_int(sockets->v4, IPPROTO_UDP, UDP_GRO, 1)) sockets->features |= UDP_GRO4;
        if (sockets->v6 >= 0 && !set_int(sockets->v6, IPPROTO_UDP, UDP_GRO, 1)) sockets->features |= UDP_GRO6;
}

ssize_t udp_receive(int fd, void *buffer, size_t size, struct endpoint *from, uint32_t *overflow)
{
        struct udp_received received;
        ssize_t got = udp_receive_message(fd, buffer, size, from, &received, overflow);
        bool coalesced = received.segment && (ssize_t)received.segment < got;

        return received.cut || coalesced ? -EMSGSIZE : got;
}

int udp_send(const struct udp_sockets *sockets, struct endpoint *to, const void *datagram, size_t len,
             bool *source_gone)
{
        struct udp_way way = { .fd = udp_socket_to(sockets, to), .to = to, .source_gone = source_gone };

        *source_gone = false;
        return way.fd < 0 ? -EAFNOSUPPORT : udp_send_message(&way, datagram, len, 0);
}
