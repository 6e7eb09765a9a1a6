/* What the vnet header in front of a TUN packet asks of its reader. Pure: bytes in, bytes out.
 *
 * A TUN opened with TUN_F_CSUM hands over packets whose checksum is not finished (NEEDS_CSUM): the field holds the sum of the pseudo-header,
 * and what lies from csum_start to the end is still to be added. With TUN_F_TSO and TUN_F_USO it hands over super-packets as well (gso_type).
 * Today the first is done here; super-packets are refused, and so no GSO offload may be set on the TUN. Splitting and coalescing them
 * belong into this file. */
#ifndef KERNEL_IFACE_OFFLOAD_H
#define KERNEL_IFACE_OFFLOAD_H

#include <stddef.h>
#include <stdint.h>

enum offload_verdict {
        OFFLOAD_PACKET,    /* one packet, complete */
        OFFLOAD_MALFORMED, /* the header does not fit the packet: drop it */
        OFFLOAD_SUPER,     /* a GSO packet that was not asked for: drop it */
};

/* `vnet` is VNET_HEADER_LEN bytes, `packet` the `len` bytes after it. Writes to the two bytes of the checksum, and only for a verdict
 * of OFFLOAD_PACKET. */
enum offload_verdict offload_finish(const uint8_t *vnet, uint8_t *packet, size_t len);

/* The Internet checksum (RFC 1071) of `len` bytes, complemented, as it lies in a packet. `start` is a sum to go on from (a former
 * result, complemented again, of an even number of bytes), or 0. */
uint16_t offload_checksum(const uint8_t *bytes, size_t len, uint32_t start);

#endif
