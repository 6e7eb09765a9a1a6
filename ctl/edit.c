#include "ctl/command.h"
#include "ctl/live.h"

#include <stdio.h>
#include <string.h>
#include <sodium.h>

enum { EDIT_TRIES = 5 };

struct conf_peer *live_peer_find(const struct live *live, const char *peer)
{
        struct key key;

        if (key_from_base64(&key, peer, strlen(peer))) return conf_peer_find(&live->conf, &key);
        return conf_peer_by_name(&live->conf, peer);
}

struct conf_peer *live_peer(const struct live *live, const char *peer)
{
        struct conf_peer *found = live_peer_find(live, peer);

        if (!found)
                complain(0, "%s: no peer '%s' (a Name or a whole public key); its peers: adit peer list %s", live->name,
                         peer, live->name);
        return found;
}

const char *peer_label(const struct conf_peer *peer, char text[KEY_BASE64_LEN])
{
        if (peer->name && *peer->name) return peer->name;
        key_to_base64(text, &peer->public_key);
        return text;
}

const char *endpoint_text(const struct conf_peer *peer, char text[ENDPOINT_HOST_TEXT])
{
        bool bracket = strchr(peer->endpoint_host, ':') != NULL;

        snprintf(text, ENDPOINT_HOST_TEXT, bracket ? "[%s]:%u" : "%s:%u", peer->endpoint_host, peer->endpoint_port);
        return text;
}

struct conf_prefix *live_allowed_ip(const struct live *live, const struct prefix *prefix, struct conf_peer **owner)
{
        for (struct conf_peer *peer = live->conf.peers; peer; peer = peer->next)
                for (struct conf_prefix *item = peer->allowed_ips; item; item = item->next)
                        if (prefix_equal(&item->prefix, prefix)) {
                                *owner = peer;
                                return item;
                        }
        return NULL;
}

void live_allowed_ip_remove(struct conf_peer *peer, struct conf_prefix *item)
{
        struct conf_prefix **at = &peer->allowed_ips;

        while (*at != item)
                at = &(*at)->next;
        *at = item->next;
        if (!item->next) peer->allowed_ips_end = at;
}

void live_peer_remove(struct live *live, struct conf_peer *peer)
{
        struct conf_peer **at = &live->conf.peers;

        while (*at != peer)
                at = &(*at)->next;
        *at = peer->next;
        if (!peer->next) live->conf.peers_end = at;
}

struct conf_peer *edit_peer(struct edit *edit, const struct conf_peer *peer)
{
        struct conf_peer *set = conf_peer_append(&edit->set, edit->pool);

        if (!set) {
                complain_memory();
                return NULL;
        }
        set->public_key = peer->public_key;
        set->flags = PEER_UPDATE_ONLY;
        return set;
}

int edit_allowed_ip_add(struct edit *edit, struct conf_peer *peer, struct conf_peer *set_peer,
                        const struct prefix *prefix)
{
        struct conf_peer *owner;
        struct conf_prefix *item = live_allowed_ip(&edit->live, prefix, &owner);

        if (item && owner != peer) {
                char text[ADDRESS_TEXT], from[KEY_BASE64_LEN], to[KEY_BASE64_LEN];

                if (!edit->retry)
                        complain(0, "%s: %s moves from peer %s to peer %s", edit->live.name,
                                 prefix_format(prefix, text), peer_label(owner, from), peer_label(peer, to));
                live_allowed_ip_remove(owner, item);
                item = NULL;
        }
        if (!item && !conf_allowed_ip_append(peer, edit->pool, prefix)) return complain_memory();
        if (!conf_allowed_ip_append(set_peer, edit->pool, prefix)) return complain_memory();
        return STATUS_OK;
}

static bool listed(const struct prefix *prefixes, size_t count, const struct prefix *prefix)
{
        for (size_t i = 0; i < count; i++)
                if (prefix_equal(&prefixes[i], prefix)) return true;
        return false;
}

/* The routes of a link whose addresses are the user's: those that were there and are still somebody's allowed IPs (one
 * without a peer would lead nowhere), and those that the edit asks for. */
static int unmanaged_routes(const struct edit *edit, struct host_state *out)
{
        const struct host_state *before = &edit->live.host;
        size_t count = before->route_count;
        struct prefix *routes;
        struct conf_peer *owner;

        for (struct conf_prefix *item = edit->routes.allowed_ips; item; item = item->next)
                count++;
        routes = pool_alloc(edit->pool, count * sizeof *routes + 1);
        if (!routes) return complain_memory();
        count = 0;
        for (size_t i = 0; i < before->route_count; i++)
                if (live_allowed_ip(&edit->live, &before->routes[i], &owner)) routes[count++] = before->routes[i];
        for (struct conf_prefix *item = edit->routes.allowed_ips; item; item = item->next)
                if (!listed(routes, count, &item->prefix)) routes[count++] = item->prefix;
        out->routes = routes;
        out->route_count = count;
        return STATUS_OK;
}

/* What the host should look like after the edit. A mark that the keeper chose stays as long as one must be chosen. */
static int host_after(struct edit *edit, struct host_state *out)
{
        struct host_state fresh = { 0 };

        if (!conf_host_state(&edit->live.conf, &fresh, edit->pool)) return complain_memory();
        *out = edit->live.host;
        out->endpoints = fresh.endpoints;
        out->endpoint_count = fresh.endpoint_count;
        if (!edit->live.host.managed) return unmanaged_routes(edit, out);
        if (fresh.mark_chosen && edit->live.host.mark_chosen) fresh.fwmark = edit->live.host.fwmark;
        *out = fresh;
        return STATUS_OK;
}

static int edit_once(const char *name, struct pool *pool, edit_function change, void *arg, bool *again)
{
        struct edit edit = { .pool = pool, .retry = *again };
        struct host_state host;
        int status = live_read(&edit.live, pool, name, false);

        *again = false;
        if (!status) status = change(&edit, arg);
        if (!status) status = host_after(&edit, &host);
        if (!status) status = live_apply(name, edit.live.generation, &host, &edit.set, again);
        sodium_memzero(&edit, sizeof edit);
        return status;
}

int live_edit(const char *name, struct pool *pool, edit_function change, void *arg)
{
        size_t mark = pool->used;
        bool again = false;

        for (int i = 0; i < EDIT_TRIES; i++) {
                int status = edit_once(name, pool, change, arg, &again);

                sodium_memzero(pool->base + mark, pool->used - mark);
                pool->used = mark;
                if (!again) return status;
        }
        return complain(STATUS_FAILED,
                        "%s: others keep changing this link (tried %d times); nothing was changed; try again", name,
                        EDIT_TRIES);
}
