/* Splitting super-packets, against a segmenter that builds every packet anew. */
#include "kernel-iface/offload.h"
#include "tests/unit/kernel-iface/test_offload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint8_t payload[65536], whole[66000], expected[66000];

/* A copy that ends where its memory ends. */
static uint8_t *exact(const uint8_t *bytes, size_t len)
{
        uint8_t *copy = malloc(len ? len : 1);

        memcpy(copy, bytes, len);
        return copy;
}

static void check_split(const struct shape *s, uint16_t gso_size)
{
        uint8_t vnet[VNET_HEADER_LEN], *segment;
        size_t len = build_super(s, vnet, whole, payload, gso_size), segment_len;
        uint8_t *packet = exact(whole, len);
        struct offload_split split;
        unsigned count = (s->payload + gso_size - 1u) / gso_size;

        assert_int_equal(offload_split_begin(&split, vnet, packet, len), OFFLOAD_SEGMENTS);
        assert_memory_equal(packet, whole, len);
        assert_int_equal(split.count, count);
        for (uint32_t i = 0; i < count; i++) {
                size_t want = naive_segment(s, expected, payload, gso_size, i);
                assert_true(offload_split_next(&split, &segment, &segment_len));
                assert_int_equal(segment_len, want);
                assert_memory_equal(segment, expected, want);
                if (i + 1 < count) assert_int_equal(split.segment_len, want);
        }
        assert_false(offload_split_next(&split, &segment, &segment_len));
        free(packet);
}

static struct shape random_shape(void)
{
        struct shape s = plain_shape(draw(2), draw(2));

        s.tos = draw(256);
        s.ttl = draw(256);
        s.id = draw(65536);
        if (s.four) s.fragment = draw(2) ? DF : 0;
        s.label = draw(1 << 20);
        s.ip_words = draw(3) ? 0 : s.four ? draw(11) : draw(8);
        s.source = draw(65536);
        s.source_port = draw(65536);
        s.seq = draw(1 << 28) << 4;
        s.ack = draw(1 << 28);
        s.flags = draw(256);
        s.window = draw(65536);
        s.options = draw(256);
        s.option_words = s.tcp ? draw(11) : 0;
        return s;
}

static void test_random(void **state)
{
        (void)state;
        fill(payload, sizeof payload);
        for (int round = 0; round < 3000; round++) {
                struct shape s = random_shape();
                uint16_t gso_size = (uint16_t)(1 + draw(draw(2) ? 100 : 3000));
                s.payload = 1 + draw(round % 50 ? 4000 : 65000);
                if (s.payload > 6000 && gso_size < 20) gso_size = 20;
                check_split(&s, gso_size);
        }
}

