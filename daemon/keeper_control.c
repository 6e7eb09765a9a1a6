#include "daemon/keeper_state.h"

#include "daemon/loader.h"
#include "daemon/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS = 2 };

static struct client *client_new(struct keeper *keeper, int fd)
{
        for (struct client *client = keeper->clients; client < keeper->clients + CLIENTS_MAX; client++) {
                if (client->fd >= 0) continue;
                *client = (struct client){ .fd = fd };
                keeper_watch(keeper, fd, client);
                return client;
        }
        close(fd);
        return NULL;
}

static void client_close(struct keeper *keeper, struct client *client)
{
        apply_client_gone(keeper, client);
        for (struct client *other = keeper->clients; other < keeper->clients + CLIENTS_MAX; other++)
                if (other->fd >= 0 && other->behalf == client) other->behalf = NULL;
        close(client->fd);
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
                struct epoll_event event = { .events = hold ? 0 : EPOLLIN, .data.ptr = client };
                if (client->fd >= 0) epoll_ctl(keeper->epoll, EPOLL_CTL_MOD, client->fd, &event);
        }
}

static void send_reply(struct client *client, const struct control_reply *reply, const int *fds, unsigned fd_count)
{
        struct iovec piece = { (void *)(uintptr_t)reply, sizeof *reply };
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(FDS * sizeof(int))];
        } control = { 0 };
        struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

        if (fd_count) {
                message.msg_control = control.bytes;
                message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
                struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
                rights->cmsg_level = SOL_SOCKET;
                rights->cmsg_type = SCM_RIGHTS;
                rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
                memcpy(CMSG_DATA(rights), fds, fd_count * sizeof(int));
        }
        (void)!sendmsg(client->fd, &message, MSG_NOSIGNAL); /* a client that left needs no answer */
}

/* The end of a reload: at the start it decides whether there is a link at all. */
static void loaded(struct keeper *keeper, struct client *loader, int error, uint32_t line, const char *text)
{
        struct client *behalf = loader->behalf;

        if (error) log_print(LOG_ERR, "%s", text);
        else if (keeper->ready)
                log_print(LOG_INFO, "%s was read again", keeper->options->config);
        if (behalf) control_reply(keeper, behalf, error, line, text, NULL, 0);
        else if (error && keeper->ready)
                log_print(LOG_ERR, "nothing was changed");
        client_close(keeper, loader);
        if (keeper->ready) return;
        if (error) keeper_stop(keeper, 1);
        else
                keeper_ready(keeper);
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
                loaded(keeper, client, error, line, text);
                return;
        }
        snprintf(reply.text, sizeof reply.text, "%s", text);
        send_reply(client, &reply, fds, fd_count);
}

void control_reload(struct keeper *keeper, struct client *behalf)
{
        pid_t child;

        if (!keeper->options->config) {
                if (behalf)
                        control_reply(
                                keeper, behalf, ENOENT, 0,
                                "this link was started without a configuration file; give the file: adit reload FILE",
                                NULL, 0);
                return;
        }
        int fd = loader_start(keeper->options->config, &child);
        struct client *loader = fd < 0 ? NULL : client_new(keeper, fd);
        if (loader) {
                loader->loader = loader->privileged = true;
                loader->behalf = behalf;
        } else if (behalf) {
                control_reply(keeper, behalf, fd < 0 ? -fd : EBUSY, 0, "the loader could not be started", NULL, 0);
        }
}

static void serve(struct keeper *keeper, struct client *client, const struct control_request *request,
                  const int fds[FDS])
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
        } else if (request->op == CONTROL_RELOAD) {
                control_reload(keeper, client);
        } else if (request->op == CONTROL_DOWN) {
                control_reply(keeper, client, 0, 0, "", NULL, 0);
                keeper_stop(keeper, 0);
        } else {
                control_reply(keeper, client, EINVAL, 0, "no such request", NULL, 0);
        }
}

static void take_fds(struct msghdr *message, int fds[FDS])
{
        for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part))
                if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS)
                        memcpy(fds, CMSG_DATA(part), part->cmsg_len - CMSG_LEN(0)); /* the buffer bounds it to FDS */
}

void control_readable(struct keeper *keeper, struct client *client)
{
        union {
                struct control_request request;
                struct control_reply failure; /* of the loader */
                char bytes[1024];
        } in;
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(FDS * sizeof(int))];
        } control;
        struct iovec piece = { &in, sizeof in };
        struct msghdr message = {
                .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
        };
        int fds[FDS] = { -1, -1 };

        ssize_t got = recvmsg(client->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got > 0) take_fds(&message, fds);
        if (got == sizeof in.request && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
                serve(keeper, client, &in.request, fds);
        } else if (client->loader) {
                bool said = got == sizeof in.failure;
                if (said) in.failure.text[sizeof in.failure.text - 1] = '\0';
                control_reply(keeper, client, said ? in.failure.error : EIO, 0,
                              said ? in.failure.text : "the loader ended without an answer", NULL, 0);
        } else {
                client_close(keeper, client); /* it left, or speaks something else */
        }
        for (int i = 0; i < FDS; i++)
                if (fds[i] >= 0) close(fds[i]);
}
