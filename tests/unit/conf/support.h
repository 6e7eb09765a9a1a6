/* What the tests of this room share: a pool, random configurations, and a comparison of everything in them. */
#ifndef TESTS_UNIT_CONF_SUPPORT_H
#define TESTS_UNIT_CONF_SUPPORT_H

#include "daemon/conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <cmocka.h>

enum { POOL_SIZE = 64 << 20, TEXT_SIZE = 1 << 20 };

static uint8_t pool_bytes[POOL_SIZE];
static struct pool pool = { pool_bytes, POOL_SIZE, 0 };

/* xorshift64: the same run every time. */
static uint64_t random_state = 88172645463325252u;

static inline uint32_t random_below(uint32_t n)
{
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return (uint32_t)(random_state >> 32) % n;
}

static inline void random_bytes(void *out, size_t len)
{
        for (size_t i = 0; i < len; i++)
                ((uint8_t *)out)[i] = (uint8_t)random_below(256);
}

static inline struct prefix random_prefix(bool masked)
{
        struct prefix prefix = { 0 };

        prefix.family = random_below(2) ? AF_INET : AF_INET6;
        prefix.length = (uint8_t)random_below(prefix.family == AF_INET ? 33 : 129);
        random_bytes(prefix.bytes, prefix.family == AF_INET ? 4 : 16);
        if (masked) prefix_mask(&prefix);
        return prefix;
}

