#include "daemon/conf/handover.h"
#include "daemon/conf/records.h"
#include "daemon/conf/uapi.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static int seal(int fd, size_t len)
{
        if (ftruncate(fd, (off_t)len) < 0) return -errno;
        return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ? -errno : 0;
}

/* A memfd of `len` bytes that `fill` fills through a mapping with a byte more: room for the text's NUL. */
static int memfd_filled(const char *label, size_t len, void (*fill)(void *map, size_t size, const void *from),
                        const void *from)
{
        int error, fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        void *map = MAP_FAILED;

        if (fd < 0) return -errno;
        error = ftruncate(fd, (off_t)len + 1) < 0 ? -errno : 0;
        if (!error) map = mmap(NULL, len + 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (!error && map == MAP_FAILED) error = -errno;
        if (!error) {
                fill(map, len + 1, from);
                munmap(map, len + 1); /* a file that is mapped for writing cannot be sealed */
                error = seal(fd, len);
        }
        if (!error) return fd;
        close(fd);
        return error;
}

static void fill_records(void *map, size_t size, const void *from)
{
        (void)size;
        records_write(from, map);
}

static void fill_text(void *map, size_t size, const void *from)
{
        struct writer out = { .text = map, .size = size };

        uapi_format_set(from, &out);
}

int handover_records(const struct host_state *host)
{
        return memfd_filled("records", records_size(host), fill_records, host);
}

int handover_text(const struct conf *set)
{
        struct writer measure = { 0 };

        uapi_format_set(set, &measure);
        return memfd_filled("text", measure.used, fill_text, set);
}

int handover_open(int fds[CONTROL_FDS], const struct host_state *host, const struct conf *set)
{
        int records = handover_records(host), text = records < 0 ? records : handover_text(set);

        fds[HANDOVER_RECORDS] = fds[HANDOVER_TEXT] = -1;
        if (text < 0) {
                if (records >= 0) close(records);
                return text;
        }
        fds[HANDOVER_RECORDS] = records;
        fds[HANDOVER_TEXT] = text;
        return 0;
}
