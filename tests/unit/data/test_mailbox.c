/* The queue between workers and the owner: what goes in comes out, whole and in order, or is refused. */
#include "daemon/data/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SIZE = 200, GUARD = 0xa5 };

static uint8_t room[SIZE + 1];
static struct mailbox box;

static int set_up(void **state)
{
        (void)state;
        room[SIZE] = GUARD;
        mailbox_init(&box, room, SIZE);
        return 0;
}

static void test_empty(void **state)
{
        uint32_t head;
        uint8_t body[8];

        (void)state;
        assert_int_equal(mailbox_count(&box), 0);
        assert_int_equal(mailbox_take(&box, &head, sizeof head, body, sizeof body), -1);
}

/* A message takes the length word, its head and its body. */
static void test_full(void **state)
{
        uint8_t body[SIZE] = { 1 }, got[SIZE];
        const size_t most = SIZE - sizeof(size_t) - 4;
        uint32_t head = 7;

        (void)state;
        assert_false(mailbox_put(&box, &head, sizeof head, body, most + 1));
        assert_int_equal(mailbox_count(&box), 0);
        assert_true(mailbox_put(&box, &head, sizeof head, body, most));
        assert_false(mailbox_put(&box, &head, sizeof head, body, 0));
        assert_int_equal(mailbox_count(&box), 1);
        assert_int_equal(mailbox_take(&box, &head, sizeof head, got, sizeof got), most);
        assert_memory_equal(got, body, most);
        assert_true(mailbox_put(&box, &head, sizeof head, body, 0));
        assert_int_equal(mailbox_take(&box, &head, sizeof head, got, sizeof got), 0);
}

/* The length is told whole, the rest is gone, and the next message is as it was. */
static void test_longer_than_the_buffer(void **state)
{
        uint8_t body[50], got[16] = { 0 };
        uint32_t head = 1;

        (void)state;
        for (unsigned i = 0; i < sizeof body; i++)
                body[i] = (uint8_t)i;
        assert_true(mailbox_put(&box, &head, sizeof head, body, sizeof body));
        head = 2;
        assert_true(mailbox_put(&box, &head, sizeof head, body + 5, 3));
        assert_int_equal(mailbox_take(&box, &head, sizeof head, got, 10), 50);
        assert_int_equal(head, 1);
        assert_memory_equal(got, body, 10);
        assert_int_equal(got[10], 0);
        assert_int_equal(mailbox_take(&box, &head, sizeof head, got, sizeof got), 3);
        assert_int_equal(head, 2);
        assert_memory_equal(got, body + 5, 3);
}

/* Every place for the end of the ring: in the length, in a head, in a body. */
static void test_against_a_list(void **state)
{
        struct {
                uint32_t head;
                size_t len;
        } wanted[64];
        unsigned first = 0, last = 0;

        (void)state;
        srand(3);
        for (uint32_t step = 0; step < 50000; step++) {
                uint8_t body[SIZE];
                uint32_t head = step;
                size_t len = (size_t)(rand() % 40);
                if (rand() % 2) {
                        memset(body, (int)(step & 0xff), len);
                        if (!mailbox_put(&box, &head, sizeof head, body, len)) continue;
                        wanted[last % 64].head = head;
                        wanted[last++ % 64].len = len;
                } else {
                        ptrdiff_t got = mailbox_take(&box, &head, sizeof head, body, sizeof body);
                        assert_int_equal(got, first == last ? -1 : (ptrdiff_t)wanted[first % 64].len);
                        if (got < 0) continue;
                        assert_int_equal(head, wanted[first % 64].head);
                        for (ptrdiff_t i = 0; i < got; i++)
                                assert_int_equal(body[i], head & 0xff);
                        first++;
                }
                assert_int_equal(mailbox_count(&box), last - first);
        }
        assert_int_equal(room[SIZE], GUARD);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_empty, set_up),
                cmocka_unit_test_setup(test_full, set_up),
                cmocka_unit_test_setup(test_longer_than_the_buffer, set_up),
                cmocka_unit_test_setup(test_against_a_list, set_up),
        };

        return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
