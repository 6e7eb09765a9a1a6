#include "crypto/mlkem.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#if defined(HAVE_OPENSSL_MLKEM) && !defined(crypto_kem_mlkem768_PUBLICKEYBYTES)
#        define USE_OPENSSL 1
#        include <openssl/core_names.h>
#        include <openssl/crypto.h>
#        include <openssl/err.h>
#        include <openssl/evp.h>
#        include <openssl/params.h>
#        include <openssl/provider.h>
#endif

/* Each of the three gives: implementation, load(), derive_public(), encapsulate(), decapsulate(). */

#ifdef crypto_kem_mlkem768_PUBLICKEYBYTES

static_assert(MLKEM_SEED_LEN == crypto_kem_mlkem768_SEEDBYTES, "FIPS 203");
static_assert(MLKEM_PUBLIC_LEN == crypto_kem_mlkem768_PUBLICKEYBYTES, "FIPS 203");
static_assert(MLKEM_CIPHERTEXT_LEN == crypto_kem_mlkem768_CIPHERTEXTBYTES, "FIPS 203");
static_assert(KEY_LEN == crypto_kem_mlkem768_SHAREDSECRETBYTES, "FIPS 203");

static const char *const implementation = "libsodium";

static bool load(void)
{
        return true;
}

static bool derive_public(uint8_t *public_key, const uint8_t *seed)
{
        uint8_t secret_key[crypto_kem_mlkem768_SECRETKEYBYTES];
        bool ok = crypto_kem_mlkem768_seed_keypair(public_key, secret_key, seed) == 0;

        sodium_memzero(secret_key, sizeof secret_key);
        return ok;
}

static bool encapsulate(uint8_t *ciphertext, uint8_t *shared, const uint8_t *public_key, const uint8_t *random)
{
        return crypto_kem_mlkem768_enc_deterministic(ciphertext, shared, public_key, random) == 0;
}

static bool decapsulate(uint8_t *shared, const uint8_t *ciphertext, const uint8_t *seed)
{
        uint8_t public_key[crypto_kem_mlkem768_PUBLICKEYBYTES], secret_key[crypto_kem_mlkem768_SECRETKEYBYTES];
        bool ok = crypto_kem_mlkem768_seed_keypair(public_key, secret_key, seed) == 0 &&
                  crypto_kem_mlkem768_dec(shared, ciphertext, secret_key) == 0;

        sodium_memzero(secret_key, sizeof secret_key);
        return ok;
}

#elif defined(USE_OPENSSL)

static const char *const implementation = "OpenSSL";

/* Of our own, so that no openssl.cnf is read, and kept for ever. */
static OSSL_LIB_CTX *library;

static bool load(void)
{
        if (library) return true;
        if (!OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL)) return false;
        if (!(library = OSSL_LIB_CTX_new())) return false;
        if (OSSL_PROVIDER_load(library, "default")) return true;
        OSSL_LIB_CTX_free(library);
        library = NULL;
        return false;
}

/* The key pair of a seed; NULL when memory is short. What it holds is cleansed when it is freed. */
static EVP_PKEY *pair_new(const uint8_t *seed)
{
        uint8_t copy[MLKEM_SEED_LEN]; /* a parameter is not const */
        OSSL_PARAM params[] = { OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ML_KEM_SEED, copy, sizeof copy),
                                OSSL_PARAM_END };
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(library, "ML-KEM-768", NULL);
        EVP_PKEY *pair = NULL;

        memcpy(copy, seed, sizeof copy);
        if (context && EVP_PKEY_keygen_init(context) > 0 && EVP_PKEY_CTX_set_params(context, params) > 0)
                EVP_PKEY_generate(context, &pair);
        EVP_PKEY_CTX_free(context);
        sodium_memzero(copy, sizeof copy);
        return pair;
}

static bool derive_public(uint8_t *public_key, const uint8_t *seed)
{
        EVP_PKEY *pair = pair_new(seed);
        size_t len = MLKEM_PUBLIC_LEN;
        bool ok = pair && EVP_PKEY_get_raw_public_key(pair, public_key, &len) > 0 && len == MLKEM_PUBLIC_LEN;

        EVP_PKEY_free(pair);
        return ok;
}

