/* A link's configuration put to a real engine, as text through the parsers of both dialects, and read back. Sessions
 * are made with second engines that stand for the peers, over the engine's public calls alone. */
#include "daemon/device.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_PEERS = 4, MAX_PREFIXES = 6, PACKET = 128, TEXT = 8192 };

static const struct engine_config limits = {
        .max_peers = MAX_PEERS, .max_prefixes = MAX_PREFIXES, .max_staged = 16, .staged_size = PACKET
};
static const uint64_t now = UINT64_C(1000) * 1000000000, wall = UINT64_C(1700000000) * 1000000000;

/* A key pair of each letter. */
static struct party {
        struct key private_key, public_key;
        char private_hex[KEY_HEX_LEN], hex[KEY_HEX_LEN];
} us, b, c, d, e, f;

static struct device device;

static void fill(void *context, void *bytes, size_t len)
{
        (void)context;
        randombytes_buf(bytes, len);
}

static struct engine *engine_fresh(void)
{
        const struct engine_random random = { fill, NULL };
        size_t size = engine_memory(&limits);
        void *memory = aligned_alloc(16, (size + 15) & ~(size_t)15);
        struct engine *engine;

        assert_non_null(memory);
        memset(memory, 0, size);
        engine = engine_new(memory, size, &limits, &random, now);
        assert_non_null(engine);
        engine_set_up(engine, now, true);
        return engine;
}

static int start(void **state)
{
        struct party *all[] = { &us, &b, &c, &d, &e, &f };

        (void)state;
        if (sodium_init() < 0) return -1;
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
                key_generate_private(&all[i]->private_key);
                if (!key_public_from_private(&all[i]->public_key, &all[i]->private_key)) return -1;
                key_to_hex(all[i]->private_hex, &all[i]->private_key);
                key_to_hex(all[i]->hex, &all[i]->public_key);
        }
        return 0;
}

static int setup(void **state)
{
        (void)state;
        device = (struct device){ .engine = engine_fresh(), .limits = limits };
        engine_set_private_key(device.engine, now, &us.private_key);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        free(device.engine);
        return 0;
}

static __attribute__((format(printf, 3, 0))) void parse(struct conf *conf, enum uapi_dialect dialect,
                                                        const char *format, va_list arguments)
{
        static uint8_t memory[1 << 16];
        static struct pool pool;
        struct conf_error error;
        char text[TEXT];
        int len = vsnprintf(text, sizeof text, format, arguments);

        pool = (struct pool){ memory, sizeof memory, 0 };
        assert_in_range(len, 0, sizeof text - 1);
        if (!uapi_parse_set(conf, &pool, dialect, text, (size_t)len, &error))
                fail_msg("line %u: %s", error.line, error.text);
}

static __attribute__((format(printf, 2, 3))) void set(enum uapi_dialect dialect, const char *format, ...)
{
        struct conf_error error;
        struct conf conf;
        va_list arguments;

        va_start(arguments, format);
        parse(&conf, dialect, format, arguments);
        va_end(arguments);
        if (dialect == UAPI_STRICT) device_keep_policies(&device, &conf); /* as the UAPI socket does */
        if (device_check(&device, &conf, &error)) fail_msg("%s", error.text);
        device_apply(&device, now, &conf, dialect);
}

static __attribute__((format(printf, 3, 4))) void refused(int failed, const char *why, const char *format, ...)
{
        struct conf_error error;
        struct conf conf;
        va_list arguments;

        va_start(arguments, format);
        parse(&conf, UAPI_ADIT, format, arguments);
        va_end(arguments);
        assert_int_equal(device_check(&device, &conf, &error), failed);
        assert_non_null(strstr(error.text, why));
}

static const char *status_text(enum uapi_dialect dialect, bool secrets)
{
        static char text[TEXT];
        struct writer out = { .text = text, .size = sizeof text };

        device_status(&device, dialect, secrets, &out);
        assert_true(out.used < out.size);
        return text;
}

