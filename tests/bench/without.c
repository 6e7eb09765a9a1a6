/* Runs a command as on a kernel that lacks offloads, to measure what they are worth.
 *   without FEATURE[,FEATURE...] COMMAND...
 * udp        no UDP_SEGMENT and no UDP_GRO: each datagram is sent and received by itself
 * tun        no TUNSETOFFLOAD, and a write of more than a header and a packet is refused: each packet is read and
 *            written by itself. For aditd, which finds both out and goes on.
 * tun=NAME   for wireguard-go, which does not: it is given the interface NAME, made without a vnet header (WG_TUN_FD)
 * By a seccomp filter: the command and all its children get the error that the older kernel would give. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/udp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static _Noreturn void die(const char *what, int error)
{
        fprintf(stderr, "without: %s: %s\n", what, strerror(error));
        exit(125);
}

struct refusal {
        const char *feature;
        int error, call;
        unsigned count;
        struct scmp_arg_cmp args[2];
};

#define ARGUMENT(number, how, value)                                  \
        {                                                             \
                .arg = number, .op = SCMP_CMP_##how, .datum_a = value \
        }

static const struct refusal refusals[] = {
        { "udp", ENOPROTOOPT, SCMP_SYS(setsockopt), 2, { ARGUMENT(1, EQ, IPPROTO_UDP), ARGUMENT(2, EQ, UDP_SEGMENT) } },
        { "udp", ENOPROTOOPT, SCMP_SYS(getsockopt), 2, { ARGUMENT(1, EQ, IPPROTO_UDP), ARGUMENT(2, EQ, UDP_SEGMENT) } },
        { "udp", ENOPROTOOPT, SCMP_SYS(setsockopt), 2, { ARGUMENT(1, EQ, IPPROTO_UDP), ARGUMENT(2, EQ, UDP_GRO) } },
        { "udp", ENOPROTOOPT, SCMP_SYS(getsockopt), 2, { ARGUMENT(1, EQ, IPPROTO_UDP), ARGUMENT(2, EQ, UDP_GRO) } },
        { "tun", EINVAL, SCMP_SYS(ioctl), 1, { ARGUMENT(1, EQ, TUNSETOFFLOAD) } },
        { "tun", EINVAL, SCMP_SYS(writev), 1, { ARGUMENT(2, GT, 2) } },
};

static bool refuse(scmp_filter_ctx filter, const char *feature)
{
        bool found = false;

        for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
                const struct refusal *refusal = &refusals[i];

                if (strcmp(refusal->feature, feature) != 0) continue;
                int error = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((unsigned)refusal->error), refusal->call,
                                                   refusal->count, refusal->args);
                if (error) die("filter", -error);
                found = true;
        }
        return found;
}

/* wireguard-go's child gets it as descriptor 3: the same number makes the same environment right for both. */
static void hand_over_plain_tun(const char *name)
{
        struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_TUN_EXCL };
        int fd = open("/dev/net/tun", O_RDWR);

        if (fd < 0) die("/dev/net/tun", errno);
        if (strlen(name) >= IFNAMSIZ) die(name, ENAMETOOLONG);
        strcpy(request.ifr_name, name);
        if (ioctl(fd, TUNSETIFF, &request)) die(name, errno);
        if (fd != 3) {
                if (dup2(fd, 3) < 0) die(name, errno);
                close(fd);
        }
        setenv("WG_TUN_FD", "3", 1);
}

int main(int argc, char **argv)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        int error;

        if (argc < 3) goto usage;
        if (!filter) die("filter", ENOMEM);
        for (char *feature = strtok(argv[1], ","); feature; feature = strtok(NULL, ",")) {
                if (strncmp(feature, "tun=", 4) == 0) hand_over_plain_tun(feature + 4);
                else if (!refuse(filter, feature)) goto usage;
        }
        error = seccomp_load(filter);
        if (error) die("filter", -error);
        execvp(argv[2], argv + 2);
        die(argv[2], errno);
usage:
        fprintf(stderr, "usage: without udp|tun|tun=NAME[,...] COMMAND...\n");
        return 2;
}
