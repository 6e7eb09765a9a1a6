#include "daemon/data/lane.h"

#include <sched.h>

enum {
        HANDSHAKES_AT_A_TIME = 32, /* some 4 ms of work; then the owner's other duties have a turn */
        RECLAIM_MS = 2,            /* what workers hold, they hold no longer than a slab takes */
};

/* Sends one datagram (Not-ECT: the first few packets of a session are not worth more), counts it if the kernel refuses
 * it, and forgets a source address that is gone. True: it went out.
 */
static bool send_one(struct data_plane *plane, struct peer *peer, struct endpoint *to, const uint8_t *datagram,
                     size_t len)
{
        bool source_gone = false;
        int error = udp_send(&plane->sockets, to, datagram, len, &source_gone);

        if (source_gone && peer) engine_peer_clear_source(peer);
        if (error) engine_count_drop(plane->engine, lane_drop(error));
        return !error;
}

static void send_sealed(struct data_plane *plane, struct moment at, struct tx *tx)
{
        bool sent = send_one(plane, tx->peer, &tx->to, plane->sealed, tx->len);

        engine_tx_commit(plane->engine, at.now, at.wall, tx, sent, &plane->effects);
}

static void flush_staged(struct data_plane *plane, struct moment at, struct peer *peer)
{
        struct tx tx;

        while (engine_staged_next(plane->engine, at.now, peer, &tx, plane->sealed))
                send_sealed(plane, at, &tx);
}

static void send_frame(struct data_plane *plane, struct moment at, struct peer *peer)
{
        struct tx tx;

        if (engine_frame_next(plane->engine, at.now, peer, &tx, plane->sealed)) send_sealed(plane, at, &tx);
}

/* Carrying them out may bring about others. */
void data_effects(struct data_plane *plane, struct moment at)
{
        while (plane->effects.count) {
                struct effects now = plane->effects;

                plane->effects.count = 0;
                for (unsigned i = 0; i < now.count; i++) {
                        struct effect *effect = &now.list[i];
                        switch (effect->type) {
                        case EFFECT_SEND: send_one(plane, effect->peer, &effect->to, effect->bytes, effect->len); break;
                        case EFFECT_FRAME: send_frame(plane, at, effect->peer); break;
                        case EFFECT_FLUSH: flush_staged(plane, at, effect->peer); break;
                        default: plane->event(plane->event_context, effect);
                        }
                }
        }
}

void data_tick(struct data_plane *plane, struct moment at)
{
        do {
                engine_tick(plane->engine, at.now, at.wall, &plane->effects);
                data_effects(plane, at);
        } while (engine_deadline(plane->engine) <= at.now);
}

/* True: there was one. */
static bool attend_packet(struct data_plane *plane, struct moment at)
{
        struct peer *waited;
        enum drop reason;
        struct tx tx;
        ptrdiff_t len = mailbox_take(&plane->packets, &waited, sizeof waited, plane->packet, PACKET_MAX);

        if (len < 0) return false;
        if (engine_tx_begin(plane->engine, at.now, at.wall, plane->packet, (size_t)len, &tx, &reason,
                            &plane->effects)) {
                tx_seal(&tx, plane->sealed, plane->packet, (size_t)len);
                send_sealed(plane, at, &tx);
        }
        data_effects(plane, at);
        engine_waited(waited);
        return true;
}

/* All that are there: then nothing that workers left names a peer that is stale by now. While packets of a peer wait,
 * the later ones come here, too: where many more came than were dealt with, reading stops until none waits, for a flood
 * would otherwise never take the fast way again. */
static void attend_packets(struct data_plane *plane, struct moment at)
{
        struct lane *lane = &plane->lanes[LANE_OUTBOUND];
        size_t before = mailbox_count(&plane->packets);

        for (size_t i = 0; i < before; i++)
                attend_packet(plane, at);
        if (mailbox_count(&plane->packets) <= before / 2) return;
        while (!lane_lock(lane))
                sched_yield();
        lane_settle(plane, LANE_OUTBOUND);
        while (attend_packet(plane, at))
                ;
        lane_unlock(lane);
}

/* True: there may be more. */
static bool attend_handshakes(struct data_plane *plane, struct moment at)
{
        uint8_t message[EFFECT_BYTES]; /* none is longer */
        struct endpoint from;

        for (unsigned i = 0; i < HANDSHAKES_AT_A_TIME; i++) {
                ptrdiff_t len = mailbox_take(&plane->handshakes, &from, sizeof from, message, sizeof message);
                enum drop reason;
                struct rx rx;

                if (len < 0) return false;
                engine_rx_begin(plane->engine, at.now, at.wall, message, (size_t)len, &from, &rx, &reason,
                                &plane->effects);
                data_effects(plane, at);
        }
        return true;
}

/* All that are there, as of packets. */
static void attend_frames(struct data_plane *plane, struct moment at)
{
        uint8_t plain[FRAME_MAX + 1]; /* what is longer is none, and seen to be */
        struct frame_from from;

        for (size_t left = mailbox_count(&plane->frames); left; left--) {
                ptrdiff_t len = mailbox_take(&plane->frames, &from, sizeof from, plain, sizeof plain);

                if (len < 0) return;
                engine_frame_receive(plane->engine, at.now, at.wall, from.peer, from.index, plain,
                                     (size_t)len < sizeof plain ? (size_t)len : sizeof plain, &plane->effects);
                data_effects(plane, at);
        }
}

static void attend_asks(struct data_plane *plane, struct moment at)
{
        bool more;

        do {
                more = engine_attend(plane->engine, at.now, at.wall, &plane->effects) || plane->effects.count;
                data_effects(plane, at);
        } while (more);
}

int data_attend(struct data_plane *plane, struct moment at)
{
        plane->woken = false;   /* first: who leaves something from here on wakes again */
        attend_asks(plane, at); /* a session that was proven, an endpoint that moved: before what depends on it */
        attend_frames(plane, at);
        bool more = attend_handshakes(plane, at);
        attend_packets(plane, at);
        attend_asks(plane, at); /* and those that came of that */
        bool waits = engine_reclaim(plane->engine);
        if (mailbox_count(&plane->packets)) more = true;
        return more ? 0 : waits ? RECLAIM_MS : -1;
}
