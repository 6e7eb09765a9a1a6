#include "kernel-iface/plan.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_numbers(uint32_t a, uint32_t b)
{
        return (a > b) - (a < b);
}

int plan_compare(const struct plan_item *a, const struct plan_item *b)
{
        int order = compare_numbers(a->kind, b->kind);

        if (!order) order = compare_numbers(a->prefix.family, b->prefix.family);
        if (!order) order = memcmp(a->prefix.bytes, b->prefix.bytes, sizeof a->prefix.bytes);
        if (!order) order = compare_numbers(a->prefix.length, b->prefix.length);
        if (!order) order = compare_numbers(a->value, b->value);
        if (!order) order = compare_numbers(a->mark, b->mark);
        if (!order) order = (a->digest > b->digest) - (a->digest < b->digest);
        return order;
}

static int compare_items(const void *a, const void *b)
{
        return plan_compare(a, b);
}

bool plan_add(struct plan_state *state, const struct plan_item *item)
{
        if (state->count == state->capacity) {
                size_t capacity = state->capacity ? 2 * state->capacity : 16;
                struct plan_item *items = reallocarray(state->items, capacity, sizeof *items);
                if (!items) return false;
                state->items = items;
                state->capacity = capacity;
        }
        state->items[state->count++] = *item;
        return true;
}

void plan_sort(struct plan_state *state)
{
        size_t kept = 0, sorted = 1;

        while (sorted < state->count && plan_compare(&state->items[sorted - 1], &state->items[sorted]) < 0)
                sorted++;
        if (sorted >= state->count) return; /* mostly it is: of another that was */
        qsort(state->items, state->count, sizeof state->items[0], compare_items);
        for (size_t i = 1; i < state->count; i++)
                if (plan_compare(&state->items[kept], &state->items[i])) state->items[++kept] = state->items[i];
        state->count = kept + 1;
}

void plan_free(struct plan_state *state)
{
        free(state->items);
        *state = (struct plan_state){ 0 };
}

bool plan_has(const struct plan_state *state, const struct plan_item *item)
{
        return state->count && bsearch(item, state->items, state->count, sizeof *item, compare_items);
}

const struct plan_item *plan_value(const struct plan_state *state, enum plan_kind kind)
{
        for (size_t i = 0; i < state->count; i++)
                if (state->items[i].kind == kind) return &state->items[i];
        return NULL;
}

const struct plan_item *plan_same(const struct plan_state *state, const struct plan_item *value)
{
        for (size_t i = 0; i < state->count; i++)
                if (state->items[i].kind == value->kind && state->items[i].mark == value->mark) return &state->items[i];
        return NULL;
}

bool plan_is_table(enum plan_kind kind)
{
        return kind == PLAN_LOCK || kind == PLAN_GATEWAY;
}

bool plan_is_text(enum plan_kind kind)
{
        return plan_is_table(kind) || kind == PLAN_DNS;
}

bool plan_is_sysctl(enum plan_kind kind)
{
        return kind == PLAN_VALID_MARK || (kind >= PLAN_ACCEPT_RA && kind <= PLAN_EACH_V6);
}

bool plan_is_value(enum plan_kind kind)
{
        return kind == PLAN_MTU || kind == PLAN_UP || plan_is_sysctl(kind);
}

/* A sysctl that each interface has for itself. */
static bool is_of_interface(enum plan_kind kind)
{
        return kind == PLAN_ACCEPT_RA || kind == PLAN_EACH_V4 || kind == PLAN_EACH_V6;
}

/* IPv6 knows an address once on a link, whatever its length: the old length must go before the new one can come. */
static bool gives_way(const struct plan_item *old, const struct plan_state *wanted)
{
        if (old->kind != PLAN_ADDRESS || old->prefix.family != AF_INET6) return false;
        for (size_t i = 0; i < wanted->count; i++) {
                const struct plan_item *item = &wanted->items[i];
                if (item->kind == PLAN_ADDRESS && item->prefix.family == AF_INET6 &&
                    memcmp(item->prefix.bytes, old->prefix.bytes, sizeof old->prefix.bytes) == 0)
                        return true;
        }
        return false;
}

static bool must_go(const struct plan_item *item, const struct plan_state *ours, const struct plan_state *wanted)
{
        if (plan_is_text(item->kind)) return !plan_value(wanted, item->kind);
        return !plan_is_value(item->kind) && !plan_has(wanted, item) && plan_has(ours, item);
}

size_t plan_difference(const struct plan_state *current, const struct plan_state *ours, const struct plan_state *wanted,
                       struct plan_step *steps)
{
        size_t count = 0;

        for (size_t i = 0; i < current->count; i++) {
                const struct plan_item *item = &current->items[i];
                if (must_go(item, ours, wanted) && gives_way(item, wanted))
                        steps[count++] = (struct plan_step){ *item, false };
        }
        for (size_t i = 0; i < wanted->count; i++) {
                const struct plan_item *item = &wanted->items[i];
                bool gone = is_of_interface(item->kind) && !plan_same(current, item); /* with its interface */
                if (!gone && !plan_has(current, item)) steps[count++] = (struct plan_step){ *item, true };
        }
        for (size_t i = current->count; i-- > 0;) {
                const struct plan_item *item = &current->items[i];
                if (must_go(item, ours, wanted) && !gives_way(item, wanted))
                        steps[count++] = (struct plan_step){ *item, false };
        }
        return count;
}

