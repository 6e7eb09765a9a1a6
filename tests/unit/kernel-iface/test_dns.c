/* What a link wants of names, as a text; /etc/resolv.conf made of several, and put back. */
#include "kernel-iface/dns_file.h"
#include "kernel-iface/dns_text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- texts ---- */

static void test_make(void **state)
{
        static const struct {
                struct host_dns dns[4];
                const char *text;
        } rows[] = {
                { { { 0 } }, "" },
                { { { DNS_SERVER, "192.0.2.53" } }, "nameserver 192.0.2.53\nroute .\n" },
                { { { DNS_DOMAIN, "a.example" }, { DNS_SERVER, "fd00::53" } },
                  "search a.example\nnameserver fd00::53\nroute .\n" },
                { { { DNS_SERVER, "192.0.2.53" }, { DNS_ROUTE_DOMAIN, "b.example" }, { DNS_DOMAIN, "a.example" } },
                  "nameserver 192.0.2.53\nroute b.example\nsearch a.example\n" },
                { { { DNS_DOMAIN, "a.example" } }, "search a.example\n" }, /* of no server nothing is asked */
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct host_state want = { .dns = (struct host_dns *)(uintptr_t)rows[i].dns };
                while (want.dns_count < 4 && rows[i].dns[want.dns_count].text)
                        want.dns_count++;
                char *text = dns_text_make(&want);
                assert_string_equal(text, rows[i].text);
                free(text);
        }
}

static void test_join(void **state)
{
        const char *const texts[] = { "nameserver fd00::53\nsearch b.example\nroute .\n",
                                      "search a.example\nnameserver 192.0.2.53\nroute c.example\n" };
        char folder[DNS_FOLDER] = "";
        bool intact = false;

        (void)state;
        char *text = dns_text_join("Ab3", texts, 2, "# x\nnameserver 192.0.2.1\noptions ndots:2\nsearch old.example\n");
        char *lines = strchr(text, '\n') + 1;
        assert_int_equal(text[0], '#');
        assert_non_null(memmem(text, (size_t)(lines - text), "Ab3", 3));
        assert_string_equal(
                lines, "nameserver fd00::53\nnameserver 192.0.2.53\nsearch b.example a.example\noptions ndots:2\n");
        assert_true(dns_text_parse(text, folder, &intact));
        assert_string_equal(folder, "Ab3");
        assert_true(intact);
        lines[0] = 'N';
        assert_true(dns_text_parse(text, folder, &intact));
        assert_false(intact);
        free(text);

        text = dns_text_join("Ab3", texts, 0, "");
        assert_string_equal(strchr(text, '\n'), "\n");
        assert_true(dns_text_parse(text, folder, &intact) && intact);
        free(text);
}

/* None of these is ours: nothing is looked for where they say. */
static void test_parse(void **state)
{
        static const char first[] = "# Made by aditd while a link is up; what was here before is in /var/lib/adit/dns/";
        static const char *const rests[] = { "",
                                             "\n",
                                             "/etc (0)\n",
                                             "../x (0)\n",
                                             "Ab3\n",
                                             "Ab3 ()\n",
                                             "Ab3 (xyz)\n",
                                             " (0)\n",
                                             "0123456789012345678901234567890123 (0)\n" };
        char folder[DNS_FOLDER], text[256];
        bool intact;

        (void)state;
        assert_false(dns_text_parse("", folder, &intact));
        assert_false(dns_text_parse("nameserver 192.0.2.1\n", folder, &intact));
        for (size_t i = 0; i < sizeof rests / sizeof *rests; i++) {
                snprintf(text, sizeof text, "%s%s", first, rests[i]);
                if (dns_text_parse(text, folder, &intact)) fail_msg("row %zu", i);
        }
        snprintf(text, sizeof text, "%sAb3 (1)", first); /* its end is missing */
        assert_true(dns_text_parse(text, folder, &intact));
        assert_false(intact);
}

