/* Splitting, finishing, coalescing, checksums. Packets are those of the offload tests, built the slow way. */
#include "kernel-iface/checksum.h"
#include "kernel-iface/offload.h"
#include "tests/bench/micro/micro.h"
#include "tests/unit/kernel-iface/test_offload.h"

#include <stdio.h>

/* ---- Split ------------------------------------------------------------------------------------------------------- */

enum { MSS = 1360, SEGMENTS = 48, SUPER_PAYLOAD = SEGMENTS * MSS, SUPER_ROOM = 65536 };

struct super {
        struct shape shape;
        size_t len;
        uint8_t vnet[VNET_HEADER_LEN];
        uint8_t payload[SUPER_PAYLOAD], original[SUPER_ROOM], work[SUPER_ROOM];
};

static bool setup_split(struct bench *bench)
{
        struct super *super = bench->state = micro_alloc(sizeof *super);

        super->shape = plain_shape(true, true);
        super->shape.flags = ACK | PSH;
        super->shape.payload = SUPER_PAYLOAD;
        fill(super->payload, sizeof super->payload);
        super->len = build_super(&super->shape, super->vnet, super->original, super->payload, MSS);
        return true;
}

static void prepare_split(struct bench *bench)
{
        struct super *super = bench->state;

        memcpy(super->work, super->original, super->len);
}

static bool run_split(struct bench *bench)
{
        struct super *super = bench->state;
        struct offload_split split;
        uint8_t *segment;
        size_t len, total = 0, count = 0;

        if (offload_split_begin(&split, super->vnet, super->work, super->len) != OFFLOAD_SEGMENTS) return false;
        for (; offload_split_next(&split, &segment, &len); count++)
                total += len;
        return count == SEGMENTS && total == super->len + (SEGMENTS - 1) * header_size(&super->shape);
}

/* A segment is gone when the next is taken, so this looks at each as it comes. */
static bool verify_split(struct bench *bench)
{
        struct super *super = bench->state;
        struct offload_split split;
        uint8_t *segment, wanted[2048];
        size_t len;
        uint32_t count = 0;
        bool right = true;

        prepare_split(bench);
        if (offload_split_begin(&split, super->vnet, super->work, super->len) != OFFLOAD_SEGMENTS) return false;
        for (; right && offload_split_next(&split, &segment, &len); count++)
                right = naive_segment(&super->shape, wanted, super->payload, MSS, count) == len &&
                        memcmp(segment, wanted, len) == 0;
        return right && count == SEGMENTS;
}

/* ---- Finish: a lone ACK with its timestamps ---------------------------------------------------------------------- */

enum { ACKS = 256, ACK_STRIDE = 64 };

struct acks {
        size_t len;
        uint8_t vnet[VNET_HEADER_LEN], finished[ACK_STRIDE];
        uint8_t original[ACKS][ACK_STRIDE], work[ACKS][ACK_STRIDE];
};

static bool setup_finish(struct bench *bench)
{
        struct acks *acks = bench->state = micro_alloc(sizeof *acks);
        struct virtio_net_hdr header;
        struct shape shape = plain_shape(true, true);

        shape.payload = 0;
        acks->len = build_super(&shape, acks->vnet, acks->original[0], acks->finished, 0);
        memcpy(&header, acks->vnet, sizeof header);
        header.gso_type = VIRTIO_NET_HDR_GSO_NONE;
        memcpy(acks->vnet, &header, sizeof header);
        for (int i = 1; i < ACKS; i++)
                memcpy(acks->original[i], acks->original[0], acks->len);
        build(&shape, acks->finished, acks->original[0]);
        return true;
}

static void prepare_finish(struct bench *bench)
{
        struct acks *acks = bench->state;

        memcpy(acks->work, acks->original, sizeof acks->work);
}

static bool run_finish(struct bench *bench)
{
        struct acks *acks = bench->state;
        bool right = true;

        for (int i = 0; i < ACKS; i++)
                right &= offload_finish(acks->vnet, acks->work[i], acks->len) == OFFLOAD_PACKET;
        return right;
}

static bool verify_finish(struct bench *bench)
{
        struct acks *acks = bench->state;
        bool right;

        prepare_finish(bench);
        right = run_finish(bench);
        for (int i = 0; i < ACKS; i++)
                right &= memcmp(acks->work[i], acks->finished, acks->len) == 0;
        return right;
}

/* ---- Coalesce: one flow, as it comes out of one GRO read --------------------------------------------------------- */

enum { BATCH = 45, PACKET_LEN = 1420, PACKET_STRIDE = 1536, ALL = OFFLOAD_TCP4 | OFFLOAD_UDP4 };

struct batch {
        struct shape shape;
        uint8_t original[BATCH][PACKET_STRIDE], work[BATCH][PACKET_STRIDE];
        struct offload_packet packets[BATCH];
        struct offload_group groups[BATCH];
};

static void prepare_coalesce(struct bench *bench)
{
        struct batch *batch = bench->state;

        memcpy(batch->work, batch->original, sizeof batch->work);
}

