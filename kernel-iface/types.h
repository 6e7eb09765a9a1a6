/* Plain types of addresses and host state, shared by all rooms. No code: the pure rooms may include it. */
#ifndef KERNEL_IFACE_TYPES_H
#define KERNEL_IFACE_TYPES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A peer's socket address. family AF_UNSPEC (all zero): none is known. */
union socket_address {
        sa_family_t family;
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
};

/* Where a datagram came from, and the address of ours it was sent to. A reply takes the same way back. */
struct endpoint {
        union socket_address remote;
        union {
                struct in_addr in;
                struct in6_addr in6;
        } source;                /* ours, of remote's family; all zero: let the kernel choose */
        uint32_t source_ifindex; /* of the interface it came in by; 0: any */
};

/* An IP prefix, network byte order. Bits past `length` are zero except in an interface's address. */
struct prefix {
        uint8_t family; /* AF_INET or AF_INET6 */
        uint8_t length; /* 0..32 or 0..128 */
        uint8_t bytes[16];
};

enum {
        PUBLIC_KEY_LEN = 32,
        HOST_NAME_MAX_LEN = 253, /* RFC 1035 2.3.4 */
        PEER_NAME_MAX = 31,
        MTU_DEFAULT = 1420, /* Ethernet's, less what IPv6, UDP and a data message add */
        MTU_MIN_V6 = 1280,  /* RFC 8200, 5 */
        MTU_MIN = 576,      /* RFC 791 */
        MTU_MAX = 65455,    /* what one UDP datagram over IPv4 carries: 65535 - 20 - 8 - 16 - 16, padded */
};

/* Table of a link's routes. Any other value is a table number. */
enum { TABLE_AUTO = 0, TABLE_OFF = -1 };

/* An endpoint as configured: the keeper resolves it, and asks its route for the MTU. */
struct host_endpoint {
        uint8_t public_key[PUBLIC_KEY_LEN];
        char host[HOST_NAME_MAX_LEN + 1]; /* a name, or a literal address */
        uint16_t port;                    /* host byte order */
};

/* Of names looked up while the link is up. A domain is searched, and goes to the link's servers; a route domain (~)
 * only goes there. */
enum host_dns_kind { DNS_SERVER, DNS_DOMAIN, DNS_ROUTE_DOMAIN };
struct host_dns {
        enum host_dns_kind kind;
        const char *text; /* a literal address; a domain, without its ~, "." for all */
};

/* Who tells the host of them (dns.h). */
enum host_dns_means { DNS_BY_NOBODY, DNS_BY_FILE, DNS_BY_RESOLVED, DNS_BY_RESOLVCONF };

/* What is forwarded between the link and other interfaces: whatever the host forwards anyway, nothing, everything, or
 * what comes from or goes to the networks named. */
enum host_forward { FORWARD_UNSET, FORWARD_NO, FORWARD_YES, FORWARD_NETWORKS };

/* What the host should look like for one link: a function of its config. */
struct host_state {
        bool managed;     /* false: the link's addresses, MTU and state belong to the user (wg-quick) */
        uint32_t mtu;     /* bytes; 0: the least of the routes to the endpoints less 80, else 1420 */
        int64_t table;    /* TABLE_AUTO, TABLE_OFF or a number */
        uint32_t fwmark;  /* of our own datagrams; with TABLE_AUTO and a default route also the table's number */
        bool mark_chosen; /* fwmark is the keeper's choice (host_choose_mark), 0 until chosen */
        struct prefix *addresses;
        size_t address_count;
        struct prefix *routes; /* one for each allowed IP prefix of each peer */
        size_t route_count;
        struct prefix *excluded; /* what no route of the link leads to, though one of `routes` holds it */
        size_t excluded_count;
        struct host_endpoint *endpoints;
        size_t endpoint_count;
        struct host_dns *dns; /* in the order of the config */
        size_t dns_count;
        enum host_dns_means dns_means; /* status: of who applied it */
        bool kill_switch_failed;       /* status: it is not in force, for another program takes it away */
        bool kill_switch; /* nothing leaves but through the link, to the endpoints, and to what is excluded */
        bool masquerade;  /* what comes through the link leaves with this host's address */
        enum host_forward forward;
        struct prefix *forwards; /* FORWARD_NETWORKS: on this side of the link */
        size_t forward_count;
};

#endif
