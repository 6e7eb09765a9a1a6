#include "daemon/keeper_state.h"

#include "daemon/loader.h"
#include "daemon/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* While a request is carried out nobody else is listened to, not even to a connection that ends. */
static bool is_held(const struct keeper *keeper)
{
        return keeper->transaction.stage != STAGE_IDLE;
}

static struct client *client_new(struct keeper *keeper, int fd)
{
        for (struct client *client = keeper->clients; client < keeper->clients + CLIENTS_MAX; client++) {
                if (client->fd >= 0) continue;
                if (!is_held(keeper) && !keeper_watch(keeper, fd, client)) break;
                *client = (struct client){ .fd = fd };
                return client;
        }
        close(fd);
        return NULL;
}

static void client_close(struct keeper *keeper, struct client *client)
{
        keeper_unwatch(keeper, client->fd);
        client->fd = -1;
}

/* Half of the places are root's: readers who hold their connections cannot keep it out. */
static bool has_place(const struct keeper *keeper, bool privileged)
{
        unsigned readers = 0;

        for (int i = 0; i < CLIENTS_MAX; i++)
                readers += keeper->clients[i].fd >= 0 && !keeper->clients[i].privileged;
        return privileged || readers < CLIENTS_MAX / 2;
}

void control_accept(struct keeper *keeper)
{
        struct ucred peer;
        socklen_t len = sizeof peer;
        int fd = accept4(keeper->listeners[1].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) return;
        bool privileged = !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) && peer.uid == 0;
        if (!has_place(keeper, privileged)) {
                close(fd);
                return;
        }
        struct client *client = client_new(keeper, fd);
        if (client) client->privileged = privileged;
}

void control_hold(struct keeper *keeper, bool hold)
{
        for (struct client *client = keeper->clients; client < keeper->clients + CLIENTS_MAX; client++) {
                if (client->fd < 0) continue;
                if (hold) epoll_ctl(keeper->epoll, EPOLL_CTL_DEL, client->fd, NULL);
                else if (!keeper_watch(keeper, client->fd, client)) client_close(keeper, client);
        }
}

/* What the loader brought is applied, or is not: at the start that decides whether there is a link at all. */
static void loaded(struct keeper *keeper, int error, const char *text)
{
        if (error) log_print(LOG_ERR, "%s", text);
        if (keeper->ready) service_reloaded(keeper, !error);
        if (keeper->ready && error) log_print(LOG_ERR, "nothing was changed");
        else if (keeper->ready) log_print(LOG_INFO, "%s was read again", keeper->options->config);
        else if (error) keeper_stop(keeper, 1);
        else keeper_ready(keeper);
}

void control_reply(struct keeper *keeper, struct client *client, int error, uint32_t line, const char *text,
                   const int *fds, unsigned fd_count)
{
        struct control_reply reply = { .magic = CONTROL_MAGIC,
                                       .version = CONTROL_VERSION,
                                       .error = error,
                                       .line = line,
                                       .generation = keeper->generation };

        if (client->loader) {
                client_close(keeper, client);
                loaded(keeper, error, text);
                return;
        }
        snprintf(reply.text, sizeof reply.text, "%s", text);
        if (control_send(client->fd, &reply, sizeof reply, fds, fd_count))
                client_close(keeper, client); /* or it waits */
}

void control_load(struct keeper *keeper)
{
        int fd = loader_start(keeper->options->config, true);
        struct client *loader = fd < 0 ? NULL : client_new(keeper, fd);

        if (loader) {
                loader->loader = loader->privileged = true;
                return;
        }
        char text[CONTROL_TEXT];
        snprintf(text, sizeof text, "%s cannot be read: %s", keeper->options->config,
                 fd < 0 ? strerror(-fd) : "too many connections to the control socket");
        loaded(keeper, EIO, text);
}

static void serve(struct keeper *keeper, struct client *client, const struct control_request *request,
                  const int fds[CONTROL_FDS])
{
        bool show = request->op == CONTROL_SHOW;

        if (request->magic != CONTROL_MAGIC || request->version != CONTROL_VERSION) {
                control_reply(keeper, client, EPROTO, 0,
                              "adit and aditd are of different versions; restart the link with the new one", NULL, 0);
        } else if (!show && !client->privileged) {
                control_reply(keeper, client, EPERM, 0, "only root may change a link or read its keys", NULL, 0);
        } else if (show || request->op == CONTROL_SHOW_SECRETS) {
                apply_show(keeper, client, !show);
        } else if (request->op == CONTROL_APPLY) {
                apply_begin(keeper, client, request, fds[0], fds[1]);
        } else if (request->op == CONTROL_DOWN) {
                control_reply(keeper, client, 0, 0, "", NULL, 0);
                keeper->asked_to_end = true;
                keeper_stop(keeper, 0);
        } else {
                control_reply(keeper, client, EINVAL, 0, "no such request", NULL, 0);
        }
}

void control_readable(struct keeper *keeper, struct client *client)
{
        union {
                struct control_request request;
                struct control_reply failure; /* of the loader */
        } in;
        int fds[CONTROL_FDS];

        ssize_t got = control_receive(client->fd, &in, sizeof in, fds, MSG_DONTWAIT);
        if (got == -EAGAIN || got == -EINTR || got == -ENOBUFS || got == -ENOMEM) return;
        if (got == sizeof in.request) {
                serve(keeper, client, &in.request, fds);
        } else if (client->loader) {
                bool said = got == sizeof in.failure;
                if (said) in.failure.text[sizeof in.failure.text - 1] = '\0';
                control_reply(keeper, client, said ? in.failure.error : EIO, 0,
                              said ? in.failure.text : "the loader ended without an answer", NULL, 0);
        } else {
                client_close(keeper, client); /* it left, or speaks something else */
        }
        control_close(fds);
}
