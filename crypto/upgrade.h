#ifndef ADIT_CRYPTO_UPGRADE_H
#define ADIT_CRYPTO_UPGRADE_H

#include "crypto/cipher.h"
#include "crypto/kdf.h"
#include "crypto/message.h"
#include "crypto/mlkem.h"

/* What two Adits say to each other inside an authenticated session, and the keys of the child session that comes of it.
 * The specification is docs/session-upgrade.md, version 1; a name in brackets is its paragraph. When to
 * say what is daemon/proto's affair. Pure: indices, costs and randomness come in as arguments. Nothing is kept: the
 * exporter, the ML-KEM secret and the keys are the caller's, who wipes them; what is made here on the way (the ML-KEM
 * shared secret, the PRK, the rest of the tag's output) is wiped here.
 *
 *     initiator                                 responder
 *     upgrade_offer   ---- OFFER ---->          upgrade_decode, upgrade_choose
 *     upgrade_decode  <--- ACCEPT ----          upgrade_answer
 *     upgrade_finish
 */
enum {
        UPGRADE_SPEAKS = 1,       /* the highest version that we speak */
        UPGRADE_COSTS = 4,        /* the last is of no cipher yet */
        UPGRADE_TAG_LEN = 16,     /* [Keys] */
        UPGRADE_FRAME_MIN = 32,   /* padded */
        UPGRADE_FRAME_MAX = 1200, /* what an outer path of 1280 carries over IPv6 */
};

enum upgrade_type { UPGRADE_HELLO = 1, UPGRADE_OFFER = 2, UPGRADE_ACCEPT = 3 };

/* An OFFER and an ACCEPT name one of these; a HELLO has a bit for each that its sender can, and may use. */
enum upgrade_kem { UPGRADE_KEM_NONE = 0, UPGRADE_KEM_MLKEM768 = 1 };
enum { UPGRADE_CAN_MLKEM768 = 1 << 0 };

/* Flags. */
enum { UPGRADE_REQUIRE = 1 << 0 };

struct upgrade_header {
        uint8_t version; /* nibble 0 (no IP packet), then the version of this frame */
        uint8_t type;
        struct le16 length; /* without the padding */
        struct le32 index;  /* where the sender receives the child session */
        uint8_t kem;
        uint8_t flags;
        uint8_t cipher;
        uint8_t speaks;
        uint8_t cost[UPGRADE_COSTS]; /* by cipher id (cipher.h) */
};

/* [Frame] as it lies in a packet, and zero after its length: the plaintext is the first upgrade_padded() bytes. */
struct upgrade_frame {
        struct upgrade_header header;
        uint8_t body[UPGRADE_FRAME_MAX - sizeof(struct upgrade_header)];
};

/* Compare with ==: ok is 0. Each of the others is a reason to drop the frame. */
enum upgrade_verdict {
        UPGRADE_OK,
        UPGRADE_BAD_VERSION, /* another one than 1 */
        UPGRADE_BAD_TYPE,    /* no such type, or not the one that is looked for */
        UPGRADE_BAD_KEM,     /* an OFFER or ACCEPT with a KEM that version 1 does not have */
        UPGRADE_BAD_LENGTH,  /* not the one of this type and KEM, or the packet is not of the length padded */
        UPGRADE_BAD_PADDING, /* not zero */
        UPGRADE_NOT_OFFERED, /* the ACCEPT names a cipher or a KEM that the OFFER did not */
        UPGRADE_FORGED,      /* the tag is not that of this exporter, h, OFFER and ACCEPT */
        UPGRADE_FAILED,      /* ours: memory is short */
};

/* Of the header: what a side says of itself in every frame. `costs` 0: it cannot, or may not, use the cipher. */
struct upgrade_terms {
        uint8_t costs[CIPHER_IDS];
        uint8_t flags;
};

/* The directions are those of the parent's handshake: only its initiator offers. */
struct upgrade_keys {
        struct key i2r, r2i;
};

/* [Frame] Is this inner packet a frame, of whatever version? An empty packet (a keepalive) is none. */
static inline bool upgrade_is_frame(const uint8_t *plaintext, size_t len)
{
        return len > 0 && plaintext[0] >> 4 == 0;
}

