/* Packets described field by field and built the slow way: what the offload tests compare with. */
#ifndef TESTS_KERNEL_IFACE_TEST_OFFLOAD_H
#define TESTS_KERNEL_IFACE_TEST_OFFLOAD_H

#include "kernel-iface/tun.h"

#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#        define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32, ECE = 64, CWR = 128, DF = 0x4000, MF = 0x2000 };

/* All of one width, so that a test's table can name a field and what to add to it. */
struct shape {
        uint32_t four, tcp;
        uint32_t tos, ttl, id, fragment, label; /* fragment: flags and offset */
        uint32_t ip_words;                      /* IPv4: words of options; IPv6: 8-byte units of destination options */
        uint32_t source, destination, source_port, destination_port;
        uint32_t seq, ack, flags, window, urgent;
        uint32_t options, option_words; /* the options' first byte, and their length */
        uint32_t payload;
        uint32_t corrupt, ip_corrupt; /* xored into a checksum */
};

static uint32_t seed = 1;

static inline uint32_t draw(uint32_t below)
{
        seed = seed * 1664525 + 1013904223;
        return (uint32_t)(((uint64_t)(seed >> 4) * below) >> 28);
}

static inline void fill(uint8_t *bytes, size_t len)
{
        for (size_t i = 0; i < len; i++)
                bytes[i] = (uint8_t)draw(256);
}

/* Byte by byte, big-endian, as RFC 1071 words it. */
static inline uint16_t naive(const uint8_t *bytes, size_t len, uint32_t sum)
{
        for (size_t i = 0; i < len; i++) {
                sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
                if (sum > 0xffff) sum = (sum & 0xffff) + 1;
        }
        return (uint16_t)sum;
}

static inline void put(uint8_t **at, uint32_t value, int bytes)
{
        while (bytes-- > 0)
                *(*at)++ = (uint8_t)(value >> 8 * bytes);
}

static inline size_t ip_size(const struct shape *s)
{
        return s->four ? 20 + s->ip_words * 4 : 40 + s->ip_words * 8;
}

static inline size_t header_size(const struct shape *s)
{
        return ip_size(s) + (s->tcp ? 20 + s->option_words * 4 : 8);
}

/* A shape of which nothing is odd. */
static inline struct shape plain_shape(bool four, bool tcp)
{
        return (struct shape){ .four = four,
                               .tcp = tcp,
                               .ttl = 64,
                               .id = 0xfffe,
                               .fragment = four ? DF : 0,
                               .source = 1,
                               .destination = 2,
                               .source_port = 4000,
                               .destination_port = 5000,
                               .seq = 0xfffffff0,
                               .ack = 77,
                               .flags = ACK,
                               .window = 500,
                               .options = 1,
                               .option_words = tcp ? 3 : 0,
                               .payload = 100 };
}

static inline uint16_t pseudo(const struct shape *s, const uint8_t *packet, size_t transport_len)
{
        uint8_t tail[4] = { 0, s->tcp ? IPPROTO_TCP : IPPROTO_UDP, (uint8_t)(transport_len >> 8),
                            (uint8_t)transport_len };

        return naive(tail, 4, naive(packet + (s->four ? 12 : 8), s->four ? 8 : 32, 0));
}

static inline void put_addresses(const struct shape *s, uint8_t **at)
{
        const uint32_t last[] = { s->source, s->destination };

        for (int i = 0; i < 2; i++) {
                if (!s->four) {
                        put(at, 0xfd000000, 4);
                        put(at, 0, 4);
                        put(at, 0, 4);
                        put(at, last[i], 4);
                } else {
                        put(at, 0x0a090000 + last[i], 4);
                }
        }
}

