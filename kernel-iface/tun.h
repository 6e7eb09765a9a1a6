/* The TUN interface. Opened by the keeper, read and written by the tunnel process.
 * Every packet has a virtio_net_hdr in front (IFF_VNET_HDR); what stands in it is offload.h's business. */
#ifndef KERNEL_IFACE_TUN_H
#define KERNEL_IFACE_TUN_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum { VNET_HEADER_LEN = 10 }; /* struct virtio_net_hdr; TUNSETVNETHDRSZ stays at this */

struct tun {
        int fd;              /* non-blocking, close-on-exec */
        char name[IFNAMSIZ]; /* as the kernel made it */
        unsigned offloads;   /* TUN_F_* in force */
};

/* Makes the interface; 0 or -errno (EEXIST/EBUSY: it exists, EPERM: no right, ENOENT: no /dev/net/tun). */
int tun_open(struct tun *tun, const char *name);
/* Sets TUN_F_* offloads; unknown bits are refused with -EINVAL before the kernel sees them. */
int tun_set_offloads(struct tun *tun, unsigned offloads);

/* Asks for all that this code can split (offload.h), one after the other, for a kernel may lack any of it. Answers the
 * TUN_F_* in force, 0 if none. By the keeper: it is an ioctl. */
unsigned tun_probe_offloads(int fd);
/* Which super-packets the kernel takes, as OFFLOAD_* of offload.h: found out by writing one of each, for some kernels
 * refuse what they have. Call it while the interface is down (so nothing is received), before confinement. */
unsigned tun_probe_writes(int fd);

/* One packet with its vnet header; bytes, or -errno: -EAGAIN, -EBADFD (the interface was deleted). */
ssize_t tun_read(int fd, void *buffer, size_t size);
/* `packet` is preceded by VNET_HEADER_LEN writable bytes, which become an empty vnet header. 0 or -errno (EIO: down).
 */
int tun_write(int fd, uint8_t *packet, size_t len);
/* The same from pieces (offload_group_iov). -EINVAL: the kernel does not take this kind of super-packet. */
int tun_writev(int fd, const struct iovec *iov, unsigned count);
/* Whether the interface is up, from whatever namespace it is in: 1, 0 or -errno (FINDINGS: a write of one byte 0x40).
 */
int tun_is_up(int fd);
/* From the tunnel process: its MTU cannot be asked without ioctl; the keeper tells (netlink). */

#endif
