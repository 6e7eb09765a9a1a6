#include "kernel-iface/dns_resolved.h"

#include "kernel-iface/errand.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

enum { RUN_MS = 5000, SILENT_S = 20, TEXT = 1 << 16 };

bool resolved_is_here(void)
{
        char stub[24], line[256];
        bool found = false;
        FILE *file = fopen("/proc/net/udp", "re");

        snprintf(stub, sizeof stub, " %08X:%04X ", htonl(0x7f000035), 53);
        while (file && !found && fgets(line, sizeof line, file))
                found = strstr(line, stub) != NULL;
        if (file) fclose(file);
        return found;
}

/* ---- libsystemd, in the child ---- */

#define FUNCTIONS(X)                      \
        X(sd_bus_open_system)             \
        X(sd_bus_message_new_method_call) \
        X(sd_bus_message_append)          \
        X(sd_bus_message_append_array)    \
        X(sd_bus_message_open_container)  \
        X(sd_bus_message_close_container) \
        X(sd_bus_call)                    \
        X(sd_bus_call_method)             \
        X(sd_bus_get_property)            \
        X(sd_bus_message_enter_container) \
        X(sd_bus_message_exit_container)  \
        X(sd_bus_message_read)            \
        X(sd_bus_message_read_array)

#define X(name) __typeof__(name) *name;
static struct {
        FUNCTIONS(X)
} lib;
#undef X

static bool load(void)
{
        void *handle = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);

        if (!handle) return false;
