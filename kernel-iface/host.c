#include "kernel-iface/host.h"

#include "kernel-iface/dns_file.h"
#include "kernel-iface/journal.h"
#include "kernel-iface/namespace.h"
#include "kernel-iface/plan_commands.h"
#include "kernel-iface/steps.h"
#include "kernel-iface/sysctl.h"
#include "kernel-iface/values.h"
#include "kernel-iface/wanted.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Removing an address takes others of its subnet, and the last one all routes: what is read back is put right again. */
enum {
        ROUNDS = 6,
        UNDO_TRIES = 3,
        UNLINK_TRIES = 3,
        MARK_TRIES = 4096,
        LOCKS_MAX = 64 /* links whose kill switches know of each other */
};

struct host {
        struct netlink *netlink;
        char *path; /* of the journal */
        struct journal journal;
        struct tables tables;
        struct dns dns;
        bool forwarding;                  /* its sysctls matter: they are wanted, or were changed */
        const struct host_teller *teller; /* while a crash is undone */
};

static bool fail(struct host_error *error, int code, const char *what)
{
        error->error = code < 0 ? -code : code;
        snprintf(error->text, sizeof error->text, "%s: %s", what, strerror(error->error));
        return false;
}

static bool add_all(struct plan_state *to, const struct plan_state *from)
{
        for (size_t i = 0; i < from->count; i++)
                if (!plan_add(to, &from->items[i])) return false;
        plan_sort(to);
        return true;
}

/* One that stays would be undone once more, and keep what links share from being restored. */
static void drop_journal(struct host *host)
{
        for (int tries = 0; tries < UNLINK_TRIES && unlink(host->path) && errno != ENOENT; tries++)
                continue;
        plan_free(&host->journal.ours);
        plan_free(&host->journal.before);
}

/* Opening and closing */

/* An index means another link after a crash; so does a name. */
static bool is_same_link(struct host *host)
{
        struct link_info info;

        return !netlink_link_by_index(host->netlink, host->journal.ifindex, &info) &&
               strcmp(info.name, host->journal.link) == 0;
}

static bool is_elsewhere(struct host *host, struct host_error *error)
{
        char enter[NAMESPACE_TEXT];

        if (!namespace_find(host->journal.netns, enter)) return false;
        error->error = EXDEV;
        snprintf(error->text, sizeof error->text,
                 "%s is of another network namespace (%llu): repair it there: %s adit repair %s", host->path,
                 (unsigned long long)host->journal.netns, enter, host->journal.link);
        return true;
}

static bool undo_crash(struct host *host, uint64_t netns, struct host_error *error)
{
        int code = journal_read(host->path, &host->journal);

        if (code == -ENOENT) return true;
        if (code == -EINVAL) {
                error->error = EINVAL;
                snprintf(error->text, sizeof error->text,
                         "%s is damaged, and names no longer what a crash left; what to do: adit repair", host->path);
                return false;
        }
        if (code) return fail(error, code, host->path);
        if (host->journal.netns && host->journal.netns != netns) {
                if (is_elsewhere(host, error)) return false;
                drop_journal(host);
                return true;
        }
        host->journal.netns = netns;
        if (!is_same_link(host)) host->journal.ifindex = 0;
        return host_undo_to_lock(host, error);
}

/* Its index from then on. A link that is not there yet is looked for again when it is needed. */
static void find_index(struct host *host)
{
        struct link_info info;

        if (!netlink_link(host->netlink, host->journal.link, &info)) host->journal.ifindex = info.ifindex;
}

struct host *host_open(const char *link, const char *journal, const struct host_teller *teller,
                       struct host_error *error)
{
        struct host *host = calloc(1, sizeof *host);
        int code;

