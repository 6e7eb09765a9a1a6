#include "kernel-iface/tun.h"

#include "kernel-iface/checksum.h"
#include "kernel-iface/offload.h"
#include "kernel-iface/offload_wire.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Kernel 6.2; the headers of Debian 12 are of 6.1. */
#ifndef TUN_F_USO4
#        define TUN_F_USO4 0x20
#        define TUN_F_USO6 0x40
#endif

enum { KNOWN_OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6 };

enum { PROBE_PAYLOAD = 512 };

static_assert(sizeof(struct virtio_net_hdr) == VNET_HEADER_LEN, "the kernel's default vnet header");

int tun_open(struct tun *tun, const char *name)
{
        /* EXCL: attaching to a device that somebody else made would make its settings ours. */
        struct ifreq request = { .ifr_flags = (short)(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL) };
        int error;

        *tun = (struct tun){ .fd = -1 };
        if (strlen(name) >= IFNAMSIZ) return -EINVAL;
        strcpy(request.ifr_name, name);

        int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) return -errno;
        if (ioctl(fd, TUNSETIFF, &request)) goto close_fd;
        tun->fd = fd;
        memcpy(tun->name, request.ifr_name, IFNAMSIZ);
        tun->name[IFNAMSIZ - 1] = 0;
        return 0;

close_fd:
        error = -errno;
        close(fd);
        return error;
}

int tun_set_offloads(struct tun *tun, unsigned offloads)
{
        if (offloads & ~(unsigned)KNOWN_OFFLOADS) return -EINVAL;
        if (ioctl(tun->fd, TUNSETOFFLOAD, (unsigned long)offloads)) return -errno;
        tun->offloads = offloads;
        return 0;
}

unsigned tun_probe_offloads(int fd)
{
        /* USO4 alone is refused (FINDINGS), and all is without CSUM, whose turn comes first */
        static const unsigned wanted[] = { TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_USO4 | TUN_F_USO6 };
        unsigned found = 0;

        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
                if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)(found | wanted[i])) == 0) found |= wanted[i];
        return found; /* a refusal left in force what was before */
}

/* A packet from loopback to loopback, which no stack takes from another interface. Checksum and lengths are right. */
static size_t probe_packet(uint8_t *packet, bool four, bool tcp, bool second)
{
        size_t ip_len = four ? IP4_LEN : IP6_LEN, len = ip_len + (tcp ? TCP_LEN : UDP_LEN) + PROBE_PAYLOAD;
        uint8_t *transport = packet + ip_len, protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;

        memset(packet, 0, len);
        packet[0] = four ? 0x45 : 0x60;
        packet[four ? IP4_PROTOCOL : IP6_NEXT] = protocol;
        packet[four ? IP4_TTL : IP6_HOPS] = 1;
        for (size_t at = four ? IP4_ADDRESSES : IP6_ADDRESSES; at < ip_len; at += four ? 4 : 16) {
                packet[at] = four ? 127 : 0;
                packet[at + (four ? 3 : 15)] = 1;
        }
        if (four) put16(packet + IP4_FRAGMENT, IP4_DF);
        ip_set_length(packet, len);
        if (tcp) {
                put32(transport + TCP_SEQ, second ? PROBE_PAYLOAD : 0);
                transport[TCP_OFFSET] = TCP_LEN / 4 << 4;
        } else {
                put16(transport + UDP_LENGTH, len - ip_len);
        }
        uint64_t sum = pseudo_sum(packet, protocol) + sum_of(len - ip_len) + checksum_sum(transport, len - ip_len);
        put_checksum(transport + (tcp ? TCP_CHECK : UDP_CHECK), sum);
        return len;
}

static bool takes(int fd, enum offload_feature feature)
{
        bool four = feature & (OFFLOAD_TCP4 | OFFLOAD_UDP4), tcp = feature & (OFFLOAD_TCP4 | OFFLOAD_TCP6);
        uint8_t bytes[2][IP6_LEN + TCP_LEN + PROBE_PAYLOAD];
        struct offload_packet packets[2];
        struct offload_group groups[2];
        struct iovec iov[3];

        for (int i = 0; i < 2; i++)
                packets[i] =
                        (struct offload_packet){ .bytes = bytes[i], .len = probe_packet(bytes[i], four, tcp, i == 1) };
        if (offload_coalesce(packets, 2, groups, feature) != 1) return false;
        int error = tun_writev(fd, iov, offload_group_iov(&groups[0], packets, iov, 3));
        return error == 0 || error == -EIO; /* the vnet header is looked at before the state of the interface */
}

unsigned tun_probe_writes(int fd)
{
        unsigned found = 0;

        for (unsigned feature = OFFLOAD_TCP4; feature <= OFFLOAD_UDP6; feature <<= 1)
                if (takes(fd, feature)) found |= feature;
        return found;
}

ssize_t tun_read(int fd, void *buffer, size_t size)
{
        ssize_t got;

        do
                got = read(fd, buffer, size);
        while (got < 0 && errno == EINTR);
        return got < 0 ? -errno : got;
}

int tun_write(int fd, uint8_t *packet, size_t len)
{
        ssize_t sent;

        memset(packet - VNET_HEADER_LEN, 0, VNET_HEADER_LEN);
        do
                sent = write(fd, packet - VNET_HEADER_LEN, VNET_HEADER_LEN + len);
        while (sent < 0 && errno == EINTR);
        return sent < 0 ? -errno : 0;
}

int tun_writev(int fd, const struct iovec *iov, unsigned count)
{
        ssize_t sent;

        do
                sent = writev(fd, iov, (int)count);
        while (sent < 0 && errno == EINTR);
        return sent < 0 ? -errno : 0;
}

int tun_is_up(int fd)
{
        uint8_t probe[VNET_HEADER_LEN + 1] = { [VNET_HEADER_LEN] = 0x40 }; /* IPv4 by its nibble, too short to be one */
        int error = tun_write(fd, probe + VNET_HEADER_LEN, 1);

        if (error == -EIO) return 0;
        return error ? error : 1;
}
