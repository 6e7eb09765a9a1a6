#include "tests/unit/crypto/cipher_each.h"

#include <dlfcn.h>
#include <stdlib.h>

/* Which libsodium this is: `make check` builds with the system's, and once more with the newest beside it. */

/* Built with the headers of one and run with another, ciphers would be missing without a word. */
static void headers_and_library_are_one(void **state)
{
        (void)state;
        assert_string_equal(sodium_version_string(), SODIUM_VERSION_STRING);
        assert_int_equal(sodium_library_version_major(), SODIUM_LIBRARY_VERSION_MAJOR);
        assert_int_equal(sodium_library_version_minor(), SODIUM_LIBRARY_VERSION_MINOR);
}

/* `make SODIUM_DIR=...` puts it into the environment of what it runs; without it the linker's choice is right. */
static void it_is_the_one_asked_for(void **state)
{
        const char *folder = getenv("SODIUM_DIR");
        char *asked, *loaded;
        Dl_info info;

        (void)state;
        if (!folder) return;
        assert_int_not_equal(dladdr((const void *)(uintptr_t)sodium_version_string, &info), 0);
        assert_non_null(asked = realpath(folder, NULL));
        assert_non_null(loaded = realpath(info.dli_fname, NULL));
        print_message("# %s\n", loaded);
        assert_int_equal(strncmp(loaded, asked, strlen(asked)), 0);
        assert_int_equal(loaded[strlen(asked)], '/');
        free(asked);
        free(loaded);
}

/* Since 1.0.19, whose library is the first of number 26. */
static void aegis_256_is_there_since_26(void **state)
{
        const struct cipher *cipher = cipher_find(CIPHER_AEGIS_256);

        (void)state;
        if (SODIUM_LIBRARY_VERSION_MAJOR < 26) {
                assert_null(cipher);
                return;
        }
        assert_non_null(cipher);
        assert_string_equal(cipher->name, "AEGIS-256");
        assert_true(cipher_cost(cipher) > 0);
        assert_true(cipher_choose(cipher));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(headers_and_library_are_one),
                cmocka_unit_test(it_is_the_one_asked_for),
                cmocka_unit_test(aegis_256_is_there_since_26),
        };

        return cmocka_run_group_tests_name("sodium", tests, cipher_setup, NULL);
}
