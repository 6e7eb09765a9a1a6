/* The difference of host states, against a model that is too stupid to be wrong; and the journal that keeps them. */
#include "kernel-iface/journal.h"
#include "kernel-iface/plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static uint32_t seed = 1;

static uint32_t draw(uint32_t below)
{
        seed = seed * 1664525 + 1013904223;
        return (seed >> 8) % below;
}

/* Out of few, so that sets overlap. */
static struct plan_item draw_item(void)
{
        struct plan_item item = { .kind = draw(PLAN_KINDS) };

        switch (item.kind) {
        case PLAN_LOCK:
        case PLAN_GATEWAY:
                item.digest = draw(3) + 0xfedcba9876543210;
                item.mark = draw(2);
                break;
        case PLAN_ADDRESS:
        case PLAN_ROUTE:
        case PLAN_THROW:
                item.prefix.family = draw(2) ? AF_INET : AF_INET6;
                item.prefix.length = (uint8_t)(8 + draw(2) * 8);
                item.prefix.bytes[0] = (uint8_t)(1 + draw(6));
                if (item.kind != PLAN_ADDRESS) item.value = 254 + draw(2);
                break;
        case PLAN_RULES:
                item.prefix.family = draw(2) ? AF_INET : AF_INET6;
                item.value = item.mark = 1 + draw(2);
                break;
        case PLAN_ACCEPT_RA:
        case PLAN_EACH_V4:
        case PLAN_EACH_V6:
                item.mark = draw(3);
                item.value = draw(3);
                break;
        default: item.value = draw(3);
        }
        return item;
}

static bool is_value(enum plan_kind kind)
{
        return kind == PLAN_MTU || kind == PLAN_UP || kind == PLAN_VALID_MARK ||
               (kind >= PLAN_ACCEPT_RA && kind <= PLAN_EACH_V6);
}

/* There is one of them at most, and a new one takes its place. */
static bool is_single(enum plan_kind kind)
{
        return is_value(kind) || plan_is_table(kind);
}

static void draw_state(struct plan_state *state, uint32_t most)
{
        *state = (struct plan_state){ 0 };
        for (uint32_t n = draw(most); n > 0; n--) {
                struct plan_item item = draw_item();
                if (is_single(item.kind) && plan_value(state, item.kind)) continue;
                assert_true(plan_add(state, &item));
        }
        plan_sort(state);
}

static bool model_has(const struct plan_item *list, size_t count, const struct plan_item *item)
{
        for (size_t i = 0; i < count; i++)
                if (plan_compare(&list[i], item) == 0) return true;
        return false;
}

/* A value of an interface that is not there cannot be set. */
static bool is_vain(const struct plan_state *current, const struct plan_item *item)
{
        if (item->kind != PLAN_ACCEPT_RA && item->kind != PLAN_EACH_V4 && item->kind != PLAN_EACH_V6) return false;
        for (size_t i = 0; i < current->count; i++)
                if (current->items[i].kind == item->kind && current->items[i].mark == item->mark) return false;
        return true;
}

/* Carries a step out on a list, as the kernel would: it refuses to add what is there or to remove what is not. */
static void model_apply(struct plan_item *list, size_t *count, const struct plan_step *step)
{
        const struct plan_item *item = &step->item;

        for (size_t i = 0; i < *count; i++) {
                bool same = is_single(item->kind) ? list[i].kind == item->kind : plan_compare(&list[i], item) == 0;
                bool clash = step->add && item->kind == PLAN_ADDRESS && list[i].kind == PLAN_ADDRESS &&
                             item->prefix.family == AF_INET6 && list[i].prefix.family == AF_INET6 &&
                             memcmp(item->prefix.bytes, list[i].prefix.bytes, 16) == 0;
                if (is_single(item->kind) && step->add && same) {
                        list[i] = *item;
                        return;
                }
                if (step->add && (same || clash)) fail_msg("added what is there");
                if (!step->add && same) {
                        list[i] = list[--*count];
                        return;
                }
        }
        if (!step->add) fail_msg("removed what is not there");
        list[(*count)++] = *item;
}

