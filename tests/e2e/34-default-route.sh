#!/bin/bash
# The whole internet through a link: a reload under traffic, a second such link beside the first, and no trace of either.
#
#   a e0 192.0.2.1 ------- e0 192.0.2.2 b            a's default route is by b, which forwards nothing: what is not in
#   a e1 198.51.100.1 ---- e1 198.51.100.2 c         a tunnel does not reach 203.0.113.1, an address of b and of c
#   tunnel 10.9.0.1, fd09::1 ==== 10.9.0.2, fd09::2 b
#   tunnel 10.8.0.1          ==== 10.8.0.2 c
. "$(dirname "$0")/lib.sh"
needs nft ping
[ -x "$ADIT" ] || bail "$ADIT is missing: make"

spaces a b c
cable a e0 192.0.2.1/24,2001:db8::1/64 b e0 192.0.2.2/24,2001:db8::2/64
cable a e1 198.51.100.1/24 c e1 198.51.100.2/24
route a default via 192.0.2.2
route a default via 2001:db8::2
keys a b c
A=${LINK}a A2=${LINK}x B=${LINK}b C=${LINK}c
for end in "b $B 10.9.0 e0" "c $C 10.8.0 e1"; do
        read -r space link net outside <<<"$end"
        daemon "$space" "$link"
        must on "$space" wg set "$link" private-key "$TMP/$space.key" listen-port 51820 peer "$PUB_a" allowed-ips "$net.1/32,fd09::1/128"
        address "$space" "$link" "$net.2/24,fd09::2/64"
        must ip -n "$SPACE$space" address add 203.0.113.1/32 dev lo
        must ip -n "$SPACE$space" address add 2001:db8:113::1/128 dev lo
        # What comes in the clear is dropped, so that whoever leaks loses.
        must on "$space" nft "table inet clear { counter leaked { }; chain in { type filter hook input priority 0
                iifname $outside ip daddr 203.0.113.1 counter name leaked drop
                iifname $outside ip6 daddr 2001:db8:113::1 counter name leaked drop; }; }"
done

write() { # LINK ADDRESS ALLOWED-IPS PUBLIC-KEY ENDPOINT [INTERFACE-LINE]...
        local file=$TMP/$1.conf address=$2 ips=$3 key=$4 endpoint=$5
        shift 5
        (umask 077; cat >"$file") <<-END
		[Interface]
		PrivateKey = $KEY_a
		Address = $address
		$(printf '%s\n' "$@")
		[Peer]
		PublicKey = $key
		AllowedIPs = $ips
		Endpoint = $endpoint
		END
}
first() { write "$A" "${1:-10.9.0.1/24, fd09::1/64}" "0.0.0.0/0, ::/0" "$PUB_b" 192.0.2.2:51820 "${@:2}"; }
second() { write "$A2" 10.8.0.1/24 0.0.0.0/0 "$PUB_c" 198.51.100.2:51820; }
adit() { on a "$ADIT" "$@"; }
host() { # all that the links add there, to the letter
        local family
        # (an interface's link-local address is another each time, and with it its place)
        for family in -4 -6; do ip -n "${SPACE}a" $family rule; ip -n "${SPACE}a" $family route show table all; done | sed -E "s/fe80::[0-9a-f:]+ dev $LINK/fe80::- dev $LINK/" | sort
        on a nft list ruleset
        on a sysctl net.ipv4.conf.all.src_valid_mark net.ipv4.conf.all.rp_filter
}
leaked() { on "$1" nft list counter inet clear leaked | awk '/packets/ { print $2 }'; }

untouched=$(host)
not_ok "outside a tunnel 203.0.113.1 is not reached" pings a 203.0.113.1 1
isnt "(for what comes in the clear is dropped, and counted)" "$(leaked b)" 0
must on b nft reset counters

