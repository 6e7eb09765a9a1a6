#include "daemon/keeper_state.h"

#include "daemon/log.h"
#include "kernel-iface/nft.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A program that flushes the ruleset does so once. Against one that goes on, the tables come back at once as long as
 * there is something to spend, and then every COST: a child is forked for it. */
static const uint64_t COST = 100000000, BURST = 2000000000; /* ns */
/* A kill switch is looked at without news, too: what could not be mended is tried again, and what nobody told is seen.
 */
static const uint64_t LOOK = 1000000000;

bool guard_watch(struct keeper *keeper, const struct host_state *wanted, struct host_error *error)
{
        bool needed = wanted->kill_switch || wanted->masquerade || wanted->forward != FORWARD_UNSET;

        if (wanted->kill_switch && keeper->guard_due == UINT64_MAX) keeper->guard_due = keeper_now() + LOOK;
        if (!needed || keeper->ruleset >= 0) return true;
        int fd = nft_watch_open();
        if (fd >= 0) {
                keeper->ruleset = fd;
                keeper_watch(keeper, fd, &keeper->ruleset);
                return true;
        }
        *error = (struct host_error){ .error = -fd };
        snprintf(error->text, sizeof error->text, "KillSwitch, Masquerade and Forward need nftables: %s%s",
                 strerror(-fd), fd == -EOPNOTSUPP ? "; this kernel lacks it (CONFIG_NF_TABLES)" : "");
        return false;
}

/* Time that went by is what may be spent, BURST of it at most. */
static bool can_afford(struct keeper *keeper, uint64_t now)
{
        uint64_t least = now > BURST ? now - BURST : 0;

        if (keeper->guard_spent < least) keeper->guard_spent = least;
        return keeper->guard_spent + COST <= now;
}

/* Between its steps a transaction has made the tables that it wants. Without the interface there is the kill switch
 * alone. */
static bool guard(struct keeper *keeper, bool *mended, struct host_error *error)
{
        bool changing = keeper->transaction.stage == STAGE_COMMITTING;
        const struct host_state *state = changing ? &keeper->transaction.wanted : &keeper->current;

        if (!state->managed) return true;
        if (!keeper->link_away) return host_guard(keeper->host, state, mended, error);
        return !host_locked(keeper->host) || host_lock(keeper->host, state, mended, error);
}

void guard_tick(struct keeper *keeper)
{
        struct host_error error;
        uint64_t now = keeper_now();
        bool mended = false;

        if (keeper->guard_due > now || keeper->stop) return;
        if (!can_afford(keeper, now)) {
                keeper->guard_due = keeper->guard_spent + COST;
                return;
        }
        bool ok = guard(keeper, &mended, &error);
        keeper->guard_due = ok && !host_locked(keeper->host) ? UINT64_MAX : now + LOOK;
        keeper->lock_failed = !ok && host_locked(keeper->host);
        if (!ok) log_packet(LOG_ERR, "%s", error.text);
        if (ok && mended) log_packet(LOG_WARNING, "another program changed nftables rules of this link: they are back");
        if (!ok || mended) keeper->guard_spent += COST;
}

void guard_readable(struct keeper *keeper)
{
        if (!nft_watch_read(keeper->ruleset)) return;
        keeper->guard_due = 0;
        guard_tick(keeper);
}
