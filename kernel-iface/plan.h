/* What a link's host state is, should be, and the steps between: sets of items and their difference.
 * Pure but for memory (malloc). A state is kept sorted and without doubles, so that a difference is one merge. */
#ifndef KERNEL_IFACE_PLAN_H
#define KERNEL_IFACE_PLAN_H

#include "kernel-iface/types.h"

/* In the order of adding; removing goes the other way. */
enum plan_kind {
        PLAN_LOCK,    /* the table of the kill switch: in force before anything else, and lifted after all else */
        PLAN_GATEWAY, /* the gateway's table. Of both there is one, which a new one replaces at once */
        PLAN_ADDRESS,
        PLAN_MTU, /* MTU, UP and the sysctls are values: set, never removed */
        PLAN_UP,
        PLAN_ROUTE,
        PLAN_THROW,      /* a route that sends on to the next rule, of no link */
        PLAN_VALID_MARK, /* net.ipv4.conf.all.src_valid_mark */
        PLAN_RULES,
        PLAN_ACCEPT_RA,     /* net.ipv6.conf.IF.accept_ra: before the next, which makes another thing of it */
        PLAN_FORWARDING_V4, /* net.ipv4.conf.all.forwarding, which is net.ipv4.ip_forward; what it changes along: */
        PLAN_FORWARDING_V6, /* net.ipv6.conf.all.forwarding */
        PLAN_REDIRECTS,     /* net.ipv4.conf.all.accept_redirects */
        PLAN_EACH_V4,       /* net.ipv4.conf.IF.forwarding */
        PLAN_EACH_V6,       /* net.ipv6.conf.IF.forwarding */
        PLAN_DNS,           /* of these there is one, too, which a new one replaces */
        PLAN_KINDS
};

struct plan_item {
        enum plan_kind kind;
        struct prefix prefix; /* ADDRESS, ROUTE, THROW; RULES: its family alone */
        uint32_t value;  /* MTU, UP, sysctls: the value; ROUTE, THROW, RULES: the table; DNS: enum host_dns_means */
        uint32_t mark;   /* RULES; LOCK: of the datagrams that it lets out; ACCEPT_RA, EACH_*: the interface's
                            index, 0: of new ones */
        uint64_t digest; /* LOCK, GATEWAY, DNS: of its text; 0: somebody changed it */
};

struct plan_state {
        struct plan_item *items;
        size_t count, capacity;
};

struct plan_step {
        struct plan_item item;
        bool add; /* or set */
};

bool plan_is_table(enum plan_kind kind);  /* LOCK, GATEWAY */
bool plan_is_text(enum plan_kind kind);   /* those, and DNS */
bool plan_is_sysctl(enum plan_kind kind); /* VALID_MARK, and ACCEPT_RA to EACH_V6 */
bool plan_is_value(enum plan_kind kind);  /* MTU, UP, sysctls */
int plan_compare(const struct plan_item *a, const struct plan_item *b);

/* Appends; plan_sort() must follow. False: no memory. */
bool plan_add(struct plan_state *state, const struct plan_item *item);
void plan_sort(struct plan_state *state);
void plan_free(struct plan_state *state);
bool plan_has(const struct plan_state *state, const struct plan_item *item);
/* The one item of a kind that is a single value, or a table; NULL: none. */
const struct plan_item *plan_value(const struct plan_state *state, enum plan_kind kind);
/* The value of the same kind, and of the same interface if it is of one; NULL: none. */
const struct plan_item *plan_same(const struct plan_state *state, const struct plan_item *value);

/* The steps from `current` to `wanted` in order: everything wanted that is not there is added; of what is there and not
 * wanted, only `ours` is removed (a table of our name and mark is ours). `steps` has room for current->count +
 * wanted->count. Answers how many there are. */
size_t plan_difference(const struct plan_state *current, const struct plan_state *ours, const struct plan_state *wanted,
                       struct plan_step *steps);

/* The route by which the kernel follows an address of a link, in its main table. False: none. */
bool plan_connected(const struct plan_item *address, struct plan_item *route);

/* "route 10.1.0.0/24 table 254": how a person reads it, and how the journal keeps it. */
enum { PLAN_TEXT = 96 };
void plan_print(const struct plan_item *item, char text[PLAN_TEXT]);
bool plan_parse(struct plan_item *item, const char *text);

#endif
