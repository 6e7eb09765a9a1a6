#include "ctl/trust.h"
#include "daemon/conf/conf.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS_MAX = 40 }; /* as in the kernel */

static bool fail(char why[TRUST_TEXT], const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool fail(char why[TRUST_TEXT], const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(why, TRUST_TEXT, format, args);
        va_end(args);
        return false;
}

/* In a folder with the sticky bit, what belongs to one cannot be renamed or removed by another. */
static bool part_trusted(const char *path, const struct stat *st, char why[TRUST_TEXT])
{
        unsigned long owner = st->st_uid;

        if (owner != 0 && owner != geteuid())
                return fail(why, "%s belongs to uid %lu, who could change what is run; mend it with: chown %s %.480s",
                            path, owner, geteuid() ? "$USER" : "root", path);
        if (S_ISLNK(st->st_mode)) return true; /* its mode says nothing */
        if (S_ISDIR(st->st_mode) && st->st_mode & S_ISVTX) return true;
        if (!(st->st_mode & (S_IWGRP | S_IWOTH))) return true;
        return fail(
                why,
                "%s can be written by group or others, who could change what is run; mend it with: chmod go-w %.480s",
                path, path);
}

/* What is behind us, without a symbolic link in it, and what is still to go. */
struct walk {
        char done[PATH_MAX], rest[PATH_MAX];
        unsigned links;
};

static void step_back(struct walk *walk)
{
        char *slash = strrchr(walk->done, '/');

        if (slash) *slash = 0;
}

/* Goes one name on; "" at the end. */
static bool step(struct walk *walk, char why[TRUST_TEXT])
{
        const char *from = walk->rest + strspn(walk->rest, "/");
        size_t len = strcspn(from, "/"), had = strlen(walk->done);

        if (len == 2 && !strncmp(from, "..", 2)) {
                step_back(walk);
        } else if (len && !(len == 1 && *from == '.')) {
                if (had + 1 + len >= sizeof walk->done) return fail(why, "the path is too long");
                walk->done[had] = '/';
                memcpy(walk->done + had + 1, from, len);
                walk->done[had + 1 + len] = 0;
        }
        memmove(walk->rest, from + len, strlen(from + len) + 1);
        return true;
}

static bool follow(struct walk *walk, char why[TRUST_TEXT])
{
        char target[PATH_MAX], rest[PATH_MAX];
        ssize_t len = readlink(walk->done, target, sizeof target - 1);

        if (len < 0) return fail(why, "%s: %s", walk->done, strerror(errno));
        target[len] = 0;
        if (++walk->links > LINKS_MAX) return fail(why, "%s: %s", walk->done, strerror(ELOOP));
        if (snprintf(rest, sizeof rest, "%s/%s", target, walk->rest) >= (int)sizeof rest)
                return fail(why, "the path is too long");
        memcpy(walk->rest, rest, sizeof rest);
        if (*target == '/') *walk->done = 0;
        else step_back(walk);
        return true;
}

bool path_trusted(const char *path, char why[TRUST_TEXT])
{
        struct walk walk = { 0 };
        struct conf_error error;
        struct stat st;

        if (!conf_absolute(path, walk.rest, &error)) return fail(why, "%s", error.text);
        for (;;) {
                const char *here = *walk.done ? walk.done : "/";

                if (lstat(here, &st) < 0) return fail(why, "%s: %s", here, strerror(errno));
                if (!part_trusted(here, &st, why)) return false;
                if (S_ISLNK(st.st_mode)) {
                        if (!follow(&walk, why)) return false;
                } else if (!walk.rest[strspn(walk.rest, "/")]) {
                        return true;
                } else if (!step(&walk, why)) {
                        return false;
                }
        }
}
