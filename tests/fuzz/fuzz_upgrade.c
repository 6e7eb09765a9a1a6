/* Any inner packet as a frame of the session upgrade, from a peer that is authentic and hostile. What must hold, else
 * abort(): a frame that is taken is the packet, byte for byte, and says the length that it has; a refused one leaves no
 * trace; an OFFER is answered with what finishes on its side, or not at all; no ACCEPT finishes here, for nobody knows
 * the exporter. */
#include "crypto/upgrade.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct key exporter = { { 1, 2, 3 } };
static const uint8_t h[KDF_HASH_LEN] = { 4, 5, 6 };
static const struct mlkem_secret secret = { { 7, 8, 9 } };
static const struct upgrade_terms all = { .costs = { 81, 53, 59 } };

static void check(bool ok)
{
        if (!ok) abort();
}

static void check_taken(const struct upgrade_frame *frame, const uint8_t *data, size_t size)
{
        static const struct upgrade_frame zero;
        size_t length = le16_get(frame->header.length);

        check(upgrade_is_frame(data, size));
        check(upgrade_padded(frame) == size && length <= size && size - length <= 16);
        check(memcmp(frame, data, size) == 0);
        check(memcmp((const uint8_t *)frame + length, &zero, sizeof *frame - length) == 0);
}

static void check_offer(const struct upgrade_frame *offer)
{
        struct upgrade_reply reply = { .terms = all, .index = 10 };
        struct upgrade_keys ours, theirs;
        struct upgrade_frame accept, again;
        bool kem = offer->header.kem == UPGRADE_KEM_MLKEM768;
        int cipher = upgrade_choose(all.costs, offer->header.cost);
        enum upgrade_verdict verdict;

        if (cipher < 0) return;
        reply.cipher = (uint8_t)cipher;
        verdict = upgrade_answer(&accept, &ours, &exporter, h, offer, &reply);
        check(verdict == UPGRADE_OK || (kem && verdict == UPGRADE_BAD_KEM));
        if (verdict != UPGRADE_OK) return;
        check(upgrade_decode(&again, (const uint8_t *)&accept, upgrade_padded(&accept)) == UPGRADE_OK);
        check(memcmp(&again, &accept, sizeof again) == 0);
        if (kem) return; /* whose secret only the peer has */
        check(upgrade_finish(&theirs, &exporter, h, offer, NULL, &accept) == UPGRADE_OK);
        check(memcmp(&ours, &theirs, sizeof ours) == 0);
}

static void check_accept(const struct upgrade_frame *accept)
{
        static const struct upgrade_keys none;
        struct upgrade_keys keys = none;
        struct mlkem_public key = { { 0 } };
        struct upgrade_frame offer;
        bool kem = accept->header.kem == UPGRADE_KEM_MLKEM768;

        if (kem) mlkem_derive_public(&key, &secret);
        upgrade_offer(&offer, &all, 11, kem ? &key : NULL);
        check(upgrade_finish(&keys, &exporter, h, &offer, &secret, accept) != UPGRADE_OK);
        check(memcmp(&keys, &none, sizeof keys) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static bool ready;
        struct upgrade_frame frame, before;

        if (!ready) {
                check(sodium_init() >= 0);
                mlkem_init();
                ready = true;
        }
        memset(&frame, 0xa5, sizeof frame);
        before = frame;
        if (upgrade_decode(&frame, data, size) != UPGRADE_OK) {
                check(memcmp(&frame, &before, sizeof frame) == 0);
                return 0;
        }
        check_taken(&frame, data, size);
        if (frame.header.type == UPGRADE_OFFER) check_offer(&frame);
        if (frame.header.type == UPGRADE_ACCEPT) check_accept(&frame);
        return 0;
}