static bool setup_coalesce(struct bench *bench)
{
        struct batch *batch = bench->state = micro_alloc(sizeof *batch);
        struct shape shape = plain_shape(true, bench->size == IPPROTO_TCP);
        uint8_t payload[PACKET_LEN];

        shape.payload = PACKET_LEN - (uint32_t)header_size(&shape);
        batch->shape = shape;
        for (int i = 0; i < BATCH; i++) {
                fill(payload, shape.payload);
                build(&shape, batch->original[i], payload);
                batch->packets[i] = (struct offload_packet){ .bytes = batch->work[i], .len = PACKET_LEN };
                shape.seq += shape.payload;
                shape.id = (shape.id + 1) & 0xffff;
        }
        return true;
}

static bool run_coalesce(struct bench *bench)
{
        struct batch *batch = bench->state;

        return offload_coalesce(batch->packets, BATCH, batch->groups, ALL) == 1 && batch->groups[0].count == BATCH;
}

/* Headers of the first packet are the coalescer's own tests' business; that every byte of payload is there is ours. */
static bool gathers_all(struct batch *batch)
{
        size_t header = header_size(&batch->shape);
        struct iovec iov[BATCH + 1];
        bool right;

        if (offload_group_iov(&batch->groups[0], batch->packets, iov, BATCH + 1) != BATCH + 1) return false;
        right = iov[1].iov_len == PACKET_LEN &&
                memcmp((uint8_t *)iov[1].iov_base + header, batch->original[0] + header, batch->shape.payload) == 0;
        for (int i = 1; i < BATCH; i++)
                right &= iov[i + 1].iov_len == batch->shape.payload &&
                         memcmp(iov[i + 1].iov_base, batch->original[i] + header, batch->shape.payload) == 0;
        return right && batch->groups[0].len == header + BATCH * batch->shape.payload;
}

/* A packet is merged only after its checksum was verified: the last byte of each in turn is damaged. */
static bool leaves_out_damaged(struct bench *bench)
{
        struct batch *batch = bench->state;
        bool right = true;

        for (int i = 0; i < BATCH; i++) {
                prepare_coalesce(bench);
                batch->work[i][PACKET_LEN - 1] ^= 1;
                right &= !run_coalesce(bench);
        }
        return right;
}

static bool verify_coalesce(struct bench *bench)
{
        prepare_coalesce(bench);
        return run_coalesce(bench) && gathers_all(bench->state) && leaves_out_damaged(bench);
}

/* ---- Checksum ---------------------------------------------------------------------------------------------------- */

enum { SUMS = 64 };

struct sums {
        uint8_t bytes[SUMS][PACKET_STRIDE];
        uint16_t wanted; /* of all of them */
};

static bool setup_checksum(struct bench *bench)
{
        struct sums *sums = bench->state = micro_alloc(sizeof *sums);
        uint32_t sum = 0;

        fill(sums->bytes[0], sizeof sums->bytes);
        for (int i = 0; i < SUMS; i++)
                sum = naive(sums->bytes[i], PACKET_LEN, sum);
        sums->wanted = htons((uint16_t)sum);
        return true;
}

static bool run_checksum(struct bench *bench)
{
        const struct checksum_method *method = bench->subject;
        const struct sums *sums = bench->state;
        uint64_t sum = 0;

        for (int i = 0; i < SUMS; i++)
                sum += method->sum(sums->bytes[i], PACKET_LEN);
        return checksum_fold(sum) == sums->wanted;
}

static size_t add_checksums(struct bench *out)
{
        size_t count;
        const struct checksum_method *methods = checksum_methods(&count);

        for (size_t i = 0; i < count; i++) {
                out[i] = (struct bench){ .setup = setup_checksum,
                                         .run = run_checksum,
                                         .verify = run_checksum,
                                         .operations = SUMS,
                                         .subject = &methods[i] };
                snprintf(out[i].name, sizeof out[i].name, "checksum, %s, %d B", methods[i].name, PACKET_LEN);
        }
        return count;
}

size_t micro_kernel(struct bench *out)
{
        static const struct bench others[] = {
                { .name = "split TCP 64 KB, MSS 1360, per segment",
                  .setup = setup_split,
                  .prepare = prepare_split,
                  .run = run_split,
                  .verify = verify_split,
                  .operations = SEGMENTS },
                { .name = "finish the checksum of an ACK",
                  .setup = setup_finish,
                  .prepare = prepare_finish,
                  .run = run_finish,
                  .verify = verify_finish,
                  .operations = ACKS },
                { .name = "coalesce 45 TCP segments, per segment",
                  .setup = setup_coalesce,
                  .prepare = prepare_coalesce,
                  .run = run_coalesce,
                  .verify = verify_coalesce,
                  .operations = BATCH,
                  .size = IPPROTO_TCP },
                { .name = "coalesce 45 UDP datagrams, per datagram",
                  .setup = setup_coalesce,
                  .prepare = prepare_coalesce,
                  .run = run_coalesce,
                  .verify = verify_coalesce,
                  .operations = BATCH,
                  .size = IPPROTO_UDP },
        };

        memcpy(out, others, sizeof others);
        return sizeof others / sizeof others[0] + add_checksums(out + sizeof others / sizeof others[0]);
}
