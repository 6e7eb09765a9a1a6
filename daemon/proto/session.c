#include "daemon/proto/session.h"
#include "daemon/proto/timers.h"

#include <sched.h>
#include <string.h>

/* Room for the schedules of a cipher, both directions, wherever the item begins. */
struct child {
        struct session session;
        uint64_t parent_until; /* ns; of one that is established: then the parent goes */
        uint8_t schedules[2 * CIPHER_SCHEDULE_MAX + CIPHER_SCHEDULE_ALIGN];
};

/* Some round trips, long ones and one that was lost: else both sides may end with the other's. */
#define SESSION_YIELDS_TIME REKEY_TIMEOUT
/* Beside an established child, for packets that were overtaken. */
#define PARENT_LINGERS SECONDS(10)

void sessions_reclaim(struct session_store *store)
{
        struct retired *next;

        for (struct retired *item = limbo_take(&store->limbo, store->grace); item; item = next) {
                struct session *session = (struct session *)(void *)((char *)item - offsetof(struct session, retired));
                next = item->next;
                if (session->upgraded) pool_give(&store->children, session, sizeof(struct child));
                else pool_give(&store->pool, session, sizeof *session);
        }
}

size_t session_child_size(void)
{
        return sizeof(struct child);
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

/* Of a pool of the store; where all are taken, those in limbo are about to come back: their readers wait for nobody. */
static struct session *take(struct session_store *store, struct pool *pool)
{
        struct session *session;

        sessions_reclaim(store);
        while (!(session = pool_take(pool)) && !limbo_empty(&store->limbo)) {
                sched_yield();
                sessions_reclaim(store);
        }
        return session;
}

/* Nothing that workers can find leads to it but `sender`. */
static void end(struct sessions *sessions, struct session *session, struct session_store *store)
{
        if (sessions->sender == session) sessions->sender = NULL;
        index_remove(&store->indices, &session->entry);
        if (!session->users) retire(session, store);
}

/* Out of its place, and its child with it. */
static void drop(struct sessions *sessions, struct session *_Atomic *place, struct session_store *store)
{
        struct session *session = *place, *child = session ? session->child : NULL;

        if (!session) return;
        *place = NULL;
        session->child = NULL;
        if (child) end(sessions, child, store);
        end(sessions, session, store);
}

struct session *sessions_begin(struct sessions *sessions, struct session_store *store, struct peer *peer,
                               const struct session_keys *keys, const struct handshake *hs, bool initiator,
                               uint64_t now)
{
        struct session *session = take(store, &store->pool);

        if (!session) return NULL;
        session->keys = *keys;
        session->cipher = cipher_default();
        session->seal_schedule = &session->keys.send; /* the key is the schedule (cipher.h) */
        session->open_schedule = &session->keys.receive;
        session->remote_index = hs->remote_index;
        session->initiator = initiator;
        session->sending = true;
        session->proven = initiator;
        session->born = now;
        index_insert(&store->indices, &session->entry, hs->local_index, peer, session);

        if (initiator) {
                struct session *next = sessions->next, *current = sessions->current;

                /* One of the peer's that crossed ours, yielded, and was never needed. */
                if (next && current && next->born < current->born) drop(sessions, &sessions->next, store);
                drop(sessions, &sessions->previous, store);
                sessions->previous = sessions->current;
                sessions->current = session;
        } else {
                drop(sessions, &sessions->next, store);
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
        drop(sessions, &before, store);
        return true;
}

void sessions_prefer_current(struct sessions *sessions, uint64_t now)
{
        if (sessions->next) sessions->next->yields_until = now + SESSION_YIELDS_TIME;
}

bool sessions_drop(struct sessions *sessions, struct session_store *store)
{
        bool any = sessions->current || sessions->previous || sessions->next;

        drop(sessions, &sessions->current, store);
        drop(sessions, &sessions->previous, store);
        drop(sessions, &sessions->next, store);
        return any;
}

static void expire(struct session *session)
{
        struct session *child = session ? session->child : NULL;

        if (session) session->sending = false;
        if (child) child->sending = false;
}

void sessions_expire(struct sessions *sessions)
{
        expire(sessions->current);
        expire(sessions->previous);
        expire(sessions->next);
}

struct session *sessions_add_child(struct session_store *store, struct session *parent, const struct child_terms *terms)
{
        struct session *session =
                index_find(&store->indices, terms->local_index) || index_find(&store->pending, terms->local_index)
                        ? NULL
                        : take(store, &store->children);
        struct child *child = (struct child *)(void *)session;
        uint8_t *room;

        if (!session) return NULL;
        room = child->schedules + (-(uintptr_t)child->schedules & (CIPHER_SCHEDULE_ALIGN - 1));
        session->cipher = terms->cipher;
        session->cipher->schedule(room, &terms->send);
        session->cipher->schedule(room + CIPHER_SCHEDULE_MAX, &terms->receive);
        session->seal_schedule = room;
        session->open_schedule = room + CIPHER_SCHEDULE_MAX;
        session->remote_index = terms->remote_index;
        session->initiator = parent->initiator;
        session->upgraded = true;
        session->mlkem = terms->mlkem;
        session->born = parent->born;
        index_insert(&store->indices, &session->entry, terms->local_index, parent->entry.peer, session);
        parent->child = session;
        return session;
}

struct session *session_upgraded(struct session *session)
{
        return !session || session->upgraded ? session : session->child;
}

uint64_t session_establish(struct session *session, uint64_t now)
{
        struct child *child = (struct child *)(void *)session;

        session->established = true;
        return child->parent_until = now + PARENT_LINGERS;
}

static uint64_t promote(struct sessions *sessions, struct session *_Atomic *place, struct session_store *store,
                        uint64_t now)
{
        struct session *parent = *place, *child = parent ? parent->child : NULL;
        uint64_t until;

        if (!child || !child->established) return UINT64_MAX;
        until = ((struct child *)(void *)child)->parent_until;
        if (now < until) return until;
        *place = child;
        parent->child = NULL;
        end(sessions, parent, store);
        return UINT64_MAX;
}

uint64_t sessions_promote(struct sessions *sessions, struct session_store *store, uint64_t now)
{
        uint64_t current = promote(sessions, &sessions->current, store, now);
        uint64_t previous = promote(sessions, &sessions->previous, store, now);

        return current < previous ? current : previous;
}

/* AES-GCM's tags and keystreams of one key are good for fewer packets (UPGRADE, "The child session"). */
static uint64_t rekey_after(const struct session *session)
{
        return session->cipher->id == CIPHER_AES_256_GCM ? AES_GCM_REKEY_AFTER_MESSAGES : REKEY_AFTER_MESSAGES;
}

static uint64_t reject_after(const struct session *session)
{
        return session->cipher->id == CIPHER_AES_256_GCM ? AES_GCM_REJECT_AFTER_MESSAGES : REJECT_AFTER_MESSAGES;
}

/* A worker may have read the clock before the owner did. */
static uint64_t age(const struct session *session, uint64_t now)
{
        return now > session->born ? now - session->born : 0;
}

bool session_reserve(struct session *session, unsigned count, uint64_t *first)
{
        uint64_t next = atomic_load_explicit(&session->send_counter, memory_order_relaxed);
        uint64_t limit = reject_after(session);

        do
                if (next > limit || limit - next < count) return false;
        while (!atomic_compare_exchange_weak_explicit(&session->send_counter, &next, next + count, memory_order_relaxed,
                                                      memory_order_relaxed));
        *first = next;
        return true;
}

bool session_can_send(const struct session *session, uint64_t now)
{
        return session && session->sending && age(session, now) < REJECT_AFTER_TIME &&
               session->send_counter < reject_after(session);
}

bool session_can_receive(const struct session *session, uint64_t now, uint64_t counter)
{
        return age(session, now) < REJECT_AFTER_TIME && counter < reject_after(session);
}

bool session_rekey_on_send(const struct session *session, uint64_t now)
{
        return session && session->sending &&
               (session->send_counter >= rekey_after(session) ||
                (session->initiator && age(session, now) >= REKEY_AFTER_TIME));
}

bool sessions_rekey_on_send(const struct sessions *sessions, uint64_t now)
{
        const struct session *current = sessions->current;

        return session_rekey_on_send(current, now) || (current && session_rekey_on_send(current->child, now));
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
