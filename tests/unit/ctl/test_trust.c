/* Whose files, folders and links a command may come from. In a folder of its own below /tmp, which has the sticky bit.
 */
#include "ctl/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SOMEBODY = 12345 };

static char base[] = "/tmp/adit-trust.XXXXXX";

/* base/up/folder/file, base/link -> up/folder/file, base/way -> base/up */
static int make(void **state)
{
        char target[128];
        int fd;

        (void)state;
        if (!mkdtemp(base) || chdir(base) || mkdir("up", 0700) || mkdir("up/folder", 0700)) return -1;
        fd = open("up/folder/file", O_CREAT | O_WRONLY, 0600);
        if (fd < 0 || close(fd)) return -1;
        snprintf(target, sizeof target, "%s/up", base);
        return symlink("up/folder/file", "link") || symlink(target, "way") || symlink("loop", "loop") ? -1 : 0;
}

static int unmake(void **state)
{
        static const char *const parts[] = { "up/folder/file", "up/folder", "up", "link", "way", "loop" };

        (void)state;
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
                if (remove(parts[i])) return -1;
        return chdir("/") || rmdir(base) ? -1 : 0;
}

static const char *const ways[] = { "up/folder/file", "link", "way/folder/file", "./up//folder/../folder/./file",
                                    "way/../up/folder/file" };

/* From every way to the file, also the absolute one. */
static void assert_all(bool trusted, const char *what)
{
        char why[TRUST_TEXT], full[256];

        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
                *why = 0;
                snprintf(full, sizeof full, "%s/%s", base, ways[i]);
                if (path_trusted(ways[i], why) != trusted || path_trusted(full, why) != trusted)
                        fail_msg("%s, by %s: %s", what, ways[i], why);
                if (!trusted) assert_non_null(strstr(why, "mend it with: "));
        }
}

static void test_modes(void **state)
{
        static const struct {
                const char *part;
                mode_t mode, usual;
                bool trusted;
        } rows[] = {
                { "up/folder/file", 0644, 0600, true },
                { "up/folder/file", 0620, 0600, false },
                { "up/folder/file", 0602, 0600, false },
                { "up/folder/file", 01602, 0600, false },
                { "up/folder", 0755, 0700, true },
                { "up/folder", 0770, 0700, false },
                { "up/folder", 0702, 0700, false },
                { "up/folder", 01777, 0700, true },
                { "up", 0755, 0700, true },
                { "up", 0720, 0700, false },
                { "up", 0707, 0700, false },
                { "up", 01777, 0700, true },
        };

        (void)state;
        assert_all(true, "as made");
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                char what[64];

                snprintf(what, sizeof what, "%s %o", rows[i].part, rows[i].mode);
                assert_int_equal(chmod(rows[i].part, rows[i].mode), 0);
                assert_all(rows[i].trusted, what);
                assert_int_equal(chmod(rows[i].part, rows[i].usual), 0);
        }
        assert_all(true, "as made");
}

static void test_owners(void **state)
{
        static const char *const parts[] = { "up/folder/file", "up/folder", "up" };
        char why[TRUST_TEXT];

        (void)state;
        if (geteuid() != 0) skip();
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
                assert_int_equal(chown(parts[i], SOMEBODY, 0), 0);
                assert_all(false, parts[i]);
                assert_int_equal(chown(parts[i], 0, 0), 0);
        }
        /* who owns a link leads it elsewhere */
        assert_int_equal(lchown("link", SOMEBODY, 0), 0);
        assert_false(path_trusted("link", why));
        assert_true(path_trusted("up/folder/file", why));
        assert_int_equal(lchown("link", 0, 0), 0);
        /* one's own are as good as root's, another's are not */
        assert_int_equal(chown(base, SOMEBODY, 0), 0);
        assert_false(path_trusted("up/folder/file", why));
        assert_int_equal(seteuid(SOMEBODY), 0);
        assert_false(path_trusted("up/folder/file", why)); /* up is 0700 root */
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(chmod("up", 0755) | chmod("up/folder", 0755), 0);
        assert_int_equal(seteuid(SOMEBODY), 0);
        bool own = path_trusted("up/folder/file", why);
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(seteuid(SOMEBODY + 1), 0);
        bool others = path_trusted("up/folder/file", why);
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(chown(base, 0, 0), 0);
        assert_true(own);
        assert_false(others);
}

static void test_not_there(void **state)
{
        char why[TRUST_TEXT];

        (void)state;
        assert_false(path_trusted("up/none", why));
        assert_false(path_trusted("loop", why));
        assert_non_null(strstr(why, "symbolic link"));
        assert_true(path_trusted("/", why));
        assert_true(path_trusted("/..", why));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_modes),
                cmocka_unit_test(test_owners),
                cmocka_unit_test(test_not_there),
        };

        return cmocka_run_group_tests(tests, make, unmake);
}
