#!/bin/bash
# An Adit that may upgrade sessions, and a peer that knows nothing of it: what they say is WireGuard's, packet by packet, as one
# sees who has the keys. All but a HELLO of ours, seldom.
#
#   a aditd, e0 192.0.2.1 ----- e0 192.0.2.2 b wireguard-go        a, with Upgrade = auto, begins
#   tunnel 10.9.0.1 =========== tunnel 10.9.0.2
#   c aditd, e0 192.0.2.1 ----- e0 192.0.2.2 d wireguard-go        d begins; preshared key
#   tunnel 10.9.0.1 =========== tunnel 10.9.0.2
# shellcheck disable=SC2154,SC2046
. "$(dirname "$0")/lib.sh"
needs wireguard-go ping tcpdump ethtool
[ -x "$ADIT" ] || bail "$ADIT is missing: make"

spaces a b c d
cable a e0 192.0.2.1/24 b e0 192.0.2.2/24
cable c e0 192.0.2.1/24 d e0 192.0.2.2/24
keys a b c d
psk cd
link() { echo "$LINK$1"; } # SPACE
for end in a b c d; do unbatched $end e0; done
for end in a c; do
        capture $end e0 "$TMP/$end.pcap" udp
        daemon_logged $end "$(link $end)" "$ADITD"
done
daemon b "$(link b)" wireguard-go
daemon d "$(link d)" wireguard-go
must on b wg set "$(link b)" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips 10.9.0.1/32,fd09::1/128
must on a wg set "$(link a)" private-key "$TMP/a.key" listen-port 51821 peer "$PUB_b" allowed-ips 10.9.0.2/32,fd09::2/128 endpoint 192.0.2.2:51820
must on c wg set "$(link c)" private-key "$TMP/c.key" listen-port 51821 peer "$PUB_d" preshared-key "$TMP/cd.psk" allowed-ips 10.9.0.2/32,fd09::2/128
must on d wg set "$(link d)" private-key "$TMP/d.key" listen-port 51820 peer "$PUB_c" preshared-key "$TMP/cd.psk" allowed-ips 10.9.0.1/32,fd09::1/128 endpoint 192.0.2.1:51821
for end in a c; do address $end "$(link $end)" 10.9.0.1/24,fd09::1/64; done
for end in b d; do address $end "$(link $end)" 10.9.0.2/24,fd09::2/64; done

handshakes() { opened "$TMP/$1.pcap" "$1" 192.0.2.1 "$2" "${@:3}"; grep -c ' response S' "$TMP/$1.pcap.txt"; } # of a or c
frames() { grep -Ec ' (HELLO|OFFER|ACCEPT)$' "$TMP/$1.pcap.txt"; }

echo "# ---- six sessions that a begins, with pings all the while"
ok "the first packet passes" pings a 10.9.0.2 1
on c ping -n -q -i 0.2 -W 3 10.9.0.2 >"$TMP/ping.c" 2>&1 & # an answer of c's own, too
ok "d begins" pings d 10.9.0.1 3
incoming b 10.9.0.2 7000
outgoing a 10.9.0.2 7000 $((2 << 20))
ok "2 MiB" arrived 30
incoming a fd09::1 7001
outgoing b fd09::1 7001 $((2 << 20))
ok "2 MiB back, over IPv6" arrived 30
on a ping -n -i 0.05 -W 3 10.9.0.2 >"$TMP/ping" 2>&1 & ping=$! # no sooner: what is full drops them, too
hello_of() { handshakes "$1" "$2" "${@:3}"; [ "$(frames "$1")" -ge 1 ]; }
ok "c, which answered, asks as well, by and by" wait_for 10 hello_of c "$PUB_d" "$TMP/cd.psk"
is "WireGuard's cipher, and why" "$(peer a "$(link a)" adit upgrade upgrade_state cipher kem)" "False|auto|no-answer|ChaCha20-Poly1305|None"
like "in words" "$(peer a "$(link a)" upgrade_reason)" "^no answer: not an Adit"

