/* Any vnet header over any bytes is split or refused, within the bytes; any packets are coalesced, and split again they
 * are what they were. The second half begins with packets that would merge, and changes them: a fuzzer finds no
 * checksum by itself. */
#include "kernel-iface/checksum.h"
#include "kernel-iface/offload.h"
#include "kernel-iface/offload_wire.h"
#include "kernel-iface/tun.h"

#include <netinet/in.h>
#include <stdlib.h>

enum { ROOM = 400, ALL = OFFLOAD_TCP4 | OFFLOAD_TCP6 | OFFLOAD_UDP4 | OFFLOAD_UDP6 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
        if (!ok) abort();
}

static void split_any(const uint8_t *data, size_t size)
{
        size_t len = size - VNET_HEADER_LEN, got, segments = 0;
        uint8_t *packet = malloc(len ? len : 1), *segment;
        struct offload_split split;

        memcpy(packet, data + VNET_HEADER_LEN, len);
        bool ok = offload_split_begin(&split, data, packet, len) != OFFLOAD_MALFORMED;
        check(ok || memcmp(packet, data + VNET_HEADER_LEN, len) == 0);
        for (; offload_split_next(&split, &segment, &got); segments++)
                check(segment >= packet && segment + got <= packet + len && got <= split.segment_len);
        check(segments == (ok ? split.count : 0));
        free(packet);
}

/* ---- Packets ----------------------------------------------------------------------------------------------------- */

struct source {
        const uint8_t *at, *end;
};

static uint8_t take(struct source *in)
{
        return in->at < in->end ? *in->at++ : 0;
}

static size_t transport_at(const uint8_t *packet)
{
        return is_ip4(packet) ? IP4_LEN : IP6_LEN;
}

static bool is_tcp(const uint8_t *packet)
{
        return packet[is_ip4(packet) ? IP4_PROTOCOL : IP6_NEXT] == IPPROTO_TCP;
}

static size_t plain_packet(uint8_t *packet, uint8_t kind)
{
        bool four = kind & 1, tcp = kind & 2;

        memset(packet, 0, ROOM);
        packet[0] = four ? 0x45 : 0x60;
        packet[four ? IP4_PROTOCOL : IP6_NEXT] = tcp ? IPPROTO_TCP : IPPROTO_UDP;
        size_t at = transport_at(packet);
        packet[at + 1] = kind >> 2 & 3; /* a few flows */
        if (tcp) packet[at + TCP_OFFSET] = TCP_LEN / 4 << 4;
        return at + (tcp ? TCP_LEN : UDP_LEN) + kind / 16 * 4;
}

/* Lengths and checksums, as if the rest were meant. */
static void make_right(uint8_t *packet, size_t len)
{
        size_t at = transport_at(packet), room = len - at;
        uint8_t *check_field = packet + at + (is_tcp(packet) ? TCP_CHECK : UDP_CHECK);

        if (is_ip4(packet)) packet[0] = 0x45; /* no options: they would reach behind the packet */
        ip_set_length(packet, len);
        if (!is_tcp(packet)) put16(packet + at + UDP_LENGTH, room);
        put16(check_field, 0);
        uint64_t sum = pseudo_sum(packet, is_tcp(packet) ? IPPROTO_TCP : IPPROTO_UDP) + sum_of(room);
        put_checksum(check_field, sum + checksum_sum(packet + at, room));
}

static void advance(uint8_t *packet, size_t len)
{
        size_t at = transport_at(packet);

        if (is_ip4(packet)) put16(packet + IP4_ID, (get16(packet + IP4_ID) + 1) & 0xffff);
        if (is_tcp(packet)) put32(packet + at + TCP_SEQ, get32(packet + at + TCP_SEQ) + (uint32_t)(len - at) - TCP_LEN);
}

