#include "daemon/data/lane.h"

enum { NOT_ECT = 0, ECT0 = 2, CE = 3 }; /* RFC 3168, 5 */

static uint8_t ecn_of(const uint8_t *packet)
{
        return packet[0] >> 4 == 4 ? packet[1] & 3 : packet[1] >> 4 & 3;
}

uint8_t ecn_outward(const uint8_t *packet)
{
        uint8_t inner = ecn_of(packet);

        return inner == CE ? ECT0 : inner;
}

/* One bit changes from ECT to CE: the header's sum grows by as much (RFC 1624). */
static void set_ce4(uint8_t *packet, uint8_t inner)
{
        uint32_t sum = (uint32_t)(packet[10] << 8 | packet[11]) + 0xffff - (CE - inner);

        sum = (sum & 0xffff) + (sum >> 16);
        packet[10] = (uint8_t)(sum >> 8);
        packet[11] = (uint8_t)sum;
        packet[1] |= CE;
}

void ecn_inward(uint8_t *packet, size_t len, uint8_t outer)
{
        uint8_t inner = ecn_of(packet);

        if (outer != CE || inner == NOT_ECT || inner == CE || len < 20) return;
        if (packet[0] >> 4 == 4) set_ce4(packet, inner);
        else packet[1] |= CE << 4;
}
