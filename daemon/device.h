/* A link's configuration between its text (struct conf) and the engine. In the tunnel process.
 * Applying is in two steps, so that it is whole or not at all: device_check() answers all that could fail,
 * device_apply() cannot. So that it cannot, nothing that was removed before is still held by workers then: the table
 * has room for the peers that a link may have, and once more for those that one call removes. */
#ifndef DAEMON_DEVICE_H
#define DAEMON_DEVICE_H

#include "daemon/conf/uapi.h"
#include "daemon/proto/engine.h"

struct device {
        struct engine *engine;
        struct engine_config limits;
        uint16_t listen_port; /* as bound */
        uint32_t fwmark;
        uint64_t kernel_drops;
        uint16_t workers, workers_at_work; /* configured, 0: auto; and as it is */
        uint32_t mtu;                      /* of the interface, as the keeper tells; 0: not known */
};

/* 0; E2BIG: it does not fit into the limits; EINVAL: a peer would get a policy that contradicts itself or that this
 * build cannot keep. Then *error says which and what to do. */
int device_check(const struct device *device, const struct conf *conf, struct conf_error *error);

/* For a set of WireGuard's own dialect, which cannot say them: the peers that it replaces by themselves keep the
 * upgrade policies that they have. Else `wg setconf` would let out what is not to go without ML-KEM. Before
 * device_check(). */
void device_keep_policies(const struct device *device, struct conf *conf);

/* Everything of `conf` but port and mark, which are the keeper's to set. UAPI_STRICT replaces peers by removing all
 * first, as every WireGuard does; UAPI_ADIT (a reload) removes only those that are gone, so that the sessions of the
 * others live on. */
void device_apply(struct device *device, uint64_t now, const struct conf *conf, enum uapi_dialect dialect);

/* The lines of a get answer, as of the engine's clock (engine_attend). */
void device_status(const struct device *device, enum uapi_dialect dialect, bool secrets, struct writer *out);

#endif
