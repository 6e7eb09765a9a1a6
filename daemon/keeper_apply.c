#include "daemon/keeper_state.h"

#include "daemon/conf/handover.h"
#include "daemon/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const uint64_t RESOLVE_TIME = 10000000000; /* ns */

/* A configuration is applied in three steps, so that it is whole or not at all: the tunnel process parses and checks it
 * (PREPARE); the host's state is changed, all or nothing; the tunnel process takes it over (COMMIT). When that last one
 * fails, for a port that is taken, the host's state goes back to what it was. */

static const char *no_answer(const struct keeper *keeper)
{
        return keeper->stop ? "the tunnel process ended; the log says why"
                            : "the tunnel process does not answer; try again, or take the link down";
}

static void finish(struct keeper *keeper, int error, uint32_t line, const char *text, const int *fds, unsigned fd_count)
{
        struct client *client = keeper->transaction.client;
        bool named = keeper->transaction.named;

        if (keeper->transaction.status >= 0) close(keeper->transaction.status);
        if (keeper->transaction.text >= 0) close(keeper->transaction.text);
        keeper->transaction = (struct transaction){ .status = -1, .text = -1 };
        if (named) names_set(keeper, &keeper->current, false); /* nothing came of it */
        if (client) control_reply(keeper, client, error, line, text, fds, fd_count);
        control_hold(keeper, false);
        if (keeper->host_due) apply_host_again(keeper);
}

/* False: the tunnel process takes no more messages. */
static bool ask(struct keeper *keeper, enum stage stage, uint32_t type, uint32_t value, int fd)
{
        struct ipc_message message = { .type = type, .id = ++keeper->next_id, .request.value = value };

        keeper->transaction.stage = stage;
        keeper->transaction.id = message.id;
        return !keeper_post(keeper, &message, &fd, fd >= 0);
}

static struct pool *spare_pool(struct keeper *keeper)
{
        return &keeper->pools[!keeper->current_pool];
}

static void prepare(struct keeper *keeper, int text)
{
        if (!ask(keeper, STAGE_PREPARING, IPC_PREPARE, 0, text)) finish(keeper, EBUSY, 0, no_answer(keeper), NULL, 0);
}

/* Once a kill switch is in force, only the tunnel leads to a name server: what the tunnel needs is looked up before. */
static void resolve_first(struct keeper *keeper, int text)
{
        keeper->transaction.text = fcntl(text, F_DUPFD_CLOEXEC, 0);
        if (keeper->transaction.text < 0) {
                finish(keeper, errno, 0, "the request cannot be kept: out of descriptors", NULL, 0);
                return;
        }
        keeper->transaction.deadline = keeper_now() + RESOLVE_TIME;
        keeper->transaction.stage = STAGE_RESOLVING;
        keeper->transaction.named = true;
        names_set(keeper, &keeper->transaction.wanted, false);
        apply_resolved(keeper);
}

void apply_resolved(struct keeper *keeper)
{
        const struct name *which;
        char why[CONTROL_TEXT];

        if (keeper->transaction.stage != STAGE_RESOLVING) return;
        if (names_known(keeper, &which)) {
                prepare(keeper, keeper->transaction.text);
        } else if (keeper->transaction.deadline <= keeper_now()) {
                snprintf(why, sizeof why,
                         "endpoint %s: its address cannot be looked up, and could not be with the kill switch in "
                         "force; give an address, or try again",
                         which->endpoint.host);
                finish(keeper, EHOSTUNREACH, 0, why, NULL, 0);
        }
}

