#include "ctl/changes.h"

#include "ctl/live.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct changes {
        FILE *out;
        const char *link;
        struct conf_overlaps overlaps; /* of the new configuration: what a peer's AllowedIPs say in vain */
        int lines;
};

/* ---- allowed IPs ---------------------------------------------------------------------------------------------------
 */

static int compare(const void *a, const void *b)
{
        return memcmp(*(const struct prefix *const *)a, *(const struct prefix *const *)b, sizeof(struct prefix));
}

static bool is_lost(const struct changes *changes, const struct conf_peer *peer, const struct prefix *prefix)
{
        for (size_t i = 0; i < changes->overlaps.twice_count; i++)
                if (changes->overlaps.twice[i].peer == peer && prefix_equal(&changes->overlaps.twice[i].prefix, prefix))
                        return true;
        return false;
}

struct prefixes {
        const struct prefix **list;
        size_t count;
};

/* Sorted and without doubles. False: no memory. */
static bool collect(const struct changes *changes, const struct conf_peer *peer, struct pool *pool,
                    struct prefixes *out)
{
        size_t count = 0;

        *out = (struct prefixes){ 0 };
        for (const struct conf_prefix *item = peer ? peer->allowed_ips : NULL; item; item = item->next)
                count++;
        out->list = pool_alloc(pool, (count + 1) * sizeof *out->list);
        if (!out->list) return false;
        for (const struct conf_prefix *item = peer ? peer->allowed_ips : NULL; item; item = item->next)
                if (!is_lost(changes, peer, &item->prefix)) out->list[out->count++] = &item->prefix;
        qsort(out->list, out->count, sizeof *out->list, compare);
        size_t kept = 0;
        for (size_t i = 0; i < out->count; i++)
                if (!kept || compare(&out->list[kept - 1], &out->list[i])) out->list[kept++] = out->list[i];
        out->count = kept;
        return true;
}

static bool same(const struct prefixes *a, const struct prefixes *b)
{
        if (a->count != b->count) return false;
        for (size_t i = 0; i < a->count; i++)
                if (compare(&a->list[i], &b->list[i])) return false;
        return true;
}

static bool add_allowed_ips(const struct changes *changes, FILE *fields, const struct conf_peer *from,
                            const struct conf_peer *to, struct pool *pool)
{
        struct prefixes before, after;
        char text[ADDRESS_TEXT];

        if (!collect(changes, from, pool, &before) || !collect(changes, to, pool, &after)) return false;
        if (same(&before, &after)) return true;
        fputs(after.count ? " allowed-ips " : " allowed-ips ''", fields);
        for (size_t i = 0; i < after.count; i++)
                fprintf(fields, "%s%s", i ? "," : "", prefix_format(after.list[i], text));
        return true;
}

/* ---- a peer --------------------------------------------------------------------------------------------------------
 */

static bool same_address(const union socket_address *a, const union socket_address *b)
{
        if (a->family != b->family) return false;
        if (a->family == AF_INET)
                return a->in.sin_port == b->in.sin_port && a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
        return a->in6.sin6_port == b->in6.sin6_port && a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
               !memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof a->in6.sin6_addr);
}

/* An address is where the peer is to be from now on, wherever it went; a name is resolved, and followed. */
static void add_endpoint(FILE *fields, const struct conf_peer *from, const struct conf_peer *to)
{
        char text[ENDPOINT_HOST_TEXT];

        if (!to->endpoint_host) return; /* it stays where it is */
        if (from && to->endpoint.family && same_address(&from->endpoint, &to->endpoint)) return;
        if (from && !to->endpoint.family && from->endpoint_host && !strcmp(from->endpoint_host, to->endpoint_host) &&
            from->endpoint_port == to->endpoint_port)
                return;
        fprintf(fields, " endpoint %s", endpoint_text(to, text));
}

static void add_keepalive(FILE *fields, const struct conf_peer *from, const struct conf_peer *to)
{
        uint16_t before = from ? from->keepalive : 0;

        if (to->keepalive == before) return;
        if (to->keepalive) fprintf(fields, " persistent-keepalive %u", to->keepalive);
        else fputs(" persistent-keepalive off", fields);
}

static void comment(struct changes *changes, const struct conf_peer *peer, const char *what, const char *value)
{
        char label[KEY_BASE64_LEN];

        fprintf(changes->out, "# peer %s: %s%s\n", peer_label(peer, label), what, value);
        changes->lines++;
}

