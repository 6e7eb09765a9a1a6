/* A configuration on its way from who read it (adit, the loader) to aditd: host records and UAPI text, a sealed memfd
 * each, as a CONTROL_APPLY carries them (control.h). Not pure: it makes memfds. Keys are written straight into the
 * memfd: no copy of them stays behind. */
#ifndef DAEMON_CONF_HANDOVER_H
#define DAEMON_CONF_HANDOVER_H

#include "daemon/conf/conf.h"
#include "daemon/conf/control.h"

enum { HANDOVER_RECORDS, HANDOVER_TEXT }; /* their places among the CONTROL_FDS */

/* A memfd that nobody can change any more, close-on-exec and the caller's; or -errno. */
int handover_records(const struct host_state *host);
int handover_text(const struct conf *set);

/* Both. 0, or -errno with both descriptors -1. */
int handover_open(int fds[CONTROL_FDS], const struct host_state *host, const struct conf *set);

#endif