static void test_commands(void **state)
{
        static const char text[] = "nameserver fd00::53\nsearch a.example\nnameserver 192.0.2.53\nroute b.example\n";
        char *commands = dns_text_commands(text, "wg0");

        (void)state;
        assert_string_equal(commands, "resolvectl dns wg0 fd00::53 192.0.2.53\n"
                                      "resolvectl domain wg0 a.example ~b.example\n"
                                      "resolvectl default-route wg0 no\n");
        free(commands);
        commands = dns_text_commands("nameserver fd00::53\nroute .\n", "wg0");
        assert_string_equal(commands, "resolvectl dns wg0 fd00::53\nresolvectl domain wg0 ~.\n"
                                      "resolvectl default-route wg0 yes\n");
        free(commands);
        commands = dns_text_commands(text, NULL);
        assert_string_equal(commands, "cat >/etc/resolv.conf <<'END'\nnameserver fd00::53\nnameserver 192.0.2.53\n"
                                      "search a.example\nEND\n");
        free(commands);
}

static void test_resolvconf(void **state)
{
        (void)state;
        assert_true(dns_text_is_resolvconf("# Generated by resolvconf\nnameserver 192.0.2.1\n"));
        assert_true(dns_text_is_resolvconf(
                "# Dynamic resolv.conf(5) file for glibc resolver(3) generated by resolvconf(8)\n"));
        assert_false(dns_text_is_resolvconf("nameserver 192.0.2.1\n# Generated by resolvconf\n"));
        assert_false(dns_text_is_resolvconf("# Generated by NetworkManager\n"));
        assert_false(dns_text_is_resolvconf(""));
}

/* ---- the file ---- */

static char base[64], resolv_conf[128], folder_path[128];
static struct dns_paths paths;

static int setup(void **state)
{
        (void)state;
        strcpy(base, "/tmp/adit-dns-XXXXXX");
        if (!mkdtemp(base)) return -1;
        snprintf(resolv_conf, sizeof resolv_conf, "%s/resolv.conf", base);
        snprintf(folder_path, sizeof folder_path, "%s/lib/adit/dns", base);
        paths = (struct dns_paths){ resolv_conf, folder_path };
        return 0;
}

static int teardown(void **state)
{
        char command[128];

        (void)state;
        snprintf(command, sizeof command, "rm -rf %s", base);
        return system(command);
}

static void put(const char *text)
{
        FILE *file = fopen(resolv_conf, "we");

        assert_non_null(file);
        fputs(text, file);
        fclose(file);
}

/* Without the first line if it is a comment. */
static const char *is(void)
{
        static char text[4096];
        FILE *file = fopen(resolv_conf, "re");

        if (!file) return "(none)";
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
        return text[0] == '#' ? strchr(text, '\n') + 1 : text;
}

static unsigned kept(void)
{
        char command[256];
        unsigned count = 0;

        snprintf(command, sizeof command, "find %s -mindepth 1 -not -name .lock | wc -l", folder_path);
        FILE *out = popen(command, "re");
        assert_int_equal(fscanf(out, "%u", &count), 1);
        pclose(out);
        return count;
}

static void set(const char *link, const char *text)
{
        assert_int_equal(dns_file_set(&paths, link, text), 0);
}

static void clear(const char *link)
{
        assert_int_equal(dns_file_clear(&paths, link), 0);
}

static void reads(const char *link, const char *wanted)
{
        char *text;

        assert_int_equal(dns_file_read(&paths, link, &text), 0);
        if (!wanted) assert_null(text);
        else assert_string_equal(text, wanted);
        free(text);
}

