#include "kernel-iface/host_inside.h"

#include "kernel-iface/values.h"

#include <errno.h>
#include <stdlib.h>

enum { UNDO_TRIES = 3 };

/* The values as they were before us, of those that are still ours to set. */
static bool former_values(struct host *host, const struct plan_state *ours, struct plan_state *wanted,
                          struct host_error *error)
{
        struct plan_state current, held = { 0 };
        struct steps_link link = host_steps_link_for(host, &host->journal.before);
        int code = steps_read(host->netlink, &link, ours, &host->journal.before, &current);

        *wanted = (struct plan_state){ 0 };
        if (code) return host_fail(error, code, "reading the host's state");
        bool ok = journal_held(host->path, host->journal.netns, &held);
        for (size_t i = 0; ok && i < host->journal.before.count; i++) {
                const struct plan_item *was = &host->journal.before.items[i];
                if (plan_is_sysctl(was->kind) || !plan_value(&current, was->kind)) continue; /* it went with its link */
                ok = plan_add(wanted, was);
        }
        ok = ok && values_give_back(&host->journal.before, &held, &current, wanted);
        if (!ok) host_fail(error, ENOMEM, "planning");
        plan_sort(wanted);
        plan_free(&held);
        plan_free(&current);
        return ok;
}

bool host_undo_items(struct host *host, const struct plan_state *ours, struct host_error *error)
{
        struct plan_state wanted;
        bool ok = false;

        for (int tries = 0; !ok && tries < UNDO_TRIES; tries++) {
                ok = former_values(host, ours, &wanted, error) && host_converge(host, ours, &wanted, true, error);
                plan_free(&wanted);
        }
        if (ok) *error = (struct host_error){ 0 };
        return ok;
}

/* Of two links that go at the same time each may leave what both hold to the other. Once its journal is gone, whoever
 * looks last sees nobody. Best effort: it names nothing any more. */
static void look_again(struct host *host, const struct plan_state *sysctls)
{
        struct plan_state before = host->journal.before, none = { 0 };
        struct host_error ignored;

        if (!sysctls->count) return;
        host->journal.before = *sysctls;
        host_undo_items(host, &none, &ignored);
        host->journal.before = before;
}

bool host_undo(struct host *host, struct host_error *error)
{
        struct plan_state sysctls = { 0 }, held = { 0 };
        bool ok = journal_held(host->path, host->journal.netns, &held);

        if (ok && held.count) ok = values_copy_sysctls(&host->journal.before, &sysctls);
        if (!ok) host_fail(error, ENOMEM, "planning");
        if (ok) ok = host_undo_items(host, &host->journal.ours, error);
        if (ok) {
                host_drop_journal(host);
                look_again(host, &sysctls);
        }
        plan_free(&sysctls);
        plan_free(&held);
        return ok;
}

/* What is of one kind, or of every other. */
bool host_take_kind(const struct plan_state *from, enum plan_kind kind, bool others, struct plan_state *out)
{
        *out = (struct plan_state){ 0 };
        for (size_t i = 0; i < from->count; i++)
                if ((from->items[i].kind != kind) == others && !plan_add(out, &from->items[i])) return false;
        return true;
}

bool host_undo_to_lock(struct host *host, struct host_error *error)
{
        struct plan_state lock, rest;
        bool ok = host_take_kind(&host->journal.ours, PLAN_LOCK, false, &lock);

        ok = host_take_kind(&host->journal.ours, PLAN_LOCK, true, &rest) && ok;
        if (!ok) host_fail(error, ENOMEM, "planning");
        if (ok) ok = host_undo_items(host, &rest, error);
        if (ok && !lock.count) host_drop_journal(host);
        if (ok && lock.count) {
                plan_free(&host->journal.ours);
                plan_free(&host->journal.before);
                host->journal.ours = lock;
                lock = (struct plan_state){ 0 };
                ok = host_write_journal(host, &host->journal.ours, error);
        }
        plan_free(&lock);
        plan_free(&rest);
        return ok;
}

bool host_adopt(struct host *host, const struct plan_state *found)
{
        return host_add_all(&host->journal.ours, found);
}

bool host_lift(struct host *host, const struct host_teller *teller, struct host_error *error)
{
        *error = (struct host_error){ 0 };
        if (!host->journal.ours.count) return true;
        host->teller = teller;
        bool ok = host_undo(host, error);
        host->teller = NULL;
        return ok;
}

bool host_locked(const struct host *host)
{
        return plan_value(&host->journal.ours, PLAN_LOCK) != NULL;
}
