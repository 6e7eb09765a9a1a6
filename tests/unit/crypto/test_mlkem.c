#include "crypto/mlkem.h"

#include "tests/unit/crypto/vectors.h"

#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- SHAKE128 (FIPS 202), which the vectors are drawn from and hashed with ----------------------------------------
 */

enum { RATE = 168 };

struct shake {
        uint64_t lanes[25];
        unsigned used; /* bytes of the block */
};

static uint64_t rotate(uint64_t x, unsigned n)
{
        return n ? x << n | x >> (64 - n) : x;
}

/* The constants of rho and iota as the standard defines them: a walk, and a feedback register of 8 bits. */
static void keccak(uint64_t a[25])
{
        uint8_t lfsr = 1;

        for (int round = 0; round < 24; round++) {
                uint64_t c[5], b[25];
                for (int x = 0; x < 5; x++)
                        c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
                for (int i = 0; i < 25; i++)
                        a[i] ^= c[(i + 4) % 5] ^ rotate(c[(i + 1) % 5], 1);
                b[0] = a[0];
                for (int t = 0, x = 1, y = 0; t < 24; t++) {
                        int next = (2 * x + 3 * y) % 5;
                        b[y + 5 * next] = rotate(a[x + 5 * y], (unsigned)((t + 1) * (t + 2) / 2) % 64);
                        x = y;
                        y = next;
                }
                for (int i = 0; i < 25; i++)
                        a[i] = b[i] ^ (~b[i - i % 5 + (i + 1) % 5] & b[i - i % 5 + (i + 2) % 5]);
                for (int j = 0; j <= 6; j++) {
                        if (lfsr & 1) a[0] ^= UINT64_C(1) << ((1 << j) - 1);
                        lfsr = (uint8_t)(lfsr << 1 ^ (lfsr & 0x80 ? 0x71 : 0));
                }
        }
}

static void shake_byte(struct shake *s, unsigned at, uint8_t byte)
{
        s->lanes[at / 8] ^= (uint64_t)byte << (8 * (at % 8));
}

static void shake_absorb(struct shake *s, const void *data, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                shake_byte(s, s->used++, ((const uint8_t *)data)[i]);
                if (s->used < RATE) continue;
                keccak(s->lanes);
                s->used = 0;
        }
}

static void shake_finish(struct shake *s)
{
        shake_byte(s, s->used, 0x1f);
        shake_byte(s, RATE - 1, 0x80);
        s->used = RATE;
}

static void shake_squeeze(struct shake *s, void *out, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                if (s->used == RATE) {
                        keccak(s->lanes);
                        s->used = 0;
                }
                ((uint8_t *)out)[i] = (uint8_t)(s->lanes[s->used / 8] >> (8 * (s->used % 8)));
                s->used++;
        }
}

/* ---- Tests: those of a build without ML-KEM have nothing to see, but that there is none -------------------------- */

struct exchange {
        struct mlkem_secret secret;
        struct mlkem_public key;
        struct mlkem_ciphertext ciphertext;
        uint8_t random[MLKEM_RANDOM_LEN];
        struct key sent, received;
};

static void exchange(struct exchange *x)
{
        memset(x, 0, sizeof *x);
        randombytes_buf(&x->secret, sizeof x->secret);
        randombytes_buf(x->random, sizeof x->random);
        assert_true(mlkem_derive_public(&x->key, &x->secret));
        assert_true(mlkem_encapsulate(&x->ciphertext, &x->sent, &x->key, x->random));
        assert_true(mlkem_decapsulate(&x->received, &x->ciphertext, &x->secret));
        assert_true(key_equal(&x->sent, &x->received));
}

/* Runs first: nobody has called mlkem_init. */
static void nothing_before_init(void **state)
{
        struct exchange x, before;

        (void)state;
        memset(&x, 0xa5, sizeof x);
        before = x;
        assert_false(mlkem_available());
        assert_null(mlkem_implementation());
        assert_false(mlkem_derive_public(&x.key, &x.secret));
        assert_false(mlkem_encapsulate(&x.ciphertext, &x.sent, &x.key, x.random));
        assert_false(mlkem_decapsulate(&x.received, &x.ciphertext, &x.secret));
        assert_memory_equal(&x, &before, sizeof x);
}

/* libsodium has it since 1.0.22, whose library is 26.4. */
static void it_is_there(void **state)
{
        bool sodium = SODIUM_LIBRARY_VERSION_MAJOR > 26 ||
                      (SODIUM_LIBRARY_VERSION_MAJOR == 26 && SODIUM_LIBRARY_VERSION_MINOR >= 4);
        const char *expected = sodium ? "libsodium" : NULL;

        (void)state;
#ifdef HAVE_OPENSSL_MLKEM
        if (!expected) expected = "OpenSSL";
#endif
        assert_int_equal(mlkem_init(), expected != NULL);
        assert_int_equal(mlkem_init(), mlkem_available()); /* again does no harm */
        if (expected) assert_string_equal(mlkem_implementation(), expected);
        else assert_null(mlkem_implementation());
        print_message("# ML-KEM-768: %s\n", mlkem_available() ? mlkem_implementation() : "none");
}

