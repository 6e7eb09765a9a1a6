#include "tests/sim/world.h"
#include "crypto/mlkem.h"
#include "daemon/proto/state.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { WIREGUARD_PORT = 51820 };

static void fill(void *context, void *bytes, size_t len)
{
        uint8_t *out = bytes;

        for (size_t i = 0; i < len; i++)
                out[i] = (uint8_t)(splitmix(context) >> 32);
}

/* Memory as the daemon gives it: fresh pages, so that what is not used is not there. */
static void start_engine(struct host *host)
{
        const struct engine_random random = { fill, &host->random };

        host->boot_offset = world_random(host->world, 1000) * HOUR; /* a boot long ago, or just now */
        host->memory_size = engine_memory(&host->config);
        host->memory = mmap(NULL, host->memory_size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        world_check(host->world, host->memory != MAP_FAILED, "mmap of %zu bytes", host->memory_size);
        host->engine = engine_new(host->memory, host->memory_size, &host->config, &random, host_now(host));
        world_check(host->world, host->engine != NULL, "engine_new");
        engine_set_private_key(host->engine, host_now(host), &host->private_key);
        engine_set_abilities(host->engine, host->abilities.costs, host->abilities.mlkem);
        engine_set_mtu(host->engine, host->mtu);
        engine_set_egress_mtu(host->engine, host->egress_mtu);
        engine_set_up(host->engine, host_now(host), true);
        host->deadline = engine_deadline(host->engine);
}

static void configure(struct host *host, const struct contact *contact)
{
        const struct prefix v4 = packet_prefix(contact->host, AF_INET), v6 = packet_prefix(contact->host, AF_INET6);
        struct peer *peer = engine_peer_add(host->engine, host_now(host), &contact->host->public_key);

        world_check(host->world, peer != NULL, "host %u: no room for a peer", host->id);
        engine_peer_set_preshared_key(peer, &contact->preshared_key);
        if (contact->endpoint) engine_peer_set_endpoint(peer, &contact->host->address);
        world_check(host->world, engine_allowed_ip_add(host->engine, peer, &v4), "no room for a prefix");
        world_check(host->world, engine_allowed_ip_add(host->engine, peer, &v6), "no room for a prefix");
        engine_peer_set_keepalive(host->engine, host_now(host), peer, contact->keepalive);
        engine_peer_set_upgrade(host->engine, host_now(host), peer, &contact->policy);
        host->deadline = engine_deadline(host->engine);
}

struct host *world_host(struct world *world, uint32_t max_peers)
{
        struct host *host = calloc(1, sizeof *host);

        world->hosts = realloc(world->hosts, (world->host_count + 1) * sizeof(void *));
        if (!host || !world->hosts) abort();
        host->id = world->host_count + 1;
        host->world = world;
        host->link = link_clean;
        host->mtu = SIM_MTU;
        host->random = splitmix(&world->random);
        host->config = (struct engine_config){ .max_peers = max_peers,
                                               .max_prefixes = 2 * max_peers,
                                               .max_staged = 2 * STAGED_MAX,
                                               .staged_size = SIM_MTU };
        fill(&host->random, host->private_key.bytes, KEY_LEN);
        key_clamp(&host->private_key);
        key_public_from_private(&host->public_key, &host->private_key);
        host->address = world_address(0xc6120000 + host->id, WIREGUARD_PORT); /* 198.18.0.0/15, RFC 2544 */
        start_engine(host);
        world->hosts[world->host_count++] = host;
        return host;
}

void host_free(struct host *host)
{
        munmap(host->memory, host->memory_size);
        free(host->contacts);
        free(host);
}

static void contact_add(struct host *host, struct contact contact)
{
        host->contacts = realloc(host->contacts, (host->contact_count + 1) * sizeof *host->contacts);
        if (!host->contacts) abort();
        host->contacts[host->contact_count++] = contact;
        configure(host, &contact);
}

static void connect_hosts(struct host *a, struct host *b, bool b_knows_a)
{
        struct key psk;

        fill(&a->world->random, psk.bytes, KEY_LEN);
        contact_add(a, (struct contact){ .host = b, .endpoint = true, .preshared_key = psk });
        contact_add(b, (struct contact){ .host = a, .endpoint = b_knows_a, .preshared_key = psk });
}

void world_connect(struct host *a, struct host *b)
{
        connect_hosts(a, b, true);
}

void world_connect_one_way(struct host *knows, struct host *waits)
{
        connect_hosts(knows, waits, false);
}

void host_keepalive(struct host *host, const struct host *peer, uint16_t seconds)
{
        for (unsigned i = 0; i < host->contact_count; i++)
                if (host->contacts[i].host == peer) host->contacts[i].keepalive = seconds;
        engine_peer_set_keepalive(host->engine, host_now(host), host_peer(host, peer), seconds);
        host->deadline = engine_deadline(host->engine);
}

void host_able(struct host *host, const struct abilities *abilities)
{
        host->abilities = *abilities;
        world_check(host->world, host->contact_count == 0, "host %u: abilities after peers", host->id);
        engine_set_abilities(host->engine, abilities->costs, abilities->mlkem);
}

void host_set_mtu(struct host *host, uint32_t mtu, uint32_t egress_mtu)
{
        host->mtu = mtu;
        host->egress_mtu = egress_mtu;
        engine_set_mtu(host->engine, mtu);
        engine_set_egress_mtu(host->engine, egress_mtu);
}

void host_policy(struct host *host, const struct host *peer, struct upgrade_policy policy)
{
        for (unsigned i = 0; i < host->contact_count; i++) {
                if (host->contacts[i].host != peer) continue;
                host->contacts[i].policy = policy;
                host->contacts[i].policy_since = host_now(host);
        }
        engine_peer_set_upgrade(host->engine, host_now(host), host_peer(host, peer), &policy);
        host->deadline = engine_deadline(host->engine);
}

struct abilities abilities_all(bool mlkem)
{
        static const uint8_t costs[CIPHER_IDS] = { 81, 53, 59 };
        struct abilities all = { .mlkem = false };

        world_init();
        all.mlkem = mlkem && mlkem_available();
        for (uint8_t id = 0; id < CIPHER_IDS; id++)
                if (cipher_find(id)) all.costs[id] = costs[id];
        return all;
}

struct world *world_adits(uint64_t seed, bool mlkem, struct host **a, struct host **b)
{
        const struct abilities all = abilities_all(mlkem);
        struct world *world = world_new(seed);

        *a = world_host(world, 4);
        *b = world_host(world, 4);
        host_able(*a, &all);
        host_able(*b, &all);
        world_connect(*a, *b);
        return world;
}

void host_restart(struct host *host)
{
        for (unsigned i = 0; i < host->contact_count; i++)
                host->past_tx_drops += host_peer(host, host->contacts[i].host)->staged.count;
        for (enum drop reason = DROP_TX_NOT_IP; reason < DROP_COUNT; reason++)
                host->past_tx_drops += host_drops(host, reason);
        munmap(host->memory, host->memory_size);
        start_engine(host);
        for (unsigned i = 0; i < host->contact_count; i++) {
                host->contacts[i].policy_since = host_now(host);
                configure(host, &host->contacts[i]);
        }
}

void host_sleep(struct host *host)
{
        host->asleep = true;
}

void host_wake(struct host *host)
{
        host->asleep = false;
}

void host_roam(struct host *host)
{
        host->address.in.sin_addr.s_addr = htonl(ntohl(host->address.in.sin_addr.s_addr) + 0x10000);
        host->address.in.sin_port = htons((uint16_t)(1024 + world_random(host->world, 60000)));
}

struct peer *host_peer(const struct host *host, const struct host *other)
{
        struct peer *peer = engine_peer_find(host->engine, &other->public_key);

        world_check(host->world, peer != NULL, "host %u does not know host %u", host->id, other->id);
        return peer;
}

struct peer_status host_status(const struct host *host, const struct host *other)
{
        struct peer_status status;

        engine_peer_status(host_peer(host, other), &status);
        return status;
}

const union socket_address *host_sees(const struct host *host, const struct host *other)
{
        return engine_peer_remote(host_peer(host, other));
}

uint64_t host_drops(const struct host *host, enum drop reason)
{
        return engine_dropped(host->engine, reason);
}
