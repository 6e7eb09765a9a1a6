/* Who may set or repair the host state of a link: one process at a time. A lock on /run/adit/NAME.lock, held by the
 * keeper from before its first change to its end, and by a repair; the kernel drops it with the process that holds it,
 * so that a file left behind blocks nobody. */
#ifndef DAEMON_CLAIM_H
#define DAEMON_CLAIM_H

struct claim {
        int fd; /* -1: not held */
        char path[108];
};

/* Waits for who is about to end, or to begin, or repairs. 0; -EADDRINUSE: the link is up; -EBUSY: after a few seconds
 * it was still held, and no link was up; or -errno. */
int claim_take(struct claim *claim, const char *link);
void claim_drop(struct claim *claim);

#endif
