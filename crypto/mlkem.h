#ifndef ADIT_CRYPTO_MLKEM_H
#define ADIT_CRYPTO_MLKEM_H

#include "crypto/key.h"

/* ML-KEM-768 (FIPS 203), from libsodium 1.0.22 or later, else OpenSSL 3.5 or later, whichever the build found: the same
 * bytes from either. Pure: randomness comes in as an argument, which is also what the published vectors need, and why
 * nothing here asks a library's own generator. Reentrant after mlkem_init; the caller owns and wipes all that it is
 * given, what a function made on its way it wipes itself. One call takes some 20 to 100 us. */
enum {
        MLKEM_SEED_LEN = 64,   /* d || z (FIPS 203, 6.1) */
        MLKEM_RANDOM_LEN = 32, /* m (6.2) */
        MLKEM_PUBLIC_LEN = 1184,
        MLKEM_CIPHERTEXT_LEN = 1088,
};

/* The key pair is a function of its seed and is kept as this (FIPS 203, 3.3 and 7.1): 64 random bytes instead of 2400.
 * Good for one decapsulation, then wiped. */
struct mlkem_secret {
        uint8_t seed[MLKEM_SEED_LEN];
};

struct mlkem_public {
        uint8_t bytes[MLKEM_PUBLIC_LEN];
};

struct mlkem_ciphertext {
        uint8_t bytes[MLKEM_CIPHERTEXT_LEN];
};

/* Once, after sodium_init() and before the process gives up its rights and starts threads: OpenSSL loads and looks up
 * here what it would do at first use, with open(). Tries a round trip; false, and nothing is available, when this build
 * has no ML-KEM or its library fails. */
bool mlkem_init(void);

/* False before mlkem_init. Then nothing below is to be called: it does nothing and answers false. */
bool mlkem_available(void);

/* "libsodium", "OpenSSL"; NULL when not available. */
const char *mlkem_implementation(void);

/* ML-KEM.KeyGen: the public key of a secret. False only when memory is short. */
bool mlkem_derive_public(struct mlkem_public *out, const struct mlkem_secret *secret);

/* ML-KEM.Encaps. False, with the outputs as they were, when `to` is not the encoding of a key (the modulus check of
 * 7.2), or memory is short. */
bool mlkem_encapsulate(struct mlkem_ciphertext *out, struct key *shared, const struct mlkem_public *to,
                       const uint8_t random[MLKEM_RANDOM_LEN]);

/* ML-KEM.Decaps. A ciphertext that was changed, or made for another key, is no error: it gives another secret, which
 * only this side knows (implicit rejection). False, with *shared as it was, only when memory is short. */
bool mlkem_decapsulate(struct key *shared, const struct mlkem_ciphertext *in, const struct mlkem_secret *secret);

#endif
