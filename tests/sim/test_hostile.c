/* What others can send to a host: replays, forgeries, floods. */
#include "tests/sim/world.h"
#include "crypto/cookie.h"
#include "crypto/message.h"

#include <string.h>
#include <stdlib.h>

static union socket_address third_party(struct world *world)
{
        return world_address(0xcb007100 + (uint32_t)world_random(world, 256), 7777); /* 203.0.113.0/24 */
}

static uint64_t sent_by(const struct host *host)
{
        return host->sent[1] + host->sent[2] + host->sent[3] + host->sent[4];
}

static uint64_t strays(const struct world *world)
{
        return world->strays[0] + world->strays[1] + world->strays[2] + world->strays[3] + world->strays[4];
}

/* What a forgery must leave alone. */
struct outside {
        struct peer_status status;
        uint64_t deadline, sent, delivered;
};

static void outside_of(const struct host *host, const struct host *peer, struct outside *out)
{
        memset(out, 0, sizeof *out);
        engine_peer_status(host_peer(host, peer), &out->status);
        out->deadline = host->deadline;
        out->sent = sent_by(host);
        out->delivered = host->delivered;
}

static void check_untouched(const struct host *host, const struct host *peer, const struct outside *before,
                            const char *by, size_t which)
{
        struct outside now;

        outside_of(host, peer, &now);
        world_check(host->world, now.sent == before->sent, "%s %zu drew an answer", by, which);
        world_check(host->world, now.delivered == before->delivered, "%s %zu was delivered", by, which);
        world_check(host->world, now.deadline == before->deadline, "%s %zu moved a timer", by, which);
        world_check(host->world,
                    now.status.session == before->status.session && now.status.rx_bytes == before->status.rx_bytes &&
                            now.status.tx_bytes == before->status.tx_bytes &&
                            now.status.last_handshake_wall == before->status.last_handshake_wall &&
                            now.status.handshake_attempts == before->status.handshake_attempts,
                    "%s %zu changed the peer", by, which);
        world_check(host->world,
                    memcmp(&now.status.endpoint, &before->status.endpoint, sizeof now.status.endpoint) == 0,
                    "%s %zu moved the endpoint", by, which);
}

/* ---- Replays ----------------------------------------------------------------------------------------------------- */

static void replay_all(struct world *world, struct host *a, struct host *b)
{
        uint64_t delivered = world->delivered, sent = sent_by(a) + sent_by(b), lost = strays(world);
        const union socket_address at_a = *host_sees(a, b), at_b = *host_sees(b, a);

        for (size_t i = 0; i < world->captured_count; i++) {
                const struct datagram *d = world->captured[i];
                union socket_address from = third_party(world);

                world_inject(world, &from, &d->to, d->bytes, d->len);
                world_inject(world, &d->from, &d->to, d->bytes, d->len);
                world_run(world, 0);
        }
        world_check(world, world->delivered == delivered, "a replay was delivered");
        world_check(world, strays(world) == lost, "a replay was answered");
        world_check(world, sent_by(a) + sent_by(b) == sent, "a replay drew a datagram");
        world_check(world, memcmp(host_sees(a, b), &at_a, sizeof at_a) == 0, "a replay moved b");
        world_check(world, memcmp(host_sees(b, a), &at_b, sizeof at_b) == 0, "a replay moved a");
}

static void test_replays(void **state)
{
        (void)state;
        for (uint64_t seed = 1; seed <= 5; seed++) {
                struct host *a, *b;
                struct world *world = world_pair(seed, &a, &b);

                world->capture = true;
                world_flow(a, b, 200, 2 * SECOND);
                world_flow(b, a, 200, 2 * SECOND);
                world_run(world, 300 * SECOND + world_random(world, 60) * SECOND);
                world->capture = false;
                world_run(world, 50 * MILLISECOND); /* nothing is under way */
                while (world->event_count > 2)      /* but the two sources */
                        world_run(world, MILLISECOND);
                replay_all(world, a, b);
                world_check(world, a->sent[1] + b->sent[1] > 2, "no rekey was among it");
                world_run(world, 2 * MINUTE); /* and they live on */
                assert_int_equal(world_lost(world), 0);
                world_run(world, HOUR); /* the keys are gone */
                replay_all(world, a, b);
                world_free(world);
        }
}

/* ---- Forgeries --------------------------------------------------------------------------------------------------- */

struct stolen {
        uint8_t bytes[2048];
        size_t len;
        uint8_t type;
};

