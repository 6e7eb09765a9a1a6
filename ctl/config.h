/* A config file as the commands of a link take it. */
#ifndef CTL_CONFIG_H
#define CTL_CONFIG_H

#include "ctl/trust.h"
#include "daemon/conf/conf.h"

struct config {
        char path[CONF_PATH_MAX], name[IFNAMSIZ];
        bool trusted; /* with commands; else distrust says why not */
        char distrust[TRUST_TEXT];
        bool mistaken; /* there is a mistake in it: trying again is of no use */
        struct conf conf;
};

/* link.c: prints what is wrong as path:line:column. */
int config_load(struct config *out, struct pool *pool, const char *name_or_path);
/* Says what needs root: "up". */
int root_check(const char *what);

/* diff.c: prints what `adit up` would do. */
int dry_run(const struct config *config, struct pool *pool);

#endif
