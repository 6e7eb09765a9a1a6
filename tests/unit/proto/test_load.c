#include "tests/unit/proto/pair.h"

static void load_fresh(struct load *load)
{
        static const uint8_t hash_key[16] = "a key";
        static void *memory;

        free(memory);
        memory = calloc(1, load_memory());
        assert_non_null(memory);
        load_init(load, memory, hash_key);
}

static bool note_many(struct load *load, uint64_t from, unsigned count, uint64_t interval)
{
        bool under = false;

        for (unsigned i = 0; i < count; i++)
                under = load_note(load, from + i * interval);
        return under;
}

static void test_under_load(void **state)
{
        static const struct {
                unsigned count;
                uint64_t interval;
                bool under;
        } rows[] = {
                { 50, 0, false }, /* peers that restart together */
                { LOAD_HANDSHAKES, 0, false },
                { LOAD_HANDSHAKES + 1, 0, true },
                { LOAD_HANDSHAKES + 1, LOAD_WINDOW / LOAD_HANDSHAKES, false }, /* as fast as it can be served */
                { 5 * LOAD_HANDSHAKES, LOAD_WINDOW / LOAD_HANDSHAKES, false },
                { 5 * LOAD_HANDSHAKES, LOAD_WINDOW / LOAD_HANDSHAKES * 9 / 10, true },
        };
        struct load load;

        (void)state;
        for (unsigned i = 0; i < ROWS(rows); i++) {
                load_fresh(&load);
                assert_int_equal(note_many(&load, SECONDS(5), rows[i].count, rows[i].interval), rows[i].under);
        }
}

static void test_stays(void **state)
{
        struct load load;

        (void)state;
        load_fresh(&load);
        assert_true(note_many(&load, SECONDS(5), LOAD_HANDSHAKES + 1, 0));
        assert_true(load_note(&load, SECONDS(6) - 1));
        assert_false(load_note(&load, SECONDS(6)));
}

static unsigned allowed(struct load *load, uint64_t now, const union socket_address *source, unsigned tries)
{
        unsigned n = 0;

        while (tries--)
                n += load_allow(load, now, source);
        return n;
}

static void test_rate(void **state)
{
        const union socket_address one = endpoint_of("192.0.2.1", 1).remote;
        const union socket_address same = endpoint_of("192.0.2.1", 2).remote; /* a port is no other source */
        const union socket_address two = endpoint_of("192.0.2.2", 1).remote;
        const uint64_t cost = SECONDS(1) / LOAD_SOURCE_RATE, start = SECONDS(9);
        const struct {
                uint64_t at;
                const union socket_address *source;
                unsigned tries, allowed;
        } rows[] = {
                { start, &one, 10, LOAD_SOURCE_BURST },
                { start, &same, 1, 0 },
                { start, &two, 1, 1 },
                { start + cost - 1, &one, 1, 0 },
                { start + cost, &one, 2, 1 },
                { start + 3 * cost, &one, 5, 2 },
                { start + 3 * cost + SECONDS(10), &one, 10, LOAD_SOURCE_BURST },
        };
        struct load load;

        (void)state;
        load_fresh(&load);
        for (unsigned i = 0; i < ROWS(rows); i++)
                assert_int_equal(allowed(&load, rows[i].at, rows[i].source, rows[i].tries), rows[i].allowed);
}

static void test_ipv6_net(void **state)
{
        union socket_address one = { .in6 = { .sin6_family = AF_INET6 } }, same, other;
        struct load load;

        (void)state;
        load_fresh(&load);
        inet_pton(AF_INET6, "2001:db8::1", &one.in6.sin6_addr);
        same = other = one;
        inet_pton(AF_INET6, "2001:db8::ffff:0:0:1", &same.in6.sin6_addr);
        inet_pton(AF_INET6, "2001:db8:0:1::1", &other.in6.sin6_addr);
        assert_int_equal(allowed(&load, 1, &one, 9), LOAD_SOURCE_BURST);
        assert_int_equal(allowed(&load, 1, &same, 9), 0);
        assert_int_equal(allowed(&load, 1, &other, 9), LOAD_SOURCE_BURST);
}

/* Twice as many sources as there is room for: it refuses some, forgets none that it limits, and recovers in a second.
 */
static void test_table_is_bounded(void **state)
{
        union socket_address source = endpoint_of("10.0.0.0", 1).remote;
        struct load load;
        unsigned n = 0, again = 0;

        (void)state;
        load_fresh(&load);
        for (unsigned i = 0; i < 2 * LOAD_SOURCES; i++) {
                source.in.sin_addr.s_addr = htonl(0x0a000000 + i);
                n += allowed(&load, SECONDS(1), &source, LOAD_SOURCE_BURST) == LOAD_SOURCE_BURST;
        }
        assert_in_range(n, LOAD_SOURCES / 2, LOAD_SOURCES);
        for (unsigned i = 0; i < 2 * LOAD_SOURCES; i++) {
                source.in.sin_addr.s_addr = htonl(0x0a000000 + i);
                again += allowed(&load, SECONDS(1), &source, 1);
        }
        assert_int_equal(again, 0);
        assert_int_equal(allowed(&load, SECONDS(2), &source, 9), LOAD_SOURCE_BURST);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_under_load),
                cmocka_unit_test(test_stays),
                cmocka_unit_test(test_rate),
                cmocka_unit_test(test_ipv6_net),
                cmocka_unit_test(test_table_is_bounded),
        };

        return RUN(tests);
}
