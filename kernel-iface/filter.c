#include "kernel-iface/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>

#ifdef ADIT_SANITIZE

int filter_keeper(void)
{
        return 0;
}

int filter_tunnel(void)
{
        return 0;
}

#else

/* A name that this machine or this libseccomp does not know is skipped: it cannot be called, or is denied. */
static const char *const tunnel_allows[] = {
        /* packets and messages on descriptors that the keeper made */
        "read", "readv", "write", "writev", "pread64", "pwrite64", "lseek", "ftruncate", "recvmsg", "sendmsg",
        "recvmmsg", "sendmmsg", "recvfrom", "sendto", "accept", "accept4", "shutdown", "close", "fstat", "newfstatat",
        /* waiting and time */
        "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "timerfd_settime",
        "timerfd_gettime", "clock_gettime", "clock_getres", "gettimeofday", "time", "restart_syscall", "sched_yield",
        /* memory, threads that already run, and the end; sysinfo: qsort asks how much memory there is */
        "brk", "munmap", "mremap", "madvise", "futex", "membarrier", "getrandom", "sysinfo", "getpid", "gettid",
        "rt_sigprocmask", "rt_sigreturn", "exit", "exit_group"
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

/* Calls that are harmless with some arguments only. */
static int add_limited(scmp_filter_ctx filter)
{
        static const struct {
                int number;
                struct scmp_arg_cmp args[2];
                unsigned count;
        } rows[] = {
                { SCMP_SYS(mmap), { { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } }, 1 },
                { SCMP_SYS(mprotect), { { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } }, 1 },
                { SCMP_SYS(fcntl), { { 1, SCMP_CMP_EQ, F_GETFL, 0 } }, 1 },
                { SCMP_SYS(fcntl), { { 1, SCMP_CMP_EQ, F_SETFL, 0 } }, 1 },
                { SCMP_SYS(fcntl), { { 1, SCMP_CMP_EQ, F_GET_SEALS, 0 } }, 1 },
                { SCMP_SYS(getsockopt), { { 1, SCMP_CMP_EQ, SOL_SOCKET, 0 }, { 2, SCMP_CMP_EQ, SO_PEERCRED, 0 } }, 2 },
                { SCMP_SYS(getsockopt), { { 1, SCMP_CMP_EQ, SOL_SOCKET, 0 }, { 2, SCMP_CMP_EQ, SO_ERROR, 0 } }, 2 },
        };

        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                int error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rows[i].number, rows[i].count, rows[i].args);
                if (error) return error;
        }
        return 0;
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

int filter_tunnel(void)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int error;

        if (!filter) return -ENOMEM;
        error = add_names(filter, SCMP_ACT_ALLOW, tunnel_allows, sizeof tunnel_allows / sizeof tunnel_allows[0]);
        if (!error) error = add_limited(filter);
        if (!error) error = install(filter);
        seccomp_release(filter);
        return error;
}

#endif
