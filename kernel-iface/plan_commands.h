/* A step of a plan as the commands that a person would type for it. Pure. */
#ifndef KERNEL_IFACE_PLAN_COMMANDS_H
#define KERNEL_IFACE_PLAN_COMMANDS_H

#include "kernel-iface/plan.h"

/* As snprintf(): one command a line, each with its newline; answers the length of the whole text. A value (MTU, UP,
 * a sysctl) is set, whatever `add` says. Of a table that is added, its text and a line "END" are to follow; of DNS
 * that is set, dns_commands(). */
enum { PLAN_COMMANDS_TEXT = 512 };
size_t plan_commands(const struct plan_step *step, const char *link, char *text, size_t size);

#endif
