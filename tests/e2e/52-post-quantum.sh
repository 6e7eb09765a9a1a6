#!/bin/bash
# PostQuantum = require: no packet without ML-KEM, or none at all. And AEGIS-256, where its longer tag has room. What is tested
# depends on what the programs have: aditd at a, and ADITD_PEER (ADITD if it is not set) at b.
#
#   a e0 192.0.2.1 ----- e0 192.0.2.2 b
#   tunnel 10.9.0.1 ==== tunnel 10.9.0.2
# shellcheck disable=SC2154,SC2046
. "$(dirname "$0")/lib.sh"
needs ping tcpdump ethtool
ADITD_PEER=$(realpath -m "${ADITD_PEER:-$ADITD}")
for file in "$ADIT" "$ADITD_PEER"; do [ -x "$file" ] || bail "$file is missing: make all tests"; done
COMM=$(basename "$ADITD")

spaces a b
cable a e0 192.0.2.1/24 b e0 192.0.2.2/24
keys a b
A=${LINK}a B=${LINK}b
link() { [ "$1" = a ] && echo "$A" || echo "$B"; }         # SPACE
program() { [ "$1" = a ] && echo "$ADITD" || echo "$ADITD_PEER"; } # SPACE
can() { has_mlkem "$(program "$1")"; }                     # SPACE
other() { [ "$1" = a ] && echo "$PUB_b" || echo "$PUB_a"; } # SPACE
up() { # MTU [VARIABLE=VALUE]
        local end
        for end in a b; do daemon_logged $end "$(link $end)" "$(program $end)" "${@:2}"; done
        must on a wg set "$A" private-key "$TMP/a.key" listen-port 51820 peer "$PUB_b" allowed-ips 10.9.0.2/32,fd09::2/128 endpoint 192.0.2.2:51820
        must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips 10.9.0.1/32,fd09::1/128 endpoint 192.0.2.1:51820
        for end in a b; do must ip -n "$SPACE$end" link set "$(link $end)" mtu "$1"; done
        address a "$A" 10.9.0.1/24,fd09::1/64
        address b "$B" 10.9.0.2/24,fd09::2/64
}
down() {
        local end
        for end in a b; do
                must ip -n "$SPACE$end" link delete "$(link $end)"
                wait_for 5 empty_of $end "$COMM" || bail "aditd does not end"
        done
}
asks() { on "$1" "$ADIT" peer set "$(link "$1")" "$(other "$1")" --post-quantum "$2"; } # SPACE VALUE
says() { peer "$1" "$(link "$1")" "${@:2}"; }              # SPACE FIELD...
is_now() { [ "$(says "$1" upgrade_state kem)" = "$2" ]; }  # SPACE STATE|KEM
soon() { # NAME SPACE STATE|KEM
        wait_for 20 is_now "$2" "$3"
        is "$1" "$(says "$2" upgrade_state kem)" "$3"
}
transfers() { # NAME
        incoming b 10.9.0.2 7000
        outgoing a 10.9.0.2 7000 $((4 << 20))
        ok "$1: 4 MiB" arrived 30
        incoming a fd09::1 7001
        outgoing b fd09::1 7001 $((4 << 20))
        ok "$1: 4 MiB back" arrived 30
}
burst() { on "$1" ping -q -n -f -c 300 -W 1 "$2" >/dev/null 2>&1; } # SPACE ADDRESS: more than may wait

echo "# ---- what a build cannot"
up 1420
ok "the link works" reaches a 10.9.0.2
for end in a b; do
        if can $end; then continue; fi
        not_ok "$end, without ML-KEM, refuses to require it" asks $end require
        like "and says why" "$(cat "$TMP/out")" "PostQuantum: 'require': this build of aditd has no ML-KEM"
        is "nothing was changed" "$(says $end post_quantum)" auto
        ok "the link still works" pings a 10.9.0.2
done
down

if can a && can b; then
        echo "# ---- both can"
        up 1420
        ok "the link works" reaches a 10.9.0.2
        soon "ML-KEM without being asked for" a "upgraded|ML-KEM-768"
        like "by whom" "$(says a kem_implementation)" "^[a-z]"
        must asks a require
        soon "a requires it" a "upgraded|ML-KEM-768"
        ok "pings" reaches a 10.9.0.2
        must asks b require
        soon "b, too" b "upgraded|ML-KEM-768"
        soon "and a agrees" a "upgraded|ML-KEM-768"
        transfers "both require ML-KEM"
        must asks b off
        soon "b may not use it any more: a says why there is no session" a "peer-has-no-kem|None"
        soon "and so does b" b "peer-requires-kem|None"
        not_ok "no packet passes" pings a 10.9.0.2 2
        must asks b auto
        soon "it may again" a "upgraded|ML-KEM-768"
        ok "and pings pass" reaches a 10.9.0.2
        down
