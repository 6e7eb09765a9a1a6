#include "daemon/plan.h"

#include "daemon/conf/control.h"
#include "daemon/conf/records.h"
#include "kernel-iface/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MEMORY = 256 << 20 }; /* address space; touched as needed */

static int fail(const char *link, const char *why)
{
        fflush(stdout);
        fprintf(stderr, "aditd: %s: %s\n", link, why);
        return EXIT_FAILURE;
}

static void print_to(void *arg, const char *commands)
{
        fputs(commands, arg);
}

/* All of it, or NULL. */
static uint8_t *read_stdin(struct pool *pool, size_t *len)
{
        uint8_t *bytes = pool_alloc(pool, CONTROL_DATA_MAX);
        ssize_t got = -1;

        for (*len = 0; bytes && *len < CONTROL_DATA_MAX; *len += (size_t)got) {
                got = TEMP_FAILURE_RETRY(read(STDIN_FILENO, bytes + *len, CONTROL_DATA_MAX - *len));
                if (got <= 0) break;
        }
        return got == 0 ? bytes : NULL;
}

/* A mark that is chosen here is the link's own from then on. */
static void print_mark(const char *link, const struct host_state *want, bool chosen)
{
        if (chosen && want->fwmark) printf("wg set %s fwmark %u\n", link, want->fwmark);
}

static int preview(const char *link, struct host_state *want)
{
        char journal[128];
        struct host_error error;
        char *commands = NULL;
        size_t size;
        FILE *out = open_memstream(&commands, &size);
        bool choose = want->mark_chosen && !want->fwmark;

        if (!out) return fail(link, strerror(errno));
        snprintf(journal, sizeof journal, "%s/%s.state", CONTROL_DIRECTORY, link);
        int result = host_preview(link, journal, want, print_to, out, &error);
        fclose(out);
        if (result >= 0) {
                print_mark(link, want, choose);
                fputs(commands, stdout);
        }
        free(commands);
        if (result < 0) return fail(link, error.text);
        return result || (choose && want->fwmark) ? PLAN_STEPS : EXIT_SUCCESS;
}

int plan_run(const char *link)
{
        struct pool pool = { .size = MEMORY };
        struct host_state want;
        const char *why = "no host records on the standard input; adit up --dry-run and adit diff give them";
        size_t len;

        pool.base = mmap(NULL, pool.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (pool.base == MAP_FAILED) return fail(link, strerror(errno));
        const uint8_t *bytes = read_stdin(&pool, &len);
        if (!bytes || !len || !records_read(&want, &pool, bytes, len, &why)) return fail(link, why);
        return preview(link, &want);
}
