/* The inside of conf_parse(): parse.c goes through lines and sections, keys.c is the table of what may stand in them,
 * unknown.c answers what may not.
 * Not for other rooms. Pure. */
#ifndef DAEMON_CONF_PARSE_H
#define DAEMON_CONF_PARSE_H

#include "daemon/conf/text.h"

enum section { SECTION_NONE, SECTION_INTERFACE, SECTION_PEER };

/* A file with a key that tunnel.conf names: conf_load() reads it. */
struct key_file {
        struct key_file *next;
        const char *name; /* "PrivateKeyFile" */
        unsigned line, column;
        const char **path; /* in the conf; NULL again when it is read */
        struct key *into;
        unsigned *flags, flag; /* to be set then */
};

struct peer_place { /* where a peer stood */
        struct peer_place *next;
        struct conf_peer *peer;
        unsigned line, key_line, name_line; /* 0: not there */
        unsigned policy_line;               /* the last of Upgrade and PostQuantum */
};

struct parser {
        struct conf *conf;
        struct pool *pool;
        struct conf_error *error;

        enum section section;
        unsigned line, interface_line, mtu_line, gateway_line;
        const char *line_start;
        struct peer_place *places, **places_end, *place; /* place: of the present [Peer] */
        size_t peer_count, name_count;

        const char *key; /* of the present line, as the table spells it */
        struct conf_prefix **addresses_end, **excluded_end, **forwards_end;
        struct conf_line **dns_end, **pre_up_end, **post_up_end, **pre_down_end, **post_down_end;
        struct key_file **files_end, *last_file;
};

/* Sets the error, at a place in the present line, and is false. */
bool parse_fail(struct parser *parser, const char *at, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* "Key: 'value': why" */
bool parse_fail_value(struct parser *parser, struct span value, const char *why);
bool parse_fail_full(struct parser *parser);

/* What may stand in a section; ends with name NULL. `set` has the trimmed value. */
struct key_row {
        enum section section;
        const char *name;
        bool (*set)(struct parser *parser, struct span value);
};
extern const struct key_row key_rows[];

/* One "Key = value" line of the present section; both are trimmed. */
bool keys_set(struct parser *parser, struct span key, struct span value);
/* Says why a key that is not in the table of this section is refused, and is false. */
bool key_unknown(struct parser *parser, struct span key, struct span value);

/* conf_parse(), and what files it names. */
bool conf_parse_files(struct conf *out, struct pool *pool, const char *text, size_t len, struct key_file **files,
                      struct conf_error *error);

#endif
