#include "daemon/device.h"

#include "crypto/mlkem.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static uint64_t allowed_ips_of(const struct engine *engine, const struct peer *peer)
{
        const void *cursor = NULL;
        struct prefix prefix;
        uint64_t count = 0;

        while (engine_allowed_ip_next(engine, peer, &cursor, &prefix))
                count++;
        return count;
}

static_assert((int)CONF_POST_QUANTUM_AUTO == (int)POST_QUANTUM_AUTO &&
                      (int)CONF_POST_QUANTUM_REQUIRE == (int)POST_QUANTUM_REQUIRE &&
                      (int)CONF_POST_QUANTUM_OFF == (int)POST_QUANTUM_OFF,
              "what a configuration says and what the engine is told");

static void merge_policy(struct upgrade_policy *policy, const struct conf_peer *wanted)
{
        if (wanted->flags & PEER_HAS_UPGRADE) policy->off = wanted->upgrade_off;
        if (wanted->flags & PEER_HAS_POST_QUANTUM) policy->post_quantum = wanted->post_quantum;
}

static bool sets(const struct conf_peer *wanted, unsigned flags)
{
        return (wanted->flags & flags) == flags;
}

/* What the peer has after this entry of `conf`: that of the live link, then of each entry of the same peer up to this.
 * One that says all by itself, as in a whole configuration every one does, needs no search. */
static struct upgrade_policy policy_after(const struct device *device, const struct conf *conf,
                                          const struct conf_peer *last)
{
        const struct peer *peer = engine_peer_find(device->engine, &last->public_key);
        struct upgrade_policy policy = { 0 };
        const struct conf_peer *entry = sets(last, PEER_HAS_UPGRADE | PEER_HAS_POST_QUANTUM) ? last : conf->peers;

        if (peer) policy = engine_peer_policy(peer);
        for (; entry != last; entry = entry->next) {
                if (!key_equal(&entry->public_key, &last->public_key)) continue;
                if (entry->flags & PEER_REMOVE) policy = (struct upgrade_policy){ 0 };
                else merge_policy(&policy, entry);
        }
        merge_policy(&policy, last);
        return policy;
}

static const char *policy_refused(const struct device *device, const struct upgrade_policy *policy)
{
        const char *why = policy_conflict(policy->off, policy->post_quantum);

        if (why || policy->post_quantum != POST_QUANTUM_REQUIRE || engine_has_mlkem(device->engine)) return why;
        return "PostQuantum: 'require': this build of aditd has no ML-KEM; build it with libsodium 1.0.22 or OpenSSL "
               "3.5, which have it, or say auto";
}

static int check_policies(const struct device *device, const struct conf *conf, struct conf_error *error)
{
        for (const struct conf_peer *wanted = conf->peers; wanted; wanted = wanted->next) {
                char key[KEY_BASE64_LEN];
                const struct peer *peer;
                const char *why, *name;

                if (wanted->flags & PEER_REMOVE || !(wanted->flags & (PEER_HAS_UPGRADE | PEER_HAS_POST_QUANTUM)))
                        continue;
                struct upgrade_policy policy = policy_after(device, conf, wanted);
                if (!(why = policy_refused(device, &policy))) continue;
                peer = engine_peer_find(device->engine, &wanted->public_key);
                name = wanted->name ? wanted->name : peer ? engine_peer_name(peer) : "";
                key_to_base64(key, &wanted->public_key);
                snprintf(error->text, sizeof error->text, "peer %s: %s", *name ? name : key, why);
                return EINVAL;
        }
        return 0;
}

static int check_limits(const struct device *device, const struct conf *conf, struct conf_error *error)
{
        bool replace = conf->flags & CONF_REPLACE_PEERS;
        uint64_t peers = replace ? 0 : engine_peer_count(device->engine);
        uint64_t prefixes = replace ? 0 : engine_prefix_count(device->engine);

        for (const struct conf_peer *wanted = conf->peers; wanted; wanted = wanted->next) {
                struct peer *peer = replace ? NULL : engine_peer_find(device->engine, &wanted->public_key);
                if (!peer) peers++;
                else if (wanted->flags & PEER_REPLACE_ALLOWED_IPS && !engine_peer_tag(peer)) {
                        prefixes -= allowed_ips_of(device->engine, peer);
                        engine_peer_set_tag(peer, 1); /* once, however often it is named */
                }
                for (const struct conf_prefix *allowed = wanted->allowed_ips; allowed; allowed = allowed->next)
                        prefixes += !allowed->remove;
        }
        for (struct peer *peer = NULL; (peer = engine_peer_next(device->engine, peer));)
                engine_peer_set_tag(peer, 0);
        if (peers > device->limits.max_peers)
                snprintf(error->text, sizeof error->text, "%" PRIu64 " peers: a link takes at most %u", peers,
                         device->limits.max_peers);
        else if (prefixes > device->limits.max_prefixes)
                snprintf(error->text, sizeof error->text, "%" PRIu64 " allowed IPs: a link takes at most %u", prefixes,
                         device->limits.max_prefixes);
        return *error->text ? E2BIG : 0;
}

