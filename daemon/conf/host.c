#include "daemon/conf/set.h"
#include "daemon/conf/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static_assert(sizeof(struct prefix) == 18, "a prefix is compared by its bytes: no padding");

struct list {
        struct prefix *items;
        size_t count;
        struct set seen;
};

static bool list_init(struct list *list, struct pool *pool, size_t capacity)
{
        list->count = 0;
        list->items = pool_alloc(pool, capacity * sizeof *list->items);
        return list->items && set_init(&list->seen, pool, capacity, sizeof *list->items);
}

static void list_add(struct list *list, const struct prefix *prefix)
{
        struct prefix *item = &list->items[list->count];

        *item = (struct prefix){ .family = prefix->family, .length = prefix->length };
        memcpy(item->bytes, prefix->bytes, prefix->family == AF_INET ? 4 : 16);
        if (!set_add(&list->seen, item)) list->count++;
}

static bool collect(const struct conf_prefix *from, struct prefix **items, size_t *item_count, struct pool *pool)
{
        struct list list;
        size_t count = 0;

        for (const struct conf_prefix *at = from; at; at = at->next)
                count++;
        if (!list_init(&list, pool, count)) return false;
        for (const struct conf_prefix *at = from; at; at = at->next)
                list_add(&list, &at->prefix);
        *items = list.items;
        *item_count = list.count;
        return true;
}

/* The engine ignores a peer with the link's own key: a route to it would lead nowhere. */
static bool is_part(const struct conf_peer *peer, const struct key *own)
{
        return !(peer->flags & PEER_REMOVE) && (!own || !key_equal(&peer->public_key, own));
}

static bool collect_routes(const struct conf *conf, const struct key *own, struct host_state *out, struct pool *pool)
{
        struct list list;
        size_t count = 0;

        for (const struct conf_peer *peer = conf->peers; peer; peer = peer->next)
                for (const struct conf_prefix *at = peer->allowed_ips; at; at = at->next)
                        count++;
        if (!list_init(&list, pool, count)) return false;
        for (const struct conf_peer *peer = conf->peers; peer; peer = peer->next) {
                for (const struct conf_prefix *at = peer->allowed_ips; at; at = at->next) {
                        struct prefix prefix = at->prefix;

                        prefix_mask(&prefix);
                        if (!at->remove && is_part(peer, own)) list_add(&list, &prefix);
                }
        }
        out->routes = list.items;
        out->route_count = list.count;
        return true;
}

static bool collect_endpoints(const struct conf *conf, const struct key *own, struct host_state *out, struct pool *pool)
{
        size_t count = 0;

        for (const struct conf_peer *peer = conf->peers; peer; peer = peer->next)
                if (peer->endpoint_host && is_part(peer, own)) count++;
        if (!(out->endpoints = pool_alloc(pool, count * sizeof *out->endpoints))) return false;
        for (const struct conf_peer *peer = conf->peers; peer; peer = peer->next) {
                struct host_endpoint *endpoint = &out->endpoints[out->endpoint_count];

                if (!peer->endpoint_host || !is_part(peer, own)) continue;
                memcpy(endpoint->public_key, peer->public_key.bytes, sizeof endpoint->public_key);
                snprintf(endpoint->host, sizeof endpoint->host, "%s", peer->endpoint_host);
                endpoint->port = peer->endpoint_port;
                out->endpoint_count++;
        }
        return true;
}

static bool collect_dns(const struct conf *conf, struct host_state *out, struct pool *pool)
{
        size_t count = 0;

        for (const struct conf_line *line = conf->dns; line; line = line->next)
                count++;
        if (!(out->dns = pool_alloc(pool, count * sizeof *out->dns))) return false;
        for (const struct conf_line *line = conf->dns; line; line = line->next) {
                struct host_dns *dns = &out->dns[out->dns_count];
                if (!dns_parse(&dns->kind, (struct span){ line->text, strlen(line->text) })) continue;
                dns->text = line->text + (dns->kind == DNS_ROUTE_DOMAIN);
                out->dns_count++;
        }
        return true;
}

static bool is_excluded(const struct host_state *host, const struct prefix *prefix)
{
        for (size_t i = 0; i < host->excluded_count; i++)
                if (prefix_contains(&host->excluded[i], prefix)) return true;
        return false;
}

static bool has_default_route(const struct host_state *host)
{
        for (size_t i = 0; i < host->route_count; i++)
                if (host->routes[i].length == 0 && !is_excluded(host, &host->routes[i])) return true;
        return false;
}

bool conf_host_state(const struct conf *conf, struct host_state *out, struct pool *pool)
{
        struct host_state host = { .managed = true,
                                   .mtu = conf->mtu,
                                   .table = conf->table,
                                   .fwmark = conf->fwmark,
                                   .kill_switch = conf->kill_switch,
                                   .masquerade = conf->masquerade,
                                   .forward = conf->forward };
        struct key public_key;
        const struct key *own = conf_public_key(conf, &public_key) ? &public_key : NULL;

        if (!collect(conf->addresses, &host.addresses, &host.address_count, pool) ||
            !collect(conf->excluded, &host.excluded, &host.excluded_count, pool) ||
            !collect(conf->forwards, &host.forwards, &host.forward_count, pool) || !collect_dns(conf, &host, pool) ||
            !collect_routes(conf, own, &host, pool) || !collect_endpoints(conf, own, &host, pool))
                return false;
        bool needs_mark = host.kill_switch || (host.table == TABLE_AUTO && has_default_route(&host));
        host.mark_chosen = !host.fwmark && needs_mark;
        *out = host;
        return true;
}
