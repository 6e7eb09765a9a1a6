#include "daemon/claim.h"

#include "daemon/conf/control.h"
#include "daemon/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP_FIRST_MS = 10, STEP_LAST_MS = 160, UP_MS = 300, WAIT_MS = 5000 };

/* Whoever gives it up removes the file: what was locked may have no name any more. */
static bool is_there(const struct claim *claim)
{
        struct stat ours, named;

        return !fstat(claim->fd, &ours) && !stat(claim->path, &named) && ours.st_dev == named.st_dev &&
               ours.st_ino == named.st_ino;
}

/* -EWOULDBLOCK: another has it; -ESTALE: it was removed meanwhile. */
static int try_once(struct claim *claim)
{
        int error = 0;

        claim->fd = open(claim->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (claim->fd < 0) return -errno;
        if (flock(claim->fd, LOCK_EX | LOCK_NB)) error = -errno;
        else if (!is_there(claim)) error = -ESTALE;
        if (!error) return 0;
        close(claim->fd);
        claim->fd = -1;
        return error;
}

int claim_take(struct claim *claim, const char *link)
{
        char control[sizeof claim->path];
        int step = STEP_FIRST_MS, waited = 0;
        int error = folder_make(CONTROL_DIRECTORY);

        claim->fd = -1;
        snprintf(claim->path, sizeof claim->path, "%s/%s.lock", CONTROL_DIRECTORY, link);
        snprintf(control, sizeof control, "%s/%s.sock", CONTROL_DIRECTORY, link);
        if (error) return error;
        while ((error = try_once(claim)) == -EWOULDBLOCK || error == -ESTALE) {
                /* one that was just ended may serve its socket for a moment more */
                if (waited > UP_MS && socket_served(control, SOCK_SEQPACKET) > 0) return -EADDRINUSE;
                if (waited > WAIT_MS) return -EBUSY;
                poll(NULL, 0, step);
                waited += step;
                step = step * 2 < STEP_LAST_MS ? step * 2 : STEP_LAST_MS;
        }
        return error;
}

void claim_drop(struct claim *claim)
{
        if (claim->fd < 0) return;
        if (is_there(claim)) unlink(claim->path);
        close(claim->fd);
        claim->fd = -1;
}
