/* One plain struct for a link's configuration and status. tunnel.conf and UAPI text are read into it and written from
 * it: conf_parse() and conf_format() (tunnel.conf), uapi_*() (uapi.h), record_*() (records.h). Pure, but for load.c.
 * All memory is from the caller's pool: a struct conf lives as long as its pool. */
#ifndef DAEMON_CONF_CONF_H
#define DAEMON_CONF_CONF_H

#include "crypto/key.h"
#include "daemon/conf/pool.h"
#include "kernel-iface/types.h"

#include <net/if.h>

struct conf_prefix {
        struct conf_prefix *next;
        struct prefix prefix;
        bool remove; /* UAPI: allowed_ip=-CIDR */
};

struct conf_line { /* a text of the config kept as it is: DNS, PreUp, ... */
        struct conf_line *next;
        const char *text;
};

enum conf_peer_flags {
        PEER_REMOVE = 1 << 0,
        PEER_UPDATE_ONLY = 1 << 1,
        PEER_REPLACE_ALLOWED_IPS = 1 << 2,
        PEER_HAS_PRESHARED_KEY = 1 << 3, /* set; all zero removes it */
        PEER_HAS_KEEPALIVE = 1 << 4,
        PEER_HAS_NAME = 1 << 5,
        PEER_HAS_UPGRADE = 1 << 6,
        PEER_HAS_POST_QUANTUM = 1 << 7,
};

/* Has a session's key an ML-KEM secret in it where both sides can, always, or never? */
enum conf_post_quantum { CONF_POST_QUANTUM_AUTO, CONF_POST_QUANTUM_REQUIRE, CONF_POST_QUANTUM_OFF };

struct conf_peer {
        struct conf_peer *next;
        unsigned flags;
        struct key public_key;
        struct key preshared_key;
        const char *preshared_key_file; /* NULL, or still to be read by conf_load() */
        const char *name;               /* NULL: none */
        const char *endpoint_host;      /* NULL: none configured; a name or a literal address */
        uint16_t endpoint_port;
        union socket_address endpoint; /* resolved, or literal; AF_UNSPEC: unknown yet */
        uint16_t keepalive;            /* seconds; 0: off */
        bool upgrade_off;              /* nothing but WireGuard */
        uint8_t post_quantum;          /* enum conf_post_quantum */
        struct conf_prefix *allowed_ips, **allowed_ips_end;

        /* status, in a UAPI get */
        uint64_t last_handshake_sec, last_handshake_nsec; /* since the epoch; 0: never */
        uint64_t rx_bytes, tx_bytes;
        bool session;
        unsigned handshake_attempts;
        const char *upgrade_state, *upgrade_reason; /* a word, and a sentence of why it is so; NULL: not told */
        bool adit;                                  /* it has shown that it is one */
        const char *cipher, *cipher_implementation; /* of the session that packets go out with; NULL: none does */
        const char *kem, *kem_implementation;       /* of what is in that session's keys; NULL: none */
};

enum conf_flags {
        CONF_HAS_PRIVATE_KEY = 1 << 0, /* set; all zero removes it */
        CONF_HAS_LISTEN_PORT = 1 << 1,
        CONF_HAS_FWMARK = 1 << 2,
        CONF_REPLACE_PEERS = 1 << 3,
        CONF_SAVE_CONFIG = 1 << 4,
        CONF_HAS_WORKERS = 1 << 5,
};

/* Threads that move packets. 0: as many as the machine is best served with. */
enum { WORKERS_AUTO = 0, WORKERS_MAX = 16 };

struct conf_drop { /* status: a drop counter */
        struct conf_drop *next;
        const char *name;
        uint64_t count;
};

struct conf {
        unsigned flags;
        struct key private_key;
        const char *private_key_file;
        uint16_t listen_port;
        uint32_t fwmark;
        uint16_t workers;
        struct conf_peer *peers, **peers_end;

        /* of tunnel.conf only: host state */
        struct conf_prefix *addresses; /* host bits kept */
        struct conf_prefix *excluded;  /* what keeps the way it has without the link */
        uint32_t mtu;                  /* 0: automatic */
        int64_t table;                 /* TABLE_AUTO, TABLE_OFF or a number */
        struct conf_line *dns, *pre_up, *post_up, *pre_down, *post_down;
        bool kill_switch, masquerade;
        enum host_forward forward;
        struct conf_prefix *forwards; /* FORWARD_NETWORKS */

        /* status, in a UAPI get */
        struct key public_key; /* the private key's; zero without one */
        struct conf_drop *drops;
        uint32_t link_mtu;        /* status: of the interface now; 0: not known */
        uint16_t workers_at_work; /* status; 0: not known */
};

