/* Coalescing. The rules are those of the kernel's own GRO, and stricter where GRO would not give the same bytes back.
 */
#include "kernel-iface/offload.h"

#include "kernel-iface/checksum.h"
#include "kernel-iface/offload_wire.h"
#include "kernel-iface/tun.h"

#include <assert.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <string.h>

/* The headers of Debian 12 are of kernel 6.1. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#        define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum {
        SUPER_MAX = 65535, /* bytes of a super-packet */
        UDP_MAX = 64,      /* datagrams of one: UDP_MAX_SEGMENTS before kernel 6.9 */
        SLOTS = 2 * OFFLOAD_BATCH,
        PROBES = 8, /* slots that are looked at for a flow; so a packet costs the same however they collide */
};

static_assert(sizeof((struct offload_group *)0)->vnet == VNET_HEADER_LEN, "one vnet header");

/* TCP or UDP in a plain IP header: all that has a flow. */
struct segment {
        const uint8_t *ip, *transport;
        size_t ip_len, header_len, payload;
        uint8_t protocol;
        bool mergeable;
};

/* The newest group of a flow, which alone may grow, or else a packet would overtake another. */
struct flow {
        uint16_t group, tail; /* its index, and that of its last packet */
        uint16_t payload;     /* of its first packet, and of all but the last */
        bool open;            /* may grow */
        bool verified;        /* the first packet's checksums are right */
        uint32_t seq;         /* TCP: the next byte's */
};

struct coalescer {
        struct offload_packet *packets;
        struct offload_group *groups;
        size_t group_count;
        unsigned flow_count;
        struct flow *recent;
        uint8_t slots[SLOTS]; /* of a flow, its index and one; 0: empty */
        struct flow flows[OFFLOAD_BATCH];
};

static_assert(OFFLOAD_BATCH < UINT8_MAX, "an index and one fits a slot");

/* ---- What is in a packet ----------------------------------------------------------------------------------------- */

enum kind {
        LONE,    /* of no flow */
        OPAQUE,  /* may be of any flow, for its ports are not to be seen: none may pass it */
        SEGMENT, /* of a flow */
};

static enum kind parse_ip(const struct offload_packet *packet, struct segment *segment)
{
        const uint8_t *ip = packet->bytes;
        bool whole;

        if (packet->len < IP4_LEN) return OPAQUE;
        segment->ip = ip;
        if (is_ip4(ip)) {
                segment->protocol = ip[IP4_PROTOCOL];
                segment->ip_len = IP4_LEN;
                whole = ip[0] == 0x45 && get16(ip + IP4_TOTAL) == packet->len &&
                        !(get16(ip + IP4_FRAGMENT) & (uint16_t)~IP4_DF);
                if (segment->protocol != IPPROTO_TCP && segment->protocol != IPPROTO_UDP) return LONE;
        } else {
                if (packet->len < IP6_LEN) return OPAQUE;
                segment->protocol = ip[IP6_NEXT];
                segment->ip_len = IP6_LEN;
                whole = ip[0] >> 4 == 6 && get16(ip + IP6_PAYLOAD) + (size_t)IP6_LEN == packet->len;
                if (segment->protocol == IPPROTO_ICMPV6) return LONE;
                if (segment->protocol != IPPROTO_TCP && segment->protocol != IPPROTO_UDP) return OPAQUE;
        }
        segment->transport = ip + segment->ip_len;
        return whole ? SEGMENT : OPAQUE;
}

static enum kind parse(const struct offload_packet *packet, struct segment *segment)
{
        enum kind kind = parse_ip(packet, segment);
        const uint8_t *transport = segment->transport;

        if (kind != SEGMENT) return kind;
        size_t room = packet->len - segment->ip_len, header_len = UDP_LEN;
        if (segment->protocol == IPPROTO_TCP) {
                if (room < TCP_LEN) return OPAQUE;
                header_len = (transport[TCP_OFFSET] >> 4) * 4u;
                if (header_len < TCP_LEN || header_len > room) return OPAQUE;
                segment->mergeable = !(transport[TCP_FLAGS] & (TCP_SYN | TCP_RST | TCP_URG));
        } else {
                if (room < UDP_LEN || get16(transport + UDP_LENGTH) != room) return OPAQUE;
                segment->mergeable = get16(transport + UDP_CHECK) != 0; /* GSO would give each a checksum */
        }
        segment->header_len = segment->ip_len + header_len;
        segment->payload = packet->len - segment->header_len;
        segment->mergeable = segment->mergeable && segment->payload > 0;
        return SEGMENT;
}

