/* May commands of this file be run? Only if nobody but root, and who runs adit, can have written it. */
#ifndef CTL_TRUST_H
#define CTL_TRUST_H

#include <stdbool.h>

enum { TRUST_TEXT = 1200 };

/* The file, every folder up to the root and every symbolic link on the way must belong to root or to the effective
 * uid; the file must not be writable by group or others, and a folder only with the sticky bit (/tmp). False: `why`
 * says which one, and what mends it. Asked before a file is read, it holds while it is read: who could exchange
 * something on the way between the two is trusted. */
bool path_trusted(const char *path, char why[TRUST_TEXT]);

#endif
