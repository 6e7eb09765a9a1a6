/* The tunnel process: holds the keys, parses everything that comes from outside, moves the packets. It has no rights at
 * all (kernel-iface/rights.h); what needs one it asks of the keeper (kernel-iface/ipc.h). */
#ifndef DAEMON_TUNNEL_H
#define DAEMON_TUNNEL_H

#include "kernel-iface/udp.h"

#include <sys/types.h>

struct tunnel_start {
        int ipc, tun, uapi; /* uapi: listening */
        unsigned merge;     /* enum offload_feature: what the TUN takes as one packet */
        struct udp_sockets sockets;
        uint32_t mtu, link_index;
        uid_t uid;
        gid_t gid;
};

/* Runs until told to stop; the exit status of the process. */
int tunnel_run(const struct tunnel_start *start);

#endif