static unsigned feature_of(const uint8_t *ip, uint8_t protocol)
{
        if (protocol == IPPROTO_TCP) return is_ip4(ip) ? OFFLOAD_TCP4 : OFFLOAD_TCP6;
        return is_ip4(ip) ? OFFLOAD_UDP4 : OFFLOAD_UDP6;
}

static bool verify(const uint8_t *ip, size_t ip_len, size_t len, uint8_t protocol)
{
        uint64_t sum = pseudo_sum(ip, protocol) + sum_of(len - ip_len);

        if (is_ip4(ip) && checksum_fold(checksum_sum(ip, IP4_LEN)) != 0xffff) return false;
        return checksum_fold(sum + checksum_sum(ip + ip_len, len - ip_len)) == 0xffff;
}

/* ---- Flows ------------------------------------------------------------------------------------------------------- */

static bool same_flow(const uint8_t *ip, const struct segment *segment)
{
        bool four = is_ip4(ip);
        size_t at = four ? IP4_ADDRESSES : IP6_ADDRESSES;

        if (ip[0] >> 4 != segment->ip[0] >> 4) return false;
        if (ip[four ? IP4_PROTOCOL : IP6_NEXT] != segment->protocol) return false;
        /* addresses and, right behind them, ports */
        return memcmp(ip + at, segment->ip + at, segment->ip_len - at + 4) == 0;
}

static unsigned hash(const struct segment *segment)
{
        size_t at = is_ip4(segment->ip) ? IP4_ADDRESSES : IP6_ADDRESSES;
        uint32_t state = segment->protocol, word;

        for (; at < segment->ip_len + 4; at += sizeof word) {
                memcpy(&word, segment->ip + at, sizeof word);
                state = (state ^ word) * 0x9e3779b1u;
                state ^= state >> 15;
        }
        return state;
}

static const uint8_t *first_of(const struct coalescer *co, const struct flow *flow)
{
        return co->packets[co->groups[flow->group].first].bytes;
}

/* Whatever comes next begins a group of its own. */
static void forget_flows(struct coalescer *co)
{
        memset(co->slots, 0, sizeof co->slots);
        co->flow_count = 0;
        co->recent = NULL;
}

/* The segment's flow; one that is new has a payload of 0. */
static struct flow *find_flow(struct coalescer *co, const struct segment *segment)
{
        if (co->recent && same_flow(first_of(co, co->recent), segment)) return co->recent;

        unsigned at = hash(segment);
        for (unsigned i = 0; i < PROBES; i++) {
                uint8_t *slot = &co->slots[(at + i) % SLOTS];
                if (*slot == 0) {
                        co->flows[co->flow_count] = (struct flow){ .payload = 0 };
                        *slot = (uint8_t)++co->flow_count;
                        return co->recent = &co->flows[*slot - 1];
                }
                if (same_flow(first_of(co, &co->flows[*slot - 1]), segment)) return co->recent = &co->flows[*slot - 1];
        }
        forget_flows(co);
        return find_flow(co, segment);
}

/* ---- Groups ------------------------------------------------------------------------------------------------------ */

static struct offload_group *begin_group(struct coalescer *co, size_t index)
{
        struct offload_group *group = &co->groups[co->group_count++];

        *group = (struct offload_group){ .first = (uint16_t)index, .count = 1, .len = co->packets[index].len };
        return group;
}

