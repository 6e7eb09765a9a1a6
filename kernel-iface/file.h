/* Small text files, read and replaced as a whole. */
#ifndef KERNEL_IFACE_FILE_H
#define KERNEL_IFACE_FILE_H

#include <limits.h>
#include <sys/stat.h>

/* Ends with '\0'; to be freed. NULL: errno; EFBIG beyond 1 MiB. */
char *file_read(const char *path);

/* The old file or the new one, also after a power failure: made beside it, under a name that begins with a dot, then
 * renamed. With the mode of `like`, and its owner where
 * we may; NULL: ours alone. 0 or -errno. */
int file_replace(const char *path, const char *text, const struct stat *like);
/* The same, but in place when a file is mounted there (as containers and `ip netns exec` do), or its folder is not for
 * writing. */
int file_put(const char *path, const char *text, const struct stat *like);
/* Whatever it leads to; not at once: whoever reads it meanwhile may see nothing, or a part. */
int file_write_in_place(const char *path, const char *text);
/* That other name. */
void file_next(const char *path, char next[PATH_MAX]);

#endif
