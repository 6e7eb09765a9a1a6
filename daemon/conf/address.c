#include "daemon/conf/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

bool prefix_contains(const struct prefix *wide, const struct prefix *narrow)
{
        struct prefix cut = *narrow;

        if (wide->family != narrow->family || wide->length > narrow->length) return false;
        cut.length = wide->length;
        prefix_mask(&cut);
        return prefix_equal(&cut, wide);
}

bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
        return a->family == b->family && a->length == b->length &&
               memcmp(a->bytes, b->bytes, a->family == AF_INET ? 4 : 16) == 0;
}

void prefix_mask(struct prefix *prefix)
{
        for (unsigned bit = 0; bit < 128; bit += 8) {
                unsigned kept = prefix->length > bit ? prefix->length - bit : 0;

                if (kept < 8) prefix->bytes[bit / 8] &= (uint8_t)(0xff00u >> kept);
        }
}

/* inet_pton() on a span; AF_UNSPEC when it is neither. */
static sa_family_t literal_parse(uint8_t bytes[16], struct span span)
{
        char text[INET6_ADDRSTRLEN];

        if (!span.len || span.len >= sizeof text || memchr(span.text, 0, span.len)) return AF_UNSPEC;
        memcpy(text, span.text, span.len);
        text[span.len] = 0;
        if (inet_pton(AF_INET, text, bytes) == 1) return AF_INET;
        if (inet_pton(AF_INET6, text, bytes) == 1) return AF_INET6;
        return AF_UNSPEC;
}

bool prefix_parse(struct prefix *out, const char *text, size_t len, const char **why)
{
        struct span rest = { text, len }, address = span_cut(&rest, '/');
        struct prefix prefix = { 0 };
        uint64_t length;

        *why = "an address such as 10.0.0.1/24 or fd00::1/64 is wanted";
        prefix.family = (uint8_t)literal_parse(prefix.bytes, address);
        if (prefix.family == AF_UNSPEC) return false;

        length = prefix.family == AF_INET ? 32 : 128;
        *why = prefix.family == AF_INET ? "a prefix of an IPv4 address is 0 to 32 bits"
                                        : "a prefix of an IPv6 address is 0 to 128 bits";
        if (address.len < len && !number_parse(rest, length, &length)) return false;

        prefix.length = (uint8_t)length;
        *out = prefix;
        return true;
}

const char *prefix_format(const struct prefix *prefix, char out[ADDRESS_TEXT])
{
        char address[INET6_ADDRSTRLEN] = "?";

        inet_ntop(prefix->family, prefix->bytes, address, sizeof address);
        snprintf(out, ADDRESS_TEXT, "%s/%u", address, prefix->length);
        return out;
}

static bool name_char(char c)
{
        return isalnum((unsigned char)c) || c == '-' || c == '_';
}

/* Labels of 1 to 63 characters; the last is not a number, or it would be a broken IPv4 address. */
static bool host_name_valid(struct span host)
{
        struct span label = { 0 };
        uint64_t number;

        if (host.len > HOST_NAME_MAX_LEN) return false;
        if (host.len && host.text[host.len - 1] == '.') host.len--;
        if (!host.len) return false;
        for (struct span rest = host; rest.len;) {
                bool more = memchr(rest.text, '.', rest.len) != NULL;

                label = span_cut(&rest, '.');
                if (!label.len || label.len > 63 || (more && !rest.len)) return false;
                for (size_t i = 0; i < label.len; i++)
                        if (!name_char(label.text[i])) return false;
        }
        return !number_parse(label, UINT64_MAX, &number);
}

bool interface_name_valid(const char *name, size_t len)
{
        if (!len || len >= IFNAMSIZ || (len == 1 && name[0] == '.') || (len == 2 && memcmp(name, "..", 2) == 0))
                return false;
        for (size_t i = 0; i < len; i++)
                if (!name_char(name[i]) && !memchr("=+.", name[i], 3)) return false;
        return true;
}

static void set_ipv4(union socket_address *out, const uint8_t bytes[4])
{
        *out = (union socket_address){ .in = { .sin_family = AF_INET } };
        memcpy(&out->in.sin_addr, bytes, 4);
}

