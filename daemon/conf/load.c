#include "daemon/conf/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fail(struct conf_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool fail(struct conf_error *error, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(error->text, sizeof error->text, format, args);
        va_end(args);
        return false;
}

/* Root without special rights, as aditd is when it reads, is stopped by modes and owners as others are. */
static bool fail_system(struct conf_error *error, const char *verb, const char *what, int why)
{
        const char *mend = "";

        error->denied = why == EACCES || why == EPERM;
        if (error->denied)
                mend = geteuid() == 0
                               ? "; the file and its folders must be root's, or readable by root without special rights"
                               : "; root can";
        return fail(error, "cannot %s %s: %s%s", verb, what, strerror(why), mend);
}

/* ---- finding -------------------------------------------------------------------------------------------------------
 */

static const char *const folders[] = { "/etc/adit", "/etc/wireguard" };

static const char name_rule[] = "an interface's name is 1 to 15 letters, digits or any of _=+.-";
static const char name_of_file_rule[] =
        "the file's name, less .conf, is the interface's: 1 to 15 letters, digits or any of _=+.-";

static bool ends_in_conf(const char *path, size_t len)
{
        return len > 5 && strcmp(path + len - 5, ".conf") == 0;
}

bool conf_link_name(const char *name_or_path, char name[IFNAMSIZ], struct conf_error *error)
{
        const char *slash = strrchr(name_or_path, '/'), *base = slash ? slash + 1 : name_or_path;
        size_t len = strlen(base);

        *error = (struct conf_error){ 0 };
        if (ends_in_conf(base, len)) len -= 5;
        if (!interface_name_valid(base, len)) return fail(error, slash || base[len] ? name_of_file_rule : name_rule);
        memcpy(name, base, len);
        name[len] = 0;
        return true;
}

static bool find_in_folders(const char *name, char path[CONF_PATH_MAX], struct conf_error *error)
{
        for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
                snprintf(path, CONF_PATH_MAX, "%s/%s.conf", folders[i], name);
                if (access(path, F_OK) == 0) return true;
                if (errno != ENOENT && errno != ENOTDIR) return fail_system(error, "look into", folders[i], errno);
        }
        return fail(error, "there is neither %s/%s.conf nor %s/%s.conf; make one, or name a file by its path",
                    folders[0], name, folders[1], name);
}

bool conf_is_path(const char *name_or_path)
{
        return strchr(name_or_path, '/') || ends_in_conf(name_or_path, strlen(name_or_path));
}

bool conf_find(const char *name_or_path, char path[CONF_PATH_MAX], char name[IFNAMSIZ], struct conf_error *error)
{
        size_t len = strlen(name_or_path);

        *error = (struct conf_error){ 0 };
        if (conf_is_path(name_or_path)) {
                if (len >= CONF_PATH_MAX)
                        return fail(error, "the path is too long: %d characters are allowed", CONF_PATH_MAX - 1);
                memcpy(path, name_or_path, len + 1);
                return conf_link_name(path, name, error);
        }
        if (!interface_name_valid(name_or_path, len)) return fail(error, name_rule);
        memcpy(name, name_or_path, len + 1);
        return find_in_folders(name, path, error);
}

bool conf_absolute(const char *path, char out[CONF_PATH_MAX], struct conf_error *error)
{
        char folder[CONF_PATH_MAX] = "";

        *error = (struct conf_error){ 0 };
        if (*path != '/') {
                if (!getcwd(folder, sizeof folder)) return fail_system(error, "name", "this folder", errno);
                if (strcmp(folder, "/") == 0) *folder = 0;
                while (strncmp(path, "./", 2) == 0)
                        path += strspn(path + 1, "/") + 1;
        }
        if (snprintf(out, CONF_PATH_MAX, "%s%s%s", folder, *path == '/' ? "" : "/", path) < CONF_PATH_MAX) return true;
        return fail(error, "the path is too long: %d characters are allowed", CONF_PATH_MAX - 1);
}

/* ---- reading -------------------------------------------------------------------------------------------------------
 */

struct file {
        char *text;
        size_t len, size;
        bool exposed; /* group or others can read or change it */
};

static void file_fini(struct file *file)
{
        if (file->text) sodium_memzero(file->text, file->size);
        free(file->text);
        *file = (struct file){ 0 };
}

static bool fail_large(struct conf_error *error, size_t max)
{
        return fail(error, "it is too large: at most %zu bytes", max);
}

static bool read_all(int fd, struct file *file, size_t max, struct conf_error *error)
{
        struct stat st;
        ssize_t n;

        if (fstat(fd, &st) < 0) return fail_system(error, "read", "it", errno);
        if (!S_ISREG(st.st_mode)) return fail(error, "it is not a regular file");
        if (st.st_size < 0 || (uint64_t)st.st_size > max) return fail_large(error, max);
        file->exposed = st.st_mode & (S_IRWXG | S_IRWXO);
        file->size = (size_t)st.st_size + 1;
        if (!(file->text = malloc(file->size))) return fail_system(error, "read", "it", ENOMEM);

        while ((n = read(fd, file->text + file->len, file->size - file->len)) != 0) {
                if (n < 0 && errno == EINTR) continue;
                if (n < 0) return fail_system(error, "read", "it", errno);
                file->len += (size_t)n;
                if (file->len == file->size) return fail(error, "it grew while it was read; try again");
        }
        return true;
}

