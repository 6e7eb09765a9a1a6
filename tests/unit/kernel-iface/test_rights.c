/* What confined processes can still do, as /proc tells it and as they find out themselves. */
#include "kernel-iface/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void need_root(void)
{
        if (geteuid() != 0) skip();
}

/* A child that confines itself, says so through a pipe, and then waits until it is told to go on with `act`. */
struct child {
        pid_t pid;
        int said, go;
};

enum { SAID_CONFINED = 'c', SAID_FAILED = 'f' };

static void say(int fd, char what)
{
        if (write(fd, &what, 1) != 1) _exit(99);
}

static void wait_for_go(int fd)
{
        char c;

        if (read(fd, &c, 1) != 1) _exit(98);
}

static char hear(int fd)
{
        char c = 0;

        return read(fd, &c, 1) == 1 ? c : 0;
}

static struct child start(int (*confine)(const int *keep, size_t count), int (*act)(void))
{
        struct child child;
        int said[2], go[2];

        assert_return_code(pipe(said), errno);
        assert_return_code(pipe(go), errno);
        child.pid = fork();
        assert_return_code(child.pid, errno);
        if (child.pid == 0) {
                int keep[] = { said[1], -1, go[0] };
                close(said[0]); /* so that a test that fails leaves no child waiting */
                close(go[1]);
                say(said[1], confine(keep, 3) == 0 ? SAID_CONFINED : SAID_FAILED);
                wait_for_go(go[0]);
                _exit(act ? act() : 0);
        }
        close(said[1]);
        close(go[0]);
        child.said = said[0];
        child.go = go[1];
        return child;
}

/* The wait status of the child after it was let go. */
static int finish(struct child *child)
{
        int status;

        say(child->go, 'g');
        assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
        close(child->said);
        close(child->go);
        return status;
}

static int as_keeper(const int *keep, size_t count)
{
        struct rights_error error = { "", 0 };
        int code = keeper_confine(&error);

        (void)keep;
        (void)count;
        if (code) fprintf(stderr, "# keeper: %s: %s\n", error.step, strerror(-error.error));
        return code;
}

static int tunnel_confine(uid_t uid, gid_t gid, const int *keep, size_t count, struct rights_error *error)
{
        int code = tunnel_drop_rights(uid, gid, keep, count, error);

        return code ? code : tunnel_filter(error);
}

static int as_tunnel(const int *keep, size_t count)
{
        struct rights_error error = { "", 0 };
        uid_t uid;
        gid_t gid;

        gid_t groups[] = { 4, 65501 }; /* to be dropped */
        if (setgroups(2, groups)) return -errno;
        tunnel_identity("wg-test", &uid, &gid);
        int code = tunnel_confine(uid, gid, keep, count, &error);
        if (code) fprintf(stderr, "# tunnel: %s: %s\n", error.step, strerror(-error.error));
        return code;
}

/* As the keeper's child: on top of its rights and its filter. */
static int as_resolver(const int *keep, size_t count)
{
        struct rights_error error = { "", 0 };
        int code = as_keeper(keep, count);

        if (!code) code = resolver_confine(&error);
        if (code) fprintf(stderr, "# resolver: %s: %s\n", error.step, strerror(-error.error));
        return code;
}

static void status_field(pid_t pid, const char *field, char *out, size_t size)
{
        char path[64], line[512];

        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        *out = 0;
        while (fgets(line, sizeof line, file)) {
                size_t len = strlen(field);
                if (strncmp(line, field, len) || line[len] != ':') continue;
                line[strcspn(line, "\n")] = 0;
                snprintf(out, size, "%s", line + len + 1 + strspn(line + len + 1, "\t "));
        }
        fclose(file);
}

static uint64_t status_hex(pid_t pid, const char *field)
{
        char text[256];

        status_field(pid, field, text, sizeof text);
        assert_true(*text);
        return strtoull(text, NULL, 16);
}

static unsigned long status_number(pid_t pid, const char *field)
{
        char text[256];

        status_field(pid, field, text, sizeof text);
        assert_true(*text);
        return strtoul(text, NULL, 10);
}

static void assert_seccomp(pid_t pid)
{
#ifndef ADIT_SANITIZE
        assert_int_equal(status_number(pid, "Seccomp"), 2);
#else
        (void)pid;
#endif
}

