#!/bin/bash
# Reloads under traffic: what is not changed does not notice, what is takes effect, and a broken file changes nothing.
#
#   a e0 192.0.2.1 ------- e0 192.0.2.2 b
#   tunnel 10.9.0.1 ==== 10.9.0.2 b (the peer that has the traffic)          the other peers of a are never there
#
# All of it in a mount namespace with a /var/lib of its own, for the DNS.
if [ -z "${OWN_MOUNTS:-}" ]; then OWN_MOUNTS=1 exec unshare -m --propagation private bash "$0" "$@"; fi
. "$(dirname "$0")/lib.sh"
needs ping iperf3
must mount -t tmpfs tmpfs /var/lib
[ -x "$ADIT" ] || bail "$ADIT is missing: make"

spaces a b
cable a e0 192.0.2.1/24 b e0 192.0.2.2/24
keys a a2 b c d
psk one
psk two
A=${LINK}a B=${LINK}b CONF=$TMP/${LINK}a.conf
daemon b "$B"
must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" preshared-key "$TMP/one.psk" allowed-ips 10.9.0.1/32
address b "$B" 10.9.0.2/24
adit() { own_etc a "$ADIT" "$@"; }

# The Nth of files that differ in all but the peer that has the traffic.
write() { # N [INTERFACE-LINE]...; KEY, PSK: others than the first
        (umask 077; cat >"$CONF.new") <<-END
		[Interface]
		PrivateKey = ${KEY:-$KEY_a}
		Address = 10.9.0.1/24$([ $(($1 % 3)) != 1 ] || echo ", 10.9.$(($1 % 200 + 1)).1/32")
		$([ $(($1 % 4)) = 3 ] || echo "DNS = 10.9.0.$(($1 % 5 + 2)), net$1.example")
		$([ $# = 1 ] || printf '%s\n' "${@:2}")
		[Peer]
		PublicKey = $PUB_b
		PresharedKey = $(cat "$TMP/${PSK:-one}.psk")
		AllowedIPs = 10.9.0.2/32
		Endpoint = 192.0.2.2:51820
		[Peer]
		PublicKey = $PUB_c
		AllowedIPs = 10.1.0.0/16, 10.2.$(($1 % 250)).0/24
	END
        [ $(($1 % 2)) = 0 ] || cat >>"$CONF.new" <<-END
		[Peer]
		PublicKey = $PUB_d
		AllowedIPs = 10.3.0.0/16
		Endpoint = 192.0.2.2:$((10000 + $1))
	END
        mv "$CONF.new" "$CONF"
}
routes() { ip -n "${SPACE}a" route show dev "$A"; }
state() { ip -n "${SPACE}a" -o address show dev "$A" | awk '{ print $4 }' | grep -v ^fe80; routes; on a wg showconf "$A"; on a cat "/sys/class/net/$A/mtu"; }

write 0
must adit up "$CONF"
reaches a 10.9.0.2 || bail "no session"
handshake=$(handshake a "$A")
same_session() { is "$1: the session is the same" "$(handshake a "$A")" "$handshake"; }

echo "# ---- 50 reloads and more, under TCP and UDP"
for port in 5201 5202; do on b iperf3 -s -1 -p $port >"$TMP/server$port" 2>&1 & done
listening() { [ "$(on b ss -Hltn | grep -c ':520[12]\b')" = 2 ]; }
wait_for 5 listening || bail "iperf3 -s: $(cat "$TMP"/server*)"
duration=$([ -z "${ADIT_SANITIZE:-}" ] && echo 6 || echo 20)
# What the kernel dropped for want of room, as when this machine gives a process no time: no reload's doing.
overrun() { echo $(($(counter a Udp RcvbufErrors) + $(counter b Udp RcvbufErrors) + $(on a cat "/sys/class/net/$A/statistics/tx_dropped") + $(on b cat "/sys/class/net/$B/statistics/tx_dropped"))); }
before=$(overrun)
on a iperf3 -c 10.9.0.2 -p 5201 -t "$duration" -b 40M -J >"$TMP/tcp" 2>&1 &
tcp=$!
on a iperf3 -c 10.9.0.2 -p 5202 -t "$duration" -u -b 20M -l 1200 -J >"$TMP/udp" 2>&1 &
udp=$!
reloads=0 failed=0
while ! dead $udp && ! dead $tcp; do
        reloads=$((reloads + 1))
        write $reloads
        adit reload "$CONF" >"$TMP/out" 2>&1 || { failed=$((failed + 1)); diag "$(cat "$TMP/out")"; }
done
wait_for 15 dead $tcp; wait_for 15 dead $udp
field() { $PYTHON -c 'import json, sys
at = json.load(open(sys.argv[1]))
for name in sys.argv[2].split("."): at = at[name]
print(int(at))' "$TMP/$1" "$2" 2>&1 | tail -n 1; }
echo "# $reloads reloads in $duration seconds"
is "not one reload failed" "$failed" 0
between "there were 50 at least" "$reloads" 50 100000
ok "the TCP connection was there to the end" wait $tcp
between "and had its rate: MB" "$(($(field tcp end.sum_received.bytes) / 1000000))" $((duration * 4)) $((duration * 6))
ok "UDP, too" wait $udp
lost=$(field udp end.sum.lost_packets) room=$(($(overrun) - before))
echo "# $(field udp end.sum.packets) datagrams; $lost lost, of $room in all that the kernel had no room for"
between "not a datagram was lost" "$lost" 0 "$room"
is "the last file is what there is" "$(on a wg show "$A" allowed-ips | grep -F "$PUB_c")" "$PUB_c"$'\t'"10.1.0.0/16 10.2.$((reloads % 250)).0/24"
is "of routes, too" "$(routes | awk '/^10.2/ { print $1 }')" "10.2.$((reloads % 250)).0/24"
same_session "and all the while"

echo "# ---- a key is changed, while pings flow"
pinging() { [ "$(grep -c 'bytes from' "$TMP/pings")" -ge "$1" ]; }
: >"$TMP/pings"
on a ping -n -i 0.01 -W 2 10.9.0.2 >"$TMP/pings" 2>&1 &
more_pings() { ok "$1: pings flow on" wait_for 10 pinging $(($(grep -c 'bytes from' "$TMP/pings") + 20)); }
more_pings "before"
PSK=two write 0
ok "another preshared key here" adit reload "$CONF"
like "(it is set)" "$(on a wg show "$A" preshared-keys)" "$(sed 's/[+]/[+]/g' "$TMP/two.psk")"
more_pings "the old one there"
ok "and there" on b wg set "$B" peer "$PUB_a" preshared-key "$TMP/two.psk"
more_pings "both have it"
same_session "for it is of the next one"
PSK=two KEY=$KEY_a2 write 0
ok "another private key" adit reload "$CONF"
is "(it is set)" "$(on a wg show "$A" public-key)" "$PUB_a2"
more_pings "which the other end does not know"
same_session "for it is of the next one, too"

echo "# ---- broken files"
state=$(state)
cp "$CONF" "$TMP/good"
for line in "Address = 10.9.0.1/33" "Colour = blue" "MTU = 12" "ListenPort = 70000"; do
        PSK=two KEY=$KEY_a2 write 5 "$line"
        not_ok "$line: not reloaded" adit reload "$CONF"
        like "(with the line and the reason)" "$(cat "$TMP/out")" "$A.conf:[0-9]+:[0-9]+: "
done
# A file that is right, but cannot be carried out: its last route is there already, by another way.
must ip -n "${SPACE}a" route add 10.3.0.0/16 via 192.0.2.2
PSK=two KEY=$KEY_a2 write 5
not_ok "a route that is taken: not reloaded" adit reload "$CONF"
like "(with the step)" "$(cat "$TMP/out")" "route 10.3.0.0/16 .*File exists"
must ip -n "${SPACE}a" route delete 10.3.0.0/16
is "nothing was changed" "$(state)" "$state"
more_pings "after them"
same_session "and"

echo "# ---- SIGHUP, and another port"
cp "$TMP/good" "$CONF"
PSK=two KEY=$KEY_a2 write 7 "ListenPort = 51999"
keeper=$(running a "$(basename "$ADITD")" | head -n 1)
kill -HUP "$keeper"
has_port() { [ "$(on a wg show "$A" listen-port)" = "$1" ]; }
ok "SIGHUP: the file is read" wait_for 5 has_port 51999
ok "(with its routes)" wait_for 5 eval 'routes | grep -q ^10.2.7.0/24'
more_pings "from another port"
same_session "and"
kill -INT $(running a ping)
wait_for 5 contains "$TMP/pings" "packet loss"
lost=$(sed -n 's/^\([0-9]*\) packets transmitted, \([0-9]*\) received.*/\1 \2/p' "$TMP/pings" | awk '{ print $1 - $2 }')
between "of all pings two at most were lost: those on their way to the port that was" "$lost" 0 2

echo "# ---- the next handshake"
anew() { # PUBLIC-KEY PSK: as b that knows a by these, and calls
        must on b wg set "$B" peer "$PUB_a" remove
        must on b wg set "$B" peer "$PUB_a2" remove
        must on b wg set "$B" peer "$1" preshared-key "$TMP/$2.psk" allowed-ips 10.9.0.1/32 endpoint 192.0.2.1:51999 persistent-keepalive 1
}
drops() { dropped "$1" "$2" | awk '{ n += $2 } END { print n + 0 }'; }
refused() { [ "$(drops "$1" "$2")" -gt "$3" ]; }
count=$(drops b "$B")
anew "$PUB_a2" one
ok "with the old preshared key it fails" wait_for 8 refused b "$B" "$count"
is "(there is none)" "$(handshake b "$B")" 0
count=$(drops a "$A")
anew "$PUB_a" two
ok "with the old public key, too" wait_for 8 refused a "$A" "$count"
is "(there is none)" "$(handshake b "$B")" 0
anew "$PUB_a2" two
ok "with the new ones it works" reaches b 10.9.0.1
finish
