#include "daemon/conf/conf.h"

/* A live link may have what the file no longer says; each such field is named with its default, so that it goes. */
void conf_make_complete(struct conf *conf)
{
        conf->flags |= CONF_REPLACE_PEERS | CONF_HAS_FWMARK;
        for (struct conf_peer *peer = conf->peers; peer; peer = peer->next)
                peer->flags |= PEER_REPLACE_ALLOWED_IPS | PEER_HAS_PRESHARED_KEY | PEER_HAS_KEEPALIVE | PEER_HAS_NAME;
}

const char *conf_not_applied(const struct conf *conf, unsigned *cursor)
{
        struct key own;
        const struct {
                bool asked;
                const char *what;
        } keys[] = {
                { conf->dns, "DNS is not set by this version; set it yourself" },
                { conf->pre_up, "PreUp is not run by this version; run it yourself" },
                { conf->post_up, "PostUp is not run by this version; run it yourself" },
                { conf->pre_down, "PreDown is not run by this version; run it yourself" },
                { conf->post_down, "PostDown is not run by this version; run it yourself" },
                { conf->flags & CONF_SAVE_CONFIG,
                  "SaveConfig is not done by this version; save the link with: adit save" },
                { conf_public_key(conf, &own) && conf_peer_find(conf, &own),
                  "a [Peer] has this link's own public key, and is left out; a peer has another" },
        };

        while (*cursor < sizeof keys / sizeof *keys) {
                unsigned i = (*cursor)++;
                if (keys[i].asked) return keys[i].what;
        }
        return NULL;
}