static void test_tunnel_has_nothing(void **state)
{
        char groups[256];
        uid_t uid;
        gid_t gid;

        (void)state;
        need_root();
        tunnel_identity("wg-test", &uid, &gid);
        struct child child = start(as_tunnel, NULL);
        assert_int_equal(hear(child.said), SAID_CONFINED);
        static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
        for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
                assert_int_equal(status_hex(child.pid, sets[i]), 0);
        assert_int_equal(status_number(child.pid, "Uid"), uid);
        assert_int_equal(status_number(child.pid, "Gid"), gid);
        assert_int_not_equal(uid, 0);
        status_field(child.pid, "Groups", groups, sizeof groups);
        assert_string_equal(groups, "");
        assert_int_equal(status_number(child.pid, "NoNewPrivs"), 1);
        assert_seccomp(child.pid);
        assert_int_equal(finish(&child), 0);
}

static void test_tunnel_keeps_only_its_descriptors(void **state)
{
        char path[64], target[8];
        int count = 0;

        (void)state;
        need_root();
        int spare = fcntl(STDERR_FILENO, F_DUPFD, 200);
        struct child child = start(as_tunnel, NULL);
        assert_int_equal(hear(child.said), SAID_CONFINED);
        for (int fd = 0; fd < 300; fd++) {
                snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)child.pid, fd);
                count += readlink(path, target, sizeof target) > 0;
        }
        close(spare);
        assert_int_equal(count, 5); /* 0, 1, 2 and the two pipe ends */
        assert_int_equal(finish(&child), 0);
}

static void test_tunnel_root_is_empty(void **state)
{
        char command[128], text[256] = "";

        (void)state;
        need_root();
        struct child child = start(as_tunnel, NULL);
        assert_int_equal(hear(child.said), SAID_CONFINED);
        snprintf(command, sizeof command, "ls -A /proc/%d/root/ | wc -l; wc -l </proc/%d/mountinfo", (int)child.pid,
                 (int)child.pid);
        FILE *pipe_in = popen(command, "r");
        assert_non_null(pipe_in);
        text[fread(text, 1, sizeof text - 1, pipe_in)] = 0;
        pclose(pipe_in);
        assert_int_equal(finish(&child), 0);
        assert_int_equal(strncmp(text, "0\n", 2), 0);
        if (text[2] != '1') print_message("# mounts of the host stay visible to this kernel's chroot: %s", text + 2);
}

#ifndef ADIT_SANITIZE

static int act_socket(void)
{
        return socket(AF_INET, SOCK_DGRAM, 0);
}

static int act_open(void)
{
        return open("/", O_RDONLY);
}

static int act_ioctl(void)
{
        int n;
        return ioctl(0, FIONREAD, &n);
}

static int act_exec(void)
{
        return execl("/bin/true", "true", NULL);
}

static int act_fork(void)
{
        return fork();
}

static int act_executable_memory(void)
{
        return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

static int act_signal_parent(void)
{
        return kill(getppid(), 0);
}

static int act_duplicate(void)
{
        return fcntl(0, F_DUPFD, 100);
}

static int act_reuse_port(void)
{
        int one = 1;
        return setsockopt(0, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
}

static int act_truncate(void)
{
        return ftruncate(0, 0);
}

static int act_new_epoll(void)
{
        return epoll_create1(0);
}

static int act_shutdown(void)
{
        return shutdown(0, SHUT_RDWR);
}

static void test_tunnel_is_killed_for(void **state)
{
        static int (*const acts[])(void) = {
                act_socket,        act_open,      act_ioctl,      act_exec,     act_fork,      act_executable_memory,
                act_signal_parent, act_duplicate, act_reuse_port, act_truncate, act_new_epoll, act_shutdown,
        };

        (void)state;
        need_root();
        for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
                struct child child = start(as_tunnel, acts[i]);
                assert_int_equal(hear(child.said), SAID_CONFINED);
                int status = finish(&child);
                if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
                        fail_msg("act %zu: status %#x instead of death by SIGSYS", i, (unsigned)status);
        }
}

static int act_work(void)
{
        struct timespec now;
        void *memory = malloc(8 << 20), *mapped;

        if (!memory) return 1;
        memset(memory, 1, 8 << 20);
        memory = realloc(memory, 32 << 20);
        free(memory);
        mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED || mprotect(mapped, 4096, PROT_READ)) return 2;
        if (clock_gettime(CLOCK_BOOTTIME, &now)) return 3;
        if (fcntl(0, F_GETFL) < 0) return 4;
        if (dprintf(STDERR_FILENO, "%s", "") < 0) return 5;
        return 0;
}

static void test_tunnel_can_work(void **state)
{
        (void)state;
        need_root();
        struct child child = start(as_tunnel, act_work);
        assert_int_equal(hear(child.said), SAID_CONFINED);
        assert_int_equal(finish(&child), 0);
}

