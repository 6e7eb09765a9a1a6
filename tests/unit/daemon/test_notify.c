/* What goes to the socket of a service manager, and which socket that is. */
#include "daemon/notify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct notify notify;

static int manager = -1; /* its end */

static void listen_at(const char *name, socklen_t len)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        memcpy(address.sun_path, name, len);
        manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(
                bind(manager, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
                0);
}

static const char *heard(void)
{
        static char text[1024];
        ssize_t got = recv(manager, text, sizeof text - 1, 0);

        if (got < 0) return NULL;
        text[got] = '\0';
        return text;
}

static int open_with(const char *to, const char *usec, const char *pid)
{
        setenv("NOTIFY_SOCKET", to, 1);
        if (usec) setenv("WATCHDOG_USEC", usec, 1);
        if (pid) setenv("WATCHDOG_PID", pid, 1);
        return notify_open(&notify);
}

static int teardown(void **state)
{
        (void)state;
        if (notify.fd >= 0) close(notify.fd);
        if (manager >= 0) close(manager);
        manager = -1;
        return 0;
}

static void talk(const char *to)
{
        char long_text[600];

        assert_int_equal(open_with(to, NULL, NULL), 0);
        assert_true(notify.fd >= 0);
        assert_null(heard());
        notify_send(&notify, "READY=1\nSTATUS=up, port %u", 51820);
        assert_string_equal(heard(), "READY=1\nSTATUS=up, port 51820");
        memset(long_text, 'x', sizeof long_text - 1);
        long_text[sizeof long_text - 1] = '\0';
        notify_send(&notify, "%s", long_text); /* half a line would say something else */
        assert_null(heard());
        for (int i = 0; i < 5000; i++) /* a queue that is full holds nobody up */
                notify_send(&notify, "WATCHDOG=1");
        assert_string_equal(heard(), "WATCHDOG=1");
}

static void test_path(void **state)
{
        char folder[] = "/tmp/adit-notify.XXXXXX", path[64];

        (void)state;
        assert_non_null(mkdtemp(folder));
        snprintf(path, sizeof path, "%s/socket", folder);
        listen_at(path, (socklen_t)strlen(path) + 1);
        talk(path);
        close(manager); /* as over a restart of the service manager: the next one is asked by name */
        unlink(path);
        notify_send(&notify, "WATCHDOG=1");
        listen_at(path, (socklen_t)strlen(path) + 1);
        notify_send(&notify, "WATCHDOG=1");
        assert_string_equal(heard(), "WATCHDOG=1");
        unlink(path);
        rmdir(folder);
}

static void test_abstract(void **state)
{
        char name[64];

        (void)state;
        snprintf(name, sizeof name, "@adit-notify-%d", (int)getpid());
        name[0] = '\0';
        listen_at(name, (socklen_t)strlen(name + 1) + 1);
        name[0] = '@';
        talk(name);
}

static void test_address(void **state)
{
        char name[sizeof notify.to.sun_path + 1];

        (void)state;
        unsetenv("NOTIFY_SOCKET");
        assert_int_equal(notify_open(&notify), 0);
        assert_int_equal(notify.fd, -1);
        notify_send(&notify, "READY=1"); /* to nobody */
        assert_int_equal(open_with("", NULL, NULL), 0);
        assert_int_equal(notify.fd, -1);
        assert_int_equal(open_with("run/notify", NULL, NULL), -EAFNOSUPPORT);
        assert_int_equal(notify.fd, -1);
        assert_int_equal(open_with("vsock:2:1", NULL, NULL), -EAFNOSUPPORT);
        memset(name, '/', sizeof name - 1);
        name[sizeof name - 1] = '\0';
        assert_int_equal(open_with(name, NULL, NULL), -ENAMETOOLONG);
        name[sizeof name - 2] = '\0';
        assert_int_equal(open_with(name, NULL, NULL), 0);
        assert_true(notify.fd >= 0);
}

static void test_watchdog(void **state)
{
        char here[16], other[16];
        const struct {
                const char *usec, *pid;
                uint64_t watchdog;
        } rows[] = { { "30000000", NULL, UINT64_C(30000000000) },
                     { "1", here, 1000 },
                     { "1", other, 0 },
                     { "1", "", 0 },
                     { "0", NULL, 0 },
                     { "", NULL, 0 },
                     { "-1", NULL, 0 },
                     { " 1", NULL, 0 },
                     { "1s", NULL, 0 },
                     { "18446744073709551", NULL, UINT64_C(18446744073709551000) },
                     { "18446744073709552", NULL, 0 },
                     { "18446744073709551616", NULL, 0 } };

        (void)state;
        snprintf(here, sizeof here, "%d", (int)getpid());
        snprintf(other, sizeof other, "%d", (int)getppid());
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                assert_int_equal(open_with("@adit-nobody", rows[i].usec, rows[i].pid), 0);
                if (notify.watchdog != rows[i].watchdog)
                        fail_msg("row %zu: %llu", i, (unsigned long long)notify.watchdog);
                close(notify.fd);
                assert_null(getenv("NOTIFY_SOCKET")); /* no child is to speak for us */
                assert_null(getenv("WATCHDOG_USEC"));
                assert_null(getenv("WATCHDOG_PID"));
        }
        notify.fd = -1;
        unsetenv("NOTIFY_SOCKET");
        setenv("WATCHDOG_USEC", "1000000", 1);
        assert_int_equal(notify_open(&notify), 0); /* nobody to beat for */
        assert_true(notify.watchdog == 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_path, teardown),
                cmocka_unit_test_teardown(test_abstract, teardown),
                cmocka_unit_test_teardown(test_address, teardown),
                cmocka_unit_test_teardown(test_watchdog, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
