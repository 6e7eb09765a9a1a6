#include "kernel-iface/udp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        SOCKET_BUFFER = 8 << 20, /* FINDINGS: the default loses a fifth of the rate and retransmits */
        PORT_TRIES = 64,         /* a port that IPv4 gave us may be taken in IPv6 */
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
                if (!error) error = set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
        } else {
                error = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
                if (!error) error = set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
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

static void take_control(struct msghdr *msg, struct endpoint *from, uint32_t *overflow)
{
        for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
                if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_PKTINFO) {
                        struct in_pktinfo info;
                        memcpy(&info, CMSG_DATA(cmsg), sizeof info);
                        from->source.in = info.ipi_spec_dst;
                        from->source_ifindex = (uint32_t)info.ipi_ifindex;
                } else if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_PKTINFO) {
                        struct in6_pktinfo info;
                        memcpy(&info, CMSG_DATA(cmsg), sizeof info);
                        from->source.in6 = info.ipi6_addr;
                        from->source_ifindex = info.ipi6_ifindex;
                } else if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SO_RXQ_OVFL && overflow) {
                        memcpy(overflow, CMSG_DATA(cmsg), sizeof *overflow);
                }
        }
}

ssize_t udp_receive(int fd, void *buffer, size_t size, struct endpoint *from, uint32_t *overflow)
{
        union {
                char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(uint32_t)) + 64];
                struct cmsghdr align;
        } control;
        struct iovec iov = { buffer, size };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes };
        ssize_t got;

        *from = (struct endpoint){ 0 };
        msg.msg_name = &from->remote;
        do {
                msg.msg_namelen = sizeof from->remote;
                msg.msg_controllen = sizeof control.bytes;
                got = recvmsg(fd, &msg, 0);
        } while (got < 0 && errno == EINTR);
        if (got < 0) return -errno;
        take_control(&msg, from, overflow);
        return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : got;
}

static bool has_source(const struct endpoint *to)
{
        static const struct endpoint none;

        return to->source_ifindex || memcmp(&to->source, &none.source, sizeof to->source) != 0;
}

/* The control message that names the source; its length, 0 when the kernel is to choose. */
static size_t put_source(struct cmsghdr *cmsg, const struct endpoint *to)
{
        if (!has_source(to)) return 0;
        if (to->remote.family == AF_INET) {
                struct in_pktinfo info = { .ipi_ifindex = (int)to->source_ifindex, .ipi_spec_dst = to->source.in };
                cmsg->cmsg_level = IPPROTO_IP;
                cmsg->cmsg_type = IP_PKTINFO;
                cmsg->cmsg_len = CMSG_LEN(sizeof info);
                memcpy(CMSG_DATA(cmsg), &info, sizeof info);
                return CMSG_SPACE(sizeof info);
        }
        struct in6_pktinfo info = { .ipi6_addr = to->source.in6, .ipi6_ifindex = to->source_ifindex };
        cmsg->cmsg_level = IPPROTO_IPV6;
        cmsg->cmsg_type = IPV6_PKTINFO;
        cmsg->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(cmsg), &info, sizeof info);
        return CMSG_SPACE(sizeof info);
}

static int send_one(int fd, struct endpoint *to, const void *datagram, size_t len)
{
        union {
                char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
                struct cmsghdr align;
        } control = { 0 };
        union {
                const void *in;
                void *out;
        } bytes = { datagram }; /* iovec has no const form */
        struct iovec iov = { bytes.out, len };
        struct msghdr msg = { .msg_name = &to->remote, .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t sent;

        msg.msg_namelen = to->remote.family == AF_INET ? sizeof to->remote.in : sizeof to->remote.in6;
        msg.msg_controllen = put_source(&control.align, to);
        msg.msg_control = msg.msg_controllen ? control.bytes : NULL;
        do
                sent = sendmsg(fd, &msg, MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
        return sent < 0 ? -errno : 0;
}

static bool blames_source(int error)
{
        return error == -ENETUNREACH || error == -EINVAL || error == -ENODEV || error == -EADDRNOTAVAIL;
}

int udp_send(const struct udp_sockets *sockets, struct endpoint *to, const void *datagram, size_t len,
             bool *source_gone)
{
        int fd = to->remote.family == AF_INET ? sockets->v4 : to->remote.family == AF_INET6 ? sockets->v6 : -1;

        *source_gone = false;
        if (fd < 0) return -EAFNOSUPPORT;
        int error = send_one(fd, to, datagram, len);
        /* an ICMP error of an earlier datagram, reported in place of sending this one */
        if (error == -ECONNREFUSED) error = send_one(fd, to, datagram, len);
        if (blames_source(error) && has_source(to)) {
                memset(&to->source, 0, sizeof to->source);
                to->source_ifindex = 0;
                *source_gone = true;
                error = send_one(fd, to, datagram, len);
        }
        return error;
}
