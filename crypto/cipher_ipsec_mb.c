#include "crypto/cipher_rows.h"

/* Intel's ipsec-mb, where the build found it. One packet a call: its job interface works on ChaCha20-Poly1305 at once
 * and in one piece (bursts of jobs gained less than 2 %), and is faster than its direct one, which asks for the
 * Poly1305 key apart. AES-GCM has only the direct one to gain from. */

#ifdef HAVE_IPSEC_MB

#        include <intel-ipsec-mb.h>
#        include <sodium.h>
#        include <stdatomic.h>
#        include <stdlib.h>

enum { MANAGERS_MAX = 256, GCM_TAG_LEN = 16, GCM_NONCE_LEN = 12 };

/* Room for managers, and the first of them: written by cipher_ipsec_mb_init, before there are threads. A manager is of
 * one thread at a time, as a job is; a thread makes its own when it comes here first, for a room that is never used
 * costs no memory. */
static void *rooms[MANAGERS_MAX];
static unsigned room_count;
static IMB_MGR *first;

static atomic_uint claimed;
static _Thread_local IMB_MGR *mine;

static IMB_MGR *manager_make(void *room)
{
        IMB_MGR *manager = imb_set_pointers_mb_mgr(room, 0, 1);
        IMB_ARCH arch = IMB_ARCH_NONE;

        if (!manager) return NULL;
        init_mb_mgr_auto(manager, &arch);
        return arch != IMB_ARCH_NONE && imb_get_errno(manager) == 0 ? manager : NULL;
}

void cipher_ipsec_mb_init(unsigned threads)
{
        const size_t size = (imb_get_mb_mgr_size() + CIPHER_SCHEDULE_ALIGN - 1) & ~(size_t)(CIPHER_SCHEDULE_ALIGN - 1);

        while (room_count < threads && room_count < MANAGERS_MAX) {
                void *room = aligned_alloc(CIPHER_SCHEDULE_ALIGN, size);
                if (!room) return;
                if (!room_count && !(first = manager_make(room))) {
                        free(room);
                        return;
                }
                rooms[room_count++] = room;
        }
}

static IMB_MGR *manager_of_this_thread(void)
{
        if (!mine && atomic_load_explicit(&claimed, memory_order_relaxed) < room_count) {
                unsigned i = atomic_fetch_add_explicit(&claimed, 1, memory_order_relaxed);
                if (i < room_count) mine = i ? manager_make(rooms[i]) : first;
        }
        return mine;
}

static bool have_manager(void)
{
        return first;
}

/* ---- ChaCha20-Poly1305 ------------------------------------------------------------------------------------------- */

enum { CHACHA_TAG_LEN = 16, CHACHA_NONCE_LEN = 12 };

/* False, with nothing done, when the thread has no manager. */
static bool chacha_run(IMB_CIPHER_DIRECTION direction, uint8_t *out, const uint8_t *in, size_t len, uint8_t *tag,
                       uint64_t counter, const void *key)
{
        IMB_MGR *manager = manager_of_this_thread();
        uint8_t nonce[CHACHA_NONCE_LEN];
        IMB_JOB *job;

        if (!manager) return false;
        cipher_nonce(nonce, sizeof nonce, counter);
        job = IMB_GET_NEXT_JOB(manager);
        job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
        job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
        job->cipher_direction = direction;
        job->chain_order = direction == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
        job->enc_keys = key;
        job->dec_keys = key;
        job->key_len_in_bytes = KEY_LEN;
        job->iv = nonce;
        job->iv_len_in_bytes = sizeof nonce;
        job->u.CHACHA20_POLY1305.aad = NULL;
        job->u.CHACHA20_POLY1305.aad_len_in_bytes = 0;
        job->src = in;
        job->dst = out;
        job->cipher_start_src_offset_in_bytes = 0;
        job->msg_len_to_cipher_in_bytes = len;
        job->hash_start_src_offset_in_bytes = 0;
        job->msg_len_to_hash_in_bytes = len;
        job->auth_tag_output = tag;
        job->auth_tag_output_len_in_bytes = CHACHA_TAG_LEN;
        IMB_SUBMIT_JOB_NOCHECK(manager); /* done on return: were it not, cipher_agrees would have seen no tag */
        return true;
}

