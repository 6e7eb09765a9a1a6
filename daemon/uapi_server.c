#include "daemon/uapi_server.h"

#include "daemon/conf/conf.h"
#include "kernel-iface/rights.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KEEP = 1 << 20 }; /* bytes of a buffer that stay resident after a request */

size_t uapi_server_memory(void)
{
        return (size_t)UAPI_CLIENTS_MAX * 2 * UAPI_BUFFER_SIZE;
}

void uapi_server_init(struct uapi_server *server, int listener, int epoll, uint8_t *memory)
{
        server->listener = listener;
        server->epoll = epoll;
        for (int i = 0; i < UAPI_CLIENTS_MAX; i++) {
                uint8_t *buffers = memory + (size_t)i * 2 * UAPI_BUFFER_SIZE;
                server->clients[i] = (struct uapi_client){ .fd = -1, .in = buffers, .out = buffers + UAPI_BUFFER_SIZE };
        }
}

bool uapi_server_owns(const struct uapi_server *server, const void *pointer)
{
        const struct uapi_client *client = pointer;

        return client >= server->clients && client < server->clients + UAPI_CLIENTS_MAX;
}

void uapi_server_accept(struct uapi_server *server)
{
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) return;
        for (struct uapi_client *client = server->clients; uapi_server_owns(server, client); client++) {
                if (client->fd >= 0) continue;
                struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
                if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event)) break;
                client->fd = fd;
                return;
        }
        close(fd); /* all are taken */
}

/* Texts hold keys: wiped as soon as they are served, and large ones given back. */
static void wipe(uint8_t *buffer, size_t used)
{
        sodium_memzero(buffer, used);
        if (used > KEEP) key_arena_trim(buffer, UAPI_BUFFER_SIZE, KEEP);
}

static void client_close(struct uapi_client *client)
{
        close(client->fd); /* leaves epoll with it */
        wipe(client->in, client->in_used);
        wipe(client->out, client->out_used);
        client->fd = -1;
        client->in_used = client->scanned = client->out_used = client->out_sent = 0;
}

/* The end of the first request in the buffer: one past its empty line; 0: not there yet. */
static size_t request_end(struct uapi_client *client)
{
        size_t from = client->scanned ? client->scanned - 1 : 0;
        const uint8_t *end = memmem(client->in + from, client->in_used - from, "\n\n", 2);

        client->scanned = client->in_used;
        return end ? (size_t)(end - client->in) + 2 : 0;
}

static void answer(struct uapi_server *server, struct uapi_client *client, size_t end)
{
        struct writer out = { .text = (char *)client->out, .size = UAPI_BUFFER_SIZE };

        server->serve(server->context, (const char *)client->in, end - 1, &out);
        if (out.used >= out.size) { /* the limits keep an answer below that */
                sodium_memzero(client->out, UAPI_BUFFER_SIZE);
                out.used = 0;
                writer_print(&out, "errno=%d\n\n", E2BIG);
        }
        client->out_used = out.used;
        client->out_sent = 0;
        sodium_memzero(client->in, end);
        memmove(client->in, client->in + end, client->in_used - end);
        sodium_memzero(client->in + client->in_used - end, end);
        client->in_used -= end;
        client->scanned = 0;
}

/* False: the client is gone. */
static bool send_answer(struct uapi_client *client)
{
        while (client->out_sent < client->out_used) {
                ssize_t sent = send(client->fd, client->out + client->out_sent, client->out_used - client->out_sent,
                                    MSG_NOSIGNAL);
                if (sent < 0) return errno == EAGAIN || errno == EINTR;
                client->out_sent += (size_t)sent;
        }
        wipe(client->out, client->out_used);
        client->out_used = client->out_sent = 0;
        return true;
}

/* False: the client is gone, or asks for more than there is room for. */
static bool receive(struct uapi_client *client)
{
        ssize_t got = recv(client->fd, client->in + client->in_used, UAPI_BUFFER_SIZE - client->in_used, 0);

        if (got < 0) return errno == EAGAIN || errno == EINTR;
        client->in_used += (size_t)got;
        return got > 0;
}

void uapi_server_ready(struct uapi_server *server, struct uapi_client *client, uint32_t events)
{
        bool alive = true;

        if (client->fd < 0) return; /* closed by an earlier event of the same round */
        if (client->out_used) alive = send_answer(client);
        else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) alive = receive(client);
        for (size_t end; alive && !client->out_used && (end = request_end(client));) {
                answer(server, client, end);
                alive = client->out_used && send_answer(client);
        }
        if (!alive) {
                client_close(client);
                return;
        }
        struct epoll_event event = { .events = client->out_used ? EPOLLOUT : EPOLLIN, .data.ptr = client };
        epoll_ctl(server->epoll, EPOLL_CTL_MOD, client->fd, &event);
}
