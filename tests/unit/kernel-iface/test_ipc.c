/* What passes between the two processes, and what must not. */
#include "kernel-iface/ipc.h"
#include "tests/unit/kernel-iface/failing.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int pair[2];

static int begin(void **state)
{
        (void)state;
        return ipc_pair(pair);
}

static int end(void **state)
{
        (void)state;
        close(pair[0]);
        close(pair[1]);
        return 0;
}

static unsigned count_fds(void)
{
        unsigned count = 0;

        for (int fd = 0; fd < 256; fd++)
                count += fcntl(fd, F_GETFD) >= 0;
        return count;
}

/* Past ipc_send()'s own checks, as a breached process would. */
static void send_raw(const void *bytes, size_t len, const int *fds, unsigned count)
{
        char control[CMSG_SPACE(8 * sizeof(int))] = { 0 };
        char copy[2 * sizeof(struct ipc_message)] = { 0 };
        struct iovec iov = { copy, len };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

        memcpy(copy, bytes, len);
        if (count) {
                msg.msg_control = control;
                msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
                struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
                cmsg->cmsg_level = SOL_SOCKET;
                cmsg->cmsg_type = SCM_RIGHTS;
                cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
                memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
        }
        assert_int_equal(sendmsg(pair[0], &msg, 0), len);
}

static void test_message(void **state)
{
        struct ipc_message out = { .type = IPC_LOG, .id = 7, .log = { .level = 4, .text = "hello" } }, in;
        int fds[IPC_FDS_MAX];

        (void)state;
        assert_int_equal(ipc_receive(pair[1], &in, fds), -EAGAIN);
        assert_int_equal(ipc_send(pair[0], &out, NULL, 0), 0);
        assert_int_equal(ipc_receive(pair[1], &in, fds), 1);
        assert_memory_equal(&in, &out, sizeof in);
        assert_int_equal(fds[0], -1);
        assert_int_equal(fds[1], -1);
}

static void test_descriptors_arrive_in_order(void **state)
{
        struct ipc_message out = { .type = IPC_REPLY }, in;
        int ends[2], fds[IPC_FDS_MAX];
        char c = 0;

        (void)state;
        assert_return_code(pipe(ends), errno);
        assert_int_equal(ipc_send(pair[0], &out, ends, 2), 0);
        assert_int_equal(ipc_receive(pair[1], &in, fds), 1);
        close(ends[0]);
        close(ends[1]);
        assert_int_equal(write(fds[1], "x", 1), 1);
        assert_int_equal(read(fds[0], &c, 1), 1);
        assert_int_equal(c, 'x');
        assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
        close(fds[0]);
        close(fds[1]);

        assert_int_equal(ipc_send(pair[0], &out, pair, 1), 0);
        assert_int_equal(ipc_receive(pair[1], &in, fds), 1);
        assert_true(fds[0] >= 0);
        assert_int_equal(fds[1], -1);
        close(fds[0]);
}

static void test_breaches(void **state)
{
        enum { FULL = sizeof(struct ipc_message) };
        static const struct {
                uint32_t type;
                unsigned len, fds;
        } rows[] = {
                { IPC_READY, FULL - 1, 0 }, { IPC_READY, FULL + 1, 0 },
                { IPC_READY, 1, 0 },        { 0, FULL, 0 },
                { IPC_TYPES, FULL, 0 },     { 0xffffffff, FULL, 0 },
                { IPC_READY, FULL, 1 },     { IPC_PREPARE, FULL, 0 },
                { IPC_PREPARE, FULL, 2 },   { IPC_STATUS, FULL, 0 },
                { IPC_REPLY, FULL, 3 },     { IPC_REPLY, FULL, 8 },
                { IPC_LOG, FULL, 2 },       { IPC_READY, FULL - 1, 2 },
        };
        int dups[8];

        (void)state;
        for (int i = 0; i < 8; i++)
                dups[i] = 0;
        unsigned open_before = count_fds();
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct ipc_message message = { .type = rows[i].type }, in;
                int fds[IPC_FDS_MAX];
                send_raw(&message, rows[i].len <= FULL ? rows[i].len : FULL, dups, rows[i].fds);
                if (rows[i].len > FULL) {
                        assert_int_equal(ipc_receive(pair[1], &in, fds), 1); /* that one was cut to be lawful */
                        char longer[FULL + 1] = { 0 };
                        memcpy(longer, &message, sizeof message);
                        assert_int_equal(send(pair[0], longer, sizeof longer, 0), sizeof longer);
                }
                if (ipc_receive(pair[1], &in, fds) != -EPROTO) fail_msg("row %zu", i);
                assert_int_equal(fds[0], -1);
                assert_int_equal(fds[1], -1);
        }
        assert_int_equal(count_fds(), open_before); /* nothing that came with a breach stays open */
}

