/* PreUp, PostUp, PreDown, PostDown: commands of a config file around `adit up` and `adit down`, as of wg-quick. adit
 * runs them with the rights of who called it; aditd never runs a command, so a link that ends in another way runs none.
 */
#ifndef CTL_HOOKS_H
#define CTL_HOOKS_H

#include "daemon/conf/conf.h"

enum hook { HOOK_PRE_UP, HOOK_POST_UP, HOOK_PRE_DOWN, HOOK_POST_DOWN, HOOKS };

enum { HOOK_LIMIT_MS = 30000 }; /* for each command */

/* A copy that outlives the conf, with the interface's name in place of each %i. */
struct hooks {
        char name[IFNAMSIZ];
        struct conf_line *lists[HOOKS];
};

bool hooks_any(const struct conf *conf);
bool hooks_init(struct hooks *out, const struct conf *conf, const char *name); /* false: no memory */
void hooks_fini(struct hooks *hooks);

/* Runs one kind in the order of the file, up to the first that fails. Output goes to stderr, each line after
 * "adit: NAME: PostUp: ". Says what went wrong and returns a status of command.h. */
int hooks_run(const struct hooks *hooks, enum hook hook);

#endif
