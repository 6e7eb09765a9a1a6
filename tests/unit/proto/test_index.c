#include "tests/unit/proto/pair.h"

enum { ENTRIES = 64 };

/* Indices of few bits, so that they meet in buckets and fresh ones must be drawn again. */
static void fill_few(void *context, void *bytes, size_t len)
{
        (void)context;
        memset(bytes, 0, len);
        *(uint8_t *)bytes = (uint8_t)rand();
}

static struct index_entry *find_naive(struct index_entry *entries, uint32_t index)
{
        for (unsigned i = 0; i < ENTRIES; i++)
                if (entries[i].peer && entries[i].index == index) return &entries[i];
        return NULL;
}

static void test_random(void **state)
{
        const struct engine_random random = { fill_few, NULL };
        struct index_entry entries[ENTRIES] = { 0 };
        struct index_entry *memory[ENTRIES] = { 0 };
        struct index_table table;
        struct peer peer;

        (void)state;
        index_init(&table, memory, 10); /* 16 buckets: fewer than entries */
        assert_true(index_memory(10) <= sizeof memory);
        srand(2);
        for (unsigned step = 0; step < 20000; step++) {
                struct index_entry *entry = &entries[rand() % ENTRIES];

                if (entry->peer) {
                        index_remove(&table, entry);
                        index_remove(&table, entry); /* once more does nothing */
                } else {
                        uint32_t index = index_fresh(&table, &random);

                        assert_null(find_naive(entries, index));
                        index_insert(&table, entry, index, &peer, NULL);
                }
                for (uint32_t index = 0; index < 256; index += 1 + rand() % 9)
                        assert_ptr_equal(index_find(&table, index), find_naive(entries, index));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_random) };

        return RUN(tests);
}