/* O_NONBLOCK: a FIFO is refused, not waited for. */
static bool file_read(struct file *file, const char *path, size_t max, struct conf_error *error)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        bool ok;

        *file = (struct file){ 0 };
        if (fd < 0) return fail_system(error, "open", "it", errno);
        ok = read_all(fd, file, max, error);
        close(fd);
        if (!ok) file_fini(file);
        return ok;
}

/* The path is quoted unless the error, which is of limited length, would lose the command's end. */
static bool fail_exposed(struct conf_error *error, const char *what, const char *path)
{
        bool fits = strlen(path) < sizeof error->text - 160;

        return fail(error, "%s; mend it with: chmod 600 %s", what, fits ? path : "and its path");
}

static bool path_beside(char out[CONF_PATH_MAX], const char *path, const char *other)
{
        const char *slash = strrchr(path, '/');
        int folder = slash && other[0] != '/' ? (int)(slash + 1 - path) : 0;

        return snprintf(out, CONF_PATH_MAX, "%.*s%s", folder, path, other) < CONF_PATH_MAX;
}

enum { KEY_FILE_MAX = 4096 };

static bool key_of_text(struct key *out, struct span text, struct conf_error *error)
{
        text.len = (size_t)(span_trim(text).text - text.text) + span_trim(text).len; /* the blanks after it */
        if (text.len && key_from_base64(out, text.text, text.len)) return true;
        return fail(error, "this is not a key: 44 characters of base64, the last one =, and nothing else");
}

bool key_load(struct key *out, const char *path, struct conf_error *error)
{
        struct file file;
        bool ok;

        *error = (struct conf_error){ 0 };
        if (!file_read(&file, path, KEY_FILE_MAX, error)) return false;
        ok = file.exposed ? fail_exposed(error, "group or others can read it", path)
                          : key_of_text(out, (struct span){ file.text, file.len }, error);
        file_fini(&file);
        return ok;
}

bool key_load_open(struct key *out, int fd, struct conf_error *error)
{
        char text[KEY_FILE_MAX + 1];
        size_t len = 0;
        ssize_t n;
        bool ok;

        *error = (struct conf_error){ 0 };
        while (len < sizeof text && (n = TEMP_FAILURE_RETRY(read(fd, text + len, sizeof text - len))) > 0)
                len += (size_t)n;
        if (n < 0) ok = fail_system(error, "read", "it", errno);
        else if (len == sizeof text) ok = fail_large(error, KEY_FILE_MAX);
        else ok = key_of_text(out, (struct span){ text, len }, error);
        sodium_memzero(text, sizeof text);
        return ok;
}

/* One that the service manager hands over (systemd.exec(5), LoadCredential=) in a folder of its own. */
static bool path_of_credential(char out[CONF_PATH_MAX], const char *name, const char **why)
{
        const char *folder = getenv("CREDENTIALS_DIRECTORY");

        *why = "no service manager hands credentials over here: CREDENTIALS_DIRECTORY is not set; to reload a service: "
               "systemctl reload";
        if (!folder || *folder != '/') return false;
        *why = "the path is too long";
        return snprintf(out, CONF_PATH_MAX, "%s/%s", folder, name) < CONF_PATH_MAX;
}

/* A key file that tunnel.conf names: a credential, or beside it. */
static bool load_key(const struct key_file *want, const char *conf_path, struct conf_error *error)
{
        const char *credential = credential_name(*want->path), *why = "the path is too long";
        char path[CONF_PATH_MAX], quoted[QUOTE_TEXT];
        struct conf_error inner;

        *error = (struct conf_error){ .line = want->line, .column = want->column };
        quote_path((struct span){ *want->path, strlen(*want->path) }, quoted);
        if (!(credential ? path_of_credential(path, credential, &why) : path_beside(path, conf_path, *want->path)))
                return fail(error, "%s: '%s': %s", want->name, quoted, why);
        if (!key_load(want->into, path, &inner)) {
                error->denied = inner.denied;
                return fail(error, "%s: '%s': %s", want->name, quoted, inner.text);
        }
        *want->flags |= want->flag;
        *want->path = NULL;
        return true;
}

static bool holds_key(const struct conf *conf)
{
        if (conf->flags & CONF_HAS_PRIVATE_KEY) return true;
        for (const struct conf_peer *peer = conf->peers; peer; peer = peer->next)
                if (peer->flags & PEER_HAS_PRESHARED_KEY) return true;
        return false;
}

static bool load_text(struct conf *out, struct pool *pool, const char *path, struct key_file **files, bool *exposed,
                      struct conf_error *error)
{
        struct file file;
        bool ok;

        *error = (struct conf_error){ 0 };
        if (!file_read(&file, path, CONF_TEXT_MAX, error)) return false;
        ok = conf_parse_files(out, pool, file.text, file.len, files, error);
        *exposed = file.exposed;
        file_fini(&file);
        return ok;
}

bool conf_load_keyless(struct conf *out, struct pool *pool, const char *path, struct conf_error *error)
{
        struct key_file *files = NULL;
        bool exposed;

        return load_text(out, pool, path, &files, &exposed, error);
}

bool conf_load(struct conf *out, struct pool *pool, const char *path, struct conf_error *error)
{
        struct key_file *files = NULL;
        bool exposed;

        if (!load_text(out, pool, path, &files, &exposed, error)) return false;
        if (exposed && holds_key(out))
                return fail_exposed(error, "group or others can read this file and it holds a key", path);
        for (struct key_file *want = files; want; want = want->next)
                if (!load_key(want, path, error)) return false;
        *error = (struct conf_error){ 0 };
        return true;
}
