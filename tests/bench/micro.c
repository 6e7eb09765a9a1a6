/* Times the hot functions of the data plane, each by itself.
 *   micro [--json FILE]        nanoseconds per operation, as a table
 *   micro --list               names, of what this machine can do
 *   micro --once NAME COUNT    COUNT runs without a clock, for a profiler; prints the operations of one run
 * All of them take turns in each of ROUNDS rounds, and medians over the rounds are printed: what else the machine does
 * then falls on all alike. --once calls measured() for each run and for nothing else: `callgrind --toggle-collect` sees
 * what was timed (scripts/bench-micro).
 * Exit 1: a function gave a wrong result; 3: this machine cannot run NAME. */
#include "tests/bench/micro/micro.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 11, ROUND_NS = 8000000, RUNS_MAX = 1 << 20, ALIGN = 64 };
enum { EXIT_WRONG = 1, EXIT_USAGE = 2, EXIT_UNAVAILABLE = 3 };

static struct bench benches[MICRO_MAX];
static size_t count;
static double samples[MICRO_MAX][ROUNDS]; /* ns per operation */
static unsigned runs[MICRO_MAX];          /* of one round */

int64_t micro_now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

void *micro_alloc(size_t size)
{
        size_t rounded = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
        void *memory = aligned_alloc(ALIGN, rounded);

        if (!memory) {
                fprintf(stderr, "micro: %zu bytes: %s\n", size, strerror(errno));
                exit(EXIT_USAGE);
        }
        return memset(memory, 0, rounded);
}

static void require(const struct bench *bench, bool right)
{
        if (right) return;
        fprintf(stderr, "micro: %s: the result is wrong\n", bench->name);
        exit(EXIT_WRONG);
}

/* Not inlined, so that a profiler can tell it from what goes before. */
__attribute__((noinline)) static bool measured(struct bench *bench)
{
        return bench->run(bench);
}

static void run_once(struct bench *bench)
{
        if (bench->prepare) bench->prepare(bench);
        require(bench, measured(bench));
}

/* Reads the clock around each run where there is something to prepare: the shortest of them takes some microseconds. */
static int64_t time_runs(struct bench *bench, unsigned n)
{
        int64_t total = 0, start = micro_now_ns();

        if (!bench->prepare) {
                for (unsigned i = 0; i < n; i++)
                        require(bench, measured(bench));
                return micro_now_ns() - start;
        }
        for (unsigned i = 0; i < n; i++) {
                bench->prepare(bench);
                start = micro_now_ns();
                require(bench, measured(bench));
                total += micro_now_ns() - start;
        }
        return total;
}

/* How many runs a round takes; warms up as well. */
static unsigned calibrate(struct bench *bench)
{
        unsigned n = 1;

        for (int64_t took = 0; n < RUNS_MAX; n *= 2) {
                took = time_runs(bench, n);
                if (took >= ROUND_NS / 2) return (unsigned)((double)n * ROUND_NS / (double)took) + 1;
        }
        return n;
}

static int compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static void time_all(void)
{
        for (size_t i = 0; i < count; i++)
                runs[i] = calibrate(&benches[i]);
        for (unsigned round = 0; round < ROUNDS; round++)
                for (size_t i = 0; i < count; i++)
                        samples[i][round] =
                                (double)time_runs(&benches[i], runs[i]) / ((double)runs[i] * benches[i].operations);
        for (size_t i = 0; i < count; i++) {
                require(&benches[i], benches[i].verify(&benches[i]));
                qsort(samples[i], ROUNDS, sizeof samples[i][0], compare);
        }
}

static void print_table(void)
{
        printf("%-52s %10s %10s\n", "", "ns", "least");
        for (size_t i = 0; i < count; i++)
                printf("%-52s %10.1f %10.1f\n", benches[i].name, samples[i][ROUNDS / 2], samples[i][0]);
}

static bool write_json(const char *path)
{
        FILE *file = fopen(path, "w");
        bool failed;

        if (!file) return false;
        fprintf(file, "{\"rounds\": %d, \"benchmarks\": [", ROUNDS);
        for (size_t i = 0; i < count; i++)
                fprintf(file, "%s\n  {\"name\": \"%s\", \"operations\": %u, \"ns\": %.2f, \"ns_least\": %.2f}",
                        i ? "," : "", benches[i].name, benches[i].operations, samples[i][ROUNDS / 2], samples[i][0]);
        fprintf(file, "\n]}\n");
        failed = ferror(file);
        return fclose(file) == 0 && !failed;
}

/* Leaves those that this machine can run. */
static void set_up_all(void)
{
        size_t kept = 0;

        for (size_t i = 0; i < count; i++) {
                if (!benches[i].setup(&benches[i])) continue;
                require(&benches[i], benches[i].verify(&benches[i]));
                benches[kept++] = benches[i];
        }
        count = kept;
}

static int once(const char *name, unsigned n)
{
        struct bench *bench = benches;

        while (bench < benches + count && strcmp(bench->name, name) != 0)
                bench++;
        if (bench == benches + count) {
                fprintf(stderr, "micro: there is no '%s'; see micro --list\n", name);
                return EXIT_USAGE;
        }
        if (!bench->setup(bench)) {
                fprintf(stderr, "micro: %s: not on this machine\n", name);
                return EXIT_UNAVAILABLE;
        }
        require(bench, bench->verify(bench));
        for (unsigned i = 0; i < n; i++)
                run_once(bench);
        printf("%u\n", bench->operations);
        return 0;
}

static int list(void)
{
        set_up_all();
        for (size_t i = 0; i < count; i++)
                printf("%s\n", benches[i].name);
        return 0;
}

static int time_and_print(const char *json)
{
        set_up_all();
        time_all();
        print_table();
        if (!json || write_json(json)) return 0;
        fprintf(stderr, "micro: %s: %s\n", json, strerror(errno));
        return EXIT_USAGE;
}

int main(int argc, char **argv)
{
        if (sodium_init() < 0) return EXIT_USAGE;
        count += micro_crypto(benches + count);
        count += micro_kernel(benches + count);
        count += micro_proto(benches + count);
        if (argc == 1) return time_and_print(NULL);
        if (argc == 2 && strcmp(argv[1], "--list") == 0) return list();
        if (argc == 3 && strcmp(argv[1], "--json") == 0) return time_and_print(argv[2]);
        if (argc == 4 && strcmp(argv[1], "--once") == 0 && atoi(argv[3]) > 0)
                return once(argv[2], (unsigned)atoi(argv[3]));
        fprintf(stderr, "usage: micro [--json FILE] | --list | --once NAME COUNT\n");
        return EXIT_USAGE;
}
