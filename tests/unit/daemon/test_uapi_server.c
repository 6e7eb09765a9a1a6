/* The UAPI server driven as the tunnel process drives it: a real listener, real epoll, one process. */
#include "daemon/uapi_server.h"

#include "daemon/conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

enum { LARGE = 4 << 20, ROUNDS = 10000 };

static struct {
        struct uapi_server server;
        uint8_t *memory;
        struct sockaddr_un address;
        unsigned served;
        char last[256]; /* the last request */
} world;

/* Answers with the number of the request and the request, and more on demand. */
static void serve(void *context, const char *request, size_t len, struct writer *out)
{
        assert_ptr_equal(context, &world);
        world.served++;
        snprintf(world.last, sizeof world.last, "%.*s", (int)(len < 200 ? len : 200), request);
        writer_print(out, "number=%u\n", world.served);
        if (len >= 6 && !memcmp(request, "large=", 6))
                for (unsigned i = 0; i < LARGE / 16; i++)
                        writer_print(out, "line=%010u\n", i);
        if (len >= 5 && !memcmp(request, "huge=", 5)) {
                char line[1001];
                memset(line, 'x', sizeof line - 1);
                line[sizeof line - 1] = '\0';
                while (out->used < out->size)
                        writer_print(out, "%s", line);
        }
        writer_print(out, "errno=0\n\n");
}

static int setup(void **state)
{
        (void)state;
        memset(&world, 0, sizeof world);
        world.memory = mmap(NULL, uapi_server_memory(), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        socklen_t len = sizeof world.address;
        world.address.sun_family = AF_UNIX;
        /* Bound to no name: the kernel picks one without a file. */
        if (world.memory == MAP_FAILED || bind(listener, (struct sockaddr *)&world.address, sizeof(sa_family_t)))
                return -1;
        if (getsockname(listener, (struct sockaddr *)&world.address, &len) || listen(listener, 16)) return -1;
        uapi_server_init(&world.server, listener, epoll_create1(EPOLL_CLOEXEC), world.memory);
        world.server.serve = serve;
        world.server.context = &world;
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = &world };
        return epoll_ctl(world.server.epoll, EPOLL_CTL_ADD, listener, &event);
}

static int teardown(void **state)
{
        (void)state;
        close(world.server.listener);
        close(world.server.epoll);
        for (int i = 0; i < UAPI_CLIENTS_MAX; i++)
                if (world.server.clients[i].fd >= 0) close(world.server.clients[i].fd);
        munmap(world.memory, uapi_server_memory());
        return 0;
}

/* One round of the loop; false: there is nothing to do. */
static bool run_once(void)
{
        struct epoll_event events[4];
        int count = epoll_wait(world.server.epoll, events, 4, 0);

        for (int i = 0; i < count; i++)
                if (uapi_server_owns(&world.server, events[i].data.ptr))
                        uapi_server_ready(&world.server, events[i].data.ptr, events[i].events);
                else uapi_server_accept(&world.server);
        return count > 0;
}

/* Until the server has nothing to do. One that always has is a loop that burns a CPU. */
static void run(void)
{
        for (unsigned round = 0; run_once(); round++)
                if (round >= ROUNDS) fail_msg("the server never comes to rest");
}

static int connected(void)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        socklen_t len = sizeof(sa_family_t) + 6; /* an autobound name: a NUL and five digits */

        assert_true(fd >= 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&world.address, len), 0);
        run();
        return fd;
}

static void put(int fd, const char *text)
{
        assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
        run();
}

/* What has come back; "" if nothing, "closed" at the end. */
static const char *got(int fd)
{
        static char text[4096];
        ssize_t len = recv(fd, text, sizeof text - 1, 0);

        if (len < 0) {
                assert_int_equal(errno, EAGAIN);
                return "";
        }
        text[len] = '\0';
        return len ? text : "closed";
}

static unsigned clients(void)
{
        unsigned count = 0;

        for (int i = 0; i < UAPI_CLIENTS_MAX; i++)
                count += world.server.clients[i].fd >= 0;
        return count;
}

/* Nothing of what was said stays in the memory: texts hold keys. */
static void assert_wiped(void)
{
        for (int i = 0; i < UAPI_CLIENTS_MAX; i++) {
                const struct uapi_client *client = &world.server.clients[i];
                for (size_t at = 0; at < 8192; at++)
                        if (client->in[at] || client->out[at]) fail_msg("client %d: byte %zu was not wiped", i, at);
        }
}

static void test_byte_by_byte(void **state)
{
        static const char text[] = "set=1\nprivate_key=00\n\n";
        int fd = connected();

        (void)state;
        for (size_t i = 0; text[i]; i++) {
                assert_int_equal(world.served, 0);
                put(fd, (char[]){ text[i], '\0' });
        }
        assert_int_equal(world.served, 1);
        assert_string_equal(world.last, "set=1\nprivate_key=00\n");
        assert_string_equal(got(fd), "number=1\nerrno=0\n\n");
        assert_wiped();
        put(fd, "get=1\n\n");
        assert_string_equal(world.last, "get=1\n");
        assert_string_equal(got(fd), "number=2\nerrno=0\n\n");
        close(fd);
        run();
        assert_int_equal(clients(), 0);
}

static void test_many_in_one_write(void **state)
{
        int fd = connected();

        (void)state;
        put(fd, "get=1\n\nset=1\n\nget=2\n\nge");
        assert_int_equal(world.served, 3);
        assert_string_equal(world.last, "get=2\n");
        assert_string_equal(got(fd), "number=1\nerrno=0\n\nnumber=2\nerrno=0\n\nnumber=3\nerrno=0\n\n");
        put(fd, "t=3\n\n");
        assert_string_equal(world.last, "get=3\n");
        assert_string_equal(got(fd), "number=4\nerrno=0\n\n");
        assert_wiped();
        close(fd);
}

