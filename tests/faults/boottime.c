/* Preloaded into aditd: a CLOCK_BOOTTIME that can jump, as it does while a machine sleeps. For tests.
 *   LD_PRELOAD=boottime.so BOOTTIME=FILE aditd ...
 * FILE holds one number, 64 bits in this machine's order: the nanoseconds that the clock is ahead. Whoever adds to it
 * has put the machine to sleep for so long. As after a true sleep, timers that became due meanwhile expire when it
 * ends: within STEP_MS. As with faults.c, the file is mapped before main() and shared by aditd's processes. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { STEP_MS = 20, FDS = 1024 };

static const _Atomic int64_t *ahead;
static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_settime)(int, int, const struct itimerspec *, struct itimerspec *);
static int (*real_wait)(int, struct epoll_event *, int, int);

static struct itimerspec
        armed[FDS]; /* the absolute times that were asked for, of the process's one thread with timers */
static _Thread_local int has_timers;
static _Thread_local int64_t seen;

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "boottime: %s\n", what);
        _exit(2);
}

__attribute__((constructor)) static void begin(void)
{
        const char *path = getenv("BOOTTIME");
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

        if (fd < 0) die("wanted: BOOTTIME, a file of 8 bytes");
        ahead = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, fd, 0);
        if (ahead == MAP_FAILED) die("the file cannot be mapped");
        close(fd);
        *(void **)&real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
        *(void **)&real_settime = dlsym(RTLD_NEXT, "timerfd_settime");
        *(void **)&real_wait = dlsym(RTLD_NEXT, "epoll_wait");
        if (!real_gettime || !real_settime || !real_wait) die("libc is not linked as a library");
}

static struct timespec later(struct timespec at, int64_t by)
{
        int64_t ns = at.tv_sec * INT64_C(1000000000) + at.tv_nsec + by;

        if (ns < 1) ns = 1; /* 0 would disarm */
        return (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
        /* (a sanitizer's runtime asks before all constructors) */
        int failed = real_gettime ? real_gettime(clock, at) : (int)syscall(SYS_clock_gettime, clock, at);

        if (!failed && ahead && clock == CLOCK_BOOTTIME) *at = later(*at, atomic_load(ahead));
        return failed;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *old)
{
        struct itimerspec true_time = *at;
        int absolute = flags & TFD_TIMER_ABSTIME && (at->it_value.tv_sec || at->it_value.tv_nsec);

        has_timers = 1;
        if (fd >= 0 && fd < FDS) armed[fd] = absolute ? *at : (struct itimerspec){ 0 };
        if (absolute) true_time.it_value = later(at->it_value, -atomic_load(ahead));
        return real_settime(fd, flags, &true_time, old);
}

static void wake_up(void)
{
        if (!has_timers || seen == atomic_load(ahead)) return;
        seen = atomic_load(ahead);
        for (int fd = 0; fd < FDS; fd++)
                if (armed[fd].it_value.tv_sec || armed[fd].it_value.tv_nsec)
                        timerfd_settime(fd, TFD_TIMER_ABSTIME, &armed[fd], NULL);
}

int epoll_wait(int epoll, struct epoll_event *events, int max, int timeout)
{
        for (;;) {
                int step = timeout < 0 || timeout > STEP_MS ? STEP_MS : timeout;
                wake_up();
                int count = real_wait(epoll, events, max, step);
                if (count) return count;
                if (timeout >= 0 && (timeout -= step) <= 0) return 0;
        }
}
