/* What `micro` times: each room's file adds its benchmarks to one table.
 *
 * A run is many operations on bytes that lie as the data plane's do, so that the clock is read seldom and the packets
 * are not all the same one in the first cache. What a run consumes, `prepare` makes anew, and that is not measured.
 * A broken function must not look fast: `run` checks all that costs next to nothing, `verify` the rest. */
#ifndef TESTS_BENCH_MICRO_H
#define TESTS_BENCH_MICRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MICRO_NAME_MAX = 64, MICRO_MAX = 64 };

struct bench {
        char name[MICRO_NAME_MAX];
        bool (*setup)(struct bench *bench);   /* makes `state`; false: this machine cannot do it */
        void (*prepare)(struct bench *bench); /* before each run; NULL: nothing to do */
        bool (*run)(struct bench *bench);     /* false: a result was wrong */
        bool (*verify)(struct bench *bench);  /* by a run of its own if need be */
        unsigned operations;                  /* of one run */

        /* the room's own */
        const void *subject;
        size_t size;
        void *state; /* kept for ever */
};

/* Each writes its benchmarks to `out` and answers how many; all of them together fit MICRO_MAX. */
size_t micro_crypto(struct bench *out);
size_t micro_kernel(struct bench *out);
size_t micro_proto(struct bench *out);

/* Zeroed, on a cache line of its own; exits when there is none. */
void *micro_alloc(size_t size);
int64_t micro_now_ns(void);

#endif
