#include "daemon/log.h"

#include "daemon/conf/conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BURST = 50, PER_SECOND = 10 };

static struct {
        enum { TO_STDERR, TO_SYSLOG, TO_SINK } to;
        int level;
        char link[32];
        void (*sink)(void *context, int level, const char *text);
        void *context;
        unsigned tokens, left_out;
        time_t refilled;
} out = { .level = LOG_INFO };

static void open_common(const char *link, int level)
{
        out.level = level;
        out.tokens = BURST;
        snprintf(out.link, sizeof out.link, "%s", link);
}

void log_open_stderr(const char *link, int level)
{
        open_common(link, level);
        out.to = TO_STDERR;
}

void log_open_syslog(const char *link, int level)
{
        open_common(link, level);
        out.to = TO_SYSLOG;
        openlog("aditd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void log_open_sink(void (*sink)(void *context, int level, const char *text), void *context, int level)
{
        open_common("", level);
        out.to = TO_SINK;
        out.sink = sink;
        out.context = context;
}

int log_level_from_environment(void)
{
        static const struct {
                const char *name;
                int level;
        } levels[] = { { "silent", -1 },
                       { "error", LOG_ERR },
                       { "info", LOG_INFO },
                       { "verbose", LOG_DEBUG },
                       { "debug", LOG_DEBUG } };
        const char *value = getenv("LOG_LEVEL");

        for (size_t i = 0; value && i < sizeof levels / sizeof *levels; i++)
                if (!strcmp(value, levels[i].name)) return levels[i].level;
        return LOG_INFO;
}

int log_level(void)
{
        return out.level;
}

static void emit(int level, const char *text)
{
        switch (out.to) {
        case TO_STDERR: fprintf(stderr, "aditd: %s: %s\n", out.link, text); break;
        case TO_SYSLOG: syslog(level, "%s: %s", out.link, text); break;
        case TO_SINK: out.sink(out.context, level, text); break;
        }
}

static __attribute__((format(printf, 2, 0))) void emit_format(int level, const char *format, va_list arguments)
{
        char text[LOG_TEXT];

        vsnprintf(text, sizeof text, format, arguments);
        emit(level, text);
}

void log_print(int level, const char *format, ...)
{
        va_list arguments;

        if (level > out.level) return;
        va_start(arguments, format);
        emit_format(level, format, arguments);
        va_end(arguments);
}

static bool take_token(void)
{
        struct timespec now;

        clock_gettime(CLOCK_BOOTTIME, &now);
        time_t passed = now.tv_sec - out.refilled;
        if (passed > 0) {
                out.tokens = passed > BURST || out.tokens + passed * PER_SECOND > BURST
                                     ? BURST
                                     : out.tokens + (unsigned)passed * PER_SECOND;
                out.refilled = now.tv_sec;
        }
        if (!out.tokens) {
                out.left_out++;
                return false;
        }
        out.tokens--;
        return true;
}

void log_packet(int level, const char *format, ...)
{
        va_list arguments;

        if (level > out.level || !take_token()) return;
        if (out.left_out) {
                char text[64];
                snprintf(text, sizeof text, "%u lines were left out (rate limit)", out.left_out);
                emit(level, text);
                out.left_out = 0;
        }
        va_start(arguments, format);
        emit_format(level, format, arguments);
        va_end(arguments);
}

const char *log_peer(const char *name, const struct key *public_key, const union socket_address *remote,
                     char text[LOG_PEER])
{
        char base64[KEY_BASE64_LEN], where[ENDPOINT_TEXT];

        if (!*name) {
                key_to_base64(base64, public_key);
                base64[8] = '\0'; /* enough to tell peers apart, and what `wg show` begins with */
        }
        snprintf(text, LOG_PEER, "peer %s%s (%s)", *name ? name : base64, *name ? "" : "...",
                 endpoint_format(remote, where));
        return text;
}
