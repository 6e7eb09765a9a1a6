#include "daemon/proto/index.h"
#include "daemon/proto/engine.h"

uint32_t index_buckets(uint32_t max_entries)
{
        uint32_t count = 16;

        while (count < max_entries && count < UINT32_C(1) << 31)
                count *= 2;
        return count;
}

size_t index_memory(uint32_t max_entries)
{
        return (size_t)index_buckets(max_entries) * sizeof(struct index_entry * _Atomic);
}

void index_init(struct index_table *table, void *memory, uint32_t max_entries)
{
        *table = (struct index_table){ .buckets = memory, .mask = index_buckets(max_entries) - 1 };
}

uint32_t index_fresh(const struct index_table *table, const struct engine_random *random)
{
        uint32_t index;

        do
                random->fill(random->context, &index, sizeof index);
        while (index_find(table, index));
        return index;
}

void index_insert(struct index_table *table, struct index_entry *entry, uint32_t index, struct peer *peer,
                  struct session *session)
{
        struct index_entry *_Atomic *bucket = &table->buckets[index & table->mask];

        entry->index = index;
        entry->session = session;
        entry->next = *bucket;
        entry->peer = peer;
        *bucket = entry;
}

void index_remove(struct index_table *table, struct index_entry *entry)
{
        struct index_entry *_Atomic *at = &table->buckets[entry->index & table->mask];

        if (!entry->peer) return;
        while (*at != entry)
                at = &(*at)->next;
        *at = entry->next;
        entry->peer = NULL;
}

struct index_entry *index_find(const struct index_table *table, uint32_t index)
{
        struct index_entry *entry = table->buckets[index & table->mask];

        while (entry && entry->index != index)
                entry = entry->next;
        return entry;
}
