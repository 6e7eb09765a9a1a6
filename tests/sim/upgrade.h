/* What the tests of the session upgrade share. */
#ifndef TESTS_SIM_UPGRADE_H
#define TESTS_SIM_UPGRADE_H

#include "daemon/proto/state.h"
#include "tests/sim/world.h"

/* Part of a test that needs ML-KEM goes without, and says so. */
#define skip_mlkem(what) print_message("# SKIP, no ML-KEM in this build: %s\n", what)

static inline uint64_t drops_of(const struct host *host)
{
        uint64_t sum = 0;

        for (enum drop reason = DROP_NONE + 1; reason < DROP_COUNT; reason++)
                sum += host_drops(host, reason);
        return sum;
}

static inline uint64_t sent_by(const struct host *host)
{
        return host->sent[1] + host->sent[2] + host->sent[3] + host->sent[4];
}

static inline bool upgraded(const struct host *host, const struct host *other)
{
        return host_status(host, other).upgrade == UPGRADE_STATE_DONE;
}

static inline void check_is_upgraded(const struct host *a, const struct host *b)
{
        world_check(a->world, upgraded(a, b) && upgraded(b, a), "not upgraded: %s and %s",
                    upgrade_state_name(host_status(a, b).upgrade), upgrade_state_name(host_status(b, a).upgrade));
}

static inline unsigned cipher_of(const struct host *host, const struct host *other)
{
        const struct cipher *cipher = host_status(host, other).cipher;

        return cipher ? cipher->id : CIPHER_IDS;
}

/* Each has seen that many upgrades, all with ML-KEM where both can. */
static inline void check_upgraded(const struct host *a, const struct host *b, unsigned times)
{
        bool mlkem = a->abilities.mlkem && b->abilities.mlkem;

        world_check(a->world, a->effects[EFFECT_UPGRADED] == times && b->effects[EFFECT_UPGRADED] == times,
                    "%u and %u upgrades, not %u", a->effects[EFFECT_UPGRADED], b->effects[EFFECT_UPGRADED], times);
        if (!host_status(a, b).session) return;
        world_check(a->world, host_status(a, b).mlkem == mlkem && host_status(b, a).mlkem == mlkem, "ML-KEM: not %d",
                    mlkem);
}

#endif
