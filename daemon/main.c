/* aditd: starts one link. */
#include "daemon/conf/conf.h"
#include "daemon/keeper.h"
#include "daemon/lock.h"
#include "daemon/log.h"
#include "daemon/plan.h"
#include "daemon/repair.h"

#include <fcntl.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char USAGE[] = "usage: aditd [-f [--ready]] NAME\n"
                            "       aditd [-f [--ready]] -c FILE|NAME\n"
                            "       aditd --lock -c FILE|NAME\n"
                            "       aditd --repair [NAME]\n"
                            "       aditd --plan NAME\n"
                            "       aditd -h | -V\n";

static const char HELP[] =
        "\n"
        "Makes interface NAME, to be configured with wg or adit; with -c, brings up the link that a file describes.\n"
        "Returns when the interface and its sockets are ready, and goes on in the background.\n\n"
        "  -c, --config FILE|NAME   the file (NAME: /etc/adit/NAME.conf, then /etc/wireguard/NAME.conf)\n"
        "      --lock               put that file's kill switch in force without the link: at boot, before the "
        "network\n"
        "      --repair [NAME]      undo what a link that was killed left on this host; without NAME, all such links\n"
        "      --plan NAME          print what adit up --dry-run and adit diff ask for on stdin, as commands\n"
        "  -f, --foreground         stay in the foreground, log to stderr (also: WG_PROCESS_FOREGROUND=1)\n"
        "      --ready              descriptor 3 is a socket: gets a byte when the link is up; a byte that comes back "
        "tells\n"
        "                           the service manager so, its end takes the link down\n"
        "  -h, --help               print this\n"
        "  -V, --version            print the version\n\n"
        "SIGHUP reads the file again; SIGTERM and SIGINT take the link down. Environment:\n"
        "  NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID  as of sd_notify(3), in the foreground\n"
        "  LOG_LEVEL=silent|error|info|verbose       what is logged; info, if it is not set\n"
        "  ADIT_CIPHERS=libsodium|padded|ipsec-mb    that implementation of the ciphers, not the fastest\n\n"
        "Exit status: 0 the link is up (in the foreground: was taken down); 1 failed; 2 wrong usage. Of --repair: 0 "
        "when\n"
        "nothing is left, also when nothing was; 1 the link is up, or something is left. Of --plan: 0 when there is\n"
        "nothing to do; 3 when there is; 1 failed. More: aditd(8)\n";

enum { OPTION_REPAIR = 256, OPTION_PLAN, OPTION_LOCK, OPTION_READY }; /* without a letter */

struct arguments {
        bool foreground, ready, repair, plan, lock;
        char link[IFNAMSIZ];        /* "": --repair of all */
        char config[CONF_PATH_MAX]; /* "" without -c */
};

static _Noreturn void usage(void)
{
        fputs(USAGE, stderr);
        exit(2);
}

static _Noreturn void help(void)
{
        fputs(USAGE, stdout);
        fputs(HELP, stdout);
        exit(0);
}

/* The path is made absolute, for a daemon has no folder; a symbolic link in it is followed anew at each SIGHUP. */
static void find_config(struct arguments *arguments, const char *name_or_path)
{
        char found[CONF_PATH_MAX];
        struct conf_error error;

        if (conf_find(name_or_path, found, arguments->link, &error) && conf_absolute(found, arguments->config, &error))
                return;
        fprintf(stderr, "aditd: %s: %s\n", name_or_path, error.text);
        exit(EXIT_FAILURE);
}

