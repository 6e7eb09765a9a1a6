#include "daemon/keeper_state.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What of ours another program takes away is put back at once. Two programs that each put right what the other does
 * would keep a processor busy, so each time soon after the last waits twice as long, up to a second. */
enum { WAIT_FIRST_MS = 10, WAIT_MAX_MS = 1000, QUIET_MS = 10000, TELL_MS = 60000 };

static const uint64_t ms = 1000000;

void drift_suspect(struct keeper *keeper)
{
        struct drift *drift = &keeper->drift;

        if (drift->due != UINT64_MAX) return;
        if (keeper_now() > drift->last + QUIET_MS * ms) drift->wait = 0;
        drift->due = drift->last + drift->wait;
}

/* Most programs leave the port to the kernel or to libnl: the pid, or that and a number above it. It is the program's
 * own word, and it may have ended: good for the log alone. */
static void name_program(uint32_t port, char *out, size_t size)
{
        char path[64], name[32] = "";
        uint32_t pid = port & 0x3fffff;
        int fd = -1;

        snprintf(path, sizeof path, "/proc/%u/comm", pid);
        if (pid && !(port >> 31)) fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
                (void)!read(fd, name, sizeof name - 1);
                close(fd);
        }
        name[strcspn(name, "\n")] = '\0';
        for (char *c = name; *c; c++)
                if (*c < ' ' || *c == 0x7f) *c = '?';
        if (*name) snprintf(out, size, "%s (pid %u)", name, pid);
        else snprintf(out, size, "another program");
}

void drift_lost(const struct netlink_loss *loss, void *arg)
{
        struct keeper *keeper = arg;
        struct drift *drift = &keeper->drift;

        if (host_owns(keeper->host, &loss->item)) {
                if (!drift->lost++) {
                        plan_print(&loss->item, drift->item);
                        name_program(loss->port, drift->who, sizeof drift->who);
                }
        } else if (loss->item.kind != PLAN_ADDRESS) {
                return; /* (without a word of it, the last address takes all IPv4 routes with it, whosever it was) */
        }
        drift_suspect(keeper);
}

void drift_written(struct keeper *keeper)
{
        struct drift *drift = &keeper->drift;
        uint64_t now = keeper_now();

        drift_suspect(keeper);
        if ((drift->told_dns && now < drift->told_dns + QUIET_MS * ms) || !host_dns_lost(keeper->host)) return;
        drift->told_dns = now;
        log_print(LOG_WARNING, "/etc/resolv.conf: another program wrote it; the link's servers are put back, and what "
                               "was written comes back when the link goes down");
}

static const char *advice(const struct drift *drift, bool fight)
{
        if (!strncmp(drift->who, "systemd-network", strlen("systemd-network")))
                return "; set ManageForeignRoutes=no and ManageForeignRoutingPolicyRules=no in networkd.conf(5), "
                       "[Network]";
        return fight ? ", and will be once a second; tell that program to leave it alone (systemd-networkd: "
                       "ManageForeignRoutes=no, ManageForeignRoutingPolicyRules=no)"
                     : "";
}

/* Each, until it is a fight over what was the last: that once a minute. */
static void tell(struct drift *drift, bool back)
{
        bool fight = drift->wait >= WAIT_MAX_MS * ms && !strcmp(drift->item, drift->told_item);
        char others[48] = "";

        if (!drift->lost) return;
        if (fight && drift->told && keeper_now() < drift->told + TELL_MS * ms) return;
        if (drift->lost > 1) snprintf(others, sizeof others, " (and %u more)", drift->lost - 1);
        log_print(LOG_WARNING, "%s%s: %s %s%s%s", drift->item, others, drift->who,
                  fight ? "keeps removing it" : "removed it", back ? "; it was put back" : "", advice(drift, fight));
        drift->told = fight ? keeper_now() : 0;
        memcpy(drift->told_item, drift->item, sizeof drift->item);
        drift->lost = 0;
}

void drift_tick(struct keeper *keeper)
{
        struct drift *drift = &keeper->drift;

        if (drift->due > keeper_now()) return;
        drift->last = keeper_now();
        drift->due = drift->last + WAIT_FIRST_MS * ms;
        if (keeper->transaction.stage != STAGE_IDLE) return; /* it knows no better than to change what it read */
        drift->due = UINT64_MAX;
        bool back = apply_host_again(keeper);
        if (!keeper->host_due) tell(drift, back);
        drift->wait = drift->wait ? 2 * drift->wait : WAIT_FIRST_MS * ms;
        if (drift->wait > WAIT_MAX_MS * ms) drift->wait = WAIT_MAX_MS * ms;
        bool failed = !back && !keeper->host_due && keeper->current.managed && !keeper->link_away;
        if (failed) drift->due = drift->last + drift->wait;
}
