/* What the engine reads of an inner packet: its two addresses and its length. Pure. */
#ifndef DAEMON_PROTO_INNER_H
#define DAEMON_PROTO_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inner {
        uint8_t version;                     /* 4 or 6 */
        const uint8_t *source, *destination; /* 4 or 16 bytes, inside the packet */
        size_t len;                          /* what the header says, at least that of the header */
};

/* False: neither IPv4 nor IPv6, or shorter than its header. Not checked: inner.len against `len`. */
bool inner_parse(struct inner *inner, const uint8_t *packet, size_t len);

#endif