static void parse(struct arguments *arguments, int argc, char **argv)
{
        static const struct option options[] = { { "foreground", no_argument, NULL, 'f' },
                                                 { "config", required_argument, NULL, 'c' },
                                                 { "repair", no_argument, NULL, OPTION_REPAIR },
                                                 { "plan", no_argument, NULL, OPTION_PLAN },
                                                 { "lock", no_argument, NULL, OPTION_LOCK },
                                                 { "ready", no_argument, NULL, OPTION_READY },
                                                 { "version", no_argument, NULL, 'V' },
                                                 { "help", no_argument, NULL, 'h' },
                                                 { 0 } };
        const char *foreground = getenv("WG_PROCESS_FOREGROUND"), *config = NULL;

        arguments->foreground = foreground && !strcmp(foreground, "1");
        for (int option; (option = getopt_long(argc, argv, "fc:Vh", options, NULL)) != -1;) {
                if (option == 'f') arguments->foreground = true;
                else if (option == 'c') config = optarg;
                else if (option == OPTION_LOCK) arguments->lock = true;
                else if (option == OPTION_REPAIR) arguments->repair = true;
                else if (option == OPTION_PLAN) arguments->plan = true;
                else if (option == OPTION_READY) arguments->ready = true;
                else if (option == 'V') puts("aditd " ADIT_VERSION), exit(0);
                else if (option == 'h') help();
                else usage();
        }
        if ((arguments->repair || arguments->plan) && (config || arguments->lock)) usage();
        if (arguments->repair && argc == optind) return;
        if (argc - optind != !config || (arguments->lock && !config) || (arguments->ready && !arguments->foreground))
                usage();
        if (config) {
                find_config(arguments, config);
                return;
        }
        if (interface_name_valid(argv[optind], strlen(argv[optind]))) {
                snprintf(arguments->link, sizeof arguments->link, "%s", argv[optind]);
                return;
        }
        fprintf(stderr, "aditd: '%s': an interface's name is 1 to 15 of a-z A-Z 0-9 _ = + . -\n", argv[optind]);
        exit(2);
}

/* The parent waits for one byte: the link is ready. Without it the link failed, and has said why on stderr. */
static int wait_ready(int from)
{
        char byte;
        ssize_t got;

        do
                got = read(from, &byte, 1);
        while (got < 0);
        return got == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_in_background(struct keeper_options *options)
{
        int pair[2];

        if (pipe2(pair, O_CLOEXEC)) {
                perror("aditd: pipe");
                return EXIT_FAILURE;
        }
        pid_t child = fork();
        if (child < 0) {
                perror("aditd: fork");
                return EXIT_FAILURE;
        }
        if (child) {
                close(pair[1]);
                return wait_ready(pair[0]);
        }
        close(pair[0]);
        setsid();
        if (chdir("/")) return EXIT_FAILURE;
        options->ready = pair[1];
        return keeper_run(options);
}

enum { READY = STDERR_FILENO + 1 };

/* stdin, stdout and stderr, be it /dev/null, so that nothing else gets their numbers. */
static void open_standard(void)
{
        int fd;

        while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
                continue;
        close(fd);
}

/* Nothing of the caller's but those, and the one that --ready is about. */
static void close_others(bool ready)
{
        close_range(READY + ready, ~0u, 0);
        if (!ready || !fcntl(READY, F_SETFD, FD_CLOEXEC)) return;
        fputs("aditd: --ready: descriptor 3 is not open\n", stderr);
        exit(2);
}

int main(int argc, char **argv)
{
        static struct arguments arguments;

        open_standard();
        parse(&arguments, argc, argv);
        close_others(arguments.ready);
        if (arguments.plan) return plan_run(arguments.link);
        if (geteuid()) {
                fputs("aditd: a tunnel's interface is made by root: run it as root\n", stderr);
                return EXIT_FAILURE;
        }
        if (arguments.repair) return repair_run(*arguments.link ? arguments.link : NULL);
        if (sodium_init() < 0) {
                fputs("aditd: libsodium cannot start: no randomness\n", stderr);
                return EXIT_FAILURE;
        }
        log_open_stderr(arguments.link, log_level_from_environment());
        if (arguments.lock) return lock_run(arguments.link, arguments.config);
        struct keeper_options options = { .link = arguments.link,
                                          .config = *arguments.config ? arguments.config : NULL,
                                          .foreground = arguments.foreground,
                                          .ready = arguments.ready ? READY : -1 };
        return options.foreground ? keeper_run(&options) : run_in_background(&options);
}
