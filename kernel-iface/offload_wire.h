/* Where the fields of IP, TCP and UDP headers lie. Private to offload*.c and its tests. */
#ifndef KERNEL_IFACE_OFFLOAD_WIRE_H
#define KERNEL_IFACE_OFFLOAD_WIRE_H

#include "kernel-iface/checksum.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

enum { /* offsets in an IPv4 header (RFC 791) */
       IP4_TOS = 1,
       IP4_TOTAL = 2,
       IP4_ID = 4,
       IP4_FRAGMENT = 6,
       IP4_TTL = 8,
       IP4_PROTOCOL = 9,
       IP4_CHECK = 10,
       IP4_ADDRESSES = 12,
       IP4_LEN = 20, /* without options */
       IP4_DF = 0x4000,
};

enum { /* in an IPv6 header (RFC 8200) */
       IP6_PAYLOAD = 4,
       IP6_NEXT = 6,
       IP6_HOPS = 7,
       IP6_ADDRESSES = 8,
       IP6_LEN = 40,
};

enum { /* in a TCP header (RFC 9293, RFC 3168) */
       TCP_SEQ = 4,
       TCP_ACK = 8,
       TCP_OFFSET = 12, /* of the data, in the upper four bits, in words of four bytes */
       TCP_FLAGS = 13,
       TCP_WINDOW = 14,
       TCP_CHECK = 16,
       TCP_URGENT = 18,
       TCP_LEN = 20, /* without options */
       TCP_FIN = 0x01,
       TCP_SYN = 0x02,
       TCP_RST = 0x04,
       TCP_PSH = 0x08,
       TCP_URG = 0x20,
       TCP_CWR = 0x80,
};

enum { UDP_LENGTH = 4, UDP_CHECK = 6, UDP_LEN = 8 }; /* in a UDP header (RFC 768) */

static inline uint16_t get16(const uint8_t *at)
{
        return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void put16(uint8_t *at, size_t value)
{
        at[0] = (uint8_t)(value >> 8);
        at[1] = (uint8_t)value;
}

static inline uint32_t get32(const uint8_t *at)
{
        return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static inline void put32(uint8_t *at, uint32_t value)
{
        put16(at, value >> 16);
        put16(at + 2, value & 0xffff);
}

/* A number's part in a sum over native words: the two bytes as they would lie in a packet. */
static inline uint64_t sum_of(size_t value)
{
        return htons((uint16_t)value);
}

static inline bool is_ip4(const uint8_t *packet)
{
        return packet[0] >> 4 == 4;
}

/* Total length and header checksum of IPv4, payload length of IPv6. */
static inline void ip_set_length(uint8_t *packet, size_t len)
{
        if (!is_ip4(packet)) {
                put16(packet + IP6_PAYLOAD, len - IP6_LEN);
                return;
        }
        put16(packet + IP4_TOTAL, len);
        put16(packet + IP4_CHECK, 0);
        uint16_t check = (uint16_t)~checksum_fold(checksum_sum(packet, (packet[0] & 15) * 4u));
        memcpy(packet + IP4_CHECK, &check, sizeof check);
}

/* The pseudo-header's sum, without the length (RFC 9293, 3.1; RFC 8200, 8.1). */
static inline uint64_t pseudo_sum(const uint8_t *packet, uint8_t protocol)
{
        const uint8_t *addresses = packet + (is_ip4(packet) ? IP4_ADDRESSES : IP6_ADDRESSES);

        return checksum_sum(addresses, is_ip4(packet) ? 8 : 32) + sum_of(protocol);
}

/* Complements a sum into a checksum. A UDP checksum of zero means none; all ones is the same number (RFC 768). In TCP
 * it does no harm. */
static inline void put_checksum(uint8_t *at, uint64_t sum)
{
        uint16_t check = (uint16_t)~checksum_fold(sum);

        if (check == 0) check = 0xffff;
        memcpy(at, &check, sizeof check);
}

#endif
