/* systemd-resolved's own settings of a link, over D-Bus (org.freedesktop.resolve1). libsystemd is loaded by a forked
 * child when it is needed, and by nobody else. */
#ifndef KERNEL_IFACE_DNS_RESOLVED_H
#define KERNEL_IFACE_DNS_RESOLVED_H

#include <stdbool.h>
#include <stddef.h>

/* Whether it serves this network namespace: its stub (127.0.0.53) listens here. One that serves another would take an
 * index of ours for an interface of its own. */
bool resolved_is_here(void);

/* `text` as of dns_text_make(). Sets servers, domains, and whether names that no domain leads elsewhere go there. Then
 * what it says it has is compared. 0, or -errno and `why`. */
int resolved_set(int ifindex, const char *text, char *why, size_t size);
/* What it has of the link, in an order and spelling of its own; "": nothing. */
int resolved_get(int ifindex, char *text, size_t size);
bool resolved_same(const char *text, const char *got);
int resolved_clear(int ifindex, char *why, size_t size);

#endif