static void round_trips(void **state)
{
        struct exchange x, y;

        (void)state;
        if (!mlkem_available()) return;
        exchange(&x);
        exchange(&y);
        assert_memory_not_equal(&x.key, &y.key, sizeof x.key);
        assert_memory_not_equal(&x.sent, &y.sent, sizeof x.sent);
        assert_false(key_is_zero(&x.sent));
}

/* C2SP's CCTV, ML-KEM, unluckysample: a key whose matrix takes unusually many bytes to sample. */
static void known_answer(void **state)
{
        struct exchange x;

        (void)state;
        if (!mlkem_available()) return;
        unhex(x.secret.seed, sizeof x.secret.seed,
              "82c4a361586b9715c2375a45fb85c32d04be7fe6e26acd820ec5d4080093afe1"
              "8476013560151d986dc7834dcb57c75f845f8d7ee71558d0955f3f4feb723cf2");
        unhex(x.random, sizeof x.random, "e48f74ad416e99631003ded1478aec62a02c245d88ed7f2fae92aedf13ca03b3");
        assert_true(mlkem_derive_public(&x.key, &x.secret));
        assert_true(mlkem_encapsulate(&x.ciphertext, &x.sent, &x.key, x.random));
        assert_hex(x.key.bytes, 32, "ad568015b87690ebbe1fb438ee8a22b9ac4379a12422e34037c231341c316bc0");
        assert_hex(x.ciphertext.bytes, 32, "696ef1699d5ac2aa9a012a64c60c6c214dcedec75ff87fb3a5850044202a790b");
        assert_hex(x.sent.bytes, 32, "4f7cc64c040fc4e335a539691f4638caf8b1bf5da6455754afe699e41813801b");
        assert_true(mlkem_decapsulate(&x.received, &x.ciphertext, &x.secret));
        assert_true(key_equal(&x.sent, &x.received));
}

/* The way of CCTV's accumulated vectors, in the form and with the digest of Go's crypto/mlkem, which follows FIPS 203
 * as published and hashes no decapsulation key: a hundred public keys, ciphertexts and secrets, and the secrets of
 * ciphertexts that are noise (implicit rejection). */
static void accumulated_answers(void **state)
{
        struct shake drawn = { .used = 0 }, seen = { .used = 0 };
        struct exchange x;
        uint8_t digest[32];

        (void)state;
        if (!mlkem_available()) return;
        shake_finish(&drawn);
        for (int n = 0; n < 100; n++) {
                shake_squeeze(&drawn, x.secret.seed, sizeof x.secret.seed);
                assert_true(mlkem_derive_public(&x.key, &x.secret));
                shake_absorb(&seen, x.key.bytes, sizeof x.key.bytes);

                shake_squeeze(&drawn, x.random, sizeof x.random);
                assert_true(mlkem_encapsulate(&x.ciphertext, &x.sent, &x.key, x.random));
                assert_true(mlkem_decapsulate(&x.received, &x.ciphertext, &x.secret));
                assert_true(key_equal(&x.sent, &x.received));
                shake_absorb(&seen, x.ciphertext.bytes, sizeof x.ciphertext.bytes);
                shake_absorb(&seen, x.sent.bytes, KEY_LEN);

                shake_squeeze(&drawn, x.ciphertext.bytes, sizeof x.ciphertext.bytes);
                assert_true(mlkem_decapsulate(&x.received, &x.ciphertext, &x.secret));
                shake_absorb(&seen, x.received.bytes, KEY_LEN);
        }
        shake_finish(&seen);
        shake_squeeze(&seen, digest, sizeof digest);
        assert_hex(digest, sizeof digest, "1114b1b6699ed191734fa339376afa7e285c9e6acf6ff0177d346696ce564415");
}

