#include "tests/unit/proto/pair.h"

#include <sys/mman.h>
#include <unistd.h>

enum { SIZE = 32, POOL = 6, MAX = 4 };

static _Alignas(16) uint8_t memory[4096];

static void pool_fresh(struct pool *pool)
{
        memset(memory, 0, sizeof memory);
        assert_true(pool_memory(staged_item_size(SIZE), POOL) <= sizeof memory);
        pool_init(pool, memory, staged_item_size(SIZE), POOL);
}

static unsigned push(struct staged_queue *queue, struct pool *pool, uint8_t mark)
{
        return staged_push(queue, pool, &mark, 1, MAX);
}

/* The marks of the packets, oldest first, as a string. */
static void check_queue(const struct staged_queue *queue, const char *marks)
{
        const struct staged *item = staged_first(queue);

        assert_int_equal(queue->count, strlen(marks));
        for (; *marks; marks++, item = item->next)
                assert_int_equal(item->bytes[0], *marks);
        assert_null(item);
}

static void test_oldest_is_dropped(void **state)
{
        struct staged_queue queue = { 0 };
        struct pool pool;

        (void)state;
        pool_fresh(&pool);
        for (uint8_t mark = 'a'; mark <= 'd'; mark++)
                assert_int_equal(push(&queue, &pool, mark), 0);
        check_queue(&queue, "abcd");
        assert_int_equal(push(&queue, &pool, 'e'), 1);
        assert_int_equal(push(&queue, &pool, 'f'), 1);
        check_queue(&queue, "cdef");
        staged_pop(&queue, &pool);
        check_queue(&queue, "def");
        assert_int_equal(pool.taken, 3);
        assert_int_equal(staged_clear(&queue, &pool), 3);
        assert_int_equal(staged_clear(&queue, &pool), 0);
        check_queue(&queue, "");
        assert_int_equal(pool.taken, 0);
}

static void test_shared_pool(void **state)
{
        struct staged_queue one = { 0 }, two = { 0 }, three = { 0 };
        struct pool pool;

        (void)state;
        pool_fresh(&pool);
        for (uint8_t mark = 'a'; mark <= 'd'; mark++)
                assert_int_equal(push(&one, &pool, mark), 0);
        assert_int_equal(push(&two, &pool, 'x'), 0);
        assert_int_equal(push(&two, &pool, 'y'), 0);
        assert_int_equal(push(&two, &pool, 'z'), 1); /* the pool is empty: its own oldest */
        check_queue(&two, "yz");
        assert_int_equal(push(&three, &pool, 'n'), 1); /* it has none: the packet itself */
        check_queue(&three, "");
        check_queue(&one, "abcd");
        staged_pop(&one, &pool);
        assert_int_equal(push(&three, &pool, 'n'), 0);
        check_queue(&three, "n");
}

static void test_too_large(void **state)
{
        struct staged_queue queue = { 0 };
        uint8_t packet[SIZE + POOL_ALIGN(1) + 1] = { 0 };
        struct pool pool;

        (void)state;
        pool_fresh(&pool);
        assert_int_equal(staged_push(&queue, &pool, packet, SIZE, MAX), 0);
        assert_int_equal(staged_push(&queue, &pool, packet, sizeof packet, MAX), 1);
        assert_int_equal(queue.count, 1);
}

/* What was staged is in the clear: it does not stay behind. */
static void test_wiped(void **state)
{
        static const uint8_t packet[SIZE] = "in the clear, as it came";
        struct staged_queue queue = { 0 };
        struct pool pool;

        (void)state;
        pool_fresh(&pool);
        staged_push(&queue, &pool, packet, sizeof packet, MAX);
        assert_non_null(memmem(memory, sizeof memory, packet, sizeof packet));
        staged_clear(&queue, &pool);
        assert_null(memmem(memory, sizeof memory, packet, sizeof packet));
}

/* A pool of packets of 64 KiB would be megabytes if a few small ones touched more than themselves. */
static void test_untouched_behind(void **state)
{
        static const uint8_t packet[] = "as small as a ping";
        struct staged_queue queue = { 0 };
        struct pool pool;
        uint8_t *behind;

        (void)state;
        pool_fresh(&pool);
        staged_push(&queue, &pool, packet, sizeof packet, MAX);
        behind = (uint8_t *)(uintptr_t)staged_first(&queue)->bytes + sizeof packet;
        memset(behind, 0xc4, SIZE - sizeof packet);
        staged_pop(&queue, &pool);
        assert_null(memmem(memory, sizeof memory, packet, sizeof packet));
        for (size_t i = 0; i < SIZE - sizeof packet; i++)
                assert_int_equal(behind[i], 0xc4);
}

/* The same, counted in pages by the kernel. */
static void test_resident_pages(void **state)
{
        enum { ITEMS = 64, LARGEST = 65536 };
        const size_t page = (size_t)sysconf(_SC_PAGESIZE), size = pool_memory(staged_item_size(LARGEST), ITEMS);
        uint8_t *fresh = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        unsigned char resident[ITEMS * (LARGEST / 4096 + 2)];
        const uint8_t packet[84] = { 0x45 };
        struct staged_queue queue = { 0 };
        struct pool pool;
        size_t touched = 0;

        (void)state;
        assert_ptr_not_equal(fresh, MAP_FAILED);
        assert_int_equal(madvise(fresh, size, MADV_NOHUGEPAGE), 0);
        pool_init(&pool, fresh, staged_item_size(LARGEST), ITEMS);
        for (unsigned i = 0; i < ITEMS; i++)
                assert_int_equal(staged_push(&queue, &pool, packet, sizeof packet, ITEMS), 0);
        assert_int_equal(staged_clear(&queue, &pool), ITEMS);
        assert_int_equal(mincore(fresh, size, resident), 0);
        for (size_t i = 0; i < (size + page - 1) / page; i++)
                touched += resident[i] & 1;
        assert_in_range(touched, ITEMS, 2 * ITEMS); /* a small packet may lie across the end of a page */
        munmap(fresh, size);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_oldest_is_dropped), cmocka_unit_test(test_shared_pool),
                cmocka_unit_test(test_too_large),         cmocka_unit_test(test_wiped),
                cmocka_unit_test(test_untouched_behind),  cmocka_unit_test(test_resident_pages),
        };

        return RUN(tests);
}