        if (!host || strlen(link) >= IFNAMSIZ) {
                fail(error, host ? EINVAL : ENOMEM, link);
                goto free_host;
        }
        host->path = strdup(journal);
        if (!host->path) {
                fail(error, ENOMEM, journal);
                goto free_host;
        }
        host->netlink = netlink_open(&code);
        if (!host->netlink) {
                fail(error, code, "netlink");
                goto free_path;
        }
        uint64_t netns = journal_netns();
        strcpy(host->tables.link, link);
        strcpy(host->dns.link, link);
        host->teller = teller;
        if (!undo_crash(host, netns, error)) goto close_netlink;
        host->teller = NULL;
        strcpy(host->journal.link, link);
        host->journal.ifindex = 0;
        host->journal.netns = netns;
        find_index(host);
        return host;

close_netlink:
        journal_free(&host->journal);
        netlink_close(host->netlink);
free_path:
        free(host->path);
free_host:
        free(host);
        return NULL;
}

void host_close(struct host *host)
{
        if (!host) return;
        journal_free(&host->journal);
        tables_free(&host->tables);
        dns_free(&host->dns);
        netlink_close(host->netlink);
        free(host->path);
        free(host);
}

int host_link(struct host *host, struct link_info *out)
{
        if (!host->journal.ifindex) find_index(host);
        return host->journal.ifindex ? netlink_link_by_index(host->netlink, host->journal.ifindex, out) : -ENODEV;
}

uint32_t host_egress_mtu(struct host *host, const struct host_state *state, uint32_t mark, bool here)
{
        return egress_mtu(host->netlink, here ? host->journal.ifindex : 0, mark, state->endpoints,
                          state->endpoint_count);
}

int host_watch(struct host *host)
{
        return netlink_watch_open(host->netlink);
}

void host_watch_values(int inotify)
{
        sysctl_watch(inotify);
        inotify_add_watch(inotify, dns_paths.resolv_conf, IN_MODIFY); /* of a file that is mounted there */
        inotify_add_watch(inotify, "/etc", IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE);
}

bool host_owns(const struct host *host, const struct plan_item *item)
{
        return plan_has(&host->journal.ours, item);
}

/* One change: `ours` is what may be removed on the way. */

static struct steps_link link_of(struct host *host)
{
        return (struct steps_link){ .name = host->journal.link,
                                    .ifindex = host->journal.ifindex,
                                    .tables = &host->tables,
                                    .dns = &host->dns,
                                    .forwarding = host->forwarding };
}

/* The same, for a change to `wanted`. */
static struct steps_link link_for(struct host *host, const struct plan_state *wanted)
{
        host->forwarding = values_want_forwarding(wanted) || values_want_forwarding(&host->journal.before);
        return link_of(host);
}

static void tell(const struct host *host, const struct plan_step *step)
{
        char text[PLAN_TEXT];

        if (!host->teller) return;
        plan_print(&step->item, text);
        host->teller->tell(host->teller->arg, text, !step->add);
}

