#include "crypto/upgrade.h"

#include <sodium.h>
#include <string.h>

enum {
        FRAME_VERSION = 0x01,
        HEADER_LEN = sizeof(struct upgrade_header),
        OFFER_LEN = HEADER_LEN,
        OFFER_MLKEM_LEN = HEADER_LEN + MLKEM_PUBLIC_LEN,
        ACCEPT_LEN = HEADER_LEN + UPGRADE_TAG_LEN,
        ACCEPT_MLKEM_LEN = HEADER_LEN + MLKEM_CIPHERTEXT_LEN + UPGRADE_TAG_LEN,
};

static_assert(ACCEPT_MLKEM_LEN == 1120, "the specification's");

/* ---- Frames ------------------------------------------------------------------------------------------------------ */

static size_t padded(size_t length)
{
        size_t whole = (length + MESSAGE_PADDING - 1) / MESSAGE_PADDING * MESSAGE_PADDING;

        return whole < UPGRADE_FRAME_MIN ? UPGRADE_FRAME_MIN : whole;
}

size_t upgrade_padded(const struct upgrade_frame *frame)
{
        return padded(le16_get(frame->header.length));
}

/* A HELLO may say more in a later version; the others are of one length. */
static bool length_is_right(const struct upgrade_header *header)
{
        size_t length = le16_get(header->length);
        bool kem = header->kem != UPGRADE_KEM_NONE;

        if (header->type == UPGRADE_HELLO) return length >= HEADER_LEN;
        if (header->type == UPGRADE_OFFER) return length == (kem ? OFFER_MLKEM_LEN : OFFER_LEN);
        return length == (kem ? ACCEPT_MLKEM_LEN : ACCEPT_LEN);
}

enum upgrade_verdict upgrade_decode(struct upgrade_frame *out, const uint8_t *plaintext, size_t len)
{
        struct upgrade_header header;
        size_t length;

        if (len < UPGRADE_FRAME_MIN || len > UPGRADE_FRAME_MAX) return UPGRADE_BAD_LENGTH;
        memcpy(&header, plaintext, sizeof header);
        length = le16_get(header.length);
        if (header.version != FRAME_VERSION) return UPGRADE_BAD_VERSION;
        if (header.type < UPGRADE_HELLO || header.type > UPGRADE_ACCEPT) return UPGRADE_BAD_TYPE;
        if (header.type != UPGRADE_HELLO && header.kem > UPGRADE_KEM_MLKEM768) return UPGRADE_BAD_KEM;
        if (!length_is_right(&header) || len != padded(length)) return UPGRADE_BAD_LENGTH;
        for (size_t i = length; i < len; i++)
                if (plaintext[i]) return UPGRADE_BAD_PADDING;

        memset(out, 0, sizeof *out);
        memcpy(out, plaintext, len);
        return UPGRADE_OK;
}

static void begin(struct upgrade_frame *out, enum upgrade_type type, uint16_t length, const struct upgrade_terms *ours)
{
        memset(out, 0, sizeof *out);
        out->header.version = FRAME_VERSION;
        out->header.type = (uint8_t)type;
        out->header.length = le16_put(length);
        out->header.flags = ours->flags;
        out->header.speaks = UPGRADE_SPEAKS;
        memcpy(out->header.cost, ours->costs, sizeof ours->costs);
}

void upgrade_hello(struct upgrade_frame *out, const struct upgrade_terms *ours, uint8_t kems)
{
        begin(out, UPGRADE_HELLO, HEADER_LEN, ours);
        out->header.kem = kems;
}

void upgrade_offer(struct upgrade_frame *out, const struct upgrade_terms *ours, uint32_t index,
                   const struct mlkem_public *key)
{
        begin(out, UPGRADE_OFFER, key ? OFFER_MLKEM_LEN : OFFER_LEN, ours);
        out->header.index = le32_put(index);
        if (!key) return;
        out->header.kem = UPGRADE_KEM_MLKEM768;
        memcpy(out->body, key->bytes, sizeof key->bytes);
}

/* ---- Choice ------------------------------------------------------------------------------------------------------ */

uint8_t upgrade_cost(uint64_t ns)
{
        static const uint64_t least = 8, most = UINT64_C(1) << 31;
        unsigned e = 3;

        if (ns == 0) return 0;
        if (ns < least) ns = least;
        if (ns > most) ns = most;
        while (ns >> (e + 1))
                e++;
        return (uint8_t)(8 * e + ((ns >> (e - 3)) & 7));
}

int upgrade_choose(const uint8_t ours[CIPHER_IDS], const uint8_t theirs[CIPHER_IDS])
{
        int best = -1, best_max = 0, best_sum = 0;

        for (int id = 0; id < CIPHER_IDS; id++) {
                int max = ours[id] > theirs[id] ? ours[id] : theirs[id], sum = ours[id] + theirs[id];
                if (!ours[id] || !theirs[id]) continue;
                if (best >= 0 && (max > best_max || (max == best_max && sum >= best_sum))) continue;
                best = id;
                best_max = max;
                best_sum = sum;
        }
        return best;
}

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

