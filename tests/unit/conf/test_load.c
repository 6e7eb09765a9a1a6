#include "tests/unit/conf/support.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static struct conf conf;
static struct conf_error error;

static const char *in_folder(const char *name)
{
        static char paths[4][256];
        static unsigned next;
        char *path = paths[next++ % 4];

        snprintf(path, sizeof paths[0], "%s/%s", folder, name);
        return path;
}

static void put_file(const char *name, mode_t mode, const char *text)
{
        const char *path = in_folder(name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        assert_int_equal(fchmod(fd, mode), 0);
        close(fd);
}

static bool load(const char *name)
{
        pool_reset(&pool);
        return conf_load(&conf, &pool, in_folder(name), &error);
}

static void assert_error(unsigned line, unsigned column, const char *says)
{
        assert_string_equal(error.text, says);
        assert_int_equal(error.line, line);
        assert_int_equal(error.column, column);
}

static void test_modes(void **state)
{
        static const mode_t open_modes[] = { 0640, 0604, 0620, 0610, 0601, 0644, 0666 };
        char says[256];

        (void)state;
        for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
                put_file("wg0.conf", open_modes[i], "[Interface]\nPrivateKey = " KEY_A "\n");
                snprintf(says, sizeof says,
                         "group or others can read this file and it holds a key; mend it with: chmod 600 %s/wg0.conf",
                         folder);
                assert_false(load("wg0.conf"));
                assert_error(0, 0, says);
                put_file("wg0.conf", open_modes[i],
                         "[Interface]\n[Peer]\nPublicKey = " KEY_B "\nPresharedKey = " KEY_A "\n");
                assert_false(load("wg0.conf"));
                assert_error(0, 0, says);
                put_file("wg0.conf", open_modes[i], "[Interface]\n[Peer]\nPublicKey = " KEY_B "\n");
                assert_true(load("wg0.conf"));
        }
        put_file("wg0.conf", 0600, "[Interface]\nPrivateKey = " KEY_A "\n");
        assert_true(load("wg0.conf"));
        put_file("wg0.conf", 0400, "[Interface]\nPrivateKey = " KEY_A "\n");
        assert_true(load("wg0.conf"));
}

#define NO_KEY "this is not a key: 44 characters of base64, the last one =, and nothing else"

/* From a file and from a pipe by one rule. */
static void test_key_load(void **state)
{
        static char large[4096 + 2] = KEY_A;
        static const struct {
                const char *text, *why; /* NULL: a key */
        } rows[] = {
                { KEY_A, NULL },
                { KEY_A " \t\r\n\n", NULL },
                { " " KEY_A, NO_KEY },
                { KEY_A "\n" KEY_A, NO_KEY },
                { "", NO_KEY },
                { "\n", NO_KEY },
                { large, "it is too large: at most 4096 bytes" },
        };

        (void)state;
        memset(large + strlen(KEY_A), ' ', sizeof large - 1 - strlen(KEY_A));
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct key wanted, key;
                int ends[2];

                put_file("wg0.key", 0600, rows[i].text);
                if (key_load(&key, in_folder("wg0.key"), &error) != !rows[i].why) fail_msg("row %zu: file", i);
                if (rows[i].why) assert_error(0, 0, rows[i].why);
                assert_int_equal(pipe(ends), 0);
                assert_int_equal(write(ends[1], rows[i].text, strlen(rows[i].text)), strlen(rows[i].text));
                close(ends[1]);
                if (key_load_open(&key, ends[0], &error) != !rows[i].why) fail_msg("row %zu: pipe", i);
                close(ends[0]);
                if (rows[i].why) assert_error(0, 0, rows[i].why);
                if (rows[i].why) continue;
                assert_true(key_from_base64(&wanted, KEY_A, strlen(KEY_A)));
                assert_memory_equal(&key, &wanted, sizeof key);
        }
        assert_false(key_load_open(&(struct key){ 0 }, -1, &error));
        assert_error(0, 0, "cannot read it: Bad file descriptor");
        assert_false(key_load(&(struct key){ 0 }, folder, &error));
        assert_error(0, 0, "it is not a regular file");
}

