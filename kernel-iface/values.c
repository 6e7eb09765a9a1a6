#include "kernel-iface/values.h"

#include "kernel-iface/sysctl.h"

bool values_want_forwarding(const struct plan_state *state)
{
        return plan_value(state, PLAN_FORWARDING_V4) || plan_value(state, PLAN_FORWARDING_V6);
}

/* Of a sysctl: whether it is to be noted, because we set it, or the kernel will along with what we set. */
static bool will_change(const struct plan_item *item, const struct plan_state *current, const struct plan_state *wanted)
{
        const struct plan_item *is = plan_value(current, sysctl_head(item->kind));
        const struct plan_item *next = plan_value(wanted, sysctl_head(item->kind));

        if (plan_same(wanted, item)) return true;
        if (sysctl_is_set(item->kind) || !is || !next) return false;
        return is->value != next->value && !sysctl_came_along(item, is->value);
}

bool values_note(struct plan_state *before, const struct plan_state *held, const struct plan_state *current,
                 const struct plan_state *wanted)
{
        for (size_t i = 0; i < current->count; i++) {
                const struct plan_item *item = &current->items[i], *was = NULL;
                if (!plan_is_value(item->kind) || plan_same(before, item)) continue;
                if (!plan_is_sysctl(item->kind)) {
                        if (plan_value(wanted, item->kind)) was = item;
                } else if (plan_value(wanted, sysctl_head(item->kind))) {
                        was = plan_same(held, item);
                        if (!was && will_change(item, current, wanted)) was = item;
                }
                if (was && !plan_add(before, was)) return false;
        }
        plan_sort(before);
        return true;
}

bool values_keep_advertisements(const struct plan_state *before, int ifindex, const struct plan_state *current,
                                struct plan_state *wanted)
{
        const struct plan_item *forwarded = plan_value(before, PLAN_FORWARDING_V6);

        if (!plan_value(wanted, PLAN_FORWARDING_V6)) return true;
        if (!forwarded) forwarded = plan_value(current, PLAN_FORWARDING_V6);
        if (!forwarded || forwarded->value) return true;
        for (size_t i = 0; i < current->count; i++) {
                struct plan_item item = current->items[i];
                if (item.kind != PLAN_ACCEPT_RA || item.value != 1 || item.mark == (uint32_t)ifindex) continue;
                item.value = 2;
                if (!plan_add(wanted, &item)) return false;
        }
        plan_sort(wanted);
        return true;
}

/* Of a sysctl that was noted: whether it goes back, because no link holds it any more and nobody else changed it. */
static bool goes_back(const struct plan_item *was, const struct plan_state *before, const struct plan_state *held,
                      const struct plan_state *current, const struct plan_state *wanted)
{
        enum plan_kind head = sysctl_head(was->kind);
        const struct plan_item *is = plan_same(current, was);
        const struct plan_item *head_was = plan_value(before, head), *head_is = plan_value(current, head);

        if (!is || plan_value(wanted, head) || plan_value(held, head)) return false;
        if (sysctl_is_set(was->kind)) return sysctl_is_ours(is);
        return head_is && head_was && !sysctl_is_ours(head_was) && sysctl_came_along(is, head_is->value);
}

bool values_give_back(const struct plan_state *before, const struct plan_state *held, const struct plan_state *current,
                      struct plan_state *wanted)
{
        struct plan_state back = { 0 };
        bool ok = true;

        for (size_t i = 0; ok && i < before->count; i++) {
                const struct plan_item *was = &before->items[i];
                if (plan_is_sysctl(was->kind) && goes_back(was, before, held, current, wanted))
                        ok = plan_add(&back, was);
        }
        for (size_t i = 0; ok && i < back.count; i++)
                ok = plan_add(wanted, &back.items[i]);
        plan_sort(wanted);
        plan_free(&back);
        return ok;
}

void values_forget(struct plan_state *before, const struct plan_state *wanted)
{
        size_t kept = 0;

        for (size_t i = 0; i < before->count; i++) {
                enum plan_kind kind = before->items[i].kind;
                if (!plan_is_sysctl(kind) || plan_value(wanted, sysctl_head(kind)))
                        before->items[kept++] = before->items[i];
        }
        before->count = kept;
}

bool values_copy_sysctls(const struct plan_state *from, struct plan_state *out)
{
        for (size_t i = 0; i < from->count; i++)
                if (plan_is_sysctl(from->items[i].kind) && !plan_add(out, &from->items[i])) return false;
        return true;
}
