/* The endpoint that any thread reads: whole, whoever writes. */
#include "tests/unit/proto/pair.h"

#include <pthread.h>

enum { WRITES = 60000, READERS = 2 };

static struct endpoint_cell cell;
static _Atomic bool done;

/* All its bytes but the source are of one number. */
static struct endpoint endpoint_made_of(uint8_t number)
{
        struct endpoint e = { 0 };

        memset(&e.remote, number, sizeof e.remote);
        memset(&e.source, number, sizeof e.source);
        e.source_ifindex = number;
        return e;
}

static bool whole(const struct endpoint *e)
{
        const uint8_t number = *(const uint8_t *)&e->remote;
        struct endpoint with = endpoint_made_of(number), without = with;

        memset(&without.source, 0, sizeof without.source);
        without.source_ifindex = 0;
        return !memcmp(e, &with, sizeof with) || !memcmp(e, &without, sizeof without);
}

static void *read_it(void *context)
{
        unsigned *torn = context;
        struct endpoint e;

        while (!done) {
                endpoint_read(&cell, &e);
                *torn += !whole(&e);
        }
        return NULL;
}

static void *write_it(void *context)
{
        uint8_t first = *(const uint8_t *)context;

        for (unsigned i = 0; i < WRITES; i++) {
                struct endpoint e = endpoint_made_of((uint8_t)(first + i % 50));
                if (i % 5 == 4) endpoint_clear_source(&cell);
                else endpoint_write(&cell, &e);
        }
        return NULL;
}

static void test_never_torn(void **state)
{
        const struct endpoint start = endpoint_made_of(9);
        unsigned torn[READERS] = { 0 };
        uint8_t first[2] = { 10, 100 };
        pthread_t readers[READERS], writers[2];

        (void)state;
        endpoint_write(&cell, &start);
        done = false;
        for (int i = 0; i < READERS; i++)
                assert_int_equal(pthread_create(&readers[i], NULL, read_it, &torn[i]), 0);
        for (int i = 0; i < 2; i++)
                assert_int_equal(pthread_create(&writers[i], NULL, write_it, &first[i]), 0);
        for (int i = 0; i < 2; i++)
                pthread_join(writers[i], NULL);
        done = true;
        for (int i = 0; i < READERS; i++) {
                pthread_join(readers[i], NULL);
                assert_int_equal(torn[i], 0);
        }
}

/* Where a worker heard the peer from stays, when the owner, who does not know of it yet, forgets the source. */
static void test_forgetting_the_source_keeps_a_roam(void **state)
{
        struct pair *p = pair_new();
        struct endpoint moved = endpoint_of("198.51.100.7", 77), now;

        (void)state;
        moved.source_ifindex = 3;
        endpoint_write(&p->a.peer->published, &moved);
        peer_forget_source(p->a.peer);
        endpoint_read(&p->a.peer->published, &now);
        assert_true(same_remote(&now.remote, &moved.remote));
        assert_int_equal(now.source_ifindex, 0);
        pair_free(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_never_torn),
                cmocka_unit_test(test_forgetting_the_source_keeps_a_roam),
        };

        return RUN(tests);
}
