/* The claim on a link, by processes that want it at the same time; in a /run/adit of this test's own. */
#include "daemon/claim.h"
#include "daemon/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static const char path[] = "/run/adit/wg0.lock";
static bool usable;

/* In place of libc's: whoever holds the claim may remove its file between the two steps of who wants it. */
static bool removed_first;

int flock(int fd, int operation)
{
        if (removed_first) unlink(path);
        removed_first = false;
        return (int)syscall(SYS_flock, fd, operation);
}

static void need_own_run(void)
{
        if (!usable) skip();
}

static void take(struct claim *claim)
{
        assert_int_equal(claim_take(claim, "wg0"), 0);
        assert_int_equal(access(path, F_OK), 0);
}

static void drop(struct claim *claim)
{
        claim_drop(claim);
        assert_int_equal(claim->fd, -1);
        assert_int_equal(access(path, F_OK), -1);
}

static void test_take_and_drop(void **state)
{
        struct claim claim;
        struct stat info;

        (void)state;
        need_own_run();
        take(&claim);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
        assert_int_equal(fcntl(claim.fd, F_GETFD), FD_CLOEXEC);
        drop(&claim);
        claim_drop(&claim); /* nothing more */
        take(&claim);
        drop(&claim);
}

/* In a child, which tells when it has it. */
static pid_t hold(void)
{
        int ready[2];
        struct claim claim;
        char c;

        assert_return_code(pipe(ready), errno);
        pid_t pid = fork();
        if (!pid) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (claim_take(&claim, "wg0") || write(ready[1], "", 1) != 1) _exit(1);
                for (;;)
                        pause();
        }
        assert_int_equal(read(ready[0], &c, 1), 1);
        close(ready[0]);
        close(ready[1]);
        return pid;
}

static void test_what_the_dead_held(void **state)
{
        struct claim claim;

        (void)state;
        need_own_run();
        pid_t pid = hold();
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        assert_int_equal(access(path, F_OK), 0);
        take(&claim);
        drop(&claim);
}

/* Somebody holds it and serves the control socket. */
static void test_of_a_link_that_is_up(void **state)
{
        struct listener listener = { .fd = -1 };
        struct claim claim;

        (void)state;
        need_own_run();
        pid_t pid = hold();
        assert_int_equal(listener_open(&listener, "/run/adit", "wg0", SOCK_SEQPACKET, false), 0);
        assert_int_equal(claim_take(&claim, "wg0"), -EADDRINUSE);
        assert_int_equal(claim.fd, -1);
        listener_close(&listener);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        take(&claim);
        drop(&claim);
}

/* A file that was removed under it, and made anew by another, is the other's. */
static void test_the_file_of_another(void **state)
{
        struct claim claim, other;

        (void)state;
        need_own_run();
        take(&claim);
        unlink(path);
        take(&other);
        claim_drop(&claim);
        assert_int_equal(access(path, F_OK), 0);
        drop(&other);
}

static void test_a_file_without_a_name_is_no_claim(void **state)
{
        struct claim claim;

        (void)state;
        need_own_run();
        removed_first = true;
        take(&claim);
        drop(&claim);
}

/* Whoever has it is alone, though each removes the file under those who wait for it. */
static void test_one_at_a_time(void **state)
{
        enum { CHILDREN = 6, TURNS = 40 };
        _Atomic unsigned *inside = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pid_t children[CHILDREN];

        (void)state;
        need_own_run();
        assert_ptr_not_equal(inside, MAP_FAILED);
        for (int i = 0; i < CHILDREN; i++) {
                children[i] = fork();
                for (int turn = 0; !children[i] && turn < TURNS; turn++) {
                        struct claim claim;
                        int error;
                        while ((error = claim_take(&claim, "wg0")) == -EBUSY) {
                        }
                        if (error || atomic_fetch_add(inside, 1) != 0) _exit(1);
                        sched_yield();
                        atomic_fetch_sub(inside, 1);
                        claim_drop(&claim);
                }
                if (!children[i]) _exit(0);
        }
        int failed = 0, status;
        for (int i = 0; i < CHILDREN; i++)
                failed += waitpid(children[i], &status, 0) < 0 || status;
        assert_int_equal(failed, 0);
        assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_take_and_drop),        cmocka_unit_test(test_what_the_dead_held),
                cmocka_unit_test(test_of_a_link_that_is_up), cmocka_unit_test(test_the_file_of_another),
                cmocka_unit_test(test_one_at_a_time),        cmocka_unit_test(test_a_file_without_a_name_is_no_claim),
        };

        usable = geteuid() == 0 && !unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
                 !mount("none", "/run", "tmpfs", 0, NULL);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