/* The allowed IPs of a peer, in the order that a get answer has them; NULL: there is no such peer. */
static const char *ips_of(const struct party *party)
{
        static char text[512];
        struct peer *peer = engine_peer_find(device.engine, &party->public_key);
        struct writer out = { .text = text, .size = sizeof text };
        const void *cursor = NULL;
        struct prefix prefix;
        char one[ADDRESS_TEXT];

        *text = '\0';
        if (!peer) return NULL;
        while (engine_allowed_ip_next(device.engine, peer, &cursor, &prefix))
                writer_print(&out, "%s%s", *text ? " " : "", prefix_format(&prefix, one));
        return text;
}

static struct peer_status status_of(const struct party *party)
{
        struct peer *peer = engine_peer_find(device.engine, &party->public_key);
        struct peer_status status;

        assert_non_null(peer);
        engine_peer_status(peer, &status);
        return status;
}

/* The one message that a call brought forth, to the other end. */
static void deliver(struct effects *from, struct engine *to, struct effects *out)
{
        struct endpoint source = { .remote.in = { .sin_family = AF_INET, .sin_port = htons(51820) } };
        struct effect *send = NULL;
        enum drop reason;
        struct rx rx;

        for (unsigned i = 0; i < from->count; i++)
                if (from->list[i].type == EFFECT_SEND) send = &from->list[i];
        assert_non_null(send);
        inet_pton(AF_INET, "192.0.2.9", &source.remote.in.sin_addr);
        out->count = 0;
        assert_false(engine_rx_begin(to, now, wall, send->bytes, send->len, &source, &rx, &reason, out));
        assert_int_equal(reason, DROP_NONE);
}

/* A handshake of ours with the peer, whose engine is `other`: caused by a packet to 10.0.0.LAST. */
static void session_with(const struct party *party, uint8_t last)
{
        const uint8_t packet[PACKET] = { 0x45, [3] = PACKET, [12] = 10, [15] = 1, [16] = 10, [19] = last };
        static struct effects ours, theirs;
        struct engine *other = engine_fresh();
        enum drop reason;
        struct tx tx;

        engine_set_private_key(other, now, &party->private_key);
        assert_non_null(engine_peer_add(other, now, &us.public_key));
        ours.count = theirs.count = 0;
        assert_false(engine_tx_begin(device.engine, now, wall, packet, sizeof packet, &tx, &reason, &ours));
        assert_int_equal(reason, DROP_NONE);
        deliver(&ours, other, &theirs);
        deliver(&theirs, device.engine, &ours);
        assert_true(status_of(party).session);
        free(other);
}

#define PEER "public_key=%s\nendpoint=192.0.2.9:51820\nallowed_ip=10.0.0.%d/32\n"

static void two_sessions(void)
{
        set(UAPI_STRICT, PEER PEER, b.hex, 2, c.hex, 3);
        session_with(&b, 2);
        session_with(&c, 3);
}

static void test_strict_replace_removes_all(void **state)
{
        (void)state;
        two_sessions();
        set(UAPI_STRICT, "replace_peers=true\n" PEER PEER, b.hex, 2, d.hex, 4);
        assert_int_equal(engine_peer_count(device.engine), 2);
        assert_false(status_of(&b).session);
        assert_int_equal(status_of(&b).last_handshake_wall, 0);
        assert_null(ips_of(&c));
        assert_string_equal(ips_of(&d), "10.0.0.4/32");
}