static void test_send_refuses_what_receive_would(void **state)
{
        struct ipc_message message = { .type = IPC_PREPARE };

        (void)state;
        assert_int_equal(ipc_send(pair[0], &message, NULL, 0), -EINVAL);
        message.type = IPC_TYPES;
        assert_int_equal(ipc_send(pair[0], &message, NULL, 0), -EINVAL);
        message.type = IPC_STOP;
        assert_int_equal(ipc_send(pair[0], &message, pair, 1), -EINVAL);
}

static void test_texts_are_ended(void **state)
{
        struct ipc_message out = { .type = IPC_LOG }, in;
        int fds[IPC_FDS_MAX];

        (void)state;
        memset(out.log.text, 'x', IPC_TEXT);
        send_raw(&out, sizeof out, NULL, 0);
        assert_int_equal(ipc_receive(pair[1], &in, fds), 1);
        assert_int_equal(strnlen(in.log.text, IPC_TEXT), IPC_TEXT - 1);
        out = (struct ipc_message){ .type = IPC_RESULT };
        memset(out.result.text, 'x', IPC_TEXT);
        send_raw(&out, sizeof out, NULL, 0);
        assert_int_equal(ipc_receive(pair[1], &in, fds), 1);
        assert_int_equal(strnlen(in.result.text, IPC_TEXT), IPC_TEXT - 1);
}

static void test_full_and_gone(void **state)
{
        struct ipc_message message = { .type = IPC_STOP }, in;
        int fds[IPC_FDS_MAX], error = 0;

        (void)state;
        for (int i = 0; i < 100000 && !error; i++)
                error = ipc_send(pair[0], &message, NULL, 0);
        assert_int_equal(error, -EAGAIN);
        while (ipc_receive(pair[1], &in, fds) == 1) {
        }
        close(pair[0]);
        assert_int_equal(ipc_receive(pair[1], &in, fds), 0);
        assert_int_equal(ipc_send(pair[1], &message, NULL, 0), -EPIPE); /* and no SIGPIPE */
        pair[0] = -1;
}

/* Memory that lacks for a moment is no breach, and loses nothing. */
static void test_no_memory(void **state)
{
        struct ipc_message message = { .type = IPC_REPLY, .id = 7 }, got;
        int fds[IPC_FDS_MAX];

        (void)state;
        failing.error = ENOBUFS;
        failing.times = 1;
        assert_int_equal(ipc_send(pair[0], &message, NULL, 0), 0);
        failing.times = 100;
        assert_int_equal(ipc_send(pair[0], &message, NULL, 0), -EAGAIN);
        failing.error = ENOMEM;
        failing.times = 1;
        assert_int_equal(ipc_receive(pair[1], &got, fds), -EAGAIN);
        assert_int_equal(ipc_receive(pair[1], &got, fds), 1);
        assert_int_equal(got.id, 7);
        assert_int_equal(ipc_receive(pair[1], &got, fds), -EAGAIN);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_message, begin, end),
                cmocka_unit_test_setup_teardown(test_descriptors_arrive_in_order, begin, end),
                cmocka_unit_test_setup_teardown(test_breaches, begin, end),
                cmocka_unit_test_setup_teardown(test_send_refuses_what_receive_would, begin, end),
                cmocka_unit_test_setup_teardown(test_texts_are_ended, begin, end),
                cmocka_unit_test_setup_teardown(test_full_and_gone, begin, end),
                cmocka_unit_test_setup_teardown(test_no_memory, begin, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