/* TH, of what both sides know and nobody hides. The last of `accept` is its tag. */
static void transcript(uint8_t th[KDF_HASH_LEN], const uint8_t h[KDF_HASH_LEN], const struct upgrade_frame *offer,
                       const struct upgrade_frame *accept)
{
        static const char label[16] = "adit-upgrade-1";
        uint8_t start[sizeof label + KDF_HASH_LEN + UPGRADE_FRAME_MAX];
        size_t offer_len = le16_get(offer->header.length), used = 0;

        memcpy(start, label, sizeof label);
        used += sizeof label;
        memcpy(start + used, h, KDF_HASH_LEN);
        used += KDF_HASH_LEN;
        memcpy(start + used, offer, offer_len);
        used += offer_len;
        kdf_hash(th, start, used, accept, le16_get(accept->header.length) - UPGRADE_TAG_LEN);
}

void upgrade_derive(struct upgrade_keys *keys, uint8_t tag[UPGRADE_TAG_LEN], const struct key *exporter,
                    const uint8_t h[KDF_HASH_LEN], const struct upgrade_frame *offer,
                    const struct upgrade_frame *accept, const struct key *shared)
{
        uint8_t input[KEY_LEN + KDF_HASH_LEN] = { 0 }, c[KDF_HASH_LEN]; /* ss || TH */

        if (shared) memcpy(input, shared->bytes, KEY_LEN);
        transcript(input + KEY_LEN, h, offer, accept);
        kdf3(keys->i2r.bytes, keys->r2i.bytes, c, exporter->bytes, input, sizeof input);
        memcpy(tag, c, UPGRADE_TAG_LEN);
        sodium_memzero(input, sizeof input);
        sodium_memzero(c, sizeof c);
}

/* Where in the body of an ACCEPT its tag is: last. */
static size_t tag_at(const struct upgrade_frame *accept)
{
        return le16_get(accept->header.length) - HEADER_LEN - UPGRADE_TAG_LEN;
}

enum upgrade_verdict upgrade_answer(struct upgrade_frame *accept, struct upgrade_keys *keys, const struct key *exporter,
                                    const uint8_t h[KDF_HASH_LEN], const struct upgrade_frame *offer,
                                    const struct upgrade_reply *reply)
{
        bool kem = offer->header.kem == UPGRADE_KEM_MLKEM768;
        enum upgrade_verdict verdict = UPGRADE_BAD_KEM;
        struct mlkem_ciphertext ciphertext;
        struct upgrade_frame made;
        struct mlkem_public to;
        struct key shared;

        if (offer->header.type != UPGRADE_OFFER) return UPGRADE_BAD_TYPE;

        begin(&made, UPGRADE_ACCEPT, kem ? ACCEPT_MLKEM_LEN : ACCEPT_LEN, &reply->terms);
        made.header.index = le32_put(reply->index);
        made.header.kem = offer->header.kem;
        made.header.cipher = reply->cipher;
        if (kem) {
                memcpy(to.bytes, offer->body, sizeof to.bytes);
                if (!mlkem_encapsulate(&ciphertext, &shared, &to, reply->random)) goto out;
                memcpy(made.body, ciphertext.bytes, sizeof ciphertext.bytes);
        }
        upgrade_derive(keys, made.body + tag_at(&made), exporter, h, offer, &made, kem ? &shared : NULL);
        *accept = made;
        verdict = UPGRADE_OK;
out:
        sodium_memzero(&shared, sizeof shared);
        return verdict;
}

enum upgrade_verdict upgrade_finish(struct upgrade_keys *keys, const struct key *exporter,
                                    const uint8_t h[KDF_HASH_LEN], const struct upgrade_frame *offer,
                                    const struct mlkem_secret *secret, const struct upgrade_frame *accept)
{
        bool kem = offer->header.kem == UPGRADE_KEM_MLKEM768;
        enum upgrade_verdict verdict = UPGRADE_FAILED;
        struct mlkem_ciphertext ciphertext;
        uint8_t tag[UPGRADE_TAG_LEN];
        struct upgrade_keys derived;
        struct key shared;

        if (offer->header.type != UPGRADE_OFFER || accept->header.type != UPGRADE_ACCEPT) return UPGRADE_BAD_TYPE;
        if (accept->header.kem != offer->header.kem || accept->header.cipher >= CIPHER_IDS ||
            !offer->header.cost[accept->header.cipher])
                return UPGRADE_NOT_OFFERED;
        if (kem) {
                memcpy(ciphertext.bytes, accept->body, sizeof ciphertext.bytes);
                if (!mlkem_decapsulate(&shared, &ciphertext, secret)) goto out;
        }
        upgrade_derive(&derived, tag, exporter, h, offer, accept, kem ? &shared : NULL);
        verdict = UPGRADE_FORGED;
        if (sodium_memcmp(tag, accept->body + tag_at(accept), sizeof tag) != 0) goto out;

        *keys = derived;
        verdict = UPGRADE_OK;
out:
        sodium_memzero(&shared, sizeof shared);
        sodium_memzero(&derived, sizeof derived);
        sodium_memzero(tag, sizeof tag);
        return verdict;
}