#define X(name) \
        if (!(*(void **)&lib.name = dlsym(handle, #name))) return false;
        FUNCTIONS(X)
#undef X
        return true;
}

static const char SERVICE[] = "org.freedesktop.resolve1", PATH[] = "/org/freedesktop/resolve1",
                  MANAGER[] = "org.freedesktop.resolve1.Manager", LINK[] = "org.freedesktop.resolve1.Link";

struct request {
        int ifindex;
        const char *text;
        sd_bus *bus;
};

/* What the parent prints; its answer is not 0. */
static int say(int error, const sd_bus_error *bus_error)
{
        const char *what = error == -ELIBACC ? "libsystemd.so.0 cannot be loaded" : strerror(-error);

        dprintf(STDERR_FILENO, "%s", bus_error && bus_error->message ? bus_error->message : what);
        return 1;
}

static int open_bus(struct request *request)
{
        return load() ? lib.sd_bus_open_system(&request->bus) : -ELIBACC;
}

/* Who is not there (any more) has nothing of ours. */
static bool is_gone(int error)
{
        return error == -EHOSTUNREACH || error == -ENXIO || error == -ENODEV || error == -ENOENT ||
               error == -ECONNREFUSED;
}

/* The next line of the text, its first word and the rest; false at the end. */
static bool next_line(const char **text, char *word, size_t word_size, char *rest, size_t rest_size)
{
        size_t len = strcspn(*text, "\n"), first = strcspn(*text, " ");

        if (!len || first >= len) return false;
        snprintf(word, word_size, "%.*s", (int)first, *text);
        snprintf(rest, rest_size, "%.*s", (int)(len - first - 1), *text + first + 1);
        *text += len + ((*text)[len] == '\n');
        return true;
}

static int family_of(const char *text, uint8_t bytes[16])
{
        char address[INET6_ADDRSTRLEN];

        snprintf(address, sizeof address, "%.*s", (int)strcspn(text, "%"), text); /* its scope is the link's */
        if (inet_pton(AF_INET, address, bytes) == 1) return AF_INET;
        return inet_pton(AF_INET6, address, bytes) == 1 ? AF_INET6 : AF_UNSPEC;
}

static int append_servers(sd_bus_message *call, const char *text)
{
        char word[16], rest[256];
        uint8_t bytes[16];
        int error = lib.sd_bus_message_open_container(call, 'a', "(iay)");

        while (error >= 0 && next_line(&text, word, sizeof word, rest, sizeof rest)) {
                int family = strcmp(word, "nameserver") == 0 ? family_of(rest, bytes) : AF_UNSPEC;
                if (family == AF_UNSPEC) continue;
                error = lib.sd_bus_message_open_container(call, 'r', "iay");
                if (error >= 0) error = lib.sd_bus_message_append(call, "i", family);
                if (error >= 0) error = lib.sd_bus_message_append_array(call, 'y', bytes, family == AF_INET ? 4 : 16);
                if (error >= 0) error = lib.sd_bus_message_close_container(call);
        }
        return error < 0 ? error : lib.sd_bus_message_close_container(call);
}

static int append_domains(sd_bus_message *call, const char *text)
{
        char word[16], rest[256];
        int error = lib.sd_bus_message_open_container(call, 'a', "(sb)");

        while (error >= 0 && next_line(&text, word, sizeof word, rest, sizeof rest))
                if (strcmp(word, "nameserver") != 0)
                        error = lib.sd_bus_message_append(call, "(sb)", rest, strcmp(word, "route") == 0);
        return error < 0 ? error : lib.sd_bus_message_close_container(call);
}

static int call_lists(struct request *request, const char *member, int (*append)(sd_bus_message *, const char *),
                      sd_bus_error *bus_error)
{
        sd_bus_message *call = NULL;
        int error = lib.sd_bus_message_new_method_call(request->bus, &call, SERVICE, PATH, MANAGER, member);

        if (error >= 0) error = lib.sd_bus_message_append(call, "i", request->ifindex);
        if (error >= 0) error = append(call, request->text);
        return error < 0 ? error : lib.sd_bus_call(request->bus, call, 0, bus_error, NULL);
}

/* What it has, in the order of dns_text_make(): servers, then domains. */
static int read_back(struct request *request, FILE *out)
{
        sd_bus_message *reply = NULL;
        const char *path, *domain;
        const void *bytes;
        char text[INET6_ADDRSTRLEN];
        size_t len;
        int family, route;
        int error = lib.sd_bus_call_method(request->bus, SERVICE, PATH, MANAGER, "GetLink", NULL, &reply, "i",
                                           request->ifindex);

        if (error >= 0) error = lib.sd_bus_message_read(reply, "o", &path);
        if (error >= 0)
                error = lib.sd_bus_get_property(request->bus, SERVICE, path, LINK, "DNS", NULL, &reply, "a(iay)");
        if (error >= 0) error = lib.sd_bus_message_enter_container(reply, 'a', "(iay)");
        while (error >= 0 && lib.sd_bus_message_enter_container(reply, 'r', "iay") > 0) {
                error = lib.sd_bus_message_read(reply, "i", &family);
                if (error >= 0) error = lib.sd_bus_message_read_array(reply, 'y', &bytes, &len);
                if (error >= 0 && inet_ntop(family, bytes, text, sizeof text)) fprintf(out, "nameserver %s\n", text);
                if (error >= 0) error = lib.sd_bus_message_exit_container(reply);
        }
        if (error >= 0)
                error = lib.sd_bus_get_property(request->bus, SERVICE, path, LINK, "Domains", NULL, &reply, "a(sb)");
        if (error >= 0) error = lib.sd_bus_message_enter_container(reply, 'a', "(sb)");
        while (error >= 0 && lib.sd_bus_message_read(reply, "(sb)", &domain, &route) > 0)
                fprintf(out, "%s %s\n", route ? "route" : "search", domain);
        return error;
}

/* Our own text in the same order and spelling. */
static void normalize(const char *text, FILE *out)
{
        char word[16], rest[256], address[INET6_ADDRSTRLEN];
        uint8_t bytes[16];

        for (const char *at = text; next_line(&at, word, sizeof word, rest, sizeof rest);)
                if (strcmp(word, "nameserver") == 0 &&
                    inet_ntop(family_of(rest, bytes), bytes, address, sizeof address))
                        fprintf(out, "nameserver %s\n", address);
        for (const char *at = text; next_line(&at, word, sizeof word, rest, sizeof rest);)
                if (strcmp(word, "nameserver") != 0) fprintf(out, "%s %s\n", word, rest);
}

bool resolved_same(const char *text, const char *has)
{
        char *wants = NULL;
        size_t len;
        FILE *out = open_memstream(&wants, &len);

        if (!out) return false;
        normalize(text, out);
        bool same = fclose(out) == 0 && strcmp(has, wants) == 0;
        free(wants);
        return same;
}

/* ---- errands ---- */

static int set(void *arg)
{
        struct request *request = arg;
        sd_bus_error bus_error = SD_BUS_ERROR_NULL;
        bool all = strstr(request->text, "route .\n") != NULL, some = strstr(request->text, "route ") != NULL;
        int error = open_bus(request);

        if (error < 0) return say(error, NULL);
        error = call_lists(request, "SetLinkDNS", append_servers, &bus_error);
        if (error >= 0) error = call_lists(request, "SetLinkDomains", append_domains, &bus_error);
        if (error >= 0)
                error = lib.sd_bus_call_method(request->bus, SERVICE, PATH, MANAGER, "SetLinkDefaultRoute", &bus_error,
                                               NULL, "ib", request->ifindex, all || !some);
        return error < 0 ? say(error, &bus_error) : 0;
}

static int get(void *arg)
{
        struct request *request = arg;
        FILE *out = fdopen(STDERR_FILENO, "w");
        int error = out ? open_bus(request) : -errno;

        if (error >= 0) error = read_back(request, out);
        return error < 0 || fclose(out);
}

static int clear(void *arg)
{
        struct request *request = arg;
        sd_bus_error bus_error = SD_BUS_ERROR_NULL;
        int error = open_bus(request);

        if (error >= 0)
                error = lib.sd_bus_call_method(request->bus, SERVICE, PATH, MANAGER, "RevertLink", &bus_error, NULL,
                                               "i", request->ifindex);
        return error < 0 && !is_gone(error) ? say(error, &bus_error) : 0;
}

/* One that did not answer is not asked again for a while: a change and its way back ask a dozen times, and the keeper
 * does nothing else meanwhile, not even what its watchdog waits for. */
static int send_out(int (*errand)(void *arg), struct request *request, char *said, size_t size)
{
        static time_t silent_until;
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        if (size) *said = '\0';
        if (now.tv_sec < silent_until) return -ETIMEDOUT;
        int error = errand_run(errand, request, RUN_MS, said, size);
        if (error == -ETIMEDOUT) silent_until = now.tv_sec + RUN_MS / 1000 + SILENT_S;
        return error;
}

int resolved_set(int ifindex, const char *text, char *why, size_t size)
{
        struct request request = { .ifindex = ifindex, .text = text };

        char has[TEXT];
        int error = send_out(set, &request, why, size);

        if (!error) error = resolved_get(ifindex, has, sizeof has);
        if (!error && !resolved_same(text, has)) {
                snprintf(why, size, "it has not what it was given");
                error = -EIO;
        }
        return error;
}

int resolved_get(int ifindex, char *text, size_t size)
{
        struct request request = { .ifindex = ifindex };

        return send_out(get, &request, text, size);
}

int resolved_clear(int ifindex, char *why, size_t size)
{
        struct request request = { .ifindex = ifindex };

        return send_out(clear, &request, why, size);
}