bool plan_connected(const struct plan_item *address, struct plan_item *route)
{
        unsigned bits = address->prefix.length;

        *route = (struct plan_item){ .kind = PLAN_ROUTE, .prefix = address->prefix, .value = RT_TABLE_MAIN };
        for (unsigned i = 0; i < sizeof route->prefix.bytes; i++)
                if (8 * i + 8 > bits) route->prefix.bytes[i] &= bits > 8 * i ? (uint8_t)(0xff00 >> (bits - 8 * i)) : 0;
        if (address->prefix.family == AF_INET6) return true;
        return bits < 32 && route->prefix.bytes[0] != 0;
}

static const char *const words[PLAN_KINDS] = {
        [PLAN_LOCK] = "lock",
        [PLAN_GATEWAY] = "gateway",
        [PLAN_ADDRESS] = "address",
        [PLAN_MTU] = "mtu",
        [PLAN_UP] = "up",
        [PLAN_ROUTE] = "route",
        [PLAN_THROW] = "throw",
        [PLAN_RULES] = "rules",
        [PLAN_VALID_MARK] = "src_valid_mark",
        [PLAN_ACCEPT_RA] = "accept_ra",
        [PLAN_FORWARDING_V4] = "forwarding_v4",
        [PLAN_FORWARDING_V6] = "forwarding_v6",
        [PLAN_REDIRECTS] = "accept_redirects",
        [PLAN_EACH_V4] = "each_forwarding_v4",
        [PLAN_EACH_V6] = "each_forwarding_v6",
        [PLAN_DNS] = "dns",
};

void plan_print(const struct plan_item *item, char text[PLAN_TEXT])
{
        char address[INET6_ADDRSTRLEN] = "";
        int version = item->prefix.family == AF_INET6 ? 6 : 4;

        inet_ntop(version == 6 ? AF_INET6 : AF_INET, item->prefix.bytes, address, sizeof address);
        if (item->kind == PLAN_ADDRESS) snprintf(text, PLAN_TEXT, "address %s/%u", address, item->prefix.length);
        else if (item->kind == PLAN_ROUTE || item->kind == PLAN_THROW)
                snprintf(text, PLAN_TEXT, "%s %s/%u table %u", words[item->kind], address, item->prefix.length,
                         item->value);
        else if (item->kind == PLAN_RULES)
                snprintf(text, PLAN_TEXT, "rules ipv%d mark %u table %u", version, item->mark, item->value);
        else if (plan_is_table(item->kind))
                snprintf(text, PLAN_TEXT, "%s mark %u text %016" PRIx64, words[item->kind], item->mark, item->digest);
        else if (is_of_interface(item->kind))
                snprintf(text, PLAN_TEXT, "%s %u interface %u", words[item->kind], item->value, item->mark);
        else if (item->kind == PLAN_DNS)
                snprintf(text, PLAN_TEXT, "dns means %u text %016" PRIx64, item->value, item->digest);
        else snprintf(text, PLAN_TEXT, "%s %u", words[item->kind], item->value);
}

static bool parse_prefix(struct prefix *out, const char *address, unsigned length)
{
        *out = (struct prefix){ .family = strchr(address, ':') ? AF_INET6 : AF_INET, .length = (uint8_t)length };
        return inet_pton(out->family, address, out->bytes) == 1 && length <= (out->family == AF_INET ? 32 : 128);
}

bool plan_parse(struct plan_item *item, const char *text)
{
        char word[24], address[INET6_ADDRSTRLEN];
        unsigned length, version;
        int end = 0;

        *item = (struct plan_item){ 0 };
        if (sscanf(text, "%23s", word) != 1) return false;
        while (item->kind < PLAN_KINDS && strcmp(words[item->kind], word) != 0)
                item->kind++;
        switch (item->kind) {
        case PLAN_ADDRESS:
                sscanf(text, "address %45[0-9a-f.:]/%u%n", address, &length, &end);
                if (!end || !parse_prefix(&item->prefix, address, length)) return false;
                break;
        case PLAN_ROUTE:
        case PLAN_THROW:
                sscanf(text, "%*s %45[0-9a-f.:]/%u table %u%n", address, &length, &item->value, &end);
                if (!end || !parse_prefix(&item->prefix, address, length)) return false;
                break;
        case PLAN_RULES:
                sscanf(text, "rules ipv%u mark %u table %u%n", &version, &item->mark, &item->value, &end);
                if (!end || (version != 4 && version != 6)) return false;
                item->prefix.family = version == 6 ? AF_INET6 : AF_INET;
                break;
        case PLAN_LOCK:
        case PLAN_GATEWAY: sscanf(text, "%*s mark %u text %16" SCNx64 "%n", &item->mark, &item->digest, &end); break;
        case PLAN_ACCEPT_RA:
        case PLAN_EACH_V4:
        case PLAN_EACH_V6: sscanf(text, "%*s %u interface %u%n", &item->value, &item->mark, &end); break;
        case PLAN_DNS: sscanf(text, "dns means %u text %16" SCNx64 "%n", &item->value, &item->digest, &end); break;
        case PLAN_MTU:
        case PLAN_UP:
        case PLAN_VALID_MARK:
        case PLAN_FORWARDING_V4:
        case PLAN_FORWARDING_V6:
        case PLAN_REDIRECTS: sscanf(text, "%*s %u%n", &item->value, &end); break;
        default: return false;
        }
        return end && !text[end];
}