static inline const char *random_word(const char *alphabet, unsigned max)
{
        unsigned len = 1 + random_below(max);
        char *word = pool_alloc(&pool, len + 1);

        for (unsigned i = 0; i < len; i++)
                word[i] = alphabet[random_below((uint32_t)strlen(alphabet))];
        return word;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyz"

static inline void random_endpoint(struct conf_peer *peer, bool names)
{
        char text[ENDPOINT_TEXT];
        const char *why;

        switch (random_below(names ? 3 : 2)) {
        case 0:
                snprintf(text, sizeof text, "%u.0.%u.1:%u", random_below(256), random_below(256),
                         1 + random_below(65535));
                break;
        case 1:
                snprintf(text, sizeof text, "[2001:db8:%x::%x]:%u", random_below(65536), 1 + random_below(65535),
                         1 + random_below(65535));
                break;
        default: snprintf(text, sizeof text, "%s.example:%u", random_word(LETTERS, 20), 1 + random_below(65535));
        }
        assert_true(endpoint_parse(&peer->endpoint_host, &peer->endpoint_port, &peer->endpoint, &pool, text,
                                   strlen(text), &why));
}

static inline void random_peer(struct conf *conf, bool names)
{
        struct conf_peer *peer = conf_peer_append(conf, &pool);

        random_bytes(&peer->public_key, KEY_LEN);
        peer->flags = PEER_REPLACE_ALLOWED_IPS;
        if (random_below(2)) {
                peer->flags |= PEER_HAS_PRESHARED_KEY;
                random_bytes(&peer->preshared_key, KEY_LEN);
        } else if (names && random_below(2)) {
                peer->preshared_key_file = random_word(LETTERS "/. ", 1);
                peer->preshared_key_file = random_word(LETTERS "/.-", 30);
        }
        if (random_below(2)) {
                peer->flags |= PEER_HAS_KEEPALIVE;
                peer->keepalive = (uint16_t)random_below(65536);
        }
        if (random_below(2)) {
                peer->flags |= PEER_HAS_NAME;
                peer->name = random_word(LETTERS "ABC0123_-=.,:+'\"[]", PEER_NAME_MAX);
        }
        if (random_below(2)) {
                peer->flags |= PEER_HAS_UPGRADE;
                peer->upgrade_off = random_below(2);
        }
        if (random_below(2)) {
                peer->flags |= PEER_HAS_POST_QUANTUM;
                do
                        peer->post_quantum = (uint8_t)random_below(3);
                while (policy_conflict(peer->upgrade_off, peer->post_quantum));
        }
        if (random_below(3)) random_endpoint(peer, names);
        for (unsigned i = random_below(5); i; i--) {
                struct prefix prefix = random_prefix(true);

                conf_allowed_ip_append(peer, &pool, &prefix);
        }
}

static inline struct conf_line *random_lines(void)
{
        struct conf_line *head = NULL;

        for (unsigned i = random_below(3); i; i--) {
                struct conf_line *item = pool_alloc(&pool, sizeof *item);

                item->text = random_word(LETTERS "=;%/[]", 60);
                item->next = head;
                head = item;
        }
        return head;
}

static inline void random_interface(struct conf *conf)
{
        static const int64_t tables[] = { TABLE_AUTO, TABLE_OFF, 1, 254, 4294967295 };

        for (unsigned i = random_below(4); i; i--) {
                struct conf_prefix *item = pool_alloc(&pool, sizeof *item);

                item->prefix = random_prefix(false);
                item->next = conf->addresses;
                conf->addresses = item;
        }
        for (unsigned i = random_below(4); i; i--) {
                struct conf_prefix *item = pool_alloc(&pool, sizeof *item);

                item->prefix = random_prefix(true);
                item->next = conf->excluded;
                conf->excluded = item;
        }
        if (random_below(2)) conf->mtu = MTU_MIN_V6 + random_below(MTU_MAX - MTU_MIN_V6 + 1);
        conf->table = tables[random_below(5)];
        conf->pre_up = random_lines();
        conf->post_up = random_lines();
        conf->pre_down = random_lines();
        conf->post_down = random_lines();
        if (random_below(2)) {
                conf->dns = pool_alloc(&pool, sizeof *conf->dns);
                conf->dns->text = random_word(LETTERS, 20);
        }
        if (random_below(2)) conf->flags |= CONF_SAVE_CONFIG;
        conf->kill_switch = random_below(2);
        conf->forward = (enum host_forward)random_below(4);
        conf->masquerade = conf->forward != FORWARD_NO && random_below(2);
        if (conf->forward == FORWARD_NETWORKS) {
                conf->forwards = pool_alloc(&pool, sizeof *conf->forwards);
                conf->forwards->prefix = random_prefix(true);
        }
}

/* tunnel: everything that tunnel.conf knows; else what a UAPI set does. */
static inline void random_conf(struct conf *conf, bool tunnel)
{
        *conf = (struct conf){ .flags = CONF_REPLACE_PEERS };
        if (random_below(2)) {
                conf->flags |= CONF_HAS_PRIVATE_KEY;
                random_bytes(&conf->private_key, KEY_LEN);
        } else if (tunnel && random_below(2)) {
                conf->private_key_file = random_word(LETTERS "/.-", 30);
        }
        if (random_below(2)) {
                conf->flags |= CONF_HAS_LISTEN_PORT;
                conf->listen_port = (uint16_t)random_below(65536);
        }
        if (random_below(2)) {
                conf->flags |= CONF_HAS_FWMARK;
                conf->fwmark = random_below(3) ? random_below(UINT32_MAX) : 0;
        }
        if (tunnel) random_interface(conf);
        for (unsigned i = random_below(6); i; i--)
                random_peer(conf, tunnel);
}

static inline void assert_same_text(const char *a, const char *b)
{
        assert_int_equal(a != NULL, b != NULL);
        if (a) assert_string_equal(a, b);
}

static inline void assert_same_prefixes(const struct conf_prefix *a, const struct conf_prefix *b)
{
        for (; a && b; a = a->next, b = b->next) {
                assert_true(prefix_equal(&a->prefix, &b->prefix));
                assert_int_equal(a->remove, b->remove);
        }
        assert_true(!a && !b);
}

static inline void assert_same_lines(const struct conf_line *a, const struct conf_line *b)
{
        for (; a && b; a = a->next, b = b->next)
                assert_string_equal(a->text, b->text);
        assert_true(!a && !b);
}

static inline void assert_same_peer(const struct conf_peer *a, const struct conf_peer *b)
{
        assert_int_equal(a->flags, b->flags);
        assert_memory_equal(&a->public_key, &b->public_key, KEY_LEN);
        assert_memory_equal(&a->preshared_key, &b->preshared_key, KEY_LEN);
        assert_same_text(a->preshared_key_file, b->preshared_key_file);
        assert_same_text(a->name, b->name);
        assert_same_text(a->endpoint_host, b->endpoint_host);
        assert_int_equal(a->endpoint_port, b->endpoint_port);
        assert_memory_equal(&a->endpoint, &b->endpoint, sizeof a->endpoint);
        assert_int_equal(a->keepalive, b->keepalive);
        assert_int_equal(a->upgrade_off, b->upgrade_off);
        assert_int_equal(a->post_quantum, b->post_quantum);
        assert_same_prefixes(a->allowed_ips, b->allowed_ips);
}

static inline void assert_same_conf(const struct conf *a, const struct conf *b)
{
        const struct conf_peer *pa = a->peers, *pb = b->peers;

        assert_int_equal(a->flags, b->flags);
        assert_memory_equal(&a->private_key, &b->private_key, KEY_LEN);
        assert_same_text(a->private_key_file, b->private_key_file);
        assert_int_equal(a->listen_port, b->listen_port);
        assert_int_equal(a->fwmark, b->fwmark);
        assert_same_prefixes(a->addresses, b->addresses);
        assert_same_prefixes(a->excluded, b->excluded);
        assert_same_prefixes(a->forwards, b->forwards);
        assert_int_equal(a->forward, b->forward);
        assert_int_equal(a->kill_switch, b->kill_switch);
        assert_int_equal(a->masquerade, b->masquerade);
        assert_int_equal(a->mtu, b->mtu);
        assert_int_equal(a->table, b->table);
        assert_same_lines(a->dns, b->dns);
        assert_same_lines(a->pre_up, b->pre_up);
        assert_same_lines(a->post_up, b->post_up);
        assert_same_lines(a->pre_down, b->pre_down);
        assert_same_lines(a->post_down, b->post_down);
        for (; pa && pb; pa = pa->next, pb = pb->next)
                assert_same_peer(pa, pb);
        assert_true(!pa && !pb);
}

#define KEY_A "KXK7BE2W3yhxugNMld4ncLkCS5TdJm+4AUqT3CVutwA="
#define KEY_B "bPublicKeyOfTheTestsOfThisRoomNothingElse00="
#define KEY_C "cPublicKeyOfTheTestsOfThisRoomNothingElse00="

#endif
