/* Ciphers, replay window, handshake. */
#include "crypto/cipher.h"
#include "crypto/noise.h"
#include "crypto/replay.h"
#include "tests/bench/micro/micro.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* ---- Ciphers: a slab of plaintext into a slab of datagrams, and in place back ------------------------------------ */

enum { SMALL = 64, LARGE = 1420, STRIDE_ALIGN = 64, SMALL_PACKETS = 256, LARGE_PACKETS = 64 };

struct packets {
        const struct cipher *cipher, *reference;
        _Alignas(CIPHER_SCHEDULE_ALIGN) uint8_t schedule[CIPHER_SCHEDULE_MAX];
        _Alignas(CIPHER_SCHEDULE_ALIGN) uint8_t reference_schedule[CIPHER_SCHEDULE_MAX];
        size_t len, stride, bytes;
        unsigned count;
        uint8_t *plain, *sealed; /* `sealed` by the reference */
        uint8_t *work;
};

static uint64_t clock_of_init(void)
{
        return (uint64_t)micro_now_ns();
}

/* The first row of an id is what the others must agree with. */
static const struct cipher *reference_of(uint8_t id)
{
        for (size_t i = 0; cipher_row(i); i++)
                if (cipher_row(i)->id == id && cipher_row(i)->available()) return cipher_row(i);
        return NULL;
}

static void fill_packets(struct packets *packets)
{
        static const uint8_t seed[randombytes_SEEDBYTES] = { 7 };

        randombytes_buf_deterministic(packets->plain, packets->bytes, seed);
        for (unsigned i = 0; i < packets->count; i++)
                packets->reference->seal(packets->sealed + i * packets->stride, packets->plain + i * packets->stride,
                                         packets->len, i, packets->reference_schedule);
}

static bool setup_cipher(struct bench *bench)
{
        static const struct key key = { { 1, 2, 3, 4 } };
        static bool initialised;
        const struct cipher *cipher = bench->subject;
        struct packets *packets;

        if (!initialised) cipher_init(1, clock_of_init);
        initialised = true;
        if (!cipher->available() || !reference_of(cipher->id)) return false;

        packets = bench->state = micro_alloc(sizeof *packets);
        packets->cipher = cipher;
        packets->reference = reference_of(cipher->id);
        packets->cipher->schedule(packets->schedule, &key);
        packets->reference->schedule(packets->reference_schedule, &key);
        packets->count = bench->operations;
        packets->len = bench->size;
        packets->stride = (bench->size + cipher->tag_len + STRIDE_ALIGN - 1) & ~(size_t)(STRIDE_ALIGN - 1);
        packets->bytes = packets->count * packets->stride;
        packets->plain = micro_alloc(packets->bytes);
        packets->sealed = micro_alloc(packets->bytes);
        packets->work = micro_alloc(packets->bytes);
        fill_packets(packets);
        return true;
}

static bool run_seal(struct bench *bench)
{
        const struct packets *packets = bench->state;

        for (unsigned i = 0; i < packets->count; i++)
                packets->cipher->seal(packets->work + i * packets->stride, packets->plain + i * packets->stride,
                                      packets->len, i, packets->schedule);
        return true;
}

static bool verify_seal(struct bench *bench)
{
        const struct packets *packets = bench->state;
        bool right = true;

        memset(packets->work, 0, packets->bytes);
        run_seal(bench);
        for (unsigned i = 0; i < packets->count; i++)
                right &= memcmp(packets->work + i * packets->stride, packets->sealed + i * packets->stride,
                                packets->len + packets->cipher->tag_len) == 0;
        return right;
}

static void prepare_open(struct bench *bench)
{
        const struct packets *packets = bench->state;

        memcpy(packets->work, packets->sealed, packets->bytes);
}

static bool run_open(struct bench *bench)
{
        const struct packets *packets = bench->state;
        bool right = true;

        for (unsigned i = 0; i < packets->count; i++)
                right &= packets->cipher->open(packets->work + i * packets->stride,
                                               packets->len + packets->cipher->tag_len, i, packets->schedule);
        return right;
}

static bool opens_to_plain(struct bench *bench)
{
        const struct packets *packets = bench->state;
        bool right;

        prepare_open(bench);
        right = run_open(bench);
        for (unsigned i = 0; i < packets->count; i++)
                right &= memcmp(packets->work + i * packets->stride, packets->plain + i * packets->stride,
                                packets->len) == 0;
        return right;
}

/* Damaged, each packet in another place, the tag included. */
static bool refuses_forged(struct bench *bench)
{
        const struct packets *packets = bench->state;
        size_t sealed_len = packets->len + packets->cipher->tag_len;
        bool refused = true;

        prepare_open(bench);
        for (unsigned i = 0; i < packets->count; i++) {
                uint8_t *packet = packets->work + i * packets->stride;

                packet[sealed_len - 1 - i * 23 % sealed_len] ^= 1;
                refused &= !packets->cipher->open(packet, sealed_len, i, packets->schedule);
        }
        return refused;
}

static bool verify_open(struct bench *bench)
{
        const struct packets *packets = bench->state;

        return opens_to_plain(bench) && refuses_forged(bench) &&
               !packets->cipher->open(packets->work, packets->cipher->tag_len - 1u, 0, packets->schedule);
}