static int act_keeper_denied(void)
{
        if (setuid(1) == 0 || errno != EPERM) return 1;
        if (execl("/bin/true", "true", NULL) == 0 || errno != EPERM) return 2;
        if (chroot("/") == 0 || errno != EPERM) return 3;
        return 0;
}

static void test_keeper_is_denied(void **state)
{
        (void)state;
        need_root();
        struct child child = start(as_keeper, act_keeper_denied);
        assert_int_equal(hear(child.said), SAID_CONFINED);
        assert_int_equal(finish(&child), 0);
}

/* Files that a resolver is let loose on: one that is there, and one that is not. */
static char folder[] = "/tmp/test_rights.XXXXXX", there[64], nowhere[64];

static int refused(int answer, int code)
{
        return answer == -1 && errno == code;
}

static int act_resolver_files(void)
{
        static const int ways[] = { O_WRONLY,           O_RDWR, O_RDONLY | O_CREAT,
                                    O_RDONLY | O_TRUNC, 3,      O_APPEND | O_WRONLY,
                                    O_PATH | O_CREAT };

        for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
                if (!refused(open(there, ways[i], 0600), EACCES)) return 10 + (int)i;
                if (!refused((int)syscall(SYS_open, there, ways[i], 0600), EACCES)) return 20 + (int)i;
        }
        if (!refused(open(nowhere, O_WRONLY | O_CREAT, 0600), EACCES)) return 1;
        if (!refused(open(folder, O_TMPFILE | O_RDWR, 0600), EACCES)) return 2;
        if (!refused((int)syscall(SYS_openat2, AT_FDCWD, there, &(struct { uint64_t how[3]; }){ 0 }, 24), ENOSYS))
                return 3;
        if (!refused(creat(nowhere, 0600), EACCES) || !refused(mkdir(nowhere, 0700), EACCES)) return 4;
        if (!refused(unlink(there), EACCES) || !refused(rename(there, nowhere), EACCES)) return 5;
        if (!refused(link(there, nowhere), EACCES) || !refused(symlink(there, nowhere), EACCES)) return 6;
        if (!refused(chmod(there, 0777), EACCES) || !refused(chown(there, 1, 1), EACCES)) return 7;
        if (!refused(truncate(there, 0), EACCES) || !refused(rmdir(folder), EACCES)) return 8;
        if (!refused(mkfifo(nowhere, 0600), EACCES)) return 9;
        if (!refused(setxattr(there, "user.x", "y", 1, 0), EACCES) ||
            !refused(utimensat(AT_FDCWD, there, NULL, 0), EACCES))
                return 30;
        int fd = open(there, O_RDONLY); /* reading is what it is for */
        if (fd < 0) return 31;
        return refused(fchmod(fd, 0777), EACCES) && refused(fchown(fd, 1, 1), EACCES) ? 0 : 32;
}

static int act_resolver_others(void)
{
        struct rlimit limit = { 1, 1 };

        if (!refused(fork(), EPERM) || !refused((int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), EPERM)) return 1;
        if (!refused((int)syscall(SYS_clone3, NULL, 0), EPERM) || !refused((int)syscall(SYS_vfork), EPERM)) return 2;
        if (!refused(execl("/bin/true", "true", NULL), EPERM)) return 3;
        if (!refused(kill(getppid(), 0), EPERM) || !refused(kill(0, 0), EPERM) || !refused(kill(-1, 0), EPERM))
                return 4;
        if (!refused((int)syscall(SYS_tgkill, getppid(), getppid(), 0), EPERM)) return 5;
        if (kill(getpid(), 0)) return 6; /* raise() and abort() */
        if (!refused(unshare(CLONE_NEWNS), EPERM) || !refused(mount("x", "/", "tmpfs", 0, ""), EPERM)) return 7;
        if (!refused((int)syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, &limit, NULL), EPERM)) return 8;
        if (!refused(setns(0, 0), EPERM)) return 9;
        if (!refused(socket(AF_UNIX, SOCK_STREAM, 0), EACCES) || !refused(socket(AF_VSOCK, SOCK_STREAM, 0), EACCES))
                return 10;
        return 0;
}

/* By name and number, with the kernel's list of addresses as getaddrinfo asks for it, and a question sent to a server.
 */
