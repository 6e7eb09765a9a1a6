#include "kernel-iface/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef ADIT_SANITIZE

int filter_keeper(void)
{
        return 0;
}

int filter_resolver(void)
{
        return 0;
}

int filter_tunnel(void)
{
        return 0;
}

#else

/* A name that this machine or this libseccomp does not know is skipped: it cannot be called, or is denied. Machines of
 * 32 bits have a second name for what carries a time or an offset; which of the two libc calls is its affair. */
static const char *const tunnel_allows[] = {
        /* packets and messages on descriptors that the keeper made; stdio asks fstat of where it writes */
        "read", "readv", "write", "writev", "pread64", "recvmsg", "sendmsg", "recv", "recvfrom", "send", "sendto",
        "accept4", "close", "fstat", "fstat64", "newfstatat", "lseek", "_llseek",
        /* waiting and time */
        "epoll_ctl", "epoll_wait", "epoll_pwait", "poll", "ppoll", "ppoll_time64", "timerfd_settime",
        "timerfd_settime64", "clock_gettime", "clock_gettime64", "restart_syscall",
        /* memory, threads that already run, and the end; sysinfo: qsort asks how much memory there is */
        "brk", "munmap", "mremap", "madvise", "futex", "futex_time64", "sched_yield", "getrandom", "sysinfo", "getpid",
        "gettid", "rt_sigprocmask", "rt_sigreturn", "sigreturn", "exit", "exit_group"
};

static const char *const keeper_denies[] = {
        /* other processes */
        "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp", "userfaultfd",
        /* other programs, other rights */
        "execve", "execveat", "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid",
        "setfsgid", "setgroups", "personality",
        /* the kernel itself */
        "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "bpf", "perf_event_open",
        "io_uring_setup", "io_uring_enter", "io_uring_register", "iopl", "ioperm", "reboot", "syslog", "acct", "swapon",
        "swapoff", "lookup_dcookie", "nfsservctl", "vm86", "modify_ldt", "quotactl", "quotactl_fd",
        /* keys of others */
        "keyctl", "add_key", "request_key",
        /* file systems and namespaces */
        "mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsmount",
        "fsconfig", "fspick", "mount_setattr", "setns", "unshare", "open_by_handle_at", "name_to_handle_at", "mknod",
        "mknodat", "fanotify_init",
        /* the host's name and clock */
        "sethostname", "setdomainname", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "stime", "vhangup"
};

static const char *const resolver_may_not_change[] = {
        "creat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat",
        "mkdir", "mkdirat", "rmdir", "mknod", "mknodat", "truncate", "truncate64", "chmod", "fchmod", "fchmodat",
        "fchmodat2", "chown", "fchown", "lchown", "fchownat", "chown32", "fchown32", "lchown32", "setxattr",
        "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat", "utime",
        "utimes", "futimesat", "utimensat", "utimensat_time64", "file_setattr",
        /* what programs of one uid share */
        "shmget", "shmat", "shmctl", "semget", "semop", "semtimedop", "semtimedop_time64", "semctl", "msgget", "msgsnd",
        "msgrcv", "msgctl", "ipc", "mq_open", "mq_unlink"
};

static const char *const resolver_may_not_start[] = {
        "fork", "vfork", "clone", "clone3", "execve", "execveat",
        /* and what reaches others */
        "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal", "pidfd_getfd", "ptrace",
        "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "setpriority", "sched_setparam",
        "sched_setscheduler", "sched_setattr", "sched_setaffinity", "ioprio_set", "migrate_pages", "move_pages",
        "setpgid",
        /* file systems and namespaces */
        "mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr", "fsopen",
        "fsmount", "fsconfig", "fspick", "mount_setattr", "setns", "unshare", "open_by_handle_at", "bpf", "keyctl",
        "add_key", "request_key", "io_uring_setup", "io_uring_enter", "io_uring_register"
};

static int add_names(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                int number = seccomp_syscall_resolve_name(names[i]);
                if (number == __NR_SCMP_ERROR) continue;
                int error = seccomp_rule_add(filter, action, number, 0);
                if (error && error != -EDOM) return error;
        }
        return 0;
}

/* A call that is allowed, or denied, with some arguments only. */
struct limited {
        int number;
        struct scmp_arg_cmp args[2];
        unsigned count;
};

static int add_limited(scmp_filter_ctx filter, uint32_t action, const struct limited *rows, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                int error = seccomp_rule_add_array(filter, action, rows[i].number, rows[i].count, rows[i].args);
                if (error && error != -EDOM) return error; /* not of this machine */
        }
        return 0;
}

#        define ARG_HAS(arg, bits)                          \
                {                                           \
                        arg, SCMP_CMP_MASKED_EQ, bits, bits \
                }
#        define ARG_LACKS(arg, bits)                     \
                {                                        \
                        arg, SCMP_CMP_MASKED_EQ, bits, 0 \
                }
#        define ARG_IS(arg, value)                 \
                {                                  \
                        arg, SCMP_CMP_EQ, value, 0 \
                }
#        define ARG_IS_NOT(arg, value)             \
                {                                  \
                        arg, SCMP_CMP_NE, value, 0 \
                }

