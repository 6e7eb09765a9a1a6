#include "kernel-iface/dns_file.h"

#include "kernel-iface/dns_text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 20, ENTRIES_MAX = 64, LOCK_TRIES = 100, LOCK_STEP = 20000000 /* ns */ };

const struct dns_paths dns_paths = { "/etc/resolv.conf", "/var/lib/adit/dns" };

/* ---- files ---- */

/* NULL: errno. */
static char *read_text(const char *path)
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
        if (!error && like && (fchown(fd, like->st_uid, like->st_gid) || fchmod(fd, like->st_mode & 07777)))
                error = -errno;
        if (!error && fsync(fd)) error = -errno;
        close(fd);
        if (error) unlink(path);
        return error;
}

/* Beside it, under a name that begins with a dot: no entry of a folder does. */
static void next_path(const char *path, char next[PATH_MAX])
{
        const char *name = strrchr(path, '/') + 1;

        snprintf(next, PATH_MAX, "%.*s.%s.adit", (int)(name - path), path, name);
}

static int replace_file(const char *path, const char *text, const struct stat *like)
{
        char next[PATH_MAX];
        int error;

        next_path(path, next);
        error = make_file(next, text, like);
        if (!error && rename(next, path)) {
                error = -errno;
                unlink(next);
        }
        return error;
}

static int write_in_place(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC), error;

        if (fd < 0) return -errno;
        error = write_whole(fd, text);
        if (!error && fsync(fd)) error = -errno;
        close(fd);
        return error;
}

/* In place when a file is mounted there (as containers and `ip netns exec` do), or its folder is not for writing. */
static int put_file(const char *path, const char *text, const struct stat *like)
{
        int error = replace_file(path, text, like);

        return error == -EBUSY || error == -EXDEV || error == -EROFS || error == -EACCES ? write_in_place(path, text)
                                                                                         : error;
}

/* ---- the folder of one resolv.conf ---- */

struct entry {
        unsigned number; /* the higher, the newer */
        char link[IFNAMSIZ];
        char *text;
};

struct folder {
        char path[PATH_MAX - 64];
        char name[DNS_FOLDER];
        struct entry entries[ENTRIES_MAX]; /* the newest first */
        size_t count;
};

static int compare_entries(const void *a, const void *b)
{
        const struct entry *x = a, *y = b;

        return (x->number < y->number) - (x->number > y->number);
}

static void folder_free(struct folder *folder)
{
        for (size_t i = 0; i < folder->count; i++)
                free(folder->entries[i].text);
        folder->count = 0;
}

static void entry_path(const struct folder *folder, const struct entry *entry, char path[PATH_MAX])
{
        snprintf(path, PATH_MAX, "%s/%u.%s", folder->path, entry->number, entry->link);
}

static int folder_read(struct folder *out, const struct dns_paths *paths, const char *name)
{
        char path[PATH_MAX];
        struct dirent *at;
        int error = 0;

        out->count = 0;
        snprintf(out->name, sizeof out->name, "%s", name);
        snprintf(out->path, sizeof out->path, "%s/%s", paths->folder, name);
        DIR *dir = opendir(out->path);
        if (!dir) return -errno;
        while (!error && (at = readdir(dir)) && out->count < ENTRIES_MAX) {
                struct entry *entry = &out->entries[out->count];
                char end;
                if (sscanf(at->d_name, "%u.%15[^/]%c", &entry->number, entry->link, &end) != 2) continue;
                entry_path(out, entry, path);
                entry->text = read_text(path);
                if (entry->text) out->count++;
                else if (errno != ENOENT) error = -errno;
        }
        closedir(dir);
        qsort(out->entries, out->count, sizeof out->entries[0], compare_entries);
        if (error) folder_free(out);
        return error;
}

static struct entry *folder_find(struct folder *folder, const char *link)
{
        for (size_t i = 0; i < folder->count; i++)
                if (strcmp(folder->entries[i].link, link) == 0) return &folder->entries[i];
        return NULL;
}

