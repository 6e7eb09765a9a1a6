/* The trie of allowed IPs against a plain list, on random input and at the edges. */
#include "daemon/proto/allowedips.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct peer {
        struct allowedips_list list;
};

enum { PEERS = 7 };

/* Stands behind `memory` so that a node taken too many is seen. */
enum { GUARD = 64, GUARD_BYTE = 0xa5 };

struct table {
        struct allowedips trie;
        struct peer peers[PEERS];
        uint8_t *memory;
        size_t size;
};

static struct table *table_new(uint32_t max_prefixes)
{
        struct table *t = calloc(1, sizeof *t);

        assert_non_null(t);
        t->size = allowedips_memory(max_prefixes);
        t->memory = calloc(1, t->size + GUARD);
        assert_non_null(t->memory);
        memset(t->memory + t->size, GUARD_BYTE, GUARD);
        allowedips_init(&t->trie, t->memory, max_prefixes);
        return t;
}

/* Every prefix goes; then the nodes that were ever used must all be on the free list, and the guard be whole. */
static void table_free(struct table *t)
{
        uint32_t refill = t->trie.max_prefixes;
        struct peer peer = { { NULL, NULL } };

        for (unsigned i = 0; i < PEERS; i++) {
                allowedips_clear(&t->trie, &t->peers[i].list);
                assert_null(t->peers[i].list.first);
                assert_null(t->peers[i].list.last);
        }
        assert_int_equal(t->trie.prefixes, 0);
        assert_null(t->trie.root4);
        assert_null(t->trie.root6);

        /* A leaked node would be missing here: fill to the brim with prefixes that all need a split. */
        for (uint32_t i = 0; i < refill; i++) {
                uint32_t address = htonl(i);
                struct prefix p = { .family = AF_INET, .length = 32 };

                memcpy(p.bytes, &address, 4);
                assert_true(allowedips_insert(&t->trie, &p, &peer, &peer.list));
        }
        assert_true(t->trie.free || t->trie.unused_count > 0 || refill == 0);
        for (unsigned i = 0; i < GUARD; i++)
                assert_int_equal(t->memory[t->size + i], GUARD_BYTE);
        free(t->memory);
        free(t);
}

static struct prefix prefix_of(const char *text, unsigned length)
{
        struct prefix p = { .family = strchr(text, ':') ? AF_INET6 : AF_INET, .length = (uint8_t)length };

        assert_int_equal(inet_pton(p.family, text, p.bytes), 1);
        return p;
}

static bool insert(struct table *t, const char *text, unsigned length, unsigned peer)
{
        struct prefix p = prefix_of(text, length);

        return allowedips_insert(&t->trie, &p, &t->peers[peer], &t->peers[peer].list);
}

static bool erase(struct table *t, const char *text, unsigned length, unsigned peer)
{
        struct prefix p = prefix_of(text, length);

        return allowedips_remove(&t->trie, &p, &t->peers[peer]);
}

/* The index of the peer, or -1. */
static int lookup(const struct table *t, const char *text)
{
        struct prefix p = prefix_of(text, 0);
        const struct peer *found =
                p.family == AF_INET ? allowedips_lookup4(&t->trie, p.bytes) : allowedips_lookup6(&t->trie, p.bytes);

        return found ? (int)(found - t->peers) : -1;
}

