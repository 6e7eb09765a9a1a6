#include "kernel-iface/host_inside.h"

#include "kernel-iface/dns_file.h"
#include "kernel-iface/values.h"
#include "kernel-iface/wanted.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Removing an address takes others of its subnet, and the last one all routes: what is read back is put right again. */
enum { ROUNDS = 6 };

/* One change: `ours` is what may be removed on the way. */

struct steps_link host_steps_link(struct host *host)
{
        return (struct steps_link){ .name = host->journal.link,
                                    .ifindex = host->journal.ifindex,
                                    .tables = &host->tables,
                                    .dns = &host->dns,
                                    .forwarding = host->forwarding };
}

/* The same, for a change to `wanted`. */
struct steps_link host_steps_link_for(struct host *host, const struct plan_state *wanted)
{
        host->forwarding = values_want_forwarding(wanted) || values_want_forwarding(&host->journal.before);
        return host_steps_link(host);
}

bool host_run_steps(struct host *host, const struct steps_link *link, const struct plan_step *steps, size_t count,
                    bool go_on, struct host_error *error)
{
        bool ok = true;

        for (size_t i = 0; i < count; i++) {
                struct host_error here;
                if (steps_apply(host->netlink, link, &steps[i], &here)) {
                        host_tell(host, &steps[i]);
                        continue;
                }
                if (ok) *error = here;
                ok = false;
                if (!go_on) break;
        }
        return ok;
}

/* The link comes first and alone: the kernel gives it routes for its addresses, which are then no longer ours to add.
 */
static size_t first_stage(const struct plan_step *steps, size_t count)
{
        size_t stage = 0;

        while (stage < count && steps[stage].item.kind < PLAN_ROUTE)
                stage++;
        return stage ? stage : count;
}

/* What is to be reached. */
struct aim {
        const struct plan_state *ours, *wanted;
        bool go_on;           /* one error does not keep the rest from being done, and what failed is tried again */
        char left[PLAN_TEXT]; /* the first thing that was to be done in the last round; empty: nothing */
};

static bool run_round(struct host *host, struct aim *aim, bool whole, struct host_error *error)
{
        struct plan_state current;
        struct steps_link link = host_steps_link(host);
        int code = steps_read(host->netlink, &link, aim->ours, aim->wanted, &current);
        bool ok = false;

        if (code) return host_fail(error, code, "reading the host's state");
        struct plan_step *steps = calloc(current.count + aim->wanted->count + 1, sizeof *steps);
        if (!steps) {
                host_fail(error, ENOMEM, "planning");
                goto free_current;
        }
        size_t count = plan_difference(&current, aim->ours, aim->wanted, steps);
        aim->left[0] = '\0';
        if (count) plan_print(&steps[0].item, aim->left);
        ok = host_run_steps(host, &link, steps, whole ? count : first_stage(steps, count), aim->go_on, error);
        free(steps);
free_current:
        plan_free(&current);
        return ok;
}

bool host_converge(struct host *host, const struct plan_state *ours, const struct plan_state *wanted, bool go_on,
                   struct host_error *error)
{
        struct aim aim = { .ours = ours, .wanted = wanted, .go_on = go_on };
        bool ok = true;

        for (int round = 0; round < ROUNDS; round++) {
                ok = run_round(host, &aim, !ok, error);
                if (ok ? !*aim.left : !go_on) return ok;
        }
        if (!ok) return false;
        host_fail(error, EBUSY, aim.left);
        strncat(error->text, ": another program keeps changing it", sizeof error->text - strlen(error->text) - 1);
        return false;
}

/* What was ours and is still wanted, and what this change adds. */
static bool collect_ours(const struct plan_state *ours, const struct plan_state *current,
                         const struct plan_state *wanted, struct plan_state *out)
{
        *out = (struct plan_state){ 0 };
        for (size_t i = 0; i < wanted->count; i++) {
                const struct plan_item *item = &wanted->items[i];
                if (plan_is_value(item->kind)) continue;
                bool is_ours = plan_is_text(item->kind) || plan_has(ours, item) || !plan_has(current, item);
                if (is_ours && !plan_add(out, item)) return false;
        }
        plan_sort(out);
        return true;
}

