#include "kernel-iface/dns_text.h"

#include "kernel-iface/digest.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FIRST_LINE[] = "# Made by aditd while a link is up; what was here before is in /var/lib/adit/dns/";

/* writing */

static bool has_kind(const struct host_state *want, enum host_dns_kind kind)
{
        for (size_t i = 0; i < want->dns_count; i++)
                if (want->dns[i].kind == kind) return true;
        return false;
}

char *dns_text_make(const struct host_state *want)
{
        static const char *const words[] = {
                [DNS_SERVER] = "nameserver", [DNS_DOMAIN] = "search", [DNS_ROUTE_DOMAIN] = "route"
        };
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        if (!out) return NULL;
        for (size_t i = 0; i < want->dns_count; i++)
                fprintf(out, "%s %s\n", words[want->dns[i].kind], want->dns[i].text);
        if (has_kind(want, DNS_SERVER) && !has_kind(want, DNS_ROUTE_DOMAIN)) fputs("route .\n", out);
        if (fclose(out) == 0) return text;
        free(text);
        return NULL;
}

uint64_t dns_text_digest(const char *text)
{
        return digest_of(text, strlen(text));
}

/* Each line that begins with `word` and a blank: all of it, or in one line what follows. */
static void copy_lines(FILE *out, const char *text, const char *word)
{
        size_t len = strlen(word);

        for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
                int size = (int)strcspn(line, "\n");
                if (strncmp(line, word, len) == 0 && (line[len] == ' ' || line[len] == '\t'))
                        fprintf(out, "%.*s\n", size, line);
        }
}

/* All in one line: of several, a resolver takes only the last. */
static void join_search(FILE *out, const char *const *texts, size_t count)
{
        static const char WORD[] = "search ";
        bool any = false;

        for (size_t i = 0; i < count; i++)
                for (const char *at = texts[i]; *at; at += strcspn(at, "\n"), at += *at == '\n') {
                        if (strncmp(at, WORD, strlen(WORD)) != 0) continue;
                        fprintf(out, "%s %.*s", any ? "" : "search", (int)strcspn(at, "\n") - (int)strlen(WORD),
                                at + strlen(WORD));
                        any = true;
                }
        if (any) fputc('\n', out);
}

static char *join_lines(const char *const *texts, size_t count, const char *original)
{
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        if (!out) return NULL;
        for (size_t i = 0; i < count; i++)
                copy_lines(out, texts[i], "nameserver");
        join_search(out, texts, count);
        copy_lines(out, original, "options");
        if (fclose(out) == 0) return text;
        free(text);
        return NULL;
}

char *dns_text_join(const char *folder, const char *const *texts, size_t count, const char *original)
{
        char *lines = join_lines(texts, count, original), *text = NULL;

        if (lines &&
            asprintf(&text, "%s%s (%016" PRIx64 ")\n%s", FIRST_LINE, folder, dns_text_digest(lines), lines) < 0)
                text = NULL;
        free(lines);
        return text;
}

static void print_values(FILE *out, const char *text, const char *word, const char *before)
{
        size_t len = strlen(word);

        for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
                if (strncmp(line, word, len) == 0 && line[len] == ' ')
                        fprintf(out, " %s%.*s", before, (int)(strcspn(line, "\n") - len - 1), line + len + 1);
}

static void print_resolvectl(FILE *out, const char *text, const char *interface)
{
        bool all = strstr(text, "route .\n") || !strstr(text, "route ");

        fprintf(out, "resolvectl dns %s", interface);
        print_values(out, text, "nameserver", "");
        fprintf(out, "\nresolvectl domain %s", interface);
        print_values(out, text, "search", "");
        print_values(out, text, "route", "~");
        fprintf(out, "\nresolvectl default-route %s %s\n", interface, all ? "yes" : "no");
}

char *dns_text_commands(const char *text, const char *interface)
{
        char *commands = NULL;
        size_t len;
        FILE *out = open_memstream(&commands, &len);

        if (!out) return NULL;
        if (interface) {
                print_resolvectl(out, text, interface);
        } else {
                fputs("cat >/etc/resolv.conf <<'END'\n", out);
                copy_lines(out, text, "nameserver");
                join_search(out, &text, 1);
                fputs("END\n", out);
        }
        if (fclose(out) == 0) return commands;
        free(commands);
        return NULL;
}

/* reading */

bool dns_text_parse(const char *resolv_conf, char folder[DNS_FOLDER], bool *intact)
{
        size_t first = strlen(FIRST_LINE);
        uint64_t digest;
        int end = 0;

        if (strncmp(resolv_conf, FIRST_LINE, first) != 0) return false;
        static_assert(DNS_FOLDER == 32, "as below");
        if (sscanf(resolv_conf + first, "%31[a-zA-Z0-9] (%16" SCNx64 ")%n", folder, &digest, &end) < 2 || !end)
                return false;
        const char *lines = resolv_conf + first + end;
        *intact = *lines == '\n' && dns_text_digest(lines + 1) == digest;
        return true;
}

bool dns_text_is_resolvconf(const char *resolv_conf)
{
        size_t line = strcspn(resolv_conf, "\n");

        /* "# Generated by resolvconf"; "# Dynamic resolv.conf(5) file for glibc resolver(3) generated by resolvconf(8)"
         */
        return resolv_conf[0] == '#' && memmem(resolv_conf, line, "enerated by resolvconf", 22) != NULL;
}
