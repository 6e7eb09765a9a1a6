#include "ctl/show.h"
#include "ctl/client.h"
#include "ctl/command.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
        CELL = 72,
        ALLOWED_IPS_WIDTH = 44, /* as much of the list as fits, then "+2" for the rest */
        SHORT_KEY = 8,
};

enum column { NAME, ENDPOINT, ALLOWED_IPS, HANDSHAKE, RECEIVED, SENT, STATE, COLUMNS };

struct row {
        enum peer_state state;
        char cells[COLUMNS][CELL];
};

/* ---- colours --------------------------------------------------------------------------------------------------------
 */

static const char BOLD[] = "1", DIM[] = "2", GREEN[] = "32", YELLOW[] = "33";

static bool coloured(void)
{
        const char *no_color = getenv("NO_COLOR");

        return isatty(STDOUT_FILENO) && !(no_color && *no_color);
}

static void print_styled(const char *style, const char *text, int width)
{
        if (style && coloured()) printf("\033[%sm%-*s\033[0m", style, width, text);
        else printf("%-*s", width, text);
}

/* ---- cells ----------------------------------------------------------------------------------------------------------
 */

enum peer_state peer_state(const struct conf_peer *peer)
{
        if (peer->session) return PEER_UP;
        if (peer->handshake_attempts) return PEER_PENDING;
        if (peer->endpoint.family != AF_UNSPEC) return PEER_IDLE;
        return peer->endpoint_host ? PEER_UNRESOLVED : PEER_NO_ENDPOINT;
}

static void format_name(char out[CELL], const struct conf_peer *peer, bool whole_key)
{
        char key[KEY_BASE64_LEN];

        if (!whole_key && peer->name) {
                snprintf(out, CELL, "%s", peer->name);
                return;
        }
        key_to_base64(key, &peer->public_key);
        if (whole_key) snprintf(out, CELL, "%s%s%s", key, peer->name ? "  " : "", peer->name ? peer->name : "");
        else snprintf(out, CELL, "%.*s...", SHORT_KEY, key);
}

static void format_endpoint(char out[CELL], const struct conf_peer *peer)
{
        char text[ENDPOINT_HOST_TEXT];

        if (peer->endpoint.family != AF_UNSPEC) snprintf(out, CELL, "%s", endpoint_format(&peer->endpoint, text));
        else if (peer->endpoint_host) snprintf(out, CELL, "%.*s", CELL - 1, endpoint_text(peer, text));
        else snprintf(out, CELL, "(none)");
}

static void format_allowed_ips(char out[CELL], const struct conf_peer *peer)
{
        const struct conf_prefix *item = peer->allowed_ips;
        char text[ADDRESS_TEXT];
        size_t used = 0, left = 0;

        for (; item; item = item->next) {
                prefix_format(&item->prefix, text);
                if (used && used + 2 + strlen(text) > ALLOWED_IPS_WIDTH) break;
                used += (size_t)snprintf(out + used, CELL - used, "%s%s", used ? ", " : "", text);
        }
        for (; item; item = item->next)
                left++;
        if (left) snprintf(out + used, CELL - used, " +%zu", left);
        if (!used) snprintf(out, CELL, "(none)");
}

static void format_age(char out[CELL], uint64_t since)
{
        uint64_t now = (uint64_t)time(NULL), age = now > since ? now - since : 0;

        if (!since) snprintf(out, CELL, "never");
        else if (age < 120) snprintf(out, CELL, "%" PRIu64 " s ago", age);
        else if (age < 120 * 60) snprintf(out, CELL, "%" PRIu64 " min ago", age / 60);
        else if (age < 48 * 3600) snprintf(out, CELL, "%" PRIu64 " h ago", age / 3600);
        else snprintf(out, CELL, "%" PRIu64 " d ago", age / 86400);
}

static void format_bytes(char out[CELL], uint64_t bytes)
{
        static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
        double value = (double)bytes / 1024;
        size_t unit = 0;

        for (; value >= 1000 && unit < sizeof units / sizeof *units - 1; unit++)
                value /= 1024;
        if (bytes < 1000) snprintf(out, CELL, "%" PRIu64 " B", bytes);
        else snprintf(out, CELL, "%.*f %s", value < 10 ? 2 : 1, value, units[unit]);
}

static void format_state(char out[CELL], const struct conf_peer *peer)
{
        static const char *const texts[] = {
                [PEER_UP] = "up",
                [PEER_UNRESOLVED] = "name not resolved",
                [PEER_NO_ENDPOINT] = "no endpoint",
                [PEER_IDLE] = "idle",
        };

        if (peer_state(peer) == PEER_PENDING)
                snprintf(out, CELL, "handshake pending (%u attempt%s)", peer->handshake_attempts,
                         peer->handshake_attempts == 1 ? "" : "s");
        else snprintf(out, CELL, "%s", texts[peer_state(peer)]);
}

