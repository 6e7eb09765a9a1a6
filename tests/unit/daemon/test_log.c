/* The log's levels and limiter. This program has a clock_gettime() of its own, which the linker takes before the
 * library's, so that no test waits. */
#include "daemon/log.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static time_t seconds = 1000;

int clock_gettime(clockid_t clock, struct timespec *now)
{
        (void)clock;
        *now = (struct timespec){ .tv_sec = seconds };
        return 0;
}

static struct {
        unsigned lines;
        int level;
        char text[LOG_TEXT];
} seen;

static void sink(void *context, int level, const char *text)
{
        assert_ptr_equal(context, &seen);
        seen.lines++;
        seen.level = level;
        snprintf(seen.text, sizeof seen.text, "%s", text);
}

static int setup(void **state)
{
        (void)state;
        memset(&seen, 0, sizeof seen);
        seconds += 100000; /* what an earlier test left out is of the past */
        log_open_sink(sink, &seen, LOG_INFO);
        log_packet(LOG_INFO, "first");
        memset(&seen, 0, sizeof seen);
        log_open_sink(sink, &seen, LOG_INFO); /* the burst is whole again */
        return 0;
}

static unsigned packets(unsigned count)
{
        unsigned before = seen.lines;

        for (unsigned i = 0; i < count; i++)
                log_packet(LOG_INFO, "packet %u", i);
        return seen.lines - before;
}

static void test_burst(void **state)
{
        (void)state;
        assert_int_equal(packets(50), 50);
        assert_string_equal(seen.text, "packet 49");
        assert_int_equal(packets(1000), 0);
        assert_string_equal(seen.text, "packet 49");

        /* What no packet can cause is not limited, and does not use the packets' tokens. */
        log_print(LOG_ERR, "the link is down");
        assert_string_equal(seen.text, "the link is down");
        assert_int_equal(seen.level, LOG_ERR);
}

static void test_left_out_is_told(void **state)
{
        (void)state;
        packets(50 + 123);
        seconds++;
        log_packet(LOG_INFO, "after");
        assert_string_equal(seen.text, "after");
        assert_int_equal(seen.lines, 50 + 2);

        /* The number is told once, right before the line. */
        assert_int_equal(packets(9), 9);
        assert_int_equal(packets(7), 0);
        seconds++;
        memset(&seen, 0, sizeof seen);
        assert_int_equal(packets(1), 2);
}

static char first[LOG_TEXT];
static void sink_first(void *context, int level, const char *text)
{
        sink(context, level, text);
        if (seen.lines == 1) snprintf(first, sizeof first, "%s", text);
}

static void test_how_many(void **state)
{
        (void)state;
        packets(50 + 123);
        memset(&seen, 0, sizeof seen);
        log_open_sink(sink_first, &seen, LOG_INFO);
        log_packet(LOG_INFO, "after");
        assert_string_equal(first, "123 lines were left out (rate limit)");
        assert_string_equal(seen.text, "after");
}

static void test_refill(void **state)
{
        static const struct {
                time_t passed;
                unsigned lines;
        } rows[] = {
                { 0, 50 }, { 0, 0 },  { 1, 10 },  { 1, 10 },         { 2, 20 }, { 4, 40 },
                { 5, 50 }, { 6, 50 }, { 51, 50 }, { 100000000, 50 }, { 0, 0 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                seconds += rows[i].passed;
                unsigned printed = packets(200);
                /* With one line more to tell what was left out before. */
                unsigned want = rows[i].lines + (i && rows[i].lines ? 1 : 0);
                if (printed != want) fail_msg("row %zu: %u lines, wanted %u", i, printed, want);
        }
}

/* A line that is not printed costs nothing, and is not told as left out. */
static void test_level(void **state)
{
        (void)state;
        for (unsigned i = 0; i < 1000; i++)
                log_packet(LOG_DEBUG, "noise");
        log_print(LOG_DEBUG, "noise");
        assert_int_equal(seen.lines, 0);
        assert_int_equal(packets(51), 50);
        log_open_sink(sink, &seen, LOG_DEBUG);
        log_print(LOG_DEBUG, "noise");
        assert_string_equal(seen.text, "noise");
        log_open_sink(sink, &seen, -1); /* silent */
        memset(&seen, 0, sizeof seen);
        log_print(LOG_EMERG, "noise");
        assert_int_equal(seen.lines, 0);
}

static void test_level_from_environment(void **state)
{
        static const struct {
                const char *value;
                int level;
        } rows[] = {
                { "silent", -1 },       { "error", LOG_ERR }, { "info", LOG_INFO }, { "verbose", LOG_DEBUG },
                { "debug", LOG_DEBUG }, { "", LOG_INFO },     { "loud", LOG_INFO },
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                setenv("LOG_LEVEL", rows[i].value, 1);
                assert_int_equal(log_level_from_environment(), rows[i].level);
        }
        unsetenv("LOG_LEVEL");
        assert_int_equal(log_level_from_environment(), LOG_INFO);
}

static void test_long_line_is_cut(void **state)
{
        char text[2 * LOG_TEXT];

        (void)state;
        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = '\0';
        log_print(LOG_INFO, "%s", text);
        assert_int_equal(strlen(seen.text), LOG_TEXT - 1);
}

/* The one format of a peer: its name, else enough of its key; where it is, if that is known. */
static void test_peer(void **state)
{
        union socket_address at = { .in = { .sin_family = AF_INET, .sin_port = htons(51820) } }, none = { 0 };
        struct key key;
        char text[LOG_PEER], longest[PEER_NAME_MAX + 1];

        (void)state;
        memset(key.bytes, 0xff, sizeof key.bytes);
        inet_pton(AF_INET, "192.0.2.1", &at.in.sin_addr);
        assert_string_equal(log_peer("berlin", &key, &at, text), "peer berlin (192.0.2.1:51820)");
        assert_string_equal(log_peer("berlin", &key, &none, text), "peer berlin ((none))");
        assert_string_equal(log_peer("", &key, &at, text), "peer ////////... (192.0.2.1:51820)");
        memset(longest, 'n', PEER_NAME_MAX);
        longest[PEER_NAME_MAX] = '\0';
        at.in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = 0xffff, .sin6_scope_id = UINT32_MAX };
        memset(&at.in6.sin6_addr, 0xfe, 16);
        log_peer(longest, &key, &at, text);
        assert_string_equal(text + strlen(text) - 3, "35)"); /* whole: port 65535 */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
        const struct CMUnitTest tests[] = {
                TEST(test_burst), TEST(test_left_out_is_told),       TEST(test_how_many),         TEST(test_refill),
                TEST(test_level), TEST(test_level_from_environment), TEST(test_long_line_is_cut), TEST(test_peer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
