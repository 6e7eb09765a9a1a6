/* adit up --foreground, for a service manager: runs PreUp, and then becomes aditd, whose process this is from then on.
 * PostUp is run, and resolvconf where it is used, by a child that goes on being adit, when the link is ready: only then
 * does aditd say so to the service manager, and when a command fails it takes the link down. The hooks get neither
 * NOTIFY_SOCKET nor what else is meant for aditd. */
#ifndef CTL_FOREGROUND_H
#define CTL_FOREGROUND_H

#include "ctl/hooks.h"

/* Brings the link of the file `path` up; returns only when that failed before there was one, having said why: a status
 * of command.h. */
int foreground_up(const char *path, const struct hooks *hooks, struct pool *pool);

/* What is left to do when the link is up: resolvconf, where it is used, then PostUp. When that fails resolvconf has
 * nothing of the link any more; the caller takes the link down. */
int after_up(const struct hooks *hooks, struct pool *pool);

#endif
