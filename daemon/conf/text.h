/* What the parsers and writers of this room share. Not for other rooms. Pure. */
#ifndef DAEMON_CONF_TEXT_H
#define DAEMON_CONF_TEXT_H

#include "daemon/conf/conf.h"

/* A piece of the text being parsed; no NUL at its end. */
struct span {
        const char *text;
        size_t len;
};

#define SPAN(literal) ((struct span){ literal, sizeof(literal) - 1 })

bool span_is(struct span span, const char *word);        /* the very same bytes */
bool span_is_nocase(struct span span, const char *word); /* ASCII letters of either case */
struct span span_trim(struct span span);                 /* without blanks at both ends */
struct span span_cut(struct span *rest, char separator); /* up to the separator, which is taken off *rest too */
struct span span_until(const char *from, const char *to);

/* Decimal digits only; false when there are none, others, or the value is above `max`. */
bool number_parse(struct span span, uint64_t max, uint64_t *out);
/* Decimal, or hexadecimal with 0x. A leading zero is refused: to wg it means octal, to a person it does not. */
bool number_parse_hex(struct span span, uint64_t max, uint64_t *out);

/* A host name, a literal IPv4 address, or a literal IPv6 address, perhaps with %scope. *out is set for a literal whose
 * scope, if any, is a number; an IPv4-mapped one becomes IPv4, for our IPv6 socket carries IPv6 only. */
bool host_parse(union socket_address *out, struct span host, const char **why);

/* A server's literal address, a domain, or ~ and a domain ("~.": all names). */
bool dns_parse(enum host_dns_kind *out, struct span word);

/* The NAME of "credential:NAME", or NULL: the text is something else. */
const char *credential_name(const char *text);
/* 1 to 255 of a-z A-Z 0-9 _ . -, but not "." and "..": it names a file in a folder. */
bool credential_name_valid(const char *name, size_t len);

/* Fills `out` with the value as an error may quote it: control characters replaced, long ones cut, what could be a key
 * hidden. */
enum { QUOTE_TEXT = 72 };
const char *quote(struct span value, char out[QUOTE_TEXT]);
const char *quote_path(struct span path, char out[QUOTE_TEXT]); /* does not take a long path for a key */

#endif
