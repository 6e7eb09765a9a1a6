/* aditd --repair: undoes what links that died left on this host, and says so, one line for each thing. */
#ifndef DAEMON_REPAIR_H
#define DAEMON_REPAIR_H

/* Of one link, or (NULL) of all that left something in /run/adit. The exit status of the process. */
int repair_run(const char *link);

#endif
