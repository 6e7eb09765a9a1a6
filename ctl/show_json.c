#include "ctl/command.h"
#include "ctl/show.h"

#include <stdio.h>

static json_t *text_or_null(const char *text)
{
        json_t *value = text && *text ? json_string(text) : NULL;

        return value ? value : json_null();
}

static json_t *key_or_null(const struct key *key)
{
        char text[KEY_BASE64_LEN];

        if (key_is_zero(key)) return json_null();
        key_to_base64(text, key);
        return json_string(text);
}

static json_t *number(uint64_t value)
{
        return json_integer((json_int_t)value);
}

static json_t *prefix_array(const struct prefix *prefixes, size_t count)
{
        json_t *array = json_array();
        char text[ADDRESS_TEXT];

        for (size_t i = 0; i < count; i++)
                json_array_append_new(array, json_string(prefix_format(&prefixes[i], text)));
        return array;
}

static json_t *allowed_ips(const struct conf_peer *peer)
{
        json_t *array = json_array();
        char text[ADDRESS_TEXT];

        for (const struct conf_prefix *item = peer->allowed_ips; item; item = item->next)
                json_array_append_new(array, json_string(prefix_format(&item->prefix, text)));
        return array;
}

static json_t *endpoint(const struct conf_peer *peer)
{
        char text[ENDPOINT_TEXT];

        return peer->endpoint.family == AF_UNSPEC ? json_null() : json_string(endpoint_format(&peer->endpoint, text));
}

static json_t *endpoint_configured(const struct conf_peer *peer)
{
        char text[ENDPOINT_HOST_TEXT];

        if (!peer->endpoint_host) return json_null();
        return json_string(endpoint_text(peer, text));
}

static json_t *show_json_peer(const struct conf_peer *peer)
{
        static const char *const states[] = {
                [PEER_UP] = "up",
                [PEER_PENDING] = "pending",
                [PEER_UNRESOLVED] = "unresolved",
                [PEER_NO_ENDPOINT] = "no_endpoint",
                [PEER_IDLE] = "idle",
        };
        json_t *object = json_object();

        json_object_set_new(object, "public_key", key_or_null(&peer->public_key));
        json_object_set_new(object, "name", text_or_null(peer->name));
        json_object_set_new(object, "endpoint", endpoint(peer));
        json_object_set_new(object, "endpoint_configured", endpoint_configured(peer));
        json_object_set_new(object, "allowed_ips", allowed_ips(peer));
        json_object_set_new(object, "preshared_key", json_boolean(peer->flags & PEER_HAS_PRESHARED_KEY));
        json_object_set_new(object, "persistent_keepalive", number(peer->keepalive));
        json_object_set_new(object, "last_handshake",
                            peer->last_handshake_sec ? number(peer->last_handshake_sec) : json_null());
        json_object_set_new(object, "rx_bytes", number(peer->rx_bytes));
        json_object_set_new(object, "tx_bytes", number(peer->tx_bytes));
        json_object_set_new(object, "state", json_string(states[peer_state(peer)]));
        json_object_set_new(object, "handshake_attempts", number(peer->handshake_attempts));
        json_object_set_new(object, "cipher", text_or_null(peer->cipher));
        json_object_set_new(object, "cipher_implementation", text_or_null(peer->cipher_implementation));
        json_object_set_new(object, "kem", text_or_null(peer->kem));
        json_object_set_new(object, "kem_implementation", text_or_null(peer->kem_implementation));
        json_object_set_new(object, "adit", json_boolean(peer->adit));
        json_object_set_new(object, "upgrade", json_string(upgrade_format(peer->upgrade_off)));
        json_object_set_new(object, "post_quantum", json_string(post_quantum_format(peer->post_quantum)));
        json_object_set_new(object, "upgrade_state", text_or_null(peer->upgrade_state));
        json_object_set_new(object, "upgrade_reason", text_or_null(peer->upgrade_reason));
        return object;
}

