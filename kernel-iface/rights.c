#include "kernel-iface/rights.h"

#include "kernel-iface/filter.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* systemd's range of dynamic users: login programs and packages leave it alone. */
enum { UID_FIRST = 61184, UID_LAST = 65519 };

static int fail(struct rights_error *error, const char *step, int code)
{
        *error = (struct rights_error){ step, code };
        return code;
}

static uid_t unused_number(const char *link)
{
        uint32_t hash = 2166136261; /* FNV-1a: a link keeps its number */
        uint32_t span = UID_LAST - UID_FIRST + 1;

        for (const char *c = link; *c; c++)
                hash = (hash ^ (uint8_t)*c) * 16777619;
        for (uint32_t i = 0; i < span; i++) {
                uid_t id = UID_FIRST + (hash + i) % span;
                if (!getpwuid(id) && !getgrgid(id)) return id;
        }
        return UID_FIRST + hash % span;
}

void tunnel_identity(const char *link, uid_t *uid, gid_t *gid)
{
        const struct passwd *user = getpwnam("adit");

        if (user && user->pw_uid != 0 && user->pw_gid != 0) {
                *uid = user->pw_uid;
                *gid = user->pw_gid;
        } else {
                *uid = unused_number(link);
                *gid = *uid;
        }
}

/* keeper */

static bool has_exactly(const unsigned *caps, size_t count, capng_type_t set)
{
        for (unsigned cap = 0; cap <= (unsigned)CAP_LAST_CAP; cap++) {
                bool wanted = false;
                for (size_t i = 0; i < count; i++)
                        wanted |= caps[i] == cap;
                if (capng_have_capability(set, cap) != wanted) return false;
        }
        return true;
}

static bool may_do_only(const unsigned *caps, size_t count)
{
        return !capng_get_caps_process() && has_exactly(caps, count, CAPNG_EFFECTIVE) &&
               has_exactly(caps, count, CAPNG_PERMITTED) && has_exactly(NULL, 0, CAPNG_INHERITABLE) &&
               has_exactly(NULL, 0, CAPNG_AMBIENT);
}

/* Sets permitted, effective and bounding to `caps` and all else to nothing, and believes only what is read back. */
static int limit_capabilities(const unsigned *caps, size_t count)
{
        capng_clear(CAPNG_SELECT_ALL);
        for (size_t i = 0; i < count; i++)
                if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, caps[i]))
                        return -EINVAL;
        /* bounds first: they need CAP_SETPCAP, which goes with the rest */
        capng_apply(CAPNG_SELECT_BOUNDS);
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        capng_apply(CAPNG_SELECT_CAPS);

        return may_do_only(caps, count) && has_exactly(caps, count, CAPNG_BOUNDING_SET) ? 0 : -EPERM;
}

int keeper_confine(struct rights_error *error)
{
        static const unsigned kept[] = { CAP_NET_ADMIN, CAP_NET_BIND_SERVICE };
        unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                             SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                             SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
        int code;

        if (getuid() != 0 || geteuid() != 0) return fail(error, "uid 0", -EPERM);
        /* A container without CAP_SETPCAP cannot set them; no_new_privs keeps exec from giving rights back all the
         * same. */
        prctl(PR_SET_SECUREBITS, bits, 0, 0, 0);
        code = limit_capabilities(kept, sizeof kept / sizeof kept[0]);
        if (code) return fail(error, "capabilities", code);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return fail(error, "no_new_privs", -errno);
        code = filter_keeper();
        return code ? fail(error, "seccomp", code) : 0;
}

/* tunnel process */

static int compare_ints(const void *a, const void *b)
{
        int left = *(const int *)a, right = *(const int *)b;

        return (left > right) - (left < right);
}

static int close_others(const int *keep, size_t count)
{
        int sorted[64];
        unsigned first = STDERR_FILENO + 1;

        if (count > sizeof sorted / sizeof sorted[0]) return -E2BIG;
        if (count) memcpy(sorted, keep, count * sizeof *keep);
        qsort(sorted, count, sizeof sorted[0], compare_ints);
        for (size_t i = 0; i < count; i++) {
                if (sorted[i] < (int)first) continue; /* standard, absent (-1) or twice */
                if ((unsigned)sorted[i] > first && syscall(SYS_close_range, first, (unsigned)sorted[i] - 1, 0))
                        return -errno;
                first = (unsigned)sorted[i] + 1;
        }
        return syscall(SYS_close_range, first, ~0U, 0) ? -errno : 0;
}

