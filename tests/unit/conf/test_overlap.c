#include "tests/unit/conf/support.h"

#include <time.h>

static struct conf conf;
static struct conf_overlaps overlaps;

static void parse(const char *text)
{
        struct conf_error error;

        pool_reset(&pool);
        if (!conf_parse(&conf, &pool, text, strlen(text), &error)) fail_msg("%u: %s", error.line, error.text);
        assert_true(conf_overlaps(&conf, &pool, &overlaps));
}

#define PEER(key, name) "[Peer]\nPublicKey = " key "\n" name

static void test_twice(void **state)
{
        char text[OVERLAP_TEXT];
        size_t cursor = 0;

        (void)state;
        parse("[Interface]\n" PEER(KEY_B, "Name = berlin\n") "AllowedIPs = 10.0.0.2/32, 10.7.0.0/16, fd07::/64\n" PEER(
                KEY_C, "") "AllowedIPs = 10.7.3.4/16, 10.0.0.3/32, 10.0.0.3/32\n");
        assert_string_equal(conf_overlap_warning(&overlaps, &cursor, text),
                            "AllowedIPs: 10.7.0.0/16 is given to peer berlin and to peer " KEY_C
                            ", and the later one has it; take it from one of them");
        assert_null(conf_overlap_warning(&overlaps, &cursor, text));
        assert_null(conf_overlap_note(&overlaps, text));
}

static void test_inside(void **state)
{
        char text[OVERLAP_TEXT];
        size_t cursor = 0;

        (void)state;
        parse("[Interface]\n" PEER(KEY_B, "Name = berlin\n") "AllowedIPs = 0.0.0.0/0, 10.1.0.0/16\n" PEER(
                KEY_C, "Name = porto\n") "AllowedIPs = 10.1.2.0/24, 10.1.2.3/32\n");
        assert_null(conf_overlap_warning(&overlaps, &cursor, text));
        assert_string_equal(conf_overlap_note(&overlaps, text), "AllowedIPs: 10.1.2.0/24 of peer porto lies in "
                                                                "10.1.0.0/16 of peer berlin: the longer prefix wins");
        parse("[Interface]\n" PEER(KEY_B, "Name = berlin\n") "AllowedIPs = ::/0, fd02::/64\n" PEER(
                KEY_C, "Name = porto\n") "AllowedIPs = fd01::/64, fd02::1/128, 10.0.0.0/8\n");
        assert_string_equal(conf_overlap_note(&overlaps, text),
                            "AllowedIPs: fd01::/64 of peer porto lies in ::/0 of peer berlin: the longer prefix wins; "
                            "and so 1 more");
}

/* KEY_A is a private key here: the peer with its public one has no part in the link. */
static void test_own_key(void **state)
{
        struct conf_prefix one = { .prefix = { AF_INET, 8, { 12 } } }, two = one;
        struct conf_peer other = { .allowed_ips = &one }, self = { .next = &other, .allowed_ips = &two };

        (void)state;
        pool_reset(&pool);
        conf = (struct conf){ .peers = &self };
        assert_true(key_from_base64(&conf.private_key, KEY_A, strlen(KEY_A)));
        assert_true(key_public_from_private(&self.public_key, &conf.private_key));
        assert_true(conf_overlaps(&conf, &pool, &overlaps));
        assert_int_equal(overlaps.twice_count, 0);
        self.public_key.bytes[0] ^= 1;
        assert_true(conf_overlaps(&conf, &pool, &overlaps));
        assert_int_equal(overlaps.twice_count, 1);
        assert_ptr_equal(overlaps.twice->peer, &self);
        assert_ptr_equal(overlaps.twice->other, &other);
}

struct entry {
        const struct conf_peer *peer;
        struct prefix prefix;
};

/* Who has a prefix: the last that is given it. */
static const struct conf_peer *owner(const struct entry *entries, size_t count, const struct prefix *prefix)
{
        const struct conf_peer *found = NULL;

        for (size_t i = 0; i < count; i++)
                if (prefix_equal(&entries[i].prefix, prefix)) found = entries[i].peer;
        return found;
}

