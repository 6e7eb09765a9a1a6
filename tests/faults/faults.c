/* Preloaded into aditd: a kernel that lacks something, or refuses it in mid-flow.
 *   LD_PRELOAD=faults.so FAULTS=NAME[=N],... FAULTS_REPORT=FILE aditd ...
 * FAULTS names rows of `rows`. FILE becomes a table that `tool.py faults FILE` prints: how often each fault was
 * injected and what aditd asked of the kernel, so that a test sees that the fault was there and that the fallback was
 * taken.
 *
 * aditd forks, closes what it does not know, and allows few system calls: all is read and mapped before its main(),
 * from then on there are no system calls but aditd's own, and what is counted lies in a mapping that its processes and
 * threads share. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/udp.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The headers of Debian 12 are of kernel 6.1. */
#ifndef TUN_F_USO4
#        define TUN_F_USO4 0x20
#        define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#        define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum row {
        NO_UDP_SEGMENT,
        NO_UDP_GRO,
        NO_CSUM,
        NO_TSO,
        NO_USO,
        GSO_EIO,
        GSO_EINVAL,
        BATCH_EMSGSIZE,
        EMSGSIZE_ABOVE,
        ECN_EIO,
        SEND_ENOBUFS,
        SEND_EAGAIN,
        SEND_ECONNREFUSED,
        READ_ECONNREFUSED,
        ALL_EINTR,
        TUN_TCP_EINVAL,
        TUN_UDP_EINVAL,
        FAULTS,
        SINGLES = FAULTS,
        BATCHES,
        ECN_SENDS,
        GRO_READS,
        TCP_READS,
        UDP_READS,
        TCP_WRITES,
        UDP_WRITES,
        ROWS
};

static struct {
        const char *name;
        bool on;
        uint64_t n;
} rows[ROWS] = {
        /* the kernel is old */
        [NO_UDP_SEGMENT] = { .name = "no-udp-segment" }, /* neither as an option nor in a control message */
        [NO_UDP_GRO] = { .name = "no-udp-gro" },
        [NO_CSUM] = { .name = "no-csum" }, /* TUNSETOFFLOAD takes nothing at all */
        [NO_TSO] = { .name = "no-tso" },
        [NO_USO] = { .name = "no-uso" }, /* neither read nor written: both came with one kernel */
        /* the first N sends with UDP_SEGMENT pass, no other */
        [GSO_EIO] = { .name = "gso-eio-after" },
        [GSO_EINVAL] = { .name = "gso-einval-after" },
        /* EMSGSIZE for datagrams of more than N bytes: in a batch, or however they are sent */
        [BATCH_EMSGSIZE] = { .name = "batch-emsgsize" },
        [EMSGSIZE_ABOVE] = { .name = "emsgsize" },
        [ECN_EIO] = { .name = "ecn-eio" }, /* EIO for every send that tells a traffic class */
        /* every Nth fails */
        [SEND_ENOBUFS] = { .name = "enobufs-every" },
        [SEND_EAGAIN] = { .name = "eagain-every" },
        [SEND_ECONNREFUSED] = { .name = "econnrefused-every" },
        [READ_ECONNREFUSED] = { .name = "read-econnrefused-every" },
        [ALL_EINTR] = { .name = "eintr-every" }, /* sends and reads of both sides */
        /* the first N super-packets written to the TUN pass, no other */
        [TUN_TCP_EINVAL] = { .name = "tun-tcp-einval-after" },
        [TUN_UDP_EINVAL] = { .name = "tun-udp-einval-after" },

        /* what was asked, be it refused or not: sends of one datagram, of a batch, with a traffic class; */
        [SINGLES] = { .name = "singles" },
        [BATCHES] = { .name = "batches" },
        [ECN_SENDS] = { .name = "ecn-sends" },
        /* reads of more than one datagram; super-packets read from and written to the TUN */
        [GRO_READS] = { .name = "gro-reads" },
        [TCP_READS] = { .name = "tcp-reads" },
        [UDP_READS] = { .name = "udp-reads" },
        [TCP_WRITES] = { .name = "tcp-writes" },
        [UDP_WRITES] = { .name = "udp-writes" },
};

enum { NAME_LEN = 32 };

