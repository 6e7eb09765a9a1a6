/* Handshakes a second that a responder answers, when so many peers come back at once.
 *   handshakes peers SEED COUNT                                  prints COUNT peers for `wg addconf`
 *   handshakes run SEED COUNT WINDOW ADDRESS PORT PUBLIC-KEY     one initiation of each, WINDOW of them at a time
 * unanswered The peers' keys come from SEED (any text), so that both calls mean the same ones. The initiations are made
 * beforehand and the responses verified afterwards: the time between is the responder's. COUNT stays below what either
 * side calls a flood. Prints `per_s` and `unanswered`; exit 1 when a response is not authentic. */
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

enum { MAX_COUNT = 10000, SILENCE_MS = 500 };

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

static void print_peers(const char *seed, int count)
{
        struct identity self;
        char text[KEY_BASE64_LEN];

        for (int i = 0; i < count; i++) {
                make_identity(&self, seed, i);
                key_to_base64(text, &self.public_key);
                printf("[Peer]\nPublicKey = %s\n", text);
        }
}

/* Everything up to the send. */
static void prepare(struct caller *caller, const char *seed, int number, const struct key *responder)
{
        const uint8_t timestamp[MESSAGE_TIMESTAMP_LEN] = { 0x40, 1 };
        struct cookie_jar jar;
        struct key ephemeral;

        make_identity(&caller->self, seed, number);
        key_generate_private(&ephemeral);
        cookie_jar_init(&jar, responder);
        if (!noise_precompute(&caller->handshake, &caller->self, responder) ||
            !noise_create_initiation(&caller->handshake, &caller->self, &ephemeral, (uint32_t)number, timestamp,
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

static int run(const char *seed, int count, int window, const struct sockaddr_in *to, const struct key *responder)
{
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), answered;
        int64_t took;

        if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to) < 0) die("socket");
        for (int i = 0; i < count; i++)
                prepare(&callers[i], seed, i, responder);
        took = call_all(fd, count, window, &answered);
        if (answered > 0) printf("per_s %.0f\n", answered * 1e9 / (double)took);
        printf("unanswered %d\n", count - answered);
        if (all_authentic(count)) return answered > 0 ? 0 : 1;
        fprintf(stderr, "handshakes: a response is not authentic\n");
        return 1;
}

int main(int argc, char **argv)
{
        struct sockaddr_in to = { .sin_family = AF_INET };
        struct key responder;
        int count = argc > 3 ? atoi(argv[3]) : 0;

        if (sodium_init() < 0 || count < 1 || count > MAX_COUNT) goto usage;
        if (argc == 4 && strcmp(argv[1], "peers") == 0) {
                print_peers(argv[2], count);
                return 0;
        }
        if (argc != 8 || strcmp(argv[1], "run") != 0 || atoi(argv[4]) < 1 ||
            inet_pton(AF_INET, argv[5], &to.sin_addr) != 1 || !key_from_base64(&responder, argv[7], strlen(argv[7])))
                goto usage;
        to.sin_port = htons((uint16_t)atoi(argv[6]));
        return run(argv[2], count, atoi(argv[4]), &to, &responder);
usage:
        fprintf(stderr, "usage: handshakes peers SEED COUNT | run SEED COUNT WINDOW ADDRESS PORT PUBLIC-KEY\n");
        return 2;
}