static void test_longest_match(void **state)
{
        static const struct {
                const char *prefix;
                unsigned length, peer;
        } inserts[] = {
                { "0.0.0.0", 0, 0 },
                { "10.0.0.0", 8, 1 },
                { "10.1.0.0", 16, 2 },
                { "10.1.2.3", 32, 3 },
                { "10.1.2.2", 31, 4 },
                { "192.168.4.77", 24, 5 },
                { "::", 0, 6 },
                { "2001:db8::", 32, 1 },
                { "2001:db8::1", 128, 2 },
                { "2001:db8:0:1::", 64, 3 },
                { "2001:db8:0:1:8000::", 65, 4 },
        };
        static const struct {
                const char *address;
                int peer;
        } rows[] = {
                { "1.2.3.4", 0 },
                { "255.255.255.255", 0 },
                { "10.255.0.1", 1 },
                { "11.0.0.0", 0 },
                { "10.1.255.255", 2 },
                { "10.1.2.3", 3 },
                { "10.1.2.2", 4 },
                { "10.1.2.4", 2 },
                { "192.168.4.1", 5 },
                { "192.168.5.1", 0 },
                { "::1", 6 },
                { "2001:db8::2", 1 },
                { "2001:db8::1", 2 },
                { "2001:db8:0:1:7fff::", 3 },
                { "2001:db8:0:1:8000::", 4 },
                { "2001:db9::", 6 },
        };
        struct table *t = table_new(sizeof inserts / sizeof *inserts);

        (void)state;
        for (unsigned i = 0; i < sizeof inserts / sizeof *inserts; i++)
                assert_true(insert(t, inserts[i].prefix, inserts[i].length, inserts[i].peer));
        for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
                assert_int_equal(lookup(t, rows[i].address), rows[i].peer);

        assert_true(erase(t, "0.0.0.0", 0, 0));
        assert_int_equal(lookup(t, "1.2.3.4"), -1);
        assert_int_equal(lookup(t, "10.1.2.3"), 3);
        assert_int_equal(lookup(t, "::1"), 6);     /* the families do not touch */
        assert_true(erase(t, "10.1.2.99", 16, 2)); /* host bits are ignored */
        assert_int_equal(lookup(t, "10.1.9.9"), 1);
        table_free(t);
}

static void test_empty(void **state)
{
        struct table *t = table_new(1), *none = table_new(0);

        (void)state;
        assert_int_equal(lookup(t, "1.2.3.4"), -1);
        assert_int_equal(lookup(t, "::"), -1);
        assert_false(erase(t, "0.0.0.0", 0, 0));
        assert_false(insert(none, "0.0.0.0", 0, 0));
        table_free(t);
        table_free(none);
}

