/* What one configuration changes in the engine of a link that has another: keys, port, peers, allowed IPs; as `wg`
 * commands that a person could type, and as comments where wg has no word or a key would have to be shown. Pure but for
 * the stream. */
#ifndef CTL_CHANGES_H
#define CTL_CHANGES_H

#include "daemon/conf/conf.h"

#include <stdio.h>

/* `from`: the link as it is, or an empty conf; `to`: a whole file. -1: no memory; else how many lines were printed. */
int changes_print(FILE *out, const char *name, const struct conf *from, const struct conf *to, struct pool *pool);

#endif