static int act_resolver_work(void)
{
        struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG };
        struct sockaddr_in server = { .sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                      .sin_port = htons(9) };
        struct addrinfo *found = NULL;
        struct pollfd one = { .events = POLLIN };
        int waiting;

        if (getaddrinfo("localhost", "51820", &hints, &found) || !found) return 1;
        int family = found->ai_family;
        freeaddrinfo(found);
        if (family != AF_INET && family != AF_INET6) return 2;
        one.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (one.fd < 0 || connect(one.fd, (struct sockaddr *)&server, sizeof server)) return 3;
        if (send(one.fd, "?", 1, MSG_NOSIGNAL) != 1 || poll(&one, 1, 0) < 0 || ioctl(one.fd, FIONREAD, &waiting))
                return 4;
        return socket(AF_INET6, SOCK_STREAM, 0) >= 0 || errno == EAFNOSUPPORT ? 0 : 5;
}

static void test_resolver_is_denied(void **state)
{
        static int (*const acts[])(void) = { act_resolver_files, act_resolver_others, act_resolver_work };
        struct stat info;

        (void)state;
        need_root();
        assert_non_null(mkdtemp(folder));
        snprintf(there, sizeof there, "%s/there", folder);
        snprintf(nowhere, sizeof nowhere, "%s/nowhere", folder);
        int fd = open(there, O_WRONLY | O_CREAT, 0600);
        assert_int_equal(write(fd, "text", 4), 4);
        close(fd);
        int statuses[3];
        for (size_t i = 0; i < 3; i++) {
                struct child child = start(as_resolver, acts[i]);
                assert_int_equal(hear(child.said), SAID_CONFINED);
                statuses[i] = finish(&child);
        }
        assert_int_equal(stat(there, &info), 0);
        int made = access(nowhere, F_OK) == 0;
        unlink(there);
        unlink(nowhere);
        rmdir(folder);
        for (size_t i = 0; i < 3; i++)
                if (statuses[i]) fail_msg("act %zu: status %#x", i, (unsigned)statuses[i]);
        assert_int_equal(info.st_size, 4);
        assert_int_equal(info.st_mode & 0777, 0600);
        assert_false(made);
}

#endif

/* The bounding set is the keeper's, who has not the right to narrow it. */
static void test_resolver_has_nothing(void **state)
{
        static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapAmb" };

        (void)state;
        need_root();
        struct child child = start(as_resolver, NULL);
        assert_int_equal(hear(child.said), SAID_CONFINED);
        for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
                assert_int_equal(status_hex(child.pid, sets[i]), 0);
        assert_int_equal(status_hex(child.pid, "CapBnd"), 1ULL << CAP_NET_ADMIN | 1ULL << CAP_NET_BIND_SERVICE);
        assert_int_equal(status_number(child.pid, "NoNewPrivs"), 1);
        assert_seccomp(child.pid);
        assert_int_equal(finish(&child), 0);
}

static int act_keeper_work(void)
{
        struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM }, *found = NULL;
        struct sockaddr_in low = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        uint32_t mark = 77;
        int status;

        if (getaddrinfo("localhost", "1", &hints, &found)) return 1;
        freeaddrinfo(found);
        pid_t loader = fork();
        if (loader == 0) _exit(0);
        if (loader < 0 || waitpid(loader, &status, 0) != loader || status) return 2;
        int memory = memfd_create("status", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (memory < 0 || fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE)) return 3;
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark)) return 4;
        for (unsigned short port = 1000; port > 900; port--) { /* some may be taken */
                low.sin_port = htons(port);
                if (bind(fd, (struct sockaddr *)&low, sizeof low) == 0) return 0;
        }
        return 5;
}

static void test_keeper_has_two(void **state)
{
        uint64_t two = 1ULL << CAP_NET_ADMIN | 1ULL << CAP_NET_BIND_SERVICE;

        (void)state;
        need_root();
        struct child child = start(as_keeper, act_keeper_work);
        assert_int_equal(hear(child.said), SAID_CONFINED);
        assert_int_equal(status_hex(child.pid, "CapPrm"), two);
        assert_int_equal(status_hex(child.pid, "CapEff"), two);
        assert_int_equal(status_hex(child.pid, "CapBnd"), two);
        assert_int_equal(status_hex(child.pid, "CapInh"), 0);
        assert_int_equal(status_hex(child.pid, "CapAmb"), 0);
        assert_int_equal(status_number(child.pid, "Uid"), 0);
        assert_int_equal(status_number(child.pid, "NoNewPrivs"), 1);
        assert_seccomp(child.pid);
        assert_int_equal(finish(&child), 0);
}

static int drop_first(const int *keep, size_t count)
{
        if (setresuid(65500, 65500, 65500)) return 0;
        return as_keeper(keep, count);
}

static void test_keeper_needs_root(void **state)
{
        (void)state;
        need_root();
        struct child child = start(drop_first, NULL);
        assert_int_equal(hear(child.said), SAID_FAILED);
        assert_int_equal(finish(&child), 0);
}