/* Against comparing each with each: as many losers, and as many prefixes with another's next around them. */
static void test_against_every_pair(void **state)
{
        (void)state;
        for (unsigned round = 0; round < 3000; round++) {
                struct conf_peer peers[4] = { 0 };
                struct entry entries[40];
                size_t count = random_below(40), twice = 0, inside = 0, at = 0, sizes[4] = { 0 };
                pool_reset(&pool);
                conf = (struct conf){ .peers = peers };
                for (unsigned i = 0; i < 4; i++) {
                        peers[i].next = i < 3 ? &peers[i + 1] : NULL;
                        peers[i].allowed_ips_end = &peers[i].allowed_ips;
                        peers[i].public_key.bytes[0] = (uint8_t)(1 + i);
                }
                for (size_t i = 0; i < count; i++)
                        sizes[random_below(4)]++;
                for (unsigned i = 0; i < 4; i++)
                        for (size_t n = 0; n < sizes[i]; n++) {
                                struct prefix prefix = { .family = random_below(2) ? AF_INET : AF_INET6 };
                                prefix.length = (uint8_t)random_below(5);
                                prefix.bytes[0] = (uint8_t)random_below(256);
                                prefix_mask(&prefix);
                                conf_allowed_ip_append(&peers[i], &pool, &prefix);
                                entries[at++] = (struct entry){ &peers[i], prefix };
                        }
                for (size_t i = 0; i < count; i++) {
                        const struct prefix *prefix = &entries[i].prefix, *next = NULL;
                        const struct conf_peer *has = owner(entries, count, prefix);
                        bool repeated = false;
                        for (size_t j = 0; j < i; j++)
                                repeated |=
                                        entries[j].peer == entries[i].peer && prefix_equal(&entries[j].prefix, prefix);
                        twice += has != entries[i].peer && !repeated;
                        if (has != entries[i].peer || repeated) continue;
                        for (size_t j = 0; j < count; j++)
                                if (entries[j].prefix.length < prefix->length &&
                                    prefix_contains(&entries[j].prefix, prefix) &&
                                    (!next || entries[j].prefix.length > next->length))
                                        next = &entries[j].prefix;
                        inside += next && owner(entries, count, next) != has;
                }
                assert_true(conf_overlaps(&conf, &pool, &overlaps));
                if (overlaps.twice_count != twice || overlaps.inside_count != inside)
                        fail_msg("round %u: %zu and %zu, wanted %zu and %zu", round, overlaps.twice_count,
                                 overlaps.inside_count, twice, inside);
        }
}

/* 20,000 prefixes, each twice: told by a few lines, and at once (comparing each with each takes minutes). */
static void test_many(void **state)
{
        enum { MANY = 20000 };
        struct conf_peer peers[2] = { 0 };
        char text[OVERLAP_TEXT], last[OVERLAP_TEXT] = "";
        unsigned lines = 0;
        size_t cursor = 0;

        (void)state;
        pool_reset(&pool);
        conf = (struct conf){ .peers = peers };
        peers[0].next = &peers[1];
        peers[1].public_key.bytes[0] = 1;
        for (unsigned i = 0; i < 2; i++) {
                peers[i].allowed_ips_end = &peers[i].allowed_ips;
                for (unsigned n = 0; n < MANY; n++) {
                        struct prefix prefix = { AF_INET,
                                                 32,
                                                 { 10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n } };
                        conf_allowed_ip_append(&peers[i], &pool, &prefix);
                }
        }
        clock_t start = clock();
        assert_true(conf_overlaps(&conf, &pool, &overlaps));
        assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
        assert_int_equal(overlaps.twice_count, MANY);
        while (conf_overlap_warning(&overlaps, &cursor, text)) {
                memcpy(last, text, sizeof last);
                lines++;
        }
        assert_int_equal(lines, OVERLAPS_TOLD + 1);
        assert_string_equal(last, "AllowedIPs: 19992 more prefixes are given to two peers");

        struct pool small = { pool_bytes + POOL_SIZE - 4096, 4096, 0 };
        assert_false(conf_overlaps(&conf, &small, &overlaps));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_twice),   cmocka_unit_test(test_inside),
                cmocka_unit_test(test_own_key), cmocka_unit_test(test_against_every_pair),
                cmocka_unit_test(test_many),
        };

        return cmocka_run_group_tests_name("overlap", tests, NULL, NULL);
}
