#include "ctl/resolvconf.h"

#include "ctl/command.h"
#include "ctl/live.h"
#include "ctl/shell.h"

#include <stdio.h>
#include <string.h>

enum { LIMIT_MS = 30000 };

/* Debian's orders interfaces by their names: one that begins with "tun." comes first. Nothing without that file. */
#define NAME                                                                                                    \
        "\"$(sed -n 's/^\\([A-Za-z0-9-]*\\)\\*$/\\1./p' /etc/resolvconf/interface-order 2>/dev/null | head -n " \
        "1)\"'%s'"

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
        writer_print(out, "} | resolvconf -a " NAME " -m 0 -x", name);
}

int resolvconf_set(struct pool *pool, const char *name)
{
        struct live live;
        struct writer command = { 0 };
        int status = live_read(&live, pool, name, false);

        if (status) return status;
        print_command(&command, &live.host, name);
        command = (struct writer){ .size = command.used + 1 };
        command.text = pool_alloc(pool, command.size);
        if (!command.text) return complain_memory();
        print_command(&command, &live.host, name);
        return run(name, command.text);
}

int resolvconf_clear(const char *name)
{
        char command[256];

        snprintf(command, sizeof command, "resolvconf -d " NAME " -f", name);
        return run(name, command);
}
