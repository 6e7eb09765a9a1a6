/* What is left of a prefix when others are taken out of it. Pure.
 * The answer is the least set of prefixes that holds just the addresses that are left: no two of them are the halves of
 * a wider one, none lies inside another. What is left of several prefixes is so, too, but for pieces that come of both
 * when one of the two lies inside the other. */
#ifndef KERNEL_IFACE_EXCLUDE_H
#define KERNEL_IFACE_EXCLUDE_H

#include "kernel-iface/types.h"

/* Puts a list into the order that exclude_from() wants, without those that lie inside another. Answers how many stay.
 * Host bits must be zero. */
size_t exclude_sort(struct prefix *list, size_t count);

/* Calls `piece` with each prefix of what is left, in order, until it answers false. False: it did. */
bool exclude_from(const struct prefix *from, const struct prefix *excluded, size_t count,
                  bool (*piece)(void *arg, const struct prefix *prefix), void *arg);

#endif