else
        skip "both require ML-KEM" "a build without"
fi

if can a || can b; then
        end=a there=b
        can a || { end=b there=a; }
        echo "# ---- $end requires, $there $(can $there && echo may not || echo cannot)"
        up 1420
        ok "the link works" reaches a 10.9.0.2
        can $there && must asks $there off
        unbatched a e0
        unbatched b e0
        # Without a session, so that the next one's first packets are seen.
        capture a e0 "$TMP/e0.pcap" udp
        must asks $end require
        for one in a b; do must ip -n "$SPACE$one" link set "$(link $one)" down; done
        for one in a b; do must ip -n "$SPACE$one" link set "$(link $one)" up; done
        to=10.9.0.2 from=10.9.0.1
        [ $end = a ] || { to=10.9.0.1 from=10.9.0.2; }
        not_ok "no packet passes" pings $end $to 2
        soon "$end says why" $end "peer-has-no-kem|None"
        soon "and so does $there" $there "peer-requires-kem|None"
        like "in words" "$(says $end upgrade_reason)" "PostQuantum = require"
        burst $end $to
        like "those that waited for too long are counted" "$(dropped $end "$(link $end)")" '^tx-not-post-quantum [1-9]'
        not_ok "nor does one from the other side" pings $there $from 2
        burst $there $from
        like "where they wait, too" "$(dropped $there "$(link $there)")" '^tx-not-post-quantum [1-9]'
        seen=$TMP/e0.pcap.txt
        session_seen() { opened "$TMP/e0.pcap" a 192.0.2.1 "$PUB_b"; grep -q ' response S1' "$seen"; }
        ok "a session was there all the while" wait_for 10 session_seen
        captured a "$TMP/e0.pcap"
        ok "the capture is opened" opened "$TMP/e0.pcap" a 192.0.2.1 "$PUB_b"
        direction=out
        [ $end = a ] || direction=in
        is "of what $end sent, nothing was a user packet" "$(sed -n '/response S1/,$p' "$seen" | grep -Ec "^$direction data (S[0-9]+|C[0-9]+|-) [0-9]+ (IPv|sealed|other)")" 0
        between "but frames and empty packets" "$(grep -Ec "^$direction data S[0-9]+ [0-9]+ (HELLO|empty)" "$seen")" 1 1000
        must asks $end auto
        ok "without the requirement packets pass again" reaches $end $to
        can $there || soon "and the session is upgraded" $end "upgraded|None"
        down
else
        skip "one requires ML-KEM, the other has none" "no build with it"
fi

if has_aegis "$ADITD" && has_aegis "$ADITD_PEER"; then
        echo "# ---- AEGIS-256, and room for its tag; libsodium's own AES is slower"
        up 1420 ADIT_CIPHERS=libsodium
        ok "the link works" reaches a 10.9.0.2
        wait_for 10 is_now a "upgraded|$(says a kem)"
        isnt "with an MTU of 1420 it has none" "$(says a cipher)" AEGIS-256
        down
        up 1404 ADIT_CIPHERS=libsodium
        ok "the link works with an MTU of 1404" reaches a 10.9.0.2
        aegis() { [ "$(says a cipher)" = AEGIS-256 ] && [ "$(says b cipher)" = AEGIS-256 ]; }
        wait_for 10 aegis
        is "where it has" "$(says a cipher cipher_implementation upgrade_state)" "AEGIS-256|libsodium|upgraded"
        is "on both sides" "$(says b cipher cipher_implementation upgrade_state)" "AEGIS-256|libsodium|upgraded"
        capture a e0 "$TMP/e0.pcap" udp
        full() { [ "$(tcpdump -nr "$TMP/e0.pcap" 2>/dev/null | grep -c "UDP, length 1452$")" = 4 ]; }
        ok "a ping of the full MTU" on a ping -n -M "do" -c 2 -i 0.2 -W 2 -s 1376 10.9.0.2
        ok "is one datagram: 16, 1404, which is padded no further than the MTU, and a tag of 32" wait_for 5 full
        captured a "$TMP/e0.pcap"
        transfers AEGIS-256
        down
else
        skip "AEGIS-256" "a build without"
fi
finish
