/* aditd --lock: puts the kill switch of a link in force without the link, for a boot unit that runs before the network
 * is set up. The link's own start finds it in force and goes on behind it. */
#ifndef DAEMON_LOCK_H
#define DAEMON_LOCK_H

/* `config`: the file's path. The exit status: 0 also when the file has no KillSwitch, or the link is up already. */
int lock_run(const char *link, const char *config);

#endif
