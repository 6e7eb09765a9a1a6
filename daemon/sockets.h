/* The two listening sockets of a link: made before the keeper drops its rights, watched and unlinked by the keeper. */
#ifndef DAEMON_SOCKETS_H
#define DAEMON_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct listener {
        int fd;
        char path[108];
        dev_t device; /* of the socket file as made: only that very one is unlinked */
        ino_t inode;
};

/* Makes the folder (0755) and the socket: SOCK_STREAM 0600 for the UAPI, SOCK_SEQPACKET 0660 root:adit for the control
 * socket. One that a crash left behind is replaced; 0, or -errno: -EADDRINUSE when somebody serves it, and goes on to
 * for a moment. */
int listener_open(struct listener *listener, const char *folder, const char *link, int type, bool group);
void listener_close(struct listener *listener);

/* Makes a folder that everybody may enter, whatever the umask; one that is there is left as it is. 0 or -errno. */
int folder_make(const char *folder);
/* Whether somebody serves the socket of this path; a refusal means that the file outlived its server. 1, 0: nobody, or
 * -errno, -ENOENT when there is none. */
int socket_served(const char *path, int type);

/* An inotify descriptor that tells when either file goes away; listener_is_gone() then says whose. */
int listener_watch(const struct listener *listeners, size_t count);
/* Ours is there, or is gone; when that cannot be told, neither. */
bool listener_is_there(const struct listener *listener);
bool listener_is_gone(const struct listener *listener);

/* Is it a memfd whose bytes can no longer change or go? */
bool memfd_is_sealed(int fd);
/* The bytes of a memfd that is sealed against writing and shrinking, mapped read-only; NULL: it is not, is empty or
 * larger than `max`. munmap() it. */
const void *memfd_map(int fd, size_t max, size_t *len);

#endif
