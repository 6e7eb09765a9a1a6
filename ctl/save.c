/* save: the live link as a tunnel.conf. What is only in the file (hooks, SaveConfig, key files) is kept from it. */
#include "ctl/client.h"
#include "ctl/command.h"
#include "ctl/live.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char DEFAULT_FOLDER[] = "/etc/adit";

/* ---- what the file says and the link does not -----------------------------------------------------------------------
 */

/* `file`: as it is written, with the paths of its key files; `loaded`: with the keys that are in them. */
static void keep_key_files(struct conf *conf, const struct conf *file, const struct conf *loaded)
{
        if (file->private_key_file && key_equal(&loaded->private_key, &conf->private_key))
                conf->private_key_file = file->private_key_file;
        /* the same text twice: the same peers in the same order */
        for (const struct conf_peer *written = file->peers, *keyed = loaded->peers; written && keyed;
             written = written->next, keyed = keyed->next) {
                struct conf_peer *peer =
                        written->preshared_key_file ? conf_peer_find(conf, &written->public_key) : NULL;

                if (peer && key_equal(&written->public_key, &keyed->public_key) &&
                    key_equal(&keyed->preshared_key, &peer->preshared_key))
                        peer->preshared_key_file = written->preshared_key_file;
        }
}

static int keep_of_file(struct conf *conf, bool managed, const char *path, struct pool *pool)
{
        struct conf file, loaded;
        struct conf_error error = { 0 };
        char message[CONF_PATH_MAX + sizeof error.text];

        if (!conf_load_keyless(&file, pool, path, &error) || !conf_load(&loaded, pool, path, &error)) {
                conf_error_format(&error, path, message, sizeof message);
                complain(0, "%s", message);
                return complain(STATUS_FAILED, "nothing was written; mend this file, or save to another one");
        }
        conf->pre_up = file.pre_up;
        conf->post_up = file.post_up;
        conf->pre_down = file.pre_down;
        conf->post_down = file.post_down;
        conf->flags |= file.flags & CONF_SAVE_CONFIG;
        if (!managed) {
                conf->addresses = file.addresses;
                conf->excluded = file.excluded;
                conf->dns = file.dns;
                conf->kill_switch = file.kill_switch;
                conf->masquerade = file.masquerade;
                conf->forward = file.forward;
                conf->forwards = file.forwards;
                conf->mtu = file.mtu;
                conf->table = file.table;
        }
        keep_key_files(conf, &file, &loaded);
        sodium_memzero(&file, sizeof file);
        sodium_memzero(&loaded, sizeof loaded);
        return STATUS_OK;
}

/* What conf_format() writes of a live link. A name stays as it was configured; an address is where the peer is now. */
static void as_config(struct conf *conf, struct pool *pool)
{
        if (!key_is_zero(&conf->private_key)) conf->flags |= CONF_HAS_PRIVATE_KEY;
        if (!conf->listen_port) conf->flags &= ~(unsigned)CONF_HAS_LISTEN_PORT;
        for (struct conf_peer *peer = conf->peers; peer; peer = peer->next) {
                union socket_address literal = { 0 };
                const char *host, *why;
                char text[ENDPOINT_HOST_TEXT];
                uint16_t port;

                if (!peer->endpoint_host || peer->endpoint.family == AF_UNSPEC) continue;
                endpoint_text(peer, text);
                if (endpoint_parse(&host, &port, &literal, pool, text, strlen(text), &why) &&
                    literal.family != AF_UNSPEC)
                        peer->endpoint_host = NULL;
        }
}

/* ---- writing --------------------------------------------------------------------------------------------------------
 */

static bool write_whole(int fd, const char *text, size_t len)
{
        while (len > 0) {
                ssize_t wrote = TEMP_FAILURE_RETRY(write(fd, text, len));

                if (wrote < 0) return false;
                text += wrote;
                len -= (size_t)wrote;
        }
        return fsync(fd) == 0;
}

static void sync_folder(const char *folder)
{
        int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0) return;
        fsync(fd);
        close(fd);
}

/* The old file or the new one, never a part: written beside it, then renamed. Only its owner can read it. */
static int replace_file(const char *path, const char *text, size_t len)
{
        char copy[PATH_MAX], temporary[PATH_MAX + 16];
        const char *folder;
        int fd, error = 0;

        snprintf(copy, sizeof copy, "%s", path);
        folder = dirname(copy);
        snprintf(temporary, sizeof temporary, "%s/.adit-XXXXXX", folder);
        fd = mkostemp(temporary, O_CLOEXEC); /* 0600 */
        if (fd < 0) return complain(errno == EACCES ? STATUS_DENIED : STATUS_FAILED, "%s: %s", folder, strerror(errno));
        if (!write_whole(fd, text, len) || rename(temporary, path) < 0) error = errno;
        close(fd);
        if (!error) {
                sync_folder(folder);
                return STATUS_OK;
        }
        unlink(temporary);
        return complain(STATUS_FAILED, "%s: %s; the file is as it was", path, strerror(error));
}

static int write_conf(const struct conf *conf, const char *path, struct pool *pool)
{
        struct writer writer = { 0 };

        conf_format(conf, &writer);
        writer = (struct writer){ .size = writer.used + 1 };
        writer.text = pool_alloc(pool, writer.size);
        if (!writer.text) return complain_memory();
        conf_format(conf, &writer);
        return replace_file(path, writer.text, writer.used);
}

/* The file to write: as given, the link's own, or the usual one, whose folder is made. Through a symbolic link. */
static int choose_path(char out[PATH_MAX], const char *given, const struct live *live)
{
        const char *path = given ? given : live->path;

        if (*path) {
                if (realpath(path, out)) return STATUS_OK;
                if (errno != ENOENT) return complain(STATUS_FAILED, "%s: %s", path, strerror(errno));
                snprintf(out, PATH_MAX, "%s", path);
                return STATUS_OK;
        }
        if (mkdir(DEFAULT_FOLDER, 0700) < 0 && errno != EEXIST)
                return complain(STATUS_FAILED, "%s: %s", DEFAULT_FOLDER, strerror(errno));
        snprintf(out, PATH_MAX, "%s/%s.conf", DEFAULT_FOLDER, live->name);
        return STATUS_OK;
}

int command_save(const struct command *self, int argc, char **argv, struct pool *pool)
{
        struct live live;
        char path[PATH_MAX];
        int status = options_parse(self, NULL, 1, 2, &argc, &argv);

        if (status != OPTIONS_PROCEED) return status;
        status = live_read(&live, pool, argv[0], true);
        if (!status) status = choose_path(path, argc > 1 ? argv[1] : NULL, &live);
        if (!status) {
                as_config(&live.conf, pool);
                if (access(path, F_OK) == 0) status = keep_of_file(&live.conf, live.host.managed, path, pool);
        }
        if (!status) status = write_conf(&live.conf, path, pool);
        if (!status) printf("%s: saved to %s\n", live.name, path);
        sodium_memzero(&live, sizeof live);
        return status;
}
