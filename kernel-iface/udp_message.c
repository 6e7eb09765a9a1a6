#include "kernel-iface/udp_message.h"

#include <errno.h>
#include <linux/udp.h>
#include <string.h>
#include <sys/socket.h>

/* Room for all that is put or asked for, and some for what another kernel may add. */
union control {
        char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + 3 * CMSG_SPACE(sizeof(int)) + 64];
        struct cmsghdr align;
};

static void take_one(const struct cmsghdr *cmsg, const void *data, struct endpoint *from, struct udp_received *out)
{
        int value = 0;

        if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_PKTINFO) {
                struct in_pktinfo info;
                memcpy(&info, data, sizeof info);
                from->source.in = info.ipi_spec_dst;
                from->source_ifindex = (uint32_t)info.ipi_ifindex;
        } else if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_PKTINFO) {
                struct in6_pktinfo info;
                memcpy(&info, data, sizeof info);
                from->source.in6 = info.ipi6_addr;
                from->source_ifindex = info.ipi6_ifindex;
        } else if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_TOS) {
                out->ecn = *(const uint8_t *)data & 3; /* one byte, unlike IPv6's */
        } else if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_TCLASS) {
                memcpy(&value, data, sizeof value);
                out->ecn = value & 3;
        } else if (cmsg->cmsg_level == IPPROTO_UDP && cmsg->cmsg_type == UDP_GRO) {
                memcpy(&value, data, sizeof value);
                out->segment = (uint32_t)value;
        }
}

static void take_control(struct msghdr *msg, struct endpoint *from, struct udp_received *out, uint32_t *overflow)
{
        for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
                if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SO_RXQ_OVFL)
                        take_one(cmsg, CMSG_DATA(cmsg), from, out);
                else if (overflow) memcpy(overflow, CMSG_DATA(cmsg), sizeof *overflow);
        }
}

ssize_t udp_receive_message(int fd, void *buffer, size_t size, struct endpoint *from, struct udp_received *out,
                            uint32_t *overflow)
{
        union control control;
        struct iovec iov = { buffer, size };
        struct msghdr msg = {
                .msg_name = &from->remote, .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes
        };
        ssize_t got;

        *from = (struct endpoint){ 0 };
        *out = (struct udp_received){ 0 };
        do {
                msg.msg_namelen = sizeof from->remote;
                msg.msg_controllen = sizeof control.bytes;
                got = recvmsg(fd, &msg, 0);
        } while (got < 0 && errno == EINTR);
        if (got < 0) return -errno;
        take_control(&msg, from, out, overflow);
        out->cut = msg.msg_flags & MSG_TRUNC;
        return got;
}

int udp_socket_to(const struct udp_sockets *sockets, const struct endpoint *to)
{
        return to->remote.family == AF_INET ? sockets->v4 : to->remote.family == AF_INET6 ? sockets->v6 : -1;
}

bool udp_has_source(const struct endpoint *to)
{
        static const struct endpoint none;

        return to->source_ifindex || memcmp(&to->source, &none.source, sizeof to->source) != 0;
}

static bool blames_source(int error)
{
        return error == -ENETUNREACH || error == -EINVAL || error == -ENODEV || error == -EADDRNOTAVAIL;
}

static void put(struct msghdr *msg, union control *control, int level, int type, const void *data, size_t len)
{
        struct cmsghdr *cmsg;

        msg->msg_control = control->bytes;
        cmsg = (struct cmsghdr *)(void *)(control->bytes + msg->msg_controllen);
        cmsg->cmsg_level = level;
        cmsg->cmsg_type = type;
        cmsg->cmsg_len = CMSG_LEN(len);
        memcpy(CMSG_DATA(cmsg), data, len);
        msg->msg_controllen += CMSG_SPACE(len);
}

static void put_source(struct msghdr *msg, union control *control, const struct endpoint *to)
{
        if (to->remote.family == AF_INET) {
                struct in_pktinfo info = { .ipi_ifindex = (int)to->source_ifindex, .ipi_spec_dst = to->source.in };
                put(msg, control, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
        } else {
                struct in6_pktinfo info = { .ipi6_addr = to->source.in6, .ipi6_ifindex = to->source_ifindex };
                put(msg, control, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
        }
}

static int send_once(const struct udp_way *way, int ecn, struct iovec *iov, uint16_t segment)
{
        struct endpoint *to = way->to;
        bool v4 = to->remote.family == AF_INET;
        union control control = { 0 };
        struct msghdr msg = { .msg_name = &to->remote, .msg_iov = iov, .msg_iovlen = 1 };
        ssize_t sent;

        msg.msg_namelen = v4 ? sizeof to->remote.in : sizeof to->remote.in6;
        if (udp_has_source(to)) put_source(&msg, &control, to);
        if (ecn) put(&msg, &control, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS, &ecn, sizeof ecn);
        if (segment) put(&msg, &control, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment);
        do
                sent = sendmsg(way->fd, &msg, MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
        return sent < 0 ? -errno : 0;
}

static void clear_source(struct udp_way *way)
{
        memset(&way->to->source, 0, sizeof way->to->source);
        way->to->source_ifindex = 0;
        *way->source_gone = true;
}

int udp_send_message(struct udp_way *way, const void *bytes, size_t len, uint16_t segment)
{
        union {
                const void *in;
                void *out;
        } data = { bytes }; /* iovec has no const form */
        struct iovec iov = { data.out, len };
        bool refused = false;
        uint8_t ecn = way->ecn;
        int error;

        for (;;) {
                error = send_once(way, ecn, &iov, segment);
                if (error == -ECONNREFUSED && !refused)
                        refused =
                                true; /* an ICMP error of an earlier datagram, reported in place of sending this one */
                else if (error == -EIO && ecn) ecn = 0;
                else if (blames_source(error) && udp_has_source(way->to) && !(segment && error == -EINVAL))
                        clear_source(way);
                else break;
        }
        if (!error) way->ecn = ecn;
        return error;
}
