/* aditd --plan NAME: prints what the host records on stdin (daemon/conf/records.h) would change on this host, as
 * commands. adit runs it for `adit up --dry-run` and `adit diff`. */
#ifndef DAEMON_PLAN_H
#define DAEMON_PLAN_H

enum { PLAN_STEPS = 3 }; /* exit status: there is something to do; 0: nothing is; 1: it failed */
int plan_run(const char *link);

#endif
