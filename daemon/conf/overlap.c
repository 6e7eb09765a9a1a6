#include "daemon/conf/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NESTED_MAX = 129, /* prefixes inside each other: each is longer, from 0 to 128 */ LABEL_TEXT = 64 };

struct item {
        struct prefix prefix;
        const struct conf_peer *peer;
        size_t order; /* in the file */
};

/* A prefix comes right before what lies inside it; of equal ones the last is who has it. */
static int compare(const void *a, const void *b)
{
        const struct item *x = a, *y = b;
        int order = (x->prefix.family > y->prefix.family) - (x->prefix.family < y->prefix.family);

        if (!order) order = memcmp(x->prefix.bytes, y->prefix.bytes, sizeof x->prefix.bytes);
        if (!order) order = (x->prefix.length > y->prefix.length) - (x->prefix.length < y->prefix.length);
        return order ? order : (x->order > y->order) - (x->order < y->order);
}

/* Without a peer that has the link's own key: the engine ignores it. */
static bool collect(const struct conf *conf, struct pool *pool, struct item **out, size_t *count)
{
        struct key own;
        bool known = conf_public_key(conf, &own);
        size_t all = 0;

        for (const struct conf_peer *peer = conf->peers; peer; peer = peer->next)
                for (const struct conf_prefix *at = peer->allowed_ips; at; at = at->next)
                        all++;
        *count = 0;
        if (!(*out = pool_alloc(pool, all * sizeof **out))) return false;
        for (const struct conf_peer *peer = conf->peers; peer; peer = peer->next) {
                if (known && key_equal(&own, &peer->public_key)) continue;
                for (const struct conf_prefix *at = peer->allowed_ips; at; at = at->next) {
                        (*out)[*count] = (struct item){ at->prefix, peer, *count };
                        ++*count;
                }
        }
        if (*count) qsort(*out, *count, sizeof **out, compare);
        return true;
}

/* Each that loses a prefix to another peer, once. */
static size_t find_twice(const struct item *items, size_t count, struct conf_overlap *out)
{
        size_t found = 0, end;

        for (size_t i = 0; i < count; i = end) {
                const struct conf_peer *before = NULL, *winner;
                for (end = i + 1; end < count && prefix_equal(&items[i].prefix, &items[end].prefix);)
                        end++;
                winner = items[end - 1].peer;
                for (size_t n = i; n < end; before = items[n++].peer) {
                        if (items[n].peer == winner || items[n].peer == before) continue;
                        if (out)
                                out[found] = (struct conf_overlap){ items[n].prefix, items[n].prefix, items[n].peer,
                                                                    winner };
                        found++;
                }
        }
        return found;
}

/* Each prefix whose next wider one is another peer's. */
static void find_inside(const struct item *items, size_t count, struct conf_overlaps *out)
{
        const struct item *around[NESTED_MAX];
        size_t depth = 0;

        for (size_t i = 0; i < count; i++) {
                const struct item *item = &items[i];
                if (i + 1 < count && prefix_equal(&item->prefix, &items[i + 1].prefix)) continue; /* not who has it */
                while (depth && !prefix_contains(&around[depth - 1]->prefix, &item->prefix))
                        depth--;
                if (depth && around[depth - 1]->peer != item->peer && !out->inside_count++)
                        out->inside = (struct conf_overlap){ item->prefix, around[depth - 1]->prefix, item->peer,
                                                             around[depth - 1]->peer };
                around[depth++] = item;
        }
}

bool conf_overlaps(const struct conf *conf, struct pool *pool, struct conf_overlaps *out)
{
        struct item *items;
        size_t count;

        *out = (struct conf_overlaps){ 0 };
        if (!collect(conf, pool, &items, &count)) return false;
        find_inside(items, count, out);
        out->twice_count = find_twice(items, count, NULL);
        out->twice = pool_alloc(pool, out->twice_count * sizeof *out->twice);
        if (!out->twice) return false;
        find_twice(items, count, out->twice);
        return true;
}

static const char *label(const struct conf_peer *peer, char text[LABEL_TEXT])
{
        if (peer->name && *peer->name) return peer->name;
        key_to_base64(text, &peer->public_key);
        return text;
}

const char *conf_overlap_warning(const struct conf_overlaps *overlaps, size_t *cursor, char text[OVERLAP_TEXT])
{
        const struct conf_overlap *overlap = &overlaps->twice[*cursor];
        char prefix[ADDRESS_TEXT], first[LABEL_TEXT], later[LABEL_TEXT];

        if (*cursor >= overlaps->twice_count || *cursor > OVERLAPS_TOLD) return NULL;
        if ((*cursor)++ == OVERLAPS_TOLD)
                snprintf(text, OVERLAP_TEXT, "AllowedIPs: %zu more prefixes are given to two peers",
                         overlaps->twice_count - OVERLAPS_TOLD);
        else
                snprintf(
                        text, OVERLAP_TEXT,
                        "AllowedIPs: %s is given to peer %s and to peer %s, and the later one has it; take it from one "
                        "of them",
                        prefix_format(&overlap->prefix, prefix), label(overlap->peer, first),
                        label(overlap->other, later));
        return text;
}

const char *conf_overlap_note(const struct conf_overlaps *overlaps, char text[OVERLAP_TEXT])
{
        const struct conf_overlap *inside = &overlaps->inside;
        char prefix[ADDRESS_TEXT], wider[ADDRESS_TEXT], peer[LABEL_TEXT], other[LABEL_TEXT], more[48] = "";

        if (!overlaps->inside_count) return NULL;
        if (overlaps->inside_count > 1) snprintf(more, sizeof more, "; and so %zu more", overlaps->inside_count - 1);
        snprintf(text, OVERLAP_TEXT, "AllowedIPs: %s of peer %s lies in %s of peer %s: the longer prefix wins%s",
                 prefix_format(&inside->prefix, prefix), label(inside->peer, peer),
                 prefix_format(&inside->wider, wider), label(inside->other, other), more);
        return text;
}
