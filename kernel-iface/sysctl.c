#include "kernel-iface/sysctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Of what the kernel sets along with its head: the same value, or the other one. */
enum { SAME = -1, OPPOSITE = -2 };

static const struct sysctl {
        const char *family, *leaf;
        bool each; /* of each interface, and "default", which new ones begin with; otherwise "all" */
        enum plan_kind head;
        int ours; /* the value that we set, or SAME, OPPOSITE */
} sysctls[PLAN_KINDS] = {
        [PLAN_VALID_MARK] = { "ipv4", "src_valid_mark", false, PLAN_VALID_MARK, 1 },
        [PLAN_ACCEPT_RA] = { "ipv6", "accept_ra", true, PLAN_FORWARDING_V6, 2 },
        [PLAN_FORWARDING_V4] = { "ipv4", "forwarding", false, PLAN_FORWARDING_V4, 1 },
        [PLAN_FORWARDING_V6] = { "ipv6", "forwarding", false, PLAN_FORWARDING_V6, 1 },
        [PLAN_REDIRECTS] = { "ipv4", "accept_redirects", false, PLAN_FORWARDING_V4, OPPOSITE },
        [PLAN_EACH_V4] = { "ipv4", "forwarding", true, PLAN_FORWARDING_V4, SAME },
        [PLAN_EACH_V6] = { "ipv6", "forwarding", true, PLAN_FORWARDING_V6, SAME },
};

enum { PATH = 128 };

enum plan_kind sysctl_head(enum plan_kind kind)
{
        return sysctls[kind].head;
}

bool sysctl_is_set(enum plan_kind kind)
{
        return sysctls[kind].ours >= 0;
}

bool sysctl_is_ours(const struct plan_item *item)
{
        return sysctl_is_set(item->kind) && item->value == (uint32_t)sysctls[item->kind].ours;
}

bool sysctl_came_along(const struct plan_item *item, uint32_t head)
{
        return !sysctl_is_set(item->kind) && (item->value == head) == (sysctls[item->kind].ours == SAME);
}

static const char *interface_of(const struct plan_item *item, char name[IF_NAMESIZE])
{
        if (!sysctls[item->kind].each) return "all";
        if (!item->mark) return "default";
        return if_indextoname(item->mark, name);
}

void sysctl_name(const struct plan_item *item, char name[SYSCTL_NAME])
{
        char interface[IF_NAMESIZE];
        const char *of = interface_of(item, interface);

        for (char *dot = interface; of == interface && (dot = strchr(dot, '.'));)
                *dot = '/';
        snprintf(name, SYSCTL_NAME, "net.%s.conf.%s.%s", sysctls[item->kind].family, of ? of : "(gone)",
                 sysctls[item->kind].leaf);
}

static void path_of(const struct sysctl *sysctl, const char *interface, char path[PATH])
{
        snprintf(path, PATH, "/proc/sys/net/%s/conf/%s/%s", sysctl->family, interface, sysctl->leaf);
}

static int read_one(struct plan_item item, const char *interface, struct plan_state *current)
{
        char path[PATH], text[16] = "";

        path_of(&sysctls[item.kind], interface, path);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) return errno == ENOENT ? 0 : -errno;
        ssize_t got = read(fd, text, sizeof text - 1);
        bool gone = got < 0 && errno == ENOENT; /* its interface went since it was opened */
        close(fd);
        if (gone) return 0;
        if (got <= 0) return -EIO;
        item.value = (uint32_t)strtol(text, NULL, 10);
        return plan_add(current, &item) ? 0 : -ENOMEM;
}

int sysctl_read(enum plan_kind kind, struct plan_state *current)
{
        struct plan_item item = { .kind = kind };
        struct dirent *entry;
        char path[PATH];
        int error = 0;

        if (!sysctls[kind].each) return read_one(item, "all", current);
        snprintf(path, sizeof path, "/proc/sys/net/%s/conf", sysctls[kind].family);
        DIR *dir = opendir(path);
        if (!dir) return errno == ENOENT ? 0 : -errno;
        while (!error && (entry = readdir(dir))) {
                if (!strcmp(entry->d_name, "all") || entry->d_name[0] == '.') continue;
                bool is_default = !strcmp(entry->d_name, "default");
                item.mark = is_default ? 0 : if_nametoindex(entry->d_name);
                if (item.mark || is_default) error = read_one(item, entry->d_name, current);
        }
        closedir(dir);
        return error;
}

int sysctl_write(const struct plan_item *item)
{
        char interface[IF_NAMESIZE], path[PATH];
        const char *of = interface_of(item, interface);
        int error = 0;

        if (!of) return 0;
        path_of(&sysctls[item->kind], of, path);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0) return errno == ENOENT && sysctls[item->kind].each ? 0 : -errno;
        if (dprintf(fd, "%d\n", (int)item->value) < 0) error = errno == ENOENT && sysctls[item->kind].each ? 0 : -errno;
        close(fd);
        return error;
}

void sysctl_close(const char *interface)
{
        static const char *const leaves[] = { "accept_ra", "autoconf", "accept_redirects" };

        for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) {
                char path[PATH];
                snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", interface, leaves[i]);
                int fd = open(path, O_WRONLY | O_CLOEXEC);
                if (fd < 0) continue;
                (void)!write(fd, "0\n", 2);
                close(fd);
        }
}

void sysctl_watch(int inotify)
{
        char path[PATH];

        for (enum plan_kind kind = 0; kind < PLAN_KINDS; kind++) {
                if (!plan_is_sysctl(kind) || sysctls[kind].head != kind) continue;
                path_of(&sysctls[kind], "all", path);
                inotify_add_watch(inotify, path, IN_MODIFY);
        }
        inotify_add_watch(inotify, "/proc/sys/net/ipv4/ip_forward", IN_MODIFY); /* the other name of forwarding */
}