int device_check(const struct device *device, const struct conf *conf, struct conf_error *error)
{
        *error = (struct conf_error){ 0 };
        int failed = check_limits(device, conf, error);

        return failed ? failed : check_policies(device, conf, error);
}

void device_keep_policies(const struct device *device, struct conf *conf)
{
        if (!(conf->flags & CONF_REPLACE_PEERS)) return;
        for (struct conf_peer *wanted = conf->peers; wanted; wanted = wanted->next) {
                const struct peer *peer = engine_peer_find(device->engine, &wanted->public_key);
                if (!peer) continue;
                struct upgrade_policy policy = engine_peer_policy(peer);
                wanted->flags |= PEER_HAS_UPGRADE | PEER_HAS_POST_QUANTUM;
                wanted->upgrade_off = policy.off;
                wanted->post_quantum = policy.post_quantum;
        }
}

static void remove_all(struct engine *engine)
{
        for (struct peer *peer; (peer = engine_peer_next(engine, NULL));)
                engine_peer_remove(engine, peer);
}

/* Peers that `conf` has are tagged; a sweep removes the others. */
static void remove_missing(struct engine *engine, const struct conf *conf)
{
        for (const struct conf_peer *wanted = conf->peers; wanted; wanted = wanted->next) {
                struct peer *peer = engine_peer_find(engine, &wanted->public_key);
                if (peer && !(wanted->flags & PEER_REMOVE)) engine_peer_set_tag(peer, 1);
        }
        for (struct peer *next, *peer = engine_peer_next(engine, NULL); peer; peer = next) {
                next = engine_peer_next(engine, peer);
                if (!engine_peer_tag(peer)) engine_peer_remove(engine, peer);
                else engine_peer_set_tag(peer, 0);
        }
}

static void sweep_all(struct engine *engine)
{
        for (struct peer *peer = NULL; (peer = engine_peer_next(engine, peer));)
                engine_allowed_ips_sweep(engine, peer);
}

/* New ones come before old ones go, so that those that stay or move never are nobody's. */
static void set_allowed_ips(struct engine *engine, struct peer *peer, const struct conf_peer *wanted)
{
        for (const struct conf_prefix *allowed = wanted->allowed_ips; allowed; allowed = allowed->next)
                if (allowed->remove) engine_allowed_ip_remove(engine, peer, &allowed->prefix);
                else engine_allowed_ip_add(engine, peer, &allowed->prefix);
}

/* Where there is no room for both, the old ones go first: device_check() has seen that the new ones fit. */
static void make_room(const struct device *device, const struct conf *conf, bool whole)
{
        struct engine *engine = device->engine;
        uint64_t most = engine_prefix_count(engine);

        for (const struct conf_peer *wanted = conf->peers; wanted; wanted = wanted->next)
                for (const struct conf_prefix *allowed = wanted->allowed_ips; allowed; allowed = allowed->next)
                        most += !allowed->remove;
        if (most <= device->limits.max_prefixes) return;
        for (const struct conf_peer *wanted = conf->peers; wanted; wanted = wanted->next) {
                struct peer *peer = engine_peer_find(engine, &wanted->public_key);
                if (peer && (whole || wanted->flags & PEER_REPLACE_ALLOWED_IPS)) engine_allowed_ips_clear(engine, peer);
        }
}

/* One that names both needs not ask for what is there. */
static void set_policy(struct engine *engine, uint64_t now, struct peer *peer, const struct conf_peer *wanted)
{
        struct upgrade_policy policy = { 0 };

        if (!(wanted->flags & (PEER_HAS_UPGRADE | PEER_HAS_POST_QUANTUM))) return;
        if (!sets(wanted, PEER_HAS_UPGRADE | PEER_HAS_POST_QUANTUM)) policy = engine_peer_policy(peer);
        merge_policy(&policy, wanted);
        engine_peer_set_upgrade(engine, now, peer, &policy);
}

