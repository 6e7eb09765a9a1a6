/* WireGuard's UAPI socket, served by the tunnel process: requests of text until an empty line, many on one connection.
 */
#ifndef DAEMON_UAPI_SERVER_H
#define DAEMON_UAPI_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct writer;

enum { UAPI_CLIENTS_MAX = 8, UAPI_BUFFER_SIZE = 64 << 20 }; /* the limits of a link (tunnel.c) are some 63 MB of text */

struct uapi_client {
        int fd;            /* -1: free */
        uint8_t *in, *out; /* UAPI_BUFFER_SIZE each, in the key arena */
        size_t in_used, scanned, out_used, out_sent;
};

struct uapi_server {
        int listener, epoll;
        struct uapi_client clients[UAPI_CLIENTS_MAX];
        /* Answers one request ("get=1\n" or "set=1\n...", without the empty line) into `out`, "errno=" line and all. */
        void (*serve)(void *context, const char *request, size_t len, struct writer *out);
        void *context;
};

/* Bytes of arena for uapi_server_init(). */
size_t uapi_server_memory(void);
void uapi_server_init(struct uapi_server *server, int listener, int epoll, uint8_t *memory);
/* Accepts one connection, or refuses it when all are taken. epoll's data.ptr of a client is its struct uapi_client. */
void uapi_server_accept(struct uapi_server *server);
bool uapi_server_owns(const struct uapi_server *server, const void *pointer);
void uapi_server_ready(struct uapi_server *server, struct uapi_client *client, uint32_t events);

#endif
