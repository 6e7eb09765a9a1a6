#include "daemon/keeper_state.h"

#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { END_WAIT_MS = 2000, END_STEP_MS = 5 };
enum { EVENTS = 16, RETRY_MS = 500, RETRY = RETRY_MS * 1000000 /* ns */, WAIT_TRIES = 100 };
/* Of routes that change all the time, and with thousands of endpoints, a look once in a while must do. */
enum { EGRESS_DELAY = 500000000 /* ns */ };

uint64_t keeper_now(void)
{
        struct timespec at;

        clock_gettime(CLOCK_BOOTTIME, &at);
        return (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
}

bool keeper_watch(struct keeper *keeper, int fd, void *source)
{
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = source };

        if (!epoll_ctl(keeper->epoll, EPOLL_CTL_ADD, fd, &event)) return true;
        log_print(LOG_ERR, "waiting for a descriptor: %s", strerror(errno));
        return false;
}

int keeper_set_mark(struct keeper *keeper, uint32_t mark)
{
        int error = mark == keeper->mark ? 0 : udp_set_mark(&keeper->sockets, mark);

        if (error) udp_set_mark(&keeper->sockets, keeper->mark);
        else keeper->mark = mark;
        return error;
}

void keeper_unwatch(struct keeper *keeper, int fd)
{
        epoll_ctl(keeper->epoll, EPOLL_CTL_DEL, fd, NULL);
        close(fd);
}

void keeper_stop(struct keeper *keeper, int status)
{
        if (!keeper->stop) {
                keeper->status = status;
                service_stopping(keeper);
        }
        keeper->stop = true;
}

/* A tunnel process that is stopped or slow is no reason to end: its queue holds a hundred messages. */
int keeper_post(struct keeper *keeper, const struct ipc_message *message, const int *fds, unsigned count)
{
        int error = ipc_send(keeper->ipc, message, fds, count);

        if (error && error != -EAGAIN) {
                tunnel_last_words(keeper);
                keeper_stop(keeper, 1);
        }
        return error;
}

void keeper_to_background(void)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        for (int fd = 0; null >= 0 && fd < 3; fd++)
                dup2(null, fd);
        if (null > 2) close(null);
}

void keeper_ready(struct keeper *keeper)
{
        keeper->ready = true;
        log_print(LOG_INFO, "ready, port %u", keeper->sockets.port);
        if (keeper->options->foreground) {
                service_up(keeper);
                return;
        }
        keeper_to_background();
        log_open_syslog(keeper->options->link, log_level());
        (void)!write(keeper->options->ready, "", 1);
        close(keeper->options->ready);
}

/* ---- What the system tells ----------------------------------------------------------------------------------------
 */

static void on_signal(struct keeper *keeper)
{
        struct signalfd_siginfo info;

        while (read(keeper->signals, &info, sizeof info) == sizeof info) {
                if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
                        keeper->asked_to_end = true;
                        keeper_stop(keeper, 0);
                }
                if (info.ssi_signo == SIGHUP && keeper->options->config) {
                        service_reloading(keeper);
                        control_load(keeper);
                }
        }
        for (pid_t child; (child = waitpid(-1, NULL, WNOHANG)) > 0;) {
                names_reaped(keeper, child);
                if (child != keeper->tunnel) continue; /* a loader or a resolver: its descriptor tells the rest */
                keeper->tunnel = 0;
                tunnel_last_words(keeper);
                if (!keeper->stop) log_print(LOG_ERR, "the tunnel process died");
                keeper_stop(keeper, 1);
        }
}

