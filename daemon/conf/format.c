#include "daemon/conf/conf.h"

#include <sodium.h>

static void print_key(struct writer *out, const char *name, const struct key *key)
{
        char text[KEY_BASE64_LEN];

        key_to_base64(text, key);
        writer_print(out, "%s = %s\n", name, text);
        sodium_memzero(text, sizeof text);
}

static void print_prefixes(struct writer *out, const char *name, const struct conf_prefix *list)
{
        char text[ADDRESS_TEXT];

        if (!list) return;
        writer_print(out, "%s = ", name);
        for (; list; list = list->next)
                writer_print(out, "%s%s", prefix_format(&list->prefix, text), list->next ? ", " : "\n");
}

static void print_lines(struct writer *out, const char *name, const struct conf_line *list)
{
        for (; list; list = list->next)
                writer_print(out, "%s = %s\n", name, list->text);
}

static void print_table(struct writer *out, int64_t table)
{
        if (table == TABLE_OFF) writer_print(out, "Table = off\n");
        else if (table != TABLE_AUTO) writer_print(out, "Table = %lld\n", (long long)table);
}

static void print_forward(struct writer *out, const struct conf *conf)
{
        if (conf->forward == FORWARD_YES) writer_print(out, "Forward = yes\n");
        if (conf->forward == FORWARD_NO) writer_print(out, "Forward = no\n");
        if (conf->forward == FORWARD_NETWORKS) print_prefixes(out, "Forward", conf->forwards);
}

static void print_interface(struct writer *out, const struct conf *conf)
{
        writer_print(out, "[Interface]\n");
        if (conf->private_key_file) writer_print(out, "PrivateKeyFile = %s\n", conf->private_key_file);
        else if (conf->flags & CONF_HAS_PRIVATE_KEY) print_key(out, "PrivateKey", &conf->private_key);
        if (conf->flags & CONF_HAS_LISTEN_PORT) writer_print(out, "ListenPort = %u\n", conf->listen_port);
        if (conf->flags & CONF_HAS_FWMARK && conf->fwmark) writer_print(out, "FwMark = 0x%x\n", conf->fwmark);
        if (conf->flags & CONF_HAS_FWMARK && !conf->fwmark) writer_print(out, "FwMark = off\n");
        print_prefixes(out, "Address", conf->addresses);
        print_prefixes(out, "ExcludedIPs", conf->excluded);
        if (conf->mtu) writer_print(out, "MTU = %u\n", conf->mtu);
        print_table(out, conf->table);
        if (conf->flags & CONF_HAS_WORKERS && conf->workers) writer_print(out, "Workers = %u\n", conf->workers);
        if (conf->flags & CONF_HAS_WORKERS && !conf->workers) writer_print(out, "Workers = auto\n");
        print_lines(out, "DNS", conf->dns);
        if (conf->kill_switch) writer_print(out, "KillSwitch = yes\n");
        if (conf->masquerade) writer_print(out, "Masquerade = yes\n");
        print_forward(out, conf);
        print_lines(out, "PreUp", conf->pre_up);
        print_lines(out, "PostUp", conf->post_up);
        print_lines(out, "PreDown", conf->pre_down);
        print_lines(out, "PostDown", conf->post_down);
        if (conf->flags & CONF_SAVE_CONFIG) writer_print(out, "SaveConfig = true\n");
}

static void print_endpoint(struct writer *out, const struct conf_peer *peer)
{
        const char *host = peer->endpoint_host;
        char text[ENDPOINT_TEXT];
        bool bracket = false;

        if (!host && peer->endpoint.family != AF_UNSPEC)
                writer_print(out, "Endpoint = %s\n", endpoint_format(&peer->endpoint, text));
        if (!host) return;
        for (const char *c = host; *c; c++)
                bracket |= *c == ':';
        writer_print(out, bracket ? "Endpoint = [%s]:%u\n" : "Endpoint = %s:%u\n", host, peer->endpoint_port);
}

static void print_peer(struct writer *out, const struct conf_peer *peer)
{
        writer_print(out, "\n[Peer]\n");
        if (peer->name) writer_print(out, "Name = %s\n", peer->name);
        print_key(out, "PublicKey", &peer->public_key);
        if (peer->preshared_key_file) writer_print(out, "PresharedKeyFile = %s\n", peer->preshared_key_file);
        else if (peer->flags & PEER_HAS_PRESHARED_KEY) print_key(out, "PresharedKey", &peer->preshared_key);
        print_prefixes(out, "AllowedIPs", peer->allowed_ips);
        print_endpoint(out, peer);
        if (peer->flags & PEER_HAS_KEEPALIVE && peer->keepalive)
                writer_print(out, "PersistentKeepalive = %u\n", peer->keepalive);
        if (peer->flags & PEER_HAS_KEEPALIVE && !peer->keepalive) writer_print(out, "PersistentKeepalive = off\n");
        if (peer->flags & PEER_HAS_UPGRADE) writer_print(out, "Upgrade = %s\n", upgrade_format(peer->upgrade_off));
        if (peer->flags & PEER_HAS_POST_QUANTUM)
                writer_print(out, "PostQuantum = %s\n", post_quantum_format(peer->post_quantum));
}

void conf_format(const struct conf *conf, struct writer *out)
{
        print_interface(out, conf);
        for (const struct conf_peer *peer = conf->peers; peer; peer = peer->next)
                if (!(peer->flags & PEER_REMOVE)) print_peer(out, peer);
}
