/* WireGuard's UAPI text ("key=value" lines), both directions. Pure.
 * Dialect UAPI_STRICT is what `wg` speaks on /var/run/wireguard/NAME.sock; UAPI_ADIT is what adit and aditd speak with
 * each other and adds the keys `workers=` (device), `name=`, `upgrade=auto|off` and `post_quantum=auto|require|off`
 * (peer), and in a get `link_mtu=`, `workers_at_work=`, `drop_NAME=`, `session=`, `handshake_attempts=`,
 * `upgrade_state=`, `upgrade_reason=`, `adit=1`, `cipher=`, `cipher_implementation=`, `kem=`, `kem_implementation=`. */
#ifndef DAEMON_CONF_UAPI_H
#define DAEMON_CONF_UAPI_H

#include "daemon/conf/conf.h"

enum uapi_dialect { UAPI_STRICT, UAPI_ADIT };

/* error.line counts from 1 at the first line given. No value is quoted but by the caller: it may be a secret.
 * Endpoints are literal addresses; a scope is a number (the tunnel process cannot look up an interface's name).
 *
 * The lines after "set=1", up to the empty line or the end. Whole or not at all: false, *error says which line and why.
 * Any unknown or malformed line is an error. A peer named twice is two entries, applied in order. */
bool uapi_parse_set(struct conf *out, struct pool *pool, enum uapi_dialect dialect, const char *text, size_t len,
                    struct conf_error *error);

/* A get answer in the ADIT dialect, as adit reads it; unknown keys are ignored. `errno=` lines are not part of it.
 * Without secrets, PEER_HAS_PRESHARED_KEY says that there is one, and conf.public_key is known all the same. Not fit to
 * be formatted as a set then. */
bool uapi_parse_get(struct conf *out, struct pool *pool, const char *text, size_t len, struct conf_error *error);

/* Writes a conf as the lines of a set ("set=1" and the final empty line not among them): what its flags say is set.
 * With CONF_REPLACE_PEERS the peers are replaced by these. Only literal endpoints are written: names are the keeper's.
 */
void uapi_format_set(const struct conf *conf, struct writer *out);

/* Writes the device's, then each peer's lines of a get answer; the caller goes through the peers. secrets = false
 * leaves the private and preshared keys out, writing `own_public_key=` and `has_preshared_key=true` in their place
 * (ADIT dialect). */
void uapi_format_device(const struct conf *device, enum uapi_dialect dialect, bool secrets, struct writer *out);
void uapi_format_peer(const struct conf_peer *peer, enum uapi_dialect dialect, bool secrets, struct writer *out);

#endif
