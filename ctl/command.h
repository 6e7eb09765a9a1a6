/* adit is a table of subcommands (main.c). Each parses its options by a table, does one thing, says on stderr what went
 * wrong and what to do, and returns a status that scripts can use. */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

#include "daemon/conf/conf.h"

#include <stdbool.h>

enum status {
        STATUS_OK = 0,
        STATUS_FAILED = 1, /* refused, or failed */
        STATUS_USAGE = 2,
        STATUS_NO_LINK = 3,  /* no link of this name is up */
        STATUS_DENIED = 4,   /* needs root, or the group adit */
        STATUS_MISTAKE = 78, /* of `up --foreground`: in the file; EX_CONFIG, which tells not to try again */
};

struct command {
        const char *words;     /* "peer add" */
        const char *arguments; /* "NAME PEER [OPTION]..." */
        const char *summary;   /* one line of `adit help` */
        const char *help;      /* what it does, its options, examples; its exit status, if that is not all others' */
        /* argv[0] is the last word of the command. What is in the pool is wiped when it returns. */
        int (*run)(const struct command *self, int argc, char **argv, struct pool *pool);
};

extern const struct command commands[]; /* commands.c; ends with words NULL */

int command_genkey(const struct command *self, int argc, char **argv, struct pool *pool); /* key.c */
int command_pubkey(const struct command *self, int argc, char **argv, struct pool *pool);
int command_genpsk(const struct command *self, int argc, char **argv, struct pool *pool);
int command_key_set(const struct command *self, int argc, char **argv, struct pool *pool);
int command_up(const struct command *self, int argc, char **argv, struct pool *pool); /* link.c */
int command_down(const struct command *self, int argc, char **argv, struct pool *pool);
int command_reload(const struct command *self, int argc, char **argv, struct pool *pool);
int command_repair(const struct command *self, int argc, char **argv, struct pool *pool);
int command_diff(const struct command *self, int argc, char **argv, struct pool *pool); /* diff.c */
int command_check(const struct command *self, int argc, char **argv, struct pool *pool);
int command_show(const struct command *self, int argc, char **argv, struct pool *pool); /* show.c */
int command_peer_list(const struct command *self, int argc, char **argv, struct pool *pool);
int command_peer_add(const struct command *self, int argc, char **argv, struct pool *pool); /* peer.c */
int command_peer_set(const struct command *self, int argc, char **argv, struct pool *pool);
int command_peer_remove(const struct command *self, int argc, char **argv, struct pool *pool);
int command_route_add(const struct command *self, int argc, char **argv, struct pool *pool); /* route.c */
int command_route_del(const struct command *self, int argc, char **argv, struct pool *pool);
int command_route_list(const struct command *self, int argc, char **argv, struct pool *pool);
int command_save(const struct command *self, int argc, char **argv, struct pool *pool); /* save.c */

/* ---- options.c -----------------------------------------------------------------------------------------------------
 */

/* Prints "adit: ..." and returns `status`. */
int complain(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
int complain_memory(void);

/* One --option: with an argument, which goes to *value, or a flag. */
struct option_row {
        const char *name;
        const char **value;
        bool *flag;
};

enum { OPTIONS_MAX = 8, OPTIONS_PROCEED = -1 };

/* Parses the options of `rows` (ended by a NULL name) and --help, and leaves min to max other arguments in
 * argv[0..argc-1]. OPTIONS_PROCEED, or the status to return at once. */
int options_parse(const struct command *self, const struct option_row *rows, int min, int max, int *argc, char ***argv);

void command_print_help(const struct command *self);
extern const char exit_status_help[];

/* ---- key.c ---------------------------------------------------------------------------------------------------------
 */

/* Reads one base64 key from a file ("-": stdin). A regular file that group or others can read is refused. */
int key_read(struct key *out, const char *path);

#endif
