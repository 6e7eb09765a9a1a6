#include "daemon/conf/uapi.h"

#include <sodium.h>

/* The order of lines is wireguard-go's (device/uapi.go): some readers take it for granted. */

static void print_key(struct writer *out, const char *name, const struct key *key)
{
        char text[KEY_HEX_LEN];

        key_to_hex(text, key);
        writer_print(out, "%s=%s\n", name, text);
        sodium_memzero(text, sizeof text);
}

static void print_allowed_ips(struct writer *out, const struct conf_prefix *list)
{
        char text[ADDRESS_TEXT];

        for (; list; list = list->next)
                writer_print(out, "allowed_ip=%s%s\n", list->remove ? "-" : "", prefix_format(&list->prefix, text));
}

static void print_endpoint(struct writer *out, const struct conf_peer *peer)
{
        char text[ENDPOINT_TEXT];

        if (peer->endpoint.family != AF_UNSPEC)
                writer_print(out, "endpoint=%s\n", endpoint_format(&peer->endpoint, text));
}

static void set_peer(struct writer *out, const struct conf_peer *peer)
{
        print_key(out, "public_key", &peer->public_key);
        if (peer->flags & PEER_REMOVE) {
                writer_print(out, "remove=true\n");
                return;
        }
        if (peer->flags & PEER_UPDATE_ONLY) writer_print(out, "update_only=true\n");
        if (peer->flags & PEER_HAS_PRESHARED_KEY) print_key(out, "preshared_key", &peer->preshared_key);
        print_endpoint(out, peer);
        if (peer->flags & PEER_HAS_KEEPALIVE) writer_print(out, "persistent_keepalive_interval=%u\n", peer->keepalive);
        if (peer->flags & PEER_HAS_NAME) writer_print(out, "name=%s\n", peer->name ? peer->name : "");
        if (peer->flags & PEER_HAS_UPGRADE) writer_print(out, "upgrade=%s\n", upgrade_format(peer->upgrade_off));
        if (peer->flags & PEER_HAS_POST_QUANTUM)
                writer_print(out, "post_quantum=%s\n", post_quantum_format(peer->post_quantum));
        if (peer->flags & PEER_REPLACE_ALLOWED_IPS) writer_print(out, "replace_allowed_ips=true\n");
        print_allowed_ips(out, peer->allowed_ips);
}

void uapi_format_set(const struct conf *conf, struct writer *out)
{
        if (conf->flags & CONF_HAS_PRIVATE_KEY) print_key(out, "private_key", &conf->private_key);
        if (conf->flags & CONF_HAS_LISTEN_PORT) writer_print(out, "listen_port=%u\n", conf->listen_port);
        if (conf->flags & CONF_HAS_FWMARK) writer_print(out, "fwmark=%u\n", conf->fwmark);
        if (conf->flags & CONF_HAS_WORKERS) writer_print(out, "workers=%u\n", conf->workers);
        if (conf->flags & CONF_REPLACE_PEERS) writer_print(out, "replace_peers=true\n");
        for (const struct conf_peer *peer = conf->peers; peer; peer = peer->next)
                set_peer(out, peer);
}

static void print_own_public_key(struct writer *out, const struct key *private_key)
{
        struct key public_key;

        if (key_public_from_private(&public_key, private_key)) print_key(out, "own_public_key", &public_key);
}

void uapi_format_device(const struct conf *device, enum uapi_dialect dialect, bool secrets, struct writer *out)
{
        if (secrets && !key_is_zero(&device->private_key)) print_key(out, "private_key", &device->private_key);
        if (!secrets && dialect == UAPI_ADIT) print_own_public_key(out, &device->private_key);
        if (device->listen_port) writer_print(out, "listen_port=%u\n", device->listen_port);
        if (device->fwmark) writer_print(out, "fwmark=%u\n", device->fwmark);
        if (dialect != UAPI_ADIT) return;
        if (device->link_mtu) writer_print(out, "link_mtu=%u\n", device->link_mtu);
        if (device->workers) writer_print(out, "workers=%u\n", device->workers);
        if (device->workers_at_work) writer_print(out, "workers_at_work=%u\n", device->workers_at_work);
        for (const struct conf_drop *drop = device->drops; drop; drop = drop->next)
                writer_print(out, "drop_%s=%llu\n", drop->name, (unsigned long long)drop->count);
}

static void print_text(struct writer *out, const char *name, const char *text)
{
        if (text) writer_print(out, "%s=%s\n", name, text);
}

/* A policy that is the default goes without saying. */
static void print_upgrade(struct writer *out, const struct conf_peer *peer)
{
        if (peer->upgrade_off) print_text(out, "upgrade", upgrade_format(peer->upgrade_off));
        if (peer->post_quantum) print_text(out, "post_quantum", post_quantum_format(peer->post_quantum));
        print_text(out, "upgrade_state", peer->upgrade_state);
        print_text(out, "upgrade_reason", peer->upgrade_reason);
        if (peer->adit) writer_print(out, "adit=1\n");
        print_text(out, "cipher", peer->cipher);
        print_text(out, "cipher_implementation", peer->cipher_implementation);
        print_text(out, "kem", peer->kem);
        print_text(out, "kem_implementation", peer->kem_implementation);
}

void uapi_format_peer(const struct conf_peer *peer, enum uapi_dialect dialect, bool secrets, struct writer *out)
{
        print_key(out, "public_key", &peer->public_key);
        if (secrets) print_key(out, "preshared_key", &peer->preshared_key);
        else if (dialect == UAPI_ADIT && !key_is_zero(&peer->preshared_key))
                writer_print(out, "has_preshared_key=true\n");
        writer_print(out, "protocol_version=1\n");
        print_endpoint(out, peer);
        writer_print(out, "last_handshake_time_sec=%llu\nlast_handshake_time_nsec=%llu\n",
                     (unsigned long long)peer->last_handshake_sec, (unsigned long long)peer->last_handshake_nsec);
        writer_print(out, "tx_bytes=%llu\nrx_bytes=%llu\npersistent_keepalive_interval=%u\n",
                     (unsigned long long)peer->tx_bytes, (unsigned long long)peer->rx_bytes, peer->keepalive);
        if (dialect == UAPI_ADIT) {
                if (peer->name) writer_print(out, "name=%s\n", peer->name);
                writer_print(out, "session=%s\nhandshake_attempts=%u\n", peer->session ? "true" : "false",
                             peer->handshake_attempts);
                print_upgrade(out, peer);
        }
        print_allowed_ips(out, peer->allowed_ips);
}