void apply_begin(struct keeper *keeper, struct client *client, const struct control_request *request, int records,
                 int text)
{
        const char *why = "the request lacks its sealed descriptors";
        size_t len;

        if (request->generation && request->generation != keeper->generation) {
                control_reply(keeper, client, EAGAIN, 0, "the link was changed meanwhile; read it again", NULL, 0);
                return;
        }
        const uint8_t *bytes =
                records < 0 || !memfd_is_sealed(text) ? NULL : memfd_map(records, CONTROL_DATA_MAX, &len);
        pool_reset(spare_pool(keeper));
        bool good = bytes && records_read(&keeper->transaction.wanted, spare_pool(keeper), bytes, len, &why);
        if (bytes) munmap((void *)(uintptr_t)bytes, len);
        if (!good) {
                control_reply(keeper, client, EINVAL, 0, why, NULL, 0);
                return;
        }
        keeper->transaction.client = client;
        keeper->transaction.whole = !request->generation;
        control_hold(keeper, true);
        if (keeper->transaction.wanted.kill_switch && !host_locked(keeper->host)) resolve_first(keeper, text);
        else prepare(keeper, text);
}

/* For the MTU of their routes. */
bool apply_resolve(const struct keeper *keeper, const struct host_state *state, struct host_state *copy)
{
        size_t count = state->endpoint_count;
        struct host_endpoint *endpoints = calloc(count ? count : 1, sizeof *endpoints);

        if (!endpoints) return false;
        for (size_t i = 0; i < count; i++) {
                endpoints[i] = state->endpoints[i];
                for (unsigned n = 0; n < keeper->name_count; n++) {
                        const struct name *name = &keeper->names[n];
                        const union socket_address *at = &name->address;
                        if (!at->family || strcmp(name->endpoint.host, endpoints[i].host)) continue;
                        const void *bytes = at->family == AF_INET ? (const void *)&at->in.sin_addr : &at->in6.sin6_addr;
                        inet_ntop(at->family, bytes, endpoints[i].host, sizeof endpoints[i].host);
                        break;
                }
        }
        *copy = *state;
        copy->endpoints = endpoints;
        return true;
}

static bool host_apply_resolved(struct keeper *keeper, const struct host_state *wanted, struct host_error *error)
{
        struct host_state resolved;

        if (!apply_resolve(keeper, wanted, &resolved)) {
                *error = (struct host_error){ ENOMEM, "out of memory" };
                return false;
        }
        bool applied = host_apply(keeper->host, &resolved, error);
        free(resolved.endpoints);
        return applied;
}

bool apply_host_again(struct keeper *keeper)
{
        struct host_error error;
        struct link_info info;

        keeper->host_due = keeper->current.managed && !keeper->link_away;
        if (!keeper->host_due || keeper->transaction.stage != STAGE_IDLE) return false;
        if (host_link(keeper->host, &info) || !info.up)
                return false; /* the user set it down: not ours to set up again */
        keeper->host_due = false;
        if (host_apply_resolved(keeper, &keeper->current, &error)) return true;
        log_packet(LOG_ERR, "%s", error.text);
        return false;
}

/* The mark of our own datagrams is set before a rule looks for it: without rules it does nothing, without it they would
 * lead the tunnel into itself. */
static bool set_mark(struct keeper *keeper, uint32_t mark, struct host_error *error)
{
        int failed = keeper_set_mark(keeper, mark);

        if (!failed) return true;
        *error = (struct host_error){ .error = -failed };
        snprintf(error->text, sizeof error->text, "FwMark: '%u': %s", mark, strerror(-failed));
        return false;
}

/* A default route in a table of its own needs a mark; one that the user does not name is chosen once, and kept. */
static bool choose_mark(struct keeper *keeper, struct host_state *wanted, struct host_error *error)
{
        if (!wanted->mark_chosen || wanted->fwmark) return true;
        if (keeper->current.mark_chosen) wanted->fwmark = keeper->current.fwmark;
        return wanted->fwmark || host_choose_mark(keeper->host, &wanted->fwmark, error);
}

static bool apply_without_mark(struct keeper *keeper, struct host_state *wanted, struct host_error *error)
{
        struct host_error ignored;

        if (!host_apply_resolved(keeper, wanted, error)) return false;
        if (set_mark(keeper, 0, error)) return true;
        host_apply_resolved(keeper, &keeper->current, &ignored);
        return false;
}

/* In another namespace the addresses and routes are the user's. A mark comes before the rules that look for it, and
 * goes after them. */
