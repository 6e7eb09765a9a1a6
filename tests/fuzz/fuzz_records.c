/* Any bytes as records: refused with a reason, or written again they are the same bytes. */
#include "daemon/conf/records.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
        if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct pool pool = { .size = conf_pool_size(size) };
        const char *why = NULL;
        struct host_state host;
        uint8_t *again;

        check((pool.base = malloc(pool.size)));
        if (records_read(&host, &pool, data, size, &why)) {
                check(records_size(&host) == size);
                check((again = malloc(size)));
                records_write(&host, again);
                check(memcmp(again, data, size) == 0);
                free(again);
        } else {
                check(why && !strstr(why, "too large"));
        }
        free(pool.base);
        return 0;
}
