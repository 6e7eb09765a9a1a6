#include "daemon/keeper_state.h"

#include "daemon/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the tunnel process may ask, and what it tells. */

/* Without it the tunnel process would wait for ever. */
static void answer(struct keeper *keeper, const struct ipc_message *reply, const int *fds, unsigned count)
{
        if (!keeper_post(keeper, reply, fds, count)) return;
        log_print(LOG_ERR, "the tunnel process cannot be answered");
        keeper_stop(keeper, 1);
}

/* The old sockets are the tunnel process's to close when it has the new ones; here they are closed at once. */
static void bind_port(struct keeper *keeper, const struct ipc_message *request)
{
        struct ipc_message reply = { .type = IPC_REPLY, .id = request->id };
        struct udp_sockets sockets = { .v4 = -1, .v6 = -1 };
        int fds[IPC_FDS_MAX], count = 0;
        int error = request->request.value > UINT16_MAX
                            ? -EINVAL
                            : udp_open(&sockets, (uint16_t)request->request.value, keeper->mark);

        reply.reply.error = -error;
        if (!error) {
                udp_enable_gro(&sockets);
                reply.reply.has_v4 = sockets.v4 >= 0;
                reply.reply.has_v6 = sockets.v6 >= 0;
                reply.reply.port = sockets.port;
                reply.reply.features = sockets.features;
                if (reply.reply.has_v4) fds[count++] = sockets.v4;
                if (reply.reply.has_v6) fds[count++] = sockets.v6;
                udp_close(&keeper->sockets);
                keeper->sockets = sockets;
        }
        answer(keeper, &reply, fds, (unsigned)count);
}

/* Over the UAPI socket a mark is the user's own, and the rules follow it. That there be none is no wish where one was
 * chosen: `wg setconf` says so of every file without FwMark. A kill switch lets out what has it, so there must be one.
 * At a COMMIT the sockets have it already. */
static void set_mark(struct keeper *keeper, const struct ipc_message *request)
{
        struct ipc_message reply = { .type = IPC_REPLY, .id = request->id };
        uint32_t mark = request->request.value;
        bool user = keeper->transaction.stage != STAGE_COMMITTING;
        bool keep = user && !mark && (keeper->current.mark_chosen || keeper->current.kill_switch);
        int error = keep ? 0 : keeper_set_mark(keeper, mark);

        reply.reply.error = -error;
        answer(keeper, &reply, NULL, 0);
        if (error || keep || !user) return;
        keeper->current.fwmark = mark;
        keeper->current.mark_chosen = false;
        apply_host_again(keeper);
        renew_egress_mtu(keeper);
}

static void on_event(struct keeper *keeper, const struct ipc_message *message)
{
        switch (message->event.event) {
        case IPC_EVENT_UNANSWERED: names_unanswered(keeper, message->event.public_key); break;
        case IPC_EVENT_INTERFACE_GONE:
                log_print(LOG_INFO, "the interface was deleted");
                keeper_stop(keeper, 0);
                break;
        default: break;
        }
}

/* What the link left behind in this namespace, its rules, would lead packets nowhere. */
static void link_left(struct keeper *keeper)
{
        struct host_error error;

        if (!host_undo_to_lock(keeper->host, &error)) log_print(LOG_WARNING, "%s", error.text);
        keeper->link_away = true;
        keeper->current.dns_means = DNS_BY_NOBODY;
}

/* An index is free for others when its interface left: only one of our name is ours come back. */
static bool is_here(struct keeper *keeper, struct link_info *info)
{
        int error = host_link(keeper->host, info);

        if (!error && keeper->link_away && !strcmp(info->name, keeper->options->link)) keeper->link_away = false;
        if (error == -ENODEV && !keeper->link_away) link_left(keeper);
        return !error && !keeper->link_away;
}

void tell_link(struct keeper *keeper)
{
        struct link_info info;
        struct ipc_message message = { .type = IPC_LINK, .link.egress_mtu = keeper->egress_mtu };

        if (is_here(keeper, &info)) {
                message.link.here = 1;
                message.link.mtu = info.mtu;
                message.link.up = info.up;
        }
        keeper->link_untold = keeper_post(keeper, &message, NULL, 0) == -EAGAIN;
}

void renew_egress_mtu(struct keeper *keeper)
{
        struct host_state resolved;
        uint32_t before = keeper->egress_mtu;

        keeper->egress_due = UINT64_MAX;
        if (!apply_resolve(keeper, &keeper->current, &resolved)) return; /* no memory: the old one stands */
        keeper->egress_mtu = host_egress_mtu(keeper->host, &resolved, keeper->mark, !keeper->link_away);
        free(resolved.endpoints);
        if (keeper->egress_mtu == before) return;
        log_print(LOG_DEBUG, "the MTU of the ways to the peers is %u", keeper->egress_mtu);
        tell_link(keeper);
}

void tell_paths(struct keeper *keeper)
{
        struct ipc_message message = { .type = IPC_PATHS };

        keeper->paths_untold = keeper_post(keeper, &message, NULL, 0) == -EAGAIN;
}

static void on_tunnel_ready(struct keeper *keeper)
{
        if (keeper->tunnel_ready) { /* it may say so once */
                keeper_stop(keeper, 1);
                return;
        }
        keeper->tunnel_ready = true;
        renew_egress_mtu(keeper);
        tell_link(keeper);
        if (!keeper->options->config) keeper_ready(keeper); /* else when the configuration is applied */
}

/* What the confined process says is limited there and printed here; it is not trusted to send only text. */
static void print_line(const struct ipc_message *message)
{
        char text[IPC_TEXT];
        size_t len = 0;

        for (; len < sizeof text - 1 && message->log.text[len]; len++)
                text[len] = (message->log.text[len] & 0x7f) < ' ' || message->log.text[len] == 0x7f
                                    ? '?'
                                    : message->log.text[len];
        text[len] = '\0';
        if (message->log.level <= LOG_ERR) log_print(LOG_ERR, "%s", text);
        else log_packet(message->log.level & LOG_PRIMASK, "%s", text);
}

void tunnel_last_words(struct keeper *keeper)
{
        struct ipc_message message;
        int fds[IPC_FDS_MAX];

        while (ipc_receive(keeper->ipc, &message, fds) == 1) {
                for (int i = 0; i < IPC_FDS_MAX; i++)
                        if (fds[i] >= 0) close(fds[i]);
                if (message.type == IPC_LOG) print_line(&message);
                if (message.type == IPC_EVENT) on_event(keeper, &message); /* it ended because of what this tells */
        }
}

void serve_tunnel(struct keeper *keeper)
{
        struct ipc_message message;
        int fds[IPC_FDS_MAX];
        int got = ipc_receive(keeper->ipc, &message, fds);

        if (got == -EAGAIN) return;
        if (got != 1) {
                log_print(LOG_ERR, "the tunnel process ended%s", got < 0 ? ": it sent what it may not" : "");
                keeper_stop(keeper, 1);
                return;
        }
        for (int i = 0; i < IPC_FDS_MAX; i++) /* it has none to give */
                if (fds[i] >= 0) close(fds[i]);
        switch (message.type) {
        case IPC_READY: on_tunnel_ready(keeper); break;
        case IPC_BIND: bind_port(keeper, &message); break;
        case IPC_MARK: set_mark(keeper, &message); break;
        case IPC_RESULT: apply_result(keeper, &message); break;
        case IPC_LOG: print_line(&message); break;
        case IPC_PONG: service_pong(keeper); break;
        case IPC_EVENT: on_event(keeper, &message); break;
        default: keeper_stop(keeper, 1); /* nothing else is its to send */
        }
}
