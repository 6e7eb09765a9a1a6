/* Runs one command by the shell, for a limited time, and passes on what it says. */
#ifndef CTL_SHELL_H
#define CTL_SHELL_H

#include <stdio.h>

enum shell_end {
        SHELL_DONE,        /* exit status 0 */
        SHELL_FAILED,      /* code: its exit status */
        SHELL_KILLED,      /* code: the signal that ended it */
        SHELL_LATE,        /* it was ended at the limit */
        SHELL_INTERRUPTED, /* it was ended because SIGINT, SIGTERM or SIGHUP (code) came for us */
        SHELL_NOT_RUN,     /* code: errno */
};

struct shell_result {
        enum shell_end end;
        int code;
};

enum { SHELL_GRACE_MS = 2000 }; /* from SIGTERM to SIGKILL */

/* By bash with what wg-quick sets for its hooks (-e, pipefail, extglob), or where there is no bash by sh -e. It has a
 * session of its own (no terminal), no signal blocked or ignored, /dev/null as stdin, and no descriptor beyond stderr;
 * umask, folder, rights and environment are the caller's. What it writes goes to `out`, each line after `prefix`. It is
 * over when the shell ends: what that leaves in the background is left alone, but its output is read no more. At the
 * limit its process group gets SIGTERM, then SIGKILL. */
struct shell_result shell_run(const char *text, FILE *out, const char *prefix, int limit_ms);

#endif
