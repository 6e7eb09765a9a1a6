#include "daemon/proto/session.h"
#include "daemon/proto/timers.h"

/* Some round trips, and short beside the wait for a peer that lost its sessions. */
#define SESSION_YIELDS_TIME SECONDS(1)

/* Out of its place; wiped at once, or when its last packet is committed. */
static void drop(struct session **place, struct session_store *store)
{
        struct session *session = *place;

        if (!session) return;
        *place = NULL;
        index_remove(&store->indices, &session->entry);
        if (!session->users) pool_give(&store->pool, session, sizeof *session);
}

static void move(struct session **to, struct session **from, struct session_store *store)
{
        drop(to, store);
        *to = *from;
        *from = NULL;
}

struct session *sessions_begin(struct sessions *sessions, struct session_store *store, struct peer *peer,
                               const struct session_keys *keys, const struct handshake *hs, bool initiator,
                               uint64_t now)
{
        struct session *session = pool_take(&store->pool);

        if (!session) return NULL;
        session->keys = *keys;
        session->cipher = cipher_default();
        session->remote_index = hs->remote_index;
        session->initiator = initiator;
        session->sending = true;
        session->born = now;
        index_insert(&store->indices, &session->entry, hs->local_index, peer, session);

        if (initiator) {
                move(&sessions->previous, &sessions->current, store);
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
        move(&sessions->previous, &sessions->current, store);
        move(&sessions->current, &sessions->next, store);
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

static uint64_t age(const struct session *session, uint64_t now)
{
        return now - session->born;
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
        if (!--session->users && session_dropped(session)) pool_give(&store->pool, session, sizeof *session);
}

bool session_dropped(const struct session *session)
{
        return !session->entry.peer;
}
