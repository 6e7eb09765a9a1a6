/* Fails the N-th kernel call of aditd's keeper and its children, or kills them all right after it.
 *   nthcall [-n N [-k]] [-m] [-e TEXT]... -o FILE COMMAND...         counts from the keeper's first signalfd() on
 *   nthcall [-n N [-k]] [-m] [-e TEXT]... -o FILE -p PID -s SIGNAL   of the keeper PID, sends it SIGNAL first
 *   nthcall [-n N [-k]] [-m] -o FILE -p PID COMMAND...               of the keeper PID, while COMMAND asks it
 * By ptrace, so that what libc and libraries call inside is counted as well. Without -n it only counts. The tunnel
 * process is let go when it makes its own mount namespace: from there on it has nothing to do with the host.
 *
 * It is over when the keeper has written TEXT to stderr, or COMMAND has ended, and it waits again; when all have ended;
 * or after ten seconds.
 * Those that live are let go then. FILE becomes words for a shell:
 *   pid=KEEPER status=OF-COMMAND calls=N by=keeper|child struck='CALL WHAT' error=ERRNO end='said TEXT'|answered|'exit
 * N'|'signal N'|hang WHAT: a path, or the netlink message that is asked or whose answer is read.
 *
 * A call that fails is not carried out, but for close(): a descriptor is closed whatever close() says. What cannot fail
 * (getpid, futex, ...) is not counted; with -m nor are calls for memory: a sanitizer's runtime ends when they fail. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROCESSES = 64, TEXTS = 4, TEXT = 512, NAME = 32, WHAT = 96, SECONDS = 10 };

static struct {
        unsigned long n;
        bool kill, memory_is_safe;
        const char *texts[TEXTS], *out;
        unsigned text_count;
        pid_t pid;
        int signal;
} options;

struct process {
        pid_t pid; /* 0: free */
        int asked; /* type of the last netlink request; 0: none */
        int error; /* of the call it is in; 0: none */
        bool dies; /* after the call it is in */
        bool waits;
        bool is_brk; /* the call it is in had another argument, `first` */
        uint64_t first;
};

static struct process processes[PROCESSES];
static pid_t keeper, asker; /* asker: the COMMAND that is not followed; 0: none */
static int asker_status = -1;
static bool counting, ending;
static unsigned long calls;
static struct {
        const char *by;
        char call[NAME], what[WHAT];
        int error;
} struck = { .by = "" };
static const char *said; /* of options.texts; "": the asker has its answer */
static char end[TEXT] = "hang";

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "nthcall: %s: %s\n", what, strerror(errno));
        exit(2);
}

/* ---- What a call is ---------------------------------------------------------------------------------------------- */

static const char *const cannot_fail[] = {
        "exit",   "exit_group",    "rt_sigreturn", "restart_syscall", "futex",
        "getpid", "gettid",        "getppid",      "getuid",          "geteuid",
        "getgid", "getegid",       "umask",        "set_robust_list", "set_tid_address",
        "rseq",   "clock_gettime", "sched_yield",  "arch_prctl",      "rt_sigprocmask",
        NULL
};

static const char *const for_memory[] = { "mmap", "munmap", "mremap", "mprotect", "brk", "madvise", NULL };

static bool is_one_of(const char *name, const char *const *names)
{
        while (*names && strcmp(*names, name) != 0)
                names++;
        return *names != NULL;
}

/* Of all others EIO. */
static const struct {
        int error;
        const char *names[16];
} errors[] = {
        { EMFILE,
          { "open", "openat", "socket", "socketpair", "pipe2", "accept4", "dup", "dup3", "epoll_create1",
            "memfd_create", "signalfd4", "timerfd_create", "inotify_init1", NULL } },
        { ENOMEM,
          { "mmap", "mremap", "mprotect", "madvise", "mlock2", "bind", "recvmsg", "recvfrom", "epoll_ctl", "epoll_wait",
            "epoll_pwait", "inotify_add_watch", "seccomp", NULL } },
        { ENOMEM, { "poll", "ppoll", "select", "pselect6", NULL } },
        { EAGAIN, { "fork", "vfork", "clone", "clone3", "connect", NULL } },
        { EINTR, { "wait4", "nanosleep", "clock_nanosleep", NULL } },
        { ENOBUFS, { "sendmsg", "sendto", "setsockopt", NULL } },
        { ENOSPC, { "write", "writev", "rename", "mkdir", "ftruncate", NULL } },
};