static void test_key_files(void **state)
{
        static const char text[] =
                "[Interface]\nPrivateKeyFile = wg0.key\n[Peer]\nPublicKey = " KEY_B "\n PresharedKeyFile = wg0.psk\n";
        char says[256];
        struct key key;

        (void)state;
        put_file("wg0.conf", 0644, text);
        assert_false(load("wg0.conf"));
        assert_error(2, 18, "PrivateKeyFile: 'wg0.key': cannot open it: No such file or directory");

        put_file("wg0.conf", 0600, "[Interface]\nPrivateKeyFile = /etc/wireguard/keys/of/this/host.key\n");
        assert_false(load("wg0.conf"));
        assert_error(2, 18,
                     "PrivateKeyFile: '/etc/wireguard/keys/of/this/host.key': cannot open it: No such file or "
                     "directory");
        put_file("wg0.conf", 0600, "[Interface]\nPrivateKeyFile = " KEY_A "\n");
        assert_false(load("wg0.conf"));
        assert_error(2, 18,
                     "PrivateKeyFile: '(not shown, it may be a key)': cannot open it: No such file or directory");

        put_file("wg0.conf", 0644, text);
        put_file("wg0.key", 0600, KEY_A "\n");
        put_file("wg0.psk", 0644, KEY_C "\n");
        assert_false(load("wg0.conf"));
        snprintf(says, sizeof says,
                 "PresharedKeyFile: 'wg0.psk': group or others can read it; mend it with: chmod 600 %s/wg0.psk",
                 folder);
        assert_error(5, 21, says);

        put_file("wg0.psk", 0600, KEY_C " \t\r\n\n");
        assert_true(load("wg0.conf"));
        assert_true(key_from_base64(&key, KEY_A, strlen(KEY_A)));
        assert_memory_equal(&conf.private_key, &key, sizeof key);
        assert_true(key_from_base64(&key, KEY_C, strlen(KEY_C)));
        assert_memory_equal(&conf.peers->preshared_key, &key, sizeof key);
        assert_true(conf.flags & CONF_HAS_PRIVATE_KEY);
        assert_true(conf.peers->flags & PEER_HAS_PRESHARED_KEY);
        assert_null(conf.private_key_file);
        assert_null(conf.peers->preshared_key_file);

        put_file("wg0.psk", 0600, KEY_C KEY_C);
        assert_false(load("wg0.conf"));
        assert_error(5, 21, "PresharedKeyFile: 'wg0.psk': " NO_KEY);
        put_file("wg0.psk", 0600, "");
        assert_false(load("wg0.conf"));

        snprintf(says, sizeof says, "[Interface]\nPrivateKeyFile = nowhere\nPrivateKeyFile = %s/wg0.key\n", folder);
        put_file("wg0.conf", 0644, says);
        assert_true(load("wg0.conf"));
}

static void test_credentials(void **state)
{
        static const char text[] = "[Interface]\nPrivateKeyFile = credential:key\n[Peer]\nPublicKey = " KEY_B
                                   "\nPresharedKeyFile = credential:psk\n";
        static const char nobody[] =
                "no service manager hands credentials over here: CREDENTIALS_DIRECTORY is not set; "
                "to reload a service: systemctl reload";
        char says[256];
        struct key key;

        (void)state;
        put_file("wg0.conf", 0644, text);
        put_file("key", 0400, KEY_A "\n");
        put_file("psk", 0400, KEY_C "\n");
        unsetenv("CREDENTIALS_DIRECTORY");
        snprintf(says, sizeof says, "PrivateKeyFile: 'credential:key': %s", nobody);
        assert_false(load("wg0.conf")); /* not the one beside it */
        assert_error(2, 18, says);
        setenv("CREDENTIALS_DIRECTORY", "relative", 1);
        assert_false(load("wg0.conf"));
        assert_error(2, 18, says);

        setenv("CREDENTIALS_DIRECTORY", folder, 1);
        assert_true(load("wg0.conf"));
        assert_true(key_from_base64(&key, KEY_A, strlen(KEY_A)));
        assert_memory_equal(&conf.private_key, &key, sizeof key);
        assert_true(key_from_base64(&key, KEY_C, strlen(KEY_C)));
        assert_memory_equal(&conf.peers->preshared_key, &key, sizeof key);
        assert_null(conf.private_key_file);

        put_file("psk", 0440, KEY_C "\n");
        assert_false(load("wg0.conf"));
        snprintf(says, sizeof says,
                 "PresharedKeyFile: 'credential:psk': group or others can read it; mend it with: chmod 600 %s/psk",
                 folder);
        assert_error(5, 20, says);
        setenv("CREDENTIALS_DIRECTORY", "/nowhere", 1);
        assert_false(load("wg0.conf"));
        assert_error(2, 18, "PrivateKeyFile: 'credential:key': cannot open it: No such file or directory");
        unsetenv("CREDENTIALS_DIRECTORY");
}

