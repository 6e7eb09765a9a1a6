#!/bin/bash
# An endpoint given by name: not known yet, known later, moved, and with two addresses of which the first is dead.
#
#   a e0 192.0.2.1 (adit up, an /etc/hosts of its own) ----- e0 192.0.2.2, 192.0.2.3, 2001:db8::2 b (aditd)
#   tunnel 10.9.0.1  =======================================  tunnel 10.9.0.2
E2E_LIMIT=240
. "$(dirname "$0")/lib.sh"
needs ping
[ -x "$ADIT" ] || bail "$ADIT is missing: make"

spaces a b
cable a e0 192.0.2.1/24,2001:db8::1/64 b e0 192.0.2.2/24,192.0.2.3/24,2001:db8::2/64
keys a b
A=${LINK}a B=${LINK}b CONF=$TMP/${LINK}a.conf
daemon b "$B"
must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips 10.9.0.1/32
address b "$B" 10.9.0.2/24
(umask 077; cat >"$CONF") <<END
[Interface]
PrivateKey = $KEY_a
Address = 10.9.0.1/24

[Peer]
Name = berlin
PublicKey = $PUB_b
AllowedIPs = 10.9.0.2/32
Endpoint = berlin.example:51820
END
own_etc a true
# In place: what is bind-mounted is the folder, but a reader must never see half of it.
hosts() { echo "# /etc/hosts:${*/#/ berlin.example }"; { echo "127.0.0.1 localhost"; for ip in "$@"; do echo "$ip berlin.example"; done; } >"$TMP/hosts" && mv "$TMP/hosts" "$TMP/etc/hosts"; }
# A ping a second, as a user's traffic would be: it makes the handshakes that stay unanswered.
ip netns exec "${SPACE}a" sh -c 'while :; do ping -n -c 1 -W 1 10.9.0.2; sleep 0.5; done' >/dev/null 2>&1 &
soon() { wait_for "$1" on a ping -n -c 1 -W 1 10.9.0.2; } # SECONDS
endpoint() { on a wg show "$A" endpoints | cut -f 2; }

hosts
ok "a name that does not resolve is not fatal" own_etc a timeout 10 "$ADIT" up "$CONF"
is "its endpoint is not known" "$(endpoint)" "(none)"
like "adit says so" "$(on a "$ADIT" show "$A")" "name not resolved"
hosts 192.0.2.2
ok "known later, the link comes up by itself" soon 30
is "by that address" "$(endpoint)" 192.0.2.2:51820
like "adit shows it up" "$(on a "$ADIT" show "$A")" "berlin .* up"

echo "# b leaves its address: handshakes stay unanswered, and the name is asked for again"
must ip -n "${SPACE}b" address del 192.0.2.2/24 dev e0
must ip -n "${SPACE}b" address replace 192.0.2.3/24 dev e0
hosts 192.0.2.3
must on b wg set "$B" peer "$PUB_a" remove peer "$PUB_a" allowed-ips 10.9.0.1/32
ok "the name moved, and the link follows" soon 60
is "to the new address" "$(endpoint)" 192.0.2.3:51820

must on a "$ADIT" down "$A"
echo "# 192.0.2.9 is nobody"
hosts 192.0.2.9 192.0.2.3
ok "up by a name with two addresses, the first dead" own_etc a "$ADIT" up "$CONF"
ok "the other is tried in turn" soon 60
is "and works" "$(endpoint)" 192.0.2.3:51820

must on a "$ADIT" down "$A"
hosts 192.0.2.9 2001:db8::2
ok "up by a name with an IPv4 address that is dead, and an IPv6 address" own_etc a "$ADIT" up "$CONF"
ok "the other family is tried in turn" soon 60
is "and works" "$(endpoint)" '[2001:db8::2]:51820'
finish
