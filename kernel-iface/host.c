#include "kernel-iface/host_inside.h"

#include "kernel-iface/dns_file.h"
#include "kernel-iface/namespace.h"
#include "kernel-iface/sysctl.h"
#include "kernel-iface/wanted.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { UNLINK_TRIES = 3, MARK_TRIES = 4096 };

bool host_fail(struct host_error *error, int code, const char *what)
{
        error->error = code < 0 ? -code : code;
        snprintf(error->text, sizeof error->text, "%s: %s", what, strerror(error->error));
        return false;
}

bool host_add_all(struct plan_state *to, const struct plan_state *from)
{
        for (size_t i = 0; i < from->count; i++)
                if (!plan_add(to, &from->items[i])) return false;
        plan_sort(to);
        return true;
}

/* One that stays would be undone once more, and keep what links share from being restored. */
void host_drop_journal(struct host *host)
{
        for (int tries = 0; tries < UNLINK_TRIES && unlink(host->path) && errno != ENOENT; tries++)
                continue;
        plan_free(&host->journal.ours);
        plan_free(&host->journal.before);
}

/* Opening and closing */

/* An index means another link after a crash; so does a name. */
static bool is_same_link(struct host *host)
{
        struct link_info info;

        return !netlink_link_by_index(host->netlink, host->journal.ifindex, &info) &&
               strcmp(info.name, host->journal.link) == 0;
}

static bool is_elsewhere(struct host *host, struct host_error *error)
{
        char enter[NAMESPACE_TEXT];

        if (!namespace_find(host->journal.netns, enter)) return false;
        error->error = EXDEV;
        snprintf(error->text, sizeof error->text,
                 "%s is of another network namespace (%llu): repair it there: %s adit repair %s", host->path,
                 (unsigned long long)host->journal.netns, enter, host->journal.link);
        return true;
}

/* The journal names what has a text by its digest: no word for a person. */
static const char *word_for(enum plan_kind kind)
{
        switch (kind) {
        case PLAN_LOCK: return "the kill switch";
        case PLAN_GATEWAY: return "the gateway's rules";
        case PLAN_DNS: return "the name servers of the link";
        default: return NULL;
        }
}

void host_tell(const struct host *host, const struct plan_step *step)
{
        char text[PLAN_TEXT];
        const char *word = word_for(step->item.kind);

        if (!host->teller) return;
        plan_print(&step->item, text);
        host->teller->tell(host->teller->arg, word ? word : text, !step->add);
}

/* The journal went with /run, or with its network namespace; /etc/resolv.conf did not. */
static bool undo_dns(struct host *host, struct host_error *error)
{
        if (!dns_left(host->dns.link)) return true;
        if (!dns_put_back(&host->dns, error)) return false;
        host_tell(host, &(struct plan_step){ .item = { .kind = PLAN_DNS, .value = DNS_BY_FILE } });
        return true;
}

static bool undo_crash(struct host *host, uint64_t netns, struct host_error *error)
{
        int code = journal_read(host->path, &host->journal);

        if (code == -ENOENT) return undo_dns(host, error);
        if (code == -EINVAL) {
                error->error = EINVAL;
                snprintf(error->text, sizeof error->text,
                         "%s is damaged, and names no longer what a crash left; what to do: adit repair", host->path);
                return false;
        }
        if (code) return host_fail(error, code, host->path);
        if (host->journal.netns && host->journal.netns != netns) {
                if (is_elsewhere(host, error) || !undo_dns(host, error)) return false;
                host_drop_journal(host);
                return true;
        }
        host->journal.netns = netns;
        if (!is_same_link(host)) host->journal.ifindex = 0;
        return host_undo_to_lock(host, error);
}

/* Its index from then on. A link that is not there yet is looked for again when it is needed. */
void host_find_index(struct host *host)
{
        struct link_info info;

        if (!netlink_link(host->netlink, host->journal.link, &info)) host->journal.ifindex = info.ifindex;
}

