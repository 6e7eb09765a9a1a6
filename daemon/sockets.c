#include "daemon/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int folder_make(const char *folder)
{
        if (!mkdir(folder, 0755)) return chmod(folder, 0755) ? -errno : 0; /* whatever the umask */
        return errno == EEXIST ? 0 : -errno;
}

int socket_served(const char *path, int type)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (snprintf(address.sun_path, sizeof address.sun_path, "%s", path) >= (int)sizeof address.sun_path)
                return -ENAMETOOLONG;
        int probe = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (probe < 0) return -errno;
        int failed = connect(probe, (const struct sockaddr *)&address, sizeof address) ? errno : 0;
        close(probe);
        if (failed == ECONNREFUSED) return 0;
        return !failed || failed == EAGAIN || failed == EPROTOTYPE ? 1 : -failed;
}

static int remove_stale(const struct sockaddr_un *address, int type)
{
        int served = socket_served(address->sun_path, type);

        if (served) return served == -ENOENT ? 0 : served < 0 ? served : -EADDRINUSE;
        return unlink(address->sun_path) && errno != ENOENT ? -errno : 0;
}

/* One that was just ended may still be about to close: to be told so of a link that is down helps nobody. */
static int wait_for_stale(const struct sockaddr_un *address, int type)
{
        enum { FIRST_MS = 10, LAST_MS = 160 }; /* few, for whoever serves it may not accept what asks */
        int error;

        for (int ms = FIRST_MS; (error = remove_stale(address, type)) == -EADDRINUSE && ms <= LAST_MS; ms *= 2)
                poll(NULL, 0, ms);
        return error;
}

static int bind_private(int fd, const struct sockaddr_un *address)
{
        mode_t before = umask(077); /* from the first instant nobody else may connect */
        int error = bind(fd, (const struct sockaddr *)address, sizeof *address) ? -errno : 0;

        umask(before);
        return error;
}

static int give_to_group(const char *path)
{
        const struct group *group = getgrnam("adit");

        if (group && chown(path, 0, group->gr_gid)) return -errno;
        return chmod(path, 0660) ? -errno : 0;
}

int listener_open(struct listener *listener, const char *folder, const char *link, int type, bool group)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct stat made;
        int error;

        if (snprintf(listener->path, sizeof listener->path, "%s/%s.sock", folder, link) >= (int)sizeof listener->path)
                return -ENAMETOOLONG;
        error = folder_make(folder);
        if (error) return error;
        memcpy(address.sun_path, listener->path, sizeof address.sun_path);
        error = wait_for_stale(&address, type);
        if (error) return error;
        listener->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (listener->fd < 0) return -errno;
        error = bind_private(listener->fd, &address);
        if (!error && group) error = give_to_group(listener->path);
        if (!error && (listen(listener->fd, 16) || stat(listener->path, &made))) error = -errno;
        if (error) {
                close(listener->fd);
                listener->fd = -1;
                return error;
        }
        listener->device = made.st_dev;
        listener->inode = made.st_ino;
        return 0;
}

/* 1 or 0; -errno: it cannot be told. */
static int look(const struct listener *listener)
{
        struct stat now;

        if (stat(listener->path, &now)) return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        return now.st_dev == listener->device && now.st_ino == listener->inode;
}

bool listener_is_there(const struct listener *listener)
{
        return look(listener) == 1;
}

bool listener_is_gone(const struct listener *listener)
{
        return look(listener) == 0;
}

void listener_close(struct listener *listener)
{
        if (listener->fd < 0) return;
        if (listener_is_there(listener)) unlink(listener->path);
        close(listener->fd);
        listener->fd = -1;
}

int listener_watch(const struct listener *listeners, size_t count)
{
        int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

        for (size_t i = 0; fd >= 0 && i < count; i++) {
                char folder[sizeof listeners[i].path];
                memcpy(folder, listeners[i].path, sizeof folder);
                *strrchr(folder, '/') = '\0';
                if (inotify_add_watch(fd, folder, IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF) < 0) {
                        int error = -errno;
                        close(fd);
                        return error;
                }
        }
        return fd < 0 ? -errno : fd;
}

bool memfd_is_sealed(int fd)
{
        int seals = fcntl(fd, F_GET_SEALS);

        return seals >= 0 && (seals & (F_SEAL_WRITE | F_SEAL_SHRINK)) == (F_SEAL_WRITE | F_SEAL_SHRINK);
}

const void *memfd_map(int fd, size_t max, size_t *len)
{
        struct stat size;

        if (!memfd_is_sealed(fd)) return NULL;
        if (fstat(fd, &size) || size.st_size <= 0 || (uint64_t)size.st_size > max) return NULL;
        void *bytes = mmap(NULL, (size_t)size.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (bytes == MAP_FAILED) return NULL;
        *len = (size_t)size.st_size;
        return bytes;
}