/* What `wg` has no word for, and a key that is not to be shown. */
static void add_comments(struct changes *changes, const struct conf_peer *from, const struct conf_peer *to)
{
        static const struct conf_peer blank;
        const struct key none = { 0 };
        const char *name = to->name ? to->name : "";

        if (!from) from = &blank;
        if (sodium_memcmp(&from->preshared_key, &to->preshared_key, sizeof none))
                comment(changes, to, "preshared key: ",
                        !sodium_memcmp(&to->preshared_key, &none, sizeof none)     ? "none any more"
                        : !sodium_memcmp(&from->preshared_key, &none, sizeof none) ? "one from now on (of the file)"
                                                                                   : "another (of the file)");
        if (from != &blank && strcmp(from->name ? from->name : "", name)) comment(changes, to, "Name = ", name);
        if (from->upgrade_off != to->upgrade_off) comment(changes, to, "Upgrade = ", upgrade_format(to->upgrade_off));
        if (from->post_quantum != to->post_quantum)
                comment(changes, to, "PostQuantum = ", post_quantum_format(to->post_quantum));
}

static bool change_peer(struct changes *changes, const struct conf_peer *from, const struct conf_peer *to,
                        struct pool *pool)
{
        char key[KEY_BASE64_LEN], *fields = NULL;
        size_t size;
        FILE *text = open_memstream(&fields, &size);

        if (!text) return false;
        add_endpoint(text, from, to);
        add_keepalive(text, from, to);
        bool ok = add_allowed_ips(changes, text, from, to, pool);
        fclose(text);
        if (ok && (*fields || !from)) {
                key_to_base64(key, &to->public_key);
                fprintf(changes->out, "wg set %s peer %s%s", changes->link, key, fields);
                fprintf(changes->out, to->name ? " # %s\n" : "\n", to->name);
                changes->lines++;
        }
        free(fields);
        if (ok) add_comments(changes, from, to);
        return ok;
}

/* Before any that is added: a prefix moves from one that is there to one that comes, and is not to be taken again. */
static void remove_peers(struct changes *changes, const struct conf *from, const struct conf *to)
{
        char key[KEY_BASE64_LEN];

        for (const struct conf_peer *peer = from->peers; peer; peer = peer->next) {
                if (conf_peer_find(to, &peer->public_key)) continue;
                key_to_base64(key, &peer->public_key);
                fprintf(changes->out, "wg set %s peer %s remove", changes->link, key);
                fprintf(changes->out, peer->name ? " # %s\n" : "\n", peer->name);
                changes->lines++;
        }
}

/* ---- the interface -------------------------------------------------------------------------------------------------
 */

static void change_interface(struct changes *changes, const struct conf *from, const struct conf *to)
{
        struct key before = { 0 }, after;
        char key[KEY_BASE64_LEN];

        if ((to->flags & CONF_HAS_LISTEN_PORT) && to->listen_port && to->listen_port != from->listen_port) {
                fprintf(changes->out, "wg set %s listen-port %u\n", changes->link, to->listen_port);
                changes->lines++;
        }
        bool had = conf_public_key(from, &before);
        if (conf_public_key(to, &after) && (!had || memcmp(&before, &after, sizeof before))) {
                key_to_base64(key, &after);
                fprintf(changes->out, "# the private key: that of the file, whose public key is %s\n", key);
                changes->lines++;
        }
        if (to->workers != from->workers) {
                if (to->workers) fprintf(changes->out, "# Workers = %u\n", to->workers);
                else fputs("# Workers = auto\n", changes->out);
                changes->lines++;
        }
}

int changes_print(FILE *out, const char *name, const struct conf *from, const struct conf *to, struct pool *pool)
{
        struct changes changes = { .out = out, .link = name };
        struct key self;
        bool known = conf_public_key(to, &self);

        if (!conf_overlaps(to, pool, &changes.overlaps)) return -1;
        change_interface(&changes, from, to);
        remove_peers(&changes, from, to);
        for (const struct conf_peer *peer = to->peers; peer; peer = peer->next) {
                if (known && !memcmp(&self, &peer->public_key, sizeof self)) continue; /* never a peer of itself */
                if (!change_peer(&changes, conf_peer_find(from, &peer->public_key), peer, pool)) return -1;
        }
        return changes.lines;
}