static void test_reload_keeps_sessions(void **state)
{
        struct peer_status before;

        (void)state;
        two_sessions();
        before = status_of(&b);
        set(UAPI_ADIT, "replace_peers=true\n" PEER PEER, d.hex, 4, b.hex, 5);
        assert_int_equal(engine_peer_count(device.engine), 2);
        assert_true(status_of(&b).session);
        assert_int_equal(status_of(&b).last_handshake_wall, before.last_handshake_wall);
        assert_int_equal(status_of(&b).rx_bytes, before.rx_bytes);
        assert_string_equal(ips_of(&b), "10.0.0.5/32");
        assert_null(ips_of(&c));
        assert_string_equal(ips_of(&d), "10.0.0.4/32");

        /* And again: nothing is left of how it knew who stays. */
        set(UAPI_ADIT, "replace_peers=true\n" PEER, d.hex, 4);
        assert_null(ips_of(&b));
        assert_int_equal(engine_peer_count(device.engine), 1);
        set(UAPI_ADIT, "replace_peers=true\n");
        assert_int_equal(engine_peer_count(device.engine), 0);
        assert_int_equal(engine_prefix_count(device.engine), 0);
}

/* What a reload names with remove=true is not among those that stay. */
static void test_reload_removes_named(void **state)
{
        (void)state;
        two_sessions();
        set(UAPI_ADIT, "replace_peers=true\npublic_key=%s\nremove=true\n" PEER, b.hex, c.hex, 3);
        assert_null(ips_of(&b));
        assert_true(status_of(&c).session);
}

static void test_allowed_ips_move(void **state)
{
        (void)state;
        two_sessions();
        set(UAPI_STRICT, "public_key=%s\nallowed_ip=10.0.0.2/32\n", c.hex);
        assert_string_equal(ips_of(&b), "");
        assert_string_equal(ips_of(&c), "10.0.0.3/32 10.0.0.2/32");

        /* Exchanged in one set, whichever peer comes first; and in a reload, where the old owner is named last. */
        set(UAPI_STRICT, PEER PEER, b.hex, 3, c.hex, 2);
        assert_string_equal(ips_of(&b), "10.0.0.3/32");
        assert_string_equal(ips_of(&c), "10.0.0.2/32");
        set(UAPI_ADIT, "replace_peers=true\n" PEER PEER, c.hex, 3, b.hex, 2);
        assert_string_equal(ips_of(&b), "10.0.0.2/32");
        assert_string_equal(ips_of(&c), "10.0.0.3/32");

        /* Named for both, the last one has it. */
        set(UAPI_STRICT, PEER PEER, b.hex, 7, c.hex, 7);
        assert_string_equal(ips_of(&b), "10.0.0.2/32");
        assert_string_equal(ips_of(&c), "10.0.0.3/32 10.0.0.7/32");
        assert_true(status_of(&b).session && status_of(&c).session);

        /* Only its owner can give one up. */
        set(UAPI_STRICT, "public_key=%s\nallowed_ip=-10.0.0.7/32\n", b.hex);
        assert_string_equal(ips_of(&c), "10.0.0.3/32 10.0.0.7/32");
        set(UAPI_STRICT, "public_key=%s\nallowed_ip=-10.0.0.7/32\n", c.hex);
        assert_string_equal(ips_of(&c), "10.0.0.3/32");
}

static void test_update_only(void **state)
{
        (void)state;
        set(UAPI_STRICT, "public_key=%s\nupdate_only=true\nallowed_ip=10.0.0.2/32\n", b.hex);
        assert_null(ips_of(&b));
        assert_int_equal(engine_prefix_count(device.engine), 0);
        set(UAPI_STRICT, PEER, b.hex, 2);
        set(UAPI_STRICT, "public_key=%s\nupdate_only=true\npersistent_keepalive_interval=25\n", b.hex);
        assert_int_equal(status_of(&b).keepalive, 25);
        assert_string_equal(ips_of(&b), "10.0.0.2/32");
        set(UAPI_STRICT, "public_key=%s\nremove=true\n", d.hex); /* nobody */
        set(UAPI_STRICT, "public_key=%s\nremove=true\n", b.hex);
        assert_int_equal(engine_peer_count(device.engine), 0);
}

