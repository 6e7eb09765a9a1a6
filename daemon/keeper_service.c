#include "daemon/keeper_state.h"

#include "daemon/log.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The service manager: it is told when the link is up, is being reloaded and ends; and, as often as it asks for, that
 * both processes are alive. This process beats only when the tunnel process has answered: one that hangs or is stopped
 * lets the watchdog fire. */

void service_open(struct keeper *keeper)
{
        int error = notify_open(&keeper->notify);

        if (error) log_print(LOG_WARNING, "NOTIFY_SOCKET: %s; the service manager is told nothing", strerror(-error));
        if (!keeper->options->foreground && keeper->notify.fd >= 0) { /* it waits for our parent, which is to return */
                close(keeper->notify.fd);
                keeper->notify = (struct notify){ .fd = -1 };
        }
        keeper->beat_due = UINT64_MAX;
}

static void call_up(struct keeper *keeper)
{
        keeper->called_up = true;
        notify_send(&keeper->notify, "READY=1\nSTATUS=up, port %u", keeper->sockets.port);
        if (keeper->notify.watchdog) keeper->beat_due = keeper_now();
}

/* Who started us may have something to do before others may count on the link: its PostUp. */
void service_up(struct keeper *keeper)
{
        if (keeper->options->ready < 0) {
                call_up(keeper);
                return;
        }
        notify_send(&keeper->notify, "STATUS=set up, PostUp is to come");
        (void)!send(keeper->options->ready, "", 1, MSG_NOSIGNAL);
        keeper_watch(keeper, keeper->options->ready, &keeper->notify);
}

void service_started(struct keeper *keeper)
{
        char byte;
        ssize_t got = recv(keeper->options->ready, &byte, 1, MSG_DONTWAIT);

        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        keeper_unwatch(keeper, keeper->options->ready);
        if (got == 1) {
                call_up(keeper);
                return;
        }
        log_print(LOG_ERR, "what was to be done once the link is up has failed: the link is taken down");
        keeper_stop(keeper, 1);
}

void service_reloading(struct keeper *keeper)
{
        struct timespec at;

        if (!keeper->called_up) return;
        clock_gettime(CLOCK_MONOTONIC, &at);
        notify_send(&keeper->notify, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reading the file again",
                    (unsigned long long)at.tv_sec * 1000000 + (unsigned long long)at.tv_nsec / 1000);
}

void service_reloaded(struct keeper *keeper, bool good)
{
        if (!keeper->called_up) return;
        notify_send(&keeper->notify, "READY=1\nSTATUS=up, port %u%s", keeper->sockets.port,
                    good ? "" : "; the file was read again, and is wrong: nothing was changed");
}

void service_stopping(struct keeper *keeper)
{
        notify_send(&keeper->notify, "STOPPING=1\nSTATUS=taking the link down");
}

/* One question at a time: a tunnel process that is stopped would find its queue full of them. */
void service_tick(struct keeper *keeper)
{
        struct ipc_message ping = { .type = IPC_PING };
        uint64_t now = keeper_now();

        if (keeper->beat_due > now) return;
        keeper->beat_due = now + keeper->notify.watchdog / 2;
        if (!keeper->beat_awaited) keeper->beat_awaited = !keeper_post(keeper, &ping, NULL, 0);
}

void service_pong(struct keeper *keeper)
{
        if (!keeper->beat_awaited) { /* it may answer, and no more */
                keeper_stop(keeper, 1);
                return;
        }
        keeper->beat_awaited = false;
        notify_send(&keeper->notify, "WATCHDOG=1");
}
