#!/bin/bash
# Another way out, and a machine that slept: within five seconds the link carries packets again.
#
#   a e0 192.0.2.1 ------- e0 192.0.2.254 r          a's default route is by one of the two
#   a e1 198.51.100.1 ---- e1 198.51.100.254 r       r e2 203.0.113.254 ---- e0 203.0.113.2 b
#   tunnel 10.9.0.1 ==== 10.9.0.2 b                  b knows no endpoint of a but where a calls from
#
# aditd of a, and of b, runs with boottime.so: its clock jumps as over a sleep.
. "$(dirname "$0")/lib.sh"
needs ping ss
[ -x "$ADIT" ] || bail "$ADIT is missing: make"
SO=$(dirname "$ADITD")/tests/boottime.so
[ -e "$SO" ] || bail "$SO is missing: make tests"

spaces a r b
cable a e0 192.0.2.1/24 r e0 192.0.2.254/24
cable a e1 198.51.100.1/24 r e1 198.51.100.254/24
cable r e2 203.0.113.254/24 b e0 203.0.113.2/24
forwarding r
route a default via 192.0.2.254
route b default via 203.0.113.254
keys a b
A=${LINK}a B=${LINK}b

asleep() { # SPACE HOURS, since the start
        $PYTHON -c 'import struct, sys
with open(sys.argv[1], "r+b" if int(sys.argv[2]) else "wb") as file: file.write(struct.pack("=q", int(sys.argv[2]) * 3600 * 10**9))' "$TMP/$1.ahead" "$2"
}
daemon_sleeper() { # SPACE DEVICE
        asleep "$1" 0
        must on "$1" env LD_PRELOAD="$(ldd "$ADITD" | awk '$1 ~ /^lib[at]san\./ { print $3 ":" }')$SO" BOOTTIME="$TMP/$1.ahead" "$ADITD" "$2"
}
daemon_sleeper b "$B"
must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips 10.9.0.1/32
address b "$B" 10.9.0.2/24
daemon_sleeper a "$A"
must on a wg set "$A" private-key "$TMP/a.key" peer "$PUB_b" endpoint 203.0.113.2:51820 allowed-ips 10.9.0.2/32
address a "$A" 10.9.0.1/24
A_IP() { ip -n "${SPACE}a" "$@"; }
endpoint() { on b wg show "$B" endpoints | awk -F'[\t:]' '{ print $2 }'; }

# TOOK: the time from now until a packet passes: five seconds at most, of which pings are a tenth apart.
within_5() { # NAME SPACE ADDRESS
        local start=$EPOCHREALTIME
        for _ in {1..100}; do on "$2" ping -n -c 1 -W 0.1 "$3" >/dev/null 2>&1 && break; done
        TOOK=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000))
        between "$1: after $TOOK ms" "$TOOK" 0 5000
}
from_a() { within_5 "$1: from a" a 10.9.0.2; }
from_b() { within_5 "$1: from b" b 10.9.0.1; }
by() { must A_IP route replace default via "$1"; }

from_a "the first packet"
is "b knows where a calls from" "$(endpoint)" 192.0.2.1

echo "# ---- another default route"
by 198.51.100.254
from_a "the default route replaced"
is "b knows of the new address" "$(endpoint)" 198.51.100.1
from_b "and"
by 192.0.2.254
from_a "and back"
is "b knows" "$(endpoint)" 192.0.2.1
must A_IP link set e0 down
by 198.51.100.254
from_a "the uplink down, and the route by the other"
from_b "and"
must A_IP link set e0 up
must A_IP address delete 198.51.100.1/24 dev e1
by 192.0.2.254
from_a "the address gone, and the route by the first"
must A_IP address add 198.51.100.1/24 dev e1
# The old way swallows what takes it: with nobody else's packet to tell, it is the news that counts.
must on r sysctl -qw net.ipv4.conf.e0.forwarding=0
by 198.51.100.254
from_a "the old way is a black hole"
from_b "and"
must on r sysctl -qw net.ipv4.conf.e0.forwarding=1

must on a wg set "$A" peer "$PUB_b" remove
must A_IP link set e1 down
must A_IP route replace default via 192.0.2.254
must on r sysctl -qw net.ipv4.conf.e0.forwarding=0
must on a wg set "$A" peer "$PUB_b" endpoint 203.0.113.2:51820 allowed-ips 10.9.0.2/32
no_pings a 10.9.0.2 || bail "e0 is no black hole"
must A_IP link set e1 up
by 198.51.100.254
from_a "an initiation went into the black hole"
between "(the next does not wait for its turn)" "$TOOK" 0 2000
must on r sysctl -qw net.ipv4.conf.e0.forwarding=1

echo "# ---- idle, and kept alive"
must on a wg set "$A" peer "$PUB_b" persistent-keepalive 25
is_endpoint() { [ "$(endpoint)" = "$1" ]; }
start=$EPOCHREALTIME
must A_IP link set e1 down
by 192.0.2.254
ok "without a packet of anybody's, b learns of the new address" wait_for 4 is_endpoint 192.0.2.1
from_b "a packet to a finds its way"
between "(all of it)" $(((${EPOCHREALTIME/./} - ${start/./}) / 1000)) 0 5000
must A_IP link set e1 up
must on a wg set "$A" peer "$PUB_b" persistent-keepalive 0

echo "# ---- a sleep"
slept=0
# One after the other: who sleeps last has no session, whatever the two said in between, and so must be the one that begins.
sleeps() { # SPACE...: an hour more
        local space
        slept=$((slept + 1))
        for space in "$@"; do asleep "$space" $slept; done
}
handshake=$(handshake a "$A")
new_handshake() { [ "$(handshake a "$A")" != "$handshake" ]; }
# (of the same second would be the same handshake to see)
wait_for 2 eval '[ "$(date +%s)" != "$handshake" ]'
sleeps a
from_a "a slept"
ok "with a new session, for the old one is too old" new_handshake
sleeps b a
from_a "both slept"
sleeps b a
must A_IP link set e0 down
by 198.51.100.254
from_a "both slept, and a woke up in another network"
must A_IP link set e0 up
must on a wg set "$A" peer "$PUB_b" persistent-keepalive 25
from_a "kept alive"
sleeps a
from_b "a slept, kept alive: b's packet is the first"
sleeps a
by 192.0.2.254
from_b "a slept, woke up with another address, kept alive: b's packet is the first"
is "b knows of it" "$(endpoint)" 192.0.2.1
finish
