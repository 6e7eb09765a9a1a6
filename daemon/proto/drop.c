#include "daemon/proto/drop.h"

static const char *const names[DROP_COUNT] = { [DROP_NONE] = "none",
#define X(symbol, name, meaning) [DROP_##symbol] = name,
                                               DROP_REASONS(X)
#undef X
};

const char *drop_name(enum drop reason)
{
        return names[reason];
}