/* `whole`: the allowed IPs of all peers are being replaced. */
static void apply_peer(struct engine *engine, uint64_t now, const struct conf_peer *wanted, bool whole)
{
        struct peer *peer = engine_peer_find(engine, &wanted->public_key);
        bool replace = wanted->flags & PEER_REPLACE_ALLOWED_IPS && !whole;

        if (wanted->flags & PEER_REMOVE) {
                if (peer) engine_peer_remove(engine, peer);
                return;
        }
        if (!peer && wanted->flags & PEER_UPDATE_ONLY) return;
        if (!peer) peer = engine_peer_add(engine, now, &wanted->public_key);
        if (!peer) return; /* our own public key: ignored, as every WireGuard does; there is room, see device.h */
        if (wanted->flags & PEER_HAS_PRESHARED_KEY) engine_peer_set_preshared_key(peer, &wanted->preshared_key);
        set_policy(engine, now, peer, wanted); /* before anything could be sent to a new one */
        if (wanted->flags & PEER_HAS_NAME) engine_peer_set_name(peer, wanted->name ? wanted->name : "");
        if (wanted->endpoint.family) engine_peer_set_endpoint(peer, &wanted->endpoint);
        if (replace) engine_allowed_ips_begin(engine);
        set_allowed_ips(engine, peer, wanted);
        if (replace) engine_allowed_ips_sweep(engine, peer);
        if (wanted->flags & PEER_HAS_KEEPALIVE) engine_peer_set_keepalive(engine, now, peer, wanted->keepalive);
}

void device_apply(struct device *device, uint64_t now, const struct conf *conf, enum uapi_dialect dialect)
{
        struct engine *engine = device->engine;

        if (conf->flags & CONF_HAS_PRIVATE_KEY) engine_set_private_key(engine, now, &conf->private_key);
        bool replace = conf->flags & CONF_REPLACE_PEERS, whole = replace && dialect != UAPI_STRICT;
        if (replace && !whole) remove_all(engine);
        if (whole) remove_missing(engine, conf);
        make_room(device, conf, whole);
        engine_allowed_ips_begin(engine);
        for (const struct conf_peer *peer = conf->peers; peer; peer = peer->next)
                apply_peer(engine, now, peer, whole);
        if (whole) sweep_all(engine);
}

static void peer_lines(const struct device *device, const struct peer *peer, enum uapi_dialect dialect, bool secrets,
                       struct writer *out)
{
        struct peer_status status;
        const void *cursor = NULL;
        struct prefix prefix;
        char text[ADDRESS_TEXT];

        engine_peer_status(peer, &status);
        struct conf_peer lines = {
                .public_key = status.public_key,
                .preshared_key = status.preshared_key,
                .name = *status.name ? status.name : NULL,
                .endpoint = status.endpoint.remote,
                .keepalive = status.keepalive,
                .last_handshake_sec = status.last_handshake_wall / 1000000000,
                .last_handshake_nsec = status.last_handshake_wall % 1000000000,
                .rx_bytes = status.rx_bytes,
                .tx_bytes = status.tx_bytes,
                .session = status.session,
                .handshake_attempts = status.handshake_attempts,
                .upgrade_off = status.policy.off,
                .post_quantum = status.policy.post_quantum,
                .upgrade_state = upgrade_state_name(status.upgrade),
                .upgrade_reason = upgrade_state_meaning(status.upgrade),
                .adit = status.adit,
                .cipher = status.cipher ? status.cipher->name : NULL,
                .cipher_implementation = status.cipher ? status.cipher->implementation : NULL,
                .kem = status.mlkem ? "ML-KEM-768" : NULL,
                .kem_implementation = status.mlkem ? mlkem_implementation() : NULL,
        };
        uapi_format_peer(&lines, dialect, secrets, out);
        /* Not through the struct: a peer may have a hundred thousand. */
        while (engine_allowed_ip_next(device->engine, peer, &cursor, &prefix))
                writer_print(out, "allowed_ip=%s\n", prefix_format(&prefix, text));
        sodium_memzero(&status, sizeof status);
        sodium_memzero(&lines, sizeof lines);
}

static void drop_lines(const struct device *device, struct writer *out)
{
        for (int reason = DROP_NONE + 1; reason < DROP_COUNT; reason++) {
                uint64_t dropped = engine_dropped(device->engine, reason);
                if (dropped) writer_print(out, "drop_%s=%" PRIu64 "\n", drop_name(reason), dropped);
        }
        if (device->kernel_drops) writer_print(out, "drop_rx-queue-full=%" PRIu64 "\n", device->kernel_drops);
}

void device_status(const struct device *device, enum uapi_dialect dialect, bool secrets, struct writer *out)
{
        struct conf lines = { .listen_port = device->listen_port,
                              .fwmark = device->fwmark,
                              .link_mtu = device->mtu,
                              .workers = device->workers,
                              .workers_at_work = device->workers_at_work };
        struct key public_key;

        if (engine_private_key(device->engine, &lines.private_key, &public_key)) lines.flags |= CONF_HAS_PRIVATE_KEY;
        uapi_format_device(&lines, dialect, secrets, out);
        sodium_memzero(&lines, sizeof lines);
        if (dialect == UAPI_ADIT) drop_lines(device, out);
        for (struct peer *peer = NULL; (peer = engine_peer_next(device->engine, peer));)
                peer_lines(device, peer, dialect, secrets, out);
}
