#include "ctl/command.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int complain(int status, const char *format, ...)
{
        va_list args;

        fflush(stdout);
        fputs("adit: ", stderr);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fputc('\n', stderr);
        return status;
}

int complain_memory(void)
{
        return complain(STATUS_FAILED, "the config is too large for this program's memory");
}

const char exit_status_help[] = "Exit status: 0 done; 1 refused or failed, with nothing changed; 2 wrong usage;\n"
                                "3 no link of this name is up; 4 permission denied.\n";

void command_print_help(const struct command *self)
{
        const char *blank = *self->arguments ? " " : "";
        bool own_status = strstr(self->help, "\nExit status: ");

        printf("Usage: adit %s%s%s\n\n%s.\n%s\n%s", self->words, blank, self->arguments, self->summary, self->help,
               own_status ? "" : exit_status_help);
}

static int usage(const struct command *self)
{
        fprintf(stderr, "Usage: adit %s%s%s\nMore: adit %s --help\n", self->words, *self->arguments ? " " : "",
                self->arguments, self->words);
        return STATUS_USAGE;
}

static size_t options_build(struct option *options, const struct option_row *rows)
{
        size_t count = 0;

        for (; rows && rows->name && count < OPTIONS_MAX; rows++, count++)
                options[count] = (struct option){ rows->name, rows->value ? required_argument : no_argument, NULL, 0 };
        options[count] = (struct option){ "help", no_argument, NULL, 'h' };
        options[count + 1] = (struct option){ 0 };
        return count;
}

int options_parse(const struct command *self, const struct option_row *rows, int min, int max, int *argc, char ***argv)
{
        struct option options[OPTIONS_MAX + 2];
        int found, index = 0;

        options_build(options, rows);
        opterr = 0;
        while ((found = getopt_long(*argc, *argv, ":h", options, &index)) != -1) {
                if (found == 'h') {
                        command_print_help(self);
                        return STATUS_OK;
                }
                if (found == ':') {
                        complain(0, "%s: %s needs an argument", self->words, (*argv)[optind - 1]);
                        return usage(self);
                }
                if (found != 0) {
                        complain(0, "%s: unknown option '%s'", self->words, (*argv)[optind - 1]);
                        return usage(self);
                }
                if (rows[index].value) *rows[index].value = optarg;
                else *rows[index].flag = true;
        }
        *argc -= optind;
        *argv += optind;
        if (*argc < min || *argc > max) {
                complain(0, "%s: %s", self->words, *argc < min ? "an argument is missing" : "too many arguments");
                return usage(self);
        }
        return OPTIONS_PROCEED;
}
