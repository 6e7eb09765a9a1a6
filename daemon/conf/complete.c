#include "daemon/conf/conf.h"

/* A live link may have what the file no longer says; each such field is named with its default, so that it goes. */
void conf_make_complete(struct conf *conf)
{
        conf->flags |= CONF_REPLACE_PEERS | CONF_HAS_FWMARK;
        for (struct conf_peer *peer = conf->peers; peer; peer = peer->next)
                peer->flags |= PEER_REPLACE_ALLOWED_IPS | PEER_HAS_PRESHARED_KEY | PEER_HAS_KEEPALIVE | PEER_HAS_NAME;
}
