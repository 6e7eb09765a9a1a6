#include "daemon/tunnel_state.h"

#include "daemon/log.h"
#include "kernel-iface/rights.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

static void close_fds(const int fds[IPC_FDS_MAX])
{
        for (int i = 0; i < IPC_FDS_MAX; i++)
                if (fds[i] >= 0) close(fds[i]);
}

/* Without its keeper this process ends: it can do nothing for itself. */
static void keeper_gone(struct tunnel *tunnel)
{
        tunnel->stop = true;
}

static void wait_for(struct tunnel *tunnel, short events)
{
        struct pollfd one = { .fd = tunnel->ipc, .events = events };

        poll(&one, 1, -1);
}

/* Requests and answers wait for room; the keeper never waits for this process, so it makes some. */
static void post(struct tunnel *tunnel, const struct ipc_message *message)
{
        int error;

        while ((error = ipc_send(tunnel->ipc, message, NULL, 0)) == -EAGAIN)
                wait_for(tunnel, POLLOUT);
        if (error) keeper_gone(tunnel);
}

/* What may be lost rather than hold up packets: log lines and events. */
static void mention(struct tunnel *tunnel, const struct ipc_message *message)
{
        int error = ipc_send(tunnel->ipc, message, NULL, 0);

        if (error && error != -EAGAIN) keeper_gone(tunnel);
}

static void answer(struct tunnel *tunnel, uint32_t id, int failed, const struct conf_error *error)
{
        struct ipc_message message = { .type = IPC_RESULT, .id = id };

        message.result.error = failed;
        if (failed) {
                message.result.line = error->line;
                snprintf(message.result.text, sizeof message.result.text, "%s", error->text);
        }
        post(tunnel, &message);
}

/* The whole of a memfd; false: it cannot be read or does not fit. */
static bool read_text(struct tunnel *tunnel, int fd)
{
        tunnel->text.used = 0;
        for (;;) {
                size_t room = tunnel->text.size - tunnel->text.used;
                ssize_t got = pread(fd, tunnel->text.text + tunnel->text.used, room, (off_t)tunnel->text.used);
                if (got == 0) return true;
                if (got < 0 || (size_t)got == room) return false;
                tunnel->text.used += (size_t)got;
        }
}

enum { TEXT_KEEP = 64 << 10 };

static void wipe_text(struct tunnel *tunnel)
{
        size_t used = tunnel->text.used < tunnel->text.size ? tunnel->text.used : tunnel->text.size;

        sodium_memzero(tunnel->text.text, used);
        if (used > TEXT_KEEP) key_arena_trim(tunnel->text.text, used, TEXT_KEEP);
        tunnel->text.used = 0;
}

static void forget(struct tunnel *tunnel)
{
        config_forget(&tunnel->held_pool);
        tunnel->held = NULL;
}

static void prepare(struct tunnel *tunnel, uint32_t id, int fd)
{
        struct conf_error error = { .text = "the configuration could not be read, or is larger than a link takes" };
        int failed = EFBIG;

        forget(tunnel);
        struct conf *conf = pool_alloc(&tunnel->held_pool, sizeof *conf);
        if (conf && fd >= 0 && read_text(tunnel, fd)) {
                failed = EINVAL;
                if (uapi_parse_set(conf, &tunnel->held_pool, UAPI_ADIT, tunnel->text.text, tunnel->text.used, &error))
                        failed = device_check(&tunnel->device, conf, &error);
        }
        wipe_text(tunnel);
        if (failed) forget(tunnel);
        else tunnel->held = conf;
        answer(tunnel, id, failed, &error);
}

/* `mark` is the keeper's: the configured one, or one that it chose; its sockets have it. */
static void commit(struct tunnel *tunnel, uint32_t id, uint32_t mark)
{
        struct conf_error error = { .text = "nothing was prepared" };
        int failed = EINVAL;

        if (tunnel->held) {
                tunnel->held->fwmark = mark;
                tunnel->held->flags |= CONF_HAS_FWMARK;
                failed = config_commit(tunnel, tunnel->held, UAPI_ADIT, &error);
        }
        forget(tunnel);
        answer(tunnel, id, failed, &error);
}