static void on_link(struct keeper *keeper)
{
        struct netlink_news news = { .on_loss = drift_lost, .arg = keeper };
        int error = netlink_watch_read(keeper->links, keeper->ifindex, &news);

        if (error || news.changed) tell_link(keeper); /* an error: it left this namespace, or news was lost */
        if (news.paths) {
                tell_paths(keeper);
                if (keeper->egress_due == UINT64_MAX) keeper->egress_due = keeper_now() + EGRESS_DELAY;
        }
        /* Down, it lost its routes; they are put back when it is up. */
        if (news.changed && news.link.was_down) {
                keeper->host_due = true;
                keeper->drift.lost = 0;
        }
        if (error == -ENOBUFS) drift_suspect(keeper);
        if (keeper->host_due) apply_host_again(keeper);
}

static void on_files(struct keeper *keeper)
{
        char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
        ssize_t got;

        while ((got = read(keeper->files, events, sizeof events)) > 0) {
                const struct inotify_event *event;
                for (const char *at = events; at < events + got; at += sizeof *event + event->len) {
                        event = (const struct inotify_event *)(const void *)at;
                        bool named = event->len && !strcmp(event->name, HOST_WATCH_NAME);
                        if (named) host_watch_values(keeper->files);
                        if (named || event->mask & (IN_MODIFY | IN_Q_OVERFLOW)) drift_written(keeper);
                }
        }
        for (int i = 0; i < 2; i++) {
                if (!listener_is_gone(&keeper->listeners[i])) continue;
                log_print(LOG_INFO, "%s was removed", keeper->listeners[i].path);
                keeper_stop(keeper, 0);
                return;
        }
}

static void dispatch(struct keeper *keeper, void *source)
{
        struct client *client = source;
        uint64_t expirations;

        if (source == &keeper->ipc) serve_tunnel(keeper);
        else if (source == &keeper->signals) on_signal(keeper);
        else if (source == &keeper->links) on_link(keeper);
        else if (source == &keeper->ruleset) guard_readable(keeper);
        else if (source == &keeper->files) on_files(keeper);
        else if (source == &keeper->listeners[1]) control_accept(keeper);
        else if (source == &keeper->timer) (void)!read(keeper->timer, &expirations, sizeof expirations);
        else if (source == &keeper->notify) service_started(keeper);
        else if (names_own(keeper, source)) names_readable(keeper, source);
        else if (client->fd >= 0 && keeper->transaction.stage == STAGE_IDLE) control_readable(keeper, client);
}

/* How long to wait at most, in ms: the timer wakes us. */
static int arm(struct keeper *keeper)
{
        uint64_t deadline = names_deadline(keeper);

        if (keeper->egress_due < deadline) deadline = keeper->egress_due;
        if (keeper->beat_due < deadline) deadline = keeper->beat_due;
        if (keeper->guard_due < deadline) deadline = keeper->guard_due;
        if (keeper->transaction.stage == STAGE_RESOLVING && keeper->transaction.deadline < deadline)
                deadline = keeper->transaction.deadline;
        if (keeper->drift.due < deadline) deadline = keeper->drift.due;
        if ((keeper->link_untold || keeper->paths_untold) && deadline > keeper_now() + RETRY)
                deadline = keeper_now() + RETRY;
        struct itimerspec at = { 0 };

        if (deadline != UINT64_MAX) {
                at.it_value.tv_sec = (time_t)(deadline / 1000000000);
                at.it_value.tv_nsec = (long)(deadline % 1000000000) + !deadline;
        }
        return timerfd_settime(keeper->timer, TFD_TIMER_ABSTIME, &at, NULL) ? RETRY_MS : -1;
}

/* One failure is no reason to end a link. */
static int wait_for_events(struct keeper *keeper, struct epoll_event *events)
{
        const struct timespec step = { .tv_nsec = END_STEP_MS * 1000000L };
        int count = -1;

        for (int tries = 0; count < 0 && tries < WAIT_TRIES; tries++) {
                count = epoll_wait(keeper->epoll, events, EVENTS, arm(keeper));
                if (count < 0 && errno == EINTR) count = 0;
                if (count < 0) nanosleep(&step, NULL);
        }
        if (count >= 0) return count;
        log_print(LOG_ERR, "waiting for events: %s", strerror(errno));
        keeper_stop(keeper, 1);
        return 0;
}

