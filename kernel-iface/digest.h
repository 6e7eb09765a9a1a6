/* FNV-1a: tells one text from another, and stops nobody. Begin with DIGEST_NONE_YET. */
#ifndef KERNEL_IFACE_DIGEST_H
#define KERNEL_IFACE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

static const uint64_t DIGEST_NONE_YET = 14695981039346656037u;

static inline uint64_t digest_add(uint64_t digest, const void *bytes, size_t len)
{
        for (size_t i = 0; i < len; i++)
                digest = (digest ^ ((const uint8_t *)bytes)[i]) * 1099511628211u;
        return digest;
}

/* Never 0, which stands for none. */
static inline uint64_t digest_of(const void *bytes, size_t len)
{
        uint64_t digest = digest_add(DIGEST_NONE_YET, bytes, len);

        return digest ? digest : 1;
}

#endif
