#include "daemon/proto/tai64n.h"

/* TAI was 10 s ahead of UTC in 1970; leap seconds since are left out, as every WireGuard does. */
#define TAI64_EPOCH (UINT64_C(1) << 62 | 10)
#define NS_PER_S    UINT64_C(1000000000)

static void put_be(uint8_t *out, uint64_t value, unsigned len)
{
        for (unsigned i = 0; i < len; i++)
                out[i] = (uint8_t)(value >> (8 * (len - 1 - i)));
}

void tai64n_stamp(struct tai64n *clock, uint64_t wall, uint8_t out[MESSAGE_TIMESTAMP_LEN])
{
        /* Whitened within the second: the clearing of bits then never reaches into the seconds. */
        uint64_t nanoseconds = wall % NS_PER_S & ~((UINT64_C(1) << TAI64N_WHITEN_BITS) - 1);
        uint64_t time = wall - wall % NS_PER_S + nanoseconds;

        if (time <= clock->last) time = clock->last + 1;
        clock->last = time;
        put_be(out, TAI64_EPOCH + time / NS_PER_S, 8);
        put_be(out + 8, time % NS_PER_S, 4);
}