session() { # NUMBER: a's, soon, with packets both ways
        number=$1
        ok "session $1" wait_for 15 lively
}
lively() { [ "$(handshakes a "$PUB_b")" = $number ] && [ "$(awk -v s=S$number '$3 == s && $5 == "IPv4" { print $1 }' "$TMP/a.pcap.txt" | sort -u | wc -l)" = 2 ]; }
afresh() { # its session is gone, though nothing was configured
        must ip -n "${SPACE}a" link set "$(link a)" down
        must ip -n "${SPACE}a" link set "$(link a)" up
        runs a ping || on a ping -n -q -i 0.05 10.9.0.2 >/dev/null 2>&1 &
}
number=1
must on a "$ADIT" peer set "$(link a)" "$PUB_b" --post-quantum off # which makes a new handshake, 5 s after the last
session 2
must on a "$ADIT" peer set "$(link a)" "$PUB_b" --post-quantum auto
session 3
kill -INT $(running a ping)
wait $ping
is "no ping was lost in all this" "$(unanswered "$TMP/ping")" ""
afresh
session 4
afresh
session 5
must on b wg set "$(link b)" listen-port 51830 peer "$PUB_a" persistent-keepalive 1
moved() { on a wg show "$(link a)" endpoints | grep -q '192.0.2.2:51830$'; }
ok "b moves, and a follows" wait_for 5 moved
session 5
afresh
session 6
must on a wg set "$(link a)" listen-port 51822
followed() { on b wg show "$(link b)" endpoints | grep -q '192.0.2.1:51822$'; }
ok "a moves, and b follows" wait_for 5 followed
session 6
captured a "$TMP/a.pcap"
captured c "$TMP/c.pcap"

echo "# ---- what they said"
for end in a c; do
        seen=$TMP/$end.pcap.txt
        if [ $end = a ]; then peer=$PUB_b shared=''; else peer=$PUB_d shared=$TMP/cd.psk; fi
        ok "$end: the capture is opened" opened "$TMP/$end.pcap" $end 192.0.2.1 "$peer" $shared
        between "$end: packets, all of them seen" "$(grep -Ec ' (IPv4|IPv6)$' "$seen")" "$([ $end = a ] && echo 2000 || echo 10)" 1000000
        is "$end: all are handshakes, IP packets, empty ones, and HELLOs of ours" "$(grep -Evc '^(in|out) (initiation|response S[1-9]|cookie|data S[1-9] [0-9]+ (empty|IPv4|IPv6))$|^out data S[1-9] [0-9]+ HELLO$' "$seen")" 0
        is "$end: no counter was used twice" "$(awk '$2 == "data" { print $1, $3, $4 }' "$seen" | sort | uniq -d)" ""
        is "$end: a session begins with an IP packet or an empty one" "$(awk '$2 == "data" && !had[$3]++' "$seen" | grep -Evc ' (IPv4|IPv6|empty)$')" 0
        is "$end: and with its initiator's" "$(awk '$2 == "data" && !had[$3]++ { print $1 }' "$seen" | sort -u)" "$([ $end = a ] && echo out || echo in)"
        is "$end: one HELLO in a session at most" "$(grep ' HELLO$' "$seen" | cut -d' ' -f 3 | sort | uniq -d)" ""
done
is "a asks in three sessions, and once more when b is elsewhere" "$(awk '$5 == "HELLO" { print $3 }' "$TMP/a.pcap.txt" | paste -sd ' ')" "S1 S2 S3 S6"
is "c in its one" "$(awk '$5 == "HELLO" { print $3 }' "$TMP/c.pcap.txt")" S1
for end in a c; do # but those that came while there was no session
        is "no packet was bad: $end" "$(dropped $end "$(link $end)" | grep -Ev '^tx|^rx-(link-down|unknown-index) ')" ""
done
finish
