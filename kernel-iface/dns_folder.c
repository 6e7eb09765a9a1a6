#include "kernel-iface/dns_folder.h"

#include "kernel-iface/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int compare_entries(const void *a, const void *b)
{
        const struct dns_entry *x = a, *y = b;

        return (x->number < y->number) - (x->number > y->number);
}

void dns_folder_free(struct dns_folder *folder)
{
        for (size_t i = 0; i < folder->count; i++)
                free(folder->entries[i].text);
        folder->count = 0;
}

static void entry_path(const struct dns_folder *folder, const struct dns_entry *entry, char path[PATH_MAX])
{
        snprintf(path, PATH_MAX, "%s/%u.%s", folder->path, entry->number, entry->link);
}

int dns_folder_read(struct dns_folder *out, const struct dns_paths *paths, const char *name)
{
        char path[PATH_MAX];
        struct dirent *at;
        int error = 0;

        out->count = 0;
        snprintf(out->name, sizeof out->name, "%s", name);
        snprintf(out->path, sizeof out->path, "%s/%s", paths->folder, name);
        DIR *dir = opendir(out->path);
        if (!dir) return -errno;
        while (!error && (errno = 0, at = readdir(dir)) && out->count < DNS_ENTRIES_MAX) {
                struct dns_entry *entry = &out->entries[out->count];
                char end;
                if (sscanf(at->d_name, "%u.%15[^/]%c", &entry->number, entry->link, &end) != 2) continue;
                entry_path(out, entry, path);
                entry->text = file_read(path);
                if (entry->text) out->count++;
                else if (errno != ENOENT) error = -errno;
        }
        if (!error && !at && errno) error = -errno; /* half of it is not to be taken for all */
        closedir(dir);
        qsort(out->entries, out->count, sizeof out->entries[0], compare_entries);
        if (error) dns_folder_free(out);
        return error;
}

struct dns_entry *dns_folder_find(struct dns_folder *folder, const char *link)
{
        for (size_t i = 0; i < folder->count; i++)
                if (strcmp(folder->entries[i].link, link) == 0) return &folder->entries[i];
        return NULL;
}

char *dns_folder_join(const struct dns_folder *folder, const struct dns_entry *without)
{
        const char *texts[DNS_ENTRIES_MAX];
        char path[PATH_MAX];
        size_t count = 0;

        for (size_t i = 0; i < folder->count; i++)
                if (&folder->entries[i] != without) texts[count++] = folder->entries[i].text;
        snprintf(path, sizeof path, "%s/text", folder->path);
        char *original = file_read(path), *text = NULL;
        if (original || errno == ENOENT) text = dns_text_join(folder->name, texts, count, original ? original : "");
        free(original);
        return text;
}

void dns_folder_remove(const struct dns_folder *folder)
{
        static const char *const files[] = { "original", ".original.adit", "text", ".text.adit" };
        char path[PATH_MAX];

        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
                snprintf(path, sizeof path, "%s/%s", folder->path, files[i]);
                unlink(path);
        }
        rmdir(folder->path);
}

int dns_folder_of(struct dns_folder *out, const struct dns_paths *paths, const char *resolv_conf, bool *intact)
{
        char name[DNS_FOLDER];

        if (!resolv_conf || !dns_text_parse(resolv_conf, name, intact)) return -ENOENT;
        return dns_folder_read(out, paths, name);
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
static int keep_original(const struct dns_folder *folder, const struct dns_paths *paths, const char *resolv_conf)
{
        char path[PATH_MAX];
        struct stat info;
        int error = 0;

        snprintf(path, sizeof path, "%s/text", folder->path);
        if (resolv_conf) error = file_replace(path, resolv_conf, NULL);
        if (error || lstat(paths->resolv_conf, &info)) return error ? error : errno == ENOENT ? 0 : -errno;
        snprintf(path, sizeof path, "%s/original", folder->path);
        if (S_ISLNK(info.st_mode)) return keep_link(paths->resolv_conf, path);
        return file_replace(path, resolv_conf ? resolv_conf : "", &info);
}

/* A symbolic link in a folder that is not for writing was left, and what it leads to was overwritten. */
static int put_text_back(const struct dns_folder *folder, const struct dns_paths *paths)
{
        char path[PATH_MAX];

        snprintf(path, sizeof path, "%s/text", folder->path);
        char *text = file_read(path);
        int error = text ? file_write_in_place(paths->resolv_conf, text) : -errno;

        free(text);
        return error;
}

static bool is_link(const char *path)
{
        struct stat info;

        return !lstat(path, &info) && S_ISLNK(info.st_mode);
}

int dns_folder_put_back(const struct dns_folder *folder, const struct dns_paths *paths)
{
        char path[PATH_MAX], next[PATH_MAX];
        struct stat info;
        int error;

        snprintf(path, sizeof path, "%s/original", folder->path);
        if (lstat(path, &info)) return errno == ENOENT && (!unlink(paths->resolv_conf) || errno == ENOENT) ? 0 : -errno;
        if (S_ISLNK(info.st_mode)) {
                if (is_link(paths->resolv_conf)) return put_text_back(folder, paths);
                file_next(paths->resolv_conf, next);
                error = keep_link(path, next);
                return error ? error : rename(next, paths->resolv_conf) ? -errno : 0;
        }
        char *text = file_read(path);
        error = text ? file_put(paths->resolv_conf, text, &info) : -errno;
        free(text);
        return error;
}

int dns_folder_make(struct dns_folder *out, const struct dns_paths *paths, const char *resolv_conf)
{
        int error;

        out->count = 0;
        snprintf(out->path, sizeof out->path, "%s/XXXXXX", paths->folder);
        if (!mkdtemp(out->path)) return -errno;
        snprintf(out->name, sizeof out->name, "%s", strrchr(out->path, '/') + 1);
        error = keep_original(out, paths, resolv_conf);
        if (error) dns_folder_remove(out);
        return error;
}

int dns_folder_set(struct dns_folder *folder, const char *link, const char *text)
{
        struct dns_entry *entry = dns_folder_find(folder, link);
        char path[PATH_MAX], *copy = strdup(text);
        int error;

        if (!copy) return -ENOMEM;
        if (!entry && folder->count == DNS_ENTRIES_MAX) {
                free(copy);
                return -ENOSPC;
        }
        if (!entry) {
                unsigned number = folder->count ? folder->entries[0].number + 1 : 1;
                entry = &folder->entries[folder->count++];
                *entry = (struct dns_entry){ .number = number };
                snprintf(entry->link, sizeof entry->link, "%s", link);
        }
        free(entry->text);
        entry->text = copy;
        entry_path(folder, entry, path);
        error = file_replace(path, text, NULL);
        qsort(folder->entries, folder->count, sizeof folder->entries[0], compare_entries);
        return error;
}

int dns_folder_forget(struct dns_folder *folder, struct dns_entry *entry)
{
        char path[PATH_MAX];

        entry_path(folder, entry, path);
        if (unlink(path) && errno != ENOENT) return -errno;
        free(entry->text);
        *entry = folder->entries[--folder->count];
        if (!folder->count) dns_folder_remove(folder);
        return 0;
}
