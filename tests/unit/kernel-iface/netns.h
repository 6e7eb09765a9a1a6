/* A network namespace of the test program's own: it and all in it go when the program ends, however it ends. */
#ifndef TESTS_KERNEL_IFACE_NETNS_H
#define TESTS_KERNEL_IFACE_NETNS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

/* False without the rights or without /dev/net/tun: the test is to be skipped. */
static inline bool netns_enter(void)
{
        return geteuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0 && unshare(CLONE_NEWNET) == 0;
}

/* What a shell command printed, at most `size` - 1 bytes of it. Answers its exit status. */
static inline int shell(const char *command, char *out, size_t size)
{
        FILE *file = popen(command, "r");
        char waste[4096];
        size_t got = file && out ? fread(out, 1, size - 1, file) : 0;

        if (out) out[got] = 0;
        while (file && fread(waste, 1, sizeof waste, file) > 0) {
        }
        return file ? pclose(file) : -1;
}

/* Waits until packets to so many addresses of 2001:db8::/32 are taken in: the kernel makes the route of a new one a
 * moment after `ip` returned, also without duplicate address detection, and what comes before then is lost. */
static inline void await_ipv6(unsigned addresses)
{
        char command[128];

        snprintf(command, sizeof command, "[ $(ip -6 route show table local | grep -c '^local 2001:db8:') = %u ]",
                 addresses);
        for (int try = 0; try < 1000 && shell(command, NULL, 0) != 0; try++) {
        }
}

#endif