static void test_links(void **state)
{
        struct stat info;

        (void)state;
        put("nameserver 192.0.2.1\noptions edns0\n");
        chmod(resolv_conf, 0640);
        reads("wg0", NULL);
        clear("wg0");
        assert_string_equal(is(), "nameserver 192.0.2.1\noptions edns0\n");

        set("wg0", "nameserver 10.0.0.1\nroute .\n");
        assert_string_equal(is(), "nameserver 10.0.0.1\noptions edns0\n");
        assert_int_equal(stat(resolv_conf, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0644);
        set("wg0.adit", "nameserver 10.0.0.2\n"); /* a name like that of a file that is being made */
        set("wg1", "nameserver 10.0.0.3\n");
        assert_string_equal(is(), "nameserver 10.0.0.3\nnameserver 10.0.0.2\nnameserver 10.0.0.1\noptions edns0\n");
        set("wg0", "nameserver 10.0.0.9\n"); /* stays in its place */
        assert_string_equal(is(), "nameserver 10.0.0.3\nnameserver 10.0.0.2\nnameserver 10.0.0.9\noptions edns0\n");
        reads("wg0", "nameserver 10.0.0.9\n");
        reads("wg0.adit", "nameserver 10.0.0.2\n");
        reads("wg", NULL);
        clear("wg1");
        clear("wg0");
        assert_string_equal(is(), "nameserver 10.0.0.2\noptions edns0\n");
        reads("wg0", NULL);
        clear("wg0");
        clear("wg0.adit");
        assert_string_equal(is(), "nameserver 192.0.2.1\noptions edns0\n");
        assert_int_equal(stat(resolv_conf, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0640);
        assert_int_equal(kept(), 0);
}

static void test_changed_by_others(void **state)
{
        (void)state;
        put("nameserver 192.0.2.1\n");
        set("wg0", "nameserver 10.0.0.1\n");
        set("wg1", "nameserver 10.0.0.2\n");
        put("nameserver 192.0.2.2\n");
        reads("wg0", "");
        set("wg0", "nameserver 10.0.0.1\n");
        assert_string_equal(is(), "nameserver 10.0.0.1\n");
        reads("wg1", "");
        set("wg1", "nameserver 10.0.0.2\n");
        reads("wg1", "nameserver 10.0.0.2\n");
        clear("wg0");
        clear("wg1");
        assert_string_equal(is(), "nameserver 192.0.2.2\n"); /* what the other wrote last */
        assert_int_equal(kept(), 0);

        set("wg0", "nameserver 10.0.0.1\n");
        FILE *file = fopen(resolv_conf, "ae");
        fputs("nameserver 192.0.2.3\n", file);
        fclose(file);
        reads("wg0", "");
        clear("wg0");
        assert_string_equal(is(), "nameserver 10.0.0.1\nnameserver 192.0.2.3\n");
        assert_int_equal(kept(), 0);
}

static void test_link_and_none(void **state)
{
        char target[PATH_MAX] = "", elsewhere[128];

        (void)state;
        snprintf(elsewhere, sizeof elsewhere, "%s/run.conf", base);
        put("nameserver 192.0.2.1\n");
        assert_int_equal(rename(resolv_conf, elsewhere), 0);
        assert_int_equal(symlink("run.conf", resolv_conf), 0);
        set("wg0", "nameserver 10.0.0.1\n");
        assert_true(readlink(resolv_conf, target, sizeof target) < 0);
        clear("wg0");
        assert_true(readlink(resolv_conf, target, sizeof target - 1) > 0);
        assert_string_equal(target, "run.conf");
        assert_string_equal(is(), "nameserver 192.0.2.1\n");

        unlink(resolv_conf);
        set("wg0", "nameserver 10.0.0.1\n");
        assert_string_equal(is(), "nameserver 10.0.0.1\n");
        clear("wg0");
        assert_string_equal(is(), "(none)");
        assert_int_equal(kept(), 0);
}

/* As where /etc is read-only: the link stays, and what it leads to is written. */
static void test_written_through(void **state)
{
        char target[PATH_MAX] = "", elsewhere[128];

        (void)state;
        snprintf(elsewhere, sizeof elsewhere, "%s/run.conf", base);
        put("nameserver 192.0.2.1\n");
        assert_int_equal(rename(resolv_conf, elsewhere), 0);
        assert_int_equal(symlink("run.conf", resolv_conf), 0);
        set("wg0", "nameserver 10.0.0.1\n");
        assert_int_equal(rename(resolv_conf, elsewhere), 0);
        assert_int_equal(symlink("run.conf", resolv_conf), 0);
        reads("wg0", "nameserver 10.0.0.1\n");
        clear("wg0");
        assert_true(readlink(resolv_conf, target, sizeof target - 1) > 0);
        assert_string_equal(is(), "nameserver 192.0.2.1\n");
        assert_int_equal(kept(), 0);
}

/* Killed between the two calls that write it in place. */
static void test_cut(void **state)
{
        (void)state;
        put("nameserver 192.0.2.1\n");
        set("wg0", "nameserver 10.0.0.1\n");
        set("wg1", "nameserver 10.0.0.2\n");
        put("");
        reads("wg0", "");
        clear("wg0");
        assert_string_equal(is(), "nameserver 10.0.0.2\n");
        put("");
        clear("wg1");
        assert_string_equal(is(), "nameserver 192.0.2.1\n");
        assert_int_equal(kept(), 0);
}

/* Its folder of a crash, before there was anything in it that anybody wants. */
static void test_left_folders(void **state)
{
        char path[256];

        (void)state;
        put("nameserver 192.0.2.1\n");
        for (int round = 0; round < 2; round++) {
                set("wg0", "nameserver 10.0.0.1\n");
                snprintf(path, sizeof path, "%s/aBcDeF", folder_path);
                assert_int_equal(mkdir(path, 0700), 0);
                if (round) set("wg1", "nameserver 10.0.0.2\n");
                if (round) clear("wg1");
                clear("wg0");
                assert_int_equal(kept(), 0);
        }
        assert_string_equal(is(), "nameserver 192.0.2.1\n");
}

/* Where the file cannot be written nothing is kept, and where it was written for another it stays so. */
static void test_failed_set(void **state)
{
        char name[160];

        (void)state;
        put("nameserver 192.0.2.1\n");
        snprintf(name, sizeof name, "%s/.resolv.conf.adit", base);
        assert_int_equal(mkdir(name, 0700), 0); /* where the new one would be made */
        assert_int_not_equal(dns_file_set(&paths, "wg0", "nameserver 10.0.0.1\n"), 0);
        assert_string_equal(is(), "nameserver 192.0.2.1\n");
        rmdir(name);
        set("wg1", "nameserver 10.0.0.2\n");
        assert_int_equal(mkdir(name, 0700), 0);
        assert_int_not_equal(dns_file_set(&paths, "wg0", "nameserver 10.0.0.1\n"), 0);
        assert_string_equal(is(), "nameserver 10.0.0.2\n");
        rmdir(name);
        clear("wg0");
        clear("wg1");
        assert_string_equal(is(), "nameserver 192.0.2.1\n");
        assert_int_equal(kept(), 0);
}

/* Its folder was removed: what it was is not known, and it stays. */
static void test_lost_folder(void **state)
{
        char command[256];

        (void)state;
        put("nameserver 192.0.2.1\n");
        set("wg0", "nameserver 10.0.0.1\n");
        snprintf(command, sizeof command, "rm -rf %s", folder_path);
        assert_int_equal(system(command), 0);
        reads("wg0", NULL);
        clear("wg0");
        assert_string_equal(is(), "nameserver 10.0.0.1\n");
        set("wg0", "nameserver 10.0.0.2\n");
        assert_string_equal(is(), "nameserver 10.0.0.2\n");
        clear("wg0");
        assert_int_equal(kept(), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_make),
                cmocka_unit_test(test_join),
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_commands),
                cmocka_unit_test(test_resolvconf),
                cmocka_unit_test_setup_teardown(test_links, setup, teardown),
                cmocka_unit_test_setup_teardown(test_changed_by_others, setup, teardown),
                cmocka_unit_test_setup_teardown(test_link_and_none, setup, teardown),
                cmocka_unit_test_setup_teardown(test_written_through, setup, teardown),
                cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
                cmocka_unit_test_setup_teardown(test_left_folders, setup, teardown),
                cmocka_unit_test_setup_teardown(test_failed_set, setup, teardown),
                cmocka_unit_test_setup_teardown(test_lost_folder, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
