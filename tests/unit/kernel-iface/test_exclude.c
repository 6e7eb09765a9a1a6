/* What is left of prefixes, against asking for each address whether it is. */
#include "kernel-iface/exclude.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t seed = 1;

static uint32_t draw(uint32_t below)
{
        seed = seed * 1664525 + 1013904223;
        return (seed >> 8) % below;
}

/* Addresses are the 256 of a network, by their last byte: the last of an IPv4 address, and a middle one of IPv6, where
 * the rest behind it is all of it. */
enum { SPACE = 256, MOST = 4096 };

static unsigned place(uint8_t family)
{
        return family == AF_INET ? 3 : 6;
}

static struct prefix network(uint8_t family, unsigned first, unsigned bits)
{
        struct prefix prefix = { .family = family, .length = (uint8_t)(place(family) * 8 + bits) };

        prefix.bytes[0] = family == AF_INET ? 10 : 0xfd;
        prefix.bytes[place(family)] = (uint8_t)(first & (0xff00u >> bits));
        return prefix;
}

static struct prefix draw_prefix(uint8_t family)
{
        return network(family, draw(SPACE), draw(9));
}

static void mark(const struct prefix *prefix, bool seen[SPACE])
{
        unsigned at = place(prefix->family), width = SPACE >> (prefix->length - at * 8);

        for (unsigned i = 0; i < width; i++)
                seen[prefix->bytes[at] + i] = true;
}

struct pieces {
        struct prefix list[MOST];
        size_t count, stop;
};

static bool take(void *arg, const struct prefix *prefix)
{
        struct pieces *pieces = arg;

        if (pieces->count == pieces->stop) return false;
        pieces->list[pieces->count++] = *prefix;
        return true;
}

static bool same(const struct prefix *a, const struct prefix *b)
{
        return memcmp(a, b, sizeof *a) == 0;
}

static bool inside(const struct prefix *wide, const struct prefix *narrow)
{
        bool a[SPACE] = { false }, b[SPACE] = { false };

        if (wide->family != narrow->family) return false;
        mark(wide, a);
        mark(narrow, b);
        for (unsigned i = 0; i < SPACE; i++)
                if (b[i] && !a[i]) return false;
        return true;
}

static bool siblings(const struct prefix *a, const struct prefix *b)
{
        unsigned at = place(a->family), width;

        if (a->family != b->family || a->length != b->length || a->length == at * 8) return false;
        width = SPACE >> (a->length - at * 8);
        return (a->bytes[at] ^ b->bytes[at]) == (int)width;
}

static void assert_minimal(const struct pieces *pieces)
{
        for (size_t i = 0; i < pieces->count; i++)
                for (size_t j = 0; j < pieces->count; j++) {
                        const struct prefix *a = &pieces->list[i], *b = &pieces->list[j];
                        if (i != j && inside(a, b)) fail_msg("piece %zu lies in piece %zu", j, i);
                        if (i != j && siblings(a, b)) fail_msg("pieces %zu and %zu are halves of one", i, j);
                }
}

/* Of one prefix, or of several that do not lie inside each other, of which something is taken out. */
static void test_against_every_address(void **state)
{
        static struct pieces pieces;

        (void)state;
        for (unsigned round = 0; round < 20000; round++) {
                struct prefix from[8], excluded[16];
                size_t from_count = 1 + draw(8), count = draw(16), cut = 0;
                bool wanted[SPACE] = { false }, out[SPACE] = { false }, other[SPACE] = { false },
                     got[SPACE] = { false };
                uint8_t family = draw(2) ? AF_INET : AF_INET6;
                for (size_t i = 0; i < from_count; i++)
                        from[i] = draw_prefix(family);
                from_count = exclude_sort(from, from_count);
                for (size_t i = 0; i < count; i++) {
                        excluded[i] = draw_prefix(draw(4) ? family : family == AF_INET ? AF_INET6 : AF_INET);
                        mark(&excluded[i], excluded[i].family == family ? out : other);
                }
                count = exclude_sort(excluded, count);
                pieces = (struct pieces){ .stop = MOST };
                for (size_t i = 0; i < from_count; i++) {
                        bool whole[SPACE] = { false }, touched = false;
                        mark(&from[i], whole);
                        for (unsigned n = 0; n < SPACE; n++)
                                touched |= whole[n] && out[n];
                        if (!touched) { /* stays what it is */
                                struct pieces one = { .stop = MOST };
                                assert_true(exclude_from(&from[i], excluded, count, take, &one));
                                assert_int_equal(one.count, 1);
                                assert_true(same(&one.list[0], &from[i]));
                                continue;
                        }
                        cut++;
                        mark(&from[i], wanted);
                        assert_true(exclude_from(&from[i], excluded, count, take, &pieces));
                }
                for (size_t i = 0; i < pieces.count; i++)
                        mark(&pieces.list[i], got);
                for (unsigned n = 0; n < SPACE; n++)
                        if (got[n] != (wanted[n] && !out[n]))
                                fail_msg("round %u: address %u is %s, with %zu cut", round, n,
                                         got[n] ? "there" : "missing", cut);
                assert_minimal(&pieces);
        }
}