static void loop(struct keeper *keeper)
{
        struct epoll_event events[EVENTS];

        while (!keeper->stop) {
                int count = wait_for_events(keeper, events);
                for (int i = 0; i < count && !keeper->stop; i++)
                        dispatch(keeper, events[i].data.ptr);
                names_tick(keeper);
                service_tick(keeper);
                apply_resolved(keeper);
                guard_tick(keeper);
                drift_tick(keeper);
                if (keeper->egress_due <= keeper_now()) renew_egress_mtu(keeper);
                if (keeper->link_untold) tell_link(keeper);
                if (keeper->paths_untold) tell_paths(keeper);
        }
}

/* ---- End -----------------------------------------------------------------------------------------------------------
 */

/* The tunnel process ends when the socketpair does. One that is stopped outlives this process, which may not kill it:
 * its death signal would be sent with the rights of who died. */
static void end_tunnel(struct keeper *keeper)
{
        struct ipc_message stop = { .type = IPC_STOP };
        const struct timespec step = { .tv_nsec = END_STEP_MS * 1000000L };

        if (keeper->ipc >= 0) {
                ipc_send(keeper->ipc, &stop, NULL, 0);
                close(keeper->ipc);
        }
        for (int waited = 0; keeper->tunnel > 0 && waited < END_WAIT_MS; waited += END_STEP_MS) {
                if (waitpid(keeper->tunnel, NULL, WNOHANG)) return;
                nanosleep(&step, NULL);
        }
}

/* A kill switch is lifted for whoever takes the link down. An end of any other kind leaves it in force, and that is
 * said. It is a failure, also when the interface was deleted: after a success the service manager would not start the
 * link again, but run `adit down`, which lifts it. */
static void undo_host(struct keeper *keeper)
{
        struct host_error error;
        const char *link = keeper->options->link;
        bool lift = keeper->asked_to_end;
        bool undone = lift ? host_undo(keeper->host, &error) : host_undo_to_lock(keeper->host, &error);

        if (!undone) log_print(LOG_ERR, "%s", error.text);
        if (lift || !host_locked(keeper->host)) return;
        if (!keeper->status) keeper->status = EXIT_FAILURE;
        log_print(LOG_WARNING, "the kill switch stays in force: adit up %s goes on, adit down %s lifts it",
                  link, link);
}

static void close_all(struct keeper *keeper)
{
        names_stop(keeper);
        if (keeper->host) undo_host(keeper);
        end_tunnel(keeper);
        if (keeper->host) host_close(keeper->host);
        if (keeper->tun.fd >= 0) close(keeper->tun.fd); /* the interface goes with its last descriptor */
        udp_close(&keeper->sockets);
        for (int i = 0; i < 2; i++)
                listener_close(&keeper->listeners[i]);
        claim_drop(&keeper->claim);
}

int keeper_run(const struct keeper_options *options)
{
        static struct keeper keeper = { .tun.fd = -1,
                                        .sockets = { .v4 = -1, .v6 = -1 },
                                        .claim.fd = -1,
                                        .listeners = { { .fd = -1 }, { .fd = -1 } },
                                        .ipc = -1,
                                        .egress_due = UINT64_MAX,
                                        .guard_due = UINT64_MAX,
                                        .ruleset = -1,
                                        .drift.due = UINT64_MAX,
                                        .transaction = { .status = -1, .text = -1 } };

        keeper.options = options;
        keeper.status = EXIT_FAILURE;
        for (int i = 0; i < CLIENTS_MAX; i++)
                keeper.clients[i].fd = -1;
        bool started = keeper_start(&keeper);
        if (started) loop(&keeper);
        close_all(&keeper);
        if (started && keeper.ready) log_print(LOG_INFO, "ended");
        return keeper.status;
}
