#include "daemon/keeper_state.h"

#include "daemon/log.h"
#include "kernel-iface/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char KEPT_DIRECTORY[] = "/var/lib/adit";
enum { PATH = 128, LINE = HOST_NAME_MAX_LEN + INET6_ADDRSTRLEN + 4 };

static void path_of(const char *link, char path[PATH])
{
        snprintf(path, PATH, "%s/%s.endpoints", KEPT_DIRECTORY, link);
}

static bool parse_address(const char *text, uint16_t port, union socket_address *out)
{
        *out = (union socket_address){ 0 };
        if (inet_pton(AF_INET, text, &out->in.sin_addr) == 1) {
                out->family = AF_INET;
                out->in.sin_port = htons(port);
        } else if (inet_pton(AF_INET6, text, &out->in6.sin6_addr) == 1) {
                out->family = AF_INET6;
                out->in6.sin6_port = htons(port);
        }
        return out->family != AF_UNSPEC;
}

bool kept_find(const char *link, const struct host_endpoint *endpoint, union socket_address *address)
{
        char path[PATH], line[LINE], host[LINE], text[LINE];
        bool found = false;

        path_of(link, path);
        FILE *file = fopen(path, "re");
        while (file && !found && fgets(line, sizeof line, file))
                found = sscanf(line, "%s %s", host, text) == 2 && !strcmp(host, endpoint->host) &&
                        parse_address(text, endpoint->port, address);
        if (file) fclose(file);
        if (!found) *address = (union socket_address){ 0 };
        return found;
}

static void write_names(const struct keeper *keeper, FILE *file)
{
        char text[INET6_ADDRSTRLEN];

        for (unsigned i = 0; i < keeper->name_count; i++) {
                const union socket_address *at = &keeper->names[i].address;
                bool v6 = at->family == AF_INET6;
                if (!at->family || (v6 && at->in6.sin6_scope_id)) continue;
                inet_ntop(at->family, v6 ? (const void *)&at->in6.sin6_addr : &at->in.sin_addr, text, sizeof text);
                fprintf(file, "%s %s\n", keeper->names[i].endpoint.host, text);
        }
}

static bool same_content(const char *path, const char *text)
{
        char *had = file_read(path);
        bool same = had && !strcmp(had, text);

        free(had);
        return same;
}

void kept_write(const struct keeper *keeper)
{
        const struct transaction *change = &keeper->transaction;
        bool wanted = keeper->current.kill_switch || (change->stage != STAGE_IDLE && change->wanted.kill_switch);
        char path[PATH], *bytes = NULL;
        size_t len = 0;

        if (!wanted || !keeper->name_count) return;
        FILE *file = open_memstream(&bytes, &len);
        if (!file) return;
        write_names(keeper, file);
        path_of(keeper->options->link, path);
        if (!fclose(file) && !same_content(path, bytes)) {
                int error = mkdir(KEPT_DIRECTORY, 0700) && errno != EEXIST ? -errno : 0;
                if (!error) error = file_replace(path, bytes, NULL);
                if (error)
                        log_print(LOG_WARNING,
                                  "%s: %s: after a reboot, behind the kill switch, the peers' names are not known",
                                  path, strerror(-error));
        }
        free(bytes);
}
