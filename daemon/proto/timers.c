#include "daemon/proto/timers.h"
#include "daemon/proto/engine.h"

void timers_init(struct timers *timers, struct timer_queue *queue)
{
        *timers = (struct timers){ .queue = queue };
        for (unsigned i = 0; i < TIMER_COUNT; i++)
                timers->at[i] = UINT64_MAX;
}

void timers_stop(struct timers *timers)
{
        for (unsigned i = 0; i < TIMER_COUNT; i++)
                timers->at[i] = UINT64_MAX;
        timers->another_keepalive = false;
        heap_remove(&timers->queue->heap, &timers->item);
}

void timer_arm(struct timers *timers, enum timer timer, uint64_t at)
{
        if (!timers->queue->running) return;
        timers->at[timer] = at;
        if (!timers->item.place || at < timers->item.at) heap_set(&timers->queue->heap, &timers->item, at);
}

void timer_stop(struct timers *timers, enum timer timer)
{
        timers->at[timer] = UINT64_MAX;
}

bool timer_armed(const struct timers *timers, enum timer timer)
{
        return timers->at[timer] != UINT64_MAX;
}

bool timer_take(struct timers *timers, enum timer timer, uint64_t now)
{
        if (timers->at[timer] > now || !timer_armed(timers, timer)) return false;
        timer_stop(timers, timer);
        return true;
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

void timers_requeue(struct timers *timers)
{
        uint64_t first = UINT64_MAX;

        for (unsigned i = 0; i < TIMER_COUNT; i++)
                if (timers->at[i] < first) first = timers->at[i];
        if (first == UINT64_MAX) heap_remove(&timers->queue->heap, &timers->item);
        else heap_set(&timers->queue->heap, &timers->item, first);
}

void timers_data_sent(struct timers *timers, uint64_t now)
{
        if (!timer_armed(timers, TIMER_NEW_HANDSHAKE))
                timer_arm(timers, TIMER_NEW_HANDSHAKE, now + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + timer_jitter(timers));
}

void timers_data_received(struct timers *timers, uint64_t now)
{
        if (timer_armed(timers, TIMER_SEND_KEEPALIVE)) timers->another_keepalive = true;
        else timer_arm(timers, TIMER_SEND_KEEPALIVE, now + KEEPALIVE_TIMEOUT);
}

static void any_packet(struct timers *timers, uint64_t now)
{
        if (timers->persistent) timer_arm(timers, TIMER_PERSISTENT_KEEPALIVE, now + timers->persistent);
}

void timers_any_packet_sent(struct timers *timers, uint64_t now)
{
        timer_stop(timers, TIMER_SEND_KEEPALIVE);
        timers->another_keepalive = false;
        any_packet(timers, now);
}

void timers_any_packet_received(struct timers *timers, uint64_t now)
{
        timer_stop(timers, TIMER_NEW_HANDSHAKE);
        any_packet(timers, now);
}

void timers_handshake_initiated(struct timers *timers, uint64_t now)
{
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