/* A child dies with the keeper that forked it, and by that alone: it holds both ends of the pipe it waits
 * on. */
static void dies_with_its_parent(int (*confine)(const int *keep, size_t count))
{
        int lives[2], ready[2], status;

        need_root();
        assert_return_code(pipe(lives), errno);
        assert_return_code(pipe(ready), errno);
        pid_t keeper = fork();
        if (keeper == 0) {
                int never[2];
                alarm(20); /* should the test fail, they end all the same */
                if (pipe(never)) _exit(1);
                if (fork() == 0) {
                        alarm(20);
                        int keep[] = { lives[1], ready[1], never[0], never[1] };
                        say(ready[1], confine(keep, 4) ? SAID_FAILED : SAID_CONFINED);
                        wait_for_go(never[0]);
                        _exit(1);
                }
                close(lives[1]);
                close(ready[1]);
                wait_for_go(lives[0]);
                _exit(0);
        }
        close(lives[1]);
        close(ready[1]);
        assert_int_equal(hear(ready[0]), SAID_CONFINED);
        kill(keeper, SIGKILL);
        waitpid(keeper, &status, 0);
        struct pollfd gone = { .fd = lives[0], .events = POLLIN };
        assert_int_equal(poll(&gone, 1, 5000), 1);
        assert_int_equal(hear(lives[0]), 0); /* end of file: the tunnel, its last writer, is gone */
        close(lives[0]);
        close(ready[0]);
}

static void test_children_die_with_their_parent(void **state)
{
        (void)state;
        dies_with_its_parent(as_tunnel);
        dies_with_its_parent(as_resolver);
}

static void test_identity(void **state)
{
        uid_t uid, again;
        gid_t gid;

        (void)state;
        tunnel_identity("wg0", &uid, &gid);
        tunnel_identity("wg0", &again, &gid);
        assert_int_equal(uid, again);
        assert_int_not_equal(uid, 0);
        assert_int_not_equal(gid, 0);
}

static void test_root_is_refused_as_identity(void **state)
{
        struct rights_error error;
        int status;

        (void)state;
        need_root();
        pid_t pid = fork();
        if (pid == 0) _exit(tunnel_confine(0, 0, NULL, 0, &error) == -EINVAL && !strcmp(error.step, "own uid") ? 0 : 1);
        waitpid(pid, &status, 0);
        assert_int_equal(status, 0);
}

static void test_arena(void **state)
{
        size_t size = 1 << 20;
        _Bool locked;
        int status;

        (void)state;
        uint8_t *arena = key_arena_open(size, &locked);
        assert_non_null(arena);
        if (geteuid() == 0) assert_true(locked);
        memset(arena, 0xa5, size);
        pid_t pid = fork();
        if (pid == 0) _exit(arena[0] | arena[size - 1]);
        waitpid(pid, &status, 0);
        assert_int_equal(status, 0); /* wiped on fork */
        assert_int_equal(arena[0], 0xa5);
        munmap(arena, size);
}

/* RLIMIT_MEMLOCK without CAP_IPC_LOCK: the arena is made, and says that it is not locked. */
static void test_arena_without_lock(void **state)
{
        int status;

        (void)state;
        need_root();
        pid_t pid = fork();
        if (pid == 0) {
                struct rlimit none = { 0, 0 };
                _Bool locked = 1;
                if (setrlimit(RLIMIT_MEMLOCK, &none) || setresuid(65500, 65500, 65500)) _exit(1);
                _exit(key_arena_open(1 << 20, &locked) && !locked ? 0 : 2);
        }
        waitpid(pid, &status, 0);
#ifndef ADIT_SANITIZE /* ASan answers mlock2's callers itself */
        assert_int_equal(status, 0);
#endif
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tunnel_has_nothing),
                cmocka_unit_test(test_tunnel_keeps_only_its_descriptors),
                cmocka_unit_test(test_tunnel_root_is_empty),
#ifndef ADIT_SANITIZE
                cmocka_unit_test(test_tunnel_is_killed_for),
                cmocka_unit_test(test_tunnel_can_work),
                cmocka_unit_test(test_keeper_is_denied),
                cmocka_unit_test(test_resolver_is_denied),
#endif
                cmocka_unit_test(test_resolver_has_nothing),
                cmocka_unit_test(test_keeper_has_two),
                cmocka_unit_test(test_keeper_needs_root),
                cmocka_unit_test(test_children_die_with_their_parent),
                cmocka_unit_test(test_identity),
                cmocka_unit_test(test_root_is_refused_as_identity),
                cmocka_unit_test(test_arena),
                cmocka_unit_test(test_arena_without_lock),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
