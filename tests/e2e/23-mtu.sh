#!/bin/bash
# How large an inner packet may be, and what happens to a larger one. The path may be narrower than the links at its ends.
#
#   a e0 192.0.2.1 --- r1 192.0.2.254   r   r2 198.51.100.254 --- e0 198.51.100.2 b     MTU 1500, or as each step says
#   tunnel 10.9.0.1, fd09::1  ==============================  tunnel 10.9.0.2, fd09::2
. "$(dirname "$0")/lib.sh"
needs ping
[ -x "$ADIT" ] || bail "$ADIT is missing: make"

spaces a r b
cable a e0 192.0.2.1/24,2001:db8:1::1/64 r r1 192.0.2.254/24,2001:db8:1::fe/64
cable r r2 198.51.100.254/24,2001:db8:2::fe/64 b e0 198.51.100.2/24,2001:db8:2::2/64
forwarding r
route a default via 192.0.2.254
route a default via 2001:db8:1::fe
route b default via 198.51.100.254
route b default via 2001:db8:2::fe
keys a b
A=${LINK}a B=${LINK}b

config() { # LINE...: a's, with these lines in [Interface]
        (umask 077; cat >"$TMP/$A.conf") <<-END
		[Interface]
		PrivateKey = $KEY_a
		Address = $ADDRESSES
		$(printf '%s\n' "$@")
		[Peer]
		PublicKey = $PUB_b
		AllowedIPs = 10.9.0.2/32, fd09::2/128
		Endpoint = $ENDPOINT
		END
}
ENDPOINT=198.51.100.2:51820 ADDRESSES='10.9.0.1/24, fd09::1/64'
mtu() { on a cat "/sys/class/net/$A/mtu"; }
# A ping that may not be fragmented, with BYTES of inner packet in all.
v4_of() { on a ping -n -M "do" -c 2 -i 0.2 -W 1 -s $(($1 - 28)) 10.9.0.2; }
v6_of() { on a ping -n -M "do" -c 2 -i 0.2 -W 1 -s $(($1 - 48)) fd09::2; }
up() { must on a "$ADIT" up "$TMP/$A.conf"; }
down() { must on a "$ADIT" down "$A"; }

daemon b "$B"
must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips 10.9.0.1/32,fd09::1/128
address b "$B" 10.9.0.2/24,fd09::2/64
# b's side is never the narrow one, whatever a's is.
must ip -n "${SPACE}b" link set "$B" mtu 1500
is "made by hand, MTU is WireGuard's 1420 until somebody sets it" "$(on a sh -c "'$ADITD' ${LINK}x && cat /sys/class/net/${LINK}x/mtu")" 1420

fits() { # MTU: a packet of just that size passes, one byte more does not leave
        ok "a v4 packet of $1 bytes passes" v4_of "$1"
        ok "a v6 packet of $1 bytes passes" v6_of "$1"
        not_ok "one of $(($1 + 1)) does not" v4_of $(($1 + 1))
        like "and the sender is told the size that would" "$(v4_of $(($1 + 1)) 2>&1)" "mtu ?= ?$1"
        like "in v6 too" "$(v6_of $(($1 + 1)) 2>&1)" "mtu ?[=:] ?$1|Packet too big|message too long"
}

config && up
is "the default is that of the way to the endpoint less 80" "$(mtu)" 1420
ok "the link works" reaches a 10.9.0.2
must ip -n "${SPACE}b" link set "$B" mtu 1420
fits 1420
down

must ip -n "${SPACE}a" link set e0 mtu 1400
config && up
is "a narrower device: its MTU less 80" "$(mtu)" 1320
fits 1320
down
must ip -n "${SPACE}a" link set e0 mtu 1500

must ip -n "${SPACE}a" route add 198.51.100.2 via 192.0.2.254 mtu 1380
config && up
is "a route with an MTU of its own: that less 80" "$(mtu)" 1300
fits 1300
down
must ip -n "${SPACE}a" route del 198.51.100.2

ENDPOINT='[2001:db8:2::2]:51820'
config && up
is "an IPv6 endpoint: less 80 as well, and so nothing is fragmented outside" "$(mtu)" 1420
ok "the link works" reaches a 10.9.0.2
fits 1420
down

# 1280 is all that IPv6 promises of a path; inside, 1280 then means outer fragments, which must work too.
ENDPOINT=198.51.100.2:51820
must ip -n "${SPACE}r" link set r2 mtu 1280
must ip -n "${SPACE}b" link set e0 mtu 1280
config 'MTU = 1300' && up
is "an MTU in the file is taken as it is" "$(mtu)" 1300
fits 1300
down
ADDRESSES=10.9.0.1/24 config 'MTU = 1200'
sed -i 's/, fd09::2.*//' "$TMP/$A.conf"
up
is "one below what IPv6 needs, on a link without IPv6" "$(mtu)" 1200
ok "a packet of it passes, unfragmented outside" v4_of 1200
not_ok "and none above it" v4_of 1201
down
config 'MTU = 1200'
not_ok "with IPv6 addresses it is refused" on a "$ADIT" up "$TMP/$A.conf"
like "and it says what IPv6 needs" "$(cat "$TMP/out")" 1280
config 'MTU = 1280' && up
ok "a path of 1280 carries an inner 1280 in fragments: v6" wait_for 10 v6_of 1280
ok "and v4" v4_of 1280
down
must ip -n "${SPACE}r" link set r2 mtu 1500
must ip -n "${SPACE}b" link set e0 mtu 1500

