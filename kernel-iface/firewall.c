#include "kernel-iface/firewall.h"

#include "kernel-iface/digest.h"
#include "kernel-iface/exclude.h"
#include "kernel-iface/gateway.h"
#include "kernel-iface/killswitch.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void firewall_name(enum firewall_table table, const char *link, char name[FIREWALL_NAME])
{
        size_t len = (size_t)snprintf(name, FIREWALL_NAME, "adit-%s-", table == FIREWALL_LOCK ? "lock" : "gate");

        for (; *link && len < FIREWALL_NAME - 4; link++) {
                if (isalnum((unsigned char)*link) || strchr("-_.", *link)) name[len++] = *link;
                else len += (size_t)snprintf(name + len, FIREWALL_NAME - len, "/%02x", (unsigned char)*link);
        }
        name[len] = '\0';
}

void firewall_comment(uint64_t digest, char comment[FIREWALL_COMMENT])
{
        snprintf(comment, FIREWALL_COMMENT, "adit %016" PRIx64, digest);
}

bool firewall_comment_parse(const char *comment, uint64_t *digest)
{
        int end = 0;

        return sscanf(comment, "adit %16" SCNx64 "%n", digest, &end) == 1 && end == 21 && !comment[end];
}

static bool frame(struct nft_text *out, const char *name, uint64_t digest, const struct nft_text *rules)
{
        char comment[FIREWALL_COMMENT];

        firewall_comment(digest, comment);
        nft_print(out,
                  "table inet %s {\n\tcomment \"adit\"\n\tchain " FIREWALL_CHAIN
                  " {\n\t\treturn comment \"%s\"\n\t}\n%s}\n",
                  name, comment, rules->bytes);
        return !out->failed;
}

/* Added, so that it is there to be deleted or flushed. */
void firewall_transaction(struct nft_text *out, const char *name, const char *text, bool anew)
{
        nft_print(out, "add table inet %s { comment \"adit\"; }\n%s table inet %s\n%s", name, anew ? "delete" : "flush",
                  name, text);
}

static bool add_table(struct firewall *out, enum firewall_table table, const char *link, uint32_t mark,
                      struct nft_text *rules)
{
        char name[FIREWALL_NAME];
        bool ok = !rules->failed;

        if (ok && rules->len) {
                firewall_name(table, link, name);
                out->tables[table].item = (struct plan_item){ .kind = firewall_kind(table),
                                                              .digest = digest_of(rules->bytes, rules->len),
                                                              .mark = mark };
                ok = frame(&out->tables[table].text, name, out->tables[table].item.digest, rules);
        }
        nft_text_free(rules);
        return ok;
}

static int compare_marks(const void *a, const void *b)
{
        uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

        return (one > other) - (one < other);
}

static bool add_lock(struct firewall *out, const char *link, const char *interface, const uint32_t *marks, size_t count,
                     const struct host_state *want)
{
        struct nft_text rules = { 0 };
        uint32_t *all = calloc(count + 1, sizeof *all);

        if (!all) return false;
        if (count) memcpy(all, marks, count * sizeof *all);
        all[count] = want->fwmark;
        qsort(all, count + 1, sizeof *all, compare_marks);
        killswitch_rules(&rules, interface, all, count + 1, want);
        free(all);
        return add_table(out, FIREWALL_LOCK, link, want->fwmark, &rules);
}

static bool add_gateway(struct firewall *out, const char *link, const char *interface, const struct host_state *want)
{
        struct nft_text rules = { 0 };

        gateway_rules(&rules, interface, want);
        return add_table(out, FIREWALL_GATEWAY, link, 0, &rules);
}

static bool sorted(const struct prefix *list, size_t *count, struct prefix **copy)
{
        *copy = calloc(*count ? *count : 1, sizeof **copy);
        if (!*copy) return false;
        if (*count) memcpy(*copy, list, *count * sizeof **copy);
        *count = exclude_sort(*copy, *count);
        return true;
}

bool firewall_make(struct firewall *out, const char *link, const char *interface, const uint32_t *marks, size_t count,
                   const struct host_state *want)
{
        struct host_state in_order = *want;
        bool ok = sorted(want->excluded, &in_order.excluded_count, &in_order.excluded);

        *out = (struct firewall){ 0 };
        if (!ok) return false;
        ok = sorted(want->forwards, &in_order.forward_count, &in_order.forwards);
        if (ok && want->kill_switch) ok = add_lock(out, link, interface, marks, count, &in_order);
        if (ok) ok = add_gateway(out, link, interface, &in_order);
        free(in_order.excluded);
        free(in_order.forwards);
        if (!ok) firewall_free(out);
        return ok;
}

void firewall_free(struct firewall *firewall)
{
        for (int i = 0; i < FIREWALL_TABLES; i++)
                nft_text_free(&firewall->tables[i].text);
        *firewall = (struct firewall){ 0 };
}
