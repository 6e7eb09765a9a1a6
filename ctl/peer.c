/* The peers of a running link: peer add, set, remove. */
#include "ctl/client.h"
#include "ctl/command.h"
#include "ctl/live.h"

#include <sodium.h>
#include <string.h>

struct change {
        const char *peer; /* as the user named it */
        bool add;
        struct conf_peer wanted; /* what the options say; flags: which of them were given */
};

/* ---- options ------------------------------------------------------------------------------------------------------
 */

static int parse_name(struct conf_peer *wanted, const char *value)
{
        const char *why;

        wanted->flags |= PEER_HAS_NAME;
        if (!*value) return STATUS_OK;
        if (!peer_name_valid(value, strlen(value), &why)) return complain(STATUS_USAGE, "--name: '%s': %s", value, why);
        wanted->name = value;
        return STATUS_OK;
}

static int parse_endpoint(struct conf_peer *wanted, struct pool *pool, const char *value)
{
        const char *why = "";

        if (endpoint_parse(&wanted->endpoint_host, &wanted->endpoint_port, &wanted->endpoint, pool, value,
                           strlen(value), &why))
                return STATUS_OK;
        return complain(STATUS_USAGE, "--endpoint: '%s': %s", value, why);
}

static int parse_allowed_ips(struct conf_peer *wanted, struct pool *pool, const char *value)
{
        const char *why = "";

        wanted->flags |= PEER_REPLACE_ALLOWED_IPS;
        while (*value) {
                size_t len = strcspn(value, ",");
                struct prefix prefix;

                if (!prefix_parse(&prefix, value, len, &why))
                        return complain(STATUS_USAGE, "--allowed-ips: '%.*s': %s", (int)len, value, why);
                prefix_mask(&prefix);
                if (!conf_allowed_ip_append(wanted, pool, &prefix)) return complain_memory();
                value += len;
                if (*value == ',') value++;
        }
        return STATUS_OK;
}

static int parse_keepalive(struct conf_peer *wanted, const char *value)
{
        const char *why;

        wanted->flags |= PEER_HAS_KEEPALIVE;
        if (keepalive_parse(&wanted->keepalive, value, strlen(value), &why)) return STATUS_OK;
        return complain(STATUS_USAGE, "--keepalive: '%s': %s", value, why);
}

static int parse_preshared_key(struct conf_peer *wanted, const char *path)
{
        wanted->flags |= PEER_HAS_PRESHARED_KEY;
        return strcmp(path, "none") ? key_read(&wanted->preshared_key, path) : STATUS_OK;
}

static int parse_upgrade(struct conf_peer *wanted, const char *value)
{
        const char *why;

        wanted->flags |= PEER_HAS_UPGRADE;
        if (upgrade_parse(&wanted->upgrade_off, value, strlen(value), &why)) return STATUS_OK;
        return complain(STATUS_USAGE, "--upgrade: '%s': %s", value, why);
}

static int parse_post_quantum(struct conf_peer *wanted, const char *value)
{
        const char *why;

        wanted->flags |= PEER_HAS_POST_QUANTUM;
        if (post_quantum_parse(&wanted->post_quantum, value, strlen(value), &why)) return STATUS_OK;
        return complain(STATUS_USAGE, "--post-quantum: '%s': %s", value, why);
}

static int parse_options(const struct command *self, struct conf_peer *wanted, struct pool *pool, int *argc,
                         char ***argv)
{
        const char *name = NULL, *endpoint = NULL, *allowed_ips = NULL, *keepalive = NULL, *preshared_key = NULL;
        const char *upgrade = NULL, *post_quantum = NULL;
        const struct option_row rows[] = {
                { "name", &name, NULL },
                { "endpoint", &endpoint, NULL },
                { "allowed-ips", &allowed_ips, NULL },
                { "keepalive", &keepalive, NULL },
                { "preshared-key", &preshared_key, NULL },
                { "upgrade", &upgrade, NULL },
                { "post-quantum", &post_quantum, NULL },
                { 0 },
        };
        int status = options_parse(self, rows, 2, 2, argc, argv);

        if (status != OPTIONS_PROCEED) return status;
        status = link_name_check((*argv)[0]);
        if (!status && name) status = parse_name(wanted, name);
        if (!status && endpoint) status = parse_endpoint(wanted, pool, endpoint);
        if (!status && allowed_ips) status = parse_allowed_ips(wanted, pool, allowed_ips);
        if (!status && keepalive) status = parse_keepalive(wanted, keepalive);
        if (!status && preshared_key) status = parse_preshared_key(wanted, preshared_key);
        if (!status && upgrade) status = parse_upgrade(wanted, upgrade);
        if (!status && post_quantum) status = parse_post_quantum(wanted, post_quantum);
        return status ? status : OPTIONS_PROCEED;
}

