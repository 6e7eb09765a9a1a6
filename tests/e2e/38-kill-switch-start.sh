#!/bin/bash
# A kill switch and names that cannot be looked up behind it; in force at boot, before there is a link; lifted after a crash; and
# two of them. The topology is drawn in leaks.sh; b is the name server, too.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/leaks.sh"
needs nft ping tcpdump
[ -x "$ADIT" ] || bail "$ADIT is missing: make"
world
far_end
A2=${LINK}x
own_etc a true
echo 'hosts: dns' >"$TMP/etc/nsswitch.conf"
printf 'nameserver 203.0.113.1\noptions timeout:1 attempts:1\n' >"$TMP/etc/resolv.conf"
there() { own_etc a "$@"; }
adit() { there "$ADIT" "$@"; }
zone() { printf '%s\n' "$@" >"$TMP/zone"; }
serve() {
        tool b nameserver 203.0.113.1 "$TMP/zone" 2>/dev/null &
        SERVER=$!
        disown
}
server() { for pid in $(pids b); do tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q 'tool.py nameserver' && echo "$pid"; done; }
serving() { [ -n "$(server)" ] && there getent hosts berlin.example; }
silence() { kill $(server); }
untouched=$(on a nft list ruleset)

echo "# ---- a name is looked up before it closes"
zone "192.0.2.2 berlin.example"
serve
ok "the name server answers" wait_for 5 serving
FILE=$A2 ENDPOINT=nowhere.example:51820 write
there "$ADIT" up "$TMP/$A2.conf" >"$TMP/nowhere" 2>&1 &
NOWHERE=$!
ENDPOINT=berlin.example:51820 write
not_ok "it cannot close before the name was ever known" there "$ADITD" --lock -c "$TMP/$A.conf"
like "and says so" "$(cat "$TMP/out")" "endpoint berlin.example: its address is not known yet"
is "nothing was changed" "$(on a nft list ruleset)" "$untouched"
ok "up" adit up "$TMP/$A.conf"
ok "the kill switch is in force" locked
ok "the tunnel works" reaches a 10.9.0.2
is "the address is kept" "$(cat "$TMP/lib/adit/$A.endpoints")" "berlin.example 192.0.2.2"
is "for root alone" "$(stat -c %a "$TMP/lib/adit/$A.endpoints")" 600
wait "$NOWHERE"
isnt "a name that nobody knows is an error, and nothing closes" "$?" 0
like "which names it" "$(cat "$TMP/nowhere")" "endpoint nowhere.example: its address cannot be looked up"
unlike "nor is there a table of that link" "$(on a nft list tables)" "$A2"

echo "# ---- after a crash no name server is reached but by the tunnel"
watch_clear crash
capture b "$B" "$TMP/asked.pcap" udp port 53
ok "SIGKILL to both" crash both
ok "up again, with the address that was kept" adit up "$TMP/$A.conf"
ok "it works" reaches a 10.9.0.2
asked() { [ "$(stat -c %s "$TMP/asked.pcap")" -gt 24 ]; }
ok "the name is looked up again, by the tunnel" wait_for 10 asked
silence
is "nothing left in the clear" "$(in_clear crash)" ""

echo "# ---- at boot: before there is a link"
ok "down" adit down "$A"
is "nothing is left" "$(on a nft list ruleset)" "$untouched"
ok "in force without the link" there "$ADITD" --lock -c "$TMP/$A.conf"
watch_clear boot
chatter
wait_for 5 chatting
ok "it is" locked
not_ok "there is no interface" ip -n "${SPACE}a" link show "$A"
for address in "${INTERNET[@]}"; do ok "nothing reaches $address" shut a "$address"; done
ok "again, which changes nothing" there "$ADITD" --lock -c "$TMP/$A.conf"
ok "up behind it, by the address that was kept" adit up "$TMP/$A.conf"
ok "it works" reaches a 203.0.113.1
ok "of a link that is up it is in force" there "$ADITD" --lock -c "$TMP/$A.conf"
hush
is "nothing left in the clear" "$(in_clear boot)" ""

echo "# ---- a second one"
keys second
daemon b "${LINK}y"
must on b wg set "${LINK}y" private-key "$TMP/second.key" listen-port 51821 peer "$PUB_a" allowed-ips 10.8.0.1/32
address b "${LINK}y" 10.8.0.2/24
FILE=$A2 ADDRESS=10.8.0.1/24 PEER=$PUB_second ALLOWED=10.8.0.0/24 ENDPOINT=192.0.2.2:51821 write
watch_clear second
chatter
ok "up" adit up "$TMP/$A2.conf"
ok "its peer is reached" reaches a 10.8.0.2
ok "the first one's still is" reaches a 10.9.0.2
marks() { on a nft list table inet "adit-lock-$1" | grep -c 'meta mark'; }
is "each lets the other's datagrams out" "$(marks "$A") $(marks "$A2")" "2 2"
ok "SIGKILL to the second" kill -KILL $(running a aditd | tail -n 2)
wait_for 5 gone "/proc/$(running a aditd | tail -n 1)/none"
ok "the first works" reaches a 203.0.113.1
hush
is "nothing left in the clear" "$(in_clear second)" ""

echo "# ---- lifted"
killed() { kill -KILL $(running a aditd) 2>/dev/null; empty_of a aditd; }
ok "all of them are killed" wait_for 5 killed
ok "down of a link that was killed" wait_for 5 adit down "$A"
unlike "lifts its kill switch" "$(on a nft list tables)" "adit-lock-$A\$"
like "that one alone" "$(on a nft list tables)" "adit-lock-$A2\$"
ok "and so does repair" adit repair "$A2"
is "nothing is left" "$(on a nft list ruleset)" "$untouched"
ok "and b is reached in the clear" pings a 203.0.113.1
sed -i '/KillSwitch/d' "$TMP/$A.conf"
ok "of a file without a kill switch none is put in force" there "$ADITD" --lock -c "$TMP/$A.conf"
is "(none is)" "$(on a nft list ruleset)" "$untouched"
finish