/* What is wrong with a text, for a person. line and column count from 1; 0: not known. */
struct conf_error {
        unsigned line, column;
        char text[256]; /* "AllowedIPs: '10.0.0.0/33': a prefix of an IPv4 address is 0 to 32 bits" */
        bool denied;    /* the system refused to open a file */
};

/* Room for what any text of `len` bytes becomes, its host state included. */
static inline size_t conf_pool_size(size_t len)
{
        return 4096 + 32 * len;
}

/* Parses tunnel.conf: wg-quick's format and Adit's keys (PrivateKeyFile, PresharedKeyFile, ExcludedIPs, KillSwitch,
 * Masquerade, Forward, Name, Upgrade, PostQuantum, Workers). Key names and section names without regard to case, '#'
 * comments, lists by comma, a repeated list appends (DNS: a line for each element). False: *error says why, and *out is
 * not to be used. Refused are: unknown keys and sections, a peer without PublicKey or twice, a Name twice, a
 * policy_conflict(), no [Interface] or two, values out of range, Masquerade with Forward = no. A key given again
 * replaces what it said before. *out has CONF_REPLACE_PEERS, and each peer PEER_REPLACE_ALLOWED_IPS, as a whole
 * configuration does. Errors quote no keys.
 */
bool conf_parse(struct conf *out, struct pool *pool, const char *text, size_t len, struct conf_error *error);

/* Appends text to a buffer; `used` goes on counting when it is full, so a first pass with size 0 measures. The text
 * ends in a NUL, which `size` has room for and `used` does not count. */
