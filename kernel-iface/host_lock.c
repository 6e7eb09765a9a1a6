#include "kernel-iface/host_inside.h"

#include <errno.h>

/* The journal names a table before it is made. */
static bool name_tables(struct host *host, const struct plan_state *wanted, struct host_error *error)
{
        struct plan_state ours = { 0 };
        bool ok = host_add_all(&ours, wanted);

        for (size_t i = 0; ok && i < host->journal.ours.count; i++) {
                const struct plan_item *item = &host->journal.ours.items[i];
                if (!plan_is_table(item->kind) || !plan_value(wanted, item->kind)) ok = plan_add(&ours, item);
        }
        plan_sort(&ours);
        if (!ok) host_fail(error, ENOMEM, "planning");
        if (ok) ok = host_write_journal(host, &ours, error);
        if (!ok) {
                plan_free(&ours);
                return false;
        }
        plan_free(&host->journal.ours);
        host->journal.ours = ours;
        return true;
}

/* A whole one that only gets other links' marks was changed by nobody. */
static bool any_broken(const struct plan_state *current, const struct plan_step *steps, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                const struct plan_item *is = plan_value(current, steps[i].item.kind);
                if (!is || !is->digest) return true;
        }
        return false;
}

static bool make_tables(struct host *host, const struct plan_state *wanted, bool *made, struct host_error *error)
{
        struct plan_state current = { 0 }, none = { 0 };
        struct plan_step steps[2 * FIREWALL_TABLES];
        struct steps_link link = host_steps_link(host);
        int code = tables_read(&host->tables, &none, wanted, &current);
        size_t count = code ? 0 : plan_difference(&current, &none, wanted, steps);
        bool ok = !code || host_fail(error, code, "reading the host's state");

        if (count) ok = name_tables(host, wanted, error) && host_run_steps(host, &link, steps, count, true, error);
        *made = ok && any_broken(&current, steps, count);
        plan_free(&current);
        return ok;
}

bool host_guard(struct host *host, const struct host_state *want, bool *mended, struct host_error *error)
{
        struct plan_state wanted = { 0 };

        *error = (struct host_error){ 0 };
        bool ok = host_want_tables(host, want, &wanted, error) && make_tables(host, &wanted, mended, error);
        tables_settle(&host->tables, ok);
        plan_free(&wanted);
        return ok;
}

bool host_lock(struct host *host, const struct host_state *want, bool *made, struct host_error *error)
{
        struct plan_state wanted = { 0 }, lock = { 0 };

        *error = (struct host_error){ 0 };
        bool ok = host_want_tables(host, want, &wanted, error);
        if (ok && !host_take_kind(&wanted, PLAN_LOCK, false, &lock)) ok = host_fail(error, ENOMEM, "planning");
        if (ok) ok = make_tables(host, &lock, made, error);
        tables_settle(&host->tables, ok);
        plan_free(&wanted);
        plan_free(&lock);
        return ok;
}
