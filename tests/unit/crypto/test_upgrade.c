#include "crypto/upgrade.h"

#include "crypto/symmetric.h"
#include "tests/unit/crypto/upgrade_vectors.h"
#include "tests/unit/crypto/vectors.h"

#include <sys/mman.h>
#include <unistd.h>

/* The rows in upgrade_vectors.h come from tests/upgrade_vectors.py: the specification in another language. */

static struct upgrade_terms terms_of(const uint64_t ns[CIPHER_IDS], uint8_t flags)
{
        struct upgrade_terms terms = { .flags = flags };

        for (size_t id = 0; id < CIPHER_IDS; id++)
                terms.costs[id] = upgrade_cost(ns[id]);
        return terms;
}

static void assert_hash(const struct upgrade_frame *frame, const char *hex)
{
        uint8_t hash[KDF_HASH_LEN];

        kdf_hash(hash, frame, upgrade_padded(frame), NULL, 0);
        assert_hex(hash, sizeof hash, hex);
}

/* What was made is what is read, and zero after its length. */
static void assert_decodes(const struct upgrade_frame *frame)
{
        struct upgrade_frame again;

        memset(&again, 0xff, sizeof again);
        assert_int_equal(upgrade_decode(&again, (const uint8_t *)frame, upgrade_padded(frame)), UPGRADE_OK);
        assert_memory_equal(&again, frame, sizeof again);
}

/* ---- Choice ------------------------------------------------------------------------------------------------------ */

static void costs(void **state)
{
        (void)state;
        for (size_t n = 0; n < ROWS(cost_rows); n++)
                assert_int_equal(upgrade_cost(cost_rows[n].ns), cost_rows[n].cost);
}

/* A larger time never costs less, and a fifth more costs more. */
static void costs_keep_the_order(void **state)
{
        uint64_t next;

        (void)state;
        for (uint64_t ns = 1; ns < UINT64_C(1) << 33; ns = next) {
                next = ns + 1 + ns / 100;
                assert_true(upgrade_cost(next) >= upgrade_cost(ns));
                if (ns >= 8 && ns < UINT64_C(1) << 30) assert_true(upgrade_cost(ns + ns / 5 + 1) > upgrade_cost(ns));
        }
}

static void choices(void **state)
{
        (void)state;
        for (size_t n = 0; n < ROWS(choice_rows); n++)
                assert_int_equal(upgrade_choose(choice_rows[n].ours, choice_rows[n].theirs), choice_rows[n].choice);
}

/* The three criteria as one number; 0: not usable. */
static unsigned score(const uint8_t *ours, const uint8_t *theirs, unsigned id)
{
        unsigned max = ours[id] > theirs[id] ? ours[id] : theirs[id];

        return ours[id] && theirs[id] ? max << 16 | (unsigned)(ours[id] + theirs[id]) << 4 | id : 0;
}

static void choice_is_the_least(void **state)
{
        uint8_t sides[2][CIPHER_IDS];

        (void)state;
        for (int n = 0; n < 20000; n++) {
                unsigned least = 0;

                randombytes_buf(sides, sizeof sides);
                for (unsigned id = 0; id < CIPHER_IDS; id++) {
                        sides[0][id] %= 6;
                        sides[1][id] %= 6;
                        unsigned of_id = score(sides[0], sides[1], id);
                        if (of_id && (!least || of_id < least)) least = of_id;
                }
                assert_int_equal(upgrade_choose(sides[0], sides[1]), least ? (int)(least & 15) : -1);
                assert_int_equal(upgrade_choose(sides[1], sides[0]), least ? (int)(least & 15) : -1);
        }
}

/* ---- Frames ------------------------------------------------------------------------------------------------------ */

static void frames(void **state)
{
        (void)state;
        for (size_t n = 0; n < ROWS(frame_rows); n++) {
                struct upgrade_terms terms = terms_of(frame_rows[n].ns, frame_rows[n].flags);
                struct mlkem_public key;
                struct upgrade_frame frame;

                memset(&frame, 0xff, sizeof frame);
                count_up(key.bytes, sizeof key.bytes, frame_rows[n].first);
                if (frame_rows[n].type == UPGRADE_HELLO) upgrade_hello(&frame, &terms, frame_rows[n].kem);
                else upgrade_offer(&frame, &terms, frame_rows[n].index, frame_rows[n].kem ? &key : NULL);
                assert_hex(&frame.header, sizeof frame.header, frame_rows[n].header);
                assert_int_equal(upgrade_padded(&frame), frame_rows[n].padded);
                assert_hash(&frame, frame_rows[n].hash);
                assert_decodes(&frame);
        }
}

