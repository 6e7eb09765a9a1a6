#!/bin/bash
# Two hosts and a tunnel between them, made with wireguard-go's calling way and `wg set`.
#
#   a                                    b
#   e0 192.0.2.1, 2001:db8::1  ------  e0 192.0.2.2, 2001:db8::2
#   tunnel 10.9.0.1, fd09::1   ======  tunnel 10.9.0.2, fd09::2
. "$(dirname "$0")/lib.sh"
needs ping

spaces a b
cable a e0 192.0.2.1/24,2001:db8::1/64 b e0 192.0.2.2/24,2001:db8::2/64
keys a b
A=${LINK}a B=${LINK}b

FOLDER=$(stat -c %a /var/run/wireguard 2>/dev/null) # another implementation may have made it, and differently
ok "aditd returns 0 on a" on a "$ADITD" "$A"
ok "the UAPI socket is there when it does" test -S "/var/run/wireguard/$A.sock"
ok "so is the interface" ip -n "${SPACE}a" link show "$A"
is "the directory of the socket is for all to enter, or left as it was" "$(stat -c %a /var/run/wireguard)" "${FOLDER:-755}"
is "the socket is root's alone" "$(stat -c '%A %U' "/var/run/wireguard/$A.sock" | cut -c 5-)" "------ root"
daemon b "$B"
not_ok "a second daemon for the same interface is refused" on a timeout 5 "$ADITD" "$A"
ok "and the first one is unharmed" on a wg show "$A"

must on a wg set "$A" private-key "$TMP/a.key" listen-port 51820 peer "$PUB_b" allowed-ips 10.9.0.2/32,fd09::2/128 endpoint 192.0.2.2:51820
must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips 10.9.0.1/32,fd09::1/128
address a "$A" 10.9.0.1/24,fd09::1/64
address b "$B" 10.9.0.2/24,fd09::2/64
is "no packet, no handshake" "$(handshake a "$A") $(handshake b "$B")" "0 0"

ok "v4 in v4, from a" pings a 10.9.0.2 5
ok "v4 in v4, from b, which learned where a is" pings b 10.9.0.1 5
ok "v6 in v4, from a" pings a fd09::2 5
ok "v6 in v4, from b" pings b fd09::1 5
is "b shows a's endpoint" "$(on b wg show "$B" endpoints)" "$PUB_a"$'\t'192.0.2.1:51820
now=$(date +%s)
between "the time of the handshake is about now, on a" "$(handshake a "$A")" $((now - 30)) "$now"
between "and on b" "$(handshake b "$B")" $((now - 30)) "$now"
read -r _ rx tx <<<"$(on a wg show "$A" transfer)"
between "a counted what it received" "$rx" 1000 100000
between "a counted what it sent" "$tx" 1000 100000

must on a wg set "$A" peer "$PUB_b" endpoint '[2001:db8::2]:51820'
ok "v4 in v6, from a" pings a 10.9.0.2 3
like "b follows to a's IPv6 address" "$(on b wg show "$B" endpoints)" '\[2001:db8::1\]:51820'
ok "v4 in v6, from b" pings b 10.9.0.1 3
ok "v6 in v6, from a" pings a fd09::2 3
ok "v6 in v6, from b" pings b fd09::1 3

(umask 077; wg genpsk >"$TMP/psk")
must on a wg set "$A" peer "$PUB_b" remove peer "$PUB_b" preshared-key "$TMP/psk" allowed-ips 10.9.0.2/32 endpoint 192.0.2.2:51820
ok "with the preshared key on one end only nothing passes" no_pings a 10.9.0.2
must on b wg set "$B" peer "$PUB_a" preshared-key "$TMP/psk"
ok "with it on both ends it does" reaches a 10.9.0.2

must ip -n "${SPACE}a" link set "$A" down
must ip -n "${SPACE}a" link set "$A" up
ok "down and up again, and it still works" reaches a 10.9.0.2

size() { on a ping -n -c 1 -W 2 -s "$1" 10.9.0.2; }
for bytes in 0 1 15 16 17 1372 1392 1393 8000 65507; do ok "a ping of $bytes bytes" size $bytes; done
finish
