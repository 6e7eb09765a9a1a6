/* Preloaded into aditd: what opens a capture of its packets. For tests: it gives away every session's keys.
 *   LD_PRELOAD=keylog.so KEYLOG=FILE aditd ...
 * FILE becomes the number of records (64 bits), then the records: each 32 bytes that aditd has asked libsodium to draw. Its ephemeral
 * private keys are among them, before they are clamped; decrypt.py finds out which. As with faults.c, the file is mapped before main()
 * and shared by aditd's processes: from then on it takes no descriptor and no system call. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RECORD = 32, RECORDS = 4096 };

static struct log {
        _Atomic uint64_t count;
        uint8_t records[RECORDS][RECORD];
} *file;

static void (*draw)(void *, size_t);

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "keylog: %s\n", what);
        _exit(2);
}

__attribute__((constructor)) static void begin(void)
{
        const char *path = getenv("KEYLOG");
        int fd = path ? open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

        if (fd < 0 || ftruncate(fd, sizeof *file)) die("wanted: KEYLOG, a file that can be written");
        file = mmap(NULL, sizeof *file, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (file == MAP_FAILED) die("the file cannot be mapped");
        close(fd);
        *(void **)&draw = dlsym(RTLD_NEXT, "randombytes_buf");
        if (!draw) die("libsodium is not linked as a library");
}

void randombytes_buf(void *buffer, size_t size); /* libsodium's, which is not asked for its headers */
void randombytes_buf(void *buffer, size_t size)
{
        draw(buffer, size);
        if (size != RECORD) return;
        uint64_t at = atomic_fetch_add_explicit(&file->count, 1, memory_order_relaxed);
        if (at >= RECORDS) die("more was drawn than there is room for");
        memcpy(file->records[at], buffer, RECORD);
}