/* Keeps the first datagram of a type to itself. */
static bool steal(struct world *world, struct host *from, struct datagram *d)
{
        struct stolen *stolen = world->filter_context;

        (void)from;
        if (d->bytes[0] != stolen->type || stolen->len || d->len == DATA_OVERHEAD) return true;
        memcpy(stolen->bytes, d->bytes, d->len);
        stolen->len = d->len;
        return false;
}

/* Bytes of a handshake message that only mac1 protects, or, mac2, nothing when not under load. */
static bool unauthenticated(size_t byte, size_t len, bool valid_mac1)
{
        if (byte >= len - MESSAGE_MAC_LEN) return true;
        return valid_mac1 && ((byte >= 4 && byte < 8) || byte >= len - sizeof(struct message_macs));
}

/* Each bit of `genuine`, flipped, goes to `to`; with `valid_mac1` by somebody who knows its public key. */
static void flip_bits(struct host *to, struct host *from, const struct stolen *genuine, bool valid_mac1)
{
        struct world *world = to->world;
        struct cookie_jar jar;
        struct outside before;
        uint8_t bytes[sizeof genuine->bytes];

        cookie_jar_init(&jar, &to->public_key);
        outside_of(to, from, &before);
        for (size_t bit = 0; bit < 8 * genuine->len; bit++) {
                if (genuine->type != 4 && unauthenticated(bit / 8, genuine->len, valid_mac1)) continue;
                memcpy(bytes, genuine->bytes, genuine->len);
                bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
                if (valid_mac1) cookie_add_macs(&jar, world->now, bytes, genuine->len);
                world_inject(world, &from->address, &to->address, bytes, genuine->len);
                world_run(world, MILLISECOND);
                check_untouched(to, from, &before, "bit", bit);
        }
}

static void cut_and_grow(struct host *to, struct host *from, const struct stolen *genuine)
{
        struct outside before;
        uint8_t bytes[sizeof genuine->bytes];

        outside_of(to, from, &before);
        memcpy(bytes, genuine->bytes, sizeof bytes);
        for (size_t len = 0; len < genuine->len + 200; len++) {
                if (len == genuine->len) continue;
                world_inject(to->world, &from->address, &to->address, bytes, len);
                world_run(to->world, 0);
                check_untouched(to, from, &before, "length", len);
        }
}

/* The genuine one, from an address of its own, is still taken after all those. */
static void test_forged_handshakes(void **state)
{
        (void)state;
        for (uint8_t type = 1; type <= 2; type++) {
                struct host *a, *b, *to, *from;
                struct world *world = world_pair(50 + type, &a, &b);
                struct stolen genuine = { .type = type };

                to = type == 1 ? b : a;
                from = type == 1 ? a : b;
                world->filter = steal;
                world->filter_context = &genuine;
                world_send(a, b);
                world_run(world, 50 * MILLISECOND);
                assert_int_not_equal(genuine.len, 0);

                flip_bits(to, from, &genuine, false);
                flip_bits(to, from, &genuine, true);
                cut_and_grow(to, from, &genuine);
                assert_true(host_drops(to, DROP_RX_BAD_MAC1) > 500);
                assert_true(host_drops(to, DROP_RX_BAD_HANDSHAKE) > (type == 1 ? 500 : 300));
                assert_int_equal(host_drops(to, DROP_RX_UNDER_LOAD), 0);

                world_inject(world, &from->address, &to->address, genuine.bytes, genuine.len);
                world_run(world, 100 * MILLISECOND);
                assert_int_equal(b->delivered, 1);
                assert_int_equal(a->sent[1], 1);
                world_free(world);
        }
}

static void test_forged_data(void **state)
{
        struct host *a, *b;
        struct world *world = world_pair(60, &a, &b);
        struct stolen genuine = { .type = 4 };
        uint64_t before;

        (void)state;
        world_send(a, b);
        world_run(world, SECOND);
        world->filter = steal;
        world->filter_context = &genuine;
        world_send(a, b);
        world_run(world, SECOND);
        before = b->delivered;
        flip_bits(b, a, &genuine, false);
        cut_and_grow(b, a, &genuine);
        assert_int_equal(b->delivered, before);
        world_inject(world, &a->address, &b->address, genuine.bytes, genuine.len);
        world_run(world, 0);
        assert_int_equal(b->delivered, before + 1);
        world_free(world);
}

static void test_noise(void **state)
{
        struct host *a, *b;
        struct world *world = world_pair(70, &a, &b);
        struct outside before;

        (void)state;
        world_send(a, b);
        world_run(world, 20 * SECOND);
        outside_of(b, a, &before);
        for (size_t i = 0; i < 20000; i++) {
                union socket_address from = third_party(world);
                uint8_t bytes[300];
                size_t len = world_random(world, sizeof bytes);

                for (size_t k = 0; k < len; k++)
                        bytes[k] = (uint8_t)world_random(world, 256);
                if (len >= 4 && world_random(world, 4)) memcpy(bytes, (uint8_t[]){ 1 + i % 4, 0, 0, 0 }, 4);
                world_inject(world, &from, &b->address, bytes, len);
                world_run(world, 0);
                check_untouched(b, a, &before, "noise", i);
        }
        assert_int_equal(strays(world), 0);
        world_free(world);
}