static size_t add_cipher(struct bench *out, const struct cipher *cipher, size_t len)
{
        struct bench bench = { .setup = setup_cipher,
                               .operations = len == SMALL ? SMALL_PACKETS : LARGE_PACKETS,
                               .subject = cipher,
                               .size = len };

        out[0] = out[1] = bench;
        out[0].run = run_seal;
        out[0].verify = verify_seal;
        out[1].prepare = prepare_open;
        out[1].run = run_open;
        out[1].verify = verify_open;
        for (int i = 0; i < 2; i++)
                snprintf(out[i].name, sizeof out[i].name, "%s %s, %s, %zu B", i ? "open" : "seal", cipher->name,
                         cipher->implementation, len);
        return 2;
}

/* ---- Replay window ----------------------------------------------------------------------------------------------- */

enum { COUNTERS = 4096, REVERSED = 15 /* in each block of so many and one, counters arrive backwards */ };

struct arrivals {
        struct replay window;
        uint64_t next;
        uint64_t flip; /* what arrives as i-th is counter i ^ flip */
};

static bool setup_replay(struct bench *bench)
{
        struct arrivals *arrivals = bench->state = micro_alloc(sizeof *arrivals);

        arrivals->flip = bench->size;
        return true;
}

static bool run_replay(struct bench *bench)
{
        struct arrivals *arrivals = bench->state;
        bool right = true;

        for (uint64_t i = 0; i < COUNTERS; i++)
                right &= replay_accept(&arrivals->window, (arrivals->next + i) ^ arrivals->flip);
        arrivals->next += COUNTERS;
        return right;
}

static bool verify_replay(struct bench *bench)
{
        struct arrivals *arrivals = bench->state;
        bool refused = !replay_accept(&arrivals->window, REJECT_AFTER_MESSAGES);

        while (arrivals->next <= REPLAY_WINDOW)
                if (!run_replay(bench)) return false;
        for (uint64_t i = 1; i <= arrivals->next && i <= 2 * REPLAY_WINDOW; i++) /* seen, or too old to tell */
                refused &= !replay_accept(&arrivals->window, arrivals->next - i);
        return refused;
}

/* ---- Handshake --------------------------------------------------------------------------------------------------- */

struct handshakes {
        struct identity initiator, responder;
        struct handshake ours, theirs;
        struct key ephemeral;
        uint64_t sent;
        uint8_t newest[MESSAGE_TIMESTAMP_LEN];
        struct message_initiation msg;
};

static bool setup_initiation(struct bench *bench)
{
        static const struct key private_keys[] = { { { 8, 1 } }, { { 16, 2 } }, { { 24, 3 } } };
        struct handshakes *hs = bench->state = micro_alloc(sizeof *hs);

        hs->ephemeral = private_keys[2];
        key_clamp(&hs->ephemeral);
        return noise_identity_init(&hs->initiator, &private_keys[0]) &&
               noise_identity_init(&hs->responder, &private_keys[1]) &&
               noise_precompute(&hs->ours, &hs->initiator, &hs->responder.public_key) &&
               noise_precompute(&hs->theirs, &hs->responder, &hs->initiator.public_key);
}

static enum noise_verdict consume(struct handshakes *hs)
{
        struct noise_initiation peeked;

        if (!noise_peek_initiation(&hs->responder, &hs->msg, &peeked)) return NOISE_FORGED;
        return noise_consume_initiation(&hs->theirs, &peeked, hs->newest);
}

static bool run_initiation(struct bench *bench)
{
        struct handshakes *hs = bench->state;
        uint8_t timestamp[MESSAGE_TIMESTAMP_LEN] = { 0x40 };

        hs->sent++;
        for (int i = 0; i < 8; i++)
                timestamp[MESSAGE_TIMESTAMP_LEN - 1 - i] = (uint8_t)(hs->sent >> 8 * i);
        return noise_create_initiation(&hs->ours, &hs->initiator, &hs->ephemeral, (uint32_t)hs->sent, timestamp,
                                       &hs->msg) &&
               consume(hs) == NOISE_ACCEPTED;
}

static bool verify_initiation(struct bench *bench)
{
        struct handshakes *hs = bench->state;

        if (!run_initiation(bench) || hs->theirs.remote_index != (uint32_t)hs->sent) return false;
        if (consume(hs) != NOISE_REPLAYED) return false;
        hs->msg.encrypted_timestamp[0] ^= 1;
        return consume(hs) == NOISE_FORGED;
}

size_t micro_crypto(struct bench *out)
{
        static const struct bench others[] = {
                { .name = "replay_accept, in order",
                  .setup = setup_replay,
                  .run = run_replay,
                  .verify = verify_replay,
                  .operations = COUNTERS },
                { .name = "replay_accept, 16 at a time backwards",
                  .setup = setup_replay,
                  .run = run_replay,
                  .verify = verify_replay,
                  .operations = COUNTERS,
                  .size = REVERSED },
                { .name = "noise initiation, create and consume",
                  .setup = setup_initiation,
                  .run = run_initiation,
                  .verify = verify_initiation,
                  .operations = 1 },
        };
        size_t n = 0;

        for (size_t i = 0; cipher_row(i); i++) {
                n += add_cipher(out + n, cipher_row(i), SMALL);
                n += add_cipher(out + n, cipher_row(i), LARGE);
        }
        memcpy(out + n, others, sizeof others);
        return n + sizeof others / sizeof others[0];
}
