/* What an unknown key draws: where it belongs, or which one was meant. */
#include "daemon/conf/parse.h"

#include <ctype.h>
#include <string.h>

enum { KEY_NAME_MAX = 24 };

static const char *const section_names[] = { "", "[Interface]", "[Peer]" };

/* Levenshtein's distance without regard to case. */
static unsigned edit_distance(struct span a, const char *b)
{
        unsigned row[KEY_NAME_MAX + 1], b_len = (unsigned)strlen(b);

        for (unsigned j = 0; j <= b_len; j++)
                row[j] = j;
        for (unsigned i = 0; i < a.len; i++) {
                unsigned diagonal = row[0];

                row[0] = i + 1;
                for (unsigned j = 0; j < b_len; j++) {
                        bool same = tolower((unsigned char)a.text[i]) == tolower((unsigned char)b[j]);
                        unsigned best = diagonal + !same;

                        diagonal = row[j + 1];
                        if (row[j] + 1 < best) best = row[j] + 1;
                        if (diagonal + 1 < best) best = diagonal + 1;
                        row[j + 1] = best;
                }
        }
        return row[b_len];
}

static const struct key_row *nearest(enum section section, struct span key)
{
        const struct key_row *found = NULL;
        unsigned least = 4;

        for (const struct key_row *row = key_rows; row->name; row++) {
                unsigned distance = row->section == section ? edit_distance(key, row->name) : least;

                if (distance >= least || distance * 2 >= strlen(row->name)) continue;
                least = distance;
                found = row;
        }
        return found;
}

/* A word, not what was left of a key that a line break cut in two: that one ends in '='. */
static bool showable(struct span key, struct span value)
{
        if (!key.len || key.len > KEY_NAME_MAX || !value.len || value.text[0] == '=') return false;
        for (size_t i = 0; i < key.len; i++)
                if (!isalpha((unsigned char)key.text[i]) && !memchr("-_", key.text[i], 2)) return false;
        return true;
}

bool key_unknown(struct parser *parser, struct span key, struct span value)
{
        const char *section = section_names[parser->section];
        const struct key_row *row;

        for (row = key_rows; row->name; row++)
                if (span_is_nocase(key, row->name))
                        return parse_fail(parser, key.text, "%s: a key of %s, not of %s", row->name,
                                          section_names[row->section], section);
        if (!showable(key, value))
                return parse_fail(parser, key.text, "unknown key of %s; a line is 'Key = value'", section);
        if ((row = nearest(parser->section, key)))
                return parse_fail(parser, key.text, "%.*s: unknown key of %s; did you mean %s?", (int)key.len, key.text,
                                  section, row->name);
        return parse_fail(parser, key.text, "%.*s: unknown key of %s", (int)key.len, key.text, section);
}