/* A third host, which the hub knows, may not use the inner addresses of another. */
static void test_spoofed_inner_source(void **state)
{
        struct world *world = world_new(80);
        struct host *hub = world_host(world, 4), *a = world_host(world, 4), *b = world_host(world, 4);
        struct host liar;

        (void)state;
        world_connect(a, hub);
        world_connect(b, hub);
        world_send(a, hub);
        world_run(world, SECOND);
        assert_int_equal(hub->delivered, 1);
        liar = *a;
        liar.id = b->id; /* a's engine, b's inner source */
        for (unsigned i = 0; i < 20; i++)
                world_send(&liar, hub);
        world_run(world, SECOND);
        assert_int_equal(hub->delivered, 1);
        assert_int_equal(host_drops(hub, DROP_RX_SPOOFED_SOURCE), 20);
        world_free(world);
}

/* ---- Floods ------------------------------------------------------------------------------------------------------ */

struct flood {
        const struct host *target;
        struct cookie_jar jar;
        uint64_t left;
};

enum { FLOOD_RATE = 10000 /* a second, each from another source */ };

/* An initiation as one makes it who knows the target's public key and nothing else. */
static void flood_next(struct world *world, void *argument)
{
        struct flood *flood = argument;
        struct message_initiation msg;
        union socket_address from;

        if (flood->left-- == 0) return;
        for (size_t i = 0; i < sizeof msg; i++)
                ((uint8_t *)&msg)[i] = (uint8_t)world_random(world, 256);
        msg.type = le32_put(MESSAGE_INITIATION);
        cookie_add_macs(&flood->jar, world->now, &msg, sizeof msg);
        from = world_address(0x64400000 + (uint32_t)world_random(world, 1 << 20), 1024); /* 100.64.0.0/10 */
        world_inject(world, &from, &flood->target->address, &msg, sizeof msg);
        world_at(world, SECOND / FLOOD_RATE, flood_next, flood);
}

static void test_flood(void **state)
{
        struct world *world = world_new(90);
        struct host *hub = world_host(world, 4), *a = world_host(world, 4), *b = world_host(world, 4);
        struct flood flood = { .target = hub, .left = 12 * FLOOD_RATE };
        uint64_t mark, refused;

        (void)state;
        world_connect(a, hub);
        world_connect(b, hub);
        world_send(a, hub);
        world_run(world, SECOND);
        world_flow(a, hub, 400, 100 * MILLISECOND); /* a living session is not bothered */

        cookie_jar_init(&flood.jar, &hub->public_key);
        flood_next(world, &flood);
        world_run(world, SECOND);
        refused = host_drops(hub, DROP_RX_BAD_HANDSHAKE) + host_drops(hub, DROP_RX_UNKNOWN_PEER);
        assert_in_range(refused, 100, 2000); /* until it noticed */
        mark = world->packet_count;
        world_send(b, hub); /* a genuine peer: refused with a cookie, gets through with it */
        world_run(world, 10 * SECOND);
        world_check_delivered(world, mark);
        assert_in_range(b->sent[1], 2, 2);
        assert_int_equal(hub->effects[EFFECT_SESSION_UP], 2);
        /* nothing but cookies went to those who never showed one, and no more expensive work was done for them */
        assert_int_equal(host_drops(hub, DROP_RX_BAD_HANDSHAKE) + host_drops(hub, DROP_RX_UNKNOWN_PEER), refused);
        assert_int_equal(world->strays[0] + world->strays[1] + world->strays[2] + world->strays[4], 0);
        assert_in_range(world->strays[3], 10 * FLOOD_RATE, 12 * FLOOD_RATE);

        world_run(world, 30 * SECOND); /* and afterwards all is as before */
        mark = world->strays[3];
        world_send(b, hub);
        world_run(world, 2 * MINUTE);
        assert_int_equal(world_lost(world), 0);
        assert_int_equal(world->strays[3], mark);
        world_free(world);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_replays),
                cmocka_unit_test(test_forged_handshakes),
                cmocka_unit_test(test_forged_data),
                cmocka_unit_test(test_noise),
                cmocka_unit_test(test_spoofed_inner_source),
                cmocka_unit_test(test_flood),
        };

        return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