static bool run_steps(struct host *host, const struct steps_link *link, const struct plan_step *steps, size_t count,
                      bool go_on, struct host_error *error)
{
        bool ok = true;

        for (size_t i = 0; i < count; i++) {
                struct host_error here;
                if (steps_apply(host->netlink, link, &steps[i], &here)) {
                        tell(host, &steps[i]);
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
        struct steps_link link = link_of(host);
        int code = steps_read(host->netlink, &link, aim->ours, aim->wanted, &current);
        bool ok = false;

        if (code) return fail(error, code, "reading the host's state");
        struct plan_step *steps = calloc(current.count + aim->wanted->count + 1, sizeof *steps);
        if (!steps) {
                fail(error, ENOMEM, "planning");
                goto free_current;
        }
        size_t count = plan_difference(&current, aim->ours, aim->wanted, steps);
        aim->left[0] = '\0';
        if (count) plan_print(&steps[0].item, aim->left);
        ok = run_steps(host, &link, steps, whole ? count : first_stage(steps, count), aim->go_on, error);
        free(steps);
free_current:
        plan_free(&current);
        return ok;
}

/* Reads, plans and applies until there is nothing left to do. */
static bool converge(struct host *host, const struct plan_state *ours, const struct plan_state *wanted, bool go_on,
                     struct host_error *error)
{
        struct aim aim = { .ours = ours, .wanted = wanted, .go_on = go_on };
        bool ok = true;

        for (int round = 0; round < ROUNDS; round++) {
                ok = run_round(host, &aim, !ok, error);
                if (ok ? !*aim.left : !go_on) return ok;
        }
        if (!ok) return false;
        fail(error, EBUSY, aim.left);
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

/* What applying needs to know, read once before anything is changed. */
struct change {
        struct plan_state held;            /* what other links know of sysctls as they were */
        struct plan_state current, wanted; /* wanted: with the values that go back */
        struct plan_state config;          /* what is wanted without these */
        struct plan_state goal;            /* ours after success */
        struct plan_state reach;           /* ours before and after: what may be removed on the way, or back */
        struct plan_state back;            /* ours before, and the values as they are: where a failure returns to */
};

static void free_change(struct change *change)
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

static bool prepare(struct host *host, struct change *change)
{
        struct plan_state *ours = &host->journal.ours, *before = &host->journal.before;

        if (!journal_held(host->path, host->journal.netns, &change->held)) return false;
        if (!values_keep_advertisements(before, host->journal.ifindex, &change->current, &change->wanted)) return false;
        if (!add_all(&change->config, &change->wanted)) return false;
        if (!values_note(before, &change->held, &change->current, &change->config)) return false;
        if (!values_give_back(before, &change->held, &change->current, &change->wanted)) return false;
        if (!collect_ours(ours, &change->current, &change->wanted, &change->goal)) return false;
        if (!add_all(&change->reach, ours) || !add_all(&change->reach, &change->goal)) return false;
        if (!add_all(&change->back, ours)) return false;
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

static bool write_journal(struct host *host, const struct plan_state *ours, struct host_error *error)
{
        struct journal journal = host->journal;
        int code;

        journal.ours = *ours;
        code = journal_write(host->path, &journal);
        return code ? fail(error, code, host->path) : true;
}

/* What was noted for a change that did not come about is forgotten: another may come when the values are others. */
static void unnote_values(struct host *host, const struct plan_state *noted)
{
        plan_free(&host->journal.before);
        add_all(&host->journal.before, noted);
}

/* Back to where the change began; the first error is the one that is told. */
static void roll_back(struct host *host, struct change *change, const struct plan_state *noted)
{
        struct host_error ignored;

        if (!converge(host, &change->reach, &change->back, true, &ignored)) {
                add_all(&host->journal.ours, &change->goal); /* undo may do better later */
                write_journal(host, &host->journal.ours, &ignored);
                return;
        }
        unnote_values(host, noted);
        if (host->journal.ours.count || host->journal.before.count) write_journal(host, &host->journal.ours, &ignored);
        else drop_journal(host);
}

static bool carry_out(struct host *host, struct change *change, const struct plan_state *noted,
                      struct host_error *error)
{
        struct host_error ignored;

        if (!write_journal(host, &change->reach, error)) {
                unnote_values(host, noted);
                return false;
        }
        if (!converge(host, &change->reach, &change->wanted, false, error)) {
                roll_back(host, change, noted);
                return false;
        }
        values_forget(&host->journal.before, &change->config);
        plan_free(&host->journal.ours);
        host->journal.ours = change->goal;
        change->goal = (struct plan_state){ 0 };
        write_journal(host, &host->journal.ours, &ignored); /* the one that lies there names all of this, and more */
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
        if (code) return fail(error, code, host->journal.link);
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
static bool want_tables(struct host *host, const struct host_state *want, struct plan_state *wanted,
                        struct host_error *error)
{
        uint32_t marks[LOCKS_MAX];
        size_t count = want->kill_switch ? journal_marks(host->path, host->journal.netns, marks, LOCKS_MAX) : 0;
        bool ok = tables_prepare(&host->tables, host->journal.link, marks, count, want);

        for (int i = 0; ok && i < FIREWALL_TABLES; i++)
                if (host->tables.next.tables[i].text.bytes) ok = plan_add(wanted, &host->tables.next.tables[i].item);
        plan_sort(wanted);
        return ok || fail(error, ENOMEM, "planning");
}

static bool want_dns(struct host *host, const struct host_state *want, struct plan_state *wanted,
                     struct host_error *error)
{
        bool ok = dns_prepare(&host->dns, want);

        if (ok && host->dns.next.text) ok = plan_add(wanted, &host->dns.next.item);
        plan_sort(wanted);
        return ok || fail(error, ENOMEM, "planning");
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
        if (!want_tables(host, want, &change.wanted, error) || !want_dns(host, want, &change.wanted, error)) goto out;
        struct steps_link link = link_for(host, &change.wanted);
        int code = steps_read(host->netlink, &link, &host->journal.ours, &change.wanted, &change.current);
        if (code) {
                fail(error, code, "reading the host's state");
                goto out;
        }
        if (!add_all(&noted, &host->journal.before)) {
                fail(error, ENOMEM, "planning");
                goto out;
        }
        if (!prepare(host, &change)) {
                fail(error, ENOMEM, "planning");
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
        free_change(&change);
        plan_free(&noted);
        return ok;
}

/* The values as they were before us, of those that are still ours to set. */
static bool former_values(struct host *host, const struct plan_state *ours, struct plan_state *wanted,
                          struct host_error *error)
{
        struct plan_state current, held = { 0 };
        struct steps_link link = link_for(host, &host->journal.before);
        int code = steps_read(host->netlink, &link, ours, &host->journal.before, &current);

        *wanted = (struct plan_state){ 0 };
        if (code) return fail(error, code, "reading the host's state");
        bool ok = journal_held(host->path, host->journal.netns, &held);
        for (size_t i = 0; ok && i < host->journal.before.count; i++) {
                const struct plan_item *was = &host->journal.before.items[i];
                if (plan_is_sysctl(was->kind) || !plan_value(&current, was->kind)) continue; /* it went with its link */
                ok = plan_add(wanted, was);
        }
        ok = ok && values_give_back(&host->journal.before, &held, &current, wanted);
        if (!ok) fail(error, ENOMEM, "planning");
        plan_sort(wanted);
        plan_free(&held);
        plan_free(&current);
        return ok;
}

static bool undo(struct host *host, const struct plan_state *ours, struct host_error *error)
{
        struct plan_state wanted;
        bool ok = false;

        for (int tries = 0; !ok && tries < UNDO_TRIES; tries++) {
                ok = former_values(host, ours, &wanted, error) && converge(host, ours, &wanted, true, error);
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
        undo(host, &none, &ignored);
        host->journal.before = before;
}

bool host_undo(struct host *host, struct host_error *error)
{
        struct plan_state sysctls = { 0 }, held = { 0 };
        bool ok = journal_held(host->path, host->journal.netns, &held);

        if (ok && held.count) ok = values_copy_sysctls(&host->journal.before, &sysctls);
        if (!ok) fail(error, ENOMEM, "planning");
        if (ok) ok = undo(host, &host->journal.ours, error);
        if (ok) {
                drop_journal(host);
                look_again(host, &sysctls);
        }
        plan_free(&sysctls);
        plan_free(&held);
        return ok;
}

/* What is of one kind, or of every other. */
static bool take_kind(const struct plan_state *from, enum plan_kind kind, bool others, struct plan_state *out)
{
        *out = (struct plan_state){ 0 };
        for (size_t i = 0; i < from->count; i++)
                if ((from->items[i].kind != kind) == others && !plan_add(out, &from->items[i])) return false;
        return true;
}

bool host_undo_to_lock(struct host *host, struct host_error *error)
{
        struct plan_state lock, rest;
        bool ok = take_kind(&host->journal.ours, PLAN_LOCK, false, &lock);

        ok = take_kind(&host->journal.ours, PLAN_LOCK, true, &rest) && ok;
        if (!ok) fail(error, ENOMEM, "planning");
        if (ok) ok = undo(host, &rest, error);
        if (ok && !lock.count) drop_journal(host);
        if (ok && lock.count) {
                plan_free(&host->journal.ours);
                plan_free(&host->journal.before);
                host->journal.ours = lock;
                lock = (struct plan_state){ 0 };
                ok = write_journal(host, &host->journal.ours, error);
        }
        plan_free(&lock);
        plan_free(&rest);
        return ok;
}

bool host_lift(struct host *host, const struct host_teller *teller, struct host_error *error)
{
        *error = (struct host_error){ 0 };
        if (!host_locked(host)) return true;
        host->teller = teller;
        bool ok = host_undo(host, error);
        host->teller = NULL;
        return ok;
}

bool host_locked(const struct host *host)
{
        return plan_value(&host->journal.ours, PLAN_LOCK) != NULL;
}

/* The journal names a table before it is made. */
static bool name_tables(struct host *host, const struct plan_state *wanted, struct host_error *error)
{
        struct plan_state ours = { 0 };
        bool ok = add_all(&ours, wanted);

        for (size_t i = 0; ok && i < host->journal.ours.count; i++) {
                const struct plan_item *item = &host->journal.ours.items[i];
                if (!plan_is_table(item->kind) || !plan_value(wanted, item->kind)) ok = plan_add(&ours, item);
        }
        plan_sort(&ours);
        if (!ok) fail(error, ENOMEM, "planning");
        if (ok) ok = write_journal(host, &ours, error);
        if (!ok) {
                plan_free(&ours);
                return false;
        }
        plan_free(&host->journal.ours);
        host->journal.ours = ours;
        return true;
}

static bool make_tables(struct host *host, const struct plan_state *wanted, bool *made, struct host_error *error)
{
        struct plan_state current = { 0 }, none = { 0 };
        struct plan_step steps[2 * FIREWALL_TABLES];
        struct steps_link link = link_of(host);
        int code = tables_read(&host->tables, &none, wanted, &current);
        size_t count = code ? 0 : plan_difference(&current, &none, wanted, steps);
        bool ok = !code || fail(error, code, "reading the host's state");

        if (count) ok = name_tables(host, wanted, error) && run_steps(host, &link, steps, count, true, error);
        *made = ok && count;
        plan_free(&current);
        return ok;
}

bool host_guard(struct host *host, const struct host_state *want, bool *mended, struct host_error *error)
{
        struct plan_state wanted = { 0 };

        *error = (struct host_error){ 0 };
        bool ok = want_tables(host, want, &wanted, error) && make_tables(host, &wanted, mended, error);
        tables_settle(&host->tables, ok);
        plan_free(&wanted);
        return ok;
}

bool host_lock(struct host *host, const struct host_state *want, bool *made, struct host_error *error)
{
        struct plan_state wanted = { 0 }, lock = { 0 };

        *error = (struct host_error){ 0 };
        bool ok = want_tables(host, want, &wanted, error);
        if (ok && !take_kind(&wanted, PLAN_LOCK, false, &lock)) ok = fail(error, ENOMEM, "planning");
        if (ok) ok = make_tables(host, &lock, made, error);
        tables_settle(&host->tables, ok);
        plan_free(&wanted);
        plan_free(&lock);
        return ok;
}

static bool holds_rules(const struct plan_state *ours, uint32_t mark)
{
        for (size_t i = 0; i < ours->count; i++)
                if (ours->items[i].kind == PLAN_RULES && ours->items[i].mark == mark) return true;
        return false;
}

/* The mark that a kill switch in force lets out already. */
static uint32_t lock_mark(const struct plan_state *ours)
{
        const struct plan_item *lock = plan_value(ours, PLAN_LOCK);

        return lock ? lock->mark : 0;
}

bool host_choose_mark(struct host *host, uint32_t *mark, struct host_error *error)
{
        *error = (struct host_error){ 0 };
        *mark = lock_mark(&host->journal.ours);
        if (*mark) return true;
        for (uint32_t number = MARK_FIRST; number < MARK_FIRST + MARK_TRIES; number++) {
                bool used = false;
                int code =
                        holds_rules(&host->journal.ours, number) ? 0 : netlink_mark_used(host->netlink, number, &used);
                if (code) return fail(error, code, "looking for an unused mark");
                if (used) continue;
                *mark = number;
                return true;
        }
        return fail(error, EBUSY, "looking for an unused mark: set FwMark");
}

/* The plan without the deed */

/* With the journal of the link that is there. What a crash left is undone before a link comes up, and is not looked at.
 */
static bool open_to_look(struct host *host, const char *link, const char *journal, struct host_error *error)
{
        int code;

        host->path = strdup(journal);
        host->netlink = host->path ? netlink_open(&code) : NULL;
        if (!host->netlink) return fail(error, host->path ? code : ENOMEM, "netlink");
        snprintf(host->journal.link, sizeof host->journal.link, "%s", link);
        find_index(host);
        int ifindex = host->journal.ifindex;
        code = journal_read(journal, &host->journal);
        if (code && code != -ENOENT && ifindex) return fail(error, code, journal);
        if (!ifindex || host->journal.ifindex != ifindex) journal_free(&host->journal);
        snprintf(host->journal.link, sizeof host->journal.link, "%s", link);
        host->journal.ifindex = ifindex;
        host->journal.netns = journal_netns();
        snprintf(host->tables.link, sizeof host->tables.link, "%s", link);
        snprintf(host->dns.link, sizeof host->dns.link, "%s", link);
        host->tables.look = true;
        return true;
}

/* The kernel makes some of the routes that are wanted when it gets the addresses that are. */
static bool foresee_routes(struct change *change)
{
        struct plan_item route;
        bool ok = true;

        for (size_t i = 0; ok && i < change->wanted.count; i++) {
                const struct plan_item *item = &change->wanted.items[i];
                if (item->kind != PLAN_ADDRESS || plan_has(&change->current, item)) continue;
                if (plan_connected(item, &route) && plan_has(&change->wanted, &route))
                        ok = plan_add(&change->current, &route);
        }
        plan_sort(&change->current);
        return ok;
}

static bool read_change(struct host *host, const struct host_state *want, struct change *change,
                        struct host_error *error)
{
        bool here = host->journal.ifindex;

        if (!wanted_state(host->netlink, host->journal.ifindex, want, &change->wanted, error)) return false;
        if (!want_dns(host, want, &change->wanted, error)) return false;
        if (here && !want_tables(host, want, &change->wanted, error)) return false;
        struct steps_link link = link_for(host, &change->wanted);
        int code = steps_read(host->netlink, &link, &host->journal.ours, &change->wanted, &change->current);
        if (code) return fail(error, code, "reading the host's state");
        /* only root may ask for tables; those of a link that is not there are made, or replaced at once */
        if (!here && !want_tables(host, want, &change->wanted, error)) return false;
        return (prepare(host, change) && foresee_routes(change)) || fail(error, ENOMEM, "planning");
}

static int print_change(const struct host *host, const struct change *change,
                        void (*print)(void *arg, const char *commands), void *arg, struct host_error *error)
{
        struct plan_step *steps = calloc(change->current.count + change->wanted.count + 1, sizeof *steps);
        size_t count = steps ? plan_difference(&change->current, &change->reach, &change->wanted, steps) : 0;
        char text[PLAN_COMMANDS_TEXT];

        for (size_t i = 0; i < count; i++) {
                const char *table = steps[i].add ? tables_text(&host->tables, &steps[i].item) : NULL;
                plan_commands(&steps[i], host->journal.link, text, sizeof text); /* of a table: up to its text */
                print(arg, text);
                if (table) print(arg, table);
                if (table) print(arg, "END\n");
                char *dns = steps[i].add ? dns_commands(&host->dns, &steps[i].item, host->journal.link) : NULL;
                if (dns) print(arg, dns);
                free(dns);
        }
        bool ok = steps || fail(error, ENOMEM, "planning");
        free(steps);
        return ok ? count > 0 : -1;
}

int host_preview(const char *link, const char *journal, struct host_state *want,
                 void (*print)(void *arg, const char *commands), void *arg, struct host_error *error)
{
        struct host host = { 0 };
        struct change change = { 0 };
        int result = -1;
        bool ok = open_to_look(&host, link, journal, error);

        if (ok && want->mark_chosen && !want->fwmark) ok = host_choose_mark(&host, &want->fwmark, error);
        if (ok && read_change(&host, want, &change, error)) result = print_change(&host, &change, print, arg, error);
        free_change(&change);
        tables_free(&host.tables);
        dns_free(&host.dns);
        journal_free(&host.journal);
        if (host.netlink) netlink_close(host.netlink);
        free(host.path);
        return result;
}