static void test_own_key(void **state)
{
        struct key private_key, public_key;

        (void)state;
        set(UAPI_STRICT, PEER PEER, us.hex, 1, b.hex, 2);
        assert_null(ips_of(&us));
        assert_string_equal(ips_of(&b), "10.0.0.2/32");

        /* A private key makes the peer that has its public key go, and one in the same set never comes. */
        session_with(&b, 2);
        set(UAPI_STRICT, PEER, c.hex, 3);
        set(UAPI_STRICT, "private_key=%s\n" PEER, c.private_hex, c.hex, 3);
        assert_null(ips_of(&c));
        assert_true(status_of(&b).session); /* it carries on */
        assert_true(engine_private_key(device.engine, &private_key, &public_key));
        assert_memory_equal(public_key.bytes, c.public_key.bytes, KEY_LEN);
}

/* The same private key again, unclamped even, is no change. */
static void test_same_key_keeps_sessions(void **state)
{
        struct key unclamped = us.private_key;
        char hex[KEY_HEX_LEN];

        (void)state;
        two_sessions();
        unclamped.bytes[0] |= 7;
        key_to_hex(hex, &unclamped);
        set(UAPI_STRICT, "private_key=%s\n", hex);
        assert_true(status_of(&b).session);
        set(UAPI_STRICT, "private_key=%064d\n", 0);
        assert_false(status_of(&b).session);
        assert_null(strstr(status_text(UAPI_STRICT, true), "private_key="));
}

static void test_limits(void **state)
{
        char before[TEXT];

        (void)state;
        set(UAPI_STRICT, PEER PEER PEER, b.hex, 2, c.hex, 3, d.hex, 4);
        session_with(&b, 2);
        strcpy(before, status_text(UAPI_ADIT, true));
        refused(E2BIG, "5 peers: a link takes at most 4", "public_key=%s\npublic_key=%s\n", e.hex, f.hex);
        refused(E2BIG, "5 peers", "replace_peers=true\n" PEER PEER PEER PEER PEER, b.hex, 2, c.hex, 3, d.hex, 4, e.hex,
                5, f.hex, 6);
        refused(E2BIG, "7 allowed IPs: a link takes at most 6",
                "public_key=%s\nallowed_ip=10.1.0.0/24\nallowed_ip=10.1.1.0/24\nallowed_ip=10.1.2.0/"
                "24\nallowed_ip=10.1.3.0/24\n",
                b.hex);
        assert_string_equal(status_text(UAPI_ADIT, true), before);

        /* Up to the limits it is taken, whole. */
        set(UAPI_STRICT, PEER "allowed_ip=fd00::/8\nallowed_ip=10.0.0.6/32\n", e.hex, 5);
        assert_int_equal(engine_peer_count(device.engine), MAX_PEERS);
        assert_int_equal(engine_prefix_count(device.engine), MAX_PREFIXES);
        set(UAPI_STRICT, "public_key=%s\npersistent_keepalive_interval=1\n", b.hex);
        assert_int_equal(status_of(&b).keepalive, 1);
        set(UAPI_STRICT, "replace_peers=true\n" PEER PEER PEER PEER, b.hex, 2, c.hex, 3, d.hex, 4, f.hex, 5);
        assert_int_equal(engine_peer_count(device.engine), MAX_PEERS);
        assert_string_equal(ips_of(&f), "10.0.0.5/32");
}

