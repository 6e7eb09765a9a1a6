#include "kernel-iface/offload.h"

#include <linux/virtio_net.h>
#include <string.h>

/* Sums native words of 32 bits: the Internet checksum is the same in any byte order and width (RFC 1071, 2). A packet
 * has at most 2^14 of them, so 64 bits never overflow. */
uint16_t offload_checksum(const uint8_t *bytes, size_t len, uint32_t start)
{
        uint64_t sum = start;
        uint32_t word;
        uint16_t half;

        for (; len >= sizeof word; bytes += sizeof word, len -= sizeof word) {
                memcpy(&word, bytes, sizeof word);
                sum += word;
        }
        if (len >= sizeof half) {
                memcpy(&half, bytes, sizeof half);
                sum += half;
                bytes += sizeof half;
                len -= sizeof half;
        }
        if (len) { /* padded with a zero byte behind it */
                uint8_t last[2] = { *bytes, 0 };
                memcpy(&half, last, sizeof half);
                sum += half;
        }
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return (uint16_t)~sum;
}

enum offload_verdict offload_finish(const uint8_t *vnet, uint8_t *packet, size_t len)
{
        struct virtio_net_hdr header; /* TUN: in the machine's own byte order */

        memcpy(&header, vnet, sizeof header);
        if (header.gso_type != VIRTIO_NET_HDR_GSO_NONE) return OFFLOAD_SEGMENTS;
        if (!(header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) return OFFLOAD_PACKET;

        size_t start = header.csum_start, field = start + header.csum_offset;
        if (start >= len || field + sizeof(uint16_t) > len) return OFFLOAD_MALFORMED;

        /* the field counts as it stands: it holds the pseudo-header's sum */
        uint16_t checksum = offload_checksum(packet + start, len - start, 0);
        /* A UDP checksum of zero means none; all ones is the same number (RFC 768). In TCP it does no harm. */
        if (checksum == 0) checksum = 0xffff;
        memcpy(packet + field, &checksum, sizeof checksum);
        return OFFLOAD_PACKET;
}