static int add_tunnel_limited(scmp_filter_ctx filter)
{
        static const struct limited rows[] = {
                { SCMP_SYS(mmap), { ARG_LACKS(2, PROT_EXEC) }, 1 },
                { SCMP_SYS(mmap2), { ARG_LACKS(2, PROT_EXEC) }, 1 },
                { SCMP_SYS(mprotect), { ARG_LACKS(2, PROT_EXEC) }, 1 },
                { SCMP_SYS(fcntl), { ARG_IS(1, F_GETFL) }, 1 },
                { SCMP_SYS(fcntl), { ARG_IS(1, F_SETFL) }, 1 },
                { SCMP_SYS(fcntl), { ARG_IS(1, F_GET_SEALS) }, 1 },
                { SCMP_SYS(fcntl64), { ARG_IS(1, F_GETFL) }, 1 },
                { SCMP_SYS(fcntl64), { ARG_IS(1, F_SETFL) }, 1 },
                { SCMP_SYS(fcntl64), { ARG_IS(1, F_GET_SEALS) }, 1 },
                { SCMP_SYS(getsockopt), { ARG_IS(1, SOL_SOCKET), ARG_IS(2, SO_PEERCRED) }, 2 },
                { SCMP_SYS(getsockopt), { ARG_IS(1, SOL_SOCKET), ARG_IS(2, SO_ERROR) }, 2 },
        };

        return add_limited(filter, SCMP_ACT_ALLOW, rows, sizeof rows / sizeof rows[0]);
}

static int add_resolver_limited(scmp_filter_ctx filter)
{
        static const struct limited changes[] = {
                { SCMP_SYS(open), { ARG_HAS(1, O_WRONLY) }, 1 },
                { SCMP_SYS(open), { ARG_HAS(1, O_RDWR) }, 1 },
                { SCMP_SYS(open), { ARG_HAS(1, O_CREAT) }, 1 },
                { SCMP_SYS(open), { ARG_HAS(1, O_TRUNC) }, 1 },
                { SCMP_SYS(openat), { ARG_HAS(2, O_WRONLY) }, 1 },
                { SCMP_SYS(openat), { ARG_HAS(2, O_RDWR) }, 1 },
                { SCMP_SYS(openat), { ARG_HAS(2, O_CREAT) }, 1 },
                { SCMP_SYS(openat), { ARG_HAS(2, O_TRUNC) }, 1 },
                /* the system bus, nscd, containers' keepers: they do for uid 0 what this child may not do itself */
                { SCMP_SYS(socket), { { 0, SCMP_CMP_LT, AF_INET, 0 } }, 1 },
                { SCMP_SYS(socket), { { 0, SCMP_CMP_GT, AF_NETLINK, 0 } }, 1 },
        };
        const struct limited others[] = {
                { SCMP_SYS(kill), { ARG_IS_NOT(0, (scmp_datum_t)getpid()) }, 1 },
                { SCMP_SYS(tgkill), { ARG_IS_NOT(0, (scmp_datum_t)getpid()) }, 1 },
                { SCMP_SYS(prlimit64), { ARG_IS_NOT(0, 0) }, 1 },
                { SCMP_SYS(ioctl), { ARG_IS_NOT(1, FIONREAD) }, 1 },
        };
        int error = add_limited(filter, SCMP_ACT_ERRNO(EACCES), changes, sizeof changes / sizeof changes[0]);

        if (error) return error;
        error = add_limited(filter, SCMP_ACT_ERRNO(EPERM), others, sizeof others / sizeof others[0]);
        if (error) return error;
        /* its flags lie in memory, where no filter looks */
        error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0);
        return error == -EDOM ? 0 : error;
}

static int install(scmp_filter_ctx filter)
{
        int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

        return error ? error : seccomp_load(filter);
}

int filter_keeper(void)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        int error;

        if (!filter) return -ENOMEM;
        error = add_names(filter, SCMP_ACT_ERRNO(EPERM), keeper_denies, sizeof keeper_denies / sizeof keeper_denies[0]);
        if (!error) error = install(filter);
        seccomp_release(filter);
        return error;
}

int filter_resolver(void)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        int error;

        if (!filter) return -ENOMEM;
        error = add_names(filter, SCMP_ACT_ERRNO(EACCES), resolver_may_not_change,
                          sizeof resolver_may_not_change / sizeof resolver_may_not_change[0]);
        if (!error)
                error = add_names(filter, SCMP_ACT_ERRNO(EPERM), resolver_may_not_start,
                                  sizeof resolver_may_not_start / sizeof resolver_may_not_start[0]);
        if (!error) error = add_resolver_limited(filter);
        if (!error) error = install(filter);
        seccomp_release(filter);
        return error;
}

int filter_tunnel(void)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int error;

        if (!filter) return -ENOMEM;
        error = add_names(filter, SCMP_ACT_ALLOW, tunnel_allows, sizeof tunnel_allows / sizeof tunnel_allows[0]);
        if (!error) error = add_tunnel_limited(filter);
        if (!error) error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1); /* of every thread */
        if (!error) error = install(filter);
        seccomp_release(filter);
        return error;
}

#endif
