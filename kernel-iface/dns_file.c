#include "kernel-iface/dns_file.h"

#include "kernel-iface/dns_folder.h"
#include "kernel-iface/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 100, LOCK_STEP = 20000000 /* ns */ };

const struct dns_paths dns_paths = { "/etc/resolv.conf", "/var/lib/adit/dns" };

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
        char *text = file_read(paths->resolv_conf);
        bool named = text && dns_text_is_resolvconf(text);

        free(text);
        if (!named && readlink(paths->resolv_conf, target, sizeof target - 1) > 0)
                named = strstr(target, "resolvconf/");
        return named;
}

/* A link that does not use the file makes no folder to look for it. 0: there is none; 1; or -errno. */
static int any_folder(const struct dns_paths *paths)
{
        if (access(paths->folder, F_OK) == 0) return 1;
        return errno == ENOENT ? 0 : -errno;
}

/* What is not known is not "none": the original would be thrown away for a moment without descriptors. */
static int read_resolv_conf(const struct dns_paths *paths, char **text)
{
        *text = file_read(paths->resolv_conf);
        return *text || errno == ENOENT ? 0 : -errno;
}

/* Calls `visit` with each folder but that one, until it does not answer 0. */
static int visit_folders(const struct dns_paths *paths, const char *but,
                         int (*visit)(void *arg, const struct dns_paths *paths, struct dns_folder *folder), void *arg)
{
        static struct dns_folder folder;
        DIR *dir = opendir(paths->folder);
        struct dirent *at;
        int error = 0;

        if (!dir) return -errno;
        while (!error && (errno = 0, at = readdir(dir))) {
                if (at->d_name[0] == '.' || strlen(at->d_name) >= DNS_FOLDER || strcmp(at->d_name, but) == 0) continue;
                error = dns_folder_read(&folder, paths, at->d_name);
                if (!error) error = visit(arg, paths, &folder);
                dns_folder_free(&folder);
                if (error == -ENOENT || error == -ENOTDIR) error = 0; /* it has just gone, or is not ours */
        }
        if (!error && !at && errno) error = -errno;
        closedir(dir);
        return error;
}

/* And a folder that nobody needs, of a crash. */
static int forget_link(void *link, const struct dns_paths *paths, struct dns_folder *folder)
{
        struct dns_entry *entry = dns_folder_find(folder, link);

        (void)paths;
        if (!folder->count) dns_folder_remove(folder);
        return entry ? dns_folder_forget(folder, entry) : 0;
}

struct reading {
        const char *link, *resolv_conf;
        char **text;
};

/* "" unless the file says all that this folder does. */
static int read_in(void *arg, const struct dns_paths *paths, struct dns_folder *folder)
{
        struct reading *reading = arg;
        struct dns_entry *entry = dns_folder_find(folder, reading->link);

        (void)paths;
        if (!entry || (*reading->text && **reading->text)) return 0;
        char *wanted = dns_folder_join(folder, NULL);
        bool whole = wanted && reading->resolv_conf && strcmp(wanted, reading->resolv_conf) == 0;
        free(wanted);
        free(*reading->text);
        *reading->text = strdup(whole ? entry->text : "");
        return *reading->text ? 0 : -ENOMEM;
}

int dns_file_read(const struct dns_paths *paths, const char *link, char **text)
{
        struct reading reading = { .link = link, .text = text };
        int fd, error = any_folder(paths);
        char *resolv_conf;

        *text = NULL;
        if (error <= 0) return error;
        if ((fd = lock(paths)) < 0) return fd;
        error = read_resolv_conf(paths, &resolv_conf);
        reading.resolv_conf = resolv_conf;
        if (!error) error = visit_folders(paths, "", read_in, &reading);
        free(resolv_conf);
        close(fd);
        return error;
}

static int write_resolv_conf(const struct dns_folder *folder, const struct dns_paths *paths,
                             const struct dns_entry *without)
{
        static const struct stat readable = { .st_mode = 0644 };
        char *text = dns_folder_join(folder, without);
        int error = text ? file_put(paths->resolv_conf, text, &readable) : -ENOMEM;

        free(text);
        return error;
}

/* The file without this link: of the others, or what it was. */
static int write_without(struct dns_folder *folder, const struct dns_paths *paths, struct dns_entry *entry)
{
        return folder->count > 1 ? write_resolv_conf(folder, paths, entry) : dns_folder_put_back(folder, paths);
}

static int set_in(struct dns_folder *folder, const struct dns_paths *paths, const char *link, const char *text)
{
        bool new = !dns_folder_find(folder, link);
        int error = dns_folder_set(folder, link, text); /* first: from it the file can be made, or put back */

        if (!error) error = write_resolv_conf(folder, paths, NULL);
        struct dns_entry *entry = dns_folder_find(folder, link);
        if (error && new &&entry && !write_without(folder, paths, entry)) dns_folder_forget(folder, entry);
        return error;
}

int dns_file_set(const struct dns_paths *paths, const char *link, const char *text)
{
        static struct dns_folder folder;
        char own[IFNAMSIZ];
        bool intact;
        int fd = lock(paths), error;
        char *resolv_conf;

        if (fd < 0) return fd;
        snprintf(own, sizeof own, "%s", link);
        error = read_resolv_conf(paths, &resolv_conf);
        if (!error) error = dns_folder_of(&folder, paths, resolv_conf, &intact);
        if (error == -ENOENT) error = dns_folder_make(&folder, paths, resolv_conf);
        if (!error) error = set_in(&folder, paths, own, text);
        if (!error) visit_folders(paths, folder.name, forget_link, own); /* of a file that others overwrote */
        dns_folder_free(&folder);
        free(resolv_conf);
        close(fd);
        return error;
}

struct clearing {
        char link[IFNAMSIZ];
        char name[DNS_FOLDER]; /* of the folder that the present resolv.conf names; "" */
        bool intact;
        bool cut; /* it is empty: who wrote it in place was killed meanwhile */
};

static int clear_in(void *arg, const struct dns_paths *paths, struct dns_folder *folder)
{
        struct clearing *clearing = arg;
        struct dns_entry *entry = dns_folder_find(folder, clearing->link);
        bool present = strcmp(folder->name, clearing->name) == 0;
        int error = 0;

        if (!folder->count && !present) dns_folder_remove(folder); /* of a crash */
        if (!entry) return 0;
        if (clearing->cut || (present && clearing->intact)) error = write_without(folder, paths, entry);
        return error ? error : dns_folder_forget(folder, entry);
}

int dns_file_clear(const struct dns_paths *paths, const char *link)
{
        struct clearing clearing = { 0 };
        int fd, error = any_folder(paths);
        char *resolv_conf;

        if (error <= 0) return error;
        if ((fd = lock(paths)) < 0) return fd;
        snprintf(clearing.link, sizeof clearing.link, "%s", link);
        error = read_resolv_conf(paths, &resolv_conf);
        if (!resolv_conf || !dns_text_parse(resolv_conf, clearing.name, &clearing.intact)) clearing.name[0] = '\0';
        clearing.cut = resolv_conf && !*resolv_conf;
        if (!error) error = visit_folders(paths, "", clear_in, &clearing);
        free(resolv_conf);
        close(fd);
        return error;
}