/* `without`: NULL, or an entry that is to go. NULL: no memory, or the original's text cannot be read. */
static char *folder_join(const struct folder *folder, const struct entry *without)
{
        const char *texts[ENTRIES_MAX];
        char path[PATH_MAX];
        size_t count = 0;

        for (size_t i = 0; i < folder->count; i++)
                if (&folder->entries[i] != without) texts[count++] = folder->entries[i].text;
        snprintf(path, sizeof path, "%s/text", folder->path);
        char *original = read_text(path);
        char *text = dns_text_join(folder->name, texts, count, original ? original : "");
        free(original);
        return text;
}

static void folder_remove(const struct folder *folder)
{
        static const char *const files[] = { "original", ".original.adit", "text", ".text.adit" };
        char path[PATH_MAX];

        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
                snprintf(path, sizeof path, "%s/%s", folder->path, files[i]);
                unlink(path);
        }
        rmdir(folder->path);
}

/* The folder that the present resolv.conf names. -ENOENT: none, it is not ours. */
static int folder_of(struct folder *out, const struct dns_paths *paths, const char *resolv_conf, bool *intact)
{
        char name[DNS_FOLDER];

        if (!resolv_conf || !dns_text_parse(resolv_conf, name, intact)) return -ENOENT;
        return folder_read(out, paths, name);
}

/* ---- the original ---- */

static int keep_link(const char *from, const char *to)
{
        char target[PATH_MAX];
        ssize_t len = readlink(from, target, sizeof target - 1);

        if (len < 0) return -errno;
        target[len] = '\0';
        unlink(to);
        return symlink(target, to) ? -errno : 0;
}

/* A file, a symbolic link, or nothing at all; and its text, which is what is kept of the options. */
static int keep_original(const struct folder *folder, const struct dns_paths *paths, const char *resolv_conf)
{
        char path[PATH_MAX];
        struct stat info;
        int error = 0;

        snprintf(path, sizeof path, "%s/text", folder->path);
        if (resolv_conf) error = replace_file(path, resolv_conf, NULL);
        if (error || lstat(paths->resolv_conf, &info)) return error ? error : errno == ENOENT ? 0 : -errno;
        snprintf(path, sizeof path, "%s/original", folder->path);
        if (S_ISLNK(info.st_mode)) return keep_link(paths->resolv_conf, path);
        return replace_file(path, resolv_conf ? resolv_conf : "", &info);
}

static int put_back(const struct folder *folder, const struct dns_paths *paths)
{
        char path[PATH_MAX], next[PATH_MAX];
        struct stat info;
        int error;

        snprintf(path, sizeof path, "%s/original", folder->path);
        if (lstat(path, &info)) return errno == ENOENT && (!unlink(paths->resolv_conf) || errno == ENOENT) ? 0 : -errno;
        if (S_ISLNK(info.st_mode)) {
                next_path(paths->resolv_conf, next);
                error = keep_link(path, next);
                return error ? error : rename(next, paths->resolv_conf) ? -errno : 0;
        }
        char *text = read_text(path);
        error = text ? put_file(paths->resolv_conf, text, &info) : -errno;
        free(text);
        return error;
}

static int folder_make(struct folder *out, const struct dns_paths *paths, const char *resolv_conf)
{
        int error;

        out->count = 0;
        snprintf(out->path, sizeof out->path, "%s/XXXXXX", paths->folder);
        if (!mkdtemp(out->path)) return -errno;
        snprintf(out->name, sizeof out->name, "%s", strrchr(out->path, '/') + 1);
        error = keep_original(out, paths, resolv_conf);
        if (error) folder_remove(out);
        return error;
}

/* ---- the lock ---- */

