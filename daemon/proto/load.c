#include "daemon/proto/load.h"

#include <sodium.h>
#include <string.h>

#define NS_PER_S      UINT64_C(1000000000)
#define SOURCE_COST   (NS_PER_S / LOAD_SOURCE_RATE)
#define SOURCE_CREDIT (SOURCE_COST * LOAD_SOURCE_BURST)
#define SOURCE_STAYS  NS_PER_S

size_t load_memory(void)
{
        return sizeof(struct load_source) * LOAD_SOURCES;
}

void load_init(struct load *load, void *memory, const uint8_t hash_key[16])
{
        *load = (struct load){ .sources = memory };
        memcpy(load->hash_key, hash_key, sizeof load->hash_key);
}

bool load_note(struct load *load, uint64_t now)
{
        if (now - load->window_start >= LOAD_WINDOW) {
                load->window_start = now;
                load->window_count = 0;
        }
        if (++load->window_count > LOAD_HANDSHAKES) load->until = now + LOAD_STAYS;
        return now < load->until;
}

static void source_name(struct load_source *out, const union socket_address *source)
{
        *out = (struct load_source){ .family = source->family == AF_INET6 ? 6 : 4 };
        if (source->family == AF_INET6) memcpy(out->net, &source->in6.sin6_addr, 8);
        else memcpy(out->net, &source->in.sin_addr, 4);
}

static bool source_is(const struct load_source *a, const struct load_source *b)
{
        return a->family == b->family && memcmp(a->net, b->net, sizeof a->net) == 0;
}

static bool source_free(const struct load_source *source, uint64_t now)
{
        return source->family == 0 || now - source->credit_at >= SOURCE_STAYS;
}

/* The entry of this source, else one that is free, else NULL: a full table refuses, it does not forget who it limits.
 */
static struct load_source *source_find(struct load *load, uint64_t now, const struct load_source *name)
{
        uint8_t hash[crypto_shorthash_BYTES];
        struct load_source *set, *found = NULL;
        uint8_t text[9] = { name->family };

        memcpy(text + 1, name->net, sizeof name->net);
        crypto_shorthash(hash, text, sizeof text, load->hash_key);
        set = &load->sources[(hash[0] | hash[1] << 8) % (LOAD_SOURCES / LOAD_WAYS) * LOAD_WAYS];

        for (unsigned i = 0; i < LOAD_WAYS; i++) {
                if (source_is(&set[i], name)) return &set[i];
                if (!found && source_free(&set[i], now)) found = &set[i];
        }
        if (found) {
                *found = *name;
                found->credit_at = now;
                found->credit = SOURCE_CREDIT;
        }
        return found;
}

bool load_allow(struct load *load, uint64_t now, const union socket_address *source)
{
        struct load_source name, *found;

        source_name(&name, source);
        found = source_find(load, now, &name);
        if (!found) return false;

        found->credit += now - found->credit_at;
        if (found->credit > SOURCE_CREDIT) found->credit = SOURCE_CREDIT;
        found->credit_at = now;
        if (found->credit < SOURCE_COST) return false;
        found->credit -= SOURCE_COST;
        return true;
}
