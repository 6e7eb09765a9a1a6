/* resolvconf(8), for a link whose servers the keeper leaves to it (kernel-iface/dns.h): run as hooks are, with the
 * rights of who calls adit, and with the same arguments as by wg-quick. */
#ifndef CTL_RESOLVCONF_H
#define CTL_RESOLVCONF_H

#include "daemon/conf/conf.h"

/* Whether the link's names are resolvconf's to set, as it is now; false of a link that is not up. */
bool resolvconf_serves(struct pool *pool, const char *name);
/* Gives it the link's servers and domains; takes them back. Says what went wrong and returns a status of command.h. */
int resolvconf_set(struct pool *pool, const char *name);
int resolvconf_clear(const char *name);

/* A file says that it was given some: whether there is that, and takes back what links that are not up any more have
 * left; NULL: of all. */
bool resolvconf_left(const char *name);
int resolvconf_repair(const char *name);

#endif
