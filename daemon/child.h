/* A short-lived child of the keeper that answers through one descriptor and then ends. */
#ifndef DAEMON_CHILD_H
#define DAEMON_CHILD_H

#include <sys/types.h>

/* Forks. In the child: 0, with nothing open but stdin, stdout, stderr and *answer (`to` under another number), its
 * signals as at the start of a program, and dead when the keeper is. In the keeper: the child's pid, with `to` closed;
 * or -errno, with it closed too. */
pid_t child_fork(int to, int *answer);

#endif