bool host_parse(union socket_address *out, struct span host, const char **why)
{
        struct span scope = host, literal = span_cut(&scope, '%');
        bool scoped = literal.len < host.len;
        uint8_t bytes[16];
        uint64_t number = 0;

        *out = (union socket_address){ 0 };
        *why = "a name such as vpn.example.org, an IPv4 address or an [IPv6 address] comes before the port";
        switch (literal_parse(bytes, literal)) {
        case AF_INET:
                if (scoped) return false;
                set_ipv4(out, bytes);
                return true;
        case AF_INET6:
                if (scoped && !number_parse(scope, UINT32_MAX, &number)) {
                        *why = "the scope of an IPv6 address is an interface, as in [fe80::1%eth0]:51820";
                        return interface_name_valid(scope.text, scope.len);
                }
                out->in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_scope_id = (uint32_t)number };
                memcpy(&out->in6.sin6_addr, bytes, 16);
                if (IN6_IS_ADDR_V4MAPPED(&out->in6.sin6_addr)) set_ipv4(out, bytes + 12);
                return true;
        default: return host_name_valid(host);
        }
}

bool dns_parse(enum host_dns_kind *out, struct span word)
{
        union socket_address address;
        struct span domain = word;
        const char *why;

        *out = DNS_ROUTE_DOMAIN;
        if (word.len && word.text[0] == '~') {
                domain = span_until(word.text + 1, word.text + word.len);
                return span_is(domain, ".") || host_name_valid(domain);
        }
        *out = host_name_valid(word) ? DNS_DOMAIN : DNS_SERVER;
        return host_parse(&address, word, &why);
}

/* [host]:port, or host:port where the last colon counts, as wg reads it. */
static bool endpoint_split(struct span in, struct span *host, struct span *port)
{
        const char *end = in.text + in.len, *colon = memrchr(in.text, ':', in.len);

        if (!colon) return false;
        *port = span_until(colon + 1, end);
        *host = span_until(in.text, colon);
        if (in.text[0] != '[') return true;
        if (host->len < 2 || host->text[host->len - 1] != ']') return false;
        *host = (struct span){ host->text + 1, host->len - 2 };
        return true;
}

bool endpoint_parse(const char **host, uint16_t *port, union socket_address *out, struct pool *pool, const char *text,
                    size_t len, const char **why)
{
        struct span host_span, port_span;
        union socket_address address;
        uint64_t number;
        const char *copy;

        *why = "a host and a port are wanted: vpn.example.org:51820, 192.0.2.1:51820 or [2001:db8::1]:51820";
        if (!len || !endpoint_split((struct span){ text, len }, &host_span, &port_span)) return false;
        if (!host_parse(&address, host_span, why)) return false;
        *why = "a port is 1 to 65535, after the last colon";
        if (!number_parse(port_span, UINT16_MAX, &number) || !number) return false;
        *why = "the configuration is too large";
        if (!(copy = pool_strndup(pool, host_span.text, host_span.len))) return false;

        if (address.family == AF_INET) address.in.sin_port = htons((uint16_t)number);
        if (address.family == AF_INET6) address.in6.sin6_port = htons((uint16_t)number);
        *host = copy;
        *port = (uint16_t)number;
        *out = address;
        return true;
}

const char *endpoint_format(const union socket_address *address, char out[ENDPOINT_TEXT])
{
        char text[INET6_ADDRSTRLEN] = "?", scope[12] = "";

        if (address->family == AF_INET) {
                inet_ntop(AF_INET, &address->in.sin_addr, text, sizeof text);
                snprintf(out, ENDPOINT_TEXT, "%s:%u", text, ntohs(address->in.sin_port));
        } else if (address->family == AF_INET6) {
                inet_ntop(AF_INET6, &address->in6.sin6_addr, text, sizeof text);
                if (address->in6.sin6_scope_id) snprintf(scope, sizeof scope, "%%%u", address->in6.sin6_scope_id);
                snprintf(out, ENDPOINT_TEXT, "[%s%s]:%u", text, scope, ntohs(address->in6.sin6_port));
        } else {
                snprintf(out, ENDPOINT_TEXT, "(none)");
        }
        return out;
}