json_t *show_json_peers(const struct live *live)
{
        json_t *array = json_array();

        for (const struct conf_peer *peer = live->conf.peers; peer; peer = peer->next)
                json_array_append_new(array, show_json_peer(peer));
        return array;
}

json_t *show_json_route(const struct conf_peer *peer, const struct prefix *prefix, bool routed)
{
        json_t *object = json_object();
        char text[ADDRESS_TEXT];

        json_object_set_new(object, "public_key", key_or_null(&peer->public_key));
        json_object_set_new(object, "name", text_or_null(peer->name));
        json_object_set_new(object, "prefix", json_string(prefix_format(prefix, text)));
        json_object_set_new(object, "routed_by_adit", json_boolean(routed));
        return object;
}

static json_t *table(int64_t value)
{
        if (value == TABLE_AUTO) return json_string("auto");
        return value == TABLE_OFF ? json_string("off") : json_integer(value);
}

static json_t *dns_array(const struct host_state *host)
{
        json_t *array = json_array();

        for (size_t i = 0; i < host->dns_count; i++)
                json_array_append_new(array, json_sprintf("%s%s", host->dns[i].kind == DNS_ROUTE_DOMAIN ? "~" : "",
                                                          host->dns[i].text));
        return array;
}

static json_t *drops(const struct conf *conf)
{
        json_t *object = json_object();

        for (const struct conf_drop *drop = conf->drops; drop; drop = drop->next)
                json_object_set_new(object, drop->name, number(drop->count));
        return object;
}

json_t *show_json_link(const struct live *live)
{
        const struct host_state *host = &live->host;
        bool chosen = !live->conf.fwmark && host->mark_chosen;
        json_t *object = json_object();

        json_object_set_new(object, "name", json_string(live->name));
        json_object_set_new(object, "config", text_or_null(live->path));
        json_object_set_new(object, "managed", json_boolean(host->managed));
        json_object_set_new(object, "public_key", key_or_null(&live->conf.public_key));
        json_object_set_new(object, "listen_port", number(live->conf.listen_port));
        json_object_set_new(object, "fwmark", number(chosen ? host->fwmark : live->conf.fwmark));
        json_object_set_new(object, "fwmark_configured", live->conf.fwmark ? number(live->conf.fwmark) : json_null());
        json_object_set_new(object, "mtu", live->conf.link_mtu ? number(live->conf.link_mtu) : json_null());
        json_object_set_new(object, "mtu_configured", host->mtu ? number(host->mtu) : json_null());
        json_object_set_new(object, "workers", number(live->conf.workers_at_work));
        json_object_set_new(object, "workers_configured",
                            live->conf.workers ? number(live->conf.workers) : json_null());
        json_object_set_new(object, "table", table(host->table));
        json_object_set_new(object, "addresses", prefix_array(host->addresses, host->address_count));
        json_object_set_new(object, "routes", prefix_array(host->routes, host->route_count));
        json_object_set_new(object, "excluded_ips", prefix_array(host->excluded, host->excluded_count));
        json_object_set_new(object, "dns", dns_array(host));
        json_object_set_new(object, "dns_by",
                            host->dns_means == DNS_BY_NOBODY ? json_null()
                                                             : json_string(dns_means_format(host->dns_means)));
        json_object_set_new(object, "kill_switch", json_boolean(host->kill_switch));
        json_object_set_new(object, "kill_switch_in_force",
                            json_boolean(host->kill_switch && !host->kill_switch_failed));
        json_object_set_new(object, "peers", show_json_peers(live));
        json_object_set_new(object, "drops", drops(&live->conf));
        return object;
}

int show_json_print(const char *key, json_t *value)
{
        json_t *object = json_object();
        int status = STATUS_OK;

        json_object_set_new(object, key, value);
        if (!object || json_dumpf(object, stdout, JSON_INDENT(2)) < 0) status = complain_memory();
        putchar('\n');
        json_decref(object);
        return status;
}