static int rank(const struct plan_step *step)
{
        return step->add ? (int)step->item.kind : 2 * PLAN_KINDS - (int)step->item.kind;
}

static void test_against_model(void **state)
{
        (void)state;
        for (int round = 0; round < 20000; round++) {
                struct plan_state current, ours, wanted;
                struct plan_item list[64];
                struct plan_step steps[64];
                draw_state(&current, 14);
                draw_state(&wanted, 14);
                draw_state(&ours, 14);
                /* IPv6: one length an address, in what is there and in what is wanted; what is there is all ours half
                 * of the time */
                bool all = draw(2);
                for (size_t i = 0; all && i < current.count; i++)
                        plan_add(&ours, &current.items[i]);
                plan_sort(&ours);
                bool lawful = true;
                for (int which = 0; which < 2; which++) {
                        const struct plan_state *s = which ? &current : &wanted;
                        for (size_t i = 1; i < s->count; i++)
                                if (s->items[i].kind == PLAN_ADDRESS && s->items[i].prefix.family == AF_INET6 &&
                                    s->items[i - 1].kind == PLAN_ADDRESS &&
                                    memcmp(&s->items[i].prefix.bytes, s->items[i - 1].prefix.bytes, 16) == 0)
                                        lawful = false;
                }
                size_t count = current.count;
                if (count) memcpy(list, current.items, count * sizeof *list);
                size_t n = plan_difference(&current, &ours, &wanted, steps);
                assert_true(n <= current.count + wanted.count);
                for (size_t i = 0; i < n && lawful && all; i++)
                        model_apply(list, &count, &steps[i]);
                for (size_t i = 0; i < wanted.count && lawful && all; i++)
                        assert_true(is_vain(&current, &wanted.items[i]) || model_has(list, count, &wanted.items[i]));
                /* each step is justified, and each that is justified is there */
                size_t due = 0;
                for (size_t i = 0; i < wanted.count; i++)
                        due += !model_has(current.items, current.count, &wanted.items[i]) &&
                               !is_vain(&current, &wanted.items[i]);
                for (size_t i = 0; i < current.count; i++)
                        due += plan_is_text(current.items[i].kind)
                                       ? !plan_value(&wanted, current.items[i].kind)
                                       : !is_value(current.items[i].kind) &&
                                                 !model_has(wanted.items, wanted.count, &current.items[i]) &&
                                                 model_has(ours.items, ours.count, &current.items[i]);
                assert_int_equal(n, due);
                for (size_t i = 0; i < n; i++) {
                        if (!steps[i].add && !plan_is_text(steps[i].item.kind))
                                assert_true(model_has(ours.items, ours.count, &steps[i].item));
                        if (!steps[i].add) assert_false(model_has(wanted.items, wanted.count, &steps[i].item));
                        if (steps[i].add) assert_false(model_has(current.items, current.count, &steps[i].item));
                        bool early = !steps[i].add && steps[i].item.kind == PLAN_ADDRESS;
                        if (i && !early) assert_true(rank(&steps[i - 1]) <= rank(&steps[i]) || !steps[i - 1].add);
                }
                plan_free(&current);
                plan_free(&ours);
                plan_free(&wanted);
        }
}

static void test_nothing_from_the_same(void **state)
{
        struct plan_step steps[128];

        (void)state;
        for (int round = 0; round < 500; round++) {
                struct plan_state one;
                draw_state(&one, 60);
                assert_int_equal(plan_difference(&one, &one, &one, steps), 0);
                plan_free(&one);
        }
}

