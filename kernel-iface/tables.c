#include "kernel-iface/tables.h"

#include "kernel-iface/nft.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool tables_prepare(struct tables *tables, const char *interface, const uint32_t *marks, size_t count,
                    const struct host_state *want)
{
        firewall_free(&tables->next);
        return firewall_make(&tables->next, tables->link, interface, marks, count, want);
}

void tables_settle(struct tables *tables, bool done)
{
        if (done) {
                firewall_free(&tables->now);
                tables->now = tables->next;
                tables->next = (struct firewall){ 0 };
        } else {
                firewall_free(&tables->next);
        }
}

void tables_free(struct tables *tables)
{
        firewall_free(&tables->now);
        firewall_free(&tables->next);
}

static enum firewall_table table_of(enum plan_kind kind)
{
        return kind == PLAN_LOCK ? FIREWALL_LOCK : FIREWALL_GATEWAY;
}

static const char *text_of(const struct tables *tables, const struct plan_item *item)
{
        const struct firewall *both[] = { &tables->next, &tables->now };
        enum firewall_table table = table_of(item->kind);

        for (int i = 0; i < 2; i++)
                if (both[i]->tables[table].text.bytes && both[i]->tables[table].item.digest == item->digest)
                        return both[i]->tables[table].text.bytes;
        return NULL;
}

bool tables_know(const struct tables *tables, const struct plan_item *item)
{
        return text_of(tables, item) != NULL;
}

const char *tables_text(const struct tables *tables, const struct plan_item *item)
{
        return plan_is_table(item->kind) ? text_of(tables, item) : NULL;
}

/* reading */

static int read_table(const struct tables *tables, enum firewall_table table, struct nft_table *out, bool *ours,
                      uint64_t *digest)
{
        char name[FIREWALL_NAME];

        firewall_name(table, tables->link, name);
        int error = nft_read(name, FIREWALL_CHAIN, out);
        *ours = !error && out->there && !strcmp(out->comment, "adit");
        if (*ours && !firewall_comment_parse(out->marker, digest)) *digest = 0; /* somebody took that rule */
        return error;
}

/* The digest tells which of the two it is; only a plan knows the mark. */
static uint32_t mark_of(const struct plan_item *named, uint64_t digest)
{
        return named && named->digest == digest ? named->mark : 0;
}

static int read_kind(const struct tables *tables, enum firewall_table table, const struct plan_state *ours,
                     const struct plan_state *wanted, struct plan_state *current)
{
        enum plan_kind kind = firewall_kind(table);
        const struct plan_item *before = plan_value(ours, kind), *after = plan_value(wanted, kind);
        struct plan_item item = { .kind = kind };
        struct nft_table is;
        bool is_ours;

        if (!before && !after) return 0;
        int error = read_table(tables, table, &is, &is_ours, &item.digest);
        if (error == -EOPNOTSUPP && !after) return 0; /* then there is none */
        if (error || !is_ours) return error;
        item.mark = mark_of(after, item.digest);
        if (!item.mark) item.mark = mark_of(before, item.digest);
        bool whole = tables->prints[table] ? tables->prints[table] == is.print : !text_of(tables, &item);
        if (!whole && !tables->look) item.digest = 0;
        return plan_add(current, &item) ? 0 : -ENOMEM;
}

int tables_read(const struct tables *tables, const struct plan_state *ours, const struct plan_state *wanted,
                struct plan_state *current)
{
        int error = 0;

        for (enum firewall_table table = 0; !error && table < FIREWALL_TABLES; table++)
                error = read_kind(tables, table, ours, wanted, current);
        return error;
}

/* applying */

static bool fail(struct host_error *error, const struct plan_item *item, const char *name, int code, const char *why)
{
        const char *what = item->kind == PLAN_LOCK ? "kill switch" : "gateway";
        const char *remedy = "";

        if (code == EOPNOTSUPP) remedy = ": this kernel has no nftables (CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET)";
        if (code == EEXIST) remedy = ": it is not Adit's; remove or rename it";
        *error = (struct host_error){ .error = code };
        snprintf(error->text, sizeof error->text, "%s: nftables table inet %s: %s%s", what, name,
                 *why ? why : strerror(code), remedy);
        return false;
}

/* One that nobody changed has the chains of the text; that of the gateway's are not always the same ones. */
static void transaction(const struct tables *tables, const struct plan_step *step, const struct nft_table *was,
                        struct nft_text *out)
{
        enum firewall_table table = table_of(step->item.kind);
        const char *text = text_of(tables, &step->item);
        bool intact = !tables->prints[table] || tables->prints[table] == was->print;
        char name[FIREWALL_NAME];

        firewall_name(table, tables->link, name);
        if (!step->add) nft_print(out, "delete table inet %s\n", name);
        else if (text) firewall_transaction(out, name, text, table == FIREWALL_GATEWAY || !intact);
        else out->failed = true;
}

static bool is_done(const struct plan_step *step, const struct nft_table *was, const struct nft_table *is,
                    uint64_t digest)
{
        return step->add ? digest == step->item.digest && is->print != was->print : !is->there;
}

bool tables_apply(struct tables *tables, const struct plan_step *step, struct host_error *error)
{
        enum firewall_table table = table_of(step->item.kind);
        char name[FIREWALL_NAME], why[160] = "";
        struct nft_table was, is;
        struct nft_text text = { 0 };
        uint64_t digest = 0;
        bool is_ours;

        firewall_name(table, tables->link, name);
        int code = read_table(tables, table, &was, &is_ours, &digest);
        if (!step->add && ((!code && !is_ours) || code == -EOPNOTSUPP)) return true; /* gone, or another's */
        if (!code && was.there && !is_ours) code = -EEXIST;
        if (code) return fail(error, &step->item, name, -code, why);

        transaction(tables, step, &was, &text);
        int ran = text.failed ? -ENOMEM : nft_run(text.bytes, why, sizeof why);
        nft_text_free(&text);
        code = read_table(tables, table, &is, &is_ours, &digest);
        if (code) return fail(error, &step->item, name, -code, why);
        if (!is_done(step, &was, &is, is_ours ? digest : 0))
                return fail(error, &step->item, name, ran ? -ran : EIO, why);
        tables->prints[table] = step->add ? is.print : 0;
        return true;
}
