#include "daemon/conf/conf.h"

#include <stdio.h>
#include <string.h>

struct conf_peer *conf_peer_find(const struct conf *conf, const struct key *public_key)
{
        struct conf_peer *peer = conf->peers;

        while (peer && memcmp(&peer->public_key, public_key, sizeof *public_key) != 0) /* public: no secret to leak */
                peer = peer->next;
        return peer;
}

struct conf_peer *conf_peer_by_name(const struct conf *conf, const char *name)
{
        struct conf_peer *peer = conf->peers;

        while (peer && (!peer->name || strcmp(peer->name, name) != 0))
                peer = peer->next;
        return peer;
}

bool conf_public_key(const struct conf *conf, struct key *out)
{
        *out = conf->public_key;
        if (!key_is_zero(&conf->private_key)) key_public_from_private(out, &conf->private_key);
        return !key_is_zero(out);
}

struct conf_peer *conf_peer_append(struct conf *conf, struct pool *pool)
{
        struct conf_peer *peer = pool_alloc(pool, sizeof *peer);

        if (!peer) return NULL;
        if (!conf->peers) conf->peers_end = &conf->peers; /* also after *conf was copied */
        *conf->peers_end = peer;
        conf->peers_end = &peer->next;
        return peer;
}

struct conf_prefix *conf_allowed_ip_append(struct conf_peer *peer, struct pool *pool, const struct prefix *prefix)
{
        struct conf_prefix *item = pool_alloc(pool, sizeof *item);

        if (!item) return NULL;
        item->prefix = *prefix;
        if (!peer->allowed_ips) peer->allowed_ips_end = &peer->allowed_ips;
        *peer->allowed_ips_end = item;
        peer->allowed_ips_end = &item->next;
        return item;
}

void conf_error_format(const struct conf_error *error, const char *path, char *out, size_t size)
{
        if (error->line && error->column)
                snprintf(out, size, "%s:%u:%u: %s", path, error->line, error->column, error->text);
        else if (error->line) snprintf(out, size, "%s:%u: %s", path, error->line, error->text);
        else snprintf(out, size, "%s: %s", path, error->text);
}