static void chacha_seal(uint8_t *out, const uint8_t *in, size_t len, uint64_t counter, const void *key)
{
        if (!chacha_run(IMB_DIR_ENCRYPT, out, in, len, out + len, counter, key))
                cipher_chacha_padded.seal(out, in, len, counter, key);
}

static bool chacha_open(uint8_t *data, size_t len, uint64_t counter, const void *key)
{
        uint8_t tag[CHACHA_TAG_LEN];

        if (len < sizeof tag) return false;
        if (!chacha_run(IMB_DIR_DECRYPT, data, data, len - sizeof tag, tag, counter, key))
                return cipher_chacha_padded.open(data, len, counter, key);
        if (crypto_verify_16(tag, data + len - sizeof tag) == 0) return true;
        sodium_memzero(data, len); /* it was decrypted before anybody could tell */
        return false;
}

const struct cipher cipher_chacha_ipsec_mb = {
        .name = "ChaCha20-Poly1305",
        .implementation = "ipsec-mb",
        .id = CIPHER_CHACHA20_POLY1305,
        .key_len = KEY_LEN,
        .nonce_len = CHACHA_NONCE_LEN,
        .tag_len = CHACHA_TAG_LEN,
        .schedule_len = sizeof(struct key),
        .schedule = cipher_schedule_key,
        .seal = chacha_seal,
        .open = chacha_open,
        .available = have_manager,
};

/* ---- AES-256-GCM: reads the first manager's table of functions and nothing else of it, so any thread may --------- */

static_assert(sizeof(struct gcm_key_data) <= CIPHER_SCHEDULE_MAX, "a schedule fits");

static void gcm_schedule(void *schedule, const struct key *key)
{
        IMB_AES256_GCM_PRE(first, key->bytes, schedule);
}

static void gcm_seal(uint8_t *out, const uint8_t *in, size_t len, uint64_t counter, const void *schedule)
{
        struct gcm_context_data context;
        uint8_t nonce[GCM_NONCE_LEN];

        cipher_nonce(nonce, sizeof nonce, counter);
        IMB_AES256_GCM_ENC(first, schedule, &context, out, in, len, nonce, nonce, 0, out + len, GCM_TAG_LEN);
}

static bool gcm_open(uint8_t *data, size_t len, uint64_t counter, const void *schedule)
{
        struct gcm_context_data context;
        uint8_t nonce[GCM_NONCE_LEN], tag[GCM_TAG_LEN];

        if (len < sizeof tag) return false;
        cipher_nonce(nonce, sizeof nonce, counter);
        IMB_AES256_GCM_DEC(first, schedule, &context, data, data, len - sizeof tag, nonce, nonce, 0, tag, sizeof tag);
        if (crypto_verify_16(tag, data + len - sizeof tag) == 0) return true;
        sodium_memzero(data, len);
        return false;
}

/* Without the AES instructions ipsec-mb falls back to tables in memory, whose timing tells of the key. */
static bool gcm_available(void)
{
        return have_manager() && first->features & IMB_FEATURE_AESNI && first->features & IMB_FEATURE_PCLMULQDQ;
}

const struct cipher cipher_gcm_ipsec_mb = {
        .name = "AES-256-GCM",
        .implementation = "ipsec-mb",
        .id = CIPHER_AES_256_GCM,
        .key_len = KEY_LEN,
        .nonce_len = GCM_NONCE_LEN,
        .tag_len = GCM_TAG_LEN,
        .schedule_len = sizeof(struct gcm_key_data),
        .schedule = gcm_schedule,
        .seal = gcm_seal,
        .open = gcm_open,
        .available = gcm_available,
};

#else

void cipher_ipsec_mb_init(unsigned threads)
{
        (void)threads;
}

const struct cipher cipher_chacha_ipsec_mb = { .name = "ChaCha20-Poly1305",
                                               .implementation = "ipsec-mb",
                                               .id = CIPHER_CHACHA20_POLY1305,
                                               .available = cipher_never };

const struct cipher cipher_gcm_ipsec_mb = {
        .name = "AES-256-GCM", .implementation = "ipsec-mb", .id = CIPHER_AES_256_GCM, .available = cipher_never
};

#endif
