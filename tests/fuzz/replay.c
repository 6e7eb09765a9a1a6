/* Runs a fuzz target over files that were kept: `replay FILE|FOLDER...`. So that a corpus is a test for any compiler,
 * without libFuzzer. A finding is a crash; the exit code is 1 only when there was nothing to run. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned count;

static void run_file(const char *path, size_t size)
{
        FILE *file = fopen(path, "rb");
        uint8_t *data = malloc(size ? size : 1); /* of just this size: the address sanitizer sees the end */

        if (file && data && fread(data, 1, size, file) == size) {
                LLVMFuzzerTestOneInput(data, size);
                count++;
        } else {
                fprintf(stderr, "replay: cannot read %s\n", path);
        }
        free(data);
        if (file) fclose(file);
}

static void run_path(const char *path)
{
        struct dirent *entry;
        struct stat st;
        char below[4096];
        DIR *folder;

        if (stat(path, &st) < 0) {
                perror(path);
        } else if (S_ISREG(st.st_mode)) {
                run_file(path, (size_t)st.st_size);
        } else if ((folder = opendir(path))) {
                while ((entry = readdir(folder))) {
                        if (entry->d_name[0] == '.') continue;
                        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
                        run_path(below);
                }
                closedir(folder);
        }
}

int main(int argc, char **argv)
{
        for (int i = 1; i < argc; i++)
                run_path(argv[i]);
        printf("%u inputs\n", count);
        return count == 0;
}