/* A changed ciphertext is no error; its secret is another, and the same each time (FIPS 203, 6.3). */
static void changed_ciphertexts(void **state)
{
        struct exchange x;
        struct key again;

        (void)state;
        if (!mlkem_available()) return;
        exchange(&x);
        for (size_t bit = 0; bit < 8 * sizeof x.ciphertext; bit += 97) {
                x.ciphertext.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_true(mlkem_decapsulate(&x.received, &x.ciphertext, &x.secret));
                assert_true(mlkem_decapsulate(&again, &x.ciphertext, &x.secret));
                assert_false(key_equal(&x.received, &x.sent));
                assert_true(key_equal(&x.received, &again));
                x.ciphertext.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        x.secret.seed[MLKEM_SEED_LEN - 1] ^= 1; /* z: only what is rejected depends on it */
        assert_true(mlkem_decapsulate(&x.received, &x.ciphertext, &x.secret));
        assert_true(key_equal(&x.received, &x.sent));
        x.secret.seed[0] ^= 1;
        assert_true(mlkem_decapsulate(&x.received, &x.ciphertext, &x.secret));
        assert_false(key_equal(&x.received, &x.sent));
}

/* Coefficients are of 12 bits and below 3329 (FIPS 203, 7.2); the last 32 bytes are a seed, and any. */
static void keys_that_are_none(void **state)
{
        static const struct {
                size_t coefficient;
                uint16_t value;
                bool is_key;
        } rows[] = { { 0, 3328, true },   { 0, 3329, false },   { 1, 3328, true },    { 1, 3329, false },
                     { 0, 4095, false },  { 1, 4095, false },   { 255, 3329, false }, { 256, 3329, false },
                     { 767, 3328, true }, { 767, 3329, false }, { 768, 4095, true },  { 788, 4095, true } };
        struct exchange x, before;

        (void)state;
        if (!mlkem_available()) return;
        for (size_t n = 0; n < ROWS(rows); n++) {
                exchange(&x);
                uint8_t *at = x.key.bytes + rows[n].coefficient / 2 * 3;
                if (rows[n].coefficient % 2 == 0) {
                        at[0] = (uint8_t)rows[n].value;
                        at[1] = (uint8_t)((at[1] & 0xf0) | rows[n].value >> 8);
                } else {
                        at[1] = (uint8_t)((at[1] & 0x0f) | rows[n].value << 4);
                        at[2] = (uint8_t)(rows[n].value >> 4);
                }
                before = x;
                if (mlkem_encapsulate(&x.ciphertext, &x.sent, &x.key, x.random) != rows[n].is_key)
                        fail_msg("row %zu", n);
                if (!rows[n].is_key) assert_memory_equal(&x, &before, sizeof x);
        }
}

/* A failure between does not spoil what comes after it. */
static void after_a_failure(void **state)
{
        struct exchange x;
        struct mlkem_public bad;

        (void)state;
        if (!mlkem_available()) return;
        exchange(&x);
        memset(&bad, 0xff, sizeof bad);
        for (int n = 0; n < 100; n++)
                assert_false(mlkem_encapsulate(&x.ciphertext, &x.sent, &bad, x.random));
        exchange(&x);
}

#ifndef ADIT_SANITIZE

/* What the tunnel process may not do: one call of these kills. The rest of its allow-list is the e2e tests' affair. */
static bool confine(void)
{
        static const char *const denied[] = { "open",     "openat",     "openat2",     "socket",     "ioctl",
                                              "clone",    "clone3",     "execve",      "access",     "faccessat",
                                              "readlink", "readlinkat", "stat",        "newfstatat", "statx",
                                              "uname",    "prctl",      "sigaltstack", "prlimit64" };
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        bool ok = filter;

        for (size_t i = 0; ok && i < ROWS(denied); i++) {
                int number = seccomp_syscall_resolve_name(denied[i]);
                if (number != __NR_SCMP_ERROR)
                        ok = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, number, 0) == 0 || errno == EDOM;
        }
        ok = ok && seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(mmap), 1,
                                    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC)) == 0;
        return ok && seccomp_load(filter) == 0;
}

/* mlkem_init has done before all that needs the system, also for what fails. */
static void works_confined(void **state)
{
        int status = 0;
        pid_t child;

        (void)state;
        if (!mlkem_available()) return;
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
                struct exchange x = { .random = { 1 } };
                struct mlkem_public bad;

                memset(&bad, 0xff, sizeof bad);
                if (!confine()) _exit(2);
                _exit(!(mlkem_derive_public(&x.key, &x.secret) &&
                        !mlkem_encapsulate(&x.ciphertext, &x.sent, &bad, x.random) &&
                        mlkem_encapsulate(&x.ciphertext, &x.sent, &x.key, x.random) &&
                        mlkem_decapsulate(&x.received, &x.ciphertext, &x.secret) && key_equal(&x.sent, &x.received)));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
}

#else

static void works_confined(void **state)
{
        (void)state;
}

#endif

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nothing_before_init), cmocka_unit_test(it_is_there),
                cmocka_unit_test(round_trips),         cmocka_unit_test(known_answer),
                cmocka_unit_test(accumulated_answers), cmocka_unit_test(changed_ciphertexts),
                cmocka_unit_test(keys_that_are_none),  cmocka_unit_test(after_a_failure),
                cmocka_unit_test(works_confined),
        };

        return cmocka_run_group_tests_name("mlkem", tests, sodium_setup, NULL);
}
