#!/bin/bash
# Two offices, each behind its gateway, joined by `adit up` on both; everything is in the two files.
#
#   ha 192.168.1.2, fd01::2          net 192.0.2.254, 198.51.100.254              hb 192.168.2.2, fd02::2
#    |                              /                                \             |
#   lan 192.168.1.1, fd01::1  ga  e0 192.0.2.1          198.51.100.1 e0  gb   lan 192.168.2.1, fd02::1
#                             tunnel 10.9.0.1  =========  tunnel 10.9.0.2
. "$(dirname "$0")/lib.sh"
needs ping
[ -x "$ADIT" ] || bail "$ADIT is missing: make"

spaces ha ga net gb hb
cable ha lan 192.168.1.2/24,fd01::2/64 ga lan 192.168.1.1/24,fd01::1/64
cable hb lan 192.168.2.2/24,fd02::2/64 gb lan 192.168.2.1/24,fd02::1/64
cable ga e0 192.0.2.1/24 net ea 192.0.2.254/24
cable gb e0 198.51.100.1/24 net eb 198.51.100.254/24
for router in ga net gb; do forwarding $router; done
route ha default via 192.168.1.1
route ha default via fd01::1
route hb default via 192.168.2.1
route hb default via fd02::1
route ga default via 192.0.2.254
route gb default via 198.51.100.254
keys a b
psk ab
A=${LINK}a B=${LINK}b

write() { # FILE KEY PUBLIC ADDRESS NETS ENDPOINT NAME
        (umask 077; cat >"$TMP/$1.conf") <<-END
		# wg-quick's format
		[Interface]
		PrivateKey = $2
		ListenPort = 51820
		Address = $4/30

		[Peer]
		Name = $7
		PublicKey = $3
		PresharedKey = $(cat "$TMP/ab.psk")
		AllowedIPs = $5
		Endpoint = $6:51820
		END
}
write "$A" "$KEY_a" "$PUB_b" 10.9.0.1 "10.9.0.2/32, 192.168.2.0/24, fd02::/64" 198.51.100.1 berlin
write "$B" "$KEY_b" "$PUB_a" 10.9.0.2 "10.9.0.1/32, 192.168.1.0/24, fd01::/64" 192.0.2.1 porto
before=$(on ga ip route; on ga ip -6 route)

ok "the hosts do not reach each other yet" no_pings ha 192.168.2.2
ok "adit check likes the file" "$ADIT" check "$TMP/$A.conf"
ok "adit up in one office" on ga "$ADIT" up "$TMP/$A.conf"
ok "and in the other" on gb "$ADIT" up "$TMP/$B.conf"
ok "it returns when the link is there: with its address" sh -c "ip -n ${SPACE}ga address show $A | grep -q 'inet 10.9.0.1/30'"
like "and the routes" "$(ip -n "${SPACE}ga" route show dev "$A")" "^192\.168\.2\.0/24"
like "of IPv6 too" "$(ip -n "${SPACE}ga" -6 route show dev "$A")" "^fd02::/64"

ok "gateway to gateway" reaches ga 10.9.0.2
ok "host to host" reaches ha 192.168.2.2
ok "and back" pings hb 192.168.1.2
ok "by IPv6, though the net between has none" pings ha fd02::2
ok "and back" pings hb fd01::2
is "the way between is two gateways, not the net" "$(on ha ping -n -c 1 -W 2 192.168.2.2 | grep -o 'ttl=[0-9]*')" ttl=62
incoming hb 192.168.2.2 7000
outgoing ha 192.168.2.2 7000 $((16 << 20))
ok "16 MiB from host to host, through a path that is narrower than their own" arrived 60
incoming ha fd01::2 7000
outgoing hb fd01::2 7000 $((16 << 20))
ok "and back by IPv6" arrived 60

like "adit show knows the other office by its name" "$(on ga "$ADIT" show "$A")" "berlin +198\.51\.100\.1:51820 .* up"
not_ok "adit up once more is refused" on ga "$ADIT" up "$TMP/$A.conf"
ok "and the link lives" pings ha 192.168.2.2

ok "adit down in one office" on ga "$ADIT" down "$A"
is "its routes are what they were" "$(on ga ip route; on ga ip -6 route)" "$before"
not_ok "its interface is gone" ip -n "${SPACE}ga" link show "$A"
ok "the hosts do not reach each other any more" no_pings ha 192.168.2.2
ok "up again" on ga "$ADIT" up "$TMP/$A.conf"
ok "and the other office, which was up all the time, answers" reaches hb 192.168.1.2
ok "down in both: a" on ga "$ADIT" down "$A"
ok "and b" on gb "$ADIT" down "$B"
ok "no process is left" empty_of gb "$(basename "$ADITD")"
finish
