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

/* Of the journals of other links of that namespace, in the same folder; until `visit` answers false. */
static void visit_others(const char *path, uint64_t netns, bool (*visit)(void *arg, const struct journal *other),
                         void *arg)
{
        char copy[PATH_MAX], other[PATH_MAX + NAME_MAX + 2];
        const char *slash = strrchr(path, '/');
        const char *own = slash ? slash + 1 : path;
        const char *ending = strrchr(own, '.');
        struct dirent *entry;
        bool more = true;

        if (!ending || snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy) return;
        const char *folder = dirname(copy);
        DIR *dir = opendir(folder);
        if (!dir) return;
        while (more && (entry = readdir(dir))) {
                const char *its = strrchr(entry->d_name, '.');
                struct journal journal;
                if (!its || strcmp(its, ending) != 0 || strcmp(entry->d_name, own) == 0) continue;
                snprintf(other, sizeof other, "%s/%s", folder, entry->d_name);
                if (journal_read(other, &journal)) continue;
                if (journal.netns == netns) more = visit(arg, &journal);
                journal_free(&journal);
        }
        closedir(dir);
}

struct held {
        struct plan_state *state;
        bool ok;
};

static bool take_sysctls(void *arg, const struct journal *other)
{
        struct held *held = arg;

        for (size_t i = 0; held->ok && i < other->before.count; i++) {
                const struct plan_item *item = &other->before.items[i];
                if (plan_is_sysctl(item->kind) && !plan_same(held->state, item)) held->ok = plan_add(held->state, item);
        }
        return held->ok;
}

bool journal_held(const char *path, uint64_t netns, struct plan_state *state)
{
        struct held held = { state, true };

        visit_others(path, netns, take_sysctls, &held);
        return held.ok;
}

struct named {
        const struct plan_item *item;
        bool found;
};

static bool find_item(void *arg, const struct journal *other)
{
        struct named *named = arg;

        named->found = plan_has(&other->ours, named->item);
        return !named->found;
}

bool journal_names(const char *path, uint64_t netns, const struct plan_item *item)
{
        struct named named = { .item = item };

        visit_others(path, netns, find_item, &named);
        return named.found;
}

struct marks {
        uint32_t *list;
        size_t count, max;
};

static bool take_mark(void *arg, const struct journal *other)
{
        struct marks *marks = arg;
        const struct plan_item *lock = plan_value(&other->ours, PLAN_LOCK);

        if (lock && lock->mark) marks->list[marks->count++] = lock->mark;
        return marks->count < marks->max;
}

size_t journal_marks(const char *path, uint64_t netns, uint32_t *list, size_t max)
{
        struct marks marks = { list, 0, max };

        visit_others(path, netns, take_mark, &marks);
        return marks.count;
}