void change_free(struct change *change)
{
        plan_free(&change->held);
        plan_free(&change->current);
        plan_free(&change->wanted);
        plan_free(&change->config);
        plan_free(&change->goal);
        plan_free(&change->reach);
        plan_free(&change->back);
}

/* A table that a crash left is replaced at once, and cannot be made again: there is no way back but to the new one. */
static void keep_new_tables(struct host *host, struct change *change)
{
        for (size_t i = 0; i < change->back.count; i++) {
                struct plan_item *item = &change->back.items[i];
                if (!plan_is_text(item->kind) || tables_know(&host->tables, item) || dns_knows(&host->dns, item))
                        continue;
                const struct plan_item *new = plan_value(&change->goal, item->kind);
                if (new) *item = *new;
        }
}

bool change_prepare(struct host *host, struct change *change)
{
        struct plan_state *ours = &host->journal.ours, *before = &host->journal.before;

        if (!journal_held(host->path, host->journal.netns, &change->held)) return false;
        if (!values_keep_advertisements(before, host->journal.ifindex, &change->current, &change->wanted)) return false;
        if (!host_add_all(&change->config, &change->wanted)) return false;
        if (!values_note(before, &change->held, &change->current, &change->config)) return false;
        if (!values_give_back(before, &change->held, &change->current, &change->wanted)) return false;
        if (!collect_ours(ours, &change->current, &change->wanted, &change->goal)) return false;
        if (!host_add_all(&change->reach, ours) || !host_add_all(&change->reach, &change->goal)) return false;
        if (!host_add_all(&change->back, ours)) return false;
        keep_new_tables(host, change);
        for (size_t i = 0; i < change->current.count; i++) {
                const struct plan_item *item = &change->current.items[i];
                if (!plan_is_value(item->kind)) continue;
                bool touched = plan_same(&change->wanted, item) || plan_same(&host->journal.before, item);
                if (touched && !plan_add(&change->back, item)) return false;
        }
        plan_sort(&change->back);
        return true;
}

static bool changes_nothing(const struct change *change)
{
        struct plan_step *steps = calloc(change->current.count + change->wanted.count + 1, sizeof *steps);
        bool nothing = steps && plan_difference(&change->current, &change->reach, &change->wanted, steps) == 0;

        free(steps);
        return nothing;
}

bool host_write_journal(struct host *host, const struct plan_state *ours, struct host_error *error)
{
        struct journal journal = host->journal;
        int code;

        journal.ours = *ours;
        code = journal_write(host->path, &journal);
        return code ? host_fail(error, code, host->path) : true;
}

/* What was noted for a change that did not come about is forgotten: another may come when the values are others. */
static void unnote_values(struct host *host, const struct plan_state *noted)
{
        plan_free(&host->journal.before);
        host_add_all(&host->journal.before, noted);
}

/* Back to where the change began; the first error is the one that is told. */
static void roll_back(struct host *host, struct change *change, const struct plan_state *noted)
{
        struct host_error ignored;

        if (!host_converge(host, &change->reach, &change->back, true, &ignored)) {
                host_add_all(&host->journal.ours, &change->goal); /* undo may do better later */
                host_write_journal(host, &host->journal.ours, &ignored);
                return;
        }
        unnote_values(host, noted);
        if (host->journal.ours.count || host->journal.before.count)
                host_write_journal(host, &host->journal.ours, &ignored);
        else host_drop_journal(host);
}

static bool carry_out(struct host *host, struct change *change, const struct plan_state *noted,
                      struct host_error *error)
{
        struct host_error ignored;

        if (!host_write_journal(host, &change->reach, error)) {
                unnote_values(host, noted);
                return false;
        }
        if (!host_converge(host, &change->reach, &change->wanted, false, error)) {
                roll_back(host, change, noted);
                return false;
        }
        values_forget(&host->journal.before, &change->config);
        plan_free(&host->journal.ours);
        host->journal.ours = change->goal;
        change->goal = (struct plan_state){ 0 };
        host_write_journal(host, &host->journal.ours,
                           &ignored); /* the one that lies there names all of this, and more */
        return true;
}

