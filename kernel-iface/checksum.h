/* The sum under the Internet checksum (RFC 1071), as fast as the machine can. Pure.
 *
 * The same in any byte order and word size (RFC 1071, 2), so it is taken over native words, and folded to 16 bits only
 * at the end: what is folded is stored into a packet as it stands, without htons. */
#ifndef KERNEL_IFACE_CHECKSUM_H
#define KERNEL_IFACE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* The sum of `len` bytes (at most 2^20, of any alignment; an odd one is followed by a zero). A few such sums can be
 * added before they are folded. */
uint64_t checksum_sum(const uint8_t *bytes, size_t len);

/* Folded to 16 bits, not complemented. */
static inline uint16_t checksum_fold(uint64_t sum)
{
        sum = (sum & 0xffffffff) + (sum >> 32);
        sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
        sum = (sum & 0xffff) + (sum >> 16);
        return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* Every way of summing that this machine has, the first one portable, the last one in use; *count gets how many. For
 * tests and benchmarks. */
struct checksum_method {
        const char *name;
        uint64_t (*sum)(const uint8_t *bytes, size_t len);
};
const struct checksum_method *checksum_methods(size_t *count);

#endif
