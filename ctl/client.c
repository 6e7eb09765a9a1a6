#include "ctl/client.h"
#include "ctl/command.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char SUFFIX[] = ".sock";

int link_name_check(const char *name)
{
        if (interface_name_valid(name, strlen(name))) return STATUS_OK;
        return complain(STATUS_USAGE, "'%s': an interface's name is 1 to 15 letters, digits or any of _=+.-", name);
}

int link_name_of(char name[IFNAMSIZ], const char *name_or_path)
{
        struct conf_error error;

        if (conf_link_name(name_or_path, name, &error)) return STATUS_OK;
        return complain(STATUS_USAGE, "'%s': %s", name_or_path, error.text);
}

static bool listens(const char *directory, const char *name, int type, int *out)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

        if (fd < 0) return false;
        snprintf(address.sun_path, sizeof address.sun_path, "%s/%s%s", directory, name, SUFFIX);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
                int saved = errno;

                close(fd);
                errno = saved;
                return false;
        }
        *out = fd;
        return true;
}

/* errno is that of the connect(): who is it that has this name? */
static int explain_no_link(const char *name)
{
        char journal[sizeof CONTROL_DIRECTORY + IFNAMSIZ + 8];
        int error = errno, other;

        if (error == EACCES || error == EPERM)
                return complain(STATUS_DENIED,
                                "%s: %s/%s.sock: permission denied; run this as root, or be in the group adit to look",
                                name, CONTROL_DIRECTORY, name);
        if (listens(UAPI_DIRECTORY, name, SOCK_STREAM, &other)) {
                close(other);
                return complain(STATUS_NO_LINK,
                                "%s: this link belongs to another WireGuard implementation (%s/%s.sock, no "
                                "%s/%s.sock); use wg with it",
                                name, UAPI_DIRECTORY, name, CONTROL_DIRECTORY, name);
        }
        snprintf(journal, sizeof journal, "%s/%s.state", CONTROL_DIRECTORY, name);
        if ((error == ECONNREFUSED || error == ENOENT) && access(journal, F_OK) == 0)
                return complain(STATUS_NO_LINK,
                                "%s: no link of this name is up, but %s names what it left, perhaps a kill switch in "
                                "force; go on with: adit up %s, or undo it with: adit repair %s",
                                name, journal, name, name);
        if (error == ECONNREFUSED)
                return complain(
                        STATUS_NO_LINK,
                        "%s: no link of this name is up (%s/%s.sock is left over); bring it up with: adit up %s", name,
                        CONTROL_DIRECTORY, name, name);
        if (error == ENOENT || error == ENOTDIR)
                return complain(STATUS_NO_LINK,
                                "%s: no link of this name is up (no %s/%s.sock); bring it up with: adit up %s", name,
                                CONTROL_DIRECTORY, name, name);
        return complain(STATUS_FAILED, "%s: %s/%s.sock: %s", name, CONTROL_DIRECTORY, name, strerror(error));
}

int client_open(int *out, const char *name, bool quiet)
{
        struct timeval timeout = { .tv_sec = CLIENT_TIMEOUT_S };
        int status = link_name_check(name);

        if (status) return status;
        if (!listens(CONTROL_DIRECTORY, name, SOCK_SEQPACKET, out)) {
                bool nobody = errno == ENOENT || errno == ENOTDIR || errno == ECONNREFUSED;

                return quiet && nobody ? STATUS_NO_LINK : explain_no_link(name);
        }
        setsockopt(*out, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
        setsockopt(*out, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
        return STATUS_OK;
}

int client_call(int fd, const char *name, const struct control_request *request, const int *fds_in,
                struct control_reply *reply, int fds_out[CONTROL_FDS])
{
        struct control_request full = *request;
        ssize_t len;
        int error;

        for (int i = 0; i < CONTROL_FDS; i++)
                fds_out[i] = -1;
        memset(reply, 0, sizeof *reply);
        full.magic = CONTROL_MAGIC;
        full.version = CONTROL_VERSION;
        /* A refusal may come with the other end already closed: the reply says more than EPIPE. */
        error = control_send(fd, &full, sizeof full, fds_in, fds_in ? CONTROL_FDS : 0);
        if (error && error != -EPIPE && error != -ECONNRESET)
                return complain(STATUS_FAILED, "%s: asking aditd: %s", name, strerror(-error));
        len = control_receive(fd, reply, sizeof *reply, fds_out, 0);
        if (len == -EAGAIN)
                return complain(STATUS_FAILED, "%s: aditd does not answer (waited %d s); its log may say why", name,
                                CLIENT_TIMEOUT_S);
        if (len <= 0 && len != -EMSGSIZE)
                return complain(STATUS_FAILED, "%s: aditd ended before it answered; its log may say why", name);
        if (len != (ssize_t)sizeof *reply || reply->magic != CONTROL_MAGIC || reply->version != CONTROL_VERSION) {
                control_close(fds_out);
                return complain(STATUS_FAILED,
                                "%s: adit and the running aditd are of different versions; restart the link", name);
        }
        reply->text[sizeof reply->text - 1] = 0;
        return STATUS_OK;
}

int client_verdict(const char *name, const struct control_reply *reply)
{
        bool denied = reply->error == EPERM || reply->error == EACCES;
        const char *text = *reply->text ? reply->text : strerror(reply->error);

        if (reply->error == 0) return STATUS_OK;
        if (denied) return complain(STATUS_DENIED, "%s: %s; changes and secrets need root", name, text);
        if (reply->line) return complain(STATUS_FAILED, "%s: line %u of the request: %s", name, reply->line, text);
        return complain(STATUS_FAILED, "%s: %s", name, text);
}

static int is_socket(const struct dirent *entry)
{
        size_t len = strlen(entry->d_name), suffix = sizeof SUFFIX - 1;

        return len > suffix && len - suffix < IFNAMSIZ && !strcmp(entry->d_name + len - suffix, SUFFIX);
}

int client_for_each(int (*each)(const char *name, void *arg), void *arg, size_t *count)
{
        struct dirent **entries;
        int total = scandir(CONTROL_DIRECTORY, &entries, is_socket, alphasort), worst = STATUS_OK;

        *count = 0;
        if (total < 0 && errno == ENOENT) return STATUS_OK;
        if (total < 0)
                return complain(errno == EACCES ? STATUS_DENIED : STATUS_FAILED, "%s: %s", CONTROL_DIRECTORY,
                                strerror(errno));
        for (int i = 0; i < total; i++) {
                char *name = entries[i]->d_name;
                int status;

                name[strlen(name) - (sizeof SUFFIX - 1)] = 0;
                status = interface_name_valid(name, strlen(name)) ? each(name, arg) : STATUS_NO_LINK;
                /* One that is left over from a crash is not up, and not worth a word in a list. */
                if (status != STATUS_NO_LINK) ++*count;
                if (status != STATUS_NO_LINK && status > worst) worst = status;
                free(entries[i]);
        }
        free(entries);
        return worst;
}
