/* Which values of the host a change sets, notes as they were, and gives back: what remains of the sysctls that several
 * links hold, and the kernel changes along. Pure but for memory (malloc): false: there is none.
 *
 * `before` is what this link noted; `held` what other links did (journal_held()); `current` what is, with the sysctls
 * of forwarding if any of these or `wanted` names them; `wanted` what the config wants. All but `held` are sorted. */
#ifndef KERNEL_IFACE_VALUES_H
#define KERNEL_IFACE_VALUES_H

#include "kernel-iface/plan.h"

bool values_want_forwarding(const struct plan_state *state);

/* Wants accept_ra = 2 where it is 1. A host that forwards IPv6 takes no router advertisement with 1, and forgets the
 * default route that one gave; with 2 all stays as it was before we made it forward. The link itself, `ifindex`, is
 * left out: no peer is its router. */
bool values_keep_advertisements(const struct plan_state *before, int ifindex, const struct plan_state *current,
                                struct plan_state *wanted);

/* Notes the values that are about to change, as they are; of one that other links hold, as the first of them found it.
 */
bool values_note(struct plan_state *before, const struct plan_state *held, const struct plan_state *current,
                 const struct plan_state *wanted);

/* Sysctls that no link holds any more are wanted as they were, unless another program changed them. */
bool values_give_back(const struct plan_state *before, const struct plan_state *held, const struct plan_state *current,
                      struct plan_state *wanted);

/* Forgets the sysctls but those that `wanted` holds. */
void values_forget(struct plan_state *before, const struct plan_state *wanted);

/* Appends. */
bool values_copy_sysctls(const struct plan_state *from, struct plan_state *out);

#endif