/* [Frame] Every check that needs nothing but the frame. `len` is that of the plaintext with its padding; no byte past
 * it is read, and what is not understood (flags, bits of a HELLO's kem, cost 3, extensions of a HELLO, fields that its
 * type does not use) is left in *out and means nothing. *out is written only when ok. */
enum upgrade_verdict upgrade_decode(struct upgrade_frame *out, const uint8_t *plaintext, size_t len);

/* [Frame] The bytes to seal: the length padded to max(32, a multiple of 16). Of a frame made or taken here. */
size_t upgrade_padded(const struct upgrade_frame *frame);

/* [Frame] `kems` is a mask of UPGRADE_CAN_... */
void upgrade_hello(struct upgrade_frame *out, const struct upgrade_terms *ours, uint8_t kems);

/* [Frame] `key` is NULL for none. The same arguments give the identical OFFER. */
void upgrade_offer(struct upgrade_frame *out, const struct upgrade_terms *ours, uint32_t index,
                   const struct mlkem_public *key);

/* [Frame, Cost] From nanoseconds to seal 1420 bytes; 0 of 0, which is "unusable". */
uint8_t upgrade_cost(uint64_t ns);

/* [Frame, Cost] The responder's: the id of a cipher that costs something on both sides, or -1. */
int upgrade_choose(const uint8_t ours[CIPHER_IDS], const uint8_t theirs[CIPHER_IDS]);

/* [Keys] `exporter` and `h` are struct session_keys' (noise.h); the tag at the end of `accept` is not looked at.
 * `shared` is NULL without a KEM. */
void upgrade_derive(struct upgrade_keys *keys, uint8_t tag[UPGRADE_TAG_LEN], const struct key *exporter,
                    const uint8_t h[KDF_HASH_LEN], const struct upgrade_frame *offer,
                    const struct upgrade_frame *accept, const struct key *shared);

/* What the responder puts into its ACCEPT. `random` is fresh, and read only where the OFFER has a KEM. */
struct upgrade_reply {
        struct upgrade_terms terms;
        uint32_t index;
        uint8_t cipher; /* upgrade_choose's */
        uint8_t random[MLKEM_RANDOM_LEN];
};

/* [Frame, Keys] Responder, with an OFFER that upgrade_decode took and a policy that allows its KEM: encapsulates to its
 * key and makes the ACCEPT. UPGRADE_BAD_KEM, and nothing changed: its key is none, or we have no KEM. */
enum upgrade_verdict upgrade_answer(struct upgrade_frame *accept, struct upgrade_keys *keys, const struct key *exporter,
                                    const uint8_t h[KDF_HASH_LEN], const struct upgrade_frame *offer,
                                    const struct upgrade_reply *reply);

/* [Frame, Keys] Initiator, with its own OFFER, the secret of that OFFER's key (not looked at where there is none) and
 * an ACCEPT that upgrade_decode took. `keys` are written only when ok. */
enum upgrade_verdict upgrade_finish(struct upgrade_keys *keys, const struct key *exporter,
                                    const uint8_t h[KDF_HASH_LEN], const struct upgrade_frame *offer,
                                    const struct mlkem_secret *secret, const struct upgrade_frame *accept);

static_assert(sizeof(struct upgrade_header) == 16 && _Alignof(struct upgrade_header) == 1, "wire layout");
static_assert(offsetof(struct upgrade_header, length) == 2, "wire layout");
static_assert(offsetof(struct upgrade_header, index) == 4, "wire layout");
static_assert(offsetof(struct upgrade_header, kem) == 8, "wire layout");
static_assert(offsetof(struct upgrade_header, cost) == 12, "wire layout");
static_assert(sizeof(struct upgrade_frame) == UPGRADE_FRAME_MAX && _Alignof(struct upgrade_frame) == 1, "wire layout");
static_assert(sizeof(struct upgrade_header) + MLKEM_PUBLIC_LEN == UPGRADE_FRAME_MAX, "an OFFER with a key is full");
static_assert(CIPHER_CHACHA20_POLY1305 == 0 && CIPHER_AES_256_GCM == 1 && CIPHER_AEGIS_256 == 2 &&
                      (int)CIPHER_IDS < (int)UPGRADE_COSTS,
              "the ids of version 1");

#endif
