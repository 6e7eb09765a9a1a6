#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

struct packet {
        const struct host *from, *to;
        uint16_t len;
        bool v6, delivered, lost, dropped; /* lost: by the link, one of its copies; dropped: on arrival */
};

enum { V4_HEADER = 20, V6_HEADER = 40, NUMBER_LEN = 8, PROTOCOL = 253 /* experiments, RFC 3692 */ };

uint64_t splitmix(uint64_t *state)
{
        uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

/* 10.x.y.0/24 and fd00:0:0:xy::/64. */
struct prefix packet_prefix(const struct host *host, int family)
{
        if (family == AF_INET)
                return (struct prefix){ AF_INET, 24, { 10, (uint8_t)(host->id >> 8), (uint8_t)host->id } };
        return (struct prefix){ AF_INET6, 64, { 0xfd, 0, 0, 0, 0, 0, (uint8_t)(host->id >> 8), (uint8_t)host->id } };
}

static void address_of(uint8_t *out, const struct host *host, bool v6)
{
        struct prefix p = packet_prefix(host, v6 ? AF_INET6 : AF_INET);

        memcpy(out, p.bytes, v6 ? 16 : 4);
        out[v6 ? 15 : 3] = 7;
}

static void put16(uint8_t *out, unsigned v)
{
        out[0] = (uint8_t)(v >> 8);
        out[1] = (uint8_t)v;
}

static void v4_header(uint8_t *out, const struct packet *p)
{
        uint32_t sum = 0;

        memset(out, 0, V4_HEADER);
        out[0] = 0x45;
        put16(out + 2, p->len);
        out[8] = 64;
        out[9] = PROTOCOL;
        address_of(out + 12, p->from, false);
        address_of(out + 16, p->to, false);
        for (unsigned i = 0; i < V4_HEADER; i += 2)
                sum += (uint32_t)out[i] << 8 | out[i + 1];
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        put16(out + 10, ~sum & 0xffff);
}

static void v6_header(uint8_t *out, const struct packet *p)
{
        memset(out, 0, V6_HEADER);
        out[0] = 0x60;
        put16(out + 4, p->len - V6_HEADER);
        out[6] = PROTOCOL;
        out[7] = 64;
        address_of(out + 8, p->from, true);
        address_of(out + 24, p->to, true);
}

/* All bytes of a packet follow from its number and record. */
static void build(const struct packet *p, uint64_t number, uint8_t *out)
{
        uint64_t pattern = number;
        size_t at = p->v6 ? V6_HEADER : V4_HEADER;

        p->v6 ? v6_header(out, p) : v4_header(out, p);
        memcpy(out + at, &number, NUMBER_LEN);
        for (at += NUMBER_LEN; at < p->len; at++)
                out[at] = (uint8_t)(splitmix(&pattern) >> 56);
}

size_t packet_new(struct world *world, const struct host *from, const struct host *to, uint8_t *out)
{
        struct packet *p;
        bool v6 = world_random(world, 2);
        size_t shortest = (v6 ? V6_HEADER : V4_HEADER) + NUMBER_LEN;

        if (world->packet_count == world->packet_room) {
                world->packet_room = world->packet_room ? 2 * world->packet_room : 1024;
                world->packets = realloc(world->packets, world->packet_room * sizeof *world->packets);
                world_check(world, world->packets != NULL, "memory");
        }
        p = &world->packets[world->packet_count];
        *p = (struct packet){ .from = from, .to = to, .v6 = v6 };
        /* mostly small ones, so that the pattern costs little; all residues of the padding */
        p->len = (uint16_t)(shortest + world_random(world, world_random(world, 8) ? 64 : from->mtu - shortest + 1));
        build(p, world->packet_count++, out);
        return p->len;
}

void packet_delivered(struct host *at, const struct host *from, const uint8_t *bytes, size_t len)
{
        struct world *world = at->world;
        bool v6 = len > 0 && bytes[0] >> 4 == 6;
        size_t header = v6 ? V6_HEADER : V4_HEADER;
        uint8_t expected[SIM_MTU];
        struct packet *p;
        uint64_t number;

        world_check(world, len >= header + NUMBER_LEN, "host %u: a packet of %zu bytes nobody sent", at->id, len);
        memcpy(&number, bytes + header, NUMBER_LEN);
        world_check(world, number < world->packet_count, "host %u: a packet nobody sent", at->id);
        p = &world->packets[number];
        world_check(world, p->len == len && p->v6 == v6, "packet %lu: other length", (unsigned long)number);
        world_check(world, p->to == at && p->from == from, "packet %lu: wrong host", (unsigned long)number);
        world_check(world, !p->delivered, "packet %lu: delivered twice", (unsigned long)number);
        build(p, number, expected);
        world_check(world, memcmp(expected, bytes, len) == 0, "packet %lu: other bytes", (unsigned long)number);
        p->delivered = true;
        world->delivered++;
        at->delivered++;
}

uint64_t packet_number(const uint8_t *bytes)
{
        uint64_t number;

        memcpy(&number, bytes + (bytes[0] >> 4 == 6 ? V6_HEADER : V4_HEADER), NUMBER_LEN);
        return number;
}

void packet_lost(struct world *world, uint64_t number)
{
        world->packets[number].lost = true;
}

void packet_dropped(struct world *world, uint64_t number)
{
        world->packets[number].dropped = true;
}

uint64_t packets_unexplained(const struct world *world)
{
        uint64_t count = 0;

        for (uint64_t i = 0; i < world->packet_count; i++) {
                const struct packet *p = &world->packets[i];

                count += !p->delivered && !p->lost && !p->dropped;
        }
        return count;
}

bool world_was_delivered(const struct world *world, uint64_t number)
{
        return world->packets[number].delivered;
}

uint64_t world_lost(const struct world *world)
{
        return world->packet_count - world->delivered;
}