static bool encapsulate(uint8_t *ciphertext, uint8_t *shared, const uint8_t *public_key, const uint8_t *random)
{
        uint8_t copy[MLKEM_RANDOM_LEN];
        OSSL_PARAM params[] = { OSSL_PARAM_octet_string(OSSL_KEM_PARAM_IKME, copy, sizeof copy), OSSL_PARAM_END };
        EVP_PKEY *to = EVP_PKEY_new_raw_public_key_ex(library, "ML-KEM-768", NULL, public_key, MLKEM_PUBLIC_LEN);
        EVP_PKEY_CTX *context = to ? EVP_PKEY_CTX_new_from_pkey(library, to, NULL) : NULL;
        size_t len = MLKEM_CIPHERTEXT_LEN, shared_len = KEY_LEN;
        bool ok;

        memcpy(copy, random, sizeof copy);
        ok = context && EVP_PKEY_encapsulate_init(context, params) > 0 &&
             EVP_PKEY_encapsulate(context, ciphertext, &len, shared, &shared_len) > 0 && len == MLKEM_CIPHERTEXT_LEN &&
             shared_len == KEY_LEN;
        EVP_PKEY_CTX_free(context);
        EVP_PKEY_free(to);
        sodium_memzero(copy, sizeof copy);
        return ok;
}

static bool decapsulate(uint8_t *shared, const uint8_t *ciphertext, const uint8_t *seed)
{
        EVP_PKEY *pair = pair_new(seed);
        EVP_PKEY_CTX *context = pair ? EVP_PKEY_CTX_new_from_pkey(library, pair, NULL) : NULL;
        size_t len = KEY_LEN;
        bool ok = context && EVP_PKEY_decapsulate_init(context, NULL) > 0 &&
                  EVP_PKEY_decapsulate(context, shared, &len, ciphertext, MLKEM_CIPHERTEXT_LEN) > 0 && len == KEY_LEN;

        EVP_PKEY_CTX_free(context);
        EVP_PKEY_free(pair);
        return ok;
}

#else

static const char *const implementation = NULL;

static bool load(void)
{
        return false;
}

static bool derive_public(uint8_t *public_key, const uint8_t *seed)
{
        (void)public_key, (void)seed;
        return false;
}

static bool encapsulate(uint8_t *ciphertext, uint8_t *shared, const uint8_t *public_key, const uint8_t *random)
{
        (void)ciphertext, (void)shared, (void)public_key, (void)random;
        return false;
}

static bool decapsulate(uint8_t *shared, const uint8_t *ciphertext, const uint8_t *seed)
{
        (void)shared, (void)ciphertext, (void)seed;
        return false;
}

#endif

/* Written by mlkem_init, before there are threads. */
static bool available;

bool mlkem_available(void)
{
        return available;
}

const char *mlkem_implementation(void)
{
        return available ? implementation : NULL;
}

/* A failure leaves its reason in OpenSSL's queue of this thread, where the next would be added to it. */
static bool settled(bool ok)
{
#ifdef USE_OPENSSL
        if (!ok) ERR_clear_error();
#endif
        return ok;
}

bool mlkem_derive_public(struct mlkem_public *out, const struct mlkem_secret *secret)
{
        struct mlkem_public made;

        if (!available || !settled(derive_public(made.bytes, secret->seed))) return false;
        *out = made;
        return true;
}

bool mlkem_encapsulate(struct mlkem_ciphertext *out, struct key *shared, const struct mlkem_public *to,
                       const uint8_t random[MLKEM_RANDOM_LEN])
{
        struct mlkem_ciphertext made;
        struct key secret;
        bool ok = available && settled(encapsulate(made.bytes, secret.bytes, to->bytes, random));

        if (ok) {
                *out = made;
                *shared = secret;
        }
        sodium_memzero(&secret, sizeof secret);
        return ok;
}

bool mlkem_decapsulate(struct key *shared, const struct mlkem_ciphertext *in, const struct mlkem_secret *secret)
{
        struct key made;
        bool ok = available && settled(decapsulate(made.bytes, in->bytes, secret->seed));

        if (ok) *shared = made;
        sodium_memzero(&made, sizeof made);
        return ok;
}

/* Both ends of one exchange, with nothing secret in it. */
static bool round_trip(void)
{
        static const struct mlkem_secret secret = { { 1, 2, 3 } };
        static const uint8_t random[MLKEM_RANDOM_LEN] = { 4, 5, 6 };
        struct mlkem_public public_key;
        struct mlkem_ciphertext ciphertext;
        struct key sent, received;

        return mlkem_derive_public(&public_key, &secret) &&
               mlkem_encapsulate(&ciphertext, &sent, &public_key, random) &&
               mlkem_decapsulate(&received, &ciphertext, &secret) && key_equal(&sent, &received);
}

bool mlkem_init(void)
{
        available = settled(load());
        if (available) available = round_trip();
        return available;
}
