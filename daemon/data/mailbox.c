#include "daemon/data/mailbox.h"

#include <string.h>

void mailbox_init(struct mailbox *box, uint8_t *bytes, size_t size)
{
        *box = (struct mailbox){ .bytes = bytes, .size = size };
        pthread_mutex_init(&box->lock, NULL);
}

static void append(struct mailbox *box, const void *from, size_t len)
{
        size_t at = (box->first + box->used) % box->size;
        size_t end = box->size - at < len ? box->size - at : len;

        memcpy(box->bytes + at, from, end);
        memcpy(box->bytes, (const uint8_t *)from + end, len - end);
        box->used += len;
}

/* `to` takes `size` of the `len` bytes. */
static void take(struct mailbox *box, void *to, size_t size, size_t len)
{
        size_t copied = size < len ? size : len;
        size_t end = box->size - box->first < copied ? box->size - box->first : copied;

        memcpy(to, box->bytes + box->first, end);
        memcpy((uint8_t *)to + end, box->bytes, copied - end);
        box->first = (box->first + len) % box->size;
        box->used -= len;
}

bool mailbox_put(struct mailbox *box, const void *head, size_t head_len, const void *body, size_t body_len)
{
        pthread_mutex_lock(&box->lock);
        bool fits = box->size - box->used >= sizeof body_len + head_len + body_len;
        if (fits) {
                append(box, &body_len, sizeof body_len);
                append(box, head, head_len);
                append(box, body, body_len);
                box->count++;
        }
        pthread_mutex_unlock(&box->lock);
        return fits;
}

size_t mailbox_count(struct mailbox *box)
{
        pthread_mutex_lock(&box->lock);
        size_t count = box->count;
        pthread_mutex_unlock(&box->lock);
        return count;
}

ptrdiff_t mailbox_take(struct mailbox *box, void *head, size_t head_len, void *body, size_t size)
{
        ptrdiff_t result = -1;
        size_t len;

        pthread_mutex_lock(&box->lock);
        if (box->used) {
                take(box, &len, sizeof len, sizeof len);
                take(box, head, head_len, head_len);
                take(box, body, size, len);
                result = (ptrdiff_t)len;
                box->count--;
        }
        pthread_mutex_unlock(&box->lock);
        return result;
}
