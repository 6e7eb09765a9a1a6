#include "daemon/proto/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ITEMS = 100 };

static uint64_t least(const struct heap_item *items)
{
        uint64_t at = UINT64_MAX;

        for (unsigned i = 0; i < ITEMS; i++)
                if (items[i].place && items[i].at < at) at = items[i].at;
        return at;
}

/* Against a list that is searched. */
static void test_random(void **state)
{
        struct heap_item items[ITEMS] = { 0 };
        struct heap_item *memory[ITEMS + 1];
        struct heap heap;
        unsigned present = 0;

        (void)state;
        assert_true(heap_memory(ITEMS) <= sizeof memory);
        heap_init(&heap, memory);
        srand(1);
        for (unsigned step = 0; step < 100000; step++) {
                struct heap_item *item = &items[rand() % ITEMS];

                if (rand() % 3 == 0) {
                        present -= item->place != 0;
                        heap_remove(&heap, item);
                        assert_int_equal(item->place, 0);
                } else {
                        present += item->place == 0;
                        heap_set(&heap, item, (uint64_t)rand() % 1000);
                }
                assert_int_equal(heap.count, present);
                if (present) assert_int_equal(heap_first(&heap)->at, least(items));
                else assert_null(heap_first(&heap));
                for (uint32_t place = 2; place <= heap.count; place++)
                        assert_true(memory[place]->at >= memory[place / 2]->at);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_random) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
