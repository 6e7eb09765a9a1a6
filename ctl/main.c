/* adit: a table of subcommands. main() forbids core dumps, gives the command its memory, and wipes that at one place.
 */
#include "ctl/command.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { POOL_SIZE = 256 << 20 }; /* address space: only what is used is there */

static int print_help(FILE *out)
{
        fprintf(out, "adit " ADIT_VERSION ": keys, peers and routes of encrypted tunnels that speak WireGuard\n\n"
                     "Usage: adit COMMAND [ARGUMENT]...\n\n");
        for (const struct command *command = commands; command->words; command++)
                fprintf(out, "  %-12s %s\n", command->words, command->summary);
        fprintf(out,
                "\nadit COMMAND --help says more of each, with examples; adit --version prints the version.\n"
                "NAME is a link's interface; its file is /etc/adit/NAME.conf or /etc/wireguard/NAME.conf.\n\n%s",
                exit_status_help);
        return STATUS_OK;
}

/* "peer add" by two words, "up" by one. */
static const struct command *find(int argc, char **argv, int *words)
{
        char both[32];

        snprintf(both, sizeof both, "%s %s", argv[0], argc > 1 ? argv[1] : "");
        for (const struct command *command = commands; command->words; command++) {
                *words = strchr(command->words, ' ') ? 2 : 1;
                if (!strcmp(command->words, *words == 2 ? both : argv[0])) return command;
        }
        return NULL;
}

static bool is_help(const char *word)
{
        return !strcmp(word, "help") || !strcmp(word, "--help") || !strcmp(word, "-h");
}

/* For the first word of a command of two: lists its commands. */
static bool print_group(FILE *out, const char *word)
{
        size_t len = strlen(word);
        bool found = false;

        for (const struct command *command = commands; command->words; command++) {
                if (strncmp(command->words, word, len) != 0 || command->words[len] != ' ') continue;
                fprintf(out, "%s adit %s %s\n", found ? "      " : "Usage:", command->words, command->arguments);
                found = true;
        }
        return found;
}

static int unknown(int argc, char **argv)
{
        size_t len = strlen(argv[0]);
        bool group = false;

        for (const struct command *command = commands; command->words; command++)
                group |= !strncmp(command->words, argv[0], len) && command->words[len] == ' ';
        if (!group) return complain(STATUS_USAGE, "there is no command '%s'; all commands: adit help", argv[0]);
        if (argc > 1) complain(0, "there is no command '%s %s'", argv[0], argv[1]);
        else complain(0, "%s: which one?", argv[0]);
        print_group(stderr, argv[0]);
        return STATUS_USAGE;
}

static int help(int argc, char **argv)
{
        const struct command *command;
        int words;

        if (argc == 0) return print_help(stdout);
        command = find(argc, argv, &words);
        if (command) {
                command_print_help(command);
                return STATUS_OK;
        }
        return print_group(stdout, argv[0]) ? STATUS_OK : unknown(argc, argv);
}

/* The pool is kept from swap where the limits allow it: keys lie in it. */
static int run(const struct command *command, int argc, char **argv)
{
        struct pool pool = { .size = POOL_SIZE };
        int status;

        pool.base = mmap(NULL, POOL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (pool.base == MAP_FAILED) return complain(STATUS_FAILED, "no memory");
        mlock2(pool.base, POOL_SIZE, MLOCK_ONFAULT);
        status = command->run(command, argc, argv, &pool);
        pool_reset(&pool);
        munmap(pool.base, POOL_SIZE);
        return status;
}

static int dispatch(int argc, char **argv)
{
        const struct command *command;
        int words = 0;

        if (argc == 0) {
                print_help(stderr);
                return STATUS_USAGE;
        }
        if (!strcmp(argv[0], "--version")) return printf("adit " ADIT_VERSION "\n") < 0;
        if (is_help(argv[0])) return help(argc - 1, argv + 1);
        command = find(argc, argv, &words);
        if (command) return run(command, argc - words + 1, argv + words - 1);
        if (argc > 1 && is_help(argv[1]) && print_group(stdout, argv[0])) return STATUS_OK;
        return unknown(argc, argv);
}

int main(int argc, char **argv)
{
        int status;

        prctl(PR_SET_DUMPABLE, 0);
        if (sodium_init() < 0) return complain(STATUS_FAILED, "libsodium does not start on this machine");
        status = dispatch(argc - 1, argv + 1);
        if (fflush(stdout) != 0 && !status) status = complain(STATUS_FAILED, "writing the output failed");
        return status;
}
