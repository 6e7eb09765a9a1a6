#include "daemon/data/workers.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { SOURCE_STOP = SOURCE_V6 + 1, SOURCES, STACK_SIZE = 512 << 10 };

static uint64_t boottime(void)
{
        struct timespec at;

        clock_gettime(CLOCK_BOOTTIME, &at);
        return (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
}

static void call_help(void *context)
{
        struct workers *workers = context;

        if (!workers->asleep) return;
        pthread_mutex_lock(&workers->lock);
        if (workers->calls < workers->asleep) {
                workers->calls++;
                pthread_cond_signal(&workers->called);
        }
        pthread_mutex_unlock(&workers->lock);
}

/* 1: there may be more. */
static int turn(struct data_plane *plane, enum workers_source source, uint64_t now)
{
        if (source == SOURCE_TUN) return data_outbound(plane, now);
        return data_inbound(plane, now, source == SOURCE_V6);
}

static void begin(struct workers *workers)
{
        pthread_mutex_lock(&workers->lock);
        workers->running++;
        pthread_cond_signal(&workers->begun);
        pthread_mutex_unlock(&workers->lock);
}

/* A turn of each source that has something, then a look at what has come meanwhile. */
static void *lead(void *context)
{
        struct workers *workers = ((struct worker *)context)->all;
        struct epoll_event events[SOURCES];
        unsigned hot = 0;

        begin(workers);
        while (!workers->stop) {
                int count = epoll_wait(workers->epoll, events, SOURCES, hot ? 0 : -1);
                for (int i = 0; i < count; i++)
                        hot |= 1u << events[i].data.u32;
                uint64_t now = boottime();
                for (unsigned source = SOURCE_TUN; source <= SOURCE_V6; source++)
                        if (hot & 1u << source && turn(workers->plane, source, now) <= 0) hot &= ~(1u << source);
        }
        return NULL;
}

static void sleep_until_called(struct workers *workers, unsigned number)
{
        pthread_mutex_lock(&workers->lock);
        while (!workers->stop && number >= workers->active)
                pthread_cond_wait(&workers->activated, &workers->lock);
        workers->asleep++;
        while (!workers->stop && number < workers->active && !workers->calls)
                pthread_cond_wait(&workers->called, &workers->lock);
        if (workers->calls) workers->calls--;
        workers->asleep--;
        pthread_mutex_unlock(&workers->lock);
}

static void *help(void *context)
{
        const struct worker *worker = context;
        struct workers *workers = worker->all;

        begin(workers);
        while (!workers->stop) {
                sleep_until_called(workers, worker->number);
                for (int more = 1; more && !workers->stop;) {
                        uint64_t now = boottime();
                        more = 0;
                        for (unsigned source = SOURCE_TUN; source <= SOURCE_V6; source++)
                                if (turn(workers->plane, source, now) > 0) more = 1;
                }
        }
        return NULL;
}

int workers_init(struct workers *workers, struct data_plane *plane)
{
        *workers = (struct workers){ .plane = plane, .epoll = -1, .stop_event = -1 };
        pthread_mutex_init(&workers->lock, NULL);
        pthread_cond_init(&workers->begun, NULL);
        pthread_cond_init(&workers->called, NULL);
        pthread_cond_init(&workers->activated, NULL);
        workers->epoll = epoll_create1(EPOLL_CLOEXEC);
        workers->stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (workers->epoll < 0 || workers->stop_event < 0) return -errno;
        workers_watch(workers, workers->stop_event, (enum workers_source)SOURCE_STOP);
        return 0;
}

static int start_one(struct workers *workers, const pthread_attr_t *attributes)
{
        struct worker *worker = &workers->worker[workers->count];

        worker->all = workers;
        worker->number = workers->count;
        int error = pthread_create(&worker->thread, attributes, worker->number ? help : lead, worker);
        if (!error) workers->count++;
        return error;
}

int workers_start(struct workers *workers, unsigned count)
{
        pthread_attr_t attributes;
        int error = 0;

        workers->active = 1;
        workers->plane->call_context = workers;
        workers->plane->call_help = call_help;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, STACK_SIZE);
        while (!error && workers->count < count && workers->count < DATA_WORKERS_MAX)
                error = start_one(workers, &attributes);
        pthread_attr_destroy(&attributes);
        pthread_mutex_lock(&workers->lock);
        while (workers->running < workers->count)
                pthread_cond_wait(&workers->begun, &workers->lock);
        pthread_mutex_unlock(&workers->lock);
        return -error;
}

static void wake_all(struct workers *workers)
{
        pthread_mutex_lock(&workers->lock);
        pthread_cond_broadcast(&workers->activated);
        pthread_cond_broadcast(&workers->called);
        pthread_mutex_unlock(&workers->lock);
}

void workers_stop(struct workers *workers)
{
        const uint64_t one = 1;

        workers->stop = true;
        (void)!write(workers->stop_event, &one, sizeof one);
        wake_all(workers);
        for (unsigned i = 0; i < workers->count; i++)
                pthread_join(workers->worker[i].thread, NULL);
        close(workers->stop_event);
        close(workers->epoll);
}

unsigned workers_set(struct workers *workers, unsigned active)
{
        if (active > workers->count) active = workers->count;
        if (active < 1) active = 1;
        if (active != workers->active) {
                data_pause(workers->plane);
                data_set_workers(workers->plane, active);
                workers->active = active;
                data_resume(workers->plane);
                wake_all(workers);
        }
        return active;
}

void workers_watch(struct workers *workers, int fd, enum workers_source source)
{
        struct epoll_event event = { .events = EPOLLIN, .data.u32 = source };

        if (fd >= 0) epoll_ctl(workers->epoll, EPOLL_CTL_ADD, fd, &event);
}

void workers_unwatch(struct workers *workers, int fd)
{
        if (fd >= 0) epoll_ctl(workers->epoll, EPOLL_CTL_DEL, fd, NULL);
}
