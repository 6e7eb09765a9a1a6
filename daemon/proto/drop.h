/* Every reason for which a packet is not delivered, each with a counter and a name that a person understands.
 * The engine counts its own; the data plane counts those of its system calls in the same table. */
#ifndef DAEMON_PROTO_DROP_H
#define DAEMON_PROTO_DROP_H

/* clang-format off */
/*      symbol                   name in `adit show`         what it means */
#define DROP_REASONS(X)                                                                                        \
        /* inbound, from UDP */                                                                                \
        X(RX_MALFORMED,          "rx-malformed",             "no message type of ours has this type or length")  \
        X(RX_BAD_MAC1,           "rx-bad-mac1",              "handshake message not made for our public key")    \
        X(RX_BAD_COOKIE,         "rx-bad-cookie",            "cookie reply that nothing of ours drew, or forged") \
        X(RX_UNDER_LOAD,         "rx-under-load",            "answered with a cookie instead of a handshake")    \
        X(RX_RATE_LIMITED,       "rx-rate-limited",          "too many handshakes from one source under load")   \
        X(RX_UNKNOWN_PEER,       "rx-unknown-peer",          "initiation by a public key that is not configured") \
        X(RX_BAD_HANDSHAKE,      "rx-bad-handshake",         "handshake message that does not authenticate")     \
        X(RX_HANDSHAKE_REPLAY,   "rx-handshake-replay",      "initiation whose timestamp is not newer")          \
        X(RX_HANDSHAKE_TOO_SOON, "rx-handshake-too-soon",    "initiations of one peer under 20 ms apart")        \
        X(RX_HANDSHAKE_OVERFLOW, "rx-handshake-overflow",    "more handshake messages than can be worked off")   \
        X(RX_UNKNOWN_INDEX,      "rx-unknown-index",         "no session or handshake has this receiver index")  \
        X(RX_SESSION_EXPIRED,    "rx-session-expired",       "session past its time or message limit")           \
        X(RX_BAD_TAG,            "rx-bad-tag",               "data that does not authenticate")                  \
        X(RX_REPLAY,             "rx-replay",                "counter seen before, or too old")                  \
        X(RX_NOT_IP,             "rx-not-ip",                "inner packet neither IPv4 nor IPv6, or truncated") \
        X(RX_SPOOFED_SOURCE,     "rx-spoofed-source",        "inner source is not an allowed IP of the peer")    \
        X(RX_UPGRADE_BAD,        "rx-upgrade-bad",           "frame of the session upgrade, malformed or forged") \
        X(RX_UPGRADE_UNEXPECTED, "rx-upgrade-unexpected",    "frame of the session upgrade, out of turn")        \
        X(RX_UPGRADE_LIMIT,      "rx-upgrade-limit",         "more frames of the session upgrade than are looked at") \
        X(RX_NOT_POST_QUANTUM,   "rx-not-post-quantum",      "PostQuantum = require, and no ML-KEM in the session") \
        X(RX_LINK_DOWN,          "rx-link-down",             "the interface is down")                            \
        X(RX_LOOP,               "rx-loop",                  "a datagram to us that came out of the link itself") \
        X(RX_TRUNCATED,          "rx-truncated",             "datagram larger than the receive buffer")          \
        X(RX_TUN_WRITE,          "rx-tun-write",             "the interface did not take the packet")            \
        /* outbound, from the TUN interface */                                                                 \
        X(TX_NOT_IP,             "tx-not-ip",                "packet neither IPv4 nor IPv6, or truncated")       \
        X(TX_NO_PEER,            "tx-no-peer",               "no peer's allowed IPs have the destination")       \
        X(TX_NO_ENDPOINT,        "tx-no-endpoint",           "the peer's endpoint is not known")                 \
        X(TX_LOOP,               "tx-loop",                  "our own datagram, which a route led into the link") \
        X(TX_STAGED_OVERFLOW,    "tx-staged-overflow",       "oldest of too many waiting for a handshake")       \
        X(TX_NOT_POST_QUANTUM,   "tx-not-post-quantum",      "oldest of too many waiting for ML-KEM in a session") \
        X(TX_OWNER_OVERFLOW,     "tx-owner-overflow",        "more without a session than can be worked off")    \
        X(TX_HANDSHAKE_FAILED,   "tx-handshake-failed",      "waited for a handshake that was given up")         \
        X(TX_LINK_DOWN,          "tx-link-down",             "the interface is down")                            \
        X(TX_TOO_BIG,            "tx-too-big",               "larger than the path takes (EMSGSIZE)")            \
        X(TX_NO_BUFFERS,         "tx-no-buffers",            "the kernel had no buffer (ENOBUFS)")               \
        X(TX_FIREWALL,           "tx-firewall",              "this host's own firewall refused it (EPERM)")      \
        X(TX_UNREACHABLE,        "tx-unreachable",           "no route to the endpoint")                         \
        X(TX_SEND,               "tx-send",                  "another error of sendmsg")

enum drop {
        DROP_NONE, /* not dropped */
#define X(symbol, name, meaning) DROP_##symbol,
        DROP_REASONS(X)
#undef X
        DROP_COUNT
};
/* clang-format on */

const char *drop_name(enum drop reason);

#endif
