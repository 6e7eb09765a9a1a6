#include "kernel-iface/transact.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

static int on_valid(struct nl_msg *msg, void *arg)
{
        struct netlink *netlink = arg;

        if (netlink->visit) netlink->visit(nlmsg_hdr(msg), netlink->arg);
        return NL_OK;
}

static int on_end(struct nl_msg *msg, void *arg)
{
        struct netlink *netlink = arg;

        (void)msg;
        netlink->done = true;
        return NL_STOP;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *answer, void *arg)
{
        struct netlink *netlink = arg;

        (void)from;
        netlink->error = answer->error;
        netlink->done = true;
        return NL_STOP;
}

/* NULL: *error tells why. */
static struct nl_sock *open_socket(int protocol, int *error)
{
        struct nl_sock *sock = nl_socket_alloc();
        int on = 1;

        *error = -ENOMEM;
        if (!sock) return NULL;
        errno = 0;
        if (nl_connect(sock, protocol)) {
                if (errno) *error = -errno; /* EPROTONOSUPPORT: this kernel does not have it */
                nl_socket_free(sock);
                return NULL;
        }
        fcntl(nl_socket_get_fd(sock), F_SETFD, FD_CLOEXEC);
        /* Ask for each message's length first: a dump comes in pieces larger than libnl's first guess. */
        nl_socket_enable_msg_peek(sock);
        /* Kernel 4.20: dumps are sifted there. Without it they are sifted here. */
        setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
        return sock;
}

int transact_open(struct netlink *netlink, int protocol)
{
        int error;

        netlink->callbacks = nl_cb_alloc(NL_CB_CUSTOM);
        if (!netlink->callbacks) return -ENOMEM;
        netlink->protocol = protocol;
        netlink->socket = open_socket(protocol, &error);
        if (!netlink->socket) {
                nl_cb_put(netlink->callbacks);
                return error;
        }
        nl_cb_set(netlink->callbacks, NL_CB_VALID, NL_CB_CUSTOM, on_valid, netlink);
        nl_cb_set(netlink->callbacks, NL_CB_FINISH, NL_CB_CUSTOM, on_end, netlink);
        nl_cb_set(netlink->callbacks, NL_CB_ACK, NL_CB_CUSTOM, on_end, netlink);
        nl_cb_err(netlink->callbacks, NL_CB_CUSTOM, on_error, netlink);
        return 0;
}

void transact_close(struct netlink *netlink)
{
        nl_socket_free(netlink->socket);
        nl_cb_put(netlink->callbacks);
}

/* What was not read would be taken for the answer to the next request. When there is no other socket, that one fails
 * too (libnl numbers them), and comes here. */
static int start_anew(struct netlink *netlink, int error)
{
        int none;
        struct nl_sock *fresh = open_socket(netlink->protocol, &none);

        if (fresh) {
                nl_socket_free(netlink->socket);
                netlink->socket = fresh;
        }
        return error ? -error : -EIO;
}

struct nl_msg *transact_message(int type, int flags, void *header, size_t len)
{
        struct nl_msg *msg = nlmsg_alloc_simple(type, flags);

        if (msg && nlmsg_append(msg, header, len, NLMSG_ALIGNTO)) {
                nlmsg_free(msg);
                return NULL;
        }
        return msg;
}

int transact_discard(struct nl_msg *msg)
{
        nlmsg_free(msg);
        return -EMSGSIZE;
}

int transact(struct netlink *netlink, struct nl_msg *msg, transact_visit *visit, void *arg)
{
        bool disturbed = false;

        netlink->visit = visit;
        netlink->arg = arg;
        netlink->error = 0;
        netlink->done = false;
        errno = 0;
        int sent = nl_send_auto(netlink->socket, msg);
        nlmsg_free(msg);
        if (sent < 0) return start_anew(netlink, errno);
        while (!netlink->done) {
                errno = 0;
                int got = nl_recvmsgs(netlink->socket, netlink->callbacks);
                if (got == -NLE_DUMP_INTR) disturbed = true;
                else if (got < 0 && !netlink->done) return start_anew(netlink, errno);
        }
        if (netlink->error) return netlink->error;
        return disturbed ? -EAGAIN : 0;
}