/* What a set takes away makes room for what it gives, but only once. */
static void test_limits_of_a_replacement(void **state)
{
        char before[TEXT];

        (void)state;
        set(UAPI_STRICT, PEER "allowed_ip=10.1.0.0/24\nallowed_ip=10.1.1.0/24\n", b.hex, 2);
        set(UAPI_STRICT, PEER "allowed_ip=10.2.0.0/24\nallowed_ip=10.2.1.0/24\n", c.hex, 3);
        assert_int_equal(engine_prefix_count(device.engine), MAX_PREFIXES);
        strcpy(before, status_text(UAPI_ADIT, true));
        refused(E2BIG, "7 allowed IPs",
                "public_key=%s\nreplace_allowed_ips=true\n"
                "public_key=%s\nreplace_allowed_ips=true\nallowed_ip=10.3.0.0/24\nallowed_ip=10.3.1.0/24\n"
                "allowed_ip=10.3.2.0/24\nallowed_ip=10.3.3.0/24\n",
                b.hex, b.hex);
        assert_string_equal(status_text(UAPI_ADIT, true), before);
        set(UAPI_STRICT, "public_key=%s\nremove=true\n", c.hex);
        set(UAPI_STRICT, "public_key=%s\nreplace_allowed_ips=true\npublic_key=%s\nreplace_allowed_ips=true\n", b.hex,
            b.hex);
        assert_string_equal(ips_of(&b), "");
}

static unsigned prefixes_of(const struct party *party)
{
        struct peer *peer = engine_peer_find(device.engine, &party->public_key);
        const void *cursor = NULL;
        struct prefix prefix;
        unsigned count = 0;

        while (engine_allowed_ip_next(device.engine, peer, &cursor, &prefix))
                count++;
        return count;
}

/* Where the old and the new allowed IPs of a peer have no room beside each other (6 are the limit), it is its own old
 * ones that go first, in either dialect. */
static void test_replacing_leaves_others_alone(void **state)
{
        (void)state;
        set(UAPI_STRICT,
            "public_key=%s\nallowed_ip=10.0.0.1/32\nallowed_ip=10.0.0.2/32\nallowed_ip=10.0.0.3/32\n"
            "public_key=%s\nallowed_ip=10.1.0.1/32\nallowed_ip=10.1.0.2/32\n",
            b.hex, c.hex);
        set(UAPI_STRICT,
            "public_key=%s\nreplace_allowed_ips=true\nallowed_ip=10.0.0.4/32\nallowed_ip=10.0.0.5/32\n"
            "allowed_ip=10.0.0.6/32\nallowed_ip=10.0.0.7/32\n",
            b.hex);
        assert_int_equal(prefixes_of(&b), 4);
        assert_int_equal(prefixes_of(&c), 2);
        set(UAPI_ADIT,
            "replace_peers=true\npublic_key=%s\nreplace_allowed_ips=true\nallowed_ip=10.0.0.8/32\n"
            "allowed_ip=10.0.0.9/32\nallowed_ip=10.0.0.10/32\npublic_key=%s\nreplace_allowed_ips=true\n"
            "allowed_ip=10.0.0.4/32\nallowed_ip=10.1.0.1/32\n",
            b.hex, c.hex);
        assert_int_equal(prefixes_of(&b), 3);
        assert_int_equal(prefixes_of(&c), 2);
        assert_int_equal(engine_prefix_count(device.engine), 5);
}

#define NO_SESSION "upgrade_state=no-session\nupgrade_reason=there is no session yet\n"