static int error_of(const char *name)
{
        for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
                if (is_one_of(name, errors[i].names)) return errors[i].error;
        return EIO;
}

static bool counts(const char *name)
{
        return !is_one_of(name, cannot_fail) && !(options.memory_is_safe && is_one_of(name, for_memory));
}

/* How much of it could be read. */
static size_t peek(pid_t pid, uint64_t from, void *to, size_t size)
{
        struct iovec here = { to, size }, there = { (void *)(uintptr_t)from, size };
        ssize_t got = process_vm_readv(pid, &here, 1, &there, 1, 0);

        if (got < 0 && size > 1) return peek(pid, from, to, size / 2); /* near the end of a mapping */
        return got < 0 ? 0 : (size_t)got;
}

static void peek_text(pid_t pid, uint64_t from, size_t len, char *to, size_t size)
{
        size_t got = peek(pid, from, to, len < size - 1 ? len : size - 1);

        to[got] = 0;
}

/* Of a netlink request: its type; else 0. */
static int request_of(pid_t pid, const char *name, const uint64_t args[6])
{
        struct msghdr msg = { 0 };
        struct iovec iov = { 0 };
        struct nlmsghdr header = { 0 };

        if (!strcmp(name, "sendto")) {
                iov = (struct iovec){ (void *)(uintptr_t)args[1], args[2] };
        } else {
                if (strcmp(name, "sendmsg") != 0 || peek(pid, args[1], &msg, sizeof msg) != sizeof msg) return 0;
                if (peek(pid, (uintptr_t)msg.msg_iov, &iov, sizeof iov) != sizeof iov) return 0;
        }
        if (peek(pid, (uintptr_t)iov.iov_base, &header, sizeof header) != sizeof header) return 0;
        bool is_request = header.nlmsg_len <= iov.iov_len && header.nlmsg_len >= sizeof header &&
                          header.nlmsg_flags & NLM_F_REQUEST && header.nlmsg_type >= RTM_BASE;
        return is_request ? header.nlmsg_type : 0;
}

static const char *name_of_request(int type)
{
        static const char *const names[] = {
                [RTM_NEWLINK] = "NEWLINK",   [RTM_GETLINK] = "GETLINK",   [RTM_NEWADDR] = "NEWADDR",
                [RTM_DELADDR] = "DELADDR",   [RTM_GETADDR] = "GETADDR",   [RTM_NEWROUTE] = "NEWROUTE",
                [RTM_DELROUTE] = "DELROUTE", [RTM_GETROUTE] = "GETROUTE", [RTM_NEWRULE] = "NEWRULE",
                [RTM_DELRULE] = "DELRULE",   [RTM_GETRULE] = "GETRULE",
        };

        if (!type) return "";
        return (size_t)type < sizeof names / sizeof names[0] && names[type] ? names[type] : "netlink";
}

static void describe(const struct process *process, const char *name, const uint64_t args[6], char what[WHAT])
{
        static const char *const first[] = { "open", "unlink", "rename", "mkdir", "stat", "chmod", "chown", NULL };
        static const char *const second[] = { "openat", "newfstatat", "unlinkat", "renameat", NULL };

        what[0] = 0;
        if (is_one_of(name, first)) peek_text(process->pid, args[0], WHAT, what, WHAT);
        else if (is_one_of(name, second)) peek_text(process->pid, args[1], WHAT, what, WHAT);
        else if (!strncmp(name, "send", 4) || !strncmp(name, "recv", 4))
                snprintf(what, WHAT, "%s", name_of_request(process->asked));
        for (char *c = what; *c; c++)
                if (*c <= ' ' || *c == '\'' || *c == 0x7f) *c = '?';
}

/* ---- Changing it ------------------------------------------------------------------------------------------------- */

#if defined __x86_64__
enum {
        CALL = offsetof(struct user_regs_struct, orig_rax),
        FIRST = offsetof(struct user_regs_struct, rdi),
        RESULT = offsetof(struct user_regs_struct, rax),
};
#else
enum { CALL, FIRST, RESULT }; /* 60-faults-host.sh is skipped: nobody has tried it on another machine */
#endif

static void put(pid_t pid, size_t offset, uint64_t value)
{
        if (ptrace(PTRACE_POKEUSER, pid, (void *)offset, (void *)(uintptr_t)value)) die("PTRACE_POKEUSER");
}