static void format_row(struct row *row, const struct conf_peer *peer, bool whole_key)
{
        row->state = peer_state(peer);
        format_name(row->cells[NAME], peer, whole_key);
        format_endpoint(row->cells[ENDPOINT], peer);
        format_allowed_ips(row->cells[ALLOWED_IPS], peer);
        format_age(row->cells[HANDSHAKE], peer->last_handshake_sec);
        format_bytes(row->cells[RECEIVED], peer->rx_bytes);
        format_bytes(row->cells[SENT], peer->tx_bytes);
        format_state(row->cells[STATE], peer);
}

static const char *or_unknown(const char *text)
{
        return text ? text : "(unknown)";
}

/* ---- the table ------------------------------------------------------------------------------------------------------
 */

static void print_row(const struct row *row, const int widths[COLUMNS], const char *indent, const char *style)
{
        printf("%s", indent);
        for (int i = 0; i < COLUMNS; i++) {
                bool last = i == COLUMNS - 1;

                print_styled(last || i == NAME ? style : NULL, row->cells[i], last ? 0 : widths[i]);
                printf("%s", last ? "\n" : "  ");
        }
}

/* Below a peer's row: with what its packets go out, if any do. */
static void print_session(const struct conf_peer *peer, const char *indent)
{
        if (!peer->cipher) return;
        printf("%s  session: %s by %s", indent, peer->cipher, or_unknown(peer->cipher_implementation));
        if (peer->kem) printf(", %s by %s", peer->kem, or_unknown(peer->kem_implementation));
        putchar('\n');
}

/* And how far the session upgrade came, and what is wanted of it where that is not the default. */
static void print_upgrade(const struct conf_peer *peer, const char *indent)
{
        const char *state = peer->upgrade_state ? peer->upgrade_state : "no-session";
        bool none = !strcmp(state, "no-session"), off = !strcmp(state, "off");
        bool refused = !none && strcmp(state, "pending") && strcmp(state, "upgraded");

        if (none && !peer->upgrade_off && !peer->post_quantum) return;
        printf("%s  upgrade: %s%s", indent, refused ? "not upgraded: " : "", or_unknown(peer->upgrade_reason));
        if (peer->upgrade_off && !off) printf(" (Upgrade = off)");
        else if (peer->post_quantum && !off) printf(" (PostQuantum = %s)", post_quantum_format(peer->post_quantum));
        putchar('\n');
}

static int print_peers(const struct live *live, struct pool *pool, const char *indent, bool whole_key)
{
        static const struct row HEADER = {
                .cells = { "peer", "endpoint", "allowed IPs", "handshake", "received", "sent", "state" },
        };
        static const char *const styles[] = {
                [PEER_UP] = GREEN,        [PEER_PENDING] = YELLOW, [PEER_UNRESOLVED] = YELLOW,
                [PEER_NO_ENDPOINT] = DIM, [PEER_IDLE] = DIM,
        };
        int widths[COLUMNS];
        struct row *rows;
        size_t count = 0;

        for (const struct conf_peer *peer = live->conf.peers; peer; peer = peer->next)
                count++;
        rows = pool_alloc(pool, count * sizeof *rows + 1);
        if (!rows) return complain_memory();
        for (int i = 0; i < COLUMNS; i++)
                widths[i] = (int)strlen(HEADER.cells[i]);
        count = 0;
        for (const struct conf_peer *peer = live->conf.peers; peer; peer = peer->next, count++) {
                format_row(&rows[count], peer, whole_key);
                for (int i = 0; i < COLUMNS; i++)
                        if ((int)strlen(rows[count].cells[i]) > widths[i])
                                widths[i] = (int)strlen(rows[count].cells[i]);
        }
        if (count) print_row(&HEADER, widths, indent, BOLD);
        count = 0;
        for (const struct conf_peer *peer = live->conf.peers; peer; peer = peer->next, count++) {
                print_row(&rows[count], widths, indent, styles[rows[count].state]);
                if (whole_key) continue; /* a list, of one line each */
                print_session(peer, indent);
                print_upgrade(peer, indent);
        }
        return STATUS_OK;
}

static void print_field(const char *name, const char *value)
{
        printf("  ");
        print_styled(DIM, name, 13);
        printf("%s\n", value);
}

static void print_prefixes(const char *name, const struct prefix *list, size_t count)
{
        char text[ADDRESS_TEXT];

        for (size_t i = 0; i < count; i++)
                print_field(i ? "" : name, prefix_format(&list[i], text));
}

/* "10.9.0.53, ~corp.example (systemd-resolved)" */
static void print_dns(const struct host_state *host)
{
        if (!host->dns_count) return;
        printf("  ");
        print_styled(DIM, "DNS", 13);
        for (size_t i = 0; i < host->dns_count; i++)
                printf("%s%s%s", i ? ", " : "", host->dns[i].kind == DNS_ROUTE_DOMAIN ? "~" : "", host->dns[i].text);
        printf(host->dns_means == DNS_BY_NOBODY ? "\n" : " (%s)\n", dns_means_format(host->dns_means));
}

