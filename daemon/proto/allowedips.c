#include "daemon/proto/allowedips.h"
#include "daemon/proto/grace.h"

#include <assert.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

/* An address or prefix as one number, most significant bit first; IPv4 takes the top 32 bits. Both families so share
 * every line below. */
struct bits {
        uint64_t high, low;
};

/* Invariant: a node without a peer is a split, which has two children; so N prefixes need fewer than 2 N nodes.
 * Readers follow `child` and read `peer`; what else they read never changes while the node is in the trie. Each change
 * becomes visible with one store, of a node that is complete, so that an address always has either its old peer or its
 * new one. A node that left the trie still leads on to those below it, until no reader can be in it.
 * Nodes lie in one array and name each other by their number in it, from 1, 0 for none: that makes one a cache line. */
struct allowedips_node {
        _Atomic uint32_t child[2];
        struct peer *_Atomic peer; /* NULL: a split */
        struct bits bits;          /* zero past length */
        uint8_t length, family;
        uint32_t generation; /* of allowedips_begin() when it was inserted last */
        uint32_t self, parent;
        uint32_t previous, next; /* in the peer's list */
        union {
                struct allowedips_list *list;
                struct retired retired; /* out of the trie; and on the free list */
        };
};

static_assert(sizeof(struct allowedips_node) == 64, "a cache line");

static struct allowedips_node *numbered(const struct allowedips_node *any, uint32_t number)
{
        return number ? (struct allowedips_node *)(uintptr_t)(any - any->self + number) : NULL;
}

static uint32_t number_of(const struct allowedips_node *node)
{
        return node ? node->self : 0;
}

static uint64_t load64(const uint8_t *bytes)
{
        uint64_t v = 0;

        for (int i = 0; i < 8; i++)
                v = v << 8 | bytes[i];
        return v;
}

static struct bits bits_of_v4(const uint8_t address[4])
{
        return (struct bits){ (uint64_t)address[0] << 56 | (uint64_t)address[1] << 48 | (uint64_t)address[2] << 40 |
                                      (uint64_t)address[3] << 32,
                              0 };
}

static struct bits bits_of_v6(const uint8_t address[16])
{
        return (struct bits){ load64(address), load64(address + 8) };
}

static struct bits bits_cut(struct bits in, unsigned length)
{
        if (length == 0) return (struct bits){ 0, 0 };
        if (length <= 64) return (struct bits){ in.high & UINT64_MAX << (64 - length), 0 };
        return (struct bits){ in.high, in.low & UINT64_MAX << (128 - length) };
}

static struct bits bits_of_prefix(const struct prefix *prefix)
{
        return bits_cut(prefix->family == AF_INET ? bits_of_v4(prefix->bytes) : bits_of_v6(prefix->bytes),
                        prefix->length);
}

/* Bits that two have in common, from the first on. */
static unsigned bits_common(struct bits a, struct bits b)
{
        if (a.high != b.high) return (unsigned)__builtin_clzll(a.high ^ b.high);
        if (a.low != b.low) return 64 + (unsigned)__builtin_clzll(a.low ^ b.low);
        return 128;
}

static unsigned bits_at(struct bits in, unsigned position)
{
        return position < 64 ? in.high >> (63 - position) & 1 : in.low >> (127 - position) & 1;
}

static bool holds(const struct allowedips_node *node, struct bits address)
{
        return bits_common(node->bits, address) >= node->length;
}

static struct allowedips_node *node_of(struct retired *retired)
{
        return (struct allowedips_node *)(void *)((char *)retired - offsetof(struct allowedips_node, retired));
}

void allowedips_reclaim(struct allowedips *table)
{
        struct retired *next;

        for (struct retired *item = limbo_take(&table->limbo, table->grace); item; item = next) {
                next = item->next;
                item->next = table->free;
                table->free = item;
        }
}

static struct allowedips_node *take(struct allowedips *table)
{
        struct allowedips_node *node = NULL;

