/* Every subcommand of adit, in the order of `adit help`. */
#include "ctl/command.h"

#define PEER_OPTIONS                                                                          \
        "  --name NAME                1 to 31 characters, no blanks; '' takes it away\n"      \
        "  --endpoint HOST:PORT       a name, or an address ([2001:db8::1]:51820)\n"          \
        "  --allowed-ips PREFIX,...   the whole list; '' empties it\n"                        \
        "  --keepalive SECONDS|off    a packet at least so often, to hold a NAT open\n"       \
        "  --preshared-key FILE|-|none  from a file that only its owner can read, or stdin\n" \
        "  --upgrade auto|off         off: with this peer nothing but WireGuard\n"            \
        "  --post-quantum auto|require|off  require: no packet without ML-KEM in the session's keys\n"

const struct command commands[] = {
        { "genkey", "", "Make a private key, and print it",
          "The same key format as wg genkey: 44 characters of base64.\n\n"
          "Examples:\n"
          "  (umask 077; adit genkey > wg0.key)\n"
          "  adit genkey | tee wg0.key | adit pubkey\n",
          command_genkey },
        { "pubkey", "", "Read a private key from stdin, and print its public key",
          "\nExamples:\n"
          "  adit pubkey < wg0.key\n",
          command_pubkey },
        { "genpsk", "", "Make a preshared key, and print it",
          "Both ends of a link need the same one; it is mixed into every handshake.\n\n"
          "Examples:\n"
          "  (umask 077; adit genpsk > berlin.psk)\n",
          command_genpsk },
        { "up", "[--foreground] FILE|NAME [--dry-run]", "Bring a link up",
          "Checks the whole file first: with a mistake in it, nothing is changed. Then starts aditd, and\n"
          "returns when the link is up. Says what the file asks for and this version does not do.\n\n"
          "PreUp is run before there is an interface, PostUp when all is set; each command by bash, with the rights of "
          "who\n"
          "calls adit, for at most 30 seconds, %i in it being the interface's name. When a PreUp fails, the link is "
          "not\n"
          "brought up; when a PostUp fails, it is taken down again. A file with commands, and the folders it lies in, "
          "must\n"
          "belong to root and be writable by nobody else.\n\n"
          "  --foreground   for a service manager: become aditd after PreUp, and stay until the link ends. PostUp is "
          "run\n"
          "                 when the link is ready, and only then READY=1 is sent (sd_notify); PreDown and PostDown "
          "are\n"
          "                 run by adit down. Exit status 78: a mistake in the file\n"
          "  --dry-run      print what would be done, in its order, as commands that a person could type; change\n"
          "                 nothing\n\n"
          "Examples:\n"
          "  adit up wg0            /etc/adit/wg0.conf, or /etc/wireguard/wg0.conf\n"
          "  adit up ./tunnel.conf  the link 'tunnel'\n",
          command_up },
        { "down", "NAME|FILE", "Take a link down",
          "Undoes its addresses and routes, and returns when the link is gone.\n\n"
          "PreDown is run before, PostDown after it, as the file that the link was brought up from has them now. When "
          "a\n"
          "PreDown fails, the link stays up; when a PostDown fails, it is down, and the exit status is 1. When that "
          "file\n"
          "is gone or has a mistake, the link goes down without them.\n"
          "A link that ends in another way (a signal, ip link delete) runs neither.\n\n"
          "Examples:\n"
          "  adit down wg0\n",
          command_down },
        { "diff", "NAME [FILE]", "Show what a reload would change",
          "By the file that the link came up from, or FILE: what was edited there, what was changed on the running "
          "link,\n"
          "and what others removed from this host since; as commands that a person could type, in the order in which\n"
          "they would be carried out. Keys are not shown: a line says that one changes. Changes nothing.\n\n"
          "Examples:\n"
          "  adit diff wg0\n"
          "  adit diff wg0 && echo wg0 is what its file says\n\n"
          "Exit status: 0 there is nothing to do; 1 there is; 2 failed, or wrong usage; 3 no link of this name is up;\n"
          "4 permission denied.\n",
          command_diff },
        { "repair", "[NAME] [--all]", "Undo what a killed link left on this host",
          "Rules, routes, kernel settings and sockets that aditd had no time to put back: afterwards this host is as "
          "it\n"
          "was before the link came up. Says each thing that it undoes. Also the next adit up of that link does it.\n"
          "Without NAME: of all links that left something. A link that is up is not touched, and with its NAME "
          "refused.\n"
          "When nothing was left, that is said, and the exit status is 0.\n"
          "What a link left in another network namespace is repaired there.\n\n"
          "  --all   the same as no NAME\n\n"
          "Examples:\n"
          "  adit repair wg0\n",
          command_repair },
        { "reload", "FILE|NAME", "Make a running link what its file says",
          "NAME is for the file that the link came up from. Checks the whole file first. Sessions of peers that\n"
          "stay are kept. What was taken out of the file goes from the link, live edits that were not saved among\n"
          "it; only the port and the private key stay, when the file names none. Runs no hooks.\n\n"
          "Examples:\n"
          "  adit check wg0 && adit reload wg0\n",
          command_reload },
        { "check", "FILE|NAME", "Look for mistakes in a file, and change nothing",
          "Reads the key files it names, too. Exit status 1 with the first mistake as file:line:column.\n"
          "Warns of what the file asks for and this version does not do, and of a prefix that two peers have in their\n"
          "AllowedIPs (the later one has it). A note tells of one that lies in a wider one of another peer.\n\n"
          "Examples:\n"
          "  adit check tunnel.conf\n",
          command_check },
        { "show", "[NAME] [--json]", "Show all links that are up, or one",
          "Of each peer: where it is, what it may send, the age of the last handshake, the bytes that came and went, "
          "and\n"
          "  up                  a session is there\n"
          "  handshake pending   asked, and not answered yet\n"
          "  idle                nothing to send\n"
          "  no endpoint         waits for the peer to speak first\n"
          "  name not resolved   the endpoint's name has no address yet; it is asked for again\n"
          "Below it, with a session: its cipher, and whose code does it; whether the session was upgraded, or why "
          "not.\n"
          "Drop counters are shown when they are not zero. Colours: on a terminal, unless NO_COLOR is set.\n\n"
          "  --json   for programs: {\"links\": [LINK...]}, where LINK has\n"
          "    name, config (path or null), managed (false: addresses and routes are not adit's), public_key (or "
          "null),\n"
          "    listen_port, fwmark (0: none), fwmark_configured (null: none, or chosen by aditd), mtu (null: not "
          "known),\n"
          "    mtu_configured (null: automatic), workers, workers_configured (null: automatic), table (\"auto\", "
          "\"off\" or a number),\n"
          "    addresses [prefix...], routes [prefix...], excluded_ips [prefix...] (kept out of the routes),\n"
          "    dns [text...], dns_by (/etc/resolv.conf, systemd-resolved or resolvconf),\n"
          "    drops {reason: packets}, peers [PEER...]; and PEER has\n"
          "    public_key, name (or null), endpoint (where it is now, or null), endpoint_configured (host:port or "
          "null),\n"
          "    allowed_ips [prefix...], preshared_key (is there one: true or false), persistent_keepalive (seconds, 0: "
          "off),\n"
          "    last_handshake (seconds since the epoch, null: never), rx_bytes, tx_bytes, handshake_attempts,\n"
          "    state (\"up\", \"pending\", \"idle\", \"no_endpoint\" or \"unresolved\"),\n"
          "    cipher, cipher_implementation (of the session that packets go out with; null: there is none),\n"
          "    kem, kem_implementation (of what else is in that session's keys; null: nothing),\n"
          "    adit (has it shown that it is one: true or false), upgrade (\"auto\" or \"off\"),\n"
          "    post_quantum (\"auto\", \"require\" or \"off\"), upgrade_state (\"upgraded\", or a word of why not; "
          "all: adit(8)),\n"
          "    upgrade_reason (the same for a person)\n\n"
          "Examples:\n"
          "  adit show wg0\n"
          "  adit show --json | jq '.links[].peers[] | select(.state != \"up\") | .name'\n",
          command_show },
        { "peer add", "NAME PUBLICKEY [OPTION]...", "Add a peer to a running link",
          "With its allowed IPs and their routes. Refused when the peer is there already. To keep it: adit save "
          "NAME.\n\n" PEER_OPTIONS "\nExamples:\n"
          "  adit peer add wg0 \"$(cat berlin.pub)\" --name berlin --endpoint berlin.example.org:51820 \\\n"
          "      --allowed-ips 10.0.0.2/32,192.168.2.0/24 --keepalive 25 --preshared-key berlin.psk\n",
          command_peer_add },
        { "peer set", "NAME PEER OPTION...", "Change a peer of a running link",
          "PEER is a public key or a Name. What is not named by an option stays. Refused when there is no such "
          "peer.\n\n" PEER_OPTIONS "\nExamples:\n"
          "  adit peer set wg0 berlin --endpoint 192.0.2.7:51820\n"
          "  adit peer set wg0 berlin --preshared-key none --keepalive off\n"
          "  adit peer set wg0 berlin --post-quantum require\n",
          command_peer_set },
        { "peer remove", "NAME PEER", "Remove a peer from a running link",
          "With its session, its allowed IPs and their routes.\n\n"
          "Examples:\n"
          "  adit peer remove wg0 berlin\n",
          command_peer_remove },
        { "peer list", "NAME [--json]", "List the peers of a running link with their whole keys",
          "\n  --json   {\"peers\": [PEER...]} as in adit show --help\n\n"
          "Examples:\n"
          "  adit peer list wg0\n",
          command_peer_list },
        { "route add", "NAME PEER PREFIX...", "Lead prefixes to a peer",
          "As the peer's allowed IPs and as routes of the host, both or neither. A prefix that another peer has "
          "moves.\n"
          "To keep it: adit save NAME.\n\n"
          "Examples:\n"
          "  adit route add wg0 berlin 192.168.7.0/24 fd00:7::/64\n",
          command_route_add },
        { "route del", "NAME PEER PREFIX...", "Lead prefixes to a peer no more",
          "Takes them from its allowed IPs and from the host's routes.\n\n"
          "Examples:\n"
          "  adit route del wg0 berlin 192.168.7.0/24\n",
          command_route_del },
        { "route list", "NAME [--json]", "List the prefixes of a link's peers, and which of them adit routes",
          "Routed by adit: adit keeps a route of the host for the prefix (Table = off: none);\n"
          "in part: but for ExcludedIPs that lie in it. What the kernel has "
          "beside\n"
          "them, and what others made, is said by: ip route show table all\n\n"
          "  --json   {\"routes\": [ROUTE...]}, where ROUTE has public_key, name (or null), prefix, routed_by_adit\n"
          "    (true or false)\n\n"
          "Examples:\n"
          "  adit route list wg0\n"
          "  adit route list wg0 --json | jq -r '.routes[] | select(.routed_by_adit | not) | .prefix'\n",
          command_route_list },
        { "key set", "NAME [FILE|-]", "Change the private key of a running link",
          "From a file that only its owner can read, or from stdin. The peers need the new public key: until then no "
          "handshake\n"
          "succeeds.\n\n"
          "Examples:\n"
          "  adit genkey | adit key set wg0 && adit save wg0\n",
          command_key_set },
        { "save", "NAME [FILE]", "Write a running link to its file",
          "To FILE, or the file that the link was brought up from, or /etc/adit/NAME.conf. What is only in that file\n"
          "(PreUp and its like, SaveConfig, PrivateKeyFile, PresharedKeyFile) is kept; comments are not. The file "
          "is\n"
          "replaced whole, and only its owner can read it.\n\n"
          "Examples:\n"
          "  adit peer add wg0 \"$(cat berlin.pub)\" --name berlin && adit save wg0\n",
          command_save },
        { 0 },
};
