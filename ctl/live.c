#include "ctl/live.h"
#include "ctl/client.h"
#include "ctl/command.h"
#include "daemon/conf/handover.h"
#include "daemon/conf/records.h"
#include "daemon/conf/uapi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading ------------------------------------------------------------------------------------------------------
 */

static int read_whole(int fd, const char *name, struct pool *pool, uint8_t **bytes, size_t *len)
{
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < 0 || st.st_size > CONTROL_DATA_MAX)
                return complain(STATUS_FAILED, "%s: aditd's answer is not complete", name);
        *len = (size_t)st.st_size;
        *bytes = pool_alloc(pool, *len + 1);
        if (!*bytes) return complain_memory();
        for (size_t got = 0; got < *len;) {
                ssize_t more = TEMP_FAILURE_RETRY(pread(fd, *bytes + got, *len - got, (off_t)got));

                if (more <= 0) return complain(STATUS_FAILED, "%s: reading aditd's answer: %s", name, strerror(errno));
                got += (size_t)more;
        }
        return STATUS_OK;
}

static int merge_prefixes(struct conf_prefix **end, const struct prefix *list, size_t count, struct pool *pool)
{
        for (size_t i = 0; i < count; i++, end = &(*end)->next) {
                *end = pool_alloc(pool, sizeof **end);
                if (!*end) return complain_memory();
                (*end)->prefix = list[i];
        }
        *end = NULL;
        return STATUS_OK;
}

static int merge_dns(struct conf *conf, const struct host_state *host, struct pool *pool)
{
        struct conf_line **end = &conf->dns;

        for (size_t i = 0; i < host->dns_count; i++, end = &(*end)->next) {
                const struct host_dns *dns = &host->dns[i];
                struct writer text = { .size = strlen(dns->text) + 2 };
                *end = pool_alloc(pool, sizeof **end);
                text.text = pool_alloc(pool, text.size);
                if (!*end || !text.text) return complain_memory();
                writer_print(&text, "%s%s", dns->kind == DNS_ROUTE_DOMAIN ? "~" : "", dns->text);
                (*end)->text = text.text;
        }
        *end = NULL;
        return STATUS_OK;
}

/* Records are mostly in the order of the peers: the search goes on where the last one ended. */
static void merge_endpoints(struct live *live)
{
        struct conf_peer *peer = live->conf.peers;

        for (size_t i = 0; i < live->host.endpoint_count; i++) {
                const struct host_endpoint *endpoint = &live->host.endpoints[i];
                struct key key;

                memcpy(key.bytes, endpoint->public_key, sizeof key.bytes);
                while (peer && memcmp(&peer->public_key, &key, sizeof key) != 0)
                        peer = peer->next;
                if (!peer) peer = conf_peer_find(&live->conf, &key);
                if (!peer) continue; /* removed over the UAPI socket */
                peer->endpoint_host = endpoint->host;
                peer->endpoint_port = endpoint->port;
        }
}

static int merge(struct live *live, struct pool *pool)
{
        struct conf *conf = &live->conf;
        int status;

        for (struct conf_peer *peer = conf->peers; peer; peer = peer->next) {
                peer->endpoint_host = NULL;
                peer->endpoint_port = 0;
        }
        merge_endpoints(live);
        conf->mtu = live->host.mtu;
        conf->table = live->host.table;
        conf->flags |= CONF_HAS_LISTEN_PORT;
        if (live->host.mark_chosen && conf->fwmark == live->host.fwmark) conf->fwmark = 0; /* nobody's wish */
        conf->flags &= ~(unsigned)CONF_HAS_FWMARK;
        if (conf->fwmark) conf->flags |= CONF_HAS_FWMARK;
        if (!conf->workers) conf->flags &= ~(unsigned)CONF_HAS_WORKERS;
        conf->kill_switch = live->host.kill_switch;
        conf->masquerade = live->host.masquerade;
        conf->forward = live->host.forward;
        status = merge_prefixes(&conf->addresses, live->host.addresses, live->host.address_count, pool);
        if (!status) status = merge_prefixes(&conf->excluded, live->host.excluded, live->host.excluded_count, pool);
        if (!status) status = merge_prefixes(&conf->forwards, live->host.forwards, live->host.forward_count, pool);
        return status ? status : merge_dns(conf, &live->host, pool);
}