/* An empty read-only file system as root, and nothing else mounted. Slave: what the host unmounts goes here too until
 * then. */
static int root_in_namespace(void)
{
        const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

        if (unshare(CLONE_NEWNS)) return -errno;
        if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL)) return -errno;
        /* Over any folder that is always there: this namespace has no other use for it. */
        if (mount("adit", "/proc", "tmpfs", flags | MS_RDONLY, "size=4k,nr_inodes=1,mode=0555")) return -errno;
        if (chdir("/proc")) return -errno;
        if (syscall(SYS_pivot_root, ".", ".") == 0) umount2(".", MNT_DETACH);
        else if (chroot(".")) /* the host's root is a ramfs, which cannot be left */ return -errno;
        return chdir("/") ? -errno : 0;
}

/* Where mounting is not permitted: a folder that nobody can reach, and in which nothing can be made. */
static int root_in_unlinked(void)
{
        char path[] = "/tmp/adit.XXXXXX";

        if (!mkdtemp(path)) return -errno;
        int entered = chdir(path) ? -errno : 0;
        if (rmdir(path)) return -errno;
        if (entered) return entered;
        return chroot(".") ? -errno : 0;
}

static int drop_identity(uid_t uid, gid_t gid)
{
        uid_t real, effective, saved;

        if (uid == 0 || gid == 0) return -EINVAL;
        if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid)) return -errno;
        if (getresuid(&real, &effective, &saved)) return -errno;
        return real == uid && effective == uid && saved == uid ? 0 : -EPERM;
}

/* Nobody looks into it, and it does not outlive its parent. Comes after the uid and capabilities: a change of rights
 * clears the death signal. */
static int bind_to_parent(pid_t parent, struct rights_error *error)
{
        const struct rlimit no_core = { 0, 0 };

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return fail(error, "no_new_privs", -errno);
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)) return fail(error, "undumpable", -errno);
        setrlimit(RLIMIT_CORE, &no_core);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)) return fail(error, "death with the keeper", -errno);
        return getppid() == parent ? 0 : fail(error, "death with the keeper", -ESRCH);
}

int tunnel_drop_rights(uid_t uid, gid_t gid, const int *keep, size_t keep_count, struct rights_error *error)
{
        pid_t parent = getppid();
        int code;

        code = close_others(keep, keep_count);
        if (code) return fail(error, "closing descriptors", code);
        capng_clear(CAPNG_SELECT_ALL);
        capng_apply(CAPNG_SELECT_BOUNDS); /* while /proc is there and CAP_SETPCAP; read back below */
        code = root_in_namespace();
        if (code) code = root_in_unlinked();
        if (code) return fail(error, "empty root", code);
        code = drop_identity(uid, gid);
        if (code) return fail(error, "own uid", code);
        code = limit_capabilities(NULL, 0);
        if (code) return fail(error, "capabilities", code);
        return bind_to_parent(parent, error);
}

int tunnel_filter(struct rights_error *error)
{
        int code = filter_tunnel();

        return code ? fail(error, "seccomp", code) : 0;
}

/* resolver */

int resolver_confine(struct rights_error *error)
{
        pid_t parent = getppid();
        int code;

        capng_clear(CAPNG_SELECT_ALL);
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        capng_apply(CAPNG_SELECT_CAPS);
        if (!may_do_only(NULL, 0)) return fail(error, "capabilities", -EPERM);
        code = bind_to_parent(parent, error);
        if (code) return code;
        code = filter_resolver();
        return code ? fail(error, "seccomp", code) : 0;
}

/* Of kernel 5.18. Before it, what is locked stays. */
#ifndef MADV_DONTNEED_LOCKED
#        define MADV_DONTNEED_LOCKED 24
#endif

void key_arena_trim(void *part, size_t size, size_t keep)
{
        const uintptr_t page = 4096;
        uintptr_t from = ((uintptr_t)part + keep + page - 1) & ~(page - 1);
        uintptr_t to = ((uintptr_t)part + size) & ~(page - 1);

        if (from < to) madvise((void *)from, to - from, MADV_DONTNEED_LOCKED);
}

void *key_arena_open(size_t size, _Bool *locked)
{
        void *arena = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        *locked = false;
        if (arena == MAP_FAILED) return NULL;
        if (madvise(arena, size, MADV_DONTDUMP) || madvise(arena, size, MADV_WIPEONFORK)) {
                int error = errno;
                munmap(arena, size);
                errno = error;
                return NULL;
        }
        *locked = mlock2(arena, size, MLOCK_ONFAULT) == 0;
        return arena;
}