/* What is refused becomes a call that is not there; its result is set when it returns. Of brk() a failure is that
 * nothing changed. */
static void refuse(struct process *process, const char *name, const uint64_t args[6])
{
        if (!strcmp(name, "brk")) {
                process->is_brk = true;
                process->first = args[0];
                put(process->pid, FIRST, 0);
                return;
        }
        process->error = error_of(name);
        if (strcmp(name, "close") != 0) put(process->pid, CALL, (uint64_t)-1);
}

/* ---- What they do ------------------------------------------------------------------------------------------------ */

static struct process *find(pid_t pid)
{
        for (size_t i = 0; i < PROCESSES; i++)
                if (processes[i].pid == pid) return &processes[i];
        return NULL;
}

static struct process *find_or_add(pid_t pid)
{
        struct process *process = find(pid);

        if (process) return process;
        process = find(0);
        if (!process) {
                errno = ENOSPC;
                die("processes");
        }
        *process = (struct process){ .pid = pid };
        return process;
}

static void let_go(struct process *process)
{
        ptrace(PTRACE_DETACH, process->pid, NULL, NULL);
        process->pid = 0;
}

/* The others are let go at their next stop. */
static void end_all(void)
{
        ending = true;
        for (size_t i = 0; i < PROCESSES; i++)
                if (processes[i].pid) ptrace(PTRACE_INTERRUPT, processes[i].pid, NULL, NULL);
}

static void listen_to(pid_t pid, const uint64_t args[6])
{
        char text[TEXT];

        if (args[0] != STDERR_FILENO) return;
        peek_text(pid, args[1], args[2], text, sizeof text);
        for (unsigned i = 0; i < options.text_count; i++)
                if (strstr(text, options.texts[i])) said = options.texts[i];
}

static void strike(struct process *process, const char *name, const uint64_t args[6])
{
        struck.by = process->pid == keeper ? "keeper" : "child";
        snprintf(struck.call, sizeof struck.call, "%s", name);
        describe(process, name, args, struck.what);
        process->dies = options.kill;
        if (options.kill) return;
        struck.error = error_of(name);
        refuse(process, name, args);
}

/* False: it was let go. */
static bool on_entry(struct process *process, const struct __ptrace_syscall_info *info)
{
        char name[NAME];
        char *known = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)info->entry.nr);
        const uint64_t *args = (const uint64_t *)info->entry.args;
        bool is_keeper = process->pid == keeper;

        snprintf(name, sizeof name, "%s", known ? known : "unknown");
        free(known);
        process->waits = !strncmp(name, "epoll_", 6) && strstr(name, "wait");
        if (is_keeper && said && process->waits) end_all();
        if (ending || (!is_keeper && !strcmp(name, "unshare"))) {
                let_go(process);
                return false;
        }
        int asked = request_of(process->pid, name, args);
        if (asked) process->asked = asked;
        if (is_keeper && !strcmp(name, "signalfd4")) counting = true;
        if (counting && counts(name) && ++calls == options.n) strike(process, name, args);
        if (is_keeper && !strcmp(name, "write")) listen_to(process->pid, args);
        return true;
}

static void kill_all(void)
{
        for (size_t i = 0; i < PROCESSES; i++)
                if (processes[i].pid) kill(processes[i].pid, SIGKILL);
}

static void on_exit_of(struct process *process)
{
        if (process->error) put(process->pid, RESULT, (uint64_t)-process->error);
        if (process->is_brk) put(process->pid, FIRST, process->first);
        process->error = 0;
        process->is_brk = process->waits = false;
        if (process->dies) kill_all();
}

/* False: it was let go. */
static bool on_syscall(struct process *process)
{
        struct __ptrace_syscall_info info;

        if (ptrace(PTRACE_GET_SYSCALL_INFO, process->pid, (void *)sizeof info, &info) <= 0) return true; /* killed */
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY) return on_entry(process, &info);
        if (info.op == PTRACE_SYSCALL_INFO_EXIT) on_exit_of(process);
        return true;
}

static void on_stop(pid_t pid, int status)
{
        struct process *process = find_or_add(pid);
        int event = status >> 16, sig = WSTOPSIG(status), deliver = 0;

        if (sig == (SIGTRAP | 0x80)) {
                if (!on_syscall(process)) return;
        } else if (ending) {
                let_go(process);
                return;
        } else if (!event) {
                deliver = sig;
        }
        ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)deliver);
}

