/* A running link as adit sees it: one struct conf with what the tunnel process says (keys, ports, peers, status) and
 * what the keeper says (addresses, ExcludedIPs, DNS, kill switch, gateway, MTU, Table, endpoints by name), and the way
 * to change it: both halves in one CONTROL_APPLY, made from one generation, so that an edit never undoes another's.
 * Every function says what went wrong and returns a status of command.h. */
#ifndef CTL_LIVE_H
#define CTL_LIVE_H

#include "daemon/conf/conf.h"
#include "daemon/conf/control.h"

struct live {
        char name[IFNAMSIZ];
        char path[CONTROL_TEXT]; /* of its config file; "": it was started without one */
        uint64_t generation;
        struct conf
                conf; /* endpoint_host and _port: as configured; endpoint: where the peer is now; fwmark: the user's */
        struct host_state host;
};

int live_read(struct live *out, struct pool *pool, const char *name, bool secrets);
/* The same, if it is up: STATUS_NO_LINK without a word when it is not. */
int live_read_quietly(struct live *out, struct pool *pool, const char *name);
/* Of its config file only; "": it was started without one, or cannot say. */
int live_path(char out[CONTROL_TEXT], const char *name);

/* Sends records and text. *again is set, and nothing said, when the generation is not that of the link any more. */
int live_apply(const char *name, uint64_t generation, const struct host_state *host, const struct conf *set,
               bool *again);

/* An edit of a running link. */
struct edit {
        struct live live; /* the edit makes live.conf what the link should be, by the functions below or by hand, */
        struct conf set;  /* and puts the same change here, for the tunnel process. */
        struct conf_peer
                routes; /* its allowed_ips: prefixes to route also where the link's routes are not of its config */
        struct pool *pool;
        bool retry; /* what is to be said was said the first time */
};
typedef int (*edit_function)(struct edit *edit, void *arg);

/* Reads the link, lets `change` edit it, works out the host's routes and applies; again, from a new reading, when
 * somebody else changed the link meanwhile. `change` returns a status; anything but STATUS_OK ends it with nothing
 * changed. */
int live_edit(const char *name, struct pool *pool, edit_function change, void *arg);

/* The peer of this public key or Name; NULL, with the reason printed. */
struct conf_peer *live_peer(const struct live *live, const char *peer);
/* The same without a word. */
struct conf_peer *live_peer_find(const struct live *live, const char *peer);
/* "berlin", or the public key of one without a Name. */
const char *peer_label(const struct conf_peer *peer, char text[KEY_BASE64_LEN]);
/* "host:port", "[2001:db8::1]:port" as configured: endpoint_host must be there. */
enum { ENDPOINT_HOST_TEXT = HOST_NAME_MAX_LEN + 16 };
const char *endpoint_text(const struct conf_peer *peer, char text[ENDPOINT_HOST_TEXT]);

/* For the edit functions. */
struct conf_prefix *live_allowed_ip(const struct live *live, const struct prefix *prefix, struct conf_peer **owner);
void live_allowed_ip_remove(struct conf_peer *peer, struct conf_prefix *item);
void live_peer_remove(struct live *live, struct conf_peer *peer);
/* Adds the peer to edit->set, as one that must be there already. NULL: the pool is full, said so. */
struct conf_peer *edit_peer(struct edit *edit, const struct conf_peer *peer);
/* Gives the prefix to `peer` in both confs; it moves, with a word, from the peer that had it. */
int edit_allowed_ip_add(struct edit *edit, struct conf_peer *peer, struct conf_peer *set_peer,
                        const struct prefix *prefix);

#endif
