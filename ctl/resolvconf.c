#include "ctl/resolvconf.h"

#include "ctl/client.h"
#include "ctl/command.h"
#include "ctl/live.h"
#include "ctl/shell.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LIMIT_MS = 30000 };

/* Debian's orders interfaces by their names: one that begins with "tun." comes first. Nothing without that file. */
#define INTERFACE                                                                                               \
        "\"$(sed -n 's/^\\([A-Za-z0-9-]*\\)\\*$/\\1./p' /etc/resolvconf/interface-order 2>/dev/null | head -n " \
        "1)\"'%s'"

enum { MARK = sizeof CONTROL_DIRECTORY + IFNAMSIZ + 12 };
static const char ENDING[] = ".resolvconf";

static void mark_of(const char *name, char path[MARK])
{
        snprintf(path, MARK, "%s/%s%s", CONTROL_DIRECTORY, name, ENDING);
}

static int run(const char *name, const char *text)
{
        char prefix[64];

        snprintf(prefix, sizeof prefix, "adit: %s: resolvconf: ", name);
        struct shell_result result = shell_run(text, stderr, prefix, LIMIT_MS);
        switch (result.end) {
        case SHELL_DONE: return STATUS_OK;
        case SHELL_FAILED: return complain(STATUS_FAILED, "%s: resolvconf failed (exit status %d)", name, result.code);
        case SHELL_KILLED: return complain(STATUS_FAILED, "%s: resolvconf was ended by signal %d", name, result.code);
        case SHELL_LATE:
                return complain(STATUS_FAILED, "%s: resolvconf has not ended after %d s", name, LIMIT_MS / 1000);
        case SHELL_INTERRUPTED: return complain(STATUS_FAILED, "%s: interrupted", name);
        case SHELL_NOT_RUN: break;
        }
        return complain(STATUS_FAILED, "%s: resolvconf: %s", name, strerror(result.code));
}

bool resolvconf_serves(struct pool *pool, const char *name)
{
        struct live live;

        return live_read_quietly(&live, pool, name) == STATUS_OK && live.host.dns_means == DNS_BY_RESOLVCONF;
}

/* The alphabet of servers and domains has nothing that a shell would take for more than a letter. */
static void print_words(struct writer *out, const struct host_state *host, enum host_dns_kind kind, const char *before,
                        const char *after)
{
        for (size_t i = 0; i < host->dns_count; i++)
                if (host->dns[i].kind == kind) writer_print(out, "%s%s%s", before, host->dns[i].text, after);
}

static void print_command(struct writer *out, const struct host_state *host, const char *name)
{
        struct writer search = { 0 };

        print_words(&search, host, DNS_DOMAIN, " ", "");
        writer_print(out, "{ :; ");
        print_words(out, host, DNS_SERVER, "echo 'nameserver ", "'; ");
        if (search.used) {
                writer_print(out, "echo 'search");
                print_words(out, host, DNS_DOMAIN, " ", "");
                writer_print(out, "'; ");
        }
        writer_print(out, "} | resolvconf -a " INTERFACE " -m 0 -x", name);
}

int resolvconf_set(struct pool *pool, const char *name)
{
        struct live live;
        struct writer command = { 0 };
        char path[MARK];
        int status = live_read(&live, pool, name, false);

        if (status) return status;
        print_command(&command, &live.host, name);
        command = (struct writer){ .size = command.used + 1 };
        command.text = pool_alloc(pool, command.size);
        if (!command.text) return complain_memory();
        print_command(&command, &live.host, name);
        mark_of(name, path);
        int mark = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600); /* before the deed */
        if (mark < 0) return complain(STATUS_FAILED, "%s: %s", path, strerror(errno));
        close(mark);
        return run(name, command.text);
}

int resolvconf_clear(const char *name)
{
        char command[256], path[MARK];

        snprintf(command, sizeof command, "resolvconf -d " INTERFACE " -f", name);
        int status = run(name, command);
        mark_of(name, path);
        if (!status) unlink(path);
        return status;
}

bool resolvconf_left(const char *name)
{
        char path[MARK];

        mark_of(name, path);
        return access(path, F_OK) == 0;
}

static int repair_one(const char *name)
{
        int fd, status;

        if (!resolvconf_left(name)) return STATUS_OK;
        status = client_open(&fd, name, true);
        if (status == STATUS_OK) close(fd); /* it is up, and has them */
        return status == STATUS_NO_LINK ? resolvconf_clear(name) : STATUS_OK;
}

int resolvconf_repair(const char *name)
{
        int status = STATUS_OK;
        struct dirent *entry;
        DIR *folder;

        if (name) return repair_one(name);
        folder = opendir(CONTROL_DIRECTORY);
        while (folder && (entry = readdir(folder))) {
                char link[IFNAMSIZ];
                const char *ending = strstr(entry->d_name, ENDING);
                size_t len = ending ? (size_t)(ending - entry->d_name) : 0;
                if (!len || ending[strlen(ENDING)] || !interface_name_valid(entry->d_name, len)) continue;
                snprintf(link, sizeof link, "%.*s", (int)len, entry->d_name);
                int one = repair_one(link);
                if (one) status = one;
        }
        if (folder) closedir(folder);
        return status;
}
