/* The text of a resolv.conf(5), and what one link wants of names as a text. Pure but for memory (malloc). */
#ifndef KERNEL_IFACE_DNS_TEXT_H
#define KERNEL_IFACE_DNS_TEXT_H

#include "kernel-iface/types.h"

/* "nameserver 192.0.2.53", "search office.example", "route corp.example": a line each. A link that names no ~domain is
 * asked for all names: it has "route .". Answers NULL without memory; "" when the link wants nothing. */
char *dns_text_make(const struct host_state *want);
uint64_t dns_text_digest(const char *text); /* never 0 */

/* A resolv.conf of several links' texts, the first one's servers first, and of the original's options. `folder`, of
 * letters and digits, is what its first line names, with a digest of the lines below. Domains for routing are nobody's
 * here: a resolv.conf knows no such thing. NULL: no memory. */
char *dns_text_join(const char *folder, const char *const *texts, size_t count, const char *original);
/* The folder that the first line of such a text names, and whether the others are as we wrote them. False: it is not
 * one of ours. */
enum { DNS_FOLDER = 32 };
bool dns_text_parse(const char *resolv_conf, char folder[DNS_FOLDER], bool *intact);

/* The same as what a person would type: resolvectl's commands for this interface, or, without one, the lines that a
 * resolv.conf gets. To be freed; NULL: no memory. */
char *dns_text_commands(const char *text, const char *interface);

/* Whether a resolv.conf is resolvconf's (openresolv's, or Debian's) by what it says of itself. */
bool dns_text_is_resolvconf(const char *resolv_conf);

#endif
