#include "ctl/hooks.h"
#include "ctl/command.h"
#include "ctl/shell.h"

#include <stdlib.h>
#include <string.h>

static const char *const words[HOOKS] = { "PreUp", "PostUp", "PreDown", "PostDown" };

static const struct conf_line *list_of(const struct conf *conf, enum hook hook)
{
        const struct conf_line *lists[HOOKS] = { conf->pre_up, conf->post_up, conf->pre_down, conf->post_down };

        return lists[hook];
}

bool hooks_any(const struct conf *conf)
{
        return conf->pre_up || conf->post_up || conf->pre_down || conf->post_down;
}

/* ---- the copy ------------------------------------------------------------------------------------------------------
 */

/* Everywhere, also within a word; what the name brings in is not looked at again. */
static void expand(struct writer *out, const char *text, const char *name)
{
        for (const char *at; (at = strstr(text, "%i")); text = at + 2)
                writer_print(out, "%.*s%s", (int)(at - text), text, name);
        writer_print(out, "%s", text);
}

static struct conf_line *line_new(const char *text, const char *name)
{
        struct writer writer = { 0 };
        struct conf_line *line;

        expand(&writer, text, name);
        line = calloc(1, sizeof *line + writer.used + 1);
        if (!line) return NULL;
        writer = (struct writer){ .text = (char *)(line + 1), .size = writer.used + 1 };
        expand(&writer, text, name);
        line->text = writer.text;
        return line;
}

bool hooks_init(struct hooks *out, const struct conf *conf, const char *name)
{
        *out = (struct hooks){ 0 };
        memcpy(out->name, name, strnlen(name, sizeof out->name - 1));
        for (enum hook hook = 0; hook < HOOKS; hook++) {
                struct conf_line **end = &out->lists[hook];

                for (const struct conf_line *from = list_of(conf, hook); from; from = from->next, end = &(*end)->next)
                        if (!(*end = line_new(from->text, out->name))) {
                                hooks_fini(out);
                                return false;
                        }
        }
        return true;
}

void hooks_fini(struct hooks *hooks)
{
        for (enum hook hook = 0; hook < HOOKS; hook++)
                for (struct conf_line *line = hooks->lists[hook], *next; line; line = next) {
                        next = line->next;
                        free(line);
                }
        *hooks = (struct hooks){ 0 };
}

/* ---- to run them ---------------------------------------------------------------------------------------------------
 */

/* By its number: the text may hold a secret. */
static int explain(const char *name, const char *word, unsigned number, struct shell_result result)
{
        switch (result.end) {
        case SHELL_DONE: return STATUS_OK;
        case SHELL_FAILED:
                return complain(STATUS_FAILED, "%s: %s: command %u ended with exit status %d", name, word, number,
                                result.code);
        case SHELL_KILLED:
                return complain(STATUS_FAILED, "%s: %s: command %u was ended by signal %d (%s)", name, word, number,
                                result.code, strsignal(result.code));
        case SHELL_LATE:
                return complain(STATUS_FAILED,
                                "%s: %s: command %u was stopped: it had not ended after %d s; what is to go on longer "
                                "belongs in the background",
                                name, word, number, HOOK_LIMIT_MS / 1000);
        case SHELL_INTERRUPTED:
                return complain(STATUS_FAILED, "%s: %s: command %u was stopped: adit was told to end (%s)", name, word,
                                number, strsignal(result.code));
        case SHELL_NOT_RUN: break;
        }
        return complain(STATUS_FAILED, "%s: %s: command %u could not be started: %s", name, word, number,
                        strerror(result.code));
}

int hooks_run(const struct hooks *hooks, enum hook hook)
{
        char prefix[64];
        unsigned number = 0;
        int status = STATUS_OK;

        snprintf(prefix, sizeof prefix, "adit: %s: %s: ", hooks->name, words[hook]);
        for (const struct conf_line *line = hooks->lists[hook]; line && !status; line = line->next)
                status = explain(hooks->name, words[hook], ++number,
                                 shell_run(line->text, stderr, prefix, HOOK_LIMIT_MS));
        return status;
}
