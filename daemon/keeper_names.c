#include "daemon/keeper_state.h"

#include "daemon/child.h"
#include "daemon/log.h"
#include "kernel-iface/rights.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const uint64_t SECOND = 1000000000;
enum { BACKOFF_MIN = 1, BACKOFF_MAX = 60 }; /* seconds */

/* What a resolver child writes: whole, in one write. */
struct answer {
        uint32_t count;
        int32_t error; /* EAI_* */
        union socket_address addresses[NAME_ADDRESSES];
};

/* An address as it stands needs nobody to resolve it. One with a scope by name ("fe80::1%eth0") does: only this side
 * knows the interfaces. */
bool names_literal(const char *host)
{
        struct in6_addr ignored;

        return inet_pton(AF_INET, host, &ignored) == 1 || inet_pton(AF_INET6, host, &ignored) == 1;
}

static struct name *find(struct keeper *keeper, const uint8_t public_key[PUBLIC_KEY_LEN])
{
        for (unsigned i = 0; i < keeper->name_count; i++)
                if (!memcmp(keeper->names[i].endpoint.public_key, public_key, PUBLIC_KEY_LEN)) return &keeper->names[i];
        return NULL;
}

static bool same_endpoint(const struct host_endpoint *a, const struct host_endpoint *b)
{
        return !memcmp(a->public_key, b->public_key, PUBLIC_KEY_LEN) && !strcmp(a->host, b->host) && a->port == b->port;
}

/* A number is the child's until it was reaped; then it may be anybody's. */
void names_reaped(struct keeper *keeper, pid_t pid)
{
        for (unsigned i = 0; i < keeper->name_count; i++)
                if (keeper->names[i].pid == pid) keeper->names[i].pid = 0;
}

static void stop_resolver(struct keeper *keeper, struct name *name)
{
        if (name->child < 0) return;
        if (name->pid > 0)
                kill(name->pid, SIGKILL); /* a name server that does not answer can hold it for half a minute */
        keeper_unwatch(keeper, name->child);
        name->child = -1;
        name->pid = 0;
        keeper->resolving--;
}

void names_stop(struct keeper *keeper)
{
        for (unsigned i = 0; i < keeper->name_count; i++)
                stop_resolver(keeper, &keeper->names[i]);
}

/* Until the configuration that names it is taken over, the peer has the endpoint of the one before. */
static void tell_endpoint(struct keeper *keeper, struct name *name, bool replace)
{
        struct ipc_message message = { .type = IPC_ENDPOINT };

        if (keeper->transaction.named) {
                name->untold |= replace;
                return;
        }
        memcpy(message.endpoint.public_key, name->endpoint.public_key, PUBLIC_KEY_LEN);
        message.endpoint.address = name->address;
        message.endpoint.replace = replace;
        name->untold = keeper_post(keeper, &message, NULL, 0) == -EAGAIN;
        keeper->paths_untold |= name->untold; /* the loop tries again */
}

static const struct name *find_same(const struct name *names, unsigned count, const struct host_endpoint *endpoint)
{
        for (unsigned i = 0; i < count; i++)
                if (same_endpoint(&names[i].endpoint, endpoint)) return &names[i];
        return NULL;
}

static bool use_kept(const struct keeper *keeper, struct name *name)
{
        name->kept = kept_find(keeper->options->link, &name->endpoint, &name->address);
        return name->kept;
}

/* A name that stays keeps its address and its place in the queue; only a new one is resolved. The addresses are told
 * anew: the peer may have been removed and added again meanwhile. */
void names_set(struct keeper *keeper, const struct host_state *host, bool replace)
{
        static struct name before[NAMES_MAX];
        unsigned before_count = keeper->name_count;

        for (unsigned i = 0; i < before_count; i++) {
                if (keeper->names[i].child >= 0) keeper->names[i].due = 0; /* what is under way begins anew */
                stop_resolver(keeper, &keeper->names[i]);
                before[i] = keeper->names[i];
        }
        keeper->name_count = 0;
        for (size_t i = 0; i < host->endpoint_count; i++) {
                const struct host_endpoint *endpoint = &host->endpoints[i];
                if (names_literal(endpoint->host)) continue;
                if (keeper->name_count == NAMES_MAX) {
                        log_print(LOG_WARNING,
                                  "endpoint %s: only the first %d endpoints given by name are resolved; give addresses",
                                  endpoint->host, NAMES_MAX);
                        break;
                }
                struct name *name = &keeper->names[keeper->name_count++];
                const struct name *same = find_same(before, before_count, endpoint);
                *name = (struct name){ .endpoint = *endpoint, .child = -1, .backoff = BACKOFF_MIN * SECOND };
                if (same && same->address.family) *name = *same;
                else if (!host->kill_switch || !use_kept(keeper, name)) continue;
                tell_endpoint(keeper, name, replace || name->untold);
        }
        names_tick(keeper);
}

/* "fe80::1%eth0" as "fe80::1%2": once confined, the child can no longer ask the kernel for an interface. */
static void number_scope(char host[HOST_NAME_MAX_LEN + 1])
{
        char *scope = strchr(host, '%');
        unsigned index = scope ? if_nametoindex(scope + 1) : 0;

        if (index) snprintf(scope + 1, (size_t)(host + HOST_NAME_MAX_LEN + 1 - (scope + 1)), "%u", index);
}

