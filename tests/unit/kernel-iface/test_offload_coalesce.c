/* Coalescing: each rule as a row, and random traffic that must come back byte for byte when it is split again. */
#include "kernel-iface/offload.h"
#include "tests/unit/kernel-iface/test_offload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ALL = OFFLOAD_TCP4 | OFFLOAD_TCP6 | OFFLOAD_UDP4 | OFFLOAD_UDP6, ROOM = 65536 + 256 };

static uint8_t payload[65536], super[ROOM + VNET_HEADER_LEN];
static struct shape shapes[OFFLOAD_BATCH];
static uint8_t *originals[OFFLOAD_BATCH];
static struct offload_packet packets[OFFLOAD_BATCH];
static struct offload_group groups[OFFLOAD_BATCH];
static size_t packet_count;

static void clear(void)
{
        for (size_t i = 0; i < packet_count; i++) {
                free(originals[i]);
                free(packets[i].bytes);
        }
        packet_count = 0;
}

static void add_bytes(const uint8_t *bytes, size_t len)
{
        struct offload_packet *packet = &packets[packet_count];

        *packet = (struct offload_packet){ malloc(len ? len : 1), len, 0xeeee };
        originals[packet_count] = malloc(len ? len : 1);
        memcpy(packet->bytes, bytes, len);
        memcpy(originals[packet_count++], bytes, len);
}

static void add(const struct shape *s)
{
        static uint8_t room[ROOM];

        shapes[packet_count] = *s;
        add_bytes(room, build(s, room, payload + draw(1000) % (65536 - s->payload)));
}

/* The segment that follows one. */
static struct shape after(const struct shape *s)
{
        struct shape next = *s;

        next.seq += s->payload;
        next.id = (s->id + 1) & 0xffff;
        return next;
}

/* The super-packet as the kernel would see it; its length. */
static size_t gather(const struct offload_group *group)
{
        struct iovec iov[OFFLOAD_BATCH + 1];
        unsigned used = offload_group_iov(group, packets, iov, OFFLOAD_BATCH + 1);
        size_t len = 0;

        assert_int_equal(used, group->count + 1);
        assert_int_equal(offload_group_iov(group, packets, iov, group->count), 0);
        assert_int_equal(iov[0].iov_len, VNET_HEADER_LEN);
        for (unsigned i = 0; i < used; i++) {
                assert_true(len + iov[i].iov_len <= sizeof super);
                memcpy(super + len, iov[i].iov_base, iov[i].iov_len);
                len += iov[i].iov_len;
        }
        assert_int_equal(len, group->len + VNET_HEADER_LEN);
        return len - VNET_HEADER_LEN;
}

/* An ID under DF means nothing and need not come back. */
static void assert_same_packet(uint8_t *got, size_t len, size_t index)
{
        uint8_t *want = originals[index];

        assert_int_equal(len, packets[index].len);
        if (want[0] >> 4 == 4 && want[6] & 0x40) {
                assert_int_equal(naive(got, 20, 0), 0xffff);
                memcpy(got + 4, want + 4, 2);
                memcpy(got + 10, want + 10, 2);
        }
        assert_memory_equal(got, want, len);
}

/* Splits a group again and compares; the packets' places in the order they were written in go to `place`. */
static void check_group(const struct offload_group *group, size_t *place, size_t *written)
{
        size_t len = gather(group), got, index = group->first;
        struct offload_split split;
        uint8_t *segment;

        if (group->count == 1) {
                static const uint8_t empty[VNET_HEADER_LEN];
                assert_memory_equal(super, empty, VNET_HEADER_LEN);
                assert_int_equal(len, packets[index].len);
                assert_memory_equal(super + VNET_HEADER_LEN, originals[index], len);
                place[index] = ++*written;
                return;
        }
        assert_int_equal(offload_split_begin(&split, super, super + VNET_HEADER_LEN, len), OFFLOAD_SEGMENTS);
        assert_int_equal(split.count, group->count);
        while (offload_split_next(&split, &segment, &got)) {
                assert_same_packet(segment, got, index);
                assert_int_equal(place[index], 0);
                place[index] = ++*written;
                index = packets[index].next;
        }
}

