#include "daemon/repair.h"

#include "daemon/claim.h"
#include "daemon/conf/conf.h"
#include "daemon/conf/control.h"
#include "daemon/sockets.h"
#include "kernel-iface/dns.h"
#include "kernel-iface/plan_commands.h"
#include "kernel-iface/repair.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { END_WAIT_MS = 1000, END_STEP_MS = 50 };

struct repair {
        const char *link;
        bool all; /* a link that is up is no mistake then */
        char uapi[128], control[128], journal[128], lock[128];
        unsigned told;
};

static int fail(const struct repair *repair, const char *what)
{
        fflush(stdout);
        fprintf(stderr, "aditd: %s: %s\n", repair->link, what);
        return EXIT_FAILURE;
}

static void tell(void *arg, const char *step, bool removed)
{
        struct repair *repair = arg;

        printf("%s: %s %s\n", repair->link, removed ? "removed" : "set back", step);
        repair->told++;
}

/* Not one that somebody serves, who may be another WireGuard; a process that is about to end may do so for a moment. */
static void remove_socket(struct repair *repair, const char *path, int type)
{
        for (int waited = 0; waited < END_WAIT_MS && socket_served(path, type) > 0; waited += END_STEP_MS)
                poll(NULL, 0, END_STEP_MS);
        if (socket_served(path, type) == 0 && !unlink(path)) tell(repair, path, true);
}

/* Without its journal a link cannot be told from others: what bears our marks and is no other link's is shown. */
static void show_orphans(const struct repair *repair)
{
        struct plan_state orphans;
        char text[PLAN_COMMANDS_TEXT];

        fprintf(stderr, "Look at this host's state; when nothing of %s is left: rm %s\n", repair->link,
                repair->journal);
        if (repair_orphans(repair->link, repair->journal, &orphans)) return;
        if (orphans.count)
                fputs("By adit's mark, and of no link that has a journal, there is what these remove:\n", stderr);
        else fputs("By adit's mark there is nothing but what other links' journals name.\n", stderr);
        for (size_t i = 0; i < orphans.count; i++) {
                plan_commands(&(struct plan_step){ .item = orphans.items[i] }, repair->link, text, sizeof text);
                fputs(text, stderr);
        }
        plan_free(&orphans);
}

static int undo(struct repair *repair)
{
        const struct host_teller teller = { tell, repair };
        struct host_error error;
        char half[sizeof repair->journal + 4];

        snprintf(half, sizeof half, "%s.new", repair->journal); /* being written when the link died */
        bool journal = !access(repair->journal, F_OK);
        if (!repair_link(repair->link, repair->journal, &teller, &error)) {
                fail(repair, error.text);
                if (error.error == EINVAL) show_orphans(repair);
                return EXIT_FAILURE;
        }
        unlink(half);
        remove_socket(repair, repair->uapi, SOCK_STREAM);
        remove_socket(repair, repair->control, SOCK_SEQPACKET);
        if (journal && !repair->told)
                printf("%s: all that its journal names was gone already; the journal was removed\n", repair->link);
        else if (!repair->told) printf("%s: nothing to repair\n", repair->link);
        return EXIT_SUCCESS;
}

static int is_up(const struct repair *repair)
{
        char text[96];

        if (repair->all) return printf("%s: is up\n", repair->link) < 0;
        snprintf(text, sizeof text, "this link is up, and nothing to repair; to take it down: adit down %s",
                 repair->link);
        return fail(repair, text);
}

static bool left_something(const struct repair *repair)
{
        return !access(repair->control, F_OK) || !access(repair->journal, F_OK) || !access(repair->lock, F_OK) ||
               dns_left(repair->link) || repair_finds_tables(repair->link);
}

static int repair_one(const char *link, bool all)
{
        struct repair repair = { .link = link, .all = all };
        struct claim claim;

        snprintf(repair.uapi, sizeof repair.uapi, "%s/%s.sock", UAPI_DIRECTORY, link);
        snprintf(repair.control, sizeof repair.control, "%s/%s.sock", CONTROL_DIRECTORY, link);
        snprintf(repair.journal, sizeof repair.journal, "%s/%s.state", CONTROL_DIRECTORY, link);
        snprintf(repair.lock, sizeof repair.lock, "%s/%s.lock", CONTROL_DIRECTORY, link);
        if (!left_something(&repair)) {
                printf("%s: nothing to repair\n", link);
                return EXIT_SUCCESS;
        }
        int error = claim_take(&claim, link);
        if (error == -EADDRINUSE) return is_up(&repair);
        if (error == -EBUSY) return fail(&repair, "aditd is starting it, or another repair is at work; try again");
        if (error) {
                fprintf(stderr, "aditd: %s: %s\n", claim.path, strerror(-error));
                return EXIT_FAILURE;
        }
        int status = socket_served(repair.control, SOCK_SEQPACKET) > 0 ? is_up(&repair) : undo(&repair);
        claim_drop(&claim);
        return status;
}

/* ---- all of them ---------------------------------------------------------------------------------------------------
 */

static int is_trace(const struct dirent *entry)
{
        const char *dot = strrchr(entry->d_name, '.');

        return dot && interface_name_valid(entry->d_name, (size_t)(dot - entry->d_name)) &&
               (!strcmp(dot, ".state") || !strcmp(dot, ".sock") || !strcmp(dot, ".lock"));
}

/* Of a link with several files the first one counts. */
static bool name_of(char *name, struct dirent **entries, int n)
{
        size_t len = (size_t)(strrchr(entries[n]->d_name, '.') - entries[n]->d_name);

        snprintf(name, IFNAMSIZ, "%.*s", (int)len, entries[n]->d_name);
        for (int i = 0; i < n; i++)
                if (strrchr(entries[i]->d_name, '.') == entries[i]->d_name + len &&
                    !strncmp(entries[i]->d_name, name, len))
                        return false;
        return true;
}

static int repair_all(void)
{
        struct dirent **entries;
        char name[IFNAMSIZ];
        int status = EXIT_SUCCESS, count = scandir(CONTROL_DIRECTORY, &entries, is_trace, alphasort);

        if (count < 0 && errno != ENOENT) {
                fprintf(stderr, "aditd: %s: %s\n", CONTROL_DIRECTORY, strerror(errno));
                return EXIT_FAILURE;
        }
        for (int i = 0; i < count; i++)
                if (name_of(name, entries, i) && repair_one(name, true)) status = EXIT_FAILURE;
        if (count <= 0) puts("nothing to repair: no link left anything in " CONTROL_DIRECTORY);
        for (int i = 0; i < count; i++)
                free(entries[i]);
        if (count >= 0) free(entries);
        return status;
}

int repair_run(const char *link)
{
        return link ? repair_one(link, false) : repair_all();
}