/* With DF the ID says nothing (RFC 6864); without it, splitting would count it up. */
static bool same_ip(const uint8_t *ip, const struct segment *segment, unsigned position)
{
        const uint8_t *other = segment->ip;

        if (!is_ip4(ip)) /* version, traffic class, flow label */
                return memcmp(ip, other, 4) == 0 && ip[IP6_HOPS] == other[IP6_HOPS];
        if (ip[IP4_TOS] != other[IP4_TOS] || ip[IP4_TTL] != other[IP4_TTL]) return false;
        if (memcmp(ip + IP4_FRAGMENT, other + IP4_FRAGMENT, 2) != 0) return false;
        return get16(ip + IP4_FRAGMENT) & IP4_DF || ((get16(ip + IP4_ID) + position) & 0xffff) == get16(other + IP4_ID);
}

static bool same_tcp(const uint8_t *tcp, const struct segment *segment)
{
        const uint8_t *other = segment->transport;
        size_t options = segment->header_len - segment->ip_len - TCP_LEN;

        if ((tcp[TCP_FLAGS] ^ other[TCP_FLAGS]) & (uint8_t) ~(TCP_CWR | TCP_FIN | TCP_PSH)) return false;
        if (other[TCP_FLAGS] & TCP_CWR || tcp[TCP_OFFSET] != other[TCP_OFFSET]) return false;
        return memcmp(tcp + TCP_ACK, other + TCP_ACK, 4) == 0 && memcmp(tcp + TCP_WINDOW, other + TCP_WINDOW, 2) == 0 &&
               memcmp(tcp + TCP_URGENT, other + TCP_URGENT, 2) == 0 &&
               memcmp(tcp + TCP_LEN, other + TCP_LEN, options) == 0;
}

static bool may_join(struct coalescer *co, struct flow *flow, const struct segment *segment)
{
        const struct offload_group *group = &co->groups[flow->group];
        const struct offload_packet *first = &co->packets[group->first];
        bool tcp = segment->protocol == IPPROTO_TCP;

        if (!flow->open || !segment->mergeable || segment->payload > flow->payload) return false;
        if (group->len + segment->payload > SUPER_MAX) return false;
        if (!same_ip(first->bytes, segment, group->count)) return false;
        if (tcp &&
            (get32(segment->transport + TCP_SEQ) != flow->seq || !same_tcp(first->bytes + segment->ip_len, segment)))
                return false;
        if (!tcp && group->count == UDP_MAX) return false;
        if (!flow->verified) flow->verified = verify(first->bytes, segment->ip_len, first->len, segment->protocol);
        return flow->verified &&
               verify(segment->ip, segment->ip_len, segment->header_len + segment->payload, segment->protocol);
}

/* PSH and FIN are about the last byte, so nothing may follow them. */
static bool is_last(const struct segment *segment)
{
        return segment->protocol == IPPROTO_TCP && segment->transport[TCP_FLAGS] & (TCP_FIN | TCP_PSH);
}

static void join(struct coalescer *co, struct flow *flow, const struct segment *segment, size_t index)
{
        struct offload_group *group = &co->groups[flow->group];

        co->packets[flow->tail].next = (uint16_t)index;
        flow->tail = (uint16_t)index;
        flow->seq += (uint32_t)segment->payload;
        flow->open = segment->payload == flow->payload && !is_last(segment);
        group->header_len = (uint16_t)segment->header_len;
        group->len += segment->payload;
        group->count++;
        if (is_last(segment))
                co->packets[group->first].bytes[segment->ip_len + TCP_FLAGS] |=
                        segment->transport[TCP_FLAGS] & (TCP_FIN | TCP_PSH);
}

static void sort_packet(struct coalescer *co, size_t index, unsigned features)
{
        struct segment segment = { 0 };
        enum kind kind = parse(&co->packets[index], &segment);

        if (kind == OPAQUE) forget_flows(co);
        if (kind != SEGMENT || !(features & feature_of(segment.ip, segment.protocol))) {
                begin_group(co, index);
                return;
        }
        struct flow *flow = find_flow(co, &segment);
        if (flow->payload && may_join(co, flow, &segment)) {
                join(co, flow, &segment, index);
                return;
        }
        *flow = (struct flow){ .group = (uint16_t)co->group_count,
                               .tail = (uint16_t)index,
                               .payload = (uint16_t)segment.payload,
                               .open = segment.mergeable && !is_last(&segment) };
        if (segment.protocol == IPPROTO_TCP) flow->seq = get32(segment.transport + TCP_SEQ) + (uint32_t)segment.payload;
        begin_group(co, index);
}