/* The file: tool.py reads it. */
static struct record {
        char name[NAME_LEN];
        _Atomic uint64_t count, seen; /* faults: injected; calls that it looked at */
} * table;

static int tun = -1; /* keeps its number across aditd's forks */

/* ---- Start ------------------------------------------------------------------------------------------------------- */

static _Noreturn void die(const char *what, const char *name)
{
        fprintf(stderr, "faults: %s: %s\n", what, name);
        _exit(2);
}

static void switch_on(char *fault)
{
        char *value = strchr(fault, '=');

        if (value) *value++ = 0;
        for (size_t i = 0; i < FAULTS; i++) {
                if (strcmp(rows[i].name, fault) != 0) continue;
                rows[i].on = true;
                rows[i].n = value ? strtoull(value, NULL, 10) : 0;
                return;
        }
        die("no such fault", fault);
}

__attribute__((constructor)) static void begin(void)
{
        const char *faults = getenv("FAULTS"), *path = getenv("FAULTS_REPORT");
        char copy[256], *left = copy;

        if (!faults || !path || strlen(faults) >= sizeof copy) die("wanted", "FAULTS, FAULTS_REPORT");
        strcpy(copy, faults);
        for (char *fault; (fault = strsep(&left, ","));)
                if (*fault) switch_on(fault);

        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, ROWS * sizeof *table)) die(path, strerror(errno));
        table = mmap(NULL, ROWS * sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (table == MAP_FAILED) die(path, strerror(errno));
        close(fd);
        for (size_t i = 0; i < ROWS; i++)
                strcpy(table[i].name, rows[i].name);
}

/* ---- Which calls a fault strikes --------------------------------------------------------------------------------- */

static void count(enum row row)
{
        atomic_fetch_add_explicit(&table[row].count, 1, memory_order_relaxed);
}

static bool strike(enum row row, bool struck)
{
        if (struck) count(row);
        return struck;
}

static uint64_t calls_before(enum row row)
{
        return atomic_fetch_add_explicit(&table[row].seen, 1, memory_order_relaxed);
}

static bool always(enum row row)
{
        return strike(row, rows[row].on);
}

static bool after(enum row row)
{
        return rows[row].on && strike(row, calls_before(row) >= rows[row].n);
}

static bool every(enum row row)
{
        return rows[row].n && strike(row, (calls_before(row) + 1) % rows[row].n == 0);
}

static bool above(enum row row, size_t size)
{
        return strike(row, rows[row].on && size > rows[row].n);
}

static ssize_t refuse(int error)
{
        errno = error;
        return -1;
}

/* ---- UDP --------------------------------------------------------------------------------------------------------- */

static const struct cmsghdr *find(const struct msghdr *msg, int level, int type)
{
        struct msghdr copy = *msg;

        for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&copy); cmsg; cmsg = CMSG_NXTHDR(&copy, cmsg))
                if (cmsg->cmsg_level == level && cmsg->cmsg_type == type) return cmsg;
        return NULL;
}

static size_t datagram_size(const struct msghdr *msg, const struct cmsghdr *gso)
{
        uint16_t segment;
        size_t size = 0;

        for (size_t i = 0; i < msg->msg_iovlen; i++)
                size += msg->msg_iov[i].iov_len;
        if (!gso) return size;
        memcpy(&segment, CMSG_DATA(gso), sizeof segment);
        return segment < size ? segment : size;
}

static int error_of_batch(size_t size)
{
        count(BATCHES);
        if (always(NO_UDP_SEGMENT) || after(GSO_EIO)) return EIO;
        if (after(GSO_EINVAL)) return EINVAL;
        return above(BATCH_EMSGSIZE, size) ? EMSGSIZE : 0;
}

/* In the order of a kernel: what may come at any time, then what is wrong with the message. */
static int error_of_send(const struct msghdr *msg)
{
        const struct cmsghdr *gso = find(msg, IPPROTO_UDP, UDP_SEGMENT);
        bool class = find(msg, IPPROTO_IP, IP_TOS) || find(msg, IPPROTO_IPV6, IPV6_TCLASS);
        size_t size = datagram_size(msg, gso);

        if (every(ALL_EINTR)) return EINTR;
        if (every(SEND_EAGAIN)) return EAGAIN;
        if (every(SEND_ECONNREFUSED)) return ECONNREFUSED;
        if (class) count(ECN_SENDS);
        if (class && always(ECN_EIO)) return EIO;
        int error = gso ? error_of_batch(size) : 0;
        if (!gso) count(SINGLES);
        if (error) return error;
        if (above(EMSGSIZE_ABOVE, size)) return EMSGSIZE;
        return every(SEND_ENOBUFS) ? ENOBUFS : 0;
}