/* Header as hex, body zero, and the length that the packet has. */
static void refusals(void **state)
{
        static const struct {
                size_t len;
                const char *header;
                enum upgrade_verdict verdict;
        } rows[] = {
                { 32, "01011000000000000000000100000000", UPGRADE_OK }, /* HELLO */
                { 32, "00011000000000000000000100000000", UPGRADE_BAD_VERSION },
                { 32, "02011000000000000000000100000000", UPGRADE_BAD_VERSION },
                { 32, "11011000000000000000000100000000", UPGRADE_BAD_VERSION },
                { 32, "45011000000000000000000100000000", UPGRADE_BAD_VERSION },
                { 32, "01001000000000000000000100000000", UPGRADE_BAD_TYPE },
                { 32, "01041000000000000000000100000000", UPGRADE_BAD_TYPE },
                { 32, "01ff1000000000000000000100000000", UPGRADE_BAD_TYPE },
                { 0, "01011000000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 1, "01011000000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 16, "01011000000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 31, "01011000000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 33, "01011000000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 48, "01011000000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 32, "01010000000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 32, "01010f00000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 32, "01011001000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 32, "0101ffff000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 32, "01011100000000000000000100000000", UPGRADE_OK }, /* extended */
                { 32, "01012000000000000000000100000000", UPGRADE_OK },
                { 32, "01012100000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 48, "01012100000000000000000100000000", UPGRADE_OK },
                { 47, "01012100000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 1200, "0101a104000000000000000100000000", UPGRADE_OK },
                { 1200, "0101a004000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 1200, "0101b004000000000000000100000000", UPGRADE_OK },
                { 1216, "0101b104000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 1216, "0101c004000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 32, "01021000000000000000000100000000", UPGRADE_OK }, /* OFFER */
                { 32, "01021100000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 32, "01022000000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 1200, "0102b004000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 1200, "0102b004000000000100000100000000", UPGRADE_OK },
                { 1200, "0102af04000000000100000100000000", UPGRADE_BAD_LENGTH },
                { 1184, "0102b004000000000100000100000000", UPGRADE_BAD_LENGTH },
                { 32, "01021000000000000100000100000000", UPGRADE_BAD_LENGTH },
                { 32, "01021000000000000200000100000000", UPGRADE_BAD_KEM },
                { 1200, "0102b004000000000200000100000000", UPGRADE_BAD_KEM },
                { 1200, "0102b00400000000ff00000100000000", UPGRADE_BAD_KEM },
                { 32, "01032000000000000000000100000000", UPGRADE_OK }, /* ACCEPT */
                { 32, "01031f00000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 32, "01031000000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 48, "01033000000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 1120, "01036004000000000100000100000000", UPGRADE_OK },
                { 1120, "01035f04000000000100000100000000", UPGRADE_BAD_LENGTH },
                { 1136, "01036004000000000100000100000000", UPGRADE_BAD_LENGTH },
                { 1200, "0103b004000000000100000100000000", UPGRADE_BAD_LENGTH },
                { 1120, "01036004000000000000000100000000", UPGRADE_BAD_LENGTH },
                { 32, "01032000000000000100000100000000", UPGRADE_BAD_LENGTH },
                { 1120, "01036004000000000200000100000000", UPGRADE_BAD_KEM },
        };
        uint8_t packet[1216];
        struct upgrade_frame out, before;

        (void)state;
        for (size_t n = 0; n < ROWS(rows); n++) {
                memset(packet, 0, sizeof packet);
                memset(&out, 0xa5, sizeof out);
                before = out;
                unhex(packet, sizeof packet, rows[n].header);
                enum upgrade_verdict verdict = upgrade_decode(&out, packet, rows[n].len);
                if (verdict != rows[n].verdict) fail_msg("row %zu: %d", n, (int)verdict);
                if (verdict != UPGRADE_OK) assert_memory_equal(&out, &before, sizeof out);
        }
}

/* Each byte after the length, of the shortest and of a HELLO that ends anywhere. */
static void padding_is_zero(void **state)
{
        uint8_t packet[UPGRADE_FRAME_MAX] = { 0x01, UPGRADE_HELLO };
        struct upgrade_frame out;

        (void)state;
        for (uint16_t length = sizeof(struct upgrade_header); length <= 80; length++) {
                size_t len = length <= 32 ? 32 : (length + 15u) / 16 * 16;

                packet[2] = (uint8_t)length;
                for (size_t i = length - 1u; i < len; i++) {
                        packet[i] = 1;
                        assert_int_equal(upgrade_decode(&out, packet, len),
                                         i < length ? UPGRADE_OK : UPGRADE_BAD_PADDING);
                        packet[i] = 0;
                }
        }
}

/* What a later version may say: read, and without a meaning. */
static void what_is_unknown_is_ignored(void **state)
{
        static const char *const rows[] = {
                "010110000000000000fe000100000000", /* flags */
                "0101100000000000ff00000100000000", /* KEMs */
                "010110000000000000000001000000ff", /* a cipher */
                "01011000000000000000000700000000", /* a version */
                "01011000010203040000020100000000", /* what a HELLO does not use */
                "01021000000000000080020100000055", "01032000000000000080ff0100000055",
        };
        uint8_t packet[UPGRADE_FRAME_MIN] = { 0 };
        struct upgrade_frame out;

        (void)state;
        for (size_t n = 0; n < ROWS(rows); n++) {
                unhex(packet, sizeof packet, rows[n]);
                assert_int_equal(upgrade_decode(&out, packet, sizeof packet), UPGRADE_OK);
                assert_hex(&out.header, sizeof out.header, rows[n]);
        }
}

/* A packet that ends where the memory ends, with every length that it may claim. */
static void nothing_is_read_outside(void **state)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        uint8_t *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct upgrade_frame out;
        unsigned taken = 0;

        (void)state;
        assert_ptr_not_equal(memory, MAP_FAILED);
        assert_int_equal(mprotect(memory + page, page, PROT_NONE), 0);
        for (size_t len = 0; len <= UPGRADE_FRAME_MAX + 16; len++) {
                uint8_t *packet = memory + page - len;

                memset(packet, 0, len);
                for (unsigned claimed = 0; claimed <= UINT16_MAX; claimed += claimed < 1300 ? 1 : 977) {
                        const uint8_t start[] = { 0x01, (uint8_t)(1 + claimed % 3), (uint8_t)claimed,
                                                  (uint8_t)(claimed >> 8) };
                        memcpy(packet, start, len < sizeof start ? len : sizeof start);
                        taken += upgrade_decode(&out, packet, len) == UPGRADE_OK;
                }
        }
        assert_in_range(taken, 300, 500);
        munmap(memory, 2 * page);
}

static void first_nibble(void **state)
{
        (void)state;
        assert_false(upgrade_is_frame(NULL, 0)); /* a keepalive */
        for (unsigned byte = 0; byte < 256; byte++)
                assert_int_equal(upgrade_is_frame(&(uint8_t){ (uint8_t)byte }, 1), byte < 16);
}

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

/* A frame from the header of a row and a body that counts up. */
static void assemble(struct upgrade_frame *frame, const char *header, unsigned first, size_t body_len)
{
        memset(frame, 0, sizeof *frame);
        unhex(&frame->header, sizeof frame->header, header);
        if (frame->header.kem) count_up(frame->body, body_len, first);
}

static void key_schedule(void **state)
{
        (void)state;
        for (size_t n = 0; n < ROWS(key_rows); n++) {
                struct upgrade_frame offer, accept;
                struct upgrade_keys keys;
                struct key exporter, shared, forth, back;
                struct symmetric last = { .hash = { 0 } };
                uint8_t h[KDF_HASH_LEN], tag[UPGRADE_TAG_LEN];

                unhex(last.chaining_key, sizeof last.chaining_key, key_rows[n].ck);
                symmetric_split(&last, &forth, &back, &exporter);
                assert_hex(exporter.bytes, KEY_LEN, key_rows[n].exporter);

                unhex(h, sizeof h, key_rows[n].h);
                if (key_rows[n].ss) unhex(shared.bytes, KEY_LEN, key_rows[n].ss);
                assemble(&offer, key_rows[n].offer, KEY_FIRST, MLKEM_PUBLIC_LEN);
                assemble(&accept, key_rows[n].accept, CIPHERTEXT_FIRST, MLKEM_CIPHERTEXT_LEN);
                upgrade_derive(&keys, tag, &exporter, h, &offer, &accept, key_rows[n].ss ? &shared : NULL);
                assert_hex(keys.i2r.bytes, KEY_LEN, key_rows[n].i2r);
                assert_hex(keys.r2i.bytes, KEY_LEN, key_rows[n].r2i);
                assert_hex(tag, sizeof tag, key_rows[n].tag);

                memcpy(accept.body + upgrade_padded(&accept) - sizeof accept.header - sizeof tag, tag, sizeof tag);
                assert_hash(&accept, key_rows[n].hash);
                assert_decodes(&accept);
        }
}

/* An exchange: what the two sides have, say and get. */
struct exchange {
        struct key exporter;
        uint8_t h[KDF_HASH_LEN];
        struct upgrade_terms terms;
        struct upgrade_reply reply;
        struct mlkem_secret secret;
        struct upgrade_frame offer, accept;
        struct upgrade_keys initiator, responder;
};

static void exchange_init(struct exchange *x, bool kem)
{
        struct mlkem_public key;

        memset(x, 0, sizeof *x);
        randombytes_buf(&x->exporter, sizeof x->exporter);
        randombytes_buf(x->h, sizeof x->h);
        randombytes_buf(&x->secret, sizeof x->secret);
        randombytes_buf(x->reply.random, sizeof x->reply.random);
        x->terms = (struct upgrade_terms){ .costs = { 81, 53, 0 } };
        x->reply.terms = (struct upgrade_terms){ .costs = { 80, 60, 59 }, .flags = UPGRADE_REQUIRE };
        x->reply.index = 0x55667788;
        x->reply.cipher = CIPHER_AES_256_GCM;
        if (kem) assert_true(mlkem_derive_public(&key, &x->secret));
        upgrade_offer(&x->offer, &x->terms, 0x11223344, kem ? &key : NULL);
}

static enum upgrade_verdict answer(struct exchange *x)
{
        return upgrade_answer(&x->accept, &x->responder, &x->exporter, x->h, &x->offer, &x->reply);
}

static enum upgrade_verdict finish(struct exchange *x)
{
        return upgrade_finish(&x->initiator, &x->exporter, x->h, &x->offer, &x->secret, &x->accept);
}

static void both_sides(bool kem)
{
        static const struct upgrade_keys none;
        struct exchange x;

        exchange_init(&x, kem);
        assert_int_equal(answer(&x), UPGRADE_OK);
        assert_decodes(&x.accept);
        assert_int_equal(upgrade_padded(&x.accept), kem ? 1120 : 32);
        assert_int_equal(le32_get(x.accept.header.index), 0x55667788);
        assert_int_equal(x.accept.header.cipher, CIPHER_AES_256_GCM);
        assert_int_equal(x.accept.header.flags, UPGRADE_REQUIRE);
        assert_int_equal(x.accept.header.kem, kem);
        assert_memory_equal(x.accept.header.cost, x.reply.terms.costs, sizeof x.reply.terms.costs);
        assert_int_equal(finish(&x), UPGRADE_OK);
        assert_memory_equal(&x.initiator, &x.responder, sizeof x.initiator);
        assert_memory_not_equal(&x.initiator.i2r, &x.initiator.r2i, KEY_LEN);
        assert_memory_not_equal(&x.initiator.i2r, &none.i2r, KEY_LEN);
}

static void both_sides_agree(void **state)
{
        (void)state;
        both_sides(false);
        if (mlkem_available()) both_sides(true);
}

/* Without a KEM as the specification's vector has it, whole: the first rows of key_rows. */
static void answers(void **state)
{
        (void)state;
        for (size_t n = 0; n < ROWS(key_rows); n++) {
                struct exchange x;

                if (key_rows[n].ss) continue;
                memset(&x, 0, sizeof x);
                unhex(&x.exporter, KEY_LEN, key_rows[n].exporter);
                unhex(x.h, sizeof x.h, key_rows[n].h);
                assemble(&x.offer, key_rows[n].offer, 0, 0);
                assemble(&x.accept, key_rows[n].accept, 0, 0);
                memcpy(x.reply.terms.costs, x.accept.header.cost, CIPHER_IDS);
                x.reply.terms.flags = x.accept.header.flags;
                x.reply.index = le32_get(x.accept.header.index);
                x.reply.cipher = x.accept.header.cipher;
                assert_int_equal(answer(&x), UPGRADE_OK);
                assert_hex(&x.accept.header, sizeof x.accept.header, key_rows[n].accept);
                assert_hash(&x.accept, key_rows[n].hash);
                assert_hex(x.responder.i2r.bytes, KEY_LEN, key_rows[n].i2r);
                assert_int_equal(finish(&x), UPGRADE_OK);
                assert_hex(x.initiator.r2i.bytes, KEY_LEN, key_rows[n].r2i);
        }
}

/* Not one bit of the two frames, the exporter or h may differ between the sides; and nothing comes out. */
static void flipped(bool kem, size_t step)
{
        struct exchange x, bad;
        size_t len;

        exchange_init(&x, kem);
        assert_int_equal(answer(&x), UPGRADE_OK);
        len = upgrade_padded(&x.accept);
        for (size_t bit = 0; bit < 8 * len; bit += step) {
                bad = x;
                ((uint8_t *)&bad.accept)[bit / 8] ^= (uint8_t)(1 << bit % 8);
                if (upgrade_decode(&bad.accept, (uint8_t *)&bad.accept, len) != UPGRADE_OK) continue;
                if (finish(&bad) == UPGRADE_OK) fail_msg("accept, bit %zu", bit);
                assert_memory_equal(&bad.initiator, &x.initiator, sizeof x.initiator);
        }
        len = le16_get(x.offer.header.length);
        for (size_t bit = 0; bit < 8 * len; bit += step) {
                bad = x;
                ((uint8_t *)&bad.offer)[bit / 8] ^= (uint8_t)(1 << bit % 8);
                if (upgrade_decode(&bad.offer, (uint8_t *)&bad.offer, upgrade_padded(&x.offer)) != UPGRADE_OK) continue;
                if (finish(&bad) == UPGRADE_OK) fail_msg("offer, bit %zu", bit);
                assert_memory_equal(&bad.initiator, &x.initiator, sizeof x.initiator);
        }
        for (size_t byte = 0; byte < KEY_LEN; byte++) {
                bad = x;
                bad.exporter.bytes[byte] ^= 0x10;
                assert_int_equal(finish(&bad), UPGRADE_FORGED);
                bad = x;
                bad.h[byte] ^= 0x10;
                assert_int_equal(finish(&bad), UPGRADE_FORGED);
                assert_memory_equal(&bad.initiator, &x.initiator, sizeof x.initiator);
        }
        assert_int_equal(finish(&x), UPGRADE_OK);
}

static void flipped_bits_are_refused(void **state)
{
        (void)state;
        flipped(false, 1);
        if (mlkem_available()) flipped(true, 13);
}

/* The tag is right, for the responder is the peer; what it names was not offered. */
static void what_was_not_offered(void **state)
{
        static const struct {
                uint8_t cipher;
                enum upgrade_verdict verdict;
        } rows[] = {
                { CIPHER_CHACHA20_POLY1305, UPGRADE_OK },  { CIPHER_AES_256_GCM, UPGRADE_OK },
                { CIPHER_AEGIS_256, UPGRADE_NOT_OFFERED }, /* cost 0 */
                { CIPHER_IDS, UPGRADE_NOT_OFFERED },       { 200, UPGRADE_NOT_OFFERED },
        };
        struct exchange x, other;

        (void)state;
        for (size_t n = 0; n < ROWS(rows); n++) {
                exchange_init(&x, false);
                x.offer.header.cost[3] = 9; /* an initiator of a later version, asking us */
                x.reply.cipher = rows[n].cipher;
                assert_int_equal(answer(&x), UPGRADE_OK);
                assert_int_equal(finish(&x), rows[n].verdict);
        }
        if (!mlkem_available()) return;
        exchange_init(&x, true);
        exchange_init(&other, false);
        other.exporter = x.exporter;
        assert_int_equal(answer(&other), UPGRADE_OK);
        x.accept = other.accept; /* down to no KEM */
        assert_int_equal(finish(&x), UPGRADE_NOT_OFFERED);
        exchange_init(&x, true);
        assert_int_equal(answer(&x), UPGRADE_OK);
        other.accept = x.accept; /* and up to one */
        assert_int_equal(finish(&other), UPGRADE_NOT_OFFERED);
}

/* What we sent comes back: no ACCEPT, no OFFER. */
static void reflected_frames(void **state)
{
        struct exchange x, before;

        (void)state;
        exchange_init(&x, false);
        assert_int_equal(answer(&x), UPGRADE_OK);
        before = x;
        x.accept = x.offer;
        assert_int_equal(finish(&x), UPGRADE_BAD_TYPE);
        x = before;
        x.offer = x.accept;
        before = x;
        assert_int_equal(answer(&x), UPGRADE_BAD_TYPE);
        assert_int_equal(finish(&x), UPGRADE_BAD_TYPE);
        upgrade_hello(&x.offer, &x.terms, 0);
        before.offer = x.offer;
        assert_int_equal(answer(&x), UPGRADE_BAD_TYPE);
        assert_memory_equal(&x, &before, sizeof x);
}

/* Another secret than the one that was offered: no error of ML-KEM's, and another tag. */
static void another_secret(void **state)
{
        struct exchange x, before;

        (void)state;
        if (!mlkem_available()) return;
        exchange_init(&x, true);
        assert_int_equal(answer(&x), UPGRADE_OK);
        x.secret.seed[0] ^= 1;
        before = x;
        assert_int_equal(finish(&x), UPGRADE_FORGED);
        assert_memory_equal(&x, &before, sizeof x);
}

/* A KEM that we do not have, or a key that is none: 12 bits of it are not below 3329. */
static void a_kem_that_cannot_be(void **state)
{
        static const struct mlkem_public zero;
        struct exchange x, before;

        (void)state;
        exchange_init(&x, mlkem_available());
        if (!mlkem_available()) upgrade_offer(&x.offer, &x.terms, 1, &zero);
        x.offer.body[0] = x.offer.body[1] = 0xff;
        before = x;
        assert_int_equal(answer(&x), UPGRADE_BAD_KEM);
        assert_memory_equal(&x, &before, sizeof x);
        if (mlkem_available()) return;
        assemble(&x.accept, "01036004887766550100010151350000", 0, MLKEM_CIPHERTEXT_LEN);
        before = x;
        assert_int_equal(finish(&x), UPGRADE_FAILED);
        assert_memory_equal(&x, &before, sizeof x);
}

static int setup(void **state)
{
        if (sodium_setup(state) != 0) return -1;
        mlkem_init();
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(costs),
                cmocka_unit_test(costs_keep_the_order),
                cmocka_unit_test(choices),
                cmocka_unit_test(choice_is_the_least),
                cmocka_unit_test(frames),
                cmocka_unit_test(refusals),
                cmocka_unit_test(padding_is_zero),
                cmocka_unit_test(what_is_unknown_is_ignored),
                cmocka_unit_test(nothing_is_read_outside),
                cmocka_unit_test(first_nibble),
                cmocka_unit_test(key_schedule),
                cmocka_unit_test(both_sides_agree),
                cmocka_unit_test(answers),
                cmocka_unit_test(flipped_bits_are_refused),
                cmocka_unit_test(what_was_not_offered),
                cmocka_unit_test(reflected_frames),
                cmocka_unit_test(another_secret),
                cmocka_unit_test(a_kem_that_cannot_be),
        };

        return cmocka_run_group_tests_name("upgrade", tests, setup, NULL);
}