static bool may_be_one_flow(const struct shape *a, const struct shape *b)
{
        bool hidden = a->fragment & ~(uint32_t)DF || b->fragment & ~(uint32_t)DF || a->ip_words || b->ip_words;

        if (a->four != b->four || a->tcp != b->tcp || a->source != b->source || a->destination != b->destination)
                return false;
        return hidden || (a->source_port == b->source_port && a->destination_port == b->destination_port);
}

/* Coalesces what was added and checks all that must hold; answers how many groups there are. */
static size_t coalesce_and_check(unsigned features)
{
        size_t place[OFFLOAD_BATCH] = { 0 }, written = 0;
        size_t count = offload_coalesce(packets, packet_count, groups, features);

        assert_true(count <= packet_count);
        for (size_t i = 0; i < count; i++)
                check_group(&groups[i], place, &written);
        assert_int_equal(written, packet_count);
        for (size_t i = 0; i < packet_count; i++) {
                assert_true(place[i] > 0);
                for (size_t j = 0; j < i; j++)
                        if (may_be_one_flow(&shapes[i], &shapes[j])) assert_true(place[j] < place[i]);
        }
        return count;
}

/* ---- Rules ------------------------------------------------------------------------------------------------------- */

enum { FIRST = 1, SECOND = 2, BOTH = 3, V4 = 1, V6 = 2, TCP = 4, UDP = 8, ANY = 15 };
#define FIELD(name) offsetof(struct shape, name)

/* Two segments that would merge, something added to a field of one or both, and whether they still do. */
static const struct {
        const char *what;
        unsigned kinds, whose;
        size_t field;
        uint32_t plus;
        bool merge;
} rules[] = {
        { "nothing", ANY, BOTH, FIELD(payload), 0, true },
        { "source address", ANY, SECOND, FIELD(source), 1, false },
        { "destination address", ANY, SECOND, FIELD(destination), 1, false },
        { "source port", ANY, SECOND, FIELD(source_port), 1, false },
        { "destination port", ANY, SECOND, FIELD(destination_port), 1, false },
        { "TTL", ANY, SECOND, FIELD(ttl), 1, false },
        { "ECN", ANY, SECOND, FIELD(tos), 3, false },
        { "ECN on both", ANY, BOTH, FIELD(tos), 3, true },
        { "DSCP", ANY, SECOND, FIELD(tos), 4, false },
        { "flow label", V6 | TCP | UDP, SECOND, FIELD(label), 1, false },
        { "ID with DF", V4 | TCP | UDP, SECOND, FIELD(id), 5, true },
        { "DF on one", V4 | TCP | UDP, SECOND, FIELD(fragment), -(uint32_t)DF, false },
        { "no DF, ID counts", V4 | TCP | UDP, BOTH, FIELD(fragment), -(uint32_t)DF, true },
        { "MF", V4 | TCP | UDP, BOTH, FIELD(fragment), MF, false },
        { "reserved bit", V4 | TCP | UDP, BOTH, FIELD(fragment), 0x8000, false },
        { "offset", V4 | TCP | UDP, BOTH, FIELD(fragment), 5, false },
        { "options or extensions", ANY, BOTH, FIELD(ip_words), 1, false },
        { "checksum of the first", ANY, FIRST, FIELD(corrupt), 0x100, false },
        { "checksum of the second", ANY, SECOND, FIELD(corrupt), 0x100, false },
        { "IP checksum of the first", V4 | TCP | UDP, FIRST, FIELD(ip_corrupt), 1, false },
        { "IP checksum of the second", V4 | TCP | UDP, SECOND, FIELD(ip_corrupt), 1, false },
        { "a smaller last", ANY, SECOND, FIELD(payload), -1u, true },
        { "a larger last", ANY, SECOND, FIELD(payload), 1, false },
        { "nothing in the last", ANY, SECOND, FIELD(payload), -100u, false },
        { "nothing in both", ANY, BOTH, FIELD(payload), -100u, false },
        { "a gap", V4 | V6 | TCP, SECOND, FIELD(seq), 1, false },
        { "an overlap", V4 | V6 | TCP, SECOND, FIELD(seq), -1u, false },
        { "again", V4 | V6 | TCP, SECOND, FIELD(seq), -100u, false },
        { "ack", V4 | V6 | TCP, SECOND, FIELD(ack), 1, false },
        { "window", V4 | V6 | TCP, SECOND, FIELD(window), 1, false },
        { "urgent pointer", V4 | V6 | TCP, SECOND, FIELD(urgent), 1, false },
        { "options' bytes", V4 | V6 | TCP, SECOND, FIELD(options), 1, false },
        { "options' length", V4 | V6 | TCP, SECOND, FIELD(option_words), 1, false },
        { "PSH on the first", V4 | V6 | TCP, FIRST, FIELD(flags), PSH, false },
        { "PSH on the last", V4 | V6 | TCP, SECOND, FIELD(flags), PSH, true },
        { "FIN on the first", V4 | V6 | TCP, FIRST, FIELD(flags), FIN, false },
        { "FIN on the last", V4 | V6 | TCP, SECOND, FIELD(flags), FIN, true },
        { "FIN and PSH on the last", V4 | V6 | TCP, SECOND, FIELD(flags), FIN | PSH, true },
        { "CWR on the first", V4 | V6 | TCP, FIRST, FIELD(flags), CWR, true },
        { "CWR on the last", V4 | V6 | TCP, SECOND, FIELD(flags), CWR, false },
        { "CWR on both", V4 | V6 | TCP, BOTH, FIELD(flags), CWR, false },
        { "ECE on one", V4 | V6 | TCP, SECOND, FIELD(flags), ECE, false },
        { "ECE on both", V4 | V6 | TCP, BOTH, FIELD(flags), ECE, true },
        { "SYN", V4 | V6 | TCP, BOTH, FIELD(flags), SYN, false },
        { "RST", V4 | V6 | TCP, BOTH, FIELD(flags), RST, false },
        { "URG", V4 | V6 | TCP, BOTH, FIELD(flags), URG, false },
        { "RST on the last", V4 | V6 | TCP, SECOND, FIELD(flags), RST, false },
};

