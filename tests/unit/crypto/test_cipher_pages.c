#include "tests/unit/crypto/cipher_each.h"

#include <sys/mman.h>
#include <unistd.h>

/* What a row is given lies against memory that nobody may touch: right after one page of it, or right before another.
 * One byte read or written beside a packet or a key is a fault, also in what a sanitizer does not see: the libraries'
 * assembly, and their vector loads. */
enum { ROOM_PAGES = 3 };

struct room {
        uint8_t *start, *end;
};

static struct room room_new(void)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE), len = ROOM_PAGES * page;
        uint8_t *memory = mmap(NULL, len + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        assert_true(memory != MAP_FAILED);
        assert_int_equal(mprotect(memory + page, len, PROT_READ | PROT_WRITE), 0);
        return (struct room){ .start = memory + page, .end = memory + page + len };
}

static uint8_t *place(const struct room *room, size_t len, bool at_end)
{
        return at_end ? room->end - len : room->start;
}

static struct room out_room, in_room, schedule_room;

struct packet {
        const struct cipher *cipher;
        const void *schedule;
        uint64_t counter;
        size_t len, sealed_len;
        uint8_t plain[9000], sealed[9000 + CIPHER_TAG_MAX];
};

static void check_seal(const struct packet *packet, bool out_at_end, bool in_at_end)
{
        uint8_t *out = place(&out_room, packet->sealed_len, out_at_end);
        uint8_t *in = place(&in_room, packet->len, in_at_end);

        memcpy(in, packet->plain, packet->len);
        memset(out, 0, packet->sealed_len);
        packet->cipher->seal(out, in, packet->len, packet->counter, packet->schedule);
        assert_memory_equal(out, packet->sealed, packet->sealed_len);
}

static void check_in_place(const struct packet *packet, bool at_end)
{
        const struct cipher *cipher = packet->cipher;
        uint8_t *data = place(&out_room, packet->sealed_len, at_end);

        memcpy(data, packet->plain, packet->len);
        cipher->seal(data, data, packet->len, packet->counter, packet->schedule);
        assert_memory_equal(data, packet->sealed, packet->sealed_len);
        assert_true(cipher->open(data, packet->sealed_len, packet->counter, packet->schedule));
        assert_memory_equal(data, packet->plain, packet->len);

        memcpy(data, packet->sealed, packet->sealed_len);
        data[packet->sealed_len - 1] ^= 1;
        assert_false(cipher->open(data, packet->sealed_len, packet->counter, packet->schedule));
}

static void check_short(const struct packet *packet, bool at_end)
{
        for (size_t len = 0; len < packet->cipher->tag_len; len++)
                assert_false(
                        packet->cipher->open(place(&out_room, len, at_end), len, packet->counter, packet->schedule));
}

static void packet_make(struct packet *packet, const struct key *key, size_t len)
{
        const struct cipher *reference = cipher_first(packet->cipher->id);
        struct scheduled schedule;

        packet->len = len;
        packet->sealed_len = len + packet->cipher->tag_len;
        randombytes_buf(&packet->counter, sizeof packet->counter);
        randombytes_buf(packet->plain, len);
        reference->schedule(schedule.bytes, key);
        reference->seal(packet->sealed, packet->plain, len, packet->counter, schedule.bytes);
}

/* As near to the end of its page as its alignment lets it (cipher.h: that of AES-256-GCM has one). */
static void *schedule_make(const struct cipher *cipher, const struct key *key)
{
        size_t align = cipher->id == CIPHER_AES_256_GCM ? CIPHER_SCHEDULE_ALIGN : 1;
        void *schedule = place(&schedule_room, (cipher->schedule_len + align - 1) / align * align, true);

        cipher->schedule(schedule, key);
        return schedule;
}

static void nothing_beside(const struct cipher *cipher)
{
        static const uint16_t lens[] = { 0,    1,    2,    7,    8,    15,   16,   17,   31,   32,   33,   47,   63,
                                         64,   65,   95,   96,   127,  128,  129,  191,  192,  193,  255,  256,  257,
                                         447,  448,  449,  511,  512,  513,  1023, 1024, 1025, 1279, 1392, 1420, 1421,
                                         1472, 1500, 1919, 1920, 1952, 1953, 1954, 2047, 2048, 2100, 4095, 4096, 9000 };
        static struct packet packet;
        struct key key;

        randombytes_buf(&key, sizeof key);
        packet.cipher = cipher;
        packet.schedule = schedule_make(cipher, &key);
        for (size_t i = 0; i < ROWS(lens); i++) {
                packet_make(&packet, &key, lens[i]);
                for (unsigned at_end = 0; at_end < 2; at_end++) {
                        check_seal(&packet, at_end, false);
                        check_seal(&packet, at_end, true);
                        check_in_place(&packet, at_end);
                        check_short(&packet, at_end);
                }
        }
}

static void nothing_beside_a_packet_is_touched(void **state)
{
        (void)state;
        out_room = room_new();
        in_room = room_new();
        schedule_room = room_new();
        assert_true(cipher_each(nothing_beside) >= 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nothing_beside_a_packet_is_touched),
        };

        return cmocka_run_group_tests_name("cipher pages", tests, cipher_setup, NULL);
}
