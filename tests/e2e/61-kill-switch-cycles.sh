#!/bin/bash
# CYCLES times up, reload, crash and restart, while a and its client c talk to the internet and rogue routes come and go: from the
# first `up` to the first `down` not one packet leaves in the clear. The topology is drawn in leaks.sh.
CYCLES=${CYCLES:-12}
E2E_LIMIT=${E2E_LIMIT:-$((60 + 5 * CYCLES))}
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/leaks.sh"
needs nft ping tcpdump
[ -x "$ADIT" ] || bail "$ADIT is missing: make"
world
far_end
untouched=$(on a nft list ruleset)

for address in "${INTERNET[@]}"; do ok "$address is reached" reaches a "$address"; done
watch_clear control
chatter
talked() { [ "$(stat -c %s "$TMP/control.pcap")" -gt 20000 ]; }
ok "a and c talk in the clear" wait_for 10 talked
hush
clear=$(in_clear control)
for address in "${INTERNET[@]}"; do like "to $address, DNS too" "$clear" "to $address protocol 17"; done

step() { # NAME COMMAND...: of many, so that only a failure is told
        "${@:2}" >"$TMP/out" 2>&1 || _verdict 1 "cycle $n: $1" "$(cat "$TMP/out")"
}
n=0
write
step "up" adit up "$TMP/$A.conf"
watch_clear cycles
chatter
wait_for 10 chatting || bail "nobody talks"
victims=(keeper tunnel both)
for n in $(seq "$CYCLES"); do
        [ $((n % 2)) = 0 ] || rogue add >/dev/null
        [ $((n % 2)) = 0 ] || step "behind rogue routes nothing is reached" not pings a 203.0.113.1
        [ $((n % 3)) = 0 ] && write "ExcludedIPs = 198.51.100.$n/32" || write "MTU = $((1280 + n % 100))"
        step "reload" adit reload "$TMP/$A.conf"
        step "crash of ${victims[n % 3]}" crash "${victims[n % 3]}"
        step "the kill switch is in force" locked
        [ $((n % 2)) = 0 ] || rogue delete >/dev/null
        step "up again" adit up "$TMP/$A.conf"
        step "the tunnel carries packets" reaches a 203.0.113.1
        [ $((n % 5)) != 0 ] || step "of the client too" on a ping -n -c 1 -W 2 2001:db8:113::1
done
for n in $(seq $((3 * CYCLES))); do # faster, one after the other
        write "ExcludedIPs = 198.51.100.$((n % 200))/32"
        step "reload" adit reload "$TMP/$A.conf"
done
is "each of $CYCLES cycles went through" "$FAILED" 0
hush
is "nothing left in the clear" "$(in_clear cycles)" ""
ok "down" adit down "$A"
ok "and then it does" pings a 203.0.113.1
is "and nothing of it is left" "$(on a nft list ruleset)" "$untouched"
finish