static int make_folders(const char *path)
{
        char parent[PATH_MAX];
        char *slash;

        if (!mkdir(path, 0700) || errno == EEXIST) return 0;
        if (errno != ENOENT) return -errno;
        snprintf(parent, sizeof parent, "%s", path);
        slash = strrchr(parent, '/');
        if (!slash || slash == parent) return -ENOENT;
        *slash = '\0';
        int error = make_folders(parent);
        return error ? error : mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

/* A descriptor, or -errno; -EBUSY: somebody who holds it does not go on. */
static int lock(const struct dns_paths *paths)
{
        const struct timespec step = { .tv_nsec = LOCK_STEP };
        char path[PATH_MAX];
        int error = make_folders(paths->folder), fd;

        if (error) return error;
        snprintf(path, sizeof path, "%s/.lock", paths->folder);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) return -errno;
        for (int i = 0; flock(fd, LOCK_EX | LOCK_NB); i++) {
                if (i == LOCK_TRIES || (errno != EWOULDBLOCK && errno != EINTR)) {
                        close(fd);
                        return -EBUSY;
                }
                nanosleep(&step, NULL);
        }
        return fd;
}

/* ---- one link ---- */

/* A program that is not there makes nothing: then the file is a file. */
bool dns_file_is_resolvconf(const struct dns_paths *paths)
{
        char target[PATH_MAX] = "";
        char *text = read_text(paths->resolv_conf);
        bool named = text && dns_text_is_resolvconf(text);

        free(text);
        if (!named && readlink(paths->resolv_conf, target, sizeof target - 1) > 0)
                named = strstr(target, "resolvconf/");
        return named;
}

/* Not of a link that does not use the file: nothing of ours is there, or it cannot be entered. */
static bool any_folder(const struct dns_paths *paths)
{
        return access(paths->folder, F_OK) == 0;
}

/* Calls `visit` with each folder but that one, until it does not answer 0. */
static int visit_folders(const struct dns_paths *paths, const char *but,
                         int (*visit)(void *arg, const struct dns_paths *paths, struct folder *folder), void *arg)
{
        static struct folder folder;
        DIR *dir = opendir(paths->folder);
        struct dirent *at;
        int error = 0;

        if (!dir) return -errno;
        while (!error && (at = readdir(dir))) {
                if (at->d_name[0] == '.' || strlen(at->d_name) >= DNS_FOLDER || strcmp(at->d_name, but) == 0) continue;
                if (folder_read(&folder, paths, at->d_name)) continue;
                error = visit(arg, paths, &folder);
                folder_free(&folder);
        }
        closedir(dir);
        return error;
}

static int forget(struct folder *folder, struct entry *entry)
{
        char path[PATH_MAX];

        entry_path(folder, entry, path);
        if (unlink(path) && errno != ENOENT) return -errno;
        free(entry->text);
        *entry = folder->entries[--folder->count];
        if (!folder->count) folder_remove(folder);
        return 0;
}

/* And a folder that nobody needs, of a crash. */
static int forget_link(void *link, const struct dns_paths *paths, struct folder *folder)
{
        struct entry *entry = folder_find(folder, link);

        (void)paths;
        if (!folder->count) folder_remove(folder);
        return entry ? forget(folder, entry) : 0;
}

struct reading {
        const char *link, *resolv_conf;
        char **text;
};

/* "" unless the file says all that this folder does. */
static int read_in(void *arg, const struct dns_paths *paths, struct folder *folder)
{
        struct reading *reading = arg;
        struct entry *entry = folder_find(folder, reading->link);

        (void)paths;
        if (!entry || (*reading->text && **reading->text)) return 0;
        char *wanted = folder_join(folder, NULL);
        bool whole = wanted && reading->resolv_conf && strcmp(wanted, reading->resolv_conf) == 0;
        free(wanted);
        free(*reading->text);
        *reading->text = strdup(whole ? entry->text : "");
        return *reading->text ? 0 : -ENOMEM;
}

int dns_file_read(const struct dns_paths *paths, const char *link, char **text)
{
        struct reading reading = { .link = link, .text = text };
        int fd, error;

        *text = NULL;
        if (!any_folder(paths)) return 0;
        if ((fd = lock(paths)) < 0) return fd;
        char *resolv_conf = read_text(paths->resolv_conf);
        reading.resolv_conf = resolv_conf;
        error = visit_folders(paths, "", read_in, &reading);
        free(resolv_conf);
        close(fd);
        return error;
}