/* ---- Headers ----------------------------------------------------------------------------------------------------- */

/* The lengths and what hangs on them, with the transport's checksum still to be summed up. */
static uint8_t *set_lengths(uint8_t *ip, size_t len)
{
        bool four = is_ip4(ip);
        size_t ip_len = four ? IP4_LEN : IP6_LEN;
        uint8_t protocol = ip[four ? IP4_PROTOCOL : IP6_NEXT], *transport = ip + ip_len;
        uint8_t *field = transport + (protocol == IPPROTO_TCP ? TCP_CHECK : UDP_CHECK);
        uint16_t partial = checksum_fold(pseudo_sum(ip, protocol) + sum_of(len - ip_len));

        ip_set_length(ip, len);
        if (protocol == IPPROTO_UDP) put16(transport + UDP_LENGTH, len - ip_len);
        memcpy(field, &partial, sizeof partial);
        return field;
}

static void finish_group(const struct coalescer *co, struct offload_group *group)
{
        const struct offload_packet *first = &co->packets[group->first];
        uint8_t *ip = first->bytes, *transport = ip + (is_ip4(ip) ? IP4_LEN : IP6_LEN);
        uint8_t *field = set_lengths(ip, group->len);
        struct virtio_net_hdr header = {
                .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                .gso_type = is_ip4(ip) ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6,
                .hdr_len = group->header_len,
                .gso_size = (uint16_t)(first->len - group->header_len),
                .csum_start = (uint16_t)(transport - ip),
                .csum_offset = (uint16_t)(field - transport),
        };

        if (header.csum_offset == UDP_CHECK) header.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
        else if (transport[TCP_FLAGS] & TCP_CWR) header.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
        memcpy(group->vnet, &header, sizeof header);
}

unsigned offload_group_feature(const struct offload_group *group, const struct offload_packet *packets)
{
        const uint8_t *ip = packets[group->first].bytes;

        return group->count == 1 ? 0 : feature_of(ip, ip[is_ip4(ip) ? IP4_PROTOCOL : IP6_NEXT]);
}

void offload_group_undo(const struct offload_group *group, struct offload_packet *packets)
{
        uint8_t *ip = packets[group->first].bytes;
        size_t len = packets[group->first].len;

        if (group->count == 1) return;
        size_t ip_len = is_ip4(ip) ? IP4_LEN : IP6_LEN;
        uint8_t *field = set_lengths(ip, len);
        if (field == ip + ip_len + TCP_CHECK) ip[ip_len + TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
        put_checksum(field, checksum_sum(ip + ip_len, len - ip_len));
}

size_t offload_coalesce(struct offload_packet *packets, size_t count, struct offload_group *groups, unsigned features)
{
        if (count == 1) { /* the lone packet of a quiet link pays for nothing */
                groups[0] = (struct offload_group){ .count = 1, .len = packets[0].len };
                return 1;
        }
        struct coalescer co;

        co.packets = packets;
        co.groups = groups;
        co.group_count = 0;
        forget_flows(&co);
        for (size_t i = 0; i < count; i++)
                sort_packet(&co, i, features);
        for (size_t i = 0; i < co.group_count; i++)
                if (groups[i].count > 1) finish_group(&co, &groups[i]);
        return co.group_count;
}

unsigned offload_group_iov(const struct offload_group *group, const struct offload_packet *packets, struct iovec *iov,
                           unsigned max)
{
        const struct offload_packet *packet = &packets[group->first];

        if (max < group->count + 1u) return 0;
        iov[0] = (struct iovec){ (void *)(uintptr_t)group->vnet, sizeof group->vnet };
        iov[1] = (struct iovec){ packet->bytes, packet->len };
        for (unsigned i = 1; i < group->count; i++) {
                packet = &packets[packet->next];
                iov[i + 1] = (struct iovec){ packet->bytes + group->header_len, packet->len - group->header_len };
        }
        return group->count + 1u;
}
