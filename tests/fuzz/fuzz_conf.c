/* Any text as a tunnel.conf: it is refused with a place that exists, or its written form means the same and is stable.
 * The room that conf_pool_size() promises is enough. */
#include "daemon/conf/conf.h"

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

static bool parse(struct conf *conf, struct pool *pool, const char *text, size_t len, struct conf_error *error)
{
        *pool = (struct pool){ .size = conf_pool_size(len) };
        check((pool->base = malloc(pool->size)));
        return conf_parse(conf, pool, text, len, error);
}

static void check_error(const struct conf_error *error, size_t size)
{
        check(error->text[0] && strlen(error->text) < sizeof error->text && !says_full(error));
        check(error->line >= 1 && error->line <= size + 1 && error->column >= 1 && error->column <= size + 1);
        for (const char *c = error->text; *c; c++)
                check(*c >= ' ' && *c < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct writer first = { texts[0], TEXT_SIZE, 0 }, second = { texts[1], TEXT_SIZE, 0 };
        struct pool pool, again_pool;
        struct conf_error error;
        struct host_state host;
        struct conf conf, again;

        if (!parse(&conf, &pool, (const char *)data, size, &error)) {
                check_error(&error, size);
                free(pool.base);
                return 0;
        }
        conf_format(&conf, &first);
        check(conf_host_state(&conf, &host, &pool));
        if (first.used < TEXT_SIZE) {
                check(parse(&again, &again_pool, texts[0], first.used, &error));
                conf_format(&again, &second);
                check(first.used == second.used && memcmp(texts[0], texts[1], first.used) == 0);
                free(again_pool.base);
        }
        free(pool.base);
        return 0;
}
