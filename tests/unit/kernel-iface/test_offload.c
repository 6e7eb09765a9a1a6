/* Finishing the checksum of packets read from a TUN, against a sum done the slow way. */
#include "kernel-iface/offload.h"
#include "kernel-iface/tun.h"
#include "tests/unit/kernel-iface/netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

static uint32_t seed = 1;

static uint32_t draw(uint32_t below)
{
        seed = seed * 1664525 + 1013904223;
        return (seed >> 8) % below;
}

/* Byte by byte, big-endian, as RFC 1071 words it. */
static uint16_t naive(const uint8_t *bytes, size_t len, uint32_t sum)
{
        for (size_t i = 0; i < len; i++) {
                sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
                if (sum > 0xffff) sum = (sum & 0xffff) + 1;
        }
        return (uint16_t)sum;
}

static void test_checksum(void **state)
{
        uint8_t bytes[4100];

        (void)state;
        for (int round = 0; round < 5000; round++) {
                size_t len = round < 200 ? (size_t)round : draw(4096), at = draw(4);
                for (size_t i = 0; i < len; i++)
                        bytes[at + i] = (uint8_t)draw(round % 3 ? 256 : 2) * (round % 3 ? 1 : 255);
                uint16_t is = offload_checksum(bytes + at, len, 0);
                assert_int_equal(ntohs(is), (uint16_t)~naive(bytes + at, len, 0));
        }
        memset(bytes, 0xff, sizeof bytes);
        assert_int_equal(offload_checksum(bytes, 4096, 0), 0);
        assert_int_equal(offload_checksum(bytes, 0, 0), 0xffff);
        /* the example of RFC 1071, 3 */
        static const uint8_t example[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
        assert_int_equal(ntohs(offload_checksum(example, sizeof example, 0)), (uint16_t)~0xddf2);
        assert_int_equal(offload_checksum(example + 4, 4, (uint16_t)~offload_checksum(example, 4, 0)),
                         offload_checksum(example, 8, 0));
}

static void make_header(uint8_t out[VNET_HEADER_LEN], uint8_t flags, uint8_t gso, uint16_t start, uint16_t offset)
{
        struct virtio_net_hdr header = { .flags = flags, .gso_type = gso, .csum_start = start, .csum_offset = offset };

        memcpy(out, &header, VNET_HEADER_LEN);
}

/* Any header over any packet: what was written adds up, what was refused is untouched. */
static void test_random(void **state)
{
        unsigned finished = 0, refused = 0;

        (void)state;
        for (int round = 0; round < 50000; round++) {
                size_t len = draw(300);
                uint8_t vnet[VNET_HEADER_LEN], *packet = malloc(len ? len : 1), *copy = malloc(len ? len : 1);
                uint16_t start = (uint16_t)draw(draw(8) ? 320 : 65536), offset = (uint16_t)draw(draw(8) ? 40 : 65536);
                for (size_t i = 0; i < len; i++)
                        packet[i] = (uint8_t)draw(256);
                memcpy(copy, packet, len);
                make_header(vnet, VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_NONE, start, offset);
                enum offload_verdict verdict = offload_finish(vnet, packet, len);
                bool fits = start < len && (size_t)start + offset + 2 <= len;
                assert_int_equal(verdict, fits ? OFFLOAD_PACKET : OFFLOAD_MALFORMED);
                if (fits) {
                        size_t field = (size_t)start + offset;
                        uint16_t want = (uint16_t)~naive(copy + start, len - start, 0);
                        if (want == 0) want = 0xffff;
                        /* a field at an odd place is none of a real protocol: its value is that of the kernel's own
                         * arithmetic */
                        assert_int_equal(packet[field] << 8 | packet[field + 1], want);
                        memcpy(copy + field, packet + field, 2);
                        finished++;
                } else {
                        refused++;
                }
                assert_memory_equal(packet, copy, len);
                free(packet);
                free(copy);
        }
        assert_true(finished > 1000 && refused > 1000);
}

static void test_kinds(void **state)
{
        static const uint8_t super[] = { VIRTIO_NET_HDR_GSO_TCPV4,
                                         VIRTIO_NET_HDR_GSO_TCPV6,
                                         VIRTIO_NET_HDR_GSO_UDP,
                                         5,
                                         VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN,
                                         0xff };
        uint8_t vnet[VNET_HEADER_LEN], packet[40] = { 0x45 }, copy[40] = { 0x45 };

        (void)state;
        for (size_t i = 0; i < sizeof super; i++) {
                make_header(vnet, VIRTIO_NET_HDR_F_NEEDS_CSUM, super[i], 20, 6);
                assert_int_equal(offload_finish(vnet, packet, sizeof packet), OFFLOAD_SEGMENTS);
        }
        make_header(vnet, 0, VIRTIO_NET_HDR_GSO_NONE, 20, 6);
        assert_int_equal(offload_finish(vnet, packet, sizeof packet), OFFLOAD_PACKET);
        make_header(vnet, VIRTIO_NET_HDR_F_DATA_VALID, VIRTIO_NET_HDR_GSO_NONE, 20, 6);
        assert_int_equal(offload_finish(vnet, packet, sizeof packet), OFFLOAD_PACKET);
        assert_memory_equal(packet, copy, sizeof packet);
        /* a sum of zero is written as all ones */
        memset(packet + 20, 0xff, 20);
        make_header(vnet, VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_NONE, 20, 6);
        assert_int_equal(offload_finish(vnet, packet, sizeof packet), OFFLOAD_PACKET);
        assert_int_equal(packet[26], 0xff);
        assert_int_equal(packet[27], 0xff);
}

/* The pseudo-header's sum of an IPv4 datagram and the datagram itself: 0xffff when its checksum is right. */
static uint16_t verify(const uint8_t *packet, size_t len)
{
        uint8_t tail[4] = { 0, packet[9], (uint8_t)((len - 20) >> 8), (uint8_t)(len - 20) };

        return naive(packet + 20, len - 20, naive(tail, 4, naive(packet + 12, 8, 0)));
}

/* The kernel's own unfinished packets: it asks for the checksum, and what comes out is right. */
static void test_kernel(void **state)
{
        uint8_t room[2048], *packet = room + VNET_HEADER_LEN;
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(7), .sin_addr.s_addr = htonl(0x0a090002) };
        struct tun tun;
        int asked = 0;

        (void)state;
        if (!netns_enter()) skip();
        assert_int_equal(tun_open(&tun, "wgt"), 0);
        assert_int_equal(tun_set_offloads(&tun, TUN_F_CSUM), 0);
        assert_int_equal(
                shell("ip link set wgt addrgenmode none; ip addr add 10.9.0.1/24 dev wgt && ip link set wgt up", NULL,
                      0),
                0);
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        memset(room, 0xa7, sizeof room);
        for (size_t size = 0; size < 64; size++) {
                struct pollfd ready = { .fd = tun.fd, .events = POLLIN };
                assert_int_equal(sendto(fd, packet, size, 0, (struct sockaddr *)&to, sizeof to), size);
                ssize_t got;
                do { /* the namespace may send on its own */
                        assert_int_equal(poll(&ready, 1, 5000), 1);
                        got = tun_read(tun.fd, room, sizeof room);
                        assert_true(got > VNET_HEADER_LEN);
                } while (packet[0] != 0x45 || packet[9] != IPPROTO_UDP);
                asked += room[0] & VIRTIO_NET_HDR_F_NEEDS_CSUM;
                assert_int_equal(offload_finish(room, packet, (size_t)got - VNET_HEADER_LEN), OFFLOAD_PACKET);
                assert_int_equal(verify(packet, (size_t)got - VNET_HEADER_LEN), 0xffff);
        }
        assert_int_equal(asked, 64);
        close(fd);
        close(tun.fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_checksum),
                cmocka_unit_test(test_random),
                cmocka_unit_test(test_kinds),
                cmocka_unit_test(test_kernel),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
