#include "daemon/proto/drop.h"

/* clang-format off */
static const struct {
        const char *name, *meaning;
} reasons[DROP_COUNT] = {
        [DROP_NONE] = { "none", "not dropped" },
#define X(symbol, name, meaning) [DROP_##symbol] = { name, meaning },
        DROP_REASONS(X)
#undef X
};
/* clang-format on */

const char *drop_name(enum drop reason)
{
        return reasons[reason].name;
}

const char *drop_meaning(enum drop reason)
{
        return reasons[reason].meaning;
}
