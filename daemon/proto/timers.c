#include "daemon/proto/timers.h"
#include "daemon/proto/engine.h"

#include <stdatomic.h>

/* What packets touch: each timer is a word of its own, and nothing else hangs on the order of two. */
static uint64_t relaxed(const _Atomic uint64_t *word)
{
        return atomic_load_explicit(word, memory_order_relaxed);
}

void timers_init(struct timers *timers, struct timer_queue *queue)
{
        timers->queue = queue;
        timers->queued = UINT64_MAX;
        timers->persistent = 0;
        timers->jitter = timer_jitter(timers);
        timers->item = (struct heap_item){ 0 };
        timers_stop(timers);
}

static void queue_remove(struct timers *timers)
{
        heap_remove(&timers->queue->heap, &timers->item);
        timers->queued = UINT64_MAX;
}

static void queue_set(struct timers *timers, uint64_t at)
{
        heap_set(&timers->queue->heap, &timers->item, at);
        timers->queued = at;
}

void timers_stop(struct timers *timers)
{
        for (unsigned i = 0; i < TIMER_COUNT; i++)
                timer_stop(timers, i);
        atomic_store_explicit(&timers->another_keepalive, false, memory_order_relaxed);
        queue_remove(timers);
}

/* True: the peer's place in the queue is too late. Sequentially consistent, as timers_requeue() is: of a timer that is
 * armed while the queue is being set, one of the two sees the other. */
static bool arm(struct timers *timers, enum timer timer, uint64_t at)
{
        if (!timers->queue->running) return false;
        timers->at[timer] = at;
        return at < timers->queued;
}

void timer_arm(struct timers *timers, enum timer timer, uint64_t at)
{
        if (arm(timers, timer, at)) queue_set(timers, at);
}

void timer_stop(struct timers *timers, enum timer timer)
{
        atomic_store_explicit(&timers->at[timer], UINT64_MAX, memory_order_relaxed);
}

bool timer_armed(const struct timers *timers, enum timer timer)
{
        return relaxed(&timers->at[timer]) != UINT64_MAX;
}

/* What a worker arms meanwhile stays. */
bool timer_take(struct timers *timers, enum timer timer, uint64_t now)
{
        uint64_t at = relaxed(&timers->at[timer]);

        if (at > now || at == UINT64_MAX) return false;
        return atomic_compare_exchange_strong(&timers->at[timer], &at, UINT64_MAX);
}

uint64_t timer_jitter(const struct timers *timers)
{
        const struct engine_random *random = timers->queue->random;
        uint32_t value;

        random->fill(random->context, &value, sizeof value);
        return value % (REKEY_TIMEOUT_JITTER + 1);
}

uint64_t timers_deadline(const struct timer_queue *queue)
{
        const struct heap_item *item = heap_first(&queue->heap);

        return item ? item->at : UINT64_MAX;
}

struct timers *timers_due(const struct timer_queue *queue, uint64_t now)
{
        struct heap_item *item = heap_first(&queue->heap);

        if (!item || item->at > now) return NULL;
        return (struct timers *)(void *)((char *)item - offsetof(struct timers, item));
}

static uint64_t first_due(const struct timers *timers)
{
        uint64_t first = UINT64_MAX;

        for (unsigned i = 0; i < TIMER_COUNT; i++) {
                uint64_t at = timers->at[i];
                if (at < first) first = at;
        }
        return first;
}

void timers_requeue(struct timers *timers)
{
        uint64_t first;

        do {
                first = first_due(timers);
                if (first == UINT64_MAX) queue_remove(timers);
                else queue_set(timers, first);
        } while (first_due(timers) < first);
}

static bool any_packet(struct timers *timers, uint64_t now)
{
        uint64_t persistent = relaxed(&timers->persistent);

        return persistent && arm(timers, TIMER_PERSISTENT_KEEPALIVE, now + persistent);
}

static bool data_sent(struct timers *timers, uint64_t now)
{
        return !timer_armed(timers, TIMER_NEW_HANDSHAKE) &&
               arm(timers, TIMER_NEW_HANDSHAKE, now + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + relaxed(&timers->jitter));
}

static bool data_received(struct timers *timers, uint64_t now)
{
        if (!timer_armed(timers, TIMER_SEND_KEEPALIVE))
                return arm(timers, TIMER_SEND_KEEPALIVE, now + KEEPALIVE_TIMEOUT);
        if (!atomic_load_explicit(&timers->another_keepalive, memory_order_relaxed))
                atomic_store_explicit(&timers->another_keepalive, true, memory_order_relaxed);
        return false;
}

static bool any_packet_sent(struct timers *timers, uint64_t now)
{
        if (timer_armed(timers, TIMER_SEND_KEEPALIVE)) timer_stop(timers, TIMER_SEND_KEEPALIVE);
        atomic_store_explicit(&timers->another_keepalive, false, memory_order_relaxed);
        return any_packet(timers, now);
}

static bool any_packet_received(struct timers *timers, uint64_t now)
{
        if (timer_armed(timers, TIMER_NEW_HANDSHAKE)) timer_stop(timers, TIMER_NEW_HANDSHAKE);
        return any_packet(timers, now);
}

bool timers_note_sent(struct timers *timers, uint64_t now, bool data)
{
        bool any = any_packet_sent(timers, now);

        return (data && data_sent(timers, now)) || any;
}

bool timers_note_received(struct timers *timers, uint64_t now, bool data)
{
        bool any = any_packet_received(timers, now);

        return (data && data_received(timers, now)) || any;
}

void timers_any_packet_sent(struct timers *timers, uint64_t now)
{
        if (any_packet_sent(timers, now)) timers_requeue(timers);
}

void timers_any_packet_received(struct timers *timers, uint64_t now)
{
        if (any_packet_received(timers, now)) timers_requeue(timers);
}

void timers_handshake_initiated(struct timers *timers, uint64_t now)
{
        timers->jitter = timer_jitter(timers); /* workers ask the kernel for no random numbers */
        timer_arm(timers, TIMER_RETRANSMIT_HANDSHAKE, now + REKEY_TIMEOUT + timer_jitter(timers));
}

void timers_handshake_complete(struct timers *timers)
{
        timer_stop(timers, TIMER_RETRANSMIT_HANDSHAKE);
}

void timers_session_derived(struct timers *timers, uint64_t now)
{
        timer_arm(timers, TIMER_ERASE_KEYS, now + ERASE_KEYS_TIME);
}