static void print_interface(const struct live *live)
{
        const struct conf *conf = &live->conf;
        char text[CELL];
        uint32_t mark;
        bool chosen;

        print_styled(BOLD, live->name, 0);
        putchar('\n');
        key_to_base64(text, &conf->public_key);
        print_field("public key", key_is_zero(&conf->public_key) ? "(none)" : text);
        snprintf(text, sizeof text, "%u", conf->listen_port);
        print_field("listen port", conf->listen_port ? text : "(none)");
        chosen = !conf->fwmark && live->host.mark_chosen;
        mark = chosen ? live->host.fwmark : conf->fwmark;
        snprintf(text, sizeof text, "0x%x%s", mark, chosen ? " (automatic)" : "");
        if (mark) print_field("fwmark", text);
        if (live->host.managed) print_prefixes("addresses", live->host.addresses, live->host.address_count);
        print_prefixes("excluded", live->host.excluded, live->host.excluded_count);
        snprintf(text, sizeof text, "%u%s", conf->link_mtu,
                 live->host.managed && !live->host.mtu ? " (automatic)" : "");
        if (conf->link_mtu) print_field("MTU", text);
        if (conf->workers > conf->workers_at_work)
                snprintf(text, sizeof text, "%u (%u asked for)", conf->workers_at_work, conf->workers);
        else snprintf(text, sizeof text, "%u%s", conf->workers_at_work, conf->workers ? "" : " (automatic)");
        if (conf->workers_at_work) print_field("workers", text);
        print_dns(&live->host);
        if (live->host.kill_switch)
                print_field("kill switch",
                            live->host.kill_switch_failed ? "NOT in force; the log says why" : "in force");
        if (!live->host.managed) print_field("host state", "not adit's: addresses and routes are set by others");
        if (*live->path) print_field("config", live->path);
}

static void print_drops(const struct conf *conf)
{
        const char *name = "dropped";
        char text[CELL * 2];

        for (const struct conf_drop *drop = conf->drops; drop; drop = drop->next) {
                if (!drop->count) continue;
                snprintf(text, sizeof text, "%" PRIu64 " %s", drop->count, drop->name);
                print_field(name, text);
                name = "";
        }
}

static int print_link(const struct live *live, struct pool *pool)
{
        int status;

        print_interface(live);
        print_drops(&live->conf);
        if (!live->conf.peers) return STATUS_OK;
        putchar('\n');
        status = print_peers(live, pool, "  ", false);
        return status;
}

/* ---- the commands ---------------------------------------------------------------------------------------------------
 */

struct show {
        struct pool *pool;
        json_t *links; /* NULL: for a person */
        unsigned shown;
};

static int show_one(struct show *show, const struct live *live)
{
        if (show->links)
                return json_array_append_new(show->links, show_json_link(live)) ? complain_memory() : STATUS_OK;
        if (show->shown++) putchar('\n');
        return print_link(live, show->pool);
}

static int show_each(const char *name, void *arg)
{
        struct show *show = arg;
        struct live live;
        size_t mark = show->pool->used;
        int status = live_read_quietly(&live, show->pool, name);

        if (!status) status = show_one(show, &live);
        sodium_memzero(show->pool->base + mark, show->pool->used - mark);
        show->pool->used = mark;
        return status;
}

static int show_all(struct show *show)
{
        size_t count;
        int status = client_for_each(show_each, show, &count);

        if (!status && !count && !show->links) printf("No link is up. To bring one up: adit up NAME\n");
        return status;
}

static int show_named(struct show *show, const char *name)
{
        struct live live;
        int status = live_read(&live, show->pool, name, false);

        return status ? status : show_one(show, &live);
}

int command_show(const struct command *self, int argc, char **argv, struct pool *pool)
{
        bool json = false;
        const struct option_row rows[] = { { "json", NULL, &json }, { 0 } };
        struct show show = { .pool = pool };
        int printed, status = options_parse(self, rows, 0, 1, &argc, &argv);

        if (status != OPTIONS_PROCEED) return status;
        if (json) show.links = json_array();
        status = argc ? show_named(&show, argv[0]) : show_all(&show);
        if (!json) return status;
        if (status && argc) {
                json_decref(show.links);
                return status;
        }
        printed = show_json_print("links", show.links);
        return status ? status : printed;
}

int command_peer_list(const struct command *self, int argc, char **argv, struct pool *pool)
{
        bool json = false;
        const struct option_row rows[] = { { "json", NULL, &json }, { 0 } };
        struct live live;
        int status = options_parse(self, rows, 1, 1, &argc, &argv);

        if (status != OPTIONS_PROCEED) return status;
        status = live_read(&live, pool, argv[0], false);
        if (status) return status;
        if (json) return show_json_print("peers", show_json_peers(&live));
        return print_peers(&live, pool, "", true);
}
