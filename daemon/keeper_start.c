#include "daemon/keeper_state.h"

#include "daemon/log.h"
#include "daemon/tunnel.h"
#include "kernel-iface/rights.h"
#include "kernel-iface/sysctl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Everything that needs rights, each with what a person can do when it fails. */

static bool fail(const char *what, int error, const char *remedy)
{
        log_print(LOG_ERR, "%s: %s%s%s", what, strerror(error < 0 ? -error : error), *remedy ? "; " : "", remedy);
        return false;
}

static bool open_interface(struct keeper *keeper)
{
        const char *link = keeper->options->link;
        int error = tun_open(&keeper->tun, link);

        if (!error) {
                keeper->tun.offloads = tun_probe_offloads(keeper->tun.fd);
                keeper->merge = tun_probe_writes(keeper->tun.fd);
                return true;
        }
        if (error == -ENOENT)
                return fail("/dev/net/tun", error, "load the tun module, or give this container the device");
        if (error == -EBUSY || error == -EEXIST)
                return fail("an interface of this name exists", error, "choose another name, or delete that one");
        if (error == -EPERM) return fail("the interface cannot be made", error, "run as root, with CAP_NET_ADMIN");
        return fail("the interface cannot be made", error, "");
}

static bool take_claim(struct keeper *keeper)
{
        int error = claim_take(&keeper->claim, keeper->options->link);

        if (error == -EADDRINUSE) return fail(keeper->claim.path, error, "a link of this name is up already");
        return !error ||
               fail(keeper->claim.path, error,
                    error == -EBUSY ? "another aditd of this name starts or ends, or repairs; try again" : "");
}

static bool open_listener(struct keeper *keeper, int which, const char *folder, int type, bool group, const char *taken)
{
        struct listener *listener = &keeper->listeners[which];
        int error = listener_open(listener, folder, keeper->options->link, type, group);

        return !error || fail(listener->path, error, error == -EADDRINUSE ? taken : "");
}

static bool open_sockets(struct keeper *keeper)
{
        if (!open_listener(keeper, 1, CONTROL_DIRECTORY, SOCK_SEQPACKET, true, "a link of this name is up already"))
                return false;
        if (!open_listener(keeper, 0, UAPI_DIRECTORY, SOCK_STREAM, false,
                           "another WireGuard implementation has a link of this name"))
                return false;
        int error = udp_open(&keeper->sockets, 0, 0);
        if (error) return fail("UDP sockets", error, "");
        udp_enable_gro(&keeper->sockets);
        keeper->files = listener_watch(keeper->listeners, 2);
        return keeper->files >= 0 || fail("inotify", keeper->files, "");
}

/* What every WireGuard interface has until somebody sets another: 1500 less 80. */
static int set_default_mtu(int ifindex)
{
        int error;
        struct netlink *netlink = netlink_open(&error);

        if (!netlink) return error;
        error = netlink_set_link(netlink, ifindex, MTU_DEFAULT, false);
        netlink_close(netlink);
        return error;
}

static void tell_undone(void *arg, const char *step, bool removed)
{
        (void)arg;
        log_print(LOG_INFO, "a crash left its state behind: %s %s", removed ? "removed" : "set back", step);
}

static bool open_host(struct keeper *keeper)
{
        static const struct host_teller teller = { .tell = tell_undone };
        char journal[128];
        struct host_error error;
        struct link_info info = { 0 };

        snprintf(journal, sizeof journal, "%s/%s.state", CONTROL_DIRECTORY, keeper->options->link);
        keeper->host = host_open(keeper->options->link, journal, &teller, &error);
        if (!keeper->host) {
                log_print(LOG_ERR, "%s", error.text);
                return false;
        }
        int failed = host_link(keeper->host, &info);
        if (failed) return fail("the interface cannot be read", failed, "");
        keeper->ifindex = info.ifindex;
        sysctl_close(keeper->options->link);
        failed = set_default_mtu(info.ifindex);
        if (failed) return fail("the interface's MTU cannot be set", failed, "");
        keeper->links = host_watch(keeper->host);
        host_watch_values(keeper->files);
        return keeper->links >= 0 || fail("netlink", keeper->links, "");
}

static bool open_loop(struct keeper *keeper)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        sigaddset(&set, SIGCHLD);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signal(SIGPIPE, SIG_IGN);
        keeper->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        keeper->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
        keeper->epoll = epoll_create1(EPOLL_CLOEXEC);
        for (int i = 0; i < 2; i++) {
                keeper->pools[i].size = HOST_POOL;
                keeper->pools[i].base = mmap(NULL, HOST_POOL, PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
                if (keeper->pools[i].base == MAP_FAILED) return fail("memory", errno, "");
        }
        keeper->names = calloc(NAMES_MAX, sizeof *keeper->names);
        return (keeper->signals >= 0 && keeper->timer >= 0 && keeper->epoll >= 0 && keeper->names) ||
               fail("event loop", errno, "");
}

/* Forked before any key is read: no key is ever in the keeper's memory, not even in a page that it shares. */
static bool fork_tunnel(struct keeper *keeper)
{
        int pair[2];
        struct link_info info = { 0 };
        struct tunnel_start start = { 0 };
        int error = ipc_pair(pair);

        if (error) return fail("socketpair", error, "");
        host_link(keeper->host, &info);
        start.ipc = pair[1];
        start.tun = keeper->tun.fd;
        start.merge = keeper->merge;
        start.uapi = keeper->listeners[0].fd;
        start.sockets = keeper->sockets;
        start.mtu = info.mtu;
        start.link_index = (uint32_t)info.ifindex;
        tunnel_identity(keeper->options->link, &start.uid, &start.gid);
        keeper->tunnel = fork();
        if (keeper->tunnel < 0) return fail("fork", errno, "");
        if (!keeper->tunnel) {
                if (!keeper->options->foreground) keeper_to_background();
                _exit(tunnel_run(&start));
        }
        close(pair[1]);
        keeper->ipc = pair[0];
        return true;
}

static bool confine(void)
{
        struct rights_error error;

        return !keeper_confine(&error) ||
               fail(error.step, error.error, "aditd must be started by root with all its capabilities");
}

static bool watch_all(struct keeper *keeper)
{
        return keeper_watch(keeper, keeper->ipc, &keeper->ipc) &&
               keeper_watch(keeper, keeper->signals, &keeper->signals) &&
               keeper_watch(keeper, keeper->links, &keeper->links) &&
               keeper_watch(keeper, keeper->files, &keeper->files) &&
               keeper_watch(keeper, keeper->timer, &keeper->timer) &&
               keeper_watch(keeper, keeper->listeners[1].fd, &keeper->listeners[1]);
}

/* The files are read by a child that is forked while all of root's rights are there: they may lie in a user's folder.
 * Its answer waits until the loop runs. */
bool keeper_start(struct keeper *keeper)
{
        service_open(keeper);
        if (!(open_loop(keeper) && take_claim(keeper) && open_sockets(keeper) && open_interface(keeper) &&
              open_host(keeper) && fork_tunnel(keeper) && watch_all(keeper)))
                return false;
        if (keeper->options->config) control_load(keeper);
        return confine();
}
