/* The text of hooks: %i, order, and that the copy needs its conf no more. What they do is in tests/e2e/36-hooks.sh. */
#include "ctl/hooks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_percent_i_everywhere(void **state)
{
        static const struct {
                const char *text, *wanted;
        } rows[] = {
                { "", "" },
                { "%i", "wg0" },
                { "%i%i", "wg0wg0" },
                { "a%ib", "awg0b" },
                { "ip link show %i; echo '%i' \"%i\"", "ip link show wg0; echo 'wg0' \"wg0\"" },
                { "%", "%" },
                { "%%i", "%wg0" },
                { "100% of i, %I, % i, %s %n", "100% of i, %I, % i, %s %n" },
                { "ends in %", "ends in %" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct conf_line line = { .text = rows[i].text };
                struct conf conf = { .post_down = &line };
                struct hooks hooks;

                assert_true(hooks_init(&hooks, &conf, "wg0"));
                assert_string_equal(hooks.lists[HOOK_POST_DOWN]->text, rows[i].wanted);
                assert_null(hooks.lists[HOOK_POST_DOWN]->next);
                hooks_fini(&hooks);
        }
}

static void test_a_name_like_the_pattern_is_not_looked_at_again(void **state)
{
        struct conf_line line = { .text = "%i" };
        struct conf conf = { .pre_up = &line };
        struct hooks hooks;

        (void)state;
        assert_true(hooks_init(&hooks, &conf, "%i"));
        assert_string_equal(hooks.lists[HOOK_PRE_UP]->text, "%i");
        hooks_fini(&hooks);
}

/* As command_up() does: the conf's memory is wiped before they are run. */
static void test_the_copy_outlives_the_conf(void **state)
{
        static const char TEXT[] =
                "[Interface]\nPreUp = a %i\nPostUp = c\nPreUp = b\nPostDown = e\nPreDown = d\nPostUp = %i\n";
        static const char *const wanted[HOOKS][3] = {
                [HOOK_PRE_UP] = { "a wg7", "b" },
                [HOOK_POST_UP] = { "c", "wg7" },
                [HOOK_PRE_DOWN] = { "d" },
                [HOOK_POST_DOWN] = { "e" },
        };
        struct pool pool = { .size = conf_pool_size(sizeof TEXT) };
        struct conf_error error;
        struct conf conf;
        struct hooks hooks;

        (void)state;
        pool.base = malloc(pool.size);
        assert_non_null(pool.base);
        assert_true(conf_parse(&conf, &pool, TEXT, sizeof TEXT - 1, &error));
        assert_true(hooks_any(&conf));
        assert_true(hooks_init(&hooks, &conf, "wg7"));
        pool_reset(&pool);
        free(pool.base);
        for (int hook = 0; hook < HOOKS; hook++) {
                const struct conf_line *line = hooks.lists[hook];

                for (int i = 0; wanted[hook][i]; i++, line = line->next) {
                        assert_non_null(line);
                        assert_string_equal(line->text, wanted[hook][i]);
                }
                assert_null(line);
        }
        hooks_fini(&hooks);
        conf = (struct conf){ 0 };
        assert_false(hooks_any(&conf));
}

static void test_run_stops_at_the_first_that_fails(void **state)
{
        char path[] = "/tmp/adit-hooks.XXXXXX", first[128], third[128];
        struct conf_line lines[3] = { { .text = first }, { .text = "exit 3" }, { .text = third } };
        struct hooks hooks = { .name = "wg0", .lists[HOOK_PRE_UP] = lines };

        (void)state;
        assert_non_null(mkdtemp(path));
        snprintf(first, sizeof first, "touch %s/first", path);
        snprintf(third, sizeof third, "touch %s/third", path);
        lines[0].next = &lines[1];
        lines[1].next = &lines[2];
        assert_int_equal(hooks_run(&hooks, HOOK_PRE_UP), 1);
        assert_int_equal(hooks_run(&hooks, HOOK_POST_UP), 0); /* there is none */
        snprintf(first, sizeof first, "%s/first", path);
        snprintf(third, sizeof third, "%s/third", path);
        assert_int_equal(remove(first), 0);
        assert_int_not_equal(remove(third), 0);
        assert_int_equal(remove(path), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_percent_i_everywhere),
                cmocka_unit_test(test_a_name_like_the_pattern_is_not_looked_at_again),
                cmocka_unit_test(test_the_copy_outlives_the_conf),
                cmocka_unit_test(test_run_stops_at_the_first_that_fails),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
