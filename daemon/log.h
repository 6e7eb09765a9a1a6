/* The daemon's log: leveled, to stderr or syslog, rate-limited where a packet can cause a line. The keeper writes for
 * both processes; the tunnel process sends its lines there (a sink). Never a key. */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include "crypto/key.h"
#include "kernel-iface/types.h"

#include <stdbool.h>
#include <syslog.h>

enum { LOG_TEXT = 400 };

/* Where lines go: to stderr ("aditd: wg0: text"), to syslog, or to `sink`. `level` is the most verbose that is printed.
 */
void log_open_stderr(const char *link, int level);
void log_open_syslog(const char *link, int level);
void log_open_sink(void (*sink)(void *context, int level, const char *text), void *context, int level);
/* LOG_LEVEL=silent|error|info|verbose|debug, as wireguard-go reads it; info without it. */
int log_level_from_environment(void);
int log_level(void);

void log_print(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for what a packet can cause: at most 10 lines a second over time, with a burst of 50; tells how many were
 * left out. */
void log_packet(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "peer berlin (192.0.2.1:51820)", the one format of a peer in every line; the first letters of the key when it has no
 * name. */
enum { LOG_PEER = 128 };
const char *log_peer(const char *name, const struct key *public_key, const union socket_address *remote,
                     char out[LOG_PEER]);

#endif
