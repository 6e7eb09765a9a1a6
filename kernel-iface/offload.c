#include "kernel-iface/offload.h"

#include "kernel-iface/checksum.h"
#include "kernel-iface/offload_wire.h"

#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <string.h>

/* The headers of Debian 12 are of kernel 6.1. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#        define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum { LENGTH_MAX = 65535 }; /* what the length fields of IP can say */

uint16_t offload_checksum(const uint8_t *bytes, size_t len, uint32_t start)
{
        return (uint16_t)~checksum_fold(checksum_sum(bytes, len) + start);
}

static enum offload_verdict finish(const struct virtio_net_hdr *header, uint8_t *packet, size_t len)
{
        if (!(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) return OFFLOAD_PACKET;

        size_t start = header->csum_start, field = start + header->csum_offset;
        if (start >= len || field + sizeof(uint16_t) > len) return OFFLOAD_MALFORMED;
        /* the field counts as it stands: it holds the pseudo-header's sum */
        put_checksum(packet + field, checksum_sum(packet + start, len - start));
        return OFFLOAD_PACKET;
}

enum offload_verdict offload_finish(const uint8_t *vnet, uint8_t *packet, size_t len)
{
        struct virtio_net_hdr header; /* TUN: in the machine's own byte order */

        memcpy(&header, vnet, sizeof header);
        if (header.gso_type != VIRTIO_NET_HDR_GSO_NONE) return OFFLOAD_SEGMENTS;
        return finish(&header, packet, len);
}

/* Whether the IPv6 header and the extension headers behind it, which every segment may repeat, end at `start` with
 * `protocol` next. */
static bool chain_ends(const uint8_t *packet, size_t start, uint8_t protocol)
{
        uint8_t next = packet[IP6_NEXT];
        size_t at = IP6_LEN;

        while (at + 8 <= start && (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS)) {
                next = packet[at];
                at += 8 + packet[at + 1] * (size_t)8;
        }
        return at == start && next == protocol;
}

/* Whether an IP header of the right kind is all that lies before `start`. */
static bool ip_ends(const uint8_t *packet, size_t len, size_t start, bool tcp, uint8_t gso)
{
        uint8_t protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;

        if (start < IP4_LEN || len < start) return false;
        if (is_ip4(packet))
                return gso != VIRTIO_NET_HDR_GSO_TCPV6 && (packet[0] & 15) * 4u == start && len <= LENGTH_MAX &&
                       packet[IP4_PROTOCOL] == protocol && !(get16(packet + IP4_FRAGMENT) & (uint16_t)~IP4_DF);
        return packet[0] >> 4 == 6 && gso != VIRTIO_NET_HDR_GSO_TCPV4 && start >= IP6_LEN &&
               len <= LENGTH_MAX + IP6_LEN && chain_ends(packet, start, protocol);
}

/* The kernel's hdr_len is of no use: it is too large for a packet that was forwarded. */
static size_t header_length(const struct virtio_net_hdr *header, const uint8_t *packet, size_t len)
{
        uint8_t gso = header->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
        bool tcp = gso == VIRTIO_NET_HDR_GSO_TCPV4 || gso == VIRTIO_NET_HDR_GSO_TCPV6;
        size_t start = header->csum_start;

        if (!tcp && gso != VIRTIO_NET_HDR_GSO_UDP_L4) return 0;
        if (!(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || header->gso_size == 0) return 0;
        if (header->csum_offset != (tcp ? TCP_CHECK : UDP_CHECK) || !ip_ends(packet, len, start, tcp, gso)) return 0;
        if (len < start + (tcp ? TCP_LEN : UDP_LEN)) return 0;

        size_t transport = tcp ? (packet[start + TCP_OFFSET] >> 4) * 4u : UDP_LEN;
        size_t total = start + transport;
        return transport >= UDP_LEN && (!tcp || transport >= TCP_LEN) && total < len && total <= OFFLOAD_HEADERS_MAX
                       ? total
                       : 0;
}

static size_t min_of(size_t a, size_t b)
{
        return a < b ? a : b;
}

enum offload_verdict offload_split_begin(struct offload_split *split, const uint8_t *vnet, uint8_t *packet, size_t len)
{
        struct virtio_net_hdr header;
        uint16_t pseudo;

        memcpy(&header, vnet, sizeof header);
        split->packet = packet;
        split->len = split->segment_len = len;
        split->index = split->count = 0;
        split->payload = 0;
        if (header.gso_type == VIRTIO_NET_HDR_GSO_NONE) {
                enum offload_verdict verdict = finish(&header, packet, len);
                split->header_len = 0;
                split->count = verdict == OFFLOAD_PACKET;
                return verdict;
        }
        size_t header_len = header_length(&header, packet, len);
        if (header_len == 0) return OFFLOAD_MALFORMED;

        split->header_len = (uint16_t)header_len;
        split->start = header.csum_start;
        split->field = (uint8_t)header.csum_offset;
        split->tcp = header.csum_offset == TCP_CHECK;
        split->payload = min_of(header.gso_size, len - header_len);
        split->segment_len = header_len + split->payload;
        split->count = (unsigned)((len - header_len + split->payload - 1) / split->payload);
        memcpy(split->headers, packet, header_len);
        /* the kernel's sum is taken, not one of ours: behind a routing header the address in it is another */
        memcpy(&pseudo, packet + split->start + split->field, sizeof pseudo);
        split->pseudo = pseudo + (uint16_t)~sum_of(len - split->start);
        return OFFLOAD_SEGMENTS;
}

/* RFC 3168, 6.1.2: CWR is told once. FIN and PSH are about the last byte. */
static uint8_t flags_at(const struct offload_split *split)
{
        uint8_t flags = split->headers[split->start + TCP_FLAGS];

        if (split->index > 0) flags &= (uint8_t)~TCP_CWR;
        if (split->index + 1 < split->count) flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
        return flags;
}

static void write_headers(const struct offload_split *split, uint8_t *segment, size_t len)
{
        uint8_t *transport = segment + split->start;
        size_t transport_len = len - split->start;
        uint16_t partial = checksum_fold(split->pseudo + sum_of(transport_len));

        memcpy(segment, split->headers, split->header_len);
        if (is_ip4(segment)) put16(segment + IP4_ID, (get16(segment + IP4_ID) + split->index) & 0xffff);
        ip_set_length(segment, len);
        if (split->tcp) {
                uint32_t seq = get32(transport + TCP_SEQ);
                put32(transport + TCP_SEQ, seq + split->index * (uint32_t)split->payload);
                transport[TCP_FLAGS] = flags_at(split);
        } else {
                put16(transport + UDP_LENGTH, transport_len);
        }
        memcpy(transport + split->field, &partial, sizeof partial);
        put_checksum(transport + split->field, checksum_sum(transport, transport_len));
}

size_t offload_split_peek(const struct offload_split *split)
{
        if (split->index == split->count) return 0;
        return min_of(split->segment_len, split->len - split->index * split->payload);
}

const uint8_t *offload_split_headers(const struct offload_split *split)
{
        return split->header_len ? split->headers : split->packet;
}

bool offload_split_next(struct offload_split *split, uint8_t **segment, size_t *len)
{
        if (split->index == split->count) return false;

        size_t at = split->index * split->payload;
        *segment = split->packet;
        *len = split->len;
        if (split->header_len) {
                *segment += at;
                *len = offload_split_peek(split);
                write_headers(split, *segment, *len);
        }
        split->index++;
        return true;
}
