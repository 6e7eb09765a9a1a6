#!/bin/bash
# Two Adits make their session a better one, and keep it through all that happens to a session. ADITD_PEER is the program at b and
# d, ADITD if it is not set: another build of it perhaps.
#
#   a e0 192.0.2.1 ----- e0 192.0.2.2 b      c e0 192.0.2.1 ----- e0 192.0.2.2 d    the same with Upgrade = off: how fast
#   tunnel 10.9.0.1 ==== tunnel 10.9.0.2     tunnel 10.9.0.1 ==== tunnel 10.9.0.2   WireGuard itself comes back
# shellcheck disable=SC2154,SC2046
E2E_LIMIT=180
. "$(dirname "$0")/lib.sh"
needs ping tcpdump ethtool
ADITD_PEER=$(realpath -m "${ADITD_PEER:-$ADITD}")
for file in "$ADIT" "$ADITD_PEER"; do [ -x "$file" ] || bail "$file is missing: make all tests"; done
COMM=$(basename "$ADITD")

spaces a b c d
cable a e0 192.0.2.1/24 b e0 192.0.2.2/24
cable c e0 192.0.2.1/24 d e0 192.0.2.2/24
keys a b c d
psk ab
A=${LINK}a B=${LINK}b
link() { echo "$LINK$1"; } # SPACE
set_b() { must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" preshared-key "$TMP/ab.psk" allowed-ips 10.9.0.1/32,fd09::1/128 endpoint 192.0.2.1:51821; }
set_d() { must on d wg set "$(link d)" private-key "$TMP/d.key" listen-port 51820 peer "$PUB_c" allowed-ips 10.9.0.1/32 endpoint 192.0.2.1:51821; }
policy() { must on "$1" "$ADIT" peer set "$(link "$1")" "$2" "${@:3}"; } # SPACE PEER OPTION...
off_d() { policy d "$PUB_c" --upgrade off; }

# What both say of the session; what they should.
now() { peer "$1" "$(link "$1")" adit upgrade_state cipher kem; } # SPACE
both_are() { [ "$(now a)" = "$1" ] && [ "$(now b)" = "$1" ]; }
agreed() { # NAME [SECONDS]: on both sides. 10 s after, the parent is gone, and even who never used the child does
        wait_for "${2:-15}" both_are "$UPGRADED"
        is "$1: upgraded, says a" "$(now a)" "$UPGRADED"
        is "$1: and so says b" "$(now b)" "$UPGRADED"
}

# ---- what they should agree on
KEM=None CIPHER=ChaCha20-Poly1305
has_mlkem "$ADITD" && has_mlkem "$ADITD_PEER" && KEM=ML-KEM-768
$PYTHON "$HERE/decrypt.py" can-aes && CIPHER=AES-256-GCM
echo "# $ADITD and $ADITD_PEER: $CIPHER, $KEM"

echo "# ---- the first session"
unbatched a e0
unbatched b e0
capture a e0 "$TMP/e0.pcap" udp
daemon_logged a "$A" "$ADITD"
daemon b "$B" "$ADITD_PEER"
must on a wg set "$A" private-key "$TMP/a.key" listen-port 51821 peer "$PUB_b" preshared-key "$TMP/ab.psk" allowed-ips 10.9.0.2/32,fd09::2/128 endpoint 192.0.2.2:51820
set_b
address a "$A" 10.9.0.1/24,fd09::1/64
address b "$B" 10.9.0.2/24,fd09::2/64
capture a "$A" "$TMP/tun.pcap"
ok "the first packet passes" pings a 10.9.0.2 1
upgraded() { [[ $(now a) = *upgraded* ]]; }
if has_aegis "$ADITD" && has_aegis "$ADITD_PEER"; then # whichever this machine is faster at
        wait_for 5 upgraded
        CIPHER=$(peer a "$A" cipher)
        like "a cipher that is better than WireGuard's" "$CIPHER" '^(AES-256-GCM|AEGIS-256)$'
fi
UPGRADED="True|upgraded|$CIPHER|$KEM"
agreed "the first session" 3
like "whose code it is, is told" "$(peer a "$A" cipher_implementation)" '^[a-z]'
like "adit show tells it, too" "$(on a "$ADIT" show "$A")" "$CIPHER"
SECRET=4144495441444954 # "ADITADIT", again and again
ok "pings with a known text" on a ping -n -c 5 -i 0.05 -W 2 -s 200 -p $SECRET 10.9.0.2
ok "over IPv6, from the other side" on b ping -n -c 5 -i 0.05 -W 2 -s 200 -p $SECRET fd09::1
incoming b 10.9.0.2 7000
outgoing a 10.9.0.2 7000 $((4 << 20))
ok "4 MiB" arrived 30
incoming a fd09::1 7001
outgoing b fd09::1 7001 $((4 << 20))
ok "4 MiB back, over IPv6" arrived 30

echo "# ---- a second one: they know each other by now"
first=$(handshake a "$A")
on a ping -n -i 0.02 -W 3 10.9.0.2 >"$TMP/ping" 2>&1 & ping=$!
policy a "$PUB_b" --post-quantum off
newer() { [ "$(handshake a "$A")" != "$first" ]; }
ok "a change of what is allowed makes a new session at once" wait_for 10 newer
KEM_BEFORE=$KEM KEM=None
UPGRADED="True|upgraded|$CIPHER|$KEM"
agreed "PostQuantum = off at a"
seen=$TMP/e0.pcap.txt
of() { awk -v s="$1" '$2 == "data" && $3 == s && $5 ~ /'"$2"'/ { print $1, $5 }' "$seen"; } # SESSION KINDS
open_it() { opened "$TMP/e0.pcap" a 192.0.2.1 "$PUB_b" "$TMP/ab.psk"; }
enough() { open_it && [ "$(of C2 . | wc -l)" -ge 20 ]; }
ok "pings in the second session's child, by one who knows a's keys" wait_for 15 enough
captured a "$TMP/e0.pcap" "$TMP/tun.pcap"

ok "the capture is opened" open_it
is "first of all, the handshake" "$(head -n 2 "$seen")" $'out initiation\nin response S1'
is "what S1 carries first is no frame" "$(awk '$3 == "S1" && $2 == "data" { print $1, $4, $5; exit }' "$seen")" "out 0 IPv4"
is "S1: a asks, b answers, a offers, b accepts" "$(of S1 '^[A-Z]+$' | uniq)" $'out HELLO\nin HELLO\nout OFFER\nin ACCEPT'
is "what S2 carries first is no frame" "$(awk '$3 == "S2" && $2 == "data" { print $1, $4, $5; exit }' "$seen")" "out 0 empty"
is "S2: a offers at once, b accepts" "$(of S2 '^[A-Z]+$' | uniq)" $'out OFFER\nin ACCEPT'
between "user packets on S1: the one ping that began it" "$(of S1 IPv | wc -l)" 1 2
is "and nothing else on either" "$(of 'S[12]' '' | grep -Evc 'empty|IPv4|HELLO|OFFER|ACCEPT')" 0
# Until a has heard that b still has the child of S1, which takes a packet there and back.
between "user packets on S2, with pings all the while: hardly any" "$(of S2 IPv | wc -l)" 0 5
opens='empty|IPv[46]'
[ "$KEM_BEFORE" = None ] && [ "$CIPHER" != AEGIS-256 ] || opens=sealed # what nobody opens who knows a's ephemeral keys alone
between "user packets on the child of S1, both ways" "$(of C1 "^($opens)$" | wc -l)" 2000 1000000
is "and nothing else on it" "$(of C1 '' | grep -Evc " ($opens)\$")" 0
is "the child of S2 goes without ML-KEM" "$(of C2 . | sort -u | grep -v empty)" "$([ "$CIPHER" = AEGIS-256 ] && printf 'in sealed\nout sealed' || printf 'in IPv4\nout IPv4')"
is "that no packet opens with keys of another session" "$(grep -c opens-it "$seen")" 0
is "no packet is of a session that nobody agreed on" "$(grep -Ec 'data - |of-another|forged|unasked|no-message' "$seen")" 0
is "no counter was used twice" "$(awk '$2 == "data" { print $1, $3, $4 }' "$seen" | sort | uniq -d)" ""
is "each receiver's index is of one session" "$(awk '$2 == "data" { print $1, $3 }' "$seen" | sort -u | wc -l)" 8
between "the known text is in what goes into the tunnel" "$(grep -ac ADITADITADIT "$TMP/tun.pcap")" 1 1000000
is "and not in what comes out of the host" "$(grep -ac ADITADIT "$TMP/e0.pcap")" 0

echo "# ---- off and on again on one side, with a transfer and pings on their way"
must on a ethtool -K e0 tx-udp-segmentation on
must on b ethtool -K e0 tx-udp-segmentation on
incoming b 10.9.0.2 7002
outgoing a 10.9.0.2 7002 $((400 << 20)) $((4 << 20)) "$TMP/enough"
wait_for 10 contains "$TMP/progress" "MiB 2"
policy b "$PUB_a" --upgrade off
without() { [[ $(peer a "$A" cipher upgrade_state) = "ChaCha20-Poly1305|"* ]] && [[ $(peer b "$B" cipher upgrade_state) = "ChaCha20-Poly1305|off" ]]; }
ok "Upgrade = off at b: soon it is a session of WireGuard's" wait_for 15 without
is "b says why" "$(peer b "$B" upgrade upgrade_state upgrade_reason)" "off|off|Upgrade = off"
reason() { peer a "$A" upgrade_state upgrade_reason; }
told() { [[ $(reason) = "no-answer|"* || $(reason) = "silent|"* ]]; }
ok "and so does a" wait_for 10 told
like "in words" "$(reason)" '^(no-answer|silent)\|no answer'
policy b "$PUB_a" --upgrade auto
agreed "and on again"
policy a "$PUB_b" --post-quantum auto
KEM=$KEM_BEFORE UPGRADED="True|upgraded|$CIPHER|$KEM_BEFORE"
agreed "PostQuantum = auto at a again"

is "no ping was lost in all this" "$(unanswered "$TMP/ping")" ""

echo "# ---- a changes its port"
before=$(handshake a "$A")
must on a wg set "$A" listen-port 51822
moved() { on b wg show "$B" endpoints | grep -q '192.0.2.1:51822$'; }
ok "b follows" wait_for 5 moved
is "in the same session" "$(handshake a "$A")" "$before"
agreed "after the move"
at=$(grep -c MiB "$TMP/progress")
more() { [ "$(grep -c MiB "$TMP/progress")" -gt $((at + 2)) ]; }
ok "the transfer goes on" wait_for 10 more
ok "it has not ended in all this" not dead "$SENDER"
touch "$TMP/enough"
ok "and all of it was right" arrived 30
kill -INT $(running a ping)
wait "$ping"
between "nor since then, but what was on its way to the old port" "$(unanswered "$TMP/ping" | wc -l)" 0 1
must on a wg set "$A" listen-port 51821

echo "# ---- b starts anew: as soon as without an upgrade"
for end in c d; do
        daemon $end "$(link $end)" "$([ $end = c ] && echo "$ADITD" || echo "$ADITD_PEER")"
done
must on c wg set "$(link c)" private-key "$TMP/c.key" listen-port 51821 peer "$PUB_d" allowed-ips 10.9.0.2/32 endpoint 192.0.2.2:51820
set_d
policy c "$PUB_d" --upgrade off
off_d
address c "$(link c)" 10.9.0.1/24
address d "$(link d)" 10.9.0.2/24
ok "Upgrade = off on both sides" pings c 10.9.0.2 2
is "is WireGuard's session" "$(peer c "$(link c)" cipher upgrade_state) $(peer d "$(link d)" cipher upgrade_state)" "ChaCha20-Poly1305|off ChaCha20-Poly1305|off"

restart() { # SPACE PROGRAM
        must ip -n "$SPACE$1" link delete "$(link "$1")"
        wait_for 5 empty_of "$1" "$COMM" || bail "aditd does not end"
        daemon "$1" "$(link "$1")" "$2"
        "set_$1"
        [ "$1" = b ] || off_d
        address "$1" "$(link "$1")" 10.9.0.2/24
}
# The first answer to a ping that a or c sends 5 times a second, from now on, in ms.
until_answered() { # SPACE FILE
        local start
        start=$(date +%s%3N)
        reaches_within 40 "$1" && echo $(($(date +%s%3N) - start)) >"$2"
}
reaches_within() { # SECONDS SPACE
        local end=$((SECONDS + $1))
        until on "$2" ping -n -c 1 -W 0.2 10.9.0.2 >/dev/null 2>&1; do
                [ $SECONDS -lt $end ] || return 1
        done
}
restart b "$ADITD_PEER"
restart d "$ADITD_PEER"
until_answered a "$TMP/back.a" & waiting=$!
until_answered c "$TMP/back.c"
wait $waiting
between "b waits to be spoken to: back, ms later than without" $(($(cat "$TMP/back.a") - $(cat "$TMP/back.c"))) -20000 3000
agreed "a session with the new b"
restart b "$ADITD_PEER"
ok "b speaks first: a hears it at once" on b ping -n -c 2 -i 0.2 -W 2 10.9.0.1
agreed "a session that b began"
incoming b 10.9.0.2 7003
outgoing a 10.9.0.2 7003 $((4 << 20))
ok "4 MiB in it" arrived 30
for end in a b; do # b knows nothing of the session that it had before
        is "nothing else was dropped in all this: $end" "$(dropped $end "$(link $end)" | grep -v '^rx-unknown-index ')" ""
done
finish
