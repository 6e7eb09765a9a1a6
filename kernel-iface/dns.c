#include "kernel-iface/dns.h"

#include "kernel-iface/dns_file.h"
#include "kernel-iface/dns_resolved.h"
#include "kernel-iface/dns_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum host_dns_means find_means(void)
{
        if (resolved_is_here()) return DNS_BY_RESOLVED;
        return dns_file_is_resolvconf(&dns_paths) ? DNS_BY_RESOLVCONF : DNS_BY_FILE;
}

static void free_wish(struct dns_wish *wish)
{
        free(wish->text);
        *wish = (struct dns_wish){ 0 };
}

bool dns_prepare(struct dns *dns, const struct host_state *want)
{
        free_wish(&dns->next);
        if (!want->dns_count) return true;
        enum host_dns_means means = find_means();
        if (means == DNS_BY_RESOLVCONF) return true;
        dns->next.text = dns_text_make(want);
        if (!dns->next.text) return false;
        dns->next.item =
                (struct plan_item){ .kind = PLAN_DNS, .value = means, .digest = dns_text_digest(dns->next.text) };
        return true;
}

void dns_settle(struct dns *dns, bool done)
{
        if (done) {
                free_wish(&dns->now);
                dns->now = dns->next;
                dns->next = (struct dns_wish){ 0 };
        } else {
                free_wish(&dns->next);
        }
}

void dns_free(struct dns *dns)
{
        free_wish(&dns->now);
        free_wish(&dns->next);
}

static const char *text_of(const struct dns *dns, const struct plan_item *item)
{
        const struct dns_wish *both[] = { &dns->next, &dns->now };

        for (int i = 0; i < 2; i++)
                if (both[i]->text && both[i]->item.digest == item->digest) return both[i]->text;
        return NULL;
}

bool dns_knows(const struct dns *dns, const struct plan_item *item)
{
        return text_of(dns, item) != NULL;
}

char *dns_commands(const struct dns *dns, const struct plan_item *item, const char *interface)
{
        const char *text = item->kind == PLAN_DNS ? text_of(dns, item) : NULL;

        return text ? dns_text_commands(text, item->value == DNS_BY_RESOLVED ? interface : NULL) : NULL;
}

/* reading */

static int read_file(const struct dns *dns, struct plan_state *current)
{
        struct plan_item item = { .kind = PLAN_DNS, .value = DNS_BY_FILE };
        char *text;
        int error = dns_file_read(&dns_paths, dns->link, &text);

        if (error || !text) return error;
        item.digest = *text ? dns_text_digest(text) : 0;
        free(text);
        return plan_add(current, &item) ? 0 : -ENOMEM;
}

static int read_resolved(const struct dns *dns, int ifindex, const struct plan_item *item, struct plan_state *current)
{
        struct plan_item is = { .kind = PLAN_DNS, .value = DNS_BY_RESOLVED };
        const char *text = text_of(dns, item);

        char has[1 << 16];

        if (!ifindex || !resolved_is_here() || resolved_get(ifindex, has, sizeof has) || !*has) return 0;
        if (text && resolved_same(text, has)) is.digest = item->digest;
        return plan_add(current, &is) ? 0 : -ENOMEM;
}

int dns_read(const struct dns *dns, int ifindex, const struct plan_state *ours, const struct plan_state *wanted,
             struct plan_state *current)
{
        const struct plan_item *before = plan_value(ours, PLAN_DNS), *after = plan_value(wanted, PLAN_DNS);
        const struct plan_item *resolved = after && after->value == DNS_BY_RESOLVED     ? after
                                           : before && before->value == DNS_BY_RESOLVED ? before
                                                                                        : NULL;
        bool file = (before && before->value == DNS_BY_FILE) || (after && after->value == DNS_BY_FILE);
        int error = file ? read_file(dns, current) : 0;

        if (!error && resolved) error = read_resolved(dns, ifindex, resolved, current);
        return error;
}

/* applying */

static int set(const struct dns *dns, int ifindex, const struct plan_item *item, char *why, size_t size)
{
        const char *text = text_of(dns, item);

        if (!text) return -EINVAL;
        if (item->value == DNS_BY_FILE) return dns_file_set(&dns_paths, dns->link, text);
        int error = resolved_set(ifindex, text, why, size);
        return error ? error : dns_file_clear(&dns_paths, dns->link); /* of before there was a resolved */
}

/* A file that another program has changed since is left so. */
static int clear(const struct dns *dns, int ifindex, const struct plan_item *item, char *why, size_t size)
{

        if (item->value == DNS_BY_FILE) return dns_file_clear(&dns_paths, dns->link);
        return ifindex && resolved_is_here() ? resolved_clear(ifindex, why, size) : 0;
}

bool dns_left(const char *link)
{
        char *text = NULL;
        bool left = !dns_file_read(&dns_paths, link, &text) && text;

        free(text);
        return left;
}

bool dns_put_back(struct dns *dns, struct host_error *error)
{
        const struct plan_step step = { .item = { .kind = PLAN_DNS, .value = DNS_BY_FILE } };

        return dns_apply(dns, 0, &step, error);
}

bool dns_apply(struct dns *dns, int ifindex, const struct plan_step *step, struct host_error *error)
{
        char why[160] = "";
        int code = (step->add ? set : clear)(dns, ifindex, &step->item, why, sizeof why);

        if (!code) return true;
        *error = (struct host_error){ .error = -code };
        snprintf(error->text, sizeof error->text, "DNS: %s: %s",
                 step->item.value == DNS_BY_RESOLVED ? "systemd-resolved" : dns_paths.resolv_conf,
                 *why ? why : strerror(-code));
        return false;
}