/* The example at the root, as it is, and with every line in use that is commented out and can be. */
static void test_example(void **state)
{
        static char text[16384], all[16384];
        FILE *file = fopen("tunnel.conf", "r");
        size_t used = 0;

        (void)state;
        if (!file) skip(); /* run from elsewhere than the root */
        text[fread(text, 1, sizeof text - 1, file)] = 0;
        fclose(file);
        put_file("wg0.conf", 0600, text);
        if (!load("wg0.conf")) fail_msg("tunnel.conf:%u:%u: %s", error.line, error.column, error.text);
        assert_null(conf.peers->name);
        assert_non_null(conf.peers->next->allowed_ips->next);

        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
                bool key = strncmp(line, "# ", 2) == 0 && strchr(line, '=') && !strstr(line, "File =") &&
                           strcspn(line + 2, " ") == strcspn(line + 2, "=") - 1;

                used += (size_t)snprintf(all + used, sizeof all - used, "%s\n", line + (key ? 2 : 0));
        }
        put_file("wg0.conf", 0600, all);
        if (!load("wg0.conf")) fail_msg("tunnel.conf:%u:%u: %s", error.line, error.column, error.text);
        assert_string_equal(conf.peers->name, "berlin");
        assert_int_equal(conf.mtu, 1420);
        assert_int_equal(conf.fwmark, 51820);
        assert_string_equal(conf.post_down->text, "logger \"%i is down\"");
        assert_true(conf.peers->flags & PEER_HAS_PRESHARED_KEY);
        assert_true(conf.peers->flags & PEER_HAS_UPGRADE);
        assert_int_equal(conf.peers->post_quantum, CONF_POST_QUANTUM_REQUIRE);
}

static void test_what_is_no_file(void **state)
{
        (void)state;
        assert_false(load("none.conf"));
        assert_error(0, 0, "cannot open it: No such file or directory");
        assert_int_equal(mkfifo(in_folder("fifo.conf"), 0600), 0);
        assert_false(load("fifo.conf")); /* and does not wait */
        assert_error(0, 0, "it is not a regular file");
        assert_false(load("."));
        assert_error(0, 0, "it is not a regular file");
        put_file("huge.conf", 0600, "");
        assert_int_equal(truncate(in_folder("huge.conf"), CONF_TEXT_MAX + 1), 0);
        assert_false(load("huge.conf"));
        assert_error(0, 0, "it is too large: at most 67108864 bytes");
        put_file("fifo.key", 0600, "x");
        assert_int_equal(truncate(in_folder("fifo.key"), 4097), 0);
        put_file("wg0.conf", 0600, "[Interface]\nPrivateKeyFile=fifo.key");
        assert_false(load("wg0.conf"));
        assert_error(2, 16, "PrivateKeyFile: 'fifo.key': it is too large: at most 4096 bytes");
        put_file("wg0.conf", 0644, "[Interface]\nMTU=1");
        assert_false(load("wg0.conf"));
        assert_int_equal(error.line, 2);
}

static void test_link_name(void **state)
{
        char name[IFNAMSIZ];

        (void)state;
        assert_true(conf_link_name("wg0", name, &error));
        assert_string_equal(name, "wg0");
        assert_true(conf_link_name("../x/a_=+.-9.conf", name, &error));
        assert_string_equal(name, "a_=+.-9");
        assert_false(conf_link_name("a:b", name, &error));
        assert_error(0, 0, "an interface's name is 1 to 15 letters, digits or any of _=+.-");
        assert_false(conf_link_name("x/a:b", name, &error));
        assert_error(0, 0, "the file's name, less .conf, is the interface's: 1 to 15 letters, digits or any of _=+.-");
}

