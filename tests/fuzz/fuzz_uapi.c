/* Any text as a UAPI set or get. The first byte chooses: '0' a strict set, '1' a set between Adits, else a get. What is
 * accepted is stable when written and read again. */
#include "daemon/conf/uapi.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_SIZE = 1 << 20 };

static char texts[2][TEXT_SIZE];

static void check(bool ok)
{
        if (!ok) abort();
}

/* The end only: the beginning may quote the text. */
static bool says_full(const struct conf_error *error)
{
        static const char *const ends[] = { "is too large", "its memory is full" };
        size_t len = strlen(error->text);

        for (unsigned i = 0; i < 2; i++)
                if (len >= strlen(ends[i]) && strcmp(error->text + len - strlen(ends[i]), ends[i]) == 0) return true;
        return false;
}

static bool parse(struct conf *conf, struct pool *pool, char kind, const char *text, size_t len)
{
        struct conf_error error;
        bool ok;

        *pool = (struct pool){ .size = conf_pool_size(len) };
        check((pool->base = malloc(pool->size)));
        if (kind == '0' || kind == '1')
                ok = uapi_parse_set(conf, pool, kind == '0' ? UAPI_STRICT : UAPI_ADIT, text, len, &error);
        else ok = uapi_parse_get(conf, pool, text, len, &error);
        if (!ok) check(error.text[0] && error.line >= 1 && error.column >= 1 && !says_full(&error));
        return ok;
}

static size_t format(const struct conf *conf, char kind, char text[TEXT_SIZE])
{
        struct writer out = { text, TEXT_SIZE, 0 };

        if (kind == '0' || kind == '1') {
                uapi_format_set(conf, &out);
        } else {
                uapi_format_device(conf, UAPI_ADIT, true, &out);
                for (const struct conf_peer *peer = conf->peers; peer; peer = peer->next)
                        uapi_format_peer(peer, UAPI_ADIT, true, &out);
        }
        return out.used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct pool pool, again_pool;
        struct conf conf, again;
        size_t used;
        char kind;

        if (!size) return 0;
        kind = (char)data[0];
        if (parse(&conf, &pool, kind, (const char *)data + 1, size - 1)) {
                used = format(&conf, kind, texts[0]);
                if (used < TEXT_SIZE) {
                        check(parse(&again, &again_pool, kind, texts[0], used));
                        check(format(&again, kind, texts[1]) == used && memcmp(texts[0], texts[1], used) == 0);
                        free(again_pool.base);
                }
        }
        free(pool.base);
        return 0;
}