/* The entry first: a resolv.conf of ours can always be made again, or put back, from what its folder says. */
static int set_entry(struct folder *folder, const char *link, const char *text)
{
        struct entry *entry = folder_find(folder, link);
        char path[PATH_MAX], *copy = strdup(text);
        int error;

        if (!copy) return -ENOMEM;
        if (!entry && folder->count == ENTRIES_MAX) {
                free(copy);
                return -ENOSPC;
        }
        if (!entry) {
                unsigned number = folder->count ? folder->entries[0].number + 1 : 1;
                entry = &folder->entries[folder->count++];
                *entry = (struct entry){ .number = number };
                snprintf(entry->link, sizeof entry->link, "%s", link);
        }
        free(entry->text);
        entry->text = copy;
        entry_path(folder, entry, path);
        error = replace_file(path, text, NULL);
        qsort(folder->entries, folder->count, sizeof folder->entries[0], compare_entries);
        return error;
}

static int write_resolv_conf(const struct folder *folder, const struct dns_paths *paths, const struct entry *without)
{
        static const struct stat readable = { .st_mode = 0644 };
        char *text = folder_join(folder, without);
        int error = text ? put_file(paths->resolv_conf, text, &readable) : -ENOMEM;

        free(text);
        return error;
}

/* The file without this link: of the others, or what it was. */
static int write_without(struct folder *folder, const struct dns_paths *paths, struct entry *entry)
{
        return folder->count > 1 ? write_resolv_conf(folder, paths, entry) : put_back(folder, paths);
}

static int set_in(struct folder *folder, const struct dns_paths *paths, const char *link, const char *text)
{
        bool new = !folder_find(folder, link);
        int error = set_entry(folder, link, text);

        if (!error) error = write_resolv_conf(folder, paths, NULL);
        struct entry *entry = folder_find(folder, link);
        if (error && new &&entry && !write_without(folder, paths, entry)) forget(folder, entry);
        return error;
}

int dns_file_set(const struct dns_paths *paths, const char *link, const char *text)
{
        static struct folder folder;
        char own[IFNAMSIZ];
        bool intact;
        int fd = lock(paths), error;

        if (fd < 0) return fd;
        snprintf(own, sizeof own, "%s", link);
        char *resolv_conf = read_text(paths->resolv_conf);
        error = !resolv_conf && errno != ENOENT ? -errno : folder_of(&folder, paths, resolv_conf, &intact);
        if (error == -ENOENT) error = folder_make(&folder, paths, resolv_conf);
        if (!error) error = set_in(&folder, paths, own, text);
        if (!error) visit_folders(paths, folder.name, forget_link, own); /* of a file that others overwrote */
        folder_free(&folder);
        free(resolv_conf);
        close(fd);
        return error;
}

struct clearing {
        char link[IFNAMSIZ];
        char name[DNS_FOLDER]; /* of the folder that the present resolv.conf names; "" */
        bool intact;
};

static int clear_in(void *arg, const struct dns_paths *paths, struct folder *folder)
{
        struct clearing *clearing = arg;
        struct entry *entry = folder_find(folder, clearing->link);
        bool present = strcmp(folder->name, clearing->name) == 0;
        int error = 0;

        if (!folder->count && !present) folder_remove(folder); /* of a crash */
        if (!entry) return 0;
        if (present && clearing->intact) error = write_without(folder, paths, entry);
        return error ? error : forget(folder, entry);
}

int dns_file_clear(const struct dns_paths *paths, const char *link)
{
        struct clearing clearing = { 0 };
        int fd, error;

        if (!any_folder(paths)) return 0;
        if ((fd = lock(paths)) < 0) return fd;
        snprintf(clearing.link, sizeof clearing.link, "%s", link);
        char *resolv_conf = read_text(paths->resolv_conf);
        if (!resolv_conf || !dns_text_parse(resolv_conf, clearing.name, &clearing.intact)) clearing.name[0] = '\0';
        error = visit_folders(paths, "", clear_in, &clearing);
        free(resolv_conf);
        close(fd);
        return error;
}