static void status(struct tunnel *tunnel, uint32_t id, int fd, bool secrets)
{
        struct conf_error error = { .text = "the status could not be written" };
        size_t done = 0;

        tunnel->device.kernel_drops = tunnel->plane.kernel_drops;
        tunnel->text.used = 0;
        device_status(&tunnel->device, UAPI_ADIT, secrets, &tunnel->text);
        bool fits = fd >= 0 && tunnel->text.used < tunnel->text.size;
        while (fits && done < tunnel->text.used) {
                ssize_t wrote = write(fd, tunnel->text.text + done, tunnel->text.used - done);
                if (wrote <= 0) break;
                done += (size_t)wrote;
        }
        int failed = fits && done == tunnel->text.used ? 0 : EIO;
        wipe_text(tunnel);
        answer(tunnel, id, failed, &error);
}

static void set_endpoint(struct tunnel *tunnel, const struct ipc_message *message)
{
        struct key public_key;
        char text[LOG_PEER];

        memcpy(public_key.bytes, message->endpoint.public_key, KEY_LEN);
        struct peer *peer = engine_peer_find(tunnel->engine, &public_key);
        if (!peer) return; /* removed meanwhile */
        if (!message->endpoint.replace && engine_peer_remote(peer)->family) return;
        engine_peer_set_endpoint(peer, &message->endpoint.address);
        log_print(LOG_INFO, "%s: endpoint resolved",
                  log_peer(engine_peer_name(peer), &public_key, engine_peer_remote(peer), text));
}

enum { PATHS_TOLD_MS = 1000 };

/* The way to a peer may be another now: the kernel chooses the source anew, and the peer's next packet makes it stick
 * again. Who keeps it alive, or calls it, says so at once; of routes that change all the time, once a second. */
static void forget_sources(struct tunnel *tunnel)
{
        uint64_t now = moment_now().now, due = tunnel->paths_told + PATHS_TOLD_MS * 1000000ull;

        if (due <= now) due = tunnel->paths_told = now;
        for (struct peer *peer = NULL; (peer = engine_peer_next(tunnel->engine, peer));) {
                engine_peer_clear_source(peer);
                engine_peer_hasten(peer, due);
        }
}

static void set_link(struct tunnel *tunnel, const struct ipc_message *message)
{
        tunnel->link_here = message->link.here;
        tunnel->plane.link_index = message->link.here ? tunnel->link_index : 0;
        tunnel->device.mtu = message->link.mtu;
        engine_set_egress_mtu(tunnel->engine, message->link.egress_mtu);
        if (!message->link.here) return; /* the main loop asks the TUN itself */
        if (message->link.mtu) engine_set_mtu(tunnel->engine, message->link.mtu);
        config_set_up(tunnel, message->link.up);
}

static void pong(struct tunnel *tunnel)
{
        struct ipc_message message = { .type = IPC_PONG };

        post(tunnel, &message);
}

void obey_keeper(struct tunnel *tunnel, struct ipc_message *message, int fds[IPC_FDS_MAX])
{
        switch (message->type) {
        case IPC_PREPARE: prepare(tunnel, message->id, fds[0]); break;
        case IPC_COMMIT: commit(tunnel, message->id, message->request.value); break;
        case IPC_ABORT: forget(tunnel); break;
        case IPC_STATUS: status(tunnel, message->id, fds[0], message->request.value); break;
        case IPC_LINK: set_link(tunnel, message); break;
        case IPC_ENDPOINT: set_endpoint(tunnel, message); break;
        case IPC_PATHS: forget_sources(tunnel); break;
        case IPC_PING: pong(tunnel); break;
        case IPC_STOP: tunnel->stop = true; break;
        default: break; /* a late IPC_REPLY */
        }
        close_fds(fds);
}

