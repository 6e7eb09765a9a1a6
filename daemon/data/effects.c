#include "daemon/data/lane.h"

#include <errno.h>

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

bool lane_send(struct data_plane *plane, struct peer *peer, struct endpoint *to, const uint8_t *datagram, size_t len)
{
        bool source_gone = false;
        int error = udp_send(&plane->sockets, to, datagram, len, &source_gone);

        if (source_gone && peer) engine_peer_clear_source(peer);
        if (error) engine_count_drop(plane->engine, lane_drop(error));
        return !error;
}

void data_effects(struct data_plane *plane, struct moment at)
{
        struct effects *more = &plane->more;

        for (unsigned i = 0; i < plane->effects.count; i++) {
                struct effect *effect = &plane->effects.list[i];
                switch (effect->type) {
                case EFFECT_SEND: lane_send(plane, effect->peer, &effect->to, effect->bytes, effect->len); break;
                case EFFECT_FLUSH: outbound_flush_staged(plane, at, effect->peer, more); break;
                default: plane->event(plane->event_context, effect);
                }
        }
        plane->effects.count = 0;
        /* Committing staged packets can at most start a handshake of their peer: a send, never another flush. */
        for (unsigned i = 0; i < more->count; i++)
                if (more->list[i].type == EFFECT_SEND)
                        lane_send(plane, more->list[i].peer, &more->list[i].to, more->list[i].bytes, more->list[i].len);
        more->count = 0;
}

void data_tick(struct data_plane *plane, struct moment at)
{
        do {
                engine_tick(plane->engine, at.now, at.wall, &plane->effects);
                data_effects(plane, at);
        } while (engine_deadline(plane->engine) <= at.now);
}
