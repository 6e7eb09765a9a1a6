#include "daemon/proto/session.h"
#include "daemon/proto/timers.h"

#include <sched.h>

/* Some round trips, and short beside the wait for a peer that lost its sessions. */
#define SESSION_YIELDS_TIME SECONDS(1)

void sessions_reclaim(struct session_store *store)
{
        struct retired *next;

        for (struct retired *item = limbo_take(&store->limbo, store->grace); item; item = next) {
                struct session *session = (struct session *)(void *)((char *)item - offsetof(struct session, retired));
                next = item->next;
                pool_give(&store->pool, session, sizeof *session);
        }
}

uint32_t sessions_fresh_index(const struct session_store *store, const struct engine_random *random)
{
        uint32_t index;

        do
                index = index_fresh(&store->indices, random);
        while (index_find(&store->pending, index));
        return index;
}

static void retire(struct session *session, struct session_store *store)
{
        limbo_add(&store->limbo, &session->retired);
        sessions_reclaim(store);
}

/* Of the store; where all are taken, those in limbo are about to come back: their readers wait for nobody. */
static struct session *take(struct session_store *store)
{
        struct session *session;

        sessions_reclaim(store);
        while (!(session = pool_take(&store->pool)) && !limbo_empty(&store->limbo)) {
                sched_yield();
                sessions_reclaim(store);
        }
        return session;
}

/* Out of its place. */
static void drop(struct session *_Atomic *place, struct session_store *store)
{
        struct session *session = *place;

        if (!session) return;
        *place = NULL;
        index_remove(&store->indices, &session->entry);
        if (!session->users) retire(session, store);
}

struct session *sessions_begin(struct sessions *sessions, struct session_store *store, struct peer *peer,
                               const struct session_keys *keys, const struct handshake *hs, bool initiator,
                               uint64_t now)
{
        struct session *session = take(store);

        if (!session) return NULL;
        session->keys = *keys;
        session->cipher = cipher_default();
        session->remote_index = hs->remote_index;
        session->initiator = initiator;
        session->sending = true;
        session->born = now;
        index_insert(&store->indices, &session->entry, hs->local_index, peer, session);

        if (initiator) {
                drop(&sessions->previous, store);
                sessions->previous = sessions->current;
                sessions->current = session;
        } else {
                drop(&sessions->next, store);
                sessions->next = session;
        }
        return session;
}

bool sessions_confirm(struct sessions *sessions, struct session_store *store, const struct session *session,
                      uint64_t now)
{
        if (session != sessions->next || now < session->yields_until) return false;
        struct session *_Atomic before = sessions->previous;
        sessions->previous = sessions->current;
        sessions->current = sessions->next;
        sessions->next = NULL;
        drop(&before, store);
        return true;
}

void sessions_prefer_current(struct sessions *sessions, uint64_t now)
{
        if (sessions->next) sessions->next->yields_until = now + SESSION_YIELDS_TIME;
}

bool sessions_drop(struct sessions *sessions, struct session_store *store)
{
        bool any = sessions->current || sessions->previous || sessions->next;

        drop(&sessions->current, store);
        drop(&sessions->previous, store);
        drop(&sessions->next, store);
        return any;
}

void sessions_expire(struct sessions *sessions)
{
        if (sessions->current) sessions->current->sending = false;
        if (sessions->next) sessions->next->sending = false;
}

/* A worker may have read the clock before the owner did. */
static uint64_t age(const struct session *session, uint64_t now)
{
        return now > session->born ? now - session->born : 0;
}

bool session_reserve(struct session *session, unsigned count, uint64_t *first)
{
        uint64_t next = atomic_load_explicit(&session->send_counter, memory_order_relaxed);

        do
                if (next > REJECT_AFTER_MESSAGES || REJECT_AFTER_MESSAGES - next < count) return false;
        while (!atomic_compare_exchange_weak_explicit(&session->send_counter, &next, next + count, memory_order_relaxed,
                                                      memory_order_relaxed));
        *first = next;
        return true;
}

bool session_can_send(const struct session *session, uint64_t now)
{
        return session && session->sending && age(session, now) < REJECT_AFTER_TIME &&
               session->send_counter < REJECT_AFTER_MESSAGES;
}

bool session_can_receive(const struct session *session, uint64_t now, uint64_t counter)
{
        return age(session, now) < REJECT_AFTER_TIME && counter < REJECT_AFTER_MESSAGES;
}

bool session_rekey_on_send(const struct session *session, uint64_t now)
{
        return session && session->sending &&
               (session->send_counter >= REKEY_AFTER_MESSAGES ||
                (session->initiator && age(session, now) >= REKEY_AFTER_TIME));
}

bool session_rekey_on_receive(const struct session *session, uint64_t now)
{
        return session && session->sending && session->initiator && age(session, now) >= REKEY_ON_RECEIVE_TIME;
}

void session_get(struct session *session)
{
        session->users++;
}

void session_put(struct session *session, struct session_store *store)
{
        if (!--session->users && session_dropped(session)) retire(session, store);
}

bool session_dropped(const struct session *session)
{
        return !session->entry.peer;
}