static void test_belongs_to_one_peer(void **state)
{
        struct table *t = table_new(3);
        struct prefix out;
        const struct allowedips_node *cursor;

        (void)state;
        assert_true(insert(t, "10.0.0.0", 8, 0));
        assert_true(insert(t, "10.0.0.0", 8, 0)); /* again: no second entry */
        assert_int_equal(t->trie.prefixes, 1);
        assert_false(erase(t, "10.0.0.0", 8, 1)); /* another's */
        assert_false(erase(t, "10.0.0.0", 9, 0)); /* another length */
        assert_int_equal(lookup(t, "10.1.1.1"), 0);

        assert_true(insert(t, "10.9.9.9", 8, 1)); /* moves */
        assert_int_equal(t->trie.prefixes, 1);
        assert_null(t->peers[0].list.first);
        assert_int_equal(lookup(t, "10.1.1.1"), 1);
        cursor = allowedips_next(&t->peers[1].list, NULL, &out);
        assert_non_null(cursor);
        assert_memory_equal(out.bytes, "\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
        assert_null(allowedips_next(&t->peers[1].list, cursor, &out));
        assert_false(erase(t, "10.0.0.0", 8, 0));
        assert_true(erase(t, "10.0.0.0", 8, 1));
        table_free(t);
}

static void test_split_is_not_a_prefix(void **state)
{
        struct table *t = table_new(3);

        (void)state;
        assert_true(insert(t, "10.0.0.0", 16, 0));
        assert_true(insert(t, "10.1.0.0", 16, 1)); /* splits at 10.0.0.0/15 */
        assert_int_equal(lookup(t, "10.0.1.1"), 0);
        assert_false(erase(t, "10.0.0.0", 15, 0));
        assert_true(insert(t, "10.0.0.0", 15, 2)); /* the split becomes a prefix */
        assert_true(erase(t, "10.1.0.0", 16, 1));
        assert_int_equal(lookup(t, "10.1.1.1"), 2);
        assert_true(insert(t, "10.1.0.0", 16, 1));
        assert_true(erase(t, "10.0.0.0", 15, 2)); /* and a split again */
        assert_int_equal(lookup(t, "10.1.1.1"), 1);
        assert_int_equal(lookup(t, "10.0.1.1"), 0);
        table_free(t);
}

static void test_full_changes_nothing(void **state)
{
        struct table *t = table_new(2);

        (void)state;
        assert_true(insert(t, "10.0.0.0", 16, 0));
        assert_true(insert(t, "fe80::", 16, 0));
        assert_false(insert(t, "10.1.0.0", 16, 1));
        assert_false(insert(t, "::", 0, 1));
        assert_int_equal(t->trie.prefixes, 2);
        assert_int_equal(lookup(t, "10.0.0.1"), 0);
        assert_int_equal(lookup(t, "10.1.0.1"), -1);
        assert_null(t->peers[1].list.first);
        assert_true(insert(t, "fe80::1", 16, 1)); /* a move needs no room */
        assert_int_equal(lookup(t, "fe80::7"), 1);
        table_free(t);
}

/* ---- Against a list ---------------------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint32_t random_below(uint32_t bound) /* splitmix64 */
{
        uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return (uint32_t)((z ^ z >> 31) % bound);
}

enum { NAIVE_MAX = 200 };

struct naive {
        struct prefix prefix;
        int peer;
        uint32_t age; /* order within the peer's list */
};

struct list {
        struct naive entries[NAIVE_MAX];
        unsigned count;
        uint32_t clock;
};

static bool bit_of(const uint8_t *bytes, unsigned i)
{
        return bytes[i / 8] >> (7 - i % 8) & 1;
}

static bool naive_holds(const struct prefix *p, uint8_t family, const uint8_t *address)
{
        if (p->family != family) return false;
        for (unsigned i = 0; i < p->length; i++)
                if (bit_of(p->bytes, i) != bit_of(address, i)) return false;
        return true;
}

static int naive_lookup(const struct list *list, uint8_t family, const uint8_t *address)
{
        int best = -1, length = -1;

        for (unsigned i = 0; i < list->count; i++) {
                const struct naive *e = &list->entries[i];

                if (e->prefix.length > length && naive_holds(&e->prefix, family, address)) {
                        length = e->prefix.length;
                        best = e->peer;
                }
        }
        return best;
}

static struct naive *naive_find(struct list *list, const struct prefix *p)
{
        for (unsigned i = 0; i < list->count; i++) {
                struct naive *e = &list->entries[i];

                if (e->prefix.length == p->length && naive_holds(&e->prefix, p->family, p->bytes)) return e;
        }
        return NULL;
}

static bool naive_insert(struct list *list, const struct prefix *p, int peer)
{
        struct naive *e = naive_find(list, p);

        if (e && e->peer == peer) return true;
        if (!e && list->count == NAIVE_MAX) return false;
        if (!e) e = &list->entries[list->count++];
        *e = (struct naive){ *p, peer, list->clock++ };
        for (unsigned i = p->length; i < 128; i++)
                e->prefix.bytes[i / 8] &= (uint8_t) ~(1u << (7 - i % 8));
        return true;
}

static bool naive_remove(struct list *list, const struct prefix *p, int peer)
{
        struct naive *e = naive_find(list, p);

        if (!e || e->peer != peer) return false;
        *e = list->entries[--list->count];
        return true;
}

static void naive_clear(struct list *list, int peer)
{
        for (unsigned i = 0; i < list->count;) {
                if (list->entries[i].peer == peer) {
                        list->entries[i] = list->entries[--list->count];
                } else {
                        i++;
                }
        }
}

/* Few distinct bits, so that prefixes nest, coincide and split often. */
static struct prefix random_prefix(void)
{
        bool v4 = random_below(2);
        struct prefix p = { .family = v4 ? AF_INET : AF_INET6 };
        unsigned max = v4 ? 32 : 128;
        static const uint8_t lengths[] = { 0, 1, 31, 32, 63, 64, 65, 127, 128 };

        for (unsigned i = 0; i < max / 8; i++)
                p.bytes[i] = random_below(8) ? 0 : (uint8_t)(1u << random_below(8));
        do
                p.length = random_below(3) ? (uint8_t)random_below(max + 1) : lengths[random_below(sizeof lengths)];
        while (p.length > max);
        return p;
}

static void compare_lookups(const struct table *t, const struct list *list)
{
        for (unsigned i = 0; i < 8; i++) {
                struct prefix p = random_prefix();
                const struct peer *found = p.family == AF_INET ? allowedips_lookup4(&t->trie, p.bytes)
                                                               : allowedips_lookup6(&t->trie, p.bytes);

                assert_int_equal(found ? found - t->peers : -1, naive_lookup(list, p.family, p.bytes));
        }
}

/* Each peer's list: what it holds, once, in order of insertion. */
static void compare_lists(const struct table *t, struct list *list)
{
        unsigned seen = 0;

        for (int peer = 0; peer < PEERS; peer++) {
                const struct allowedips_node *cursor = NULL;
                struct prefix out;
                uint32_t age = 0;

                while ((cursor = allowedips_next(&t->peers[peer].list, cursor, &out))) {
                        const struct naive *e = naive_find(list, &out);

                        assert_non_null(e);
                        assert_int_equal(e->peer, peer);
                        assert_memory_equal(&e->prefix, &out, sizeof out);
                        assert_true(e->age >= age);
                        age = e->age + 1;
                        seen++;
                }
        }
        assert_int_equal(seen, list->count);
        assert_int_equal(t->trie.prefixes, list->count);
}

static void random_step(struct table *t, struct list *list)
{
        struct prefix p = random_prefix();
        int peer = (int)random_below(PEERS);
        uint32_t what = random_below(100);

        if (what < 60) {
                assert_int_equal(allowedips_insert(&t->trie, &p, &t->peers[peer], &t->peers[peer].list),
                                 naive_insert(list, &p, peer));
        } else if (what < 99) {
                if (list->count && random_below(2)) {
                        const struct naive *e = &list->entries[random_below(list->count)];

                        p = e->prefix;
                        peer = e->peer;
                }
                assert_int_equal(allowedips_remove(&t->trie, &p, &t->peers[peer]), naive_remove(list, &p, peer));
        } else {
                allowedips_clear(&t->trie, &t->peers[peer].list);
                naive_clear(list, peer);
        }
}

static void test_against_a_list(void **state)
{
        (void)state;
        for (uint64_t seed = 1; seed <= 20; seed++) {
                struct table *t = table_new(NAIVE_MAX);
                struct list list = { .count = 0 };

                random_state = seed;
                for (unsigned step = 0; step < 1500; step++) {
                        random_step(t, &list);
                        compare_lookups(t, &list);
                        if (step % 50 == 0) compare_lists(t, &list);
                }
                compare_lists(t, &list);
                table_free(t);
        }
}

static double seconds(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Seconds for `lookups` lookups in a trie of `count` /32 and /64 prefixes. */
static double time_lookups(uint32_t count, uint32_t lookups)
{
        struct table *t = table_new(count);
        struct peer *peer = &t->peers[0];
        volatile uintptr_t sink = 0;
        double start;

        for (uint32_t i = 0; i < count; i++) {
                struct prefix p = { .family = i % 2 ? AF_INET : AF_INET6, .length = i % 2 ? 32 : 64 };

                for (unsigned k = 0; k < p.length / 8u; k++)
                        p.bytes[k] = (uint8_t)random_below(256);
                assert_true(allowedips_insert(&t->trie, &p, peer, &peer->list));
        }
        start = seconds();
        for (uint32_t i = 0; i < lookups; i++) {
                uint32_t address = random_below(UINT32_MAX);

                sink = sink + (uintptr_t)allowedips_lookup4(&t->trie, (const uint8_t *)&address);
        }
        start = seconds() - start;
        allowedips_clear(&t->trie, &peer->list); /* linear in the list, not in its square */
        table_free(t);
        return start;
}

/* Depth grows with the logarithm: 1000 times the prefixes may cost a few times more (cache misses), never 1000. */
static void test_flat_for_many(void **state)
{
        double few = time_lookups(100, 100000), many = time_lookups(100000, 100000);

        (void)state;
        assert_true(many < 50 * few + 0.05);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_longest_match),        cmocka_unit_test(test_empty),
                cmocka_unit_test(test_belongs_to_one_peer),  cmocka_unit_test(test_split_is_not_a_prefix),
                cmocka_unit_test(test_full_changes_nothing), cmocka_unit_test(test_against_a_list),
                cmocka_unit_test(test_flat_for_many),
        };

        return cmocka_run_group_tests_name("allowedips", tests, NULL, NULL);
}