/* In force before anything is set up, and until all else is gone; another one takes its place in one step. */
static void test_lock_is_first_and_last(void **state)
{
        struct plan_item items[] = { { .kind = PLAN_RULES, .prefix.family = AF_INET, .value = 7, .mark = 7 },
                                     { .kind = PLAN_ADDRESS, .prefix.family = AF_INET },
                                     { .kind = PLAN_GATEWAY, .digest = 6 },
                                     { .kind = PLAN_LOCK, .mark = 7, .digest = 5 } };
        struct plan_state none = { 0 }, all = { 0 }, other = { 0 };
        struct plan_step steps[8];

        (void)state;
        for (size_t i = 0; i < 4; i++)
                assert_true(plan_add(&all, &items[i]));
        plan_sort(&all);
        assert_int_equal(plan_difference(&none, &none, &all, steps), 4);
        assert_true(steps[0].add && steps[0].item.kind == PLAN_LOCK);
        assert_int_equal(plan_difference(&all, &all, &none, steps), 4);
        assert_true(!steps[3].add && steps[3].item.kind == PLAN_LOCK);
        items[3].digest = 8;
        assert_true(plan_add(&other, &items[3]));
        assert_int_equal(plan_difference(&all, &none, &other, steps), 2); /* (the gateway's table goes) */
        assert_true(steps[0].add && steps[0].item.digest == 8);
        assert_int_equal(steps[1].item.kind, PLAN_GATEWAY);
        plan_free(&all);
        plan_free(&other);
}

static void test_texts(void **state)
{
        static const char *const rows[] = {
                "lock mark 51820 text 0123456789abcdef",
                "gateway mark 0 text ffffffffffffffff",
                "address 10.0.0.1/24",
                "address fd00::1/64",
                "mtu 1420",
                "up 1",
                "route 0.0.0.0/0 table 51820",
                "route fd00::/8 table 254",
                "throw 10.1.0.0/16 table 51820",
                "throw fd00::/8 table 4294967295",
                "src_valid_mark 0",
                "rules ipv4 mark 51820 table 51820",
                "rules ipv6 mark 4294967295 table 4294967295",
                "forwarding_v4 1",
                "forwarding_v6 0",
                "accept_redirects 1",
                "accept_ra 2 interface 3",
                "each_forwarding_v4 1 interface 0",
                "each_forwarding_v6 0 interface 4294967295",
        };
        static const char *const wrong[] = {
                "",
                "lock",
                "lock mark 51820",
                "lock mark 51820 text",
                "lock mark 51820 text xyz",
                "gateway mark 1 text 0123456789abcdef0",
                "address",
                "address 10.0.0.1",
                "address 10.0.0.1/33",
                "address fd00::1/129",
                "address ten/8",
                "route 10.0.0.0/8",
                "route 10.0.0.0/8 table",
                "route 10.0.0.0/8 table 1 x",
                "throw 10.0.0.0/8",
                "throw 10.0.0.0/33 table 1",
                "mtu",
                "mtu x",
                "up 1 2",
                "rules ipv5 mark 1 table 1",
                "rules ipv4 mark 1",
                "flag 1",
                "accept_ra 1",
                "forwarding_v4 1 interface 2",
                "accept_redirects_and_a_longer_word 1",
                "address 1.2.3.4.5.6.7.8/8",
        };
        char text[PLAN_TEXT];
        struct plan_item item;

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                assert_true(plan_parse(&item, rows[i]));
                plan_print(&item, text);
                assert_string_equal(text, rows[i]);
        }
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
                if (plan_parse(&item, wrong[i])) fail_msg("'%s' was accepted", wrong[i]);
        for (int round = 0; round < 2000; round++) {
                struct plan_item before = draw_item(), after;
                plan_print(&before, text);
                assert_true(plan_parse(&after, text));
                assert_int_equal(plan_compare(&before, &after), 0);
        }
}

