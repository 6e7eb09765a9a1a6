#include "daemon/conf/text.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* isspace() without a locale; what wg takes for a blank. */
static bool blank(char c)
{
        return c == ' ' || (c >= '\t' && c <= '\r');
}

bool span_is(struct span span, const char *word)
{
        return span.len == strlen(word) && memcmp(span.text, word, span.len) == 0;
}

bool span_is_nocase(struct span span, const char *word)
{
        return span.len == strlen(word) && strncasecmp(span.text, word, span.len) == 0;
}

struct span span_until(const char *from, const char *to)
{
        return (struct span){ from, (size_t)(to - from) };
}

struct span span_trim(struct span span)
{
        while (span.len && blank(span.text[0]))
                span = (struct span){ span.text + 1, span.len - 1 };
        while (span.len && blank(span.text[span.len - 1]))
                span.len--;
        return span;
}

struct span span_cut(struct span *rest, char separator)
{
        const char *end = rest->text + rest->len;
        const char *at = rest->len ? memchr(rest->text, separator, rest->len) : NULL;
        struct span first = span_until(rest->text, at ? at : end);

        *rest = span_until(at ? at + 1 : end, end);
        return first;
}

static bool digits_parse(struct span span, unsigned base, uint64_t max, uint64_t *out)
{
        uint64_t value = 0;

        if (!span.len) return false;
        for (size_t i = 0; i < span.len; i++) {
                unsigned char c = (unsigned char)span.text[i];
                unsigned digit = isdigit(c) ? c - 48u : isxdigit(c) ? (c | 32) - 'a' + 10u : 16;

                if (digit >= base || value > max / base || value * base > max - digit) return false;
                value = value * base + digit;
        }
        *out = value;
        return true;
}

bool number_parse(struct span span, uint64_t max, uint64_t *out)
{
        return digits_parse(span, 10, max, out);
}

bool number_parse_hex(struct span span, uint64_t max, uint64_t *out)
{
        if (span.len > 2 && span.text[0] == '0' && (span.text[1] | 32) == 'x')
                return digits_parse((struct span){ span.text + 2, span.len - 2 }, 16, max, out);
        if (span.len > 1 && span.text[0] == '0') return false;
        return digits_parse(span, 10, max, out);
}

bool peer_name_valid(const char *name, size_t len, const char **why)
{
        *why = "a name is 1 to 31 letters, digits or signs, without blanks or #";
        static_assert(PEER_NAME_MAX == 31, "the number that is said");
        if (!len || len > PEER_NAME_MAX) return false;
        for (size_t i = 0; i < len; i++)
                if (name[i] <= ' ' || name[i] >= 0x7f || name[i] == '#') return false;
        return true;
}

bool keepalive_parse(uint16_t *out, const char *text, size_t len, const char **why)
{
        struct span value = { text, len };
        uint64_t seconds = 0;

        *why = "an interval is 1 to 65535 seconds, or off";
        if (!span_is_nocase(value, "off") && !number_parse(value, UINT16_MAX, &seconds)) return false;
        *out = (uint16_t)seconds;
        return true;
}

bool upgrade_parse(bool *off, const char *text, size_t len, const char **why)
{
        struct span value = { text, len };

        *why = "auto or off is wanted";
        *off = span_is_nocase(value, "off");
        return *off || span_is_nocase(value, "auto");
}

const char *upgrade_format(bool off)
{
        return off ? "off" : "auto";
}

static const char *const post_quantum_words[] = {
        [CONF_POST_QUANTUM_AUTO] = "auto",
        [CONF_POST_QUANTUM_REQUIRE] = "require",
        [CONF_POST_QUANTUM_OFF] = "off",
};

bool post_quantum_parse(uint8_t *out, const char *text, size_t len, const char **why)
{
        struct span value = { text, len };

        *why = "auto, require or off is wanted";
        for (uint8_t i = 0; i < sizeof post_quantum_words / sizeof *post_quantum_words; i++) {
                if (!span_is_nocase(value, post_quantum_words[i])) continue;
                *out = i;
                return true;
        }
        return false;
}

const char *post_quantum_format(uint8_t post_quantum)
{
        return post_quantum_words[post_quantum];
}

const char *policy_conflict(bool upgrade_off, uint8_t post_quantum)
{
        if (!upgrade_off || post_quantum != CONF_POST_QUANTUM_REQUIRE) return NULL;
        return "PostQuantum: 'require' excludes Upgrade = off: it is the upgrade that puts ML-KEM into a session's "
               "keys; change one of the two";
}

/* A key is 44 characters of base64 or 64 of hex. Somebody may have pasted one, or a line break left half of one, in the
 * wrong place. No good value that an error quotes has '=' or '+'. */
static bool maybe_key(struct span value, const char *breaks)
{
        enum { SUSPICIOUS_RUN = 20 };
        size_t run = 0;

        for (size_t i = 0; i < value.len; i++) {
                char c = value.text[i];

                if (c == '=' || c == '+') return true;
                run = c && (isalnum((unsigned char)c) || c == '/') && !strchr(breaks, c) ? run + 1 : 0;
                if (run >= SUSPICIOUS_RUN) return true;
        }
        return false;
}

static const char *quote_unless(bool hidden, struct span value, char out[QUOTE_TEXT])
{
        size_t len = value.len < QUOTE_TEXT ? value.len : QUOTE_TEXT - 4;

        if (hidden) {
                snprintf(out, QUOTE_TEXT, "(not shown, it may be a key)");
                return out;
        }
        for (size_t i = 0; i < len; i++)
                out[i] = (char)(value.text[i] >= ' ' && value.text[i] < 0x7f ? value.text[i] : '?');
        snprintf(out + len, QUOTE_TEXT - len, "%s", len < value.len ? "..." : "");
        return out;
}

const char *quote(struct span value, char out[QUOTE_TEXT])
{
        return quote_unless(maybe_key(value, ""), value, out);
}

const char *credential_name(const char *text)
{
        static const char prefix[] = "credential:";
        size_t len = sizeof prefix - 1;

        return strncmp(text, prefix, len) ? NULL : text + len;
}

bool credential_name_valid(const char *name, size_t len)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

        if (!len || len > 255 || strspn(name, allowed) < len) return false;
        return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

const char *quote_path(struct span path, char out[QUOTE_TEXT])
{
        return quote_unless(maybe_key(path, "/"), path, out);
}

void writer_print(struct writer *out, const char *format, ...)
{
        size_t left = out->used < out->size ? out->size - out->used : 0;
        va_list args;
        int len;

        va_start(args, format);
        len = vsnprintf(left ? out->text + out->used : NULL, left, format, args);
        va_end(args);
        if (len > 0) out->used += (size_t)len;
}

const char *dns_means_format(enum host_dns_means means)
{
        switch (means) {
        case DNS_BY_FILE: return "/etc/resolv.conf";
        case DNS_BY_RESOLVED: return "systemd-resolved";
        case DNS_BY_RESOLVCONF: return "resolvconf";
        case DNS_BY_NOBODY: break;
        }
        return "";
}