        if (table->free) {
                node = node_of(table->free);
                table->free = table->free->next;
        } else if (table->unused_count) {
                node = table->unused++;
                table->unused_count--;
                node->self = ++table->used;
        }
        return node;
}

/* There are enough nodes; when they are all in limbo, readers are about to leave it: they wait for nobody. */
static struct allowedips_node *node_new(struct allowedips *table, struct bits bits, unsigned length, uint8_t family)
{
        struct allowedips_node *node;

        for (;;) {
                allowedips_reclaim(table);
                if ((node = take(table))) break;
                sched_yield();
        }
        node->child[0] = node->child[1] = 0;
        node->peer = NULL;
        node->bits = bits;
        node->length = (uint8_t)length;
        node->family = family;
        node->parent = node->previous = node->next = 0;
        node->list = NULL;
        return node;
}

static void node_free(struct allowedips *table, struct allowedips_node *node)
{
        limbo_add(&table->limbo, &node->retired);
        allowedips_reclaim(table);
}

static struct allowedips_node *child_of(const struct allowedips_node *node, unsigned which)
{
        return numbered(node, node->child[which]);
}

/* Makes `node` (NULL: nothing) the child of `parent` (NULL: the root) on the way to `bits`. */
static void hang(struct allowedips *table, struct allowedips_node *parent, struct bits bits, uint8_t family,
                 struct allowedips_node *node)
{
        if (node) node->parent = number_of(parent);
        if (parent) parent->child[bits_at(bits, parent->length)] = number_of(node);
        else *(family == AF_INET ? &table->root4 : &table->root6) = node;
}

static void list_append(struct allowedips_list *list, struct allowedips_node *node)
{
        node->list = list;
        node->previous = number_of(list->last);
        node->next = 0;
        if (list->last) list->last->next = node->self;
        else list->first = node;
        list->last = node;
}

static void list_remove(struct allowedips_node *node)
{
        struct allowedips_list *list = node->list;
        struct allowedips_node *previous = numbered(node, node->previous), *next = numbered(node, node->next);

        if (previous) previous->next = node->next;
        else list->first = next;
        if (next) next->previous = node->previous;
        else list->last = previous;
        node->list = NULL;
}

/* The lowest node that holds all of `wanted` and is not longer; NULL: not even the root. */
static struct allowedips_node *find(const struct allowedips *table, uint8_t family, struct bits wanted, unsigned length)
{
        struct allowedips_node *found = NULL;
        struct allowedips_node *node = family == AF_INET ? table->root4 : table->root6;

        while (node && node->length <= length && holds(node, wanted)) {
                found = node;
                if (node->length == length) break;
                node = child_of(node, bits_at(wanted, node->length));
        }
        return found;
}

/* Hangs `node`, which the trie does not have, below `parent` (NULL: at the root), above or beside what is there. */
static void graft(struct allowedips *table, struct allowedips_node *parent, struct allowedips_node *node)
{
        struct allowedips_node *split, *there = node->family == AF_INET ? table->root4 : table->root6;

        if (parent) there = child_of(parent, bits_at(node->bits, parent->length));
        unsigned common = there ? bits_common(there->bits, node->bits) : 0;
        if (!there || common >= node->length) {
                if (there) hang(table, node, there->bits, node->family, there);
                hang(table, parent, node->bits, node->family, node);
                return;
        }
        split = node_new(table, bits_cut(node->bits, common), common, node->family);
        hang(table, split, there->bits, node->family, there);
        hang(table, split, node->bits, node->family, node);
        hang(table, parent, node->bits, node->family, split);
}

/* Frees `node` and then its parent as long as they are neither a prefix nor a split. */
static void collapse(struct allowedips *table, struct allowedips_node *node)
{
        while (node && !node->peer && !(node->child[0] && node->child[1])) {
                struct allowedips_node *parent = numbered(node, node->parent);

                hang(table, parent, node->bits, node->family, child_of(node, node->child[0] ? 0 : 1));
                node_free(table, node);
                node = parent;
        }
}