static void test_journal(void **state)
{
        char folder[] = "/tmp/test_plan.XXXXXX", path[64], other[64];
        struct journal out = { .link = "wg0", .ifindex = 12, .netns = 5 }, in;
        struct plan_item item = { .kind = PLAN_VALID_MARK, .value = 0 };
        struct stat info;

        (void)state;
        assert_non_null(mkdtemp(folder));
        snprintf(path, sizeof path, "%s/wg0.state", folder);
        snprintf(other, sizeof other, "%s/wg1.state", folder);
        assert_int_equal(journal_read(path, &in), -ENOENT);
        draw_state(&out.ours, 50);
        draw_state(&out.before, 4);
        for (int i = 0; i < 2; i++) { /* a second one takes the first's place */
                assert_int_equal(journal_write(path, &out), 0);
                assert_int_equal(stat(path, &info), 0);
                assert_int_equal(info.st_mode & 0777, 0600);
                assert_int_equal(journal_read(path, &in), 0);
                assert_string_equal(in.link, "wg0");
                assert_int_equal(in.ifindex, 12);
                assert_int_equal(in.netns, 5);
                assert_int_equal(in.ours.count, out.ours.count);
                assert_int_equal(in.before.count, out.before.count);
                for (size_t n = 0; n < in.ours.count; n++)
                        assert_int_equal(plan_compare(&in.ours.items[n], &out.ours.items[n]), 0);
                journal_free(&in);
        }
        struct plan_state held = { 0 };
        assert_true(journal_held(path, 5, &held));
        assert_int_equal(held.count, 0);
        struct journal second = { .link = "wg1", .ifindex = 3, .netns = 5 };
        plan_add(&second.before, &item);
        plan_add(&second.before, &(struct plan_item){ .kind = PLAN_MTU, .value = 1400 });
        plan_add(&second.before, &(struct plan_item){ .kind = PLAN_ACCEPT_RA, .value = 1, .mark = 2 });
        plan_add(&second.before, &(struct plan_item){ .kind = PLAN_ACCEPT_RA, .value = 1, .mark = 3 });
        assert_int_equal(journal_write(other, &second), 0);
        assert_true(journal_held(path, 6, &held)); /* of another network namespace */
        assert_int_equal(held.count, 0);
        plan_add(&held, &(struct plan_item){ .kind = PLAN_ACCEPT_RA, .value = 7, .mark = 3 }); /* the first counts */
        assert_true(journal_held(path, 5, &held));
        assert_int_equal(held.count, 3); /* an MTU is its link's own */
        item.value = 9;
        assert_int_equal(plan_same(&held, &item)->value, 0);
        assert_int_equal(plan_same(&held, &second.before.items[2])->value, 1);
        assert_int_equal(plan_same(&held, &second.before.items[3])->value, 7);
        plan_free(&held);
        plan_free(&out.before);
        assert_int_equal(journal_write(path, &out), 0);
        assert_true(journal_held(other, 5, &held)); /* its own does not count */
        assert_int_equal(held.count, 0);
        assert_int_equal(journal_write("/nowhere/wg0.state", &out), -ENOENT);
        journal_free(&out);
        journal_free(&second);

        FILE *file = fopen(path, "w");
        fputs("ours mtu 3\n", file);
        fclose(file);
        assert_int_equal(journal_read(path, &in), -EINVAL); /* no link */
        unlink(path);
        unlink(other);
        assert_int_equal(rmdir(folder), 0); /* no leavings */
}

/* As the kernel does it: an IPv4 address of a whole length, or of 0.0.0.0/8, has no route of its network. */
static void test_routes_that_come_with_addresses(void **state)
{
        static const struct {
                const char *address, *route;
        } rows[] = {
                { "10.9.0.1/24", "10.9.0.0/24" },        { "10.9.0.1/32", NULL },
                { "10.9.0.1/31", "10.9.0.0/31" },        { "10.9.215.1/19", "10.9.192.0/19" },
                { "255.255.0.1/1", "128.0.0.0/1" },      { "10.9.0.1/0", NULL },
                { "fd09::1/64", "fd09::/64" },           { "fd09::1/128", "fd09::1/128" },
                { "fd09:ffff::1/17", "fd09:8000::/17" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                char text[PLAN_TEXT], wanted[PLAN_TEXT];
                struct plan_item address, route;
                snprintf(text, sizeof text, "address %s", rows[i].address);
                assert_true(plan_parse(&address, text));
                assert_int_equal(plan_connected(&address, &route), rows[i].route != NULL);
                if (!rows[i].route) continue;
                plan_print(&route, text);
                snprintf(wanted, sizeof wanted, "route %s table 254", rows[i].route);
                assert_string_equal(text, wanted);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_against_model),
                cmocka_unit_test(test_nothing_from_the_same),
                cmocka_unit_test(test_lock_is_first_and_last),
                cmocka_unit_test(test_texts),
                cmocka_unit_test(test_routes_that_come_with_addresses),
                cmocka_unit_test(test_journal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