static void resolve_in_child(const struct host_endpoint *endpoint, int to)
{
        struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV }, *found = NULL;
        struct answer answer = { .error = EAI_SYSTEM };
        struct rights_error error;
        char port[8];
        char host[sizeof endpoint->host];

        keeper_to_background(); /* whoever started aditd may wait for its output to end */
        memcpy(host, endpoint->host, sizeof host);
        number_scope(host);
        snprintf(port, sizeof port, "%u", endpoint->port);
        if (!resolver_confine(&error)) answer.error = getaddrinfo(host, port, &hints, &found);
        for (const struct addrinfo *one = found; one && answer.count < NAME_ADDRESSES; one = one->ai_next)
                if (one->ai_addrlen <= sizeof answer.addresses[0])
                        memcpy(&answer.addresses[answer.count++], one->ai_addr, one->ai_addrlen);
        (void)!write(to, &answer, sizeof answer);
        _exit(0);
}

static void back_off(struct name *name, int error)
{
        log_print(LOG_WARNING, "endpoint %s: %s; trying again in %" PRIu64 " s", name->endpoint.host,
                  gai_strerror(error), name->backoff / SECOND);
        name->failed = true;
        name->due = keeper_now() + name->backoff;
        name->backoff = name->backoff * 2 > BACKOFF_MAX * SECOND ? BACKOFF_MAX * SECOND : name->backoff * 2;
}

static void start_resolver(struct keeper *keeper, struct name *name)
{
        int pair[2], answer;

        if (pipe2(pair, O_CLOEXEC | O_NONBLOCK)) {
                back_off(name, EAI_SYSTEM);
                return;
        }
        name->pid = child_fork(pair[1], &answer);
        if (!name->pid) resolve_in_child(&name->endpoint, answer);
        if (name->pid < 0) {
                name->pid = 0;
                close(pair[0]);
                back_off(name, EAI_SYSTEM);
                return;
        }
        name->child = pair[0];
        name->due = UINT64_MAX;
        keeper->resolving++;
        if (keeper_watch(keeper, pair[0], name)) return;
        stop_resolver(keeper, name);
        back_off(name, EAI_SYSTEM);
}

bool names_own(const struct keeper *keeper, const void *source)
{
        const struct name *name = source;

        return name >= keeper->names && name < keeper->names + NAMES_MAX;
}

bool names_known(const struct keeper *keeper, const struct name **which)
{
        for (unsigned i = 0; i < keeper->name_count; i++) {
                const struct name *name = &keeper->names[i];
                *which = name;
                if (!name->address.family || (name->kept && !name->failed)) return false;
        }
        return true;
}

static bool same_address(const union socket_address *a, const union socket_address *b)
{
        if (a->family != b->family) return false;
        return a->family == AF_INET ? a->in.sin_addr.s_addr == b->in.sin_addr.s_addr
                                    : !memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof a->in6.sin6_addr);
}

/* The one after the last that was tried: the addresses of a name take turns while nobody answers. One that was kept is
 * in use. */
static const union socket_address *choose(const struct name *name, const struct answer *answer)
{
        for (uint32_t i = 0; i < answer->count; i++)
                if (same_address(&answer->addresses[i], &name->address))
                        return &answer->addresses[name->kept ? i : (i + 1) % answer->count];
        return &answer->addresses[0];
}

static void use(struct keeper *keeper, struct name *name, const struct answer *answer)
{
        name->address = *choose(name, answer);
        name->kept = name->failed = false;
        name->backoff = BACKOFF_MIN * SECOND;
        name->due = UINT64_MAX; /* again when handshakes stay unanswered */
        tell_endpoint(keeper, name, true);
        kept_write(keeper);
        apply_host_again(keeper);
        renew_egress_mtu(keeper);
}

void names_readable(struct keeper *keeper, struct name *name)
{
        struct answer answer;

        if (name->child < 0) return;
        ssize_t got = read(name->child, &answer, sizeof answer);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return; /* news of the slot's former child */
        stop_resolver(keeper, name);
        bool whole = got == sizeof answer && answer.count <= NAME_ADDRESSES;
        if (whole && answer.count) use(keeper, name, &answer);
        else back_off(name, whole ? answer.error : EAI_SYSTEM);
        apply_resolved(keeper);
        names_tick(keeper);
}

void names_unanswered(struct keeper *keeper, const uint8_t public_key[PUBLIC_KEY_LEN])
{
        struct name *name = find(keeper, public_key);

        if (!name || name->child >= 0) return;
        if (name->due == UINT64_MAX) name->due = 0;
        names_tick(keeper);
}

void names_tick(struct keeper *keeper)
{
        uint64_t now = keeper_now();

        for (unsigned i = 0; i < keeper->name_count; i++)
                if (keeper->names[i].untold) tell_endpoint(keeper, &keeper->names[i], true);
        for (unsigned i = 0; i < keeper->name_count && keeper->resolving < RESOLVERS_MAX; i++)
                if (keeper->names[i].child < 0 && keeper->names[i].due <= now)
                        start_resolver(keeper, &keeper->names[i]);
}

uint64_t names_deadline(const struct keeper *keeper)
{
        uint64_t first = UINT64_MAX;

        if (keeper->resolving == RESOLVERS_MAX) return first;
        for (unsigned i = 0; i < keeper->name_count; i++)
                if (keeper->names[i].child < 0 && keeper->names[i].due < first) first = keeper->names[i].due;
        return first;
}