static void test_sort(void **state)
{
        (void)state;
        for (unsigned round = 0; round < 20000; round++) {
                struct prefix list[16], sorted[16];
                size_t count = draw(17), kept;
                for (size_t i = 0; i < count; i++)
                        list[i] = sorted[i] = draw_prefix(draw(2) ? AF_INET : AF_INET6);
                kept = exclude_sort(sorted, count);
                for (size_t i = 0; i < kept; i++)
                        for (size_t j = 0; j < kept; j++)
                                assert_false(i != j && inside(&sorted[i], &sorted[j]));
                for (size_t i = 0; i < count; i++) {
                        bool held = false;
                        for (size_t j = 0; j < kept; j++)
                                held |= inside(&sorted[j], &list[i]);
                        assert_true(held);
                }
        }
}

static struct prefix parse(const char *text)
{
        struct prefix prefix = { 0 };
        char address[64];
        unsigned length;

        assert_int_equal(sscanf(text, "%63[^/]/%u", address, &length), 2);
        prefix.family = strchr(address, ':') ? AF_INET6 : AF_INET;
        prefix.length = (uint8_t)length;
        assert_int_equal(inet_pton(prefix.family, address, prefix.bytes), 1);
        return prefix;
}

/* Down to one address, of all of them. */
static void test_ends(void **state)
{
        static const struct {
                const char *from, *excluded;
                size_t count;
                const char *first, *last;
        } rows[] = {
                { "0.0.0.0/0", "0.0.0.0/32", 32, "0.0.0.1/32", "128.0.0.0/1" },
                { "0.0.0.0/0", "255.255.255.255/32", 32, "0.0.0.0/1", "255.255.255.254/32" },
                { "::/0", "::/128", 128, "::1/128", "8000::/1" },
                { "::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", 128, "::/1",
                  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/128" },
                { "10.0.0.0/8", "10.0.0.0/9", 1, "10.128.0.0/9", "10.128.0.0/9" },
                { "10.0.0.0/8", "10.0.0.0/8", 0, NULL, NULL },
                { "10.0.0.0/8", "8.0.0.0/5", 0, NULL, NULL },
                { "10.0.0.0/8", "0.0.0.0/0", 0, NULL, NULL },
                { "10.0.0.1/32", "10.0.0.1/32", 0, NULL, NULL },
                { "10.0.0.1/32", "10.0.0.0/32", 1, "10.0.0.1/32", "10.0.0.1/32" },
                { "10.0.0.0/8", "::/0", 1, "10.0.0.0/8", "10.0.0.0/8" },
                { "::/0", "0.0.0.0/0", 1, "::/0", "::/0" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct prefix from = parse(rows[i].from), excluded = parse(rows[i].excluded);
                struct pieces pieces = { .stop = MOST };
                assert_true(exclude_from(&from, &excluded, 1, take, &pieces));
                if (pieces.count != rows[i].count) fail_msg("row %zu: %zu pieces", i, pieces.count);
                if (!rows[i].count) continue;
                struct prefix first = parse(rows[i].first), last = parse(rows[i].last);
                assert_true(same(&pieces.list[0], &first));
                assert_true(same(&pieces.list[pieces.count - 1], &last));
        }
}

static void test_stops(void **state)
{
        struct prefix from = parse("0.0.0.0/0"), excluded = parse("10.0.0.0/8");

        (void)state;
        for (size_t stop = 0; stop < 10; stop++) {
                struct pieces pieces = { .stop = stop };
                assert_int_equal(exclude_from(&from, &excluded, 1, take, &pieces), stop >= 8);
                assert_int_equal(pieces.count, stop < 8 ? stop : 8);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_against_every_address),
                cmocka_unit_test(test_sort),
                cmocka_unit_test(test_ends),
                cmocka_unit_test(test_stops),
        };

        return cmocka_run_group_tests_name("exclude", tests, NULL, NULL);
}
