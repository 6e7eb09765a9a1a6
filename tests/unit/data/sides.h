/* Two data planes: each has a socketpair for its TUN, and real UDP sockets to the other over loopback. */
#ifndef TESTS_UNIT_DATA_SIDES_H
#define TESTS_UNIT_DATA_SIDES_H

#include "daemon/data/data.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static const struct engine_config limits = { .max_peers = 4, .max_prefixes = 8, .max_staged = 16, .staged_size = 2048 };

struct side {
        struct data_plane plane;
        struct key private_key, public_key;
        struct peer *peer;
        int user; /* the far end of the TUN */
        unsigned sessions_up, upgrades;
};

static struct side sides[2];
static struct moment at = { 1000000000, 1700000000000000000 };

static inline void fill(void *context, void *bytes, size_t len)
{
        (void)context;
        randombytes_buf(bytes, len);
}

static inline void on_event(void *context, const struct effect *effect)
{
        struct side *side = context;

        side->sessions_up += effect->type == EFFECT_SESSION_UP;
        side->upgrades += effect->type == EFFECT_UPGRADED;
}

static inline void side_open(struct side *side)
{
        struct engine_random random = { .fill = fill };
        size_t size = engine_memory(&limits);
        void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        int pair[2];

        assert_ptr_not_equal(memory, MAP_FAILED);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
        for (int i = 0, room = 1 << 20; i < 2; i++)
                setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        key_generate_private(&side->private_key);
        assert_true(key_public_from_private(&side->public_key, &side->private_key));
        side->user = pair[1];
        side->plane = (struct data_plane){ .engine = engine_new(memory, size, &limits, &random, at.now),
                                           .tun = pair[0],
                                           .wake = -1,
                                           .event = on_event,
                                           .event_context = side };
        assert_non_null(side->plane.engine);
        assert_int_equal(data_init(&side->plane), 0);
        assert_int_equal(udp_open(&side->plane.sockets, 0, 0), 0);
        udp_enable_gro(&side->plane.sockets);
        engine_set_private_key(side->plane.engine, at.now, &side->private_key);
        engine_set_mtu(side->plane.engine, 1420);
        engine_set_up(side->plane.engine, at.now, true);
}

static inline void know(struct side *side, const struct side *other, uint8_t last, bool with_endpoint)
{
        struct prefix prefix = { .family = AF_INET, .length = 32, .bytes = { 10, 0, 0, last } };
        union socket_address remote = { .in = { .sin_family = AF_INET,
                                                .sin_port = htons(other->plane.sockets.port),
                                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };

        side->peer = engine_peer_add(side->plane.engine, at.now, &other->public_key);
        assert_non_null(side->peer);
        assert_true(engine_allowed_ip_add(side->plane.engine, side->peer, &prefix));
        if (with_endpoint) engine_peer_set_endpoint(side->peer, &remote);
}

/* [empty vnet header][IPv4 header of 20 bytes][a pattern] */
static inline size_t packet_make(uint8_t *out, uint8_t from, uint8_t to, size_t len, uint8_t pattern)
{
        uint8_t *ip = out + VNET_HEADER_LEN;

        memset(out, 0, VNET_HEADER_LEN + 20);
        ip[0] = 0x45;
        ip[2] = (uint8_t)(len >> 8);
        ip[3] = (uint8_t)len;
        ip[8] = 64;
        memcpy(ip + 12, (uint8_t[]){ 10, 0, 0, from, 10, 0, 0, to }, 8);
        for (size_t i = 20; i < len; i++)
                ip[i] = (uint8_t)(pattern + i);
        return VNET_HEADER_LEN + len;
}

/* A TCP super-packet of IPv4: 20 + 20 bytes of headers, `payload` bytes in segments of `segment`. */
static inline size_t super_make(uint8_t *out, size_t payload, uint16_t segment)
{
        size_t len = packet_make(out, 1, 2, 40 + payload, 3);
        uint8_t *ip = out + VNET_HEADER_LEN, *tcp = ip + 20;
        struct virtio_net_hdr vnet = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                       .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                       .hdr_len = 40,
                                       .gso_size = segment,
                                       .csum_start = 20,
                                       .csum_offset = 16 };
        uint32_t sum = 10 * 256 + 0 + 1 + 10 * 256 + 0 + 2 + IPPROTO_TCP + (uint32_t)(20 + payload);

        memcpy(out, &vnet, sizeof vnet);
        ip[9] = IPPROTO_TCP;
        ip[6] = 0x40; /* DF */
        uint16_t header_sum = offload_checksum(ip, 20, 0);
        memcpy(ip + 10, &header_sum, 2);
        memset(tcp, 0, 20);
        tcp[1] = 80;
        tcp[3] = 81;
        tcp[12] = 5 << 4;
        tcp[13] = 0x18; /* PSH, ACK */
        sum = (sum & 0xffff) + (sum >> 16);
        tcp[16] = (uint8_t)(sum >> 8);
        tcp[17] = (uint8_t)sum;
        return len;
}

#endif