static void change(struct shape *s, size_t rule)
{
        uint32_t value;

        memcpy(&value, (uint8_t *)s + rules[rule].field, sizeof value);
        value += rules[rule].plus;
        memcpy((uint8_t *)s + rules[rule].field, &value, sizeof value);
}

static void check_rule(size_t rule, bool four, bool tcp)
{
        struct shape first = plain_shape(four, tcp), second = after(&first);
        uint8_t gso = tcp ? four ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_UDP_L4;
        struct virtio_net_hdr header;

        if (rules[rule].whose & FIRST) change(&first, rule);
        if (rules[rule].whose & SECOND) change(&second, rule);
        add(&first);
        add(&second);
        size_t count = coalesce_and_check(ALL);
        if (count != (rules[rule].merge ? 1 : 2))
                fail_msg("%s, IPv%d, TCP %d: %zu groups", rules[rule].what, four ? 4 : 6, tcp, count);
        if (rules[rule].merge) {
                memcpy(&header, groups[0].vnet, sizeof header);
                assert_int_equal(header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
                assert_int_equal(header.gso_type, gso | (first.flags & CWR && tcp ? VIRTIO_NET_HDR_GSO_ECN : 0));
                assert_int_equal(header.gso_size, 100);
                assert_int_equal(header.hdr_len, header_size(&first));
                assert_int_equal(header.csum_start, ip_size(&first));
        }
        clear();
}

static void test_rules(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
                for (int kind = 0; kind < 4; kind++) {
                        unsigned needed = (kind & 1 ? V4 : V6) | (kind & 2 ? TCP : UDP);
                        if ((rules[i].kinds & needed) == needed) check_rule(i, kind & 1, kind & 2);
                }
}

/* Without DF the ID must count up, also past its end. */
static void test_id(void **state)
{
        (void)state;
        for (uint32_t off = 0; off < 3; off++) {
                struct shape s = plain_shape(true, true);
                s.fragment = 0;
                for (int i = 0; i < 4; i++) {
                        add(&s);
                        s = after(&s);
                        s.id = (s.id + off) & 0xffff;
                }
                assert_int_equal(coalesce_and_check(ALL), off ? 4 : 1);
                clear();
        }
}

/* Adds to a 16-bit field, in one's complement, as a checksum does. */
static void bump(size_t packet, size_t at, uint32_t plus)
{
        uint8_t *copies[] = { packets[packet].bytes + at, originals[packet] + at };

        for (int i = 0; i < 2; i++) {
                uint32_t value = ((uint32_t)copies[i][0] << 8 | copies[i][1]) + plus;
                put(&copies[i], (value & 0xffff) + (value >> 16), 2);
        }
}

/* A UDP datagram without a checksum would get one, even where that of its bytes happens to be zero. */
static void test_no_checksum(void **state)
{
        (void)state;
        for (int zero = 0; zero < 2; zero++) {
                for (size_t i = 0; i < 2; i++) {
                        struct shape s = plain_shape(true, false);
                        add(&s);
                        uint32_t check = (uint32_t)packets[i].bytes[26] << 8 | packets[i].bytes[27];
                        bump(i, 28, check);          /* so much more in the payload, */
                        bump(i, 26, 0xffff - check); /* and all ones are right, */
                        if (!zero) continue;
                        memset(packets[i].bytes + 26, 0, 2); /* and zeros too, but for their meaning */
                        memset(originals[i] + 26, 0, 2);
                }
                assert_int_equal(coalesce_and_check(ALL), zero ? 2 : 1);
                clear();
        }
}

/* Lengths that belie the packet's, with checksums to match. */
static void test_lengths(void **state)
{
        (void)state;
        for (int four = 0; four < 2; four++)
                for (int udp = 0; udp < 2; udp++)
                        for (size_t which = 0; which < 2; which++) {
                                struct shape s = plain_shape(four, !udp);
                                size_t ip = ip_size(&s), field = udp ? ip + 4 : four ? 2 : 4;
                                add(&s);
                                s = after(&s);
                                add(&s);
                                bump(which, field, 1);
                                if (udp) bump(which, ip + 6, 0xfffe);
                                if (!udp && four) bump(which, 10, 0xfffe);
                                assert_int_equal(coalesce_and_check(ALL), 2);
                                clear();
                        }
}

static void test_features(void **state)
{
        static const unsigned features[] = { OFFLOAD_UDP6, OFFLOAD_UDP4, OFFLOAD_TCP6, OFFLOAD_TCP4 };

        (void)state;
        for (int kind = 0; kind < 4; kind++) {
                struct shape s = plain_shape(kind & 1, kind & 2);
                for (unsigned given = 0; given <= ALL; given++) {
                        for (int i = 0; i < 3; i++) {
                                add(&s);
                                s = after(&s);
                        }
                        assert_int_equal(coalesce_and_check(given), given & features[kind] ? 1 : 3);
                        clear();
                }
        }
}

/* ---- Batches ----------------------------------------------------------------------------------------------------- */

/* Flows that alternate become one group each; what ends a group does not end the flow. */
static void test_interleaved(void **state)
{
        struct shape flows[8];

        (void)state;
        for (uint32_t f = 0; f < 8; f++) {
                flows[f] = plain_shape(f & 1, f & 2);
                flows[f].source = 10 + f;
        }
        for (int i = 0; i < 128; i++) {
                struct shape *flow = &flows[i % 8];
                struct shape sent = *flow;
                if (i / 8 == 9) sent.payload = 30;
                add(&sent);
                *flow = after(&sent);
                flow->payload = 100;
        }
        assert_int_equal(coalesce_and_check(ALL), 16);
        for (int i = 0; i < 16; i++)
                assert_int_equal(groups[i].count, i < 8 ? 10 : 6);
        clear();
}

static void test_limits(void **state)
{
        static const struct {
                bool tcp;
                uint32_t payload, packets, groups, count;
        } rows[] = {
                { true, 100, 128, 1, 128 }, { true, 1448, 100, 3, 45 }, { true, 16000, 9, 3, 4 },
                { true, 40000, 3, 3, 1 },   { false, 10, 128, 2, 64 },  { false, 1000, 128, 2, 64 },
                { false, 1372, 94, 2, 47 }, { true, 32741, 2, 1, 2 },   { true, 32742, 2, 2, 1 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct shape s = plain_shape(true, rows[i].tcp);
                s.payload = rows[i].payload;
                for (uint32_t k = 0; k < rows[i].packets; k++) {
                        add(&s);
                        s = after(&s);
                }
                assert_int_equal(coalesce_and_check(ALL), rows[i].groups);
                assert_int_equal(groups[0].count, rows[i].count);
                clear();
        }
}

/* Nothing passes a fragment, for it may be of any flow; what has no ports at all holds nobody up. */
static void test_barrier(void **state)
{
        (void)state;
        for (int kind = 0; kind < 4; kind++) {
                struct shape s = plain_shape(true, true), between = plain_shape(true, false);
                if (kind == 0) between.fragment = MF;
                if (kind == 1) between.ip_words = 1;
                if (kind == 2) between.four = between.fragment = 0, between.ip_words = 1;
                add(&s);
                add(&between);
                if (kind == 3) packets[1].bytes[9] = originals[1][9] = IPPROTO_ICMP;
                s = after(&s);
                add(&s);
                assert_int_equal(coalesce_and_check(ALL), kind == 3 ? 2 : 3);
                clear();
        }
}

/* More flows than a packet looks at slots for: nothing is lost, whatever the hash does. */
static void test_many_flows(void **state)
{
        (void)state;
        for (uint32_t spread = 1; spread < 60; spread++) {
                for (uint32_t i = 0; i < OFFLOAD_BATCH; i++) {
                        struct shape s = plain_shape(spread & 1, spread & 2);
                        s.source = i % spread * 2654435761u % 65536;
                        s.source_port = i % spread * 256;
                        s.seq = i / spread * 100;
                        add(&s);
                }
                size_t count = coalesce_and_check(ALL);
                assert_true(count >= spread && (spread > 8 || count == (spread == 1 && !(spread & 2) ? 2 : spread)));
                clear();
        }
}

static void test_undo(void **state)
{
        static const unsigned features[] = { OFFLOAD_UDP6, OFFLOAD_UDP4, OFFLOAD_TCP6, OFFLOAD_TCP4 };

        (void)state;
        for (int kind = 0; kind < 4; kind++) {
                struct shape s = plain_shape(kind & 1, kind & 2);
                for (int i = 0; i < 5; i++) {
                        if (i == 4) s.flags |= PSH | FIN;
                        add(&s);
                        s = after(&s);
                }
                assert_int_equal(offload_coalesce(packets, packet_count, groups, ALL), 1);
                assert_int_not_equal(memcmp(packets[0].bytes, originals[0], packets[0].len), 0);
                assert_int_equal(offload_group_feature(&groups[0], packets), features[kind]);
                offload_group_undo(&groups[0], packets);
                for (int i = 0; i < 5; i++)
                        assert_memory_equal(packets[i].bytes, originals[i], packets[i].len);
                clear();
        }
        struct shape lone = plain_shape(true, true);
        add(&lone);
        assert_int_equal(coalesce_and_check(ALL), 1);
        assert_int_equal(offload_group_feature(&groups[0], packets), 0);
        offload_group_undo(&groups[0], packets);
        assert_memory_equal(packets[0].bytes, originals[0], packets[0].len);
        clear();
}

/* ---- Random ------------------------------------------------------------------------------------------------------ */

/* Mostly what a sender would do, and now and then what it would not. */
static void disturb(struct shape *s)
{
        switch (draw(100)) {
        case 0: s->flags |= PSH; break;
        case 1: s->flags |= FIN; break;
        case 2: s->flags |= 1u << draw(8); break;
        case 3: s->flags |= CWR; break;
        case 4: s->seq += draw(3) * 10; break;
        case 5: s->corrupt = 0x40; break;
        case 6: s->ip_corrupt = 0x40; break;
        case 7: s->payload = draw(s->payload + 1); break;
        case 8: s->payload += draw(10); break;
        case 9: s->payload = 0; break;
        case 10: s->tos ^= 3; break;
        case 11: s->ttl--; break;
        case 12: s->id = draw(65536); break;
        case 13:
                if (s->four) s->fragment ^= DF;
                break;
        case 14:
                if (s->four) s->fragment = draw(65536);
                break;
        case 15: s->ip_words = draw(3); break;
        case 16: s->window++; break;
        case 17: s->ack++; break;
        case 18: s->options++; break;
        case 19:
                if (s->tcp) s->option_words = draw(11);
                break;
        case 20: s->label++; break;
        default: break;
        }
}

static void test_random(void **state)
{
        size_t total = 0, grouped = 0;

        (void)state;
        fill(payload, sizeof payload);
        for (int round = 0; round < 3000; round++) {
                struct shape flows[6];
                uint32_t used = 1 + draw(6), count = 1 + draw(OFFLOAD_BATCH);
                for (uint32_t f = 0; f < used; f++) {
                        flows[f] = plain_shape(draw(2), draw(2));
                        flows[f].source_port = draw(3);
                        if (flows[f].four && draw(2)) flows[f].fragment = 0;
                        flows[f].payload = 1 + draw(draw(2) ? 50 : 1500);
                }
                for (uint32_t i = 0; i < count; i++) {
                        struct shape *flow = &flows[draw(used)], sent = *flow;
                        disturb(&sent);
                        add(&sent);
                        *flow = after(&sent);
                        if (draw(2) || flow->ip_words || flow->corrupt) { /* an event, not a new habit */
                                struct shape next = after(&sent);
                                *flow = plain_shape(sent.four, sent.tcp);
                                flow->source_port = sent.source_port;
                                flow->seq = next.seq;
                                flow->id = next.id;
                                flow->payload = sent.payload ? sent.payload : 10;
                        }
                }
                total += packet_count;
                grouped += coalesce_and_check(ALL);
                clear();
        }
        assert_true(grouped < total / 2);
}

/* Any bytes: the headers of packets changed at random, and cut. */
static void test_mangled(void **state)
{
        static uint8_t room[ROOM];

        (void)state;
        for (int round = 0; round < 3000; round++) {
                struct shape s = plain_shape(draw(2), draw(2));
                uint32_t count = 1 + draw(20);
                for (uint32_t i = 0; i < count; i++) {
                        size_t len = build(&s, room, payload);
                        if (draw(3) == 0) room[draw(80)] = (uint8_t)draw(256);
                        if (draw(8) == 0) len = draw((uint32_t)len + 1);
                        add_bytes(room, len);
                        s = after(&s);
                }
                size_t place[OFFLOAD_BATCH] = { 0 }, written = 0;
                size_t used = offload_coalesce(packets, packet_count, groups, ALL);
                for (size_t i = 0; i < used; i++)
                        check_group(&groups[i], place, &written);
                assert_int_equal(written, packet_count);
                clear();
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rules),   cmocka_unit_test(test_id),       cmocka_unit_test(test_no_checksum),
                cmocka_unit_test(test_lengths), cmocka_unit_test(test_features), cmocka_unit_test(test_interleaved),
                cmocka_unit_test(test_limits),  cmocka_unit_test(test_barrier),  cmocka_unit_test(test_many_flows),
                cmocka_unit_test(test_undo),    cmocka_unit_test(test_random),   cmocka_unit_test(test_mangled),
        };

        fill(payload, sizeof payload);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