/* The daemon's other sockets name nobody, or one of another family. */
static bool is_udp(const struct msghdr *msg)
{
        const struct sockaddr *to = msg->msg_name;

        return to && (to->sa_family == AF_INET || to->sa_family == AF_INET6);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
        int error = is_udp(msg) ? error_of_send(msg) : 0;

        return error ? refuse(error) : syscall(SYS_sendmsg, fd, msg, flags);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
        bool udp = msg->msg_name && msg->msg_namelen >= sizeof(struct sockaddr_in6); /* netlink's is shorter */

        if (udp && every(ALL_EINTR)) return refuse(EINTR);
        if (udp && every(READ_ECONNREFUSED)) return refuse(ECONNREFUSED);
        ssize_t got = syscall(SYS_recvmsg, fd, msg, flags);
        if (!udp || got < 0) return got;
        const struct cmsghdr *gro = find(msg, IPPROTO_UDP, UDP_GRO);
        int segment = 0;
        if (gro) memcpy(&segment, CMSG_DATA(gro), sizeof segment);
        if (segment && segment < got) count(GRO_READS);
        return got;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
        bool refused = level == IPPROTO_UDP &&
                       ((name == UDP_SEGMENT && always(NO_UDP_SEGMENT)) || (name == UDP_GRO && always(NO_UDP_GRO)));

        return refused ? (int)refuse(ENOPROTOOPT) : (int)syscall(SYS_setsockopt, fd, level, name, value, len);
}

/* ---- TUN --------------------------------------------------------------------------------------------------------- */

static bool refuses_offloads(unsigned long offloads)
{
        if (offloads && always(NO_CSUM)) return true;
        if (offloads & (TUN_F_TSO4 | TUN_F_TSO6) && always(NO_TSO)) return true;
        return offloads & (TUN_F_USO4 | TUN_F_USO6) && always(NO_USO);
}

int ioctl(int fd, unsigned long request, ...)
{
        va_list arguments;

        va_start(arguments, request);
        unsigned long argument = va_arg(arguments, unsigned long);
        va_end(arguments);
        if (request == TUNSETOFFLOAD && refuses_offloads(argument)) return (int)refuse(EINVAL);
        int result = (int)syscall(SYS_ioctl, fd, request, argument);
        if (request == TUNSETIFF && !result) tun = fd;
        return result;
}

/* Of a vnet header: 0: no super-packet. */
static uint8_t gso_type(const void *bytes)
{
        struct virtio_net_hdr header;

        memcpy(&header, bytes, sizeof header);
        return header.gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
}

ssize_t read(int fd, void *buffer, size_t size)
{
        if (fd == tun && every(ALL_EINTR)) return refuse(EINTR);
        ssize_t got = syscall(SYS_read, fd, buffer, size);
        if (fd == tun && got > (ssize_t)sizeof(struct virtio_net_hdr)) {
                uint8_t type = gso_type(buffer);
                if (type) count(type == VIRTIO_NET_HDR_GSO_UDP_L4 ? UDP_READS : TCP_READS);
        }
        return got;
}

static int error_of_write(uint8_t type)
{
        if (every(ALL_EINTR)) return EINTR;
        if (type == VIRTIO_NET_HDR_GSO_UDP_L4) {
                count(UDP_WRITES);
                return always(NO_USO) || after(TUN_UDP_EINVAL) ? EINVAL : 0;
        }
        if (!type) return 0;
        count(TCP_WRITES);
        return after(TUN_TCP_EINVAL) ? EINVAL : 0;
}

ssize_t writev(int fd, const struct iovec *iov, int number)
{
        bool has_header = fd == tun && number > 0 && iov->iov_len >= sizeof(struct virtio_net_hdr);
        int error = has_header ? error_of_write(gso_type(iov->iov_base)) : 0;

        return error ? refuse(error) : syscall(SYS_writev, fd, iov, number);
}