static void on_answer(int status)
{
        struct process *process = find(keeper);

        asker_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
        asker = 0;
        said = "";
        if (process && process->waits) end_all();
}

static void on_end(pid_t pid, int status)
{
        struct process *process = find(pid);

        if (pid == asker) on_answer(status);
        if (process) process->pid = 0;
        if (pid != keeper) return;
        if (WIFEXITED(status)) snprintf(end, sizeof end, "exit %d", WEXITSTATUS(status));
        else snprintf(end, sizeof end, "signal %d", WTERMSIG(status));
}

/* ---- Start and end ----------------------------------------------------------------------------------------------- */

static bool anyone(void)
{
        for (size_t i = 0; i < PROCESSES; i++)
                if (processes[i].pid) return true;
        return false;
}

static void seize(pid_t pid)
{
        long how = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;

        if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)how)) die("PTRACE_SEIZE");
        if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL)) die("PTRACE_INTERRUPT");
        find_or_add(pid);
        keeper = pid;
}

/* Runs when *go is closed. */
static pid_t start(char **command, int *go)
{
        int hold[2];
        char end_of_file;

        if (pipe(hold)) die("pipe");
        pid_t pid = fork();
        if (pid < 0) die("fork");
        if (!pid) {
                close(hold[1]);
                (void)!read(hold[0], &end_of_file, 1);
                close(hold[0]);
                execvp(command[0], command);
                die(command[0]);
        }
        close(hold[0]);
        *go = hold[1];
        return pid;
}

static void start_keeper(char **command)
{
        int go;

        seize(start(command, &go));
        close(go);
}

/* Its first stop is in whatever it waits for: what it does from there on is counted. */
static void provoke(char **command)
{
        int go;

        seize(options.pid);
        counting = true;
        if (options.signal) {
                if (kill(options.pid, options.signal)) die("kill");
                return;
        }
        asker = start(command, &go);
        close(go);
}

static void report(void)
{
        FILE *file = fopen(options.out, "we");

        if (!file) die(options.out);
        if (ending) snprintf(end, sizeof end, *said ? "said %s" : "answered", said);
        fprintf(file, "pid=%d status=%d calls=%lu by=%s struck='%s%s%s' error=%d end='%s'\n", keeper, asker_status,
                calls, struck.by, struck.call, *struck.what ? " " : "", struck.what, struck.error, end);
        if (fclose(file)) die(options.out);
}

static void on_alarm(int sig)
{
        (void)sig;
}

static int signal_named(const char *name)
{
        return !strcmp(name, "HUP") ? SIGHUP : !strcmp(name, "TERM") ? SIGTERM : 0;
}

static void parse(int argc, char **argv)
{
        for (int option; (option = getopt(argc, argv, "+n:kme:o:p:s:")) != -1;) {
                if (option == 'n') options.n = strtoul(optarg, NULL, 10);
                else if (option == 'k') options.kill = true;
                else if (option == 'e' && options.text_count < TEXTS) options.texts[options.text_count++] = optarg;
                else if (option == 'm') options.memory_is_safe = true;
                else if (option == 'o') options.out = optarg;
                else if (option == 'p') options.pid = (pid_t)strtol(optarg, NULL, 10);
                else if (option == 's') options.signal = signal_named(optarg);
        }
        if (options.out && (options.signal ? options.pid && optind == argc : optind < argc)) return;
        fputs("usage: nthcall [-n N [-k]] [-m] [-e TEXT]... -o FILE [-p PID] COMMAND...|-p PID -s HUP|TERM\n", stderr);
        exit(2);
}

int main(int argc, char **argv)
{
        struct sigaction on = { .sa_handler = on_alarm };
        int status;

        parse(argc, argv);
        sigaction(SIGALRM, &on, NULL);
        if (options.pid) provoke(argv + optind);
        else start_keeper(argv + optind);
        alarm(SECONDS);
        while (anyone() || asker) {
                pid_t pid = waitpid(-1, &status, __WALL);
                if (pid < 0) break; /* the alarm, or nobody is left */
                if (WIFSTOPPED(status)) on_stop(pid, status);
                else on_end(pid, status);
        }
        report();
        return 0;
}
