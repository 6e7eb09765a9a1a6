/* Handshakes a second that a responder answers, when so many peers come back at once; and a storm of them beside
 * traffic. handshakes peers SEED COUNT [PREFIXES]                       prints COUNT peers for `wg addconf`, PREFIXES
 * allowed IPs each, half IPv4 and half IPv6 handshakes run SEED COUNT WINDOW ADDRESS PORT PUBLIC-KEY     one initiation
 * of each, WINDOW of them at a time unanswered handshakes storm SEED COUNT RATE SECONDS ADDRESS PORT PUBLIC-KEY RATE a
 * second, of each in turn, answered or not The peers' keys come from SEED (any text), so that all calls mean the same
 * ones. The initiations are made beforehand and the responses verified afterwards: the time between is the responder's.
 * COUNT stays below what either side calls a flood. `run` prints `per_s` and `unanswered`; exit 1 when a response is
 * not authentic. `storm` prints `ready` when its initiations are made, begins when it reads a line or the end of its
 * input, and prints `offered_per_s` and `answered_per_s`. */
#include "crypto/cookie.h"
#include "crypto/noise.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { MAX_COUNT = 10000, MAX_STORM = 200000, MAX_PREFIXES = 50, SILENCE_MS = 500, TICK_NS = 500000 };

struct caller {
        struct identity self;
        struct handshake handshake;
        struct message_initiation initiation;
        struct message_response response;
        bool answered;
};

static struct caller callers[MAX_COUNT];

static int64_t now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void die(const char *what)
{
        fprintf(stderr, "handshakes: %s: %s\n", what, strerror(errno));
        exit(1);
}

static void make_identity(struct identity *self, const char *seed, int number)
{
        struct key private_key;
        char text[256];

        snprintf(text, sizeof text, "%s/%d", seed, number);
        crypto_generichash(private_key.bytes, sizeof private_key.bytes, (const uint8_t *)text, strlen(text), NULL, 0);
        key_clamp(&private_key);
        noise_identity_init(self, &private_key);
}

/* The `number`th of the prefixes of all peers: none twice, and none that a tunnel of the benchmark uses. */
static void print_prefix(int number)
{
        unsigned at = (unsigned)number / 2;

        if (number % 2) printf("fd00:ad17:%x:%x::/64", at >> 16, at & 0xffff);
        else printf("10.%u.%u.%u/28", 128 + (at >> 12), at >> 4 & 255, (at & 15) << 4);
}

static void print_peers(const char *seed, int count, int prefixes)
{
        struct identity self;
        char text[KEY_BASE64_LEN];

        for (int i = 0; i < count; i++) {
                make_identity(&self, seed, i);
                key_to_base64(text, &self.public_key);
                printf("[Peer]\nPublicKey = %s\n", text);
                for (int k = 0; k < prefixes; k++) {
                        printf(k ? ", " : "AllowedIPs = ");
                        print_prefix(i * prefixes + k);
                }
                if (prefixes) putchar('\n');
        }
}

static void prepare(struct caller *caller, const char *seed, int number, const struct key *responder)
{
        make_identity(&caller->self, seed, number);
        if (noise_precompute(&caller->handshake, &caller->self, responder)) return;
        errno = EKEYREJECTED;
        die("responder");
}

/* Everything up to the send. `turn` is the initiator's clock. */
static void initiate(struct caller *caller, uint32_t index, uint32_t turn, const struct key *responder)
{
        const uint8_t timestamp[MESSAGE_TIMESTAMP_LEN] = {
                0x40, 1, 0, 0, (uint8_t)(turn >> 24), (uint8_t)(turn >> 16), (uint8_t)(turn >> 8), (uint8_t)turn
        };
        struct cookie_jar jar;
        struct key ephemeral;

        key_generate_private(&ephemeral);
        cookie_jar_init(&jar, responder);
        if (!noise_create_initiation(&caller->handshake, &caller->self, &ephemeral, index, timestamp,
                                     &caller->initiation)) {
                errno = EKEYREJECTED;
                die("responder");
        }
        cookie_add_macs(&jar, 1, &caller->initiation, sizeof caller->initiation);
}

/* Takes what comes within SILENCE_MS; the number of responses that were new, or -1 when none came. */
static int receive_some(int fd, int count)
{
        struct pollfd pfd = { .fd = fd, .events = POLLIN };
        struct message_response msg;
        int fresh = 0;

        if (poll(&pfd, 1, SILENCE_MS) <= 0) return -1;
        while (recv(fd, &msg, sizeof msg, MSG_DONTWAIT | MSG_TRUNC) >= 0) {
                uint32_t number = le32_get(msg.receiver);

                if (le32_get(msg.type) != MESSAGE_RESPONSE || number >= (uint32_t)count || callers[number].answered)
                        continue;
                callers[number].response = msg;
                callers[number].answered = true;
                fresh++;
        }
        return fresh;
}