static void drop(struct allowedips *table, struct allowedips_node *node)
{
        list_remove(node);
        node->peer = NULL;
        table->prefixes--;
        collapse(table, node);
}

size_t allowedips_memory(uint32_t max_prefixes)
{
        return 2 * (size_t)max_prefixes * sizeof(struct allowedips_node);
}

void allowedips_init(struct allowedips *table, void *memory, uint32_t max_prefixes)
{
        *table =
                (struct allowedips){ .unused = memory, .unused_count = 2 * max_prefixes, .max_prefixes = max_prefixes };
}

/* One store: the prefix has its old peer until it has the new one. */
static void give(struct allowedips *table, struct allowedips_node *node, struct peer *peer,
                 struct allowedips_list *list)
{
        node->generation = table->generation;
        if (node->peer == peer) return;
        if (node->list) list_remove(node);
        list_append(list, node);
        node->peer = peer;
}

bool allowedips_insert(struct allowedips *table, const struct prefix *prefix, struct peer *peer,
                       struct allowedips_list *list)
{
        struct bits bits = bits_of_prefix(prefix);
        struct allowedips_node *node = find(table, prefix->family, bits, prefix->length);
        bool exact = node && node->length == prefix->length;

        if (exact && node->peer) {
                give(table, node, peer, list);
                return true;
        }
        if (table->prefixes == table->max_prefixes) return false;
        if (exact) {
                give(table, node, peer, list);
        } else {
                struct allowedips_node *parent = node;

                node = node_new(table, bits, prefix->length, prefix->family);
                give(table, node, peer, list);
                graft(table, parent, node);
        }
        table->prefixes++;
        return true;
}

bool allowedips_remove(struct allowedips *table, const struct prefix *prefix, struct peer *peer)
{
        struct allowedips_node *node = find(table, prefix->family, bits_of_prefix(prefix), prefix->length);

        if (!node || node->length != prefix->length || !node->peer || node->peer != peer) return false;
        drop(table, node);
        return true;
}

void allowedips_clear(struct allowedips *table, struct allowedips_list *list)
{
        while (list->first)
                drop(table, list->first);
}

void allowedips_begin(struct allowedips *table)
{
        table->generation++;
}

void allowedips_sweep(struct allowedips *table, struct allowedips_list *list)
{
        struct allowedips_node *next;

        for (struct allowedips_node *node = list->first; node; node = next) {
                next = numbered(node, node->next);
                if (node->generation != table->generation) drop(table, node);
        }
}

static struct peer *lookup(const struct allowedips_node *node, struct bits address, unsigned max_length)
{
        struct peer *best = NULL;

        while (node && holds(node, address)) {
                struct peer *peer = node->peer;
                if (peer) best = peer;
                if (node->length == max_length) break;
                node = child_of(node, bits_at(address, node->length));
        }
        return best;
}

struct peer *allowedips_lookup4(const struct allowedips *table, const uint8_t address[4])
{
        return lookup(table->root4, bits_of_v4(address), 32);
}

struct peer *allowedips_lookup6(const struct allowedips *table, const uint8_t address[16])
{
        return lookup(table->root6, bits_of_v6(address), 128);
}

static void store64(uint8_t *bytes, uint64_t v)
{
        for (int i = 0; i < 8; i++)
                bytes[i] = (uint8_t)(v >> (56 - 8 * i));
}

const struct allowedips_node *allowedips_next(const struct allowedips_list *list, const struct allowedips_node *cursor,
                                              struct prefix *out)
{
        const struct allowedips_node *node = cursor ? numbered(cursor, cursor->next) : list->first;

        if (!node) return NULL;
        *out = (struct prefix){ .family = node->family, .length = node->length };
        store64(out->bytes, node->bits.high);
        store64(out->bytes + 8, node->bits.low);
        return node;
}
