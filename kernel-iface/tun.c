#include "kernel-iface/tun.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Kernel 6.2; the headers of Debian 12 are of 6.1. */
#ifndef TUN_F_USO4
#        define TUN_F_USO4 0x20
#        define TUN_F_USO6 0x40
#endif

enum { KNOWN_OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6 };

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

int tun_is_up(int fd)
{
        uint8_t probe[VNET_HEADER_LEN + 1] = { [VNET_HEADER_LEN] = 0x40 }; /* IPv4 by its nibble, too short to be one */
        int error = tun_write(fd, probe + VNET_HEADER_LEN, 1);

        if (error == -EIO) return 0;
        return error ? error : 1;
}
