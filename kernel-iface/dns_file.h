/* /etc/resolv.conf, replaced by what the links of ours want, and put back (dns.h). Every call takes a lock that all
 * links share, and answers 0 or -errno. */
#ifndef KERNEL_IFACE_DNS_FILE_H
#define KERNEL_IFACE_DNS_FILE_H

#include <stdbool.h>

struct dns_paths {
        const char *resolv_conf;
        const char
                *folder; /* of folders: in each, what a resolv.conf was (`original`, and its `text`), and NUMBER.LINK */
};
extern const struct dns_paths dns_paths; /* the host's */

/* Whether resolvconf makes the file, by what it says of itself or where it leads. */
bool dns_file_is_resolvconf(const struct dns_paths *paths);
/* *text: what this link was given and the file has as we wrote it; "" when it was given something and the file is not
 * so; NULL when it was given nothing. To be freed. */
int dns_file_read(const struct dns_paths *paths, const char *link, char **text);
/* By rename; in place where something is mounted over it. */
int dns_file_set(const struct dns_paths *paths, const char *link, const char *text);
/* A file that another program has changed since is left as it is. */
int dns_file_clear(const struct dns_paths *paths, const char *link);

#endif