/* The time from the first initiation to the last response. */
static int64_t call_all(int fd, int count, int window, int *answered)
{
        int64_t start = now_ns(), last = start;
        int sent = 0;

        for (*answered = 0; *answered < count;) {
                while (sent < count && sent - *answered < window)
                        if (send(fd, &callers[sent++].initiation, sizeof callers[0].initiation, 0) < 0) die("send");
                int fresh = receive_some(fd, count);
                if (fresh < 0) break;
                *answered += fresh;
                if (fresh > 0) last = now_ns();
        }
        return last - start;
}

static bool all_authentic(int count)
{
        struct session_keys keys;

        for (int i = 0; i < count; i++)
                if (callers[i].answered &&
                    !noise_consume_response(&callers[i].handshake, &callers[i].response, &callers[i].self, &keys))
                        return false;
        return true;
}

static int socket_to(const struct sockaddr_in *to)
{
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 4 << 20;

        if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to) < 0) die("socket");
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
        return fd;
}

static int run(const char *seed, int count, int window, const struct sockaddr_in *to, const struct key *responder)
{
        int fd = socket_to(to), answered;
        int64_t took;

        for (int i = 0; i < count; i++) {
                prepare(&callers[i], seed, i, responder);
                initiate(&callers[i], (uint32_t)i, 0, responder);
        }
        took = call_all(fd, count, window, &answered);
        if (answered > 0) printf("per_s %.0f\n", answered * 1e9 / (double)took);
        printf("unanswered %d\n", count - answered);
        if (all_authentic(count)) return answered > 0 ? 0 : 1;
        fprintf(stderr, "handshakes: a response is not authentic\n");
        return 1;
}

static int count_responses(int fd)
{
        struct message_response msg;
        int count = 0;

        while (recv(fd, &msg, sizeof msg, MSG_DONTWAIT | MSG_TRUNC) >= 0)
                count += le32_get(msg.type) == MESSAGE_RESPONSE;
        return count;
}

/* What a late wake-up missed is made up for. */
static void blow(int fd, const struct message_initiation *initiations, int count, int rate)
{
        const struct timespec tick = { 0, TICK_NS };
        int64_t start = now_ns(), took;
        int sent = 0, answered = 0;

        while (sent < count) {
                while (sent < count && sent < (double)(now_ns() - start) * rate / 1e9)
                        if (send(fd, &initiations[sent++], sizeof *initiations, 0) < 0 && errno != ENOBUFS) die("send");
                answered += count_responses(fd);
                nanosleep(&tick, NULL);
        }
        took = now_ns() - start;
        nanosleep(&(struct timespec){ 0, 50000000 }, NULL);
        answered += count_responses(fd);
        printf("offered_per_s %.0f\nanswered_per_s %.0f\n", sent * 1e9 / (double)took, answered * 1e9 / (double)took);
        printf("unanswered %d\n", sent - answered);
}

static int storm(const char *seed, int count, int rate, int seconds, const struct sockaddr_in *to,
                 const struct key *responder)
{
        int fd = socket_to(to), total = rate * seconds;
        struct message_initiation *initiations = calloc((size_t)total, sizeof *initiations);

        if (!initiations) die("memory");
        for (int i = 0; i < count && i < total; i++)
                prepare(&callers[i], seed, i, responder);
        for (int i = 0; i < total; i++) {
                initiate(&callers[i % count], (uint32_t)i, (uint32_t)(i / count), responder);
                initiations[i] = callers[i % count].initiation;
        }
        puts("ready");
        fflush(stdout);
        while (getchar() != '\n' && !feof(stdin))
                continue;
        blow(fd, initiations, total, rate);
        return 0;
}

static bool parse_to(struct sockaddr_in *to, struct key *responder, char **argv)
{
        to->sin_family = AF_INET;
        to->sin_port = htons((uint16_t)atoi(argv[1]));
        return inet_pton(AF_INET, argv[0], &to->sin_addr) == 1 && key_from_base64(responder, argv[2], strlen(argv[2]));
}

int main(int argc, char **argv)
{
        struct sockaddr_in to = { 0 };
        struct key responder;
        int count = argc > 3 ? atoi(argv[3]) : 0, number = argc > 4 ? atoi(argv[4]) : 0;

        if (sodium_init() < 0 || count < 1 || count > MAX_COUNT) goto usage;
        if (argc <= 5 && strcmp(argv[1], "peers") == 0 && number >= 0 && number <= MAX_PREFIXES) {
                print_peers(argv[2], count, number);
                return 0;
        }
        if (argc == 8 && strcmp(argv[1], "run") == 0 && number >= 1 && parse_to(&to, &responder, argv + 5))
                return run(argv[2], count, number, &to, &responder);
        if (argc == 9 && strcmp(argv[1], "storm") == 0 && number >= 1 && atoi(argv[5]) >= 1 &&
            (int64_t)number * atoi(argv[5]) <= MAX_STORM && parse_to(&to, &responder, argv + 6))
                return storm(argv[2], count, number, atoi(argv[5]), &to, &responder);
usage:
        fprintf(stderr,
                "usage: handshakes peers SEED COUNT [PREFIXES] | run SEED COUNT WINDOW ADDRESS PORT PUBLIC-KEY\n"
                "                | storm SEED COUNT RATE SECONDS ADDRESS PORT PUBLIC-KEY\n");
        return 2;
}
