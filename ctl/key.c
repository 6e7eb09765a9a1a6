/* Keys: genkey, pubkey and genpsk are what `wg` has under these names, byte for byte. A key comes from a file or from
 * stdin, never from an argument: arguments are everybody's to read. */
#include "ctl/client.h"
#include "ctl/command.h"
#include "ctl/live.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void warn_if_world_readable(void)
{
        struct stat st;

        if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IRWXO))
                complain(0, "warning: writing a key to a file that everybody can read; run: umask 077, and again");
}

static int key_print(const struct key *key)
{
        char text[KEY_BASE64_LEN];
        ssize_t wrote;

        key_to_base64(text, key);
        text[KEY_BASE64_LEN - 1] = '\n';
        wrote = TEMP_FAILURE_RETRY(write(STDOUT_FILENO, text, sizeof text));
        sodium_memzero(text, sizeof text);
        if (wrote == (ssize_t)sizeof text) return STATUS_OK;
        return complain(STATUS_FAILED, "writing the key: %s", wrote < 0 ? strerror(errno) : "cut short");
}

int key_read(struct key *out, const char *path)
{
        bool standard = !strcmp(path, "-");
        struct conf_error error;

        if (standard ? key_load_open(out, STDIN_FILENO, &error) : key_load(out, path, &error)) return STATUS_OK;
        return complain(error.denied ? STATUS_DENIED : STATUS_FAILED, "%s: %s", standard ? "stdin" : path, error.text);
}

static int generate(const struct command *self, int argc, char **argv, void (*make)(struct key *))
{
        struct key key;
        int status = options_parse(self, NULL, 0, 0, &argc, &argv);

        if (status != OPTIONS_PROCEED) return status;
        warn_if_world_readable();
        make(&key);
        status = key_print(&key);
        sodium_memzero(&key, sizeof key);
        return status;
}

int command_genkey(const struct command *self, int argc, char **argv, struct pool *pool)
{
        (void)pool;
        return generate(self, argc, argv, key_generate_private);
}

int command_genpsk(const struct command *self, int argc, char **argv, struct pool *pool)
{
        (void)pool;
        return generate(self, argc, argv, key_generate_preshared);
}

int command_pubkey(const struct command *self, int argc, char **argv, struct pool *pool)
{
        struct key private_key = { 0 }, public_key;
        int status = options_parse(self, NULL, 0, 0, &argc, &argv);

        (void)pool;
        if (status != OPTIONS_PROCEED) return status;
        status = key_read(&private_key, "-");
        if (!status) {
                key_clamp(&private_key); /* so that all zero is a key too, as it is for wg */
                key_public_from_private(&public_key, &private_key);
                status = key_print(&public_key);
        }
        sodium_memzero(&private_key, sizeof private_key);
        return status;
}

/* A peer with the link's own public key is dropped by the tunnel process: it leaves the host's state too. */
static int key_change(struct edit *edit, void *arg)
{
        const struct key *private_key = arg;
        struct key public_key;
        struct conf_peer *self = NULL;

        edit->set.flags |= CONF_HAS_PRIVATE_KEY;
        edit->set.private_key = *private_key;
        if (key_public_from_private(&public_key, private_key)) self = conf_peer_find(&edit->live.conf, &public_key);
        if (self) {
                char text[KEY_BASE64_LEN];

                if (!edit->retry)
                        complain(0, "%s: peer %s has this key, and is removed: a link is not its own peer",
                                 edit->live.name, peer_label(self, text));
                live_peer_remove(&edit->live, self);
        }
        edit->live.conf.private_key = *private_key;
        return STATUS_OK;
}

int command_key_set(const struct command *self, int argc, char **argv, struct pool *pool)
{
        struct key private_key = { 0 };
        int status = options_parse(self, NULL, 1, 2, &argc, &argv);

        if (status != OPTIONS_PROCEED) return status;
        status = link_name_check(argv[0]);
        if (!status) status = key_read(&private_key, argc > 1 ? argv[1] : "-");
        if (!status && key_is_zero(&private_key))
                status = complain(STATUS_FAILED, "an all-zero key is no key; make one with: adit genkey");
        if (!status) status = live_edit(argv[0], pool, key_change, &private_key);
        sodium_memzero(&private_key, sizeof private_key);
        return status;
}
