/* One command: what became of it, what it said, what it was given, and its limit. */
#include "ctl/shell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LONG_MS = 20000, SHORT_MS = 200 };

static char *said;

static struct shell_result run(const char *text, int limit_ms)
{
        size_t size;
        struct shell_result result;
        FILE *out;

        free(said);
        out = open_memstream(&said, &size);
        assert_non_null(out);
        result = shell_run(text, out, "wg0: ", limit_ms);
        fclose(out);
        return result;
}

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void test_ends(void **state)
{
        static const struct {
                const char *text;
                enum shell_end end;
                int code;
        } rows[] = {
                { "true", SHELL_DONE, 0 },
                { "false", SHELL_FAILED, 1 },
                { "exit 7", SHELL_FAILED, 7 },
                { "false; true", SHELL_FAILED, 1 }, /* as of wg-quick, which is under set -e -o pipefail */
                { "false | true", SHELL_FAILED, 1 },
                { "false || true", SHELL_DONE, 0 },
                { "kill -SEGV $$", SHELL_KILLED, SIGSEGV },
                { "no-such-program-of-adit", SHELL_FAILED, 127 },
                { "case abb in a+(b)) ;; *) exit 9 ;; esac", SHELL_DONE, 0 }, /* extglob */
                { "-x", SHELL_FAILED, 127 },                                  /* a command, no option of bash */
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct shell_result result = run(rows[i].text, LONG_MS);

                if (result.end != rows[i].end || result.code != rows[i].code)
                        fail_msg("%s: end %d, code %d", rows[i].text, result.end, result.code);
        }
}

static void test_output_line_by_line(void **state)
{
        static const struct {
                const char *text, *wanted;
        } rows[] = {
                { "true", "" },
                { "echo a; echo b >&2; echo; printf c", "wg0: a\nwg0: b\nwg0: \nwg0: c\n" },
                { "printf 'a\\nb\\n'; exit 1", "wg0: a\nwg0: b\n" },
                { "printf 'a\\0b\\n'", "wg0: a?b\n" },
                { "exec >&- 2>&-; sleep 0.1", "" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                run(rows[i].text, LONG_MS);
                assert_string_equal(said, rows[i].wanted);
        }
        assert_int_equal(run("head -c 300000 /dev/zero | tr '\\0' x", LONG_MS).end,
                         SHELL_DONE); /* more than a pipe holds */
        size_t xs = 0;
        for (const char *at = said; *at; at++)
                xs += *at == 'x';
        assert_int_equal(xs, 300000);
}

static void test_what_it_is_given(void **state)
{
        int own = dup(STDIN_FILENO), low = open("/dev/zero", O_RDONLY),
            high = fcntl(low, F_DUPFD, 200); /* neither is close-on-exec */
        struct sigaction ignored = { .sa_handler = SIG_IGN }, before[2];
        sigset_t blocked, mask;
        mode_t umask_before = umask(0137);

        (void)state;
        assert_true(low > 2 && high >= 200);
        assert_int_equal(dup2(low, STDIN_FILENO), STDIN_FILENO);
        sigaction(SIGUSR1, &ignored, &before[0]);
        sigaction(SIGCHLD, &ignored, &before[1]);
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGUSR2);
        sigprocmask(SIG_BLOCK, &blocked, &mask);
        setenv("ADIT_TEST", "here", 1);

        run("cd /proc/self/fd && echo *; readlink 0", LONG_MS); /* the shell's own; its glob has a third one */
        assert_string_equal(said, "wg0: 0 1 2 3\nwg0: /dev/null\n");
        /* without 32 and 33, which are the C library's own */
        run("exec sed -n '/^Sig[BI]/s/\t.........//p' /proc/self/status", LONG_MS);
        assert_string_equal(said, "wg0: SigBlk:0000000\nwg0: SigIgn:0000000\n");
        run("umask; echo $ADIT_TEST; read -r _ _ _ _ _ sid _ </proc/$$/stat; [ $sid = $$ ] && echo session; : "
            "2>/dev/null </dev/tty || "
            "echo no terminal",
            LONG_MS);
        assert_string_equal(said, "wg0: 0137\nwg0: here\nwg0: session\nwg0: no terminal\n");

        sigprocmask(SIG_SETMASK, NULL, &blocked);
        assert_true(sigismember(&blocked, SIGUSR2) && !sigismember(&blocked, SIGTERM)); /* ours are as before */
        sigprocmask(SIG_SETMASK, &mask, NULL);
        sigaction(SIGUSR1, &before[0], NULL);
        sigaction(SIGCHLD, &before[1], &ignored);
        assert_ptr_equal(ignored.sa_handler, SIG_IGN);
        umask(umask_before);
        unsetenv("ADIT_TEST");
        dup2(own, STDIN_FILENO);
        close(own);
        close(low);
        close(high);
}