static void test_status(void **state)
{
        char preshared[KEY_HEX_LEN], private_hex[KEY_HEX_LEN], want[TEXT];
        struct key clamped = us.private_key;

        (void)state;
        key_clamp(&clamped);
        key_to_hex(private_hex, &clamped);
        key_to_hex(preshared, &f.public_key);
        device.listen_port = 51820;
        device.fwmark = 81;
        device.mtu = 1420;
        device.kernel_drops = 3;
        set(UAPI_ADIT,
            "public_key=%s\npreshared_key=%s\nendpoint=[2001:db8::1]:7\npersistent_keepalive_interval=25\nname=berlin\n"
            "allowed_ip=10.0.0.2/32\nallowed_ip=fd00::/8\n",
            b.hex, preshared);
        set(UAPI_ADIT, "public_key=%s\nupgrade=off\npost_quantum=off\n", c.hex);
        engine_count_drop(device.engine, DROP_RX_REPLAY);
        snprintf(want, sizeof want,
                 "private_key=%s\nlisten_port=51820\nfwmark=81\n"
                 "public_key=%s\npreshared_key=%s\nprotocol_version=1\nendpoint=[2001:db8::1]:7\n"
                 "last_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\n"
                 "persistent_keepalive_interval=25\nallowed_ip=10.0.0.2/32\nallowed_ip=fd00::/8\n"
                 "public_key=%s\npreshared_key=%064d\nprotocol_version=1\n"
                 "last_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\n"
                 "persistent_keepalive_interval=0\n",
                 private_hex, b.hex, preshared, c.hex, 0);
        assert_string_equal(status_text(UAPI_STRICT, true), want);
        snprintf(want, sizeof want,
                 "own_public_key=%s\nlisten_port=51820\nfwmark=81\nlink_mtu=1420\ndrop_rx-replay=1\n"
                 "drop_rx-queue-full=3\n"
                 "public_key=%s\nhas_preshared_key=true\nprotocol_version=1\nendpoint=[2001:db8::1]:7\n"
                 "last_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\n"
                 "persistent_keepalive_interval=25\nname=berlin\nsession=false\nhandshake_attempts=0\n" NO_SESSION
                 "allowed_ip=10.0.0.2/32\nallowed_ip=fd00::/8\n"
                 "public_key=%s\nprotocol_version=1\n"
                 "last_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\n"
                 "persistent_keepalive_interval=0\nsession=false\nhandshake_attempts=0\n"
                 "upgrade=off\npost_quantum=off\n" NO_SESSION,
                 us.hex, b.hex, c.hex);
        assert_string_equal(status_text(UAPI_ADIT, false), want);
}

static void can_mlkem(bool can)
{
        const uint8_t costs[CIPHER_IDS] = { [CIPHER_CHACHA20_POLY1305] = 80 };

        engine_set_abilities(device.engine, costs, can);
}

static void assert_policy(const struct party *party, bool off, uint8_t post_quantum)
{
        struct upgrade_policy policy = status_of(party).policy;

        assert_int_equal(policy.off, off);
        assert_int_equal(policy.post_quantum, post_quantum);
}

static void test_policy(void **state)
{
        (void)state;
        can_mlkem(true);
        set(UAPI_ADIT, PEER PEER "upgrade=off\npost_quantum=off\n" PEER "post_quantum=require\n", b.hex, 2, c.hex, 3,
            d.hex, 4);
        assert_policy(&b, false, POST_QUANTUM_AUTO);
        assert_policy(&c, true, POST_QUANTUM_OFF);
        assert_policy(&d, false, POST_QUANTUM_REQUIRE);

        /* One of the two, or neither: the other stays. */
        set(UAPI_ADIT, "public_key=%s\nupgrade=auto\npublic_key=%s\nname=berlin\n", c.hex, d.hex);
        assert_policy(&c, false, POST_QUANTUM_OFF);
        assert_policy(&d, false, POST_QUANTUM_REQUIRE);
        set(UAPI_ADIT, "public_key=%s\npost_quantum=auto\npublic_key=%s\nupgrade=auto\n", c.hex, d.hex);
        assert_policy(&c, false, POST_QUANTUM_AUTO);
        assert_policy(&d, false, POST_QUANTUM_REQUIRE);

        /* wg knows of neither, and so leaves them alone, also where it replaces the peers by themselves. */
        set(UAPI_STRICT, "public_key=%s\npersistent_keepalive_interval=1\n", d.hex);
        assert_policy(&d, false, POST_QUANTUM_REQUIRE);
        set(UAPI_STRICT, "replace_peers=true\n" PEER PEER, d.hex, 4, e.hex, 5);
        assert_policy(&d, false, POST_QUANTUM_REQUIRE);
        assert_policy(&e, false, POST_QUANTUM_AUTO);
        set(UAPI_STRICT, "replace_peers=true\n" PEER, e.hex, 5);
        set(UAPI_STRICT, PEER, d.hex, 4); /* a new one */
        assert_policy(&d, false, POST_QUANTUM_AUTO);
}

