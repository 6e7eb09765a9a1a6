#include "tests/unit/conf/support.h"

#include "daemon/conf/handover.h"
#include "daemon/conf/records.h"
#include "daemon/conf/uapi.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int pair[2];

static size_t open_descriptors(void)
{
        size_t count = 0;

        for (int fd = 0; fd < 256; fd++)
                count += fcntl(fd, F_GETFD) >= 0;
        return count;
}

static size_t contents(int fd, uint8_t *out, size_t size)
{
        ssize_t len = pread(fd, out, size, 0);
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(len, st.st_size);
        return (size_t)len;
}

static void assert_sealed(int fd)
{
        struct stat st;

        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(pwrite(fd, "x", 1, 0), -1);
        assert_int_equal(errno, EPERM);
        assert_int_equal(fstat(fd, &st), 0);
        if (st.st_size) assert_int_equal(ftruncate(fd, 0), -1);
        assert_int_equal(ftruncate(fd, st.st_size + 1), -1);
        assert_ptr_equal(mmap(NULL, 1, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
}

/* What comes out is what the writers of both formats write, to the byte, and stays that. */
static void test_both_halves(void **state)
{
        static uint8_t got[TEXT_SIZE], wanted[TEXT_SIZE];

        (void)state;
        for (unsigned round = 0; round < 200; round++) {
                struct writer text = { .text = (char *)wanted, .size = sizeof wanted };
                struct host_state host;
                struct conf conf;
                int fds[CONTROL_FDS];

                pool_reset(&pool);
                random_conf(&conf, true);
                assert_true(conf_host_state(&conf, &host, &pool));
                assert_int_equal(handover_open(fds, &host, &conf), 0);
                assert_sealed(fds[HANDOVER_TEXT]);
                assert_sealed(fds[HANDOVER_RECORDS]);

                uapi_format_set(&conf, &text);
                assert_int_equal(contents(fds[HANDOVER_TEXT], got, sizeof got), text.used);
                assert_memory_equal(got, wanted, text.used);
                records_write(&host, wanted);
                assert_int_equal(contents(fds[HANDOVER_RECORDS], got, sizeof got), records_size(&host));
                assert_memory_equal(got, wanted, records_size(&host));
                control_close(fds);
        }
}

static void test_nothing_to_say(void **state)
{
        const struct host_state host = { 0 };
        const struct conf conf = { 0 };
        int fds[CONTROL_FDS];
        uint8_t byte;

        (void)state;
        assert_int_equal(handover_open(fds, &host, &conf), 0);
        assert_sealed(fds[HANDOVER_TEXT]);
        assert_int_equal(contents(fds[HANDOVER_TEXT], &byte, 1), 0);
        control_close(fds);
}

/* With room for one descriptor, the first half is closed when the second cannot be made. */
static void test_no_descriptors_left(void **state)
{
        const struct host_state host = { 0 };
        const struct conf conf = { 0 };
        size_t before = open_descriptors();
        struct rlimit was, few;
        int fds[CONTROL_FDS], lowest = dup(0);

        (void)state;
        close(lowest);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
        for (rlim_t room = 0; room < 2; room++) {
                few = (struct rlimit){ (rlim_t)lowest + room, was.rlim_max };
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
                assert_int_equal(handover_open(fds, &host, &conf), -EMFILE);
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
                assert_int_equal(fds[0], -1);
                assert_int_equal(fds[1], -1);
                assert_int_equal(open_descriptors(), before);
        }
}

/* ---- control.c ------------------------------------------------------------------------------------------------------
 */

static int open_pair(void **state)
{
        (void)state;
        return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int close_pair(void **state)
{
        (void)state;
        close(pair[0]);
        close(pair[1]);
        return 0;
}

/* Is this the same open file as that? */
static void assert_same_file(int a, int b)
{
        struct stat st_a, st_b;

        assert_int_equal(fstat(a, &st_a), 0);
        assert_int_equal(fstat(b, &st_b), 0);
        assert_int_equal(st_a.st_ino, st_b.st_ino);
}

static void test_descriptors_in_their_order(void **state)
{
        const struct control_request request = { .op = CONTROL_APPLY, .generation = 7 };
        struct control_request got;
        int sent[CONTROL_FDS] = { memfd_create("a", 0), memfd_create("b", 0) }, fds[CONTROL_FDS];

        (void)state;
        for (unsigned count = 0; count <= CONTROL_FDS; count++) {
                assert_int_equal(control_send(pair[0], &request, sizeof request, sent, count), 0);
                assert_int_equal(control_receive(pair[1], &got, sizeof got, fds, 0), sizeof got);
                assert_memory_equal(&got, &request, sizeof got);
                for (unsigned i = 0; i < CONTROL_FDS; i++) {
                        assert_int_equal(fds[i] >= 0, i < count);
                        if (i >= count) continue;
                        assert_same_file(fds[i], sent[i]);
                        assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
                }
                control_close(fds);
        }
        assert_int_equal(control_send(pair[0], &request, sizeof request, sent, CONTROL_FDS + 1), -EINVAL);
        control_close(sent);
}

/* What is too much is refused, and no descriptor of it stays. */
static void test_too_much(void **state)
{
        struct control_reply reply = { 0 };
        char less[sizeof reply - 1];
        int fds[CONTROL_FDS], stdio[4] = { 0, 0, 0, 0 };
        char control[CMSG_SPACE(sizeof stdio)] __attribute__((aligned(sizeof(size_t)))) = { 0 };
        struct iovec piece = { &reply, sizeof reply };
        struct msghdr header = {
                .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
        };
        size_t before = open_descriptors();

        (void)state;
        assert_int_equal(control_send(pair[0], &reply, sizeof reply, stdio, 2), 0);
        assert_int_equal(control_receive(pair[1], less, sizeof less, fds, 0), -EMSGSIZE);
        assert_int_equal(fds[0], -1);
        assert_int_equal(open_descriptors(), before);

        CMSG_FIRSTHDR(&header)->cmsg_level = SOL_SOCKET;
        CMSG_FIRSTHDR(&header)->cmsg_type = SCM_RIGHTS;
        CMSG_FIRSTHDR(&header)->cmsg_len = CMSG_LEN(sizeof stdio);
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), stdio, sizeof stdio);
        assert_int_equal(sendmsg(pair[0], &header, 0), sizeof reply);
        assert_int_equal(control_receive(pair[1], &reply, sizeof reply, fds, 0), -EMSGSIZE);
        assert_int_equal(fds[1], -1);
        assert_int_equal(open_descriptors(), before);
}

static void test_nobody_there(void **state)
{
        struct control_request request = { 0 };
        int fds[CONTROL_FDS];

        (void)state;
        assert_int_equal(control_receive(pair[1], &request, sizeof request, fds, MSG_DONTWAIT), -EAGAIN);
        assert_int_equal(fds[0], -1);
        close(pair[0]);
        pair[0] = -1;
        assert_int_equal(control_receive(pair[1], &request, sizeof request, fds, 0), 0);
        assert_int_equal(fds[1], -1);
        assert_int_equal(control_send(pair[1], &request, sizeof request, NULL, 0), -EPIPE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_both_halves),
                cmocka_unit_test(test_nothing_to_say),
                cmocka_unit_test(test_no_descriptors_left),
                cmocka_unit_test_setup_teardown(test_descriptors_in_their_order, open_pair, close_pair),
                cmocka_unit_test_setup_teardown(test_too_much, open_pair, close_pair),
                cmocka_unit_test_setup_teardown(test_nobody_there, open_pair, close_pair),
        };

        return cmocka_run_group_tests_name("handover", tests, NULL, NULL);
}
