#include "kernel-iface/exclude.h"

#include <stdlib.h>
#include <string.h>

/* A prefix comes right before what lies inside it. */
static int compare(const struct prefix *a, const struct prefix *b)
{
        int order = (a->family > b->family) - (a->family < b->family);

        if (!order) order = memcmp(a->bytes, b->bytes, sizeof a->bytes);
        return order ? order : (a->length > b->length) - (a->length < b->length);
}

static int compare_items(const void *a, const void *b)
{
        return compare(a, b);
}

static bool contains(const struct prefix *wide, const struct prefix *narrow)
{
        unsigned whole = wide->length / 8, bits = wide->length % 8;

        if (wide->family != narrow->family || wide->length > narrow->length) return false;
        if (memcmp(wide->bytes, narrow->bytes, whole) != 0) return false;
        return !bits || (wide->bytes[whole] ^ narrow->bytes[whole]) >> (8 - bits) == 0;
}

size_t exclude_sort(struct prefix *list, size_t count)
{
        size_t kept = 0;

        if (!count) return 0;
        qsort(list, count, sizeof *list, compare_items);
        for (size_t i = 1; i < count; i++)
                if (!contains(&list[kept], &list[i])) list[++kept] = list[i];
        return kept + 1;
}

/* How many of the list come before `prefix`. */
static size_t before(const struct prefix *list, size_t count, const struct prefix *prefix)
{
        size_t low = 0;

        while (low < count) {
                size_t middle = low + (count - low) / 2;
                if (compare(&list[middle], prefix) < 0) low = middle + 1;
                else count = middle;
        }
        return low;
}

static struct prefix half(const struct prefix *prefix, bool upper)
{
        struct prefix out = *prefix;

        if (upper) out.bytes[prefix->length / 8] |= (uint8_t)(0x80 >> prefix->length % 8);
        out.length++;
        return out;
}

struct cut {
        bool (*piece)(void *arg, const struct prefix *prefix);
        void *arg;
};

/* `list`: of what is excluded, just that in `from`, or what `from` lies in. As deep as an address has bits. */
static bool cut_out(const struct prefix *from, const struct prefix *list, size_t count, const struct cut *cut)
{
        struct prefix lower, upper;
        size_t split;

        if (!count) return cut->piece(cut->arg, from);
        if (list->length <= from->length) return true;
        lower = half(from, false);
        upper = half(from, true);
        split = before(list, count, &upper);
        return cut_out(&lower, list, split, cut) && cut_out(&upper, list + split, count - split, cut);
}

bool exclude_from(const struct prefix *from, const struct prefix *excluded, size_t count,
                  bool (*piece)(void *arg, const struct prefix *prefix), void *arg)
{
        const struct cut cut = { piece, arg };
        size_t first = before(excluded, count, from), end = first, high = count;

        if (first && contains(&excluded[first - 1], from)) return true;
        while (end < high) { /* those inside it are a run */
                size_t middle = end + (high - end) / 2;
                if (contains(from, &excluded[middle])) end = middle + 1;
                else high = middle;
        }
        return cut_out(from, excluded + first, end - first, &cut);
}