struct host *host_open(const char *link, const char *journal, const struct host_teller *teller,
                       struct host_error *error)
{
        struct host *host = calloc(1, sizeof *host);
        int code;

        if (!host || strlen(link) >= IFNAMSIZ) {
                host_fail(error, host ? EINVAL : ENOMEM, link);
                goto free_host;
        }
        host->path = strdup(journal);
        if (!host->path) {
                host_fail(error, ENOMEM, journal);
                goto free_host;
        }
        host->netlink = netlink_open(&code);
        if (!host->netlink) {
                host_fail(error, code, "netlink");
                goto free_path;
        }
        uint64_t netns = journal_netns();
        strcpy(host->tables.link, link);
        strcpy(host->dns.link, link);
        host->teller = teller;
        if (!undo_crash(host, netns, error)) goto close_netlink;
        host->teller = NULL;
        strcpy(host->journal.link, link);
        host->journal.ifindex = 0;
        host->journal.netns = netns;
        host_find_index(host);
        return host;

close_netlink:
        journal_free(&host->journal);
        netlink_close(host->netlink);
free_path:
        free(host->path);
free_host:
        free(host);
        return NULL;
}

void host_close(struct host *host)
{
        if (!host) return;
        journal_free(&host->journal);
        tables_free(&host->tables);
        dns_free(&host->dns);
        netlink_close(host->netlink);
        free(host->path);
        free(host);
}

int host_link(struct host *host, struct link_info *out)
{
        if (!host->journal.ifindex) host_find_index(host);
        return host->journal.ifindex ? netlink_link_by_index(host->netlink, host->journal.ifindex, out) : -ENODEV;
}

uint32_t host_egress_mtu(struct host *host, const struct host_state *state, uint32_t mark, bool here)
{
        return egress_mtu(host->netlink, here ? host->journal.ifindex : 0, mark, state->endpoints,
                          state->endpoint_count);
}

int host_watch(struct host *host)
{
        return netlink_watch_open(host->netlink);
}

void host_watch_values(int inotify)
{
        sysctl_watch(inotify);
        inotify_add_watch(inotify, dns_paths.resolv_conf, IN_MODIFY); /* of a file that is mounted there */
        inotify_add_watch(inotify, "/etc", IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE);
}

bool host_owns(const struct host *host, const struct plan_item *item)
{
        return plan_has(&host->journal.ours, item);
}

static bool holds_rules(const struct plan_state *ours, uint32_t mark)
{
        for (size_t i = 0; i < ours->count; i++)
                if (ours->items[i].kind == PLAN_RULES && ours->items[i].mark == mark) return true;
        return false;
}

/* The mark that a kill switch in force lets out already. */
static uint32_t lock_mark(const struct plan_state *ours)
{
        const struct plan_item *lock = plan_value(ours, PLAN_LOCK);

        return lock ? lock->mark : 0;
}

static bool is_among(uint32_t mark, const uint32_t *marks, size_t count)
{
        while (count && marks[count - 1] != mark)
                count--;
        return count;
}

bool host_choose_mark(struct host *host, uint32_t *mark, struct host_error *error)
{
        uint32_t marks[LOCKS_MAX];
        size_t count = journal_marks(host->path, host->journal.netns, marks, LOCKS_MAX);

        *error = (struct host_error){ 0 };
        *mark = lock_mark(&host->journal.ours);
        if (*mark) return true;
        for (uint32_t number = MARK_FIRST; number < MARK_FIRST + MARK_TRIES; number++) {
                bool used = false;
                if (is_among(number, marks, count)) continue;
                int code =
                        holds_rules(&host->journal.ours, number) ? 0 : netlink_mark_used(host->netlink, number, &used);
                if (code) return host_fail(error, code, "looking for an unused mark");
                if (used) continue;
                *mark = number;
                return true;
        }
        return host_fail(error, EBUSY, "looking for an unused mark: set FwMark");
}
