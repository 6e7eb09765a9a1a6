/* What one /etc/resolv.conf of ours stands for: the folder that its first line names. In it are the file that was there
 * before (`original`, and its `text`), and for each link what it wants (NUMBER.LINK). Used by dns_file.c only. */
#ifndef KERNEL_IFACE_DNS_FOLDER_H
#define KERNEL_IFACE_DNS_FOLDER_H

#include "kernel-iface/dns_file.h"
#include "kernel-iface/dns_text.h"

#include <limits.h>
#include <net/if.h>

enum { DNS_ENTRIES_MAX = 64 };

struct dns_entry {
        unsigned number; /* the higher, the newer */
        char link[IFNAMSIZ];
        char *text;
};

struct dns_folder {
        char path[PATH_MAX - 64];
        char name[DNS_FOLDER];
        struct dns_entry entries[DNS_ENTRIES_MAX]; /* the newest first */
        size_t count;
};

/* 0 or -errno; then dns_folder_free(). */
int dns_folder_read(struct dns_folder *out, const struct dns_paths *paths, const char *name);
/* The folder that this resolv.conf names. -ENOENT: none, it is not ours. */
int dns_folder_of(struct dns_folder *out, const struct dns_paths *paths, const char *resolv_conf, bool *intact);
/* A new one, for the resolv.conf that is there now (NULL: there is none). */
int dns_folder_make(struct dns_folder *out, const struct dns_paths *paths, const char *resolv_conf);
void dns_folder_free(struct dns_folder *folder);
/* From the disk; its entries are gone already. */
void dns_folder_remove(const struct dns_folder *folder);

struct dns_entry *dns_folder_find(struct dns_folder *folder, const char *link);
/* What a link wants, on the disk and here; a new one is the newest. Or it wants nothing any more: with its last entry
 * the folder goes. 0 or -errno. */
int dns_folder_set(struct dns_folder *folder, const char *link, const char *text);
int dns_folder_forget(struct dns_folder *folder, struct dns_entry *entry);
/* The text of the resolv.conf of all entries but `without` (may be NULL). NULL: no memory,
 * or it cannot be read. */
char *dns_folder_join(const struct dns_folder *folder, const struct dns_entry *without);
/* The original comes back: a file, a symbolic link, or nothing. */
int dns_folder_put_back(const struct dns_folder *folder, const struct dns_paths *paths);

#endif