echo "# ---- reloads of a link with a default route, while traffic flows"
first
must adit up "$TMP/$A.conf"
ok "the default route is through the link" reaches a 203.0.113.1
ok "IPv6 too" reaches a 2001:db8:113::1
one=$(host)
must ip -n "${SPACE}a" link set "$A" down
isnt "set down, the link loses its routes" "$(host)" "$one"
must ip -n "${SPACE}a" link set "$A" up
as_before() { [ "$(host)" = "$one" ]; }
ok "up again, it has all of them back" wait_for 5 as_before
ok "and works" reaches a 203.0.113.1
handshake=$(handshake a "$A")
must on b nft reset counters
on a ping -n -i 0.01 -W 2 203.0.113.1 >"$TMP/ping4" 2>&1 &
on a ping -n -i 0.01 -W 2 2001:db8:113::1 >"$TMP/ping6" 2>&1 &
sleeping() { # the pings themselves: `on` is a function, its job a shell
        local pid
        for pid in $(pids a); do [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = ping ] && echo "$pid"; done
}
replies() { [ "$(grep -c 'bytes from' "$TMP/ping4")" -ge "$1" ] && [ "$(grep -c 'bytes from' "$TMP/ping6")" -ge "$1" ]; }
ok "pings flow" wait_for 10 replies 20
for _ in 1 2 3; do ok "reload of the same file" adit reload "$TMP/$A.conf"; done
is "which changes nothing" "$(host)" "$one"
first "10.9.0.1/24, fd09::1/64, 10.9.7.1/32" "MTU = 1380"
ok "reload with another address and MTU" adit reload "$TMP/$A.conf"
is "it is followed" "$(on a cat "/sys/class/net/$A/mtu")" 1380
first
ok "and back" adit reload "$TMP/$A.conf"
ok "the pings went on all the while" wait_for 10 replies $(($(grep -c 'bytes from' "$TMP/ping4") + 20))
kill -INT $(sleeping)
wait_for 5 contains "$TMP/ping6" "packet loss"
is "not one ping was lost" "$(unanswered "$TMP/ping4")" ""
is "nor of IPv6" "$(unanswered "$TMP/ping6")" ""
is "none went in the clear" "$(leaked b)" 0
is "there was no new handshake" "$(handshake a "$A")" "$handshake"
is "rules and routes are what they were" "$(host)" "$one"

is "no router that a peer advertises is taken" "$(on a cat "/proc/sys/net/ipv6/conf/$A/accept_ra" "/proc/sys/net/ipv6/conf/$A/autoconf" | paste -sd ' ')" "0 0"

echo "# ---- a second one beside it"
second
ok "up, without a mark of its own in the file" adit up "$TMP/$A2.conf"
isnt "it has another mark than the first" "$(on a wg show "$A2" fwmark)" "$(on a wg show "$A" fwmark)"
ok "its peer is reached" reaches a 10.8.0.2
ok "the peer of the first still is" reaches a 10.9.0.2
ok "so is the internet, by one of them" pings a 203.0.113.1
isnt "both have a session: the endpoint of neither is swallowed by the other" "$(handshake a "$A") $(handshake a "$A2")" "0 0"
two=$(host)
ok "reload of the first" adit reload "$TMP/$A.conf"
ok "and of the second" adit reload "$TMP/$A2.conf"
is "change nothing" "$(host)" "$two"
ok "down of the second" adit down "$A2"
is "restores rules and routes to the letter" "$(host)" "$one"
ok "and the first works" pings a 203.0.113.1
ok "up again" adit up "$TMP/$A2.conf"
is "is as before" "$(host)" "$two"
ok "down of the first" adit down "$A"
ok "the second works: its peer" reaches a 10.8.0.2
ok "and the internet" reaches a 203.0.113.1
ok "down of the second" adit down "$A2"
is "nothing is left of either" "$(host)" "$untouched"
is "and nothing went in the clear" "$(leaked b) $(leaked c)" "0 0"
finish
