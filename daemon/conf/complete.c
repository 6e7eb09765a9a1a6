#include "daemon/conf/text.h"

#include <string.h>

enum { RESOLV_CONF_SERVERS = 3, RESOLV_CONF_DOMAINS = 6 }; /* resolv.conf(5): MAXNS, MAXDNSRCH */

/* A live link may have what the file no longer says; each such field is named with its default, so that it goes. */
void conf_make_complete(struct conf *conf)
{
        conf->flags |= CONF_REPLACE_PEERS | CONF_HAS_FWMARK | CONF_HAS_WORKERS;
        for (struct conf_peer *peer = conf->peers; peer; peer = peer->next)
                peer->flags |= PEER_REPLACE_ALLOWED_IPS | PEER_HAS_PRESHARED_KEY | PEER_HAS_KEEPALIVE | PEER_HAS_NAME |
                               PEER_HAS_UPGRADE | PEER_HAS_POST_QUANTUM;
}

static bool holds(const struct prefix *prefix, const union socket_address *address)
{
        struct prefix host = { .family = (uint8_t)address->family, .length = prefix->length };

        if (address->family == AF_INET) memcpy(host.bytes, &address->in.sin_addr, 4);
        else memcpy(host.bytes, &address->in6.sin6_addr, 16);
        prefix_mask(&host);
        return prefix->length && prefix_equal(&host, prefix);
}

static bool excludes(const struct conf *conf, const union socket_address *address)
{
        for (const struct conf_prefix *excluded = conf->excluded; excluded; excluded = excluded->next)
                if (holds(&excluded->prefix, address)) return true;
        return false;
}

/* A default route does not (the mark keeps our own datagrams off it), any other that holds an endpoint does. */
static bool swallows_endpoint(const struct conf *conf)
{
        if (conf->table != TABLE_AUTO || conf->fwmark) return false;
        for (const struct conf_peer *peer = conf->peers; peer; peer = peer->next)
                for (const struct conf_prefix *allowed = peer->allowed_ips; allowed; allowed = allowed->next)
                        if (peer->endpoint.family && holds(&allowed->prefix, &peer->endpoint) &&
                            !excludes(conf, &peer->endpoint))
                                return true;
        return false;
}

/* 0.0.0.0/1 and its other half are one, too. */
static bool has_default_route(const struct conf *conf)
{
        for (const struct conf_peer *peer = conf->peers; peer; peer = peer->next)
                for (const struct conf_prefix *allowed = peer->allowed_ips; allowed; allowed = allowed->next)
                        if (allowed->prefix.length <= 1) return true;
        return false;
}

static size_t count_dns(const struct conf *conf, enum host_dns_kind kind)
{
        enum host_dns_kind is;
        size_t count = 0;

        for (const struct conf_line *line = conf->dns; line; line = line->next)
                count += dns_parse(&is, (struct span){ line->text, strlen(line->text) }) && is == kind;
        return count;
}

const char *conf_remark(const struct conf *conf, unsigned *cursor)
{
        struct key own;
        const struct {
                bool asked;
                const char *what;
        } keys[] = {
                { conf->dns && !count_dns(conf, DNS_SERVER),
                  "DNS names no server: its domains are asked of whom they are "
                  "asked now" },
                { count_dns(conf, DNS_SERVER) > RESOLV_CONF_SERVERS ||
                          count_dns(conf, DNS_DOMAIN) > RESOLV_CONF_DOMAINS,
                  "DNS: of more than 3 servers and 6 domains those beyond are not asked where there is no "
                  "systemd-resolved, but an /etc/resolv.conf" },
                { conf->flags & CONF_SAVE_CONFIG,
                  "SaveConfig is not done by this version; save the link with: adit save" },
                { swallows_endpoint(conf), "a peer's Endpoint lies in its own AllowedIPs: the route would lead the "
                                           "tunnel into itself; leave that "
                                           "prefix out, or the endpoint by ExcludedIPs" },
                { conf->kill_switch && !has_default_route(conf), "KillSwitch without a default route in AllowedIPs: "
                                                                 "what they do not name, and ExcludedIPs does not, is "
                                                                 "not reached at all" },
                { conf->kill_switch && conf->masquerade && conf->forward != FORWARD_NETWORKS,
                  "KillSwitch with Masquerade: what comes through the link goes on only to networks that Forward or "
                  "ExcludedIPs names" },
                { conf->excluded && conf->table == TABLE_OFF && !conf->kill_switch,
                  "ExcludedIPs does nothing with Table = off: there are no routes to leave it out of" },
                { conf_public_key(conf, &own) && conf_peer_find(conf, &own),
                  "a [Peer] has this link's own public key, and is left out; a peer has another" },
        };

        while (*cursor < sizeof keys / sizeof *keys) {
                unsigned i = (*cursor)++;
                if (keys[i].asked) return keys[i].what;
        }
        return NULL;
}
