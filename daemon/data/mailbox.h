/* A bounded queue of messages from any thread to one. What does not fit is refused, so that nobody waits. */
#ifndef DAEMON_DATA_MAILBOX_H
#define DAEMON_DATA_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mailbox {
        pthread_mutex_t lock; /* held for a copy */
        uint8_t *bytes;       /* the caller's; a ring */
        size_t size, first, used, count;
};

void mailbox_init(struct mailbox *box, uint8_t *bytes, size_t size);
/* A message of two parts. False: there is no room. */
bool mailbox_put(struct mailbox *box, const void *head, size_t head_len, const void *body, size_t body_len);
size_t mailbox_count(struct mailbox *box); /* messages in it */
/* The oldest: its head, and up to `size` bytes of its body. The length of the body; -1: there is none. */
ptrdiff_t mailbox_take(struct mailbox *box, void *head, size_t head_len, void *body, size_t size);

#endif
