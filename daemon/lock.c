#include "daemon/lock.h"

#include "daemon/claim.h"
#include "daemon/keeper_state.h"
#include "daemon/loader.h"
#include "daemon/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool fail(const char *what, const char *why)
{
        log_print(LOG_ERR, "%s: %s", what, why);
        return false;
}

static bool take_records(int fd, struct host_state *state, struct pool *pool, const char *config)
{
        const char *why = "the configuration cannot be read";
        size_t len;
        const uint8_t *bytes = memfd_map(fd, CONTROL_DATA_MAX, &len);
        bool ok = bytes && records_read(state, pool, bytes, len, &why);

        if (bytes) munmap((void *)(uintptr_t)bytes, len);
        return ok || fail(config, why);
}

/* The file is read by a loader, as at a start: no key comes here. */
static bool load(const char *config, struct host_state *state, struct pool *pool)
{
        union {
                struct control_request request;
                struct control_reply failure;
        } in;
        int fds[CONTROL_FDS], from = loader_start(config, false);

        if (from < 0) return fail(config, strerror(-from));
        ssize_t got = control_receive(from, &in, sizeof in, fds, 0);
        close(from);
        bool ok = got == sizeof in.request;
        if (ok) {
                ok = take_records(fds[0], state, pool, config);
        } else if (got == sizeof in.failure) {
                in.failure.text[sizeof in.failure.text - 1] = '\0';
                log_print(LOG_ERR, "%s", in.failure.text);
        } else {
                fail(config, "the loader ended without an answer");
        }
        control_close(fds);
        return ok;
}

/* Behind it no name can be looked up: a link that has never been up would never come up. */
static bool knows_names(const char *link, const struct host_state *state)
{
        union socket_address ignored;

        for (size_t i = 0; i < state->endpoint_count; i++) {
                const struct host_endpoint *endpoint = &state->endpoints[i];
                if (names_literal(endpoint->host) || strchr(endpoint->host, '%')) continue;
                if (kept_find(link, endpoint, &ignored)) continue;
                log_print(LOG_ERR,
                          "endpoint %s: its address is not known yet, and could not be looked up behind the kill "
                          "switch; give an address, or bring the link up once",
                          endpoint->host);
                return false;
        }
        return true;
}

static bool put_in_force(const char *link, struct host_state *state)
{
        char journal[128];
        struct host_error error;
        bool made = false;

        snprintf(journal, sizeof journal, "%s/%s.state", CONTROL_DIRECTORY, link);
        struct host *host = host_open(link, journal, NULL, &error);
        bool ok = host != NULL;
        if (ok && !state->fwmark) ok = host_choose_mark(host, &state->fwmark, &error);
        if (ok) ok = host_lock(host, state, &made, &error);
        if (!ok) log_print(LOG_ERR, "%s", error.text);
        if (ok) log_print(LOG_INFO, "the kill switch is in force");
        host_close(host);
        return ok;
}

int lock_run(const char *link, const char *config)
{
        struct pool pool = { .size = HOST_POOL };
        struct claim claim;
        struct host_state state;

        pool.base = mmap(NULL, HOST_POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (pool.base == MAP_FAILED) return fail("memory", strerror(errno)), EXIT_FAILURE;
        if (!load(config, &state, &pool)) return EXIT_FAILURE;
        if (!state.kill_switch) {
                log_print(LOG_INFO, "%s: no KillSwitch: nothing to do", config);
                return EXIT_SUCCESS;
        }
        int error = claim_take(&claim, link);
        if (error == -EADDRINUSE) {
                log_print(LOG_INFO, "the link is up, and its kill switch in force");
                return EXIT_SUCCESS;
        }
        if (error) return fail(claim.path, strerror(-error)), EXIT_FAILURE;
        bool ok = knows_names(link, &state) && put_in_force(link, &state);
        claim_drop(&claim);
        return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
