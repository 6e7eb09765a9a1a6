#include "daemon/proto/inner.h"

enum { IPV4_HEADER = 20, IPV6_HEADER = 40 };

static size_t be16(const uint8_t *in)
{
        return (size_t)in[0] << 8 | in[1];
}

bool inner_parse(struct inner *inner, const uint8_t *packet, size_t len)
{
        uint8_t version = len ? packet[0] >> 4 : 0;

        if (version == 4 && len >= IPV4_HEADER) {
                *inner = (struct inner){ 4, packet + 12, packet + 16, be16(packet + 2) };
                return inner->len >= IPV4_HEADER;
        }
        if (version == 6 && len >= IPV6_HEADER) {
                *inner = (struct inner){ 6, packet + 8, packet + 24, IPV6_HEADER + be16(packet + 4) };
                return true;
        }
        return false;
}