static void test_boundaries(void **state)
{
        static const struct {
                uint32_t payload;
                uint16_t gso_size;
        } rows[] = {
                { 1, 1 },       { 2, 1 },     { 3, 2 },       { 300, 1 },      { 1000, 999 },    { 1000, 1000 },
                { 1000, 1001 }, { 1, 65535 }, { 1001, 1000 }, { 65000, 1448 }, { 65000, 64999 }, { 65000, 65000 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
                for (int kind = 0; kind < 4; kind++) {
                        struct shape s = plain_shape(kind & 1, kind & 2);
                        s.flags = ACK | PSH | FIN | CWR;
                        s.payload = rows[i].payload;
                        check_split(&s, rows[i].gso_size);
                        if (s.payload < 65000) continue;
                        s.payload = (s.four ? 65535 : 65535 + 40) - (uint32_t)header_size(&s); /* all there can be */
                        check_split(&s, rows[i].gso_size);
                }
}

/* One packet comes out as it would of offload_finish. */
static void test_single(void **state)
{
        uint8_t vnet[VNET_HEADER_LEN] = { 0 }, *segment;
        struct shape s = plain_shape(true, true);
        struct offload_split split;
        size_t len, got;

        (void)state;
        len = build(&s, expected, payload);
        build_super(&s, vnet, whole, payload, 1);
        vnet[offsetof(struct virtio_net_hdr, gso_type)] = 0;
        for (int needs = 1; needs >= 0; needs--) {
                vnet[0] = (uint8_t)needs;
                if (!needs) memcpy(whole, expected, len);
                assert_int_equal(offload_split_begin(&split, vnet, whole, len), OFFLOAD_PACKET);
                assert_int_equal(split.count, 1);
                assert_int_equal(split.segment_len, len);
                assert_true(offload_split_next(&split, &segment, &got));
                assert_ptr_equal(segment, whole);
                assert_int_equal(got, len);
                assert_memory_equal(segment, expected, len);
                assert_false(offload_split_next(&split, &segment, &got));
        }
}

enum { IN_VNET = 1000 }; /* an offset below is one into the packet */
#define VNET(field) (IN_VNET + offsetof(struct virtio_net_hdr, field))

/* What is set, and that the super-packet is refused for it. */
static const struct {
        const char *what;
        bool four, tcp;
        size_t at;
        uint8_t value;
} malformed[] = {
        { "no checksum asked for", true, true, VNET(flags), 0 },
        { "UFO", true, false, VNET(gso_type), VIRTIO_NET_HDR_GSO_UDP },
        { "an unknown type", true, true, VNET(gso_type), 2 },
        { "ECN and nothing else", true, true, VNET(gso_type), VIRTIO_NET_HDR_GSO_ECN },
        { "TCPv6 in IPv4", true, true, VNET(gso_type), VIRTIO_NET_HDR_GSO_TCPV6 },
        { "TCPv4 in IPv6", false, true, VNET(gso_type), VIRTIO_NET_HDR_GSO_TCPV4 },
        { "UDP in TCP", true, true, VNET(gso_type), VIRTIO_NET_HDR_GSO_UDP_L4 },
        { "TCP in UDP", true, false, VNET(gso_type), VIRTIO_NET_HDR_GSO_TCPV4 },
        { "no segment size", true, true, VNET(gso_size), 0 },
        { "checksum from the IP header", true, true, VNET(csum_start), 0 },
        { "checksum from behind the TCP header's start", true, true, VNET(csum_start), 24 },
        { "checksum from before it", false, true, VNET(csum_start), 36 },
        { "checksum from behind the UDP header's start", false, false, VNET(csum_start), 48 },
        { "a checksum elsewhere", true, true, VNET(csum_offset), 6 },
        { "a UDP checksum elsewhere", false, false, VNET(csum_offset), 16 },
        { "no IP", true, true, 0, 0x55 },
        { "IPv6 where IPv4 is", true, true, 0, 0x65 },
        { "IPv4 options that are not there", true, true, 0, 0x46 },
        { "an IPv4 header too short", true, true, 0, 0x44 },
        { "a fragment", true, true, 6, 0x20 },
        { "a later fragment", true, false, 7, 1 },
        { "another protocol", true, true, 9, IPPROTO_UDP },
        { "another next header", false, true, 6, IPPROTO_UDP },
        { "a fragment header", false, true, 6, IPPROTO_FRAGMENT },
        { "extension headers into the TCP header", false, true, 6, IPPROTO_DSTOPTS },
        { "a TCP header too short", true, true, 20 + 12, 0x40 },
};

static void test_malformed(void **state)
{
        uint8_t vnet[VNET_HEADER_LEN], *segment;
        struct offload_split split;
        size_t got;

        (void)state;
        for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
                struct shape s = plain_shape(malformed[i].four, malformed[i].tcp);
                size_t len = build_super(&s, vnet, whole, payload, 50), at = malformed[i].at;
                uint8_t *packet = exact(whole, len), *copy;
                if (at >= IN_VNET && (at == VNET(gso_size) || at == VNET(csum_start) || at == VNET(csum_offset))) {
                        uint16_t value = malformed[i].value;
                        memcpy(vnet + at - IN_VNET, &value, 2);
                } else {
                        (at >= IN_VNET ? vnet + at - IN_VNET : packet + at)[0] = malformed[i].value;
                }
                copy = exact(packet, len);
                if (offload_split_begin(&split, vnet, packet, len) != OFFLOAD_MALFORMED ||
                    offload_split_next(&split, &segment, &got))
                        fail_msg("taken: %s", malformed[i].what);
                assert_memory_equal(packet, copy, len);
                free(packet);
                free(copy);
        }
}

/* A super-packet cut short anywhere: refused up to the headers' end, and then split as what it is. */
static void test_truncated(void **state)
{
        uint8_t vnet[VNET_HEADER_LEN], *segment;
        struct offload_split split;
        size_t got;

        (void)state;
        for (int kind = 0; kind < 4; kind++) {
                struct shape s = plain_shape(kind & 1, kind & 2);
                s.ip_words = 2;
                size_t full = build_super(&s, vnet, whole, payload, 50);
                for (size_t len = 0; len <= full; len++) {
                        uint8_t *packet = exact(whole, len);
                        bool fits = len > header_size(&s);
                        assert_int_equal(offload_split_begin(&split, vnet, packet, len),
                                         fits ? OFFLOAD_SEGMENTS : OFFLOAD_MALFORMED);
                        while (offload_split_next(&split, &segment, &got))
                                assert_true(segment >= packet && segment + got <= packet + len);
                        free(packet);
                }
        }
}

/* Longer than IP can say, or than a split keeps headers for. */
static void test_too_long(void **state)
{
        static uint8_t large[70000];
        uint8_t vnet[VNET_HEADER_LEN];
        struct offload_split split;

        (void)state;
        for (int four = 0; four < 2; four++) {
                struct shape s = plain_shape(four, true);
                build_super(&s, vnet, large, payload, 50);
                size_t limit = four ? 65535 : 65535 + 40;
                assert_int_equal(offload_split_begin(&split, vnet, large, limit), OFFLOAD_SEGMENTS);
                assert_int_equal(offload_split_begin(&split, vnet, large, limit + 1), OFFLOAD_MALFORMED);
        }
        for (uint32_t words = 22; words < 32; words++) {
                struct shape s = plain_shape(false, true);
                s.ip_words = words;
                size_t len = build_super(&s, vnet, whole, payload, 50);
                assert_int_equal(offload_split_begin(&split, vnet, whole, len),
                                 header_size(&s) <= OFFLOAD_HEADERS_MAX ? OFFLOAD_SEGMENTS : OFFLOAD_MALFORMED);
        }
}

/* Super-packets with bytes changed at random: nothing outside is read or written, and segments lie in the packet. */
static void test_mangled(void **state)
{
        uint8_t vnet[VNET_HEADER_LEN], *segment;
        unsigned taken = 0, refused = 0;
        struct offload_split split;
        size_t got;

        (void)state;
        for (int round = 0; round < 30000; round++) {
                struct shape s = random_shape();
                s.payload = draw(200);
                size_t len = build_super(&s, vnet, whole, payload, (uint16_t)draw(100));
                uint8_t *packet = exact(whole, len);
                for (uint32_t i = draw(4); i > 0; i--)
                        if (draw(2)) vnet[draw(VNET_HEADER_LEN)] = (uint8_t)draw(256);
                        else packet[draw((uint32_t)len)] = (uint8_t)draw(256);
                bool ok = offload_split_begin(&split, vnet, packet, len) != OFFLOAD_MALFORMED;
                unsigned count = 0;
                for (; offload_split_next(&split, &segment, &got); count++)
                        assert_true(segment >= packet && segment + got <= packet + len && got <= split.segment_len);
                assert_int_equal(count, ok ? split.count : 0);
                assert_true(!ok || count > 0);
                taken += ok;
                refused += !ok;
                free(packet);
        }
        assert_true(taken > 1000 && refused > 1000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_random),    cmocka_unit_test(test_boundaries), cmocka_unit_test(test_single),
                cmocka_unit_test(test_malformed), cmocka_unit_test(test_truncated),  cmocka_unit_test(test_too_long),
                cmocka_unit_test(test_mangled),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