static int parse(struct live *live, struct pool *pool, const int fds[CONTROL_FDS])
{
        uint8_t *text, *records;
        size_t text_len, records_len;
        struct conf_error error = { 0 };
        const char *why = "";
        int status = read_whole(fds[0], live->name, pool, &text, &text_len);

        if (!status) status = read_whole(fds[1], live->name, pool, &records, &records_len);
        if (status) return status;
        if (!uapi_parse_get(&live->conf, pool, (char *)text, text_len, &error))
                return complain(STATUS_FAILED, "%s: aditd's status, line %u: %s", live->name, error.line, error.text);
        if (!records_read(&live->host, pool, records, records_len, &why))
                return complain(STATUS_FAILED, "%s: aditd's host state: %s", live->name, why);
        return merge(live, pool);
}

static int read_link(struct live *out, struct pool *pool, const char *name, uint32_t op, bool quiet)
{
        struct control_request request = { .op = op };
        struct control_reply reply;
        int fd, fds[CONTROL_FDS], status;

        *out = (struct live){ 0 };
        status = client_open(&fd, name, quiet);
        if (status) return status;
        snprintf(out->name, sizeof out->name, "%s", name);
        status = client_call(fd, name, &request, NULL, &reply, fds);
        close(fd);
        if (status) return status;
        status = client_verdict(name, &reply);
        if (!status) status = parse(out, pool, fds);
        control_close(fds);
        out->generation = reply.generation;
        memcpy(out->path, reply.text, sizeof out->path);
        return status;
}

int live_read(struct live *out, struct pool *pool, const char *name, bool secrets)
{
        return read_link(out, pool, name, secrets ? CONTROL_SHOW_SECRETS : CONTROL_SHOW, false);
}

int live_read_quietly(struct live *out, struct pool *pool, const char *name)
{
        return read_link(out, pool, name, CONTROL_SHOW, true);
}

int live_path(char out[CONTROL_TEXT], const char *name)
{
        struct control_request request = { .op = CONTROL_SHOW };
        struct control_reply reply;
        int fd, fds[CONTROL_FDS], status = client_open(&fd, name, false);

        *out = 0;
        if (status) return status;
        if (client_call(fd, name, &request, NULL, &reply, fds) == STATUS_OK &&
            client_verdict(name, &reply) == STATUS_OK)
                memcpy(out, reply.text, CONTROL_TEXT);
        else complain(0, "%s: the file that the link came up from is not known", name);
        control_close(fds);
        close(fd);
        return STATUS_OK;
}

/* ---- applying -----------------------------------------------------------------------------------------------------
 */

static int call_apply(const char *name, uint64_t generation, const int fds[CONTROL_FDS], struct control_reply *reply)
{
        struct control_request request = { .op = CONTROL_APPLY, .generation = generation };
        int fd, none[CONTROL_FDS], status = client_open(&fd, name, false);

        if (status) return status;
        status = client_call(fd, name, &request, fds, reply, none);
        control_close(none);
        close(fd);
        return status;
}

int live_apply(const char *name, uint64_t generation, const struct host_state *host, const struct conf *set,
               bool *again)
{
        struct control_reply reply = { 0 };
        int fds[CONTROL_FDS], status, error = handover_open(fds, host, set);

        *again = false;
        if (error) return complain(STATUS_FAILED, "%s: memory for the request: %s", name, strerror(-error));
        status = call_apply(name, generation, fds, &reply);
        control_close(fds);
        *again = !status && reply.error == EAGAIN;
        return status || *again ? status : client_verdict(name, &reply);
}
