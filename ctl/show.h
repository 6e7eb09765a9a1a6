/* What `show`, `peer list` and `route list` print: for a person (show.c) and for a program (show_json.c). */
#ifndef CTL_SHOW_H
#define CTL_SHOW_H

#include "ctl/live.h"

#include <jansson.h>

enum peer_state { PEER_UP, PEER_PENDING, PEER_UNRESOLVED, PEER_NO_ENDPOINT, PEER_IDLE };
enum peer_state peer_state(const struct conf_peer *peer);

/* New objects, the caller's; NULL: no memory. Their schema is in the help of `adit show`
 * and `adit route list`. */
json_t *show_json_link(const struct live *live);
json_t *show_json_peers(const struct live *live);
json_t *show_json_route(const struct conf_peer *peer, const struct prefix *prefix, bool routed);
/* Prints {"key": value} and takes the reference. A status. */
int show_json_print(const char *key, json_t *value);

#endif