/* Messages that came while an answer was awaited; handling one may defer others. */
void run_deferred(struct tunnel *tunnel)
{
        while (tunnel->deferred_count) {
                struct deferred first = tunnel->deferred[0];
                memmove(tunnel->deferred, tunnel->deferred + 1, --tunnel->deferred_count * sizeof first);
                obey_keeper(tunnel, &first.message, first.fds);
        }
}

void serve_keeper(struct tunnel *tunnel)
{
        struct ipc_message message;
        int fds[IPC_FDS_MAX];

        run_deferred(tunnel); /* what came before */
        int got = ipc_receive(tunnel->ipc, &message, fds);
        if (got == 1) obey_keeper(tunnel, &message, fds);
        else if (got != -EAGAIN) keeper_gone(tunnel);
}

/* News of the host, and a question whether we live, change nothing that a caller of ask() is in the middle of, and
 * there may be much of it. */
static bool is_news(const struct ipc_message *message)
{
        return message->type == IPC_LINK || message->type == IPC_PATHS || message->type == IPC_ENDPOINT ||
               message->type == IPC_PING || message->type == IPC_STOP;
}

static void defer(struct tunnel *tunnel, const struct ipc_message *message, int fds[IPC_FDS_MAX])
{
        if (tunnel->deferred_count == DEFERRED_MAX) { /* the keeper has one request under way at a time */
                close_fds(fds);
                keeper_gone(tunnel);
                return;
        }
        struct deferred *later = &tunnel->deferred[tunnel->deferred_count++];
        later->message = *message;
        memcpy(later->fds, fds, sizeof later->fds);
}

/* The keeper never waits for this process, so waiting for it here cannot deadlock. What else it sends meanwhile is
 * obeyed at once if it is news, or kept for the main loop. */
static int ask(struct tunnel *tunnel, struct ipc_message *request, struct ipc_message *reply, int fds[IPC_FDS_MAX])
{
        request->id = ++tunnel->next_id;
        post(tunnel, request);
        while (!tunnel->stop) {
                int got = ipc_receive(tunnel->ipc, reply, fds);
                if (got == -EAGAIN) wait_for(tunnel, POLLIN);
                else if (got != 1) keeper_gone(tunnel);
                else if (reply->type == IPC_REPLY && reply->id == request->id) return reply->reply.error;
                else if (is_news(reply)) obey_keeper(tunnel, reply, fds);
                else defer(tunnel, reply, fds);
        }
        return EPIPE;
}

int ask_bind(struct tunnel *tunnel, uint16_t port, struct udp_sockets *out)
{
        struct ipc_message request = { .type = IPC_BIND, .request.value = port }, reply;
        int fds[IPC_FDS_MAX];
        int failed = ask(tunnel, &request, &reply, fds);

        if (failed) return failed;
        int next = 0;
        out->v4 = reply.reply.has_v4 ? fds[next++] : -1;
        out->v6 = reply.reply.has_v6 ? fds[next++] : -1;
        out->port = (uint16_t)reply.reply.port;
        out->features = reply.reply.features;
        return 0;
}

int ask_mark(struct tunnel *tunnel, uint32_t mark)
{
        struct ipc_message request = { .type = IPC_MARK, .request.value = mark }, reply;
        int fds[IPC_FDS_MAX];

        return ask(tunnel, &request, &reply, fds);
}

void tell_event(struct tunnel *tunnel, enum ipc_event event, const struct key *public_key)
{
        struct ipc_message message = { .type = IPC_EVENT, .event.event = event };

        if (public_key) memcpy(message.event.public_key, public_key->bytes, KEY_LEN);
        mention(tunnel, &message);
}

void tell_log(void *context, int level, const char *text)
{
        struct ipc_message message = { .type = IPC_LOG };

        message.log.level = level;
        snprintf(message.log.text, sizeof message.log.text, "%s", text);
        mention(context, &message);
}