static inline void put_ip(const struct shape *s, uint8_t *packet, size_t len)
{
        uint8_t *at = packet, protocol = s->tcp ? IPPROTO_TCP : IPPROTO_UDP;

        if (s->four) {
                put(&at, 0x45 + s->ip_words, 1);
                put(&at, s->tos, 1);
                put(&at, (uint32_t)len, 2);
                put(&at, s->id, 2);
                put(&at, s->fragment, 2);
                put(&at, s->ttl, 1);
                put(&at, protocol, 1);
                put(&at, 0, 2);
                put_addresses(s, &at);
                memset(at, 1, s->ip_words * 4);
                at = packet + 10;
                put(&at, (uint16_t)~naive(packet, ip_size(s), 0) ^ s->ip_corrupt, 2);
        } else {
                put(&at, 6u << 28 | s->tos << 20 | s->label, 4);
                put(&at, (uint32_t)(len - 40), 2);
                put(&at, s->ip_words ? IPPROTO_DSTOPTS : protocol, 1);
                put(&at, s->ttl, 1);
                put_addresses(s, &at);
                if (s->ip_words) {
                        memset(at, 0, s->ip_words * 8);
                        at[0] = protocol;
                        at[1] = (uint8_t)(s->ip_words - 1);
                }
        }
}

/* The packet in full, from `payload`; its length. `out` has room for it. */
static inline size_t build(const struct shape *s, uint8_t *out, const uint8_t *payload)
{
        size_t ip = ip_size(s), header = header_size(s), len = header + s->payload;
        uint8_t *at = out + ip, *field = at + (s->tcp ? 16 : 6);

        put_ip(s, out, len);
        put(&at, s->source_port, 2);
        put(&at, s->destination_port, 2);
        if (s->tcp) {
                put(&at, s->seq, 4);
                put(&at, s->ack, 4);
                put(&at, (5 + s->option_words) << 4, 1);
                put(&at, s->flags, 1);
                put(&at, s->window, 2);
                put(&at, 0, 2);
                put(&at, s->urgent, 2);
                memset(at, (int)s->options, s->option_words * 4);
        } else {
                put(&at, (uint32_t)(len - ip), 2);
                put(&at, 0, 2);
        }
        memcpy(out + header, payload, s->payload);
        uint16_t check = (uint16_t)~naive(out + ip, len - ip, pseudo(s, out, len - ip));
        put(&field, (check ? check : 0xffff) ^ s->corrupt, 2);
        return len;
}

/* The same as a super-packet before it: checksum unfinished, with the vnet header for it. */
static inline size_t build_super(const struct shape *s, uint8_t *vnet, uint8_t *out, const uint8_t *payload,
                                 uint16_t gso_size)
{
        size_t len = build(s, out, payload), ip = ip_size(s);
        uint8_t *field = out + ip + (s->tcp ? 16 : 6);
        struct virtio_net_hdr header = {
                .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                .gso_type = !s->tcp   ? VIRTIO_NET_HDR_GSO_UDP_L4
                            : s->four ? VIRTIO_NET_HDR_GSO_TCPV4
                                      : VIRTIO_NET_HDR_GSO_TCPV6,
                .hdr_len = (uint16_t)draw(65536), /* not to be trusted */
                .gso_size = gso_size,
                .csum_start = (uint16_t)ip,
                .csum_offset = s->tcp ? 16 : 6,
        };

        if (s->flags & CWR && s->tcp) header.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
        put(&field, pseudo(s, out, len - ip), 2);
        memcpy(vnet, &header, VNET_HEADER_LEN);
        return len;
}

/* What segment `i` of a super-packet of shape `s` must be. */
static inline size_t naive_segment(const struct shape *s, uint8_t *out, const uint8_t *payload, uint32_t gso_size,
                                   uint32_t i)
{
        struct shape part = *s;
        uint32_t from = i * gso_size;
        bool last = from + gso_size >= s->payload;

        part.payload = last ? s->payload - from : gso_size;
        part.id = (s->id + i) & 0xffff;
        part.seq = s->seq + from;
        if (i > 0) part.flags &= ~(uint32_t)CWR;
        if (!last) part.flags &= ~(uint32_t)(FIN | PSH);
        return build(&part, out, payload + from);
}

#endif
