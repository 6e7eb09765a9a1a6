#include "daemon/data/lane.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
        PACKETS_BOX = 256 << 10,    /* packets without a session, of all peers, until the owner has staged them */
        HANDSHAKES_BOX = 128 << 10, /* some 500 messages */
        FRAMES_BOX = 64 << 10,      /* 50 and more: those of the session upgrade that are dropped come again */
};

static size_t part(size_t *size, size_t bytes)
{
        size_t at = *size;

        *size += (bytes + SLAB_ALIGN - 1) & ~(size_t)(SLAB_ALIGN - 1);
        return at;
}

/* One worker needs one slab of each lane; of more, each may have one at work while another waits for its turn. */
static unsigned slabs_for(unsigned workers)
{
        return workers > 1 ? 2 * workers : 1;
}

static size_t lay_out(struct data_plane *plane, uint8_t *base)
{
        const unsigned slabs = slabs_for(DATA_WORKERS_MAX);
        size_t size = 0;
        size_t outbound = part(&size, slabs * sizeof *plane->outbound);
        size_t inbound = part(&size, slabs * sizeof *plane->inbound);
        size_t packets = part(&size, PACKETS_BOX), handshakes = part(&size, HANDSHAKES_BOX);
        size_t frames = part(&size, FRAMES_BOX);
        size_t packet = part(&size, PACKET_MAX + PACKET_PADDING);
        size_t sealed = part(&size, PACKET_MAX + DATA_OVERHEAD_MAX + 2 * PACKET_PADDING);

        if (!base) return size;
        plane->outbound = (void *)(base + outbound);
        plane->inbound = (void *)(base + inbound);
        mailbox_init(&plane->packets, base + packets, PACKETS_BOX);
        mailbox_init(&plane->handshakes, base + handshakes, HANDSHAKES_BOX);
        mailbox_init(&plane->frames, base + frames, FRAMES_BOX);
        plane->packet = base + packet;
        plane->sealed = base + sealed;
        return size;
}

int data_init(struct data_plane *plane)
{
        size_t size = lay_out(plane, NULL);
        void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (memory == MAP_FAILED) return -errno;
        lay_out(plane, memory);
        data_set_workers(plane, 1);
        return 0;
}

void data_fini(struct data_plane *plane)
{
        munmap(plane->outbound, lay_out(plane, NULL)); /* the first part */
}

void data_set_workers(struct data_plane *plane, unsigned workers)
{
        for (int id = 0; id < LANES; id++)
                plane->lanes[id].slabs = slabs_for(workers);
}

bool lane_lock(struct lane *lane)
{
        return !atomic_exchange(&lane->reading, true);
}

void lane_unlock(struct lane *lane)
{
        lane->reading = false;
}

bool lane_has_room(const struct data_plane *plane, enum lane_id id)
{
        return engine_entered(plane->engine, id) - engine_left(plane->engine, id) < plane->lanes[id].slabs;
}

unsigned lane_take(struct data_plane *plane, enum lane_id id)
{
        return (unsigned)(engine_enter(plane->engine, id) % plane->lanes[id].slabs);
}

/* The oldest slab that is not committed, if it is ready. */
static bool oldest_is_ready(struct data_plane *plane, enum lane_id id, unsigned *slab,
                            _Atomic bool *(*ready)(struct data_plane *, unsigned))
{
        uint64_t left = engine_left(plane->engine, id);

        *slab = (unsigned)(left % plane->lanes[id].slabs);
        return left != engine_entered(plane->engine, id) && *ready(plane, *slab);
}

/* Who fails to get the lock leaves its slab to who has it: that one looks again after letting go. Sequentially
 * consistent, so that one of the two sees the other. */
void lane_drain(struct data_plane *plane, enum lane_id id, _Atomic bool *(*ready)(struct data_plane *, unsigned),
                void (*commit)(struct data_plane *, unsigned))
{
        struct lane *lane = &plane->lanes[id];
        unsigned slab;

        while (oldest_is_ready(plane, id, &slab, ready)) {
                if (atomic_exchange(&lane->draining, true)) return;
                while (oldest_is_ready(plane, id, &slab, ready)) {
                        *ready(plane, slab) = false;
                        commit(plane, slab);
                        engine_leave(plane->engine, id);
                }
                lane->draining = false;
        }
}

void lane_settle(struct data_plane *plane, enum lane_id id)
{
        while (engine_entered(plane->engine, id) != engine_left(plane->engine, id))
                sched_yield();
}

void data_pause(struct data_plane *plane)
{
        for (int id = 0; id < LANES; id++)
                while (!lane_lock(&plane->lanes[id]))
                        sched_yield();
        for (int id = 0; id < LANES; id++)
                lane_settle(plane, id);
        for (int id = 0; id < LANES; id++) /* who looks at the ring does so with this */
                while (atomic_exchange(&plane->lanes[id].draining, true))
                        sched_yield();
}

void data_resume(struct data_plane *plane)
{
        for (int id = 0; id < LANES; id++) {
                plane->lanes[id].draining = false;
                lane_unlock(&plane->lanes[id]);
        }
}

void lane_wake_owner(struct data_plane *plane)
{
        const uint64_t one = 1;

        if (plane->wake >= 0 && !atomic_exchange(&plane->woken, true)) (void)!write(plane->wake, &one, sizeof one);
}

void lane_gone(struct data_plane *plane)
{
        plane->gone = true;
        lane_wake_owner(plane);
}

enum drop lane_drop(int error)
{
        switch (-error) {
        case EMSGSIZE: return DROP_TX_TOO_BIG;
        case ENOBUFS:
        case EAGAIN: return DROP_TX_NO_BUFFERS;
        case EPERM: return DROP_TX_FIREWALL;
        case ENETUNREACH:
        case EHOSTUNREACH: return DROP_TX_UNREACHABLE;
        default: return DROP_TX_SEND;
        }
}
