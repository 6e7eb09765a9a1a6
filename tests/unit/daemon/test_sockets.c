/* The listening sockets of a link, in a folder of this test's own, and the memfds that pass between processes. */
#include "daemon/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

static char base[] = "/tmp/adit-sockets-XXXXXX", folder[64], path[80];

static int start(void **state)
{
        (void)state;
        if (!mkdtemp(base)) return -1;
        snprintf(folder, sizeof folder, "%s/run", base);
        snprintf(path, sizeof path, "%s/wg0.sock", folder);
        return 0;
}

static int end(void **state)
{
        (void)state;
        rmdir(folder);
        return rmdir(base);
}

/* Whatever a failed test left. */
static int teardown(void **state)
{
        (void)state;
        unlink(path);
        return 0;
}

static struct listener opened(int type)
{
        struct listener listener = { .fd = -1 };

        assert_int_equal(listener_open(&listener, folder, "wg0", type, false), 0);
        assert_string_equal(listener.path, path);
        assert_true(listener.fd >= 0);
        assert_true(listener_is_there(&listener));
        return listener;
}

static int connect_to(int type)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0), error;

        snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
        error = connect(fd, (struct sockaddr *)&address, sizeof address) ? errno : 0;
        close(fd);
        return error;
}

static mode_t mode_of(const char *file)
{
        struct stat info;

        assert_int_equal(stat(file, &info), 0);
        return info.st_mode & 07777;
}

static void test_open_and_close(void **state)
{
        mode_t before = umask(022);
        struct listener listener = opened(SOCK_STREAM);

        (void)state;
        assert_int_equal(mode_of(folder), 0755);
        assert_int_equal(mode_of(path), 0700);
        assert_int_equal(umask(before), 022); /* as it was */
        assert_int_equal(connect_to(SOCK_STREAM), 0);
        listener_close(&listener);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(listener.fd, -1);
        listener_close(&listener); /* once is enough, twice is no harm */
}

/* Whoever starts us has an umask of their own: the folder is for all to enter all the same. */
static void test_folder_whatever_the_umask(void **state)
{
        mode_t before;
        struct listener listener;

        (void)state;
        rmdir(folder);
        before = umask(077);
        listener = opened(SOCK_STREAM);
        assert_int_equal(umask(before), 077);
        assert_int_equal(mode_of(folder), 0755);
        listener_close(&listener);
}

static void test_group(void **state)
{
        struct listener listener = { .fd = -1 };
        struct stat info;

        (void)state;
        if (geteuid()) skip(); /* to give a file to a group that we are not in needs root */
        assert_int_equal(listener_open(&listener, folder, "wg0", SOCK_SEQPACKET, true), 0);
        assert_int_equal(mode_of(path), 0660);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_uid, 0);
        listener_close(&listener);
}

static void test_stale_is_replaced(void **state)
{
        struct listener first = opened(SOCK_STREAM), second;

        (void)state;
        close(first.fd); /* as a crash does: the file stays */
        assert_int_equal(access(path, F_OK), 0);
        second = opened(SOCK_STREAM);
        assert_int_equal(connect_to(SOCK_STREAM), 0);
        listener_close(&second);
}

static void test_live_is_left_alone(void **state)
{
        static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

        (void)state;
        for (size_t i = 0; i < 4; i++) {
                struct listener live = opened(types[i / 2]), other = { .fd = -1 };

                /* Even one of the other type: whoever it is, it is not ours. */
                assert_int_equal(listener_open(&other, folder, "wg0", types[i % 2], false), -EADDRINUSE);
                assert_true(other.fd < 0);
                assert_true(listener_is_there(&live));
                assert_int_equal(connect_to(types[i / 2]), 0);
                listener_close(&live);
        }
}

/* Another's socket under our name, which it has since we lost ours: its server lives on. */
static void test_only_that_inode_is_unlinked(void **state)
{
        struct listener first = opened(SOCK_STREAM), second;

        (void)state;
        assert_int_equal(unlink(path), 0);
        assert_false(listener_is_there(&first));
        second = opened(SOCK_STREAM);
        assert_false(listener_is_there(&first));
        listener_close(&first);
        assert_true(listener_is_there(&second));
        assert_int_equal(connect_to(SOCK_STREAM), 0);
        listener_close(&second);
}

static void test_too_long(void **state)
{
        char name[sizeof((struct listener *)0)->path];
        struct listener listener = { .fd = -1 };

        (void)state;
        memset(name, 'n', sizeof name - 1);
        name[sizeof name - 1] = '\0';
        assert_int_equal(listener_open(&listener, folder, name, SOCK_STREAM, false), -ENAMETOOLONG);
        assert_true(listener.fd < 0);
}