/* What a peer would have in the end counts, and a set that is refused changes nothing. */
static void test_policy_that_contradicts(void **state)
{
        static const char why[] = "'require' excludes Upgrade = off";
        char before[TEXT], named[KEY_BASE64_LEN + 8];

        (void)state;
        can_mlkem(true);
        set(UAPI_ADIT, PEER "name=berlin\nupgrade=off\n" PEER "post_quantum=require\n", b.hex, 2, c.hex, 3);
        strcpy(before, status_text(UAPI_ADIT, true));
        refused(EINVAL, why, "public_key=%s\nupgrade=off\npost_quantum=require\n", d.hex);
        refused(EINVAL, "peer berlin: PostQuantum: ", "public_key=%s\npost_quantum=require\n", b.hex);
        refused(EINVAL, "peer new: ", "public_key=%s\npost_quantum=require\nname=new\n", b.hex);
        snprintf(named, sizeof named, "peer ");
        key_to_base64(named + 5, &c.public_key);
        refused(EINVAL, named, "public_key=%s\nupdate_only=true\nupgrade=off\n", c.hex);
        refused(EINVAL, why, "replace_peers=true\npublic_key=%s\npost_quantum=require\n", b.hex);

        /* In two entries of one peer, live or new; of two peers it is none. */
        refused(EINVAL, why,
                "public_key=%s\npost_quantum=auto\npublic_key=%s\nupgrade=off\npublic_key=%s\n"
                "post_quantum=require\n",
                c.hex, c.hex, c.hex);
        refused(EINVAL, why, "public_key=%s\nupgrade=off\npublic_key=%s\npost_quantum=require\n", d.hex, d.hex);
        assert_string_equal(status_text(UAPI_ADIT, true), before);
        set(UAPI_ADIT, "public_key=%s\nupgrade=off\npublic_key=%s\npost_quantum=require\n", d.hex, e.hex);

        /* What it has now does not, if it is changed before or goes. */
        set(UAPI_ADIT, "public_key=%s\nupgrade=auto\npublic_key=%s\npost_quantum=require\n", b.hex, b.hex);
        assert_policy(&b, false, POST_QUANTUM_REQUIRE);
        set(UAPI_ADIT, "public_key=%s\nremove=true\npublic_key=%s\nupgrade=off\n", c.hex, c.hex);
        assert_policy(&c, true, POST_QUANTUM_AUTO);
        set(UAPI_ADIT, "public_key=%s\nupgrade=off\npost_quantum=off\n", b.hex);
        assert_policy(&b, true, POST_QUANTUM_OFF);
}

static void test_policy_that_this_build_cannot_keep(void **state)
{
        (void)state;
        can_mlkem(false);
        set(UAPI_ADIT, PEER "name=berlin\npost_quantum=off\n", b.hex, 2);
        refused(EINVAL, "peer berlin: PostQuantum: 'require': this build of aditd has no ML-KEM; ",
                "public_key=%s\npost_quantum=require\n", b.hex);
        set(UAPI_ADIT, "public_key=%s\npost_quantum=auto\n", b.hex);
        assert_policy(&b, false, POST_QUANTUM_AUTO);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_strict_replace_removes_all),
                TEST(test_reload_keeps_sessions),
                TEST(test_reload_removes_named),
                TEST(test_allowed_ips_move),
                TEST(test_update_only),
                TEST(test_own_key),
                TEST(test_same_key_keeps_sessions),
                TEST(test_limits),
                TEST(test_limits_of_a_replacement),
                TEST(test_replacing_leaves_others_alone),
                TEST(test_status),
                TEST(test_policy),
                TEST(test_policy_that_contradicts),
                TEST(test_policy_that_this_build_cannot_keep),
        };

        return cmocka_run_group_tests(tests, start, NULL);
}