static bool apply_to_host(struct keeper *keeper, struct host_state *wanted, struct host_error *error)
{
        if (keeper->link_away) return set_mark(keeper, wanted->fwmark, error);
        if (!guard_watch(keeper, wanted, error)) return false;
        if (!choose_mark(keeper, wanted, error)) return false;
        if (!wanted->fwmark) return apply_without_mark(keeper, wanted, error);
        return set_mark(keeper, wanted->fwmark, error) && host_apply_resolved(keeper, wanted, error);
}

static void go_back(struct keeper *keeper)
{
        struct host_error error;

        if (!apply_to_host(keeper, &keeper->current, &error))
                log_print(LOG_ERR, "the host's state could not be put back: %s", error.text);
}

static void prepared(struct keeper *keeper, const struct ipc_message *message)
{
        struct host_error error;

        if (message->result.error) {
                finish(keeper, message->result.error, message->result.line, message->result.text, NULL, 0);
        } else if (!apply_to_host(keeper, &keeper->transaction.wanted, &error)) {
                struct ipc_message abort = { .type = IPC_ABORT };
                keeper_post(keeper, &abort, NULL, 0);
                set_mark(keeper, keeper->current.fwmark, &(struct host_error){ 0 });
                finish(keeper, error.error, 0, error.text, NULL, 0);
        } else if (!ask(keeper, STAGE_COMMITTING, IPC_COMMIT, keeper->transaction.wanted.fwmark, -1)) {
                go_back(keeper);
                finish(keeper, EBUSY, 0, no_answer(keeper), NULL, 0);
        }
}

static void committed(struct keeper *keeper, const struct ipc_message *message)
{
        bool whole = keeper->transaction.whole;

        if (message->result.error) {
                go_back(keeper);
                finish(keeper, message->result.error, message->result.line, message->result.text, NULL, 0);
                return;
        }
        keeper->current = keeper->transaction.wanted;
        keeper->current.dns_means = keeper->link_away ? DNS_BY_NOBODY : host_dns_means(keeper->host, &keeper->current);
        keeper->current_pool = !keeper->current_pool;
        keeper->generation++;
        keeper->transaction.named = false;
        names_set(keeper, &keeper->current, whole);
        kept_write(keeper);
        renew_egress_mtu(keeper);
        tell_link(keeper);
        finish(keeper, 0, 0, "", NULL, 0);
}

void apply_show(struct keeper *keeper, struct client *client, bool secrets)
{
        int status = memfd_create("status", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (status < 0) {
                control_reply(keeper, client, errno, 0, "out of memory or descriptors", NULL, 0);
                return;
        }
        keeper->transaction.client = client;
        keeper->transaction.status = status;
        control_hold(keeper, true);
        if (!ask(keeper, STAGE_SHOWING, IPC_STATUS, secrets, status))
                finish(keeper, EBUSY, 0, no_answer(keeper), NULL, 0);
}

static void shown(struct keeper *keeper, const struct ipc_message *message)
{
        int fds[] = { keeper->transaction.status, -1 };
        const char *config = keeper->options->config;

        keeper->current.kill_switch_failed = keeper->lock_failed;
        if (!message->result.error) fds[1] = handover_records(&keeper->current);
        if (fds[1] < 0) {
                finish(keeper, EIO, 0, "the status could not be read", NULL, 0);
                return;
        }
        lseek(fds[0], 0, SEEK_SET);
        keeper->transaction.status = -1; /* is closed here, after it was sent */
        finish(keeper, 0, 0, config ? config : "", fds, 2);
        control_close(fds);
}

void apply_result(struct keeper *keeper, const struct ipc_message *message)
{
        if (message->id != keeper->transaction.id) return;
        switch (keeper->transaction.stage) {
        case STAGE_PREPARING: prepared(keeper, message); break;
        case STAGE_COMMITTING: committed(keeper, message); break;
        case STAGE_SHOWING: shown(keeper, message); break;
        case STAGE_RESOLVING:
        case STAGE_IDLE: break;
        }
}