/* A link stays a link: nothing is looked up. */
static void test_absolute(void **state)
{
        static const struct {
                const char *in, *beside; /* NULL: as it is */
        } rows[] = {
                { "/a/../b//c.conf", NULL },     { "wg0.conf", "wg0.conf" },           { "./wg0.conf", "wg0.conf" },
                { ".//./wg0.conf", "wg0.conf" }, { "../wg0.conf", "../wg0.conf" },     { ".wg0.conf", ".wg0.conf" },
                { "link.conf", "link.conf" },    { "x/./link.conf", "x/./link.conf" },
        };
        char path[CONF_PATH_MAX], long_path[CONF_PATH_MAX] = "", here[CONF_PATH_MAX];

        (void)state;
        assert_int_equal(symlink("wg0.conf", in_folder("link.conf")), 0);
        assert_int_equal(chdir(folder), 0);
        assert_non_null(getcwd(here, sizeof here));
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                char wanted[2 * CONF_PATH_MAX];

                snprintf(wanted, sizeof wanted, "%s%s%s", rows[i].beside ? here : "", rows[i].beside ? "/" : "",
                         rows[i].beside ? rows[i].beside : rows[i].in);
                assert_true(conf_absolute(rows[i].in, path, &error));
                assert_string_equal(path, wanted);
        }
        memset(long_path, 'a', sizeof long_path - 1);
        assert_false(conf_absolute(long_path, path, &error));
        assert_error(0, 0, "the path is too long: 511 characters are allowed");
        assert_int_equal(chdir("/"), 0);
        assert_true(conf_absolute("x.conf", path, &error));
        assert_string_equal(path, "/x.conf");
        assert_int_equal(unlink(in_folder("link.conf")), 0);
}

static void test_find(void **state)
{
        static const struct {
                const char *in, *path, *name; /* NULL: refused */
        } rows[] = {
                { "./x/wg0.conf", "./x/wg0.conf", "wg0" },
                { "/no/such/wg1.conf", "/no/such/wg1.conf", "wg1" },
                { "/no/such/plain", "/no/such/plain", "plain" },
                { "here.conf", "here.conf", "here" },
                { .in = "/a/sixteenletters00.conf" },
                { "/a/fifteenletters0.conf", "/a/fifteenletters0.conf", "fifteenletters0" },
                { .in = "/a/b c.conf" },
                { .in = "/a/" },
                { "/a/.conf", "/a/.conf", ".conf" },
                { .in = "" },
                { .in = ".." },
                { .in = "a b" },
                { .in = "no-such-link0" },
        };
        char path[CONF_PATH_MAX], name[IFNAMSIZ], long_path[CONF_PATH_MAX + 1];

        (void)state;
        assert_int_equal(chdir(folder), 0);
        put_file("here.conf", 0600, "");
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                if (conf_find(rows[i].in, path, name, &error) != (rows[i].name != NULL))
                        fail_msg("row %zu: %s: %s", i, rows[i].in, error.text);
                if (!rows[i].name) continue;
                assert_string_equal(path, rows[i].path);
                assert_string_equal(name, rows[i].name);
        }
        memset(long_path, '/', sizeof long_path);
        long_path[CONF_PATH_MAX] = 0;
        assert_false(conf_find(long_path, path, name, &error));
        assert_string_equal(error.text, "the path is too long: 511 characters are allowed");
        assert_int_equal(chdir("/"), 0);
}

static int make_folder(void **state)
{
        (void)state;
        snprintf(folder, sizeof folder, "/tmp/adit-test-load.XXXXXX");
        return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
        static const char *const names[] = { "wg0.conf",  "key",       "psk",       "wg0.key", "wg0.psk",
                                             "fifo.conf", "huge.conf", "here.conf", "fifo.key" };

        (void)state;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                unlink(in_folder(names[i]));
        return rmdir(folder);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_modes),           cmocka_unit_test(test_key_files),
                cmocka_unit_test(test_credentials),     cmocka_unit_test(test_example),
                cmocka_unit_test(test_what_is_no_file), cmocka_unit_test(test_find),
                cmocka_unit_test(test_link_name),       cmocka_unit_test(test_key_load),
                cmocka_unit_test(test_absolute),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, make_folder, remove_folder);
}