static bool find_link(struct host *host, const struct host_state *want, struct link_info *link,
                      struct host_error *error)
{
        int code = host_link(host, link);

        if (code == -ENODEV) {
                error->error = ENODEV;
                snprintf(error->text, sizeof error->text,
                         "%s: not in this network namespace: where it was moved to, its addresses and routes are the "
                         "user's",
                         host->journal.link);
                return false;
        }
        if (code) return host_fail(error, code, host->journal.link);
        if (!want->managed && !link->up && want->route_count && want->table != TABLE_OFF) {
                error->error = ENETDOWN;
                snprintf(error->text, sizeof error->text,
                         "%s: the link is down and takes no routes; set it up first: ip link set %s up",
                         host->journal.link, host->journal.link);
                return false;
        }
        memcpy(host->journal.link, link->name, sizeof host->journal.link); /* it may have a new one */
        return true;
}

/* The texts of the tables, and their items. */
bool host_want_tables(struct host *host, const struct host_state *want, struct plan_state *wanted,
                      struct host_error *error)
{
        uint32_t marks[LOCKS_MAX];
        size_t count = want->kill_switch ? journal_marks(host->path, host->journal.netns, marks, LOCKS_MAX) : 0;
        bool ok = tables_prepare(&host->tables, host->journal.link, marks, count, want);

        for (int i = 0; ok && i < FIREWALL_TABLES; i++)
                if (host->tables.next.tables[i].text.bytes) ok = plan_add(wanted, &host->tables.next.tables[i].item);
        plan_sort(wanted);
        return ok || host_fail(error, ENOMEM, "planning");
}

bool host_want_dns(struct host *host, const struct host_state *want, struct plan_state *wanted,
                   struct host_error *error)
{
        bool ok = dns_prepare(&host->dns, want);

        if (ok && host->dns.next.text) ok = plan_add(wanted, &host->dns.next.item);
        plan_sort(wanted);
        return ok || host_fail(error, ENOMEM, "planning");
}

bool host_dns_lost(const struct host *host)
{
        const struct plan_item *item = plan_value(&host->journal.ours, PLAN_DNS);
        char *text = NULL;

        if (!item || item->value != DNS_BY_FILE || dns_file_read(&dns_paths, host->dns.link, &text)) return false;
        bool lost = !text || !*text;
        free(text);
        return lost;
}

enum host_dns_means host_dns_means(const struct host *host, const struct host_state *want)
{
        const struct plan_item *item = plan_value(&host->journal.ours, PLAN_DNS);

        if (!want->dns_count) return DNS_BY_NOBODY;
        return item ? (enum host_dns_means)item->value : DNS_BY_RESOLVCONF;
}

bool host_apply(struct host *host, const struct host_state *want, struct host_error *error)
{
        struct change change = { 0 };
        struct plan_state noted = { 0 }; /* the journal's values, should we have to go back */
        struct link_info info;
        bool ok = false;

        *error = (struct host_error){ 0 };
        if (!find_link(host, want, &info, error)) return false;
        if (!wanted_state(host->netlink, info.ifindex, want, &change.wanted, error)) return false;
        if (!host_want_tables(host, want, &change.wanted, error) || !host_want_dns(host, want, &change.wanted, error))
                goto out;
        struct steps_link link = host_steps_link_for(host, &change.wanted);
        int code = steps_read(host->netlink, &link, &host->journal.ours, &change.wanted, &change.current);
        if (code) {
                host_fail(error, code, "reading the host's state");
                goto out;
        }
        if (!host_add_all(&noted, &host->journal.before)) {
                host_fail(error, ENOMEM, "planning");
                goto out;
        }
        if (!change_prepare(host, &change)) {
                host_fail(error, ENOMEM, "planning");
                unnote_values(host, &noted);
        } else if (changes_nothing(&change)) {
                unnote_values(host, &noted);
                ok = true;
        } else {
                ok = carry_out(host, &change, &noted, error);
        }
out:
        tables_settle(&host->tables, ok);
        dns_settle(&host->dns, ok);
        change_free(&change);
        plan_free(&noted);
        return ok;
}