static void test_limit(void **state)
{
        int64_t start = now_ms();

        (void)state;
        assert_int_equal(run("echo before; sleep 60; echo after", SHORT_MS).end, SHELL_LATE);
        assert_string_equal(said, "wg0: before\n");
        /* The shell is gone at once, what it started cleans up. */
        assert_int_equal(run("exec 2>/dev/null; bash -c 'trap \"sleep 0.3; echo cleaned; exit\" TERM; while :; do "
                             "sleep 0.05; done'; true",
                             SHORT_MS)
                                 .end,
                         SHELL_LATE);
        assert_string_equal(said, "wg0: cleaned\n");
        assert_true(now_ms() - start < 2 * SHORT_MS + SHELL_GRACE_MS);
}

static void test_what_ignores_sigterm_is_killed(void **state)
{
        int64_t start = now_ms();
        int pid;

        (void)state;
        assert_int_equal(run("trap '' TERM; sleep 60 & echo $!; while :; do sleep 0.05; done", SHORT_MS).end,
                         SHELL_LATE);
        assert_true(now_ms() - start >= SHORT_MS + SHELL_GRACE_MS);
        pid = atoi(said + strlen("wg0: "));
        assert_true(pid > 1);
        for (int i = 0; i < 200 && kill(pid, 0) == 0; i++) {
                char path[64], line[256] = "";
                snprintf(path, sizeof path, "/proc/%d/stat", pid);
                FILE *stat = fopen(path, "r");
                if (stat && fgets(line, sizeof line, stat) && strstr(line, ") Z")) pid = 0;
                if (stat) fclose(stat);
                if (!pid) return; /* dead; nobody here to reap it */
                usleep(10000);
        }
        assert_int_not_equal(kill(pid, 0), 0);
}

/* In the background it may go on; we do not wait for what it says. */
static void test_background(void **state)
{
        int64_t start = now_ms();

        (void)state;
        assert_int_equal(run("sleep 60 & echo $!", LONG_MS).end, SHELL_DONE);
        assert_true(now_ms() - start < LONG_MS / 2);
        assert_int_equal(kill(atoi(said + strlen("wg0: ")), SIGKILL), 0);
}

/* Told to end: the command is ended, and we go on to undo what is to be undone. */
static void test_interrupted(void **state)
{
        static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

        (void)state;
        for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
                char text[128];
                struct shell_result result;

                snprintf(text, sizeof text,
                         "exec 2>/dev/null; trap 'echo ended; exit' TERM; kill -%d $PPID; while :; do sleep 0.05; done",
                         signals[i]);
                result = run(text, LONG_MS);
                assert_int_equal(result.end, SHELL_INTERRUPTED);
                assert_int_equal(result.code, signals[i]);
                assert_string_equal(said, "wg0: ended\n");
        }
}

static void test_without_bash_it_is_sh(void **state)
{
        char *path = strdup(getenv("PATH"));

        (void)state;
        setenv("PATH", "/nowhere", 1);
        assert_int_equal(run("echo $0; false; echo not here", LONG_MS).end, SHELL_FAILED);
        assert_string_equal(said, "wg0: /bin/sh\n");
        setenv("PATH", path, 1);
        free(path);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ends),
                cmocka_unit_test(test_output_line_by_line),
                cmocka_unit_test(test_what_it_is_given),
                cmocka_unit_test(test_limit),
                cmocka_unit_test(test_what_ignores_sigterm_is_killed),
                cmocka_unit_test(test_background),
                cmocka_unit_test(test_interrupted),
                cmocka_unit_test(test_without_bash_it_is_sh),
        };
        int failed = cmocka_run_group_tests(tests, NULL, NULL);

        free(said);
        return failed;
}
