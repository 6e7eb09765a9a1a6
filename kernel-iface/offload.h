/* What the vnet header in front of a TUN packet means, both ways. Pure: bytes in, bytes out.
 *
 * Out of the TUN: with TUN_F_CSUM packets come whose checksum is not finished (NEEDS_CSUM): the field holds the sum of
 * the pseudo-header, and what lies from csum_start to the end is still to be added. With TUN_F_TSO* and TUN_F_USO*
 * super-packets come too (gso_type), many segments under one header: they are split in place, without a copy.
 * Into the TUN: consecutive segments of one flow become one super-packet, gathered by writev from where they lie.
 *
 * What a receiver of the segments would see is the same either way, but for the ID of an IPv4 packet with DF, which has
 * no meaning (RFC 6864, 4.1). */
#ifndef KERNEL_IFACE_OFFLOAD_H
#define KERNEL_IFACE_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum offload_verdict {
        OFFLOAD_PACKET,    /* one packet, complete */
        OFFLOAD_SEGMENTS,  /* a super-packet */
        OFFLOAD_MALFORMED, /* the header does not fit the packet: drop it; nothing was written */
};

/* ---- Out of the TUN: split --------------------------------------------------------------------------------------- */

enum { OFFLOAD_HEADERS_MAX = 256 }; /* IP and transport headers of a super-packet; a longer one is malformed */

struct offload_split {
        size_t segment_len; /* bytes of each segment, headers included; the last may be shorter */
        unsigned count;     /* of segments */

        /* private */
        unsigned index;
        uint8_t *packet;
        size_t len, payload; /* payload: of each segment but the last */
        uint16_t start, header_len;
        uint32_t pseudo; /* the pseudo-header's sum without the length */
        uint8_t field;   /* csum_offset */
        bool tcp;
        uint8_t headers[OFFLOAD_HEADERS_MAX];
};

/* `vnet` is VNET_HEADER_LEN bytes, `packet` the `len` bytes after it. For a packet or segments, take them with
 * offload_split_next: one packet comes out of it as well, so that a caller need not tell them apart. */
enum offload_verdict offload_split_begin(struct offload_split *split, const uint8_t *vnet, uint8_t *packet, size_t len);

/* The next segment, complete with all checksums; false after the last. It lies in the packet's own bytes, its headers
 * over the tail of the payload before it: a segment is gone when the next is taken, and the bytes behind a segment must
 * be left alone until then. */
bool offload_split_next(struct offload_split *split, uint8_t **segment, size_t *len);

/* The length of what offload_split_next would give; 0: nothing. */
size_t offload_split_peek(const struct offload_split *split);
/* The IP header of the super-packet or packet: of the first segment, until that is taken; after that, as it came. */
const uint8_t *offload_split_headers(const struct offload_split *split);

/* The checksum of one packet that is not a super-packet: as offload_split_begin, but OFFLOAD_SEGMENTS leaves it as it
 * is. */
enum offload_verdict offload_finish(const uint8_t *vnet, uint8_t *packet, size_t len);

/* ---- Into the TUN: coalesce -------------------------------------------------------------------------------------- */

enum { OFFLOAD_BATCH = 128 }; /* packets of one call */

/* What the kernel takes (tun_probe_writes): what is not named is passed on packet by packet. */
enum offload_feature {
        OFFLOAD_TCP4 = 1 << 0,
        OFFLOAD_TCP6 = 1 << 1,
        OFFLOAD_UDP4 = 1 << 2,
        OFFLOAD_UDP6 = 1 << 3,
};

struct offload_packet {
        uint8_t *bytes;
        size_t len;    /* of the IP packet, without padding */
        uint16_t next; /* set by offload_coalesce: the index of the next one of its group */
};

/* One write to the TUN: a super-packet, or, with a count of 1, a packet as it came. */
struct offload_group {
        uint8_t vnet[10];
        uint16_t first, count; /* index of the first packet; the others follow by `next` */
        uint16_t header_len;   /* of each packet: what is left out of all but the first; 0 when count is 1 */
        size_t len;            /* of the (super-)packet, without the vnet header */
};

/* Sorts `count` (at most OFFLOAD_BATCH) packets in order of arrival into groups (room for `count` of them) and answers
 * how many. Written in this order, the packets of a flow keep theirs. Only what can be split again into the same bytes
 * is merged, and only after its checksums were verified: a super-packet's are not looked at any more. Writes to the
 * headers of the first packet of a group of two or more, and to nothing else. Time is linear in `count` and bytes,
 * whatever is in them. */
size_t offload_coalesce(struct offload_packet *packets, size_t count, struct offload_group *groups, unsigned features);

/* What tun_writev is to write: vnet header, first packet, the payloads of the rest. Answers how many entries were used,
 * count + 1; 0 when `max` is less. */
unsigned offload_group_iov(const struct offload_group *group, const struct offload_packet *packets, struct iovec *iov,
                           unsigned max);

/* Which enum offload_feature a super-packet is: what to do without from now on where the kernel refuses it (-EINVAL). 0
 * when count is 1. */
unsigned offload_group_feature(const struct offload_group *group, const struct offload_packet *packets);

/* Undoes a group that the kernel refused (-EINVAL): headers and checksum of the first packet as they came, so that its
 * packets can be written one by one. */
void offload_group_undo(const struct offload_group *group, struct offload_packet *packets);

/* The Internet checksum (RFC 1071) of `len` bytes, complemented, as it lies in a packet. `start` is a sum to go on from
 * (a former result, complemented again, of an even number of bytes), or 0. */
uint16_t offload_checksum(const uint8_t *bytes, size_t len, uint32_t start);

#endif