/* A failure to look is not taken for its end. */
static void test_cannot_be_told(void **state)
{
        struct listener listener = opened(SOCK_STREAM);

        (void)state;
        assert_int_equal(unlink(path), 0);
        assert_int_equal(symlink(path, path), 0);
        assert_false(listener_is_gone(&listener));
        assert_false(listener_is_there(&listener));
        listener_close(&listener);
        assert_int_equal(unlink(path), 0); /* it was left alone */
}

static void test_watch(void **state)
{
        struct listener listener = opened(SOCK_STREAM);
        int watch = listener_watch(&listener, 1);
        struct pollfd poller = { .fd = watch, .events = POLLIN };
        char other[96], events[4096];

        (void)state;
        assert_true(watch >= 0);
        assert_int_equal(poll(&poller, 1, 0), 0);

        /* Another file of the folder goes: an event, and ours is still there. */
        snprintf(other, sizeof other, "%s/other", folder);
        close(open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        unlink(other);
        assert_int_equal(poll(&poller, 1, 0), 1);
        assert_true(read(watch, events, sizeof events) > 0);
        assert_true(listener_is_there(&listener));
        assert_false(listener_is_gone(&listener));

        /* One from elsewhere renamed over ours. */
        snprintf(other, sizeof other, "%s/other", base);
        close(open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        assert_int_equal(rename(other, path), 0);
        assert_int_equal(poll(&poller, 1, 0), 1);
        assert_true(read(watch, events, sizeof events) > 0);
        assert_false(listener_is_there(&listener));
        assert_true(listener_is_gone(&listener));
        listener_close(&listener);
        assert_int_equal(unlink(path), 0); /* it was left alone */
        assert_true(listener_is_gone(&listener));
        close(watch);

        struct listener nowhere = { .fd = -1, .path = "/nonexistent/x.sock" };
        assert_int_equal(listener_watch(&nowhere, 1), -ENOENT);
}

/* Mapped if it is sealed, not empty and not larger than asked for. */
static void test_memfd(void **state)
{
        static const char text[] = "set=1\nprivate_key=00\n\n";
        size_t len = 0;

        (void)state;
        for (size_t size = 0; size <= sizeof text; size += sizeof text) {
                int fd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);
                assert_int_equal(write(fd, text, size), size);
                assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK), 0);
                assert_null(memfd_map(fd, sizeof text - 1, &len));
                const void *bytes = memfd_map(fd, sizeof text, &len);
                assert_int_equal(bytes != NULL, size != 0);
                if (bytes) {
                        assert_int_equal(len, sizeof text);
                        assert_memory_equal(bytes, text, len);
                        munmap((void *)(uintptr_t)bytes, len);
                }
                close(fd);
        }
}

/* What a client sends may still be written, or cut short under the reader: a SIGBUS. */
static void test_memfd_seals(void **state)
{
        static const struct {
                int seals;
                bool good;
        } rows[] = {
                { 0, false },
                { F_SEAL_WRITE, false },
                { F_SEAL_SHRINK, false },
                { F_SEAL_SHRINK | F_SEAL_GROW, false },
                { F_SEAL_WRITE | F_SEAL_GROW, false },
                { F_SEAL_WRITE | F_SEAL_SHRINK, true },
                { F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, true },
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                int fd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);
                size_t len;

                assert_int_equal(write(fd, "text", 4), 4);
                assert_int_equal(rows[i].seals ? fcntl(fd, F_ADD_SEALS, rows[i].seals) : 0, 0);
                const void *bytes = memfd_map(fd, 100, &len);
                if (memfd_is_sealed(fd) != rows[i].good || !bytes == rows[i].good) fail_msg("row %zu", i);
                if (bytes) munmap((void *)(uintptr_t)bytes, len);
                close(fd);
        }
        int plain = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_false(memfd_is_sealed(plain));
        close(plain);
        assert_false(memfd_is_sealed(-1));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_open_and_close),
                TEST(test_folder_whatever_the_umask),
                TEST(test_group),
                TEST(test_stale_is_replaced),
                TEST(test_live_is_left_alone),
                TEST(test_only_that_inode_is_unlinked),
                TEST(test_too_long),
                TEST(test_cannot_be_told),
                TEST(test_watch),
                TEST(test_memfd),
                TEST(test_memfd_seals),
        };

        return cmocka_run_group_tests(tests, start, end);
}
