#include "crypto/replay.h"

enum { WORD_BITS = 64, RING_WORDS = REPLAY_WINDOW / WORD_BITS + 1 };

static uint64_t *word_of(struct replay *window, uint64_t counter)
{
        return &window->seen[counter / WORD_BITS % RING_WORDS];
}

/* Clears the words between that of the newest counter and that of `counter`, which will be the newest. */
static void advance(struct replay *window, uint64_t counter)
{
        uint64_t words = counter / WORD_BITS;
        uint64_t old_words = (window->next - 1) / WORD_BITS;

        if (window->next == 0) return;
        if (words - old_words > RING_WORDS) old_words = words - RING_WORDS;
        for (uint64_t w = old_words + 1; w <= words; w++)
                window->seen[w % RING_WORDS] = 0;
}

bool replay_accept(struct replay *window, uint64_t counter)
{
        uint64_t bit = UINT64_C(1) << counter % WORD_BITS;

        if (counter >= REJECT_AFTER_MESSAGES) return false;
        if (window->next > counter && window->next - counter > REPLAY_WINDOW) return false; /* too old */

        if (counter >= window->next) {
                advance(window, counter);
                window->next = counter + 1;
        }
        if (*word_of(window, counter) & bit) return false;
        *word_of(window, counter) |= bit;
        return true;
}