/* The requests after one whose answer waits for room are served once it went. */
static void test_answer_larger_than_the_socket(void **state)
{
        int fd = connected();
        size_t total = 0;
        char piece[65536], end[5] = { 0 };

        (void)state;
        put(fd, "large=1\n\nlarge=2\n\nget=1\n\n");
        assert_int_equal(world.served, 1); /* it waits */
        for (unsigned round = 0; round < ROUNDS; round++) {
                ssize_t len = recv(fd, piece, sizeof piece, 0);
                if (len > 0) {
                        total += (size_t)len;
                        assert_true(len >= 4);
                        memcpy(end, piece + len - 4, 4);
                } else if (world.served == 3) {
                        break;
                }
                run();
        }
        assert_int_equal(world.served, 3);
        assert_int_equal(total, 2 * LARGE + 3 * strlen("number=1\nerrno=0\n\n"));
        assert_memory_equal(end, "=0\n\n", 4);
        assert_wiped();
        put(fd, "get=1\n\n");
        assert_string_equal(got(fd), "number=4\nerrno=0\n\n");
        close(fd);
}

static void test_answer_to_one_who_left(void **state)
{
        int fd = connected();

        (void)state;
        put(fd, "large=1\n\n");
        close(fd); /* most of it unread */
        run();
        assert_int_equal(clients(), 0);
        assert_wiped();
}

static void test_huge_request(void **state)
{
        static char piece[1 << 20];
        int fd = connected(), other = connected();
        size_t sent = 0;
        ssize_t len = 0;

        (void)state;
        memset(piece, 'x', sizeof piece);
        for (unsigned round = 0; round < ROUNDS && (len >= 0 || errno == EAGAIN); round++) {
                len = send(fd, piece, sizeof piece, MSG_NOSIGNAL);
                if (len > 0) sent += (size_t)len;
                run();
        }
        assert_int_equal(errno, EPIPE);
        assert_in_range(sent, UAPI_BUFFER_SIZE, UAPI_BUFFER_SIZE + (4 << 20));
        assert_int_equal(world.served, 0);
        assert_int_equal(clients(), 1);
        assert_wiped();
        put(other, "get=1\n\n"); /* nobody else is harmed, nor whoever gets the place */
        assert_string_equal(got(other), "number=1\nerrno=0\n\n");
        close(fd);
        fd = connected();
        put(fd, "get=1\n\n");
        assert_string_equal(world.last, "get=1\n");
        close(fd);
        close(other);
}

/* An answer that there is no room for is an error: half of one would be taken for the whole. */
static void test_huge_answer(void **state)
{
        char error[32];
        int fd = connected();

        (void)state;
        snprintf(error, sizeof error, "errno=%d\n\n", E2BIG);
        put(fd, "huge=1\n\nget=1\n\n");
        const char *answer = got(fd);
        assert_memory_equal(answer, error, strlen(error));
        assert_string_equal(answer + strlen(error), "number=2\nerrno=0\n\n");
        assert_wiped();
        close(fd);
}

static void test_half_a_request(void **state)
{
        int fd = connected();

        (void)state;
        put(fd, "set=1\nprivate_key=");
        close(fd);
        run();
        assert_int_equal(world.served, 0);
        assert_int_equal(clients(), 0);
        assert_wiped();
        fd = connected();
        put(fd, "\n\n"); /* the rest of somebody else's */
        assert_string_equal(world.last, "\n");
        close(fd);
}

/* `wg` does so before it asks: no answer, no place taken. */
static void test_connect_and_close(void **state)
{
        (void)state;
        for (int i = 0; i < 3 * UAPI_CLIENTS_MAX; i++)
                close(connected());
        run();
        assert_int_equal(clients(), 0);
        assert_int_equal(world.served, 0);
}

/* The writing half closed after the request: still answered. */
static void test_shut_for_writing(void **state)
{
        int fd = connected();

        (void)state;
        assert_int_equal(send(fd, "get=1\n\n", 7, MSG_NOSIGNAL), 7);
        shutdown(fd, SHUT_WR);
        run();
        assert_string_equal(got(fd), "number=1\nerrno=0\n\n");
        assert_string_equal(got(fd), "closed");
        assert_int_equal(clients(), 0);
        close(fd);
}

static void test_all_places_taken(void **state)
{
        int fds[UAPI_CLIENTS_MAX], refused;

        (void)state;
        for (int i = 0; i < UAPI_CLIENTS_MAX; i++)
                fds[i] = connected();
        assert_int_equal(clients(), UAPI_CLIENTS_MAX);
        refused = connected();
        assert_string_equal(got(refused), "closed");
        for (int i = 0; i < UAPI_CLIENTS_MAX; i++) {
                put(fds[i], "get=1\n\n");
                assert_memory_equal(got(fds[i]), "number=", 7);
        }
        close(fds[3]);
        run();
        close(refused);
        refused = connected();
        put(refused, "get=1\n\n");
        assert_string_equal(got(refused), "number=9\nerrno=0\n\n");
        close(refused);
        for (int i = 0; i < UAPI_CLIENTS_MAX; i++)
                if (i != 3) close(fds[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_byte_by_byte),
                TEST(test_many_in_one_write),
                TEST(test_answer_larger_than_the_socket),
                TEST(test_answer_to_one_who_left),
                TEST(test_huge_request),
                TEST(test_huge_answer),
                TEST(test_half_a_request),
                TEST(test_connect_and_close),
                TEST(test_shut_for_writing),
                TEST(test_all_places_taken),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