struct writer {
        char *text;
        size_t size, used;
};
void writer_print(struct writer *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The reverse of conf_parse(): a tunnel.conf. */
void conf_format(const struct conf *conf, struct writer *out);

/* Fills host_state from a tunnel.conf: managed, addresses, routes (every allowed IP, none twice), what is excluded of
 * them (none twice; who applies them takes it out), endpoints, fwmark, DNS (its texts are the conf's), kill switch and
 * gateway. A kill switch needs a mark, and so does a default route if Table is
 * automatic; when none is configured, mark_chosen is set and fwmark left 0, for the keeper to choose. A peer with the
 * link's own public key, where that is known, adds nothing. With Table=off the routes are listed, too: who applies them
 * looks at `table`. False: the pool is full. */
bool conf_host_state(const struct conf *conf, struct host_state *out, struct pool *pool);

/* Makes a conf that was read from a file stand for the whole link: applied to a live one (UAPI_ADIT), peers and fields
 * that it does not name go back to their defaults; the sessions of the peers that stay live on. Port and private key
 * stay if not named. */
void conf_make_complete(struct conf *conf);

/* What the file asks for and is read but not carried out, one sentence a call: *cursor starts as 0; NULL: no more. */
const char *conf_remark(const struct conf *conf, unsigned *cursor);

/* ---- overlap.c: prefixes of more than one peer ---------------------------------------------------------------------
 */

struct conf_overlap {
        struct prefix prefix, wider;          /* twice: the same */
        const struct conf_peer *peer, *other; /* twice: the later one in the file, which has it, as in WireGuard */
};
struct conf_overlaps {
        struct conf_overlap *twice; /* a mistake: a prefix that `peer` has lost to `other` */
        size_t twice_count;
        struct conf_overlap inside; /* as it should be: of `peer`, inside a wider one of `other`; the first of them */
        size_t inside_count;
};
enum { OVERLAP_TEXT = 320, OVERLAPS_TOLD = 8 /* one by one; then how many there are */ };

/* By sorting. False: the pool is full. */
bool conf_overlaps(const struct conf *conf, struct pool *pool, struct conf_overlaps *out);
/* One sentence a call: *cursor starts as 0; NULL: no more. */
const char *conf_overlap_warning(const struct conf_overlaps *overlaps, size_t *cursor, char text[OVERLAP_TEXT]);
/* NULL: nothing lies inside another's. */
const char *conf_overlap_note(const struct conf_overlaps *overlaps, char text[OVERLAP_TEXT]);

/* ---- conf.c --------------------------------------------------------------------------------------------------------
 */

/* The link's own: the private key's, or what a status tells. False: not known. */
bool conf_public_key(const struct conf *conf, struct key *out);
struct conf_peer *conf_peer_find(const struct conf *conf, const struct key *public_key);
struct conf_peer *conf_peer_by_name(const struct conf *conf, const char *name);
struct conf_peer *conf_peer_append(struct conf *conf, struct pool *pool); /* NULL: the pool is full */
struct conf_prefix *conf_allowed_ip_append(struct conf_peer *peer, struct pool *pool, const struct prefix *prefix);

/* ---- address.c: text of addresses, used by all of aditd and adit --------------------------------------------------
 */

enum { ADDRESS_TEXT = 64, ENDPOINT_TEXT = 80 };

/* What wg-quick allows: 1 to 15 letters, digits or _=+.-, but not "." and "..". */
bool interface_name_valid(const char *name, size_t len);

/* "10.0.0.1/24", "fd00::1" (then the whole length). False: *why is a short reason that says what is allowed. */
bool prefix_parse(struct prefix *out, const char *text, size_t len, const char **why);
void prefix_mask(struct prefix *prefix); /* zeroes the host bits */
bool prefix_equal(const struct prefix *a, const struct prefix *b);
/* Host bits must be zero. */
bool prefix_contains(const struct prefix *wide, const struct prefix *narrow);
const char *prefix_format(const struct prefix *prefix, char out[ADDRESS_TEXT]);

/* "192.0.2.1:51820", "[2001:db8::1]:51820", "host.example:51820", "[fe80::1%2]:51820". Splits into host (without
 * brackets; from the pool) and port; *out is set if the host is a literal address, and AF_UNSPEC for a name or a scope
 * that is an interface's name, which getaddrinfo() understands. An IPv4-mapped address becomes IPv4. */
bool endpoint_parse(const char **host, uint16_t *port, union socket_address *out, struct pool *pool, const char *text,
                    size_t len, const char **why);
const char *endpoint_format(const union socket_address *address, char out[ENDPOINT_TEXT]); /* "(none)" when unknown */

/* ---- text.c: values of tunnel.conf that are options of adit, too ---------------------------------------------------
 */

/* 1 to PEER_NAME_MAX printable ASCII characters without blanks; '#' begins a comment in tunnel.conf, so it is refused.
 */
bool peer_name_valid(const char *name, size_t len, const char **why);
/* Seconds, or "off", which is 0. */
bool keepalive_parse(uint16_t *out, const char *text, size_t len, const char **why);
/* "auto" or "off"; "auto", "require" or "off". */
bool upgrade_parse(bool *off, const char *text, size_t len, const char **why);
const char *upgrade_format(bool off);
bool post_quantum_parse(uint8_t *out, const char *text, size_t len, const char **why);
const char *post_quantum_format(uint8_t post_quantum);
/* NULL, or why a peer cannot have the two together, and what to do. */
const char *policy_conflict(bool upgrade_off, uint8_t post_quantum);

const char *dns_means_format(enum host_dns_means means); /* "systemd-resolved"; "" for nobody */

/* ---- load.c: the one part of this room that reads files ------------------------------------------------------------
 */

enum { CONF_PATH_MAX = 512, CONF_TEXT_MAX = 64 << 20 };

/* A path as it is if it has a '/' or ends in ".conf"; else NAME is looked up as /etc/adit/NAME.conf, then
 * /etc/wireguard/NAME.conf. `name` gets the interface's name: the file's without ".conf". */
bool conf_is_path(const char *name_or_path);
bool conf_find(const char *name_or_path, char path[CONF_PATH_MAX], char name[IFNAMSIZ], struct conf_error *error);
/* The interface's name of NAME or of a file, which need not be there. */
bool conf_link_name(const char *name_or_path, char name[IFNAMSIZ], struct conf_error *error);
/* From the root, and with its symbolic links as they are: one that is switched later is followed by who opens it then.
 */
bool conf_absolute(const char *path, char out[CONF_PATH_MAX], struct conf_error *error);

/* Reads, parses, and reads the key files it names (relative to its folder). A file that holds a key and that group or
 * others can read, or that is not a regular file, is refused; the error has the chmod that mends it. Wipes its buffer.
 * Afterwards private_key_file and preshared_key_file are NULL: conf_parse() keeps them. Call sodium_init() before. */
bool conf_load(struct conf *out, struct pool *pool, const char *path, struct conf_error *error);
/* The same, but key files stay unread and as paths in *out, and whoever may read the file. */
bool conf_load_keyless(struct conf *out, struct pool *pool, const char *path, struct conf_error *error);

/* One key in base64, and nothing but blanks after it, as wg reads one; from a regular file that only its owner can
 * read, or from whatever is open already (a pipe). */
bool key_load(struct key *out, const char *path, struct conf_error *error);
bool key_load_open(struct key *out, int fd, struct conf_error *error);

/* "path:line:column: text", as a person sees it. */
void conf_error_format(const struct conf_error *error, const char *path, char *out, size_t size);

#endif
