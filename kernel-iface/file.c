#include "kernel-iface/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 20 };

char *file_read(const char *path)
{
        char *text = NULL;
        size_t len = 0;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        ssize_t got = 0;

        if (fd < 0) return NULL;
        do {
                char *larger = realloc(text, len + 4096 + 1);
                if (!larger) break;
                text = larger;
                got = read(fd, text + len, 4096);
                if (got > 0) len += (size_t)got;
        } while (got > 0 && len < TEXT_MAX);
        int error = got < 0 ? errno : got > 0 || !text ? EFBIG : 0;
        close(fd);
        if (!error) {
                text[len] = '\0';
                return text;
        }
        free(text);
        errno = error;
        return NULL;
}

static int write_whole(int fd, const char *text)
{
        size_t len = strlen(text);
        ssize_t put = write(fd, text, len);

        if (put < 0) return -errno;
        return put == (ssize_t)len ? 0 : -ENOSPC;
}

/* A file that is not there under its name before it is whole, nor lost in a power failure after. */
static int make_file(const char *path, const char *text, const struct stat *like)
{
        int fd, error;

        unlink(path); /* of a crash */
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0) return -errno;
        error = write_whole(fd, text);
        /* without CAP_CHOWN another's file becomes ours */
        bool theirs = !error && like && !fchown(fd, like->st_uid, like->st_gid);
        if (!error && like && !theirs && errno != EPERM) error = -errno;
        if (!error && like && fchmod(fd, like->st_mode & (theirs ? 07777 : 0777))) error = -errno;
        if (!error && fsync(fd)) error = -errno;
        close(fd);
        if (error) unlink(path);
        return error;
}

void file_next(const char *path, char next[PATH_MAX])
{
        const char *name = strrchr(path, '/') + 1;

        snprintf(next, PATH_MAX, "%.*s.%s.adit", (int)(name - path), path, name);
}

int file_replace(const char *path, const char *text, const struct stat *like)
{
        char next[PATH_MAX];
        int error;

        file_next(path, next);
        error = make_file(next, text, like);
        if (!error && rename(next, path)) {
                error = -errno;
                unlink(next);
        }
        return error;
}

int file_write_in_place(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NONBLOCK), error; /* a FIFO nobody reads: ENXIO */

        if (fd < 0) return -errno;
        error = write_whole(fd, text);
        if (!error && fsync(fd)) error = -errno;
        close(fd);
        return error;
}

int file_put(const char *path, const char *text, const struct stat *like)
{
        int error = file_replace(path, text, like);

        return error == -EBUSY || error == -EXDEV || error == -EROFS || error == -EACCES
                       ? file_write_in_place(path, text)
                       : error;
}
