/* What the two processes may do (DESIGN, Privilege). Each call is made once, and cannot be taken back. Under
 * ADIT_SANITIZE the seccomp filters are not installed (the sanitizers' runtimes need more); all else is. */
#ifndef KERNEL_IFACE_RIGHTS_H
#define KERNEL_IFACE_RIGHTS_H

#include <stddef.h>
#include <sys/types.h>

/* The failing step's name for the error message, and -errno. */
struct rights_error {
        const char *step;
        int error;
};

/* The uid and gid of the tunnel process: user "adit" if there is one, else a number of its own out of 61184..65519
 * by the link's name, which no account has. Call it before tunnel_drop_rights(): it reads the user database. */
void tunnel_identity(const char *link, uid_t *uid, gid_t *gid);

/* Keeper: uid 0, exactly CAP_NET_ADMIN and CAP_NET_BIND_SERVICE, bounding set too, NoNewPrivs, a seccomp filter that
 * denies what it never does (ptrace, module and kexec calls, mount, bpf, setuid family, perf, keyctl, ...). It forks
 * the loader and the resolver: they inherit it. */
int keeper_confine(struct rights_error *error);

/* Tunnel, while it has one thread: closes every descriptor but 0, 1, 2 and keep[] (at most 64; -1 is skipped), empty
 * root (chroot into an empty directory in a private mount namespace, or an unlinked one), own uid and gid, no groups,
 * no capability in any set, NoNewPrivs, undumpable, PDEATHSIG SIGKILL (which a keeper without CAP_KILL cannot send to
 * another uid when it dies: then the end of the socketpair tells). Threads that are started after it inherit that. */
int tunnel_drop_rights(uid_t uid, gid_t gid, const int *keep, size_t keep_count, struct rights_error *error);
/* Then, for all of its threads at once and all time: an allow-list seccomp filter (no ioctl, open, socket, execve,
 * clone): a violation kills the process. */
int tunnel_filter(struct rights_error *error);

/* Resolver: the child that the keeper forks to look names up, still uid 0. No capability that could be used (permitted,
 * effective, inheritable, ambient; the bounding set stays the keeper's, who may not narrow it, and gives nothing
 * without execve), NoNewPrivs, undumpable, PDEATHSIG SIGKILL, and a seccomp filter on top of the keeper's: nothing is
 * opened for writing, made, renamed, removed or handed to others (EACCES), no process started or signalled (EPERM), and
 * no socket but IPv4, IPv6 and netlink (EACCES: the system bus would do for uid 0 what it may no longer do itself).
 * getaddrinfo() works with what files and DNS know. Open descriptors stay: close them first. 0 or -errno. */
int resolver_confine(struct rights_error *error);

/* The arena for keys: `size` bytes of address space, mlock2(MLOCK_ONFAULT), MADV_DONTDUMP, MADV_WIPEONFORK. NULL:
 * errno. When only the lock is refused it is made all the same and *locked is false: say so in the log. Call it in the
 * tunnel process before tunnel_drop_rights(). */
void *key_arena_open(size_t size, _Bool *locked);
/* Gives the memory of a part of the arena back, but for its first `keep` bytes: it reads as zero, and is there again
 * when it is written. Wiped or not, nothing of it remains. */
void key_arena_trim(void *part, size_t size, size_t keep);

#endif
