#include "kernel-iface/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_items(FILE *file, const char *word, const struct plan_state *state)
{
        char text[PLAN_TEXT];

        for (size_t i = 0; i < state->count; i++) {
                plan_print(&state->items[i], text);
                fprintf(file, "%s %s\n", word, text);
        }
}

int journal_write(const char *path, const struct journal *journal)
{
        char next[PATH_MAX];
        int error;

        if (snprintf(next, sizeof next, "%s.new", path) >= (int)sizeof next) return -ENAMETOOLONG;
        unlink(next); /* of a crash; O_EXCL refuses to follow whatever else lies there */
        int fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) return -errno;
        FILE *file = fdopen(fd, "w");
        if (!file) {
                error = -errno;
                close(fd);
                goto unlink_next;
        }
        fprintf(file, "link %s %d %" PRIu64 "\n", journal->link, journal->ifindex, journal->netns);
        write_items(file, "was", &journal->before);
        write_items(file, "ours", &journal->ours);
        errno = 0;
        int failed = ferror(file);
        if (fclose(file) || failed) {
                error = errno ? -errno : -EIO;
                goto unlink_next;
        }
        if (rename(next, path)) {
                error = -errno;
                goto unlink_next;
        }
        return 0;

unlink_next:
        unlink(next);
        return error;
}

static int read_line(struct journal *journal, const char *line)
{
        struct plan_item item;
        char name[IFNAMSIZ];

        if (sscanf(line, "link %15s %d %" SCNu64, name, &journal->ifindex, &journal->netns) >= 2) {
                memcpy(journal->link, name, sizeof name);
                return 0;
        }
        if (strncmp(line, "was ", 4) == 0 && plan_parse(&item, line + 4))
                return plan_add(&journal->before, &item) ? 0 : -ENOMEM;
        if (strncmp(line, "ours ", 5) == 0 && plan_parse(&item, line + 5))
                return plan_add(&journal->ours, &item) ? 0 : -ENOMEM;
        return -EINVAL;
}

int journal_read(const char *path, struct journal *journal)
{
        FILE *file = fopen(path, "re");
        char *line = NULL;
        size_t size = 0;
        int error = 0;

        *journal = (struct journal){ 0 };
        if (!file) return -errno;
        while (!error && getline(&line, &size, file) > 0) {
                line[strcspn(line, "\n")] = 0;
                error = read_line(journal, line);
        }
        if (!error && ferror(file)) error = -EIO;
        if (!error && !*journal->link) error = -EINVAL;
        free(line);
        fclose(file);
        if (error) journal_free(journal);
        plan_sort(&journal->before);
        plan_sort(&journal->ours);
        return error;
}

void journal_free(struct journal *journal)
{
        plan_free(&journal->ours);
        plan_free(&journal->before);
        *journal = (struct journal){ 0 };
}

uint64_t journal_netns(void)
{
        struct stat info;

        return stat("/proc/self/ns/net", &info) ? 0 : info.st_ino;
}

/* What is asked of the journals of other links. */
struct question {
        enum plan_kind kind;
        struct plan_item *value;       /* out: a value of this kind as it was before; NULL: */
        const struct plan_item *named; /* whether this is theirs */
};

static bool answers(const char *path, uint64_t netns, const struct question *question)
{
        struct journal journal;
        const struct plan_item *value = NULL;
        bool found = false;

        if (journal_read(path, &journal)) return false;
        if (journal.netns == netns && question->value) value = plan_value(&journal.before, question->kind);
        else if (journal.netns == netns) found = plan_has(&journal.ours, question->named);
        if (value) {
                *question->value = *value;
                found = true;
        }
        journal_free(&journal);
        return found;
}

/* Of those in the folder of `path`, up to the first that says yes. */
static bool ask_others(const char *path, uint64_t netns, const struct question *question)
{
        char copy[PATH_MAX], other[PATH_MAX + NAME_MAX + 2];
        const char *slash = strrchr(path, '/');
        const char *own = slash ? slash + 1 : path;
        const char *ending = strrchr(own, '.');
        struct dirent *entry;
        bool found = false;

        if (!ending || snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy) return false;
        const char *folder = dirname(copy);
        DIR *dir = opendir(folder);
        if (!dir) return false;
        while (!found && (entry = readdir(dir))) {
                const char *its = strrchr(entry->d_name, '.');
                if (!its || strcmp(its, ending) != 0 || strcmp(entry->d_name, own) == 0) continue;
                snprintf(other, sizeof other, "%s/%s", folder, entry->d_name);
                found = answers(other, netns, question);
        }
        closedir(dir);
        return found;
}

bool journal_shared(const char *path, uint64_t netns, enum plan_kind kind, struct plan_item *item)
{
        return ask_others(path, netns, &(struct question){ .kind = kind, .value = item });
}

bool journal_names(const char *path, uint64_t netns, const struct plan_item *item)
{
        return ask_others(path, netns, &(struct question){ .named = item });
}