/* ---- the edit -----------------------------------------------------------------------------------------------------
 */

static int apply_wanted(struct edit *edit, struct conf_peer *peer, struct conf_peer *set,
                        const struct conf_peer *wanted)
{
        struct conf_peer *other = wanted->name ? conf_peer_by_name(&edit->live.conf, wanted->name) : NULL;
        int status = STATUS_OK;

        if (other && other != peer)
                return complain(STATUS_FAILED, "%s: another peer has the name %s; a name is given once",
                                edit->live.name, wanted->name);
        set->flags |= wanted->flags;
        set->name = wanted->name;
        set->keepalive = wanted->keepalive;
        set->preshared_key = wanted->preshared_key;
        set->endpoint = wanted->endpoint;
        set->upgrade_off = wanted->upgrade_off;
        set->post_quantum = wanted->post_quantum;
        if (wanted->flags & PEER_HAS_NAME) peer->name = wanted->name;
        if (wanted->endpoint_host) {
                peer->endpoint_host = wanted->endpoint_host;
                peer->endpoint_port = wanted->endpoint_port;
        }
        if (wanted->flags & PEER_REPLACE_ALLOWED_IPS) peer->allowed_ips = NULL;
        for (const struct conf_prefix *item = wanted->allowed_ips; item && !status; item = item->next)
                status = edit_allowed_ip_add(edit, peer, set, &item->prefix);
        return status;
}

static int add(struct edit *edit, const struct change *change)
{
        const char *name = edit->live.name;
        struct conf_peer *peer, *set;
        struct key key;

        if (!key_from_base64(&key, change->peer, strlen(change->peer)))
                return complain(STATUS_USAGE,
                                "peer add: '%s' is not a public key: 44 characters of base64, as adit pubkey prints",
                                change->peer);
        if (conf_peer_find(&edit->live.conf, &key))
                return complain(STATUS_FAILED, "%s: this peer is there already; to change it: adit peer set %s %s ...",
                                name, name, change->peer);
        if (key_equal(&key, &edit->live.conf.public_key))
                return complain(STATUS_FAILED, "%s: this is the link's own public key; a peer has another", name);
        peer = conf_peer_append(&edit->live.conf, edit->pool);
        if (!peer) return complain_memory();
        peer->public_key = key;
        set = edit_peer(edit, peer);
        if (!set) return STATUS_FAILED;
        set->flags = PEER_REPLACE_ALLOWED_IPS;
        return apply_wanted(edit, peer, set, &change->wanted);
}

static int add_or_set(struct edit *edit, void *arg)
{
        const struct change *change = arg;
        struct conf_peer *peer, *set;

        if (change->add) return add(edit, change);
        peer = live_peer(&edit->live, change->peer);
        set = peer ? edit_peer(edit, peer) : NULL;
        return set ? apply_wanted(edit, peer, set, &change->wanted) : STATUS_FAILED;
}

int command_peer_add(const struct command *self, int argc, char **argv, struct pool *pool)
{
        struct change change = { .add = true };
        int status = parse_options(self, &change.wanted, pool, &argc, &argv);

        if (status == OPTIONS_PROCEED) {
                change.peer = argv[1];
                status = live_edit(argv[0], pool, add_or_set, &change);
        }
        sodium_memzero(&change, sizeof change);
        return status;
}

int command_peer_set(const struct command *self, int argc, char **argv, struct pool *pool)
{
        struct change change = { 0 };
        int status = parse_options(self, &change.wanted, pool, &argc, &argv);

        if (status == OPTIONS_PROCEED && !change.wanted.flags && !change.wanted.endpoint_host)
                status = complain(STATUS_USAGE, "peer set: nothing to set; its options: adit peer set --help");
        if (status == OPTIONS_PROCEED) {
                change.peer = argv[1];
                status = live_edit(argv[0], pool, add_or_set, &change);
        }
        sodium_memzero(&change, sizeof change);
        return status;
}

static int remove_peer(struct edit *edit, void *arg)
{
        struct conf_peer *peer = live_peer(&edit->live, arg), *set = peer ? edit_peer(edit, peer) : NULL;

        if (!set) return STATUS_FAILED;
        set->flags = PEER_REMOVE;
        live_peer_remove(&edit->live, peer);
        return STATUS_OK;
}

int command_peer_remove(const struct command *self, int argc, char **argv, struct pool *pool)
{
        int status = options_parse(self, NULL, 2, 2, &argc, &argv);

        if (status != OPTIONS_PROCEED) return status;
        status = link_name_check(argv[0]);
        return status ? status : live_edit(argv[0], pool, remove_peer, argv[1]);
}