/* Each packet is one of a few flows' next, with up to seven bytes changed before or after it is made right. */
static size_t draw_packets(struct source *in, struct offload_packet *packets)
{
        uint8_t room[ROOM];
        size_t count = 0, len = plain_packet(room, take(in));

        while (in->at < in->end && count < OFFLOAD_BATCH) {
                uint8_t how = take(in);
                if (how & 1) len = plain_packet(room, take(in));
                for (unsigned i = how >> 1 & 3; i > 0; i--) {
                        uint8_t at = take(in);
                        room[at] = take(in);
                }
                size_t header_len = transport_at(room) + (is_tcp(room) ? TCP_LEN : UDP_LEN);
                if (len < header_len) len = header_len;
                if (!(how & 8)) make_right(room, len);
                if (how & 16) {
                        uint8_t at = take(in);
                        room[at] = take(in);
                }
                size_t cut = how & 32 ? take(in) % (len + 1) : len;
                packets[count] = (struct offload_packet){ .bytes = malloc(cut ? cut : 1), .len = cut };
                memcpy(packets[count++].bytes, room, cut);
                advance(room, len);
        }
        return count;
}

/* ---- There and back ---------------------------------------------------------------------------------------------- */

/* A sum of zero can be written as two numbers, of which ours are the usual ones: all ones in TCP, and zero in IPv4. */
static void write_as_usual(uint8_t *packet)
{
        uint8_t *transport = packet + transport_at(packet);

        if (is_ip4(packet) && get16(packet + IP4_CHECK) == 0xffff) put16(packet + IP4_CHECK, 0);
        if (is_tcp(packet) && get16(transport + TCP_CHECK) == 0) put16(transport + TCP_CHECK, 0xffff);
}

static void compare(uint8_t *got, size_t len, uint8_t *want, size_t want_len)
{
        check(len == want_len);
        write_as_usual(want);
        if (is_ip4(want) && get16(want + IP4_FRAGMENT) & IP4_DF) { /* the ID means nothing */
                check(checksum_fold(checksum_sum(got, IP4_LEN)) == 0xffff);
                memcpy(got + IP4_ID, want + IP4_ID, 2);
                memcpy(got + IP4_CHECK, want + IP4_CHECK, 2);
        }
        check(memcmp(got, want, len) == 0);
}

static size_t check_group(const struct offload_group *group, const struct offload_packet *packets, uint8_t **originals)
{
        static uint8_t super[65536];
        struct iovec iov[OFFLOAD_BATCH + 1];
        unsigned used = offload_group_iov(group, packets, iov, OFFLOAD_BATCH + 1);
        size_t len = 0, index = group->first, got, count = 0;
        struct offload_split split;
        uint8_t *segment;

        check(used == group->count + 1u);
        for (unsigned i = 1; i < used; i++) {
                check(len + iov[i].iov_len <= sizeof super);
                memcpy(super + len, iov[i].iov_base, iov[i].iov_len);
                len += iov[i].iov_len;
        }
        check(len == group->len);
        check(offload_split_begin(&split, group->vnet, super, len) ==
              (group->count == 1 ? OFFLOAD_PACKET : OFFLOAD_SEGMENTS));
        for (; offload_split_next(&split, &segment, &got); count++) {
                check(originals[index] != NULL);
                if (group->count == 1) check(got == packets[index].len && memcmp(segment, originals[index], got) == 0);
                else compare(segment, got, originals[index], packets[index].len);
                free(originals[index]);
                originals[index] = NULL; /* none twice */
                index = packets[index].next;
        }
        check(count == group->count);
        return count;
}

static void coalesce_any(const uint8_t *data, size_t size)
{
        struct offload_packet packets[OFFLOAD_BATCH];
        struct offload_group groups[OFFLOAD_BATCH];
        uint8_t *originals[OFFLOAD_BATCH];
        struct source in = { data, data + size };
        size_t count = draw_packets(&in, packets), written = 0;

        for (size_t i = 0; i < count; i++) {
                originals[i] = malloc(packets[i].len ? packets[i].len : 1);
                memcpy(originals[i], packets[i].bytes, packets[i].len);
        }
        size_t used = count ? offload_coalesce(packets, count, groups, ALL) : 0;
        for (size_t i = 0; i < used; i++)
                written += check_group(&groups[i], packets, originals);
        check(written == count);
        for (size_t i = 0; i < count; i++)
                free(packets[i].bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0) return 0;
        if (data[0] & 1) coalesce_any(data + 1, size - 1);
        else if (size > VNET_HEADER_LEN) split_any(data + 1, size - 1);
        return 0;
}