for bad in 0 67 65535 65536 -1 1420x; do
        config "MTU = $bad"
        not_ok "MTU = $bad is refused" on a "$ADIT" up "$TMP/$A.conf"
done
not_ok "and no link was made" ip -n "${SPACE}a" link show "$A"

# The keeper tells the tunnel process what the ways to the peers carry, for ciphers with a longer tag.
ways() { sed -n 's/.*the MTU of the ways to the peers is //p' "$TMP/log" | tail -n 1; }
ways_are() { wait_for 5 eval "[ \"\$(ways)\" = $1 ]"; }
verbose() { # ARGUMENT...: a's daemon in the foreground
        ip netns exec "${SPACE}a" env LOG_LEVEL=verbose "$ADITD" -f "$@" >"$TMP/log" 2>&1 &
        VERBOSE=$!
        wait_for 10 contains "$TMP/log" ': ready' || bail "aditd -f: $(cat "$TMP/log")"
}
quiet() { kill "$VERBOSE"; wait "$VERBOSE"; }
config
verbose -c "$TMP/$A.conf"
ok "the way to the endpoint carries 1500" ways_are 1500
must ip -n "${SPACE}a" route add 198.51.100.2 via 192.0.2.254 mtu 1380
ok "and 1380 with a route of its own, as soon as there is one" ways_are 1380
must ip -n "${SPACE}a" route del 198.51.100.2
ok "and 1500 again without" ways_are 1500
must ip -n "${SPACE}a" link set e0 mtu 1400
ok "it follows the device" ways_are 1400
ENDPOINT=192.0.2.1:51820 config
must ip -n "${SPACE}a" link set lo mtu 20000
kill -HUP "$VERBOSE"
ok "and the endpoint of a file that was read again" ways_are 20000
must ip -n "${SPACE}a" link set lo mtu 65536
quiet
verbose "$A"
ok "without an endpoint that it knows, the way is the default route" ways_are 1400
must on a wg set "$A" private-key "$TMP/a.key" fwmark 7
must ip -n "${SPACE}a" route add default via 192.0.2.254 mtu 1390 table 7
must ip -n "${SPACE}a" rule add fwmark 7 lookup 7
must ip -n "${SPACE}a" -6 route del default
ok "that of its mark" ways_are 1390
must ip -n "${SPACE}a" rule del fwmark 7
must ip -n "${SPACE}a" route del default
ok "and nothing without one" ways_are 0
quiet
must ip -n "${SPACE}a" link set e0 mtu 1500
route a default via 192.0.2.254
route a default via 2001:db8:1::fe

# AEGIS-256 has a tag of 32 bytes, and so a datagram 96 bytes more than the inner packet. Two Adits agree on it, when libsodium
# alone does a's ciphers, where it fits on both sides.
session() { on a "$ADIT" show "$A" --json | sed -n 's/^ *"\(cipher\|upgrade_state\)": "\(.*\)",*$/\2/p' | sort | tr '\n' ' '; }
session_has() { pings a 10.9.0.2 && [[ "$(session)" =~ $1 ]]; } # REGEX
again() { must ip -n "${SPACE}a" link set "$A" down; must ip -n "${SPACE}a" link set "$A" up; } # and so a new session
must ip -n "${SPACE}b" link set "$B" mtu 1404
ENDPOINT=198.51.100.2:51820 config 'MTU = 1404'
export ADIT_CIPHERS=libsodium
verbose -c "$TMP/$A.conf"
if contains "$TMP/log" 'AEGIS-256 by'; then
        ok "1404 inside of 1500: AEGIS-256" wait_for 15 session_has '^AEGIS-256 upgraded'
        must ip -n "${SPACE}a" route add 198.51.100.2 via 192.0.2.254 mtu 1499
        ok "the way is of 1499 by now" ways_are 1499
        again
        ok "1404 inside of 1499: another" wait_for 15 session_has '^(AES|ChaCha).* upgraded'
        must ip -n "${SPACE}a" route del 198.51.100.2
        ok "the way is of 1500 by now" ways_are 1500
        again
        ok "and AEGIS-256 again" wait_for 15 session_has '^AEGIS-256 upgraded'
        config 'MTU = 1405'
        kill -HUP "$VERBOSE"
        wait_for 5 eval '[ "$(mtu)" = 1405 ]' && again
        ok "1405 inside of 1500: another" wait_for 15 session_has '^(AES|ChaCha).* upgraded'
else
        skip "AEGIS-256 where it fits" "this build has none: make check-newest-libsodium"
fi
quiet
unset ADIT_CIPHERS

config && up
ok "a link up again" reaches a 10.9.0.2
must ip -n "${SPACE}a" link set "$A" mtu 9000
must ip -n "${SPACE}b" link set "$B" mtu 9000
ok "an MTU set from outside is followed: inner 9000 in outer fragments" wait_for 10 v4_of 9000
finish
