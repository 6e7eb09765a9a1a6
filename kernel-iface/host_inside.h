/* The inside of host.h: host.c opens and asks, host_change.c applies, host_undo.c undoes, host_lock.c makes the kill
 * switch and the gateway's table alone, host_preview.c only looks. Not for others. */
#ifndef KERNEL_IFACE_HOST_INSIDE_H
#define KERNEL_IFACE_HOST_INSIDE_H

#include "kernel-iface/journal.h"
#include "kernel-iface/steps.h"

enum { LOCKS_MAX = 64 /* links whose kill switches know of each other */ };

struct host {
        struct netlink *netlink;
        char *path; /* of the journal */
        struct journal journal;
        struct tables tables;
        struct dns dns;
        bool forwarding;                  /* its sysctls matter: they are wanted, or were changed */
        const struct host_teller *teller; /* while a crash is undone */
};

/* "WHAT: reason"; is false. */
bool host_fail(struct host_error *error, int code, const char *what);
void host_find_index(struct host *host);
bool host_add_all(struct plan_state *to, const struct plan_state *from);

/* The journal names these, and what was before; or there is none any more. */
bool host_write_journal(struct host *host, const struct plan_state *ours, struct host_error *error);
void host_drop_journal(struct host *host);

/* For steps_read() and steps_apply(); for a change to `wanted`. */
struct steps_link host_steps_link(struct host *host);
struct steps_link host_steps_link_for(struct host *host, const struct plan_state *wanted);
/* The teller hears what was done. */
void host_tell(const struct host *host, const struct plan_step *step);
bool host_run_steps(struct host *host, const struct steps_link *link, const struct plan_step *steps, size_t count,
                    bool go_on, struct host_error *error);

/* Adds the items of the tables, and of DNS, and keeps their texts as the next ones. */
bool host_want_tables(struct host *host, const struct host_state *want, struct plan_state *wanted,
                      struct host_error *error);
bool host_want_dns(struct host *host, const struct host_state *want, struct plan_state *wanted,
                   struct host_error *error);

/* What applying needs to know, read once before anything is changed. */
struct change {
        struct plan_state held;            /* what other links know of sysctls as they were */
        struct plan_state current, wanted; /* wanted: with the values that go back */
        struct plan_state config;          /* what is wanted without these */
        struct plan_state goal;            /* ours after success */
        struct plan_state reach;           /* ours before and after: what may be removed on the way, or back */
        struct plan_state back;            /* ours before, and the values as they are: where a failure returns to */
};

/* From current and wanted to the rest. False: no memory. */
bool change_prepare(struct host *host, struct change *change);
void change_free(struct change *change);

/* Reads, plans and applies until there is nothing left to do; only `ours` is removed. With `go_on` one error does not
 * keep the rest from being done, and what failed is tried again. */
bool host_converge(struct host *host, const struct plan_state *ours, const struct plan_state *wanted, bool go_on,
                   struct host_error *error);

/* What is of one kind, or of every other. False: no memory. */
bool host_take_kind(const struct plan_state *from, enum plan_kind kind, bool others, struct plan_state *out);
/* Removes these of ours, and gives the values back. */
bool host_undo_items(struct host *host, const struct plan_state *ours, struct host_error *error);

#endif
