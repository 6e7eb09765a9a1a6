#include "daemon/proto/grace.h"

#include <stddef.h>

uint64_t grace_enter(struct grace *grace, enum lane_id lane)
{
        return atomic_fetch_add(&grace->taken[lane], 1);
}

void grace_leave(struct grace *grace, enum lane_id lane)
{
        atomic_fetch_add(&grace->done[lane], 1);
}

bool grace_unused(const struct grace *grace)
{
        for (int lane = 0; lane < LANES; lane++)
                if (atomic_load(&grace->taken[lane])) return false;
        return true;
}

void limbo_add(struct limbo *limbo, struct retired *item)
{
        item->next = limbo->fresh;
        limbo->fresh = item;
}

static bool passed(const struct limbo *limbo, const struct grace *grace)
{
        for (int lane = 0; grace && lane < LANES; lane++)
                if (atomic_load(&grace->done[lane]) < limbo->seen[lane]) return false;
        return true;
}

struct retired *limbo_take(struct limbo *limbo, const struct grace *grace)
{
        struct retired *found = NULL;

        if (!limbo->waiting) {
                limbo->waiting = limbo->fresh;
                limbo->fresh = NULL;
                for (int lane = 0; grace && lane < LANES; lane++)
                        limbo->seen[lane] = atomic_load(&grace->taken[lane]);
        }
        if (limbo->waiting && passed(limbo, grace)) {
                found = limbo->waiting;
                limbo->waiting = NULL;
        }
        return found;
}

bool limbo_empty(const struct limbo *limbo)
{
        return !limbo->fresh && !limbo->waiting;
}
