#!/bin/bash
# An endpoint given by name: not known yet, known later, moved, with two addresses of which the first is dead, asked of a
# name server that does not answer, taken away and given back; and one given by an address with a scope by name.
#
#   a e0 192.0.2.1 (adit up, an /etc/hosts of its own) ----- e0 192.0.2.2, 192.0.2.3, 2001:db8::2 b (aditd)
#   tunnel 10.9.0.1  =======================================  tunnel 10.9.0.2
E2E_LIMIT=400
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

must on a "$ADIT" down "$A"

echo "# ---- reload gives back what wg took"
hosts 192.0.2.3
ok "up by name" own_etc a "$ADIT" up "$CONF"
ok "works" soon 30
must on a wg set "$A" peer "$PUB_b" remove
is "wg removed the peer" "$(endpoint)" ""
ok "reload" own_etc a "$ADIT" reload "$CONF"
given_back() { [ "$(endpoint)" = 192.0.2.3:51820 ]; }
ok "the peer is back with what its name resolves to" wait_for 5 given_back
ok "and works" soon 30
must on a "$ADIT" down "$A"

echo "# ---- a scope by the name of its interface"
address b e0 fe80::2/64
sed 's/^Endpoint = .*/Endpoint = [fe80::2%e0]:51820/' "$CONF" >"$TMP/scope.conf" && chmod 600 "$TMP/scope.conf" && mv "$TMP/scope.conf" "$TMP/etc/$A.conf"
ok "Endpoint = [fe80::2%e0]:51820" own_etc a "$ADIT" up "/etc/$A.conf"
ok "works" soon 30
like "wg shows it" "$(endpoint)" '^\[fe80::2%(e0|[0-9]+)\]:51820$'
ok "a ping of its own" pings a 10.9.0.2
must on a "$ADIT" down "$A"

echo "# ---- a name server that swallows what it is asked, for 20 s"
hosts
: >"$TMP/zone"
must ip -n "${SPACE}a" address add 127.0.0.53/32 dev lo
tool a nameserver 127.0.0.53 "$TMP/zone" 2>"$TMP/dns" &
wait_for 5 contains "$TMP/dns" listening || bail "name server: $(cat "$TMP/dns")"
echo "hosts: files dns" >"$TMP/etc/nsswitch.conf"
printf '%s\n' "nameserver 127.0.0.53" "options timeout:20 attempts:1" >"$TMP/etc/resolv.conf"
COMM=$(basename "$ADITD")
asked() { contains "$TMP/dns" "^query berlin\.example"; }
port_taken() { on a ss -Hlun "sport = :$1" | grep -q .; } # PORT
port_free() { ! port_taken "$1"; }
keeper() { # the one that is the other's parent
        local pid parent
        for pid in $(running a "$COMM"); do
                parent=$(awk '$1 == "PPid:" { print $2 }' "/proc/$pid/status")
                running a "$COMM" | grep -Fx "$parent" && return
        done
}
ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; } # PID: user and system time, in 1/100 s
milliseconds() { local start=${EPOCHREALTIME/./}; "$@" >"$TMP/out" 2>&1 || echo "failed: $(cat "$TMP/out")" >&2; echo $(((${EPOCHREALTIME/./} - start) / 1000)); }

between "up does not wait for it (ms)" "$(milliseconds own_etc a "$ADIT" up "$CONF")" 0 5000
ok "the name is asked for" wait_for 5 asked
KEEPER=$(keeper | head -n 1)
before=$(ticks "$KEEPER")
echo "# nothing happens for 3 s"; sleep 3
between "the keeper uses nearly no CPU meanwhile (1/100 s)" $(($(ticks "$KEEPER") - before)) 0 20
between "reload does not wait either (ms)" "$(milliseconds own_etc a "$ADIT" reload "$CONF")" 0 3000
for _ in 1 2 3 4 5; do must own_etc a "$ADIT" reload "$CONF"; done
few() { [ "$(running a "$COMM" | wc -l)" -le 3 ]; }
ok "each reload ends the one before: keeper, tunnel, a resolver" wait_for 2 few
like "nor show" "$(on a timeout 3 "$ADIT" show "$A")" "name not resolved"
port=$(on a wg show "$A" listen-port)
ok "port $port is ours" port_taken "$port"
must on a wg set "$A" listen-port 51999
ok "another port is ours at once" wait_for 1 port_taken 51999
ok "and the old one is free, whoever resolves" wait_for 1 port_free "$port"
between "down does not wait (ms)" "$(milliseconds on a "$ADIT" down "$A")" 0 2000
ok "nothing is left: no process," wait_for 1 empty_of a "$COMM"
ok "no interface," wait_for 1 not ip -n "${SPACE}a" link show "$A"
ok "no port" wait_for 1 port_free 51999

: >"$TMP/dns"
printf '%s\n' "nameserver 127.0.0.53" "options timeout:3 attempts:1" >"$TMP/etc/resolv.conf"
must own_etc a "$ADIT" up "$CONF"
ok "up again: the name is asked for" wait_for 5 asked
echo "# the name appears: 192.0.2.3"
echo "192.0.2.3 berlin.example" >"$TMP/zone"
ok "and the link comes up by itself" soon 30
is "by what the name server said" "$(endpoint)" 192.0.2.3:51820
finish
