#include "kernel-iface/nft.h"

#include "kernel-iface/digest.h"
#include "kernel-iface/errand.h"
#include "kernel-iface/transact.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RUN_MS = 10000, WATCH_READS = 4096, TABLE_ATTR = 1 /* NFTA_*_TABLE, all of them */ };
/* libnftnl's, first in the user data of a table or a rule: type, length, and the text with its end. */
enum { UDATA_COMMENT = 0 };

/* reading */

struct reading {
        const char *name, *chain;
        struct nft_table *table;
};

static void mix(struct nft_table *table, const void *bytes, size_t len)
{
        table->print = digest_add(table->print, bytes, len);
}

static void take_comment(char comment[NFT_COMMENT], struct nlattr *attr)
{
        const uint8_t *data = attr ? nla_data(attr) : NULL;
        size_t len = attr ? (size_t)nla_len(attr) : 0;

        if (len < 3 || data[0] != UDATA_COMMENT || data[1] > len - 2 || data[1] > NFT_COMMENT) return;
        memcpy(comment, data + 2, data[1]);
        comment[NFT_COMMENT - 1] = '\0';
}

/* A dump of chains tells of all tables. Its header has the ruleset's generation, and so is not a part of this. */
static void on_object(struct nlmsghdr *header, void *arg)
{
        struct reading *reading = arg;
        struct nlattr *attrs[TABLE_ATTR + 1];
        struct nfgenmsg *info = nlmsg_data(header);

        if (nlmsg_parse(header, sizeof *info, attrs, TABLE_ATTR, NULL) || info->nfgen_family != NFPROTO_INET) return;
        if (!attrs[TABLE_ATTR] || nla_strcmp(attrs[TABLE_ATTR], reading->name)) return;
        mix(reading->table, nlmsg_attrdata(header, sizeof *info), (size_t)nlmsg_attrlen(header, sizeof *info));
        if (NFNL_MSG_TYPE(header->nlmsg_type) == NFT_MSG_NEWTABLE) {
                reading->table->there = true;
                take_comment(reading->table->comment, nlmsg_find_attr(header, sizeof *info, NFTA_TABLE_USERDATA));
        } else if (NFNL_MSG_TYPE(header->nlmsg_type) == NFT_MSG_NEWRULE) {
                struct nlattr *chain = nlmsg_find_attr(header, sizeof *info, NFTA_RULE_CHAIN);
                if (!chain || nla_strcmp(chain, reading->chain)) return;
                take_comment(reading->table->marker, nlmsg_find_attr(header, sizeof *info, NFTA_RULE_USERDATA));
        }
}

static int ask(struct netlink *netlink, int type, int flags, struct reading *reading)
{
        struct nfgenmsg header = { .nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0 };
        struct nl_msg *msg = transact_message(NFNL_SUBSYS_NFTABLES << 8 | type, flags, &header, sizeof header);

        if (!msg) return -ENOMEM;
        if (type != NFT_MSG_GETCHAIN && nla_put_string(msg, TABLE_ATTR, reading->name)) return transact_discard(msg);
        return transact(netlink, msg, on_object, reading);
}

static int read_once(struct netlink *netlink, struct reading *reading)
{
        *reading->table = (struct nft_table){ .print = DIGEST_NONE_YET };
        int error = ask(netlink, NFT_MSG_GETTABLE, 0, reading);

        if (error == -ENOENT) return 0;
        if (!error) error = ask(netlink, NFT_MSG_GETCHAIN, NLM_F_DUMP, reading);
        if (!error) error = ask(netlink, NFT_MSG_GETRULE, NLM_F_DUMP, reading);
        return error;
}

/* Without its module the kernel takes the question for nonsense. */
static int without_nftables(int error)
{
        return error == -EPROTONOSUPPORT || error == -EINVAL || error == -EAFNOSUPPORT ? -EOPNOTSUPP : error;
}

int nft_read(const char *name, const char *chain, struct nft_table *out)
{
        struct netlink netlink = { 0 };
        struct reading reading = { name, chain, out };
        int error = transact_open(&netlink, NETLINK_NETFILTER);

        *out = (struct nft_table){ 0 };
        if (error) return without_nftables(error);
        error = -EAGAIN;
        for (int i = 0; error == -EAGAIN && i < TRANSACT_TRIES; i++)
                error = read_once(&netlink, &reading);
        transact_close(&netlink);
        return without_nftables(error);
}

/* changing */

/* The first line without its "Error: "; the rest repeats the text. */
static void say(int to, const char *error)
{
        const char *from = strncmp(error, "Error: ", 7) == 0 ? error + 7 : error;

        (void)!write(to, from, strcspn(from, "\n"));
}

static int run_text(void *text)
{
        struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);

        if (!nft || nft_ctx_buffer_error(nft) || nft_ctx_buffer_output(nft)) return 1;
        bool failed = nft_run_cmd_from_buffer(nft, text) != 0;
        if (failed) say(STDERR_FILENO, nft_ctx_get_error_buffer(nft));
        return failed;
}

int nft_run(const char *text, char *why, size_t size)
{
        return errand_run(run_text, (void *)(uintptr_t)text, RUN_MS, why, size);
}

/* watching */

int nft_watch_open(void)
{
        struct sockaddr_nl own = { .nl_family = AF_NETLINK, .nl_groups = 1U << (NFNLGRP_NFTABLES - 1) };
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);

        if (fd < 0) return without_nftables(-errno);
        if (bind(fd, (struct sockaddr *)&own, sizeof own)) {
                int error = -errno;
                close(fd);
                return without_nftables(error);
        }
        return fd;
}

static bool is_of_adit(struct nlmsghdr *header)
{
        struct nlattr *attrs[TABLE_ATTR + 1];
        struct nfgenmsg *info = nlmsg_data(header);

        if (NFNL_SUBSYS_ID(header->nlmsg_type) != NFNL_SUBSYS_NFTABLES) return false;
        if (NFNL_MSG_TYPE(header->nlmsg_type) == NFT_MSG_NEWGEN) return false; /* its first attribute is a number */
        if (nlmsg_parse(header, sizeof *info, attrs, TABLE_ATTR, NULL) || info->nfgen_family != NFPROTO_INET)
                return false;
        return attrs[TABLE_ATTR] && nla_len(attrs[TABLE_ATTR]) > 5 && !memcmp(nla_data(attrs[TABLE_ATTR]), "adit-", 5);
}

bool nft_watch_read(int fd)
{
        union {
                struct nlmsghdr header;
                char bytes[65536];
        } buffer;
        bool changed = false, more = true;

        for (int reads = 0; more && reads < WATCH_READS; reads++) {
                ssize_t got = recv(fd, &buffer, sizeof buffer, MSG_DONTWAIT);
                int len = (int)got;
                if (got < 0) {
                        more = errno == EINTR || errno == ENOBUFS;
                        changed |= errno == ENOBUFS;
                        continue;
                }
                for (struct nlmsghdr *at = &buffer.header; nlmsg_ok(at, len); at = nlmsg_next(at, &len))
                        changed |= is_of_adit(at);
        }
        return changed;
}
