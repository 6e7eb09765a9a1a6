#!/bin/bash
# What an attacker on the path can send, delivers nothing, draws nothing and changes nothing. m is the path: a relay there carries
# the datagrams between a and b, and can keep them back, change them and send them again (tool.py, Relay).
#
#   a e0 10.1.0.1 ---- ea 10.1.0.254  m  eb 10.2.0.254 ---- e0 10.2.0.1 b     relay: 1001 to a, 1002 to b
#   tunnel 10.9.0.1  ==================================  tunnel 10.9.0.2      c: another peer of b, 10.9.0.3, never met
. "$(dirname "$0")/lib.sh"
needs ping

spaces a m b
cable a e0 10.1.0.1/24 m ea 10.1.0.254/24
cable m eb 10.2.0.254/24 b e0 10.2.0.1/24
keys a b c wrong
A=${LINK}a B=${LINK}b
daemon a "$A"
daemon b "$B"
must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips 10.9.0.1/32,fd09::1/128 peer "$PUB_c" allowed-ips 10.9.0.3/32
address a "$A" 10.9.0.1/24,fd09::1/64
address b "$B" 10.9.0.2/24,fd09::2/64
coproc RELAY { exec ip netns exec "${SPACE}m" $PYTHON "$HERE/tool.py" relay 1001 10.1.0.1 1002 10.2.0.1; }
relay() { # COMMAND: its answer
        echo "$*" >&"${RELAY[1]}"
        read -t 60 -r answer <&"${RELAY[0]}" || bail "the relay does not answer to $*"
        echo "$answer"
}
[ "$(relay seen a)" = 0 ] || bail "the relay is not ready"
hex() { base64 -d <<<"$1" | od -An -v -tx1 | tr -d ' \n'; }
dump_a() { on a wg show "$A" dump | sort; }
dump_b() { on b wg show "$B" dump | sort; }
# Starts a packet on its way: a handshake, while there is no session.
poke() { on a ping -n -c 1 -W 1 10.9.0.2 >/dev/null 2>&1; return 0; }

echo "# ---- wrong keys"
must on a wg set "$A" private-key "$TMP/wrong.key" listen-port 51820 peer "$PUB_b" allowed-ips 10.9.0.0/24,fd09::/64 endpoint 10.1.0.254:1001
before=$(dump_b)
ok "a peer that b does not know gets no answer" no_pings a 10.9.0.2
isnt "though its handshake did reach b" "$(relay seen a)" 0
is "not one datagram" "$(relay seen b)" 0
is "and changes nothing" "$(dump_b)" "$before"
must on a wg set "$A" private-key "$TMP/a.key" peer "$PUB_b" remove peer "$PUB_wrong" allowed-ips 10.9.0.0/24 endpoint 10.1.0.254:1001
ok "a handshake for another responder's key gets none either" no_pings a 10.9.0.2
is "not one datagram" "$(relay seen b)" 0
is "and changes nothing" "$(dump_b)" "$before"
must on a wg set "$A" peer "$PUB_wrong" remove

echo "# ---- noise, and handshakes with a bit flipped"
is "2000 datagrams of random bytes, all lengths, draw none" "$(relay noise a 2000)" 0
is "and change nothing" "$(dump_b)" "$before"
must on a wg set "$A" peer "$PUB_b" allowed-ips 10.9.0.0/24,fd09::/64 endpoint 10.1.0.254:1001
relay hold a >/dev/null; relay hold b >/dev/null
poke
isnt "the initiation is kept back" "$(relay held a)" 0
before=$(dump_b)
is "an initiation with any bit flipped, mac1 bad or made good, draws none" "$(relay flip a "$(hex "$PUB_b")")" 0
is "and changes nothing" "$(dump_b)" "$before"

# From here a has five seconds until it begins anew: it is made to do so, with a new initiation, right before.
relay release a >/dev/null
relay hold a >/dev/null
must on a wg set "$A" peer "$PUB_b" remove peer "$PUB_b" allowed-ips 10.9.0.0/24,fd09::/64 endpoint 10.1.0.254:1001
relay release b >/dev/null
relay hold b >/dev/null
poke
relay release a >/dev/null
isnt "the response is kept back" "$(relay held b)" 0
before=$(dump_a)
is "a response with any bit flipped draws none" "$(relay flip b "$(hex "$PUB_a")")" 0
is "and changes nothing" "$(dump_a)" "$before"
relay release b >/dev/null
ok "the true one is still good: the forged ones did not clear the handshake" reaches a 10.9.0.2
ok "and back" pings b 10.9.0.1 2
is "an initiation again, with the bits of mac2 flipped, draws none" "$(relay tail a)" 0
is "a response too" "$(relay tail b)" 0

echo "# ---- replays"
ok "pings, to have something to say again" pings a 10.9.0.2 5
ok "and back" pings b 10.9.0.1 5
packets=$(received a "$A")/$(received b "$B") transfer=$(dump_a)$(dump_b)
isnt "the relay carried some of b's" "$(relay seen b)" 0
is "all datagrams once more, both ways, draw none" "$(relay replay)" 0
is "deliver none" "$(received a "$A")/$(received b "$B")" "$packets"
is "and neither endpoints, handshakes nor counters moved" "$(dump_a)$(dump_b)" "$transfer"
is "noise into a live session draws none" "$(relay noise a 2000)$(relay noise b 2000)" 00
is "delivers none" "$(received a "$A")/$(received b "$B")" "$packets"
is "and changes nothing" "$(dump_a)$(dump_b)" "$transfer"
ok "the session lives" pings a 10.9.0.2 2

echo "# ---- spoofed inner sources"
must ip -n "${SPACE}a" address add 10.9.0.77/32 dev "$A"
must ip -n "${SPACE}a" address add 10.9.0.3/32 dev "$A"
must ip -n "${SPACE}a" address add fd09::77/128 dev "$A" nodad
spoof() { ! on a ping -n -I "$1" -c 3 -i 0.2 -W 1 "$2"; }
packets=$(received b "$B")
carried=$(relay seen a)
ok "a source that nobody has" spoof 10.9.0.77 10.9.0.2
ok "a source that is another peer's" spoof 10.9.0.3 10.9.0.2
ok "an IPv6 source that nobody has" spoof fd09::77 fd09::2
between "they did reach b" $(($(relay seen a) - carried)) 9 20
is "nothing of them was delivered" "$(received b "$B")" "$packets"
ok "a's own source is" pings a 10.9.0.2 2
between "and is counted" $(($(received b "$B") - packets)) 2 4
finish
