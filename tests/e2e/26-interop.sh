#!/bin/bash
# aditd and wireguard-go as each other's peer, through a rekey (REKEY_AFTER_TIME, 120 s), traffic in both directions all the time.
# Four pairs of hosts at once, i0-r0 to i3-r3:
#
#   iN e0 192.0.2.1 ----- e0 192.0.2.2 rN       0: aditd begins          1: aditd begins, preshared key
#   tunnel 10.9.0.1 ===== tunnel 10.9.0.2       2: wireguard-go begins   3: wireguard-go begins, preshared key
# shellcheck disable=SC2034
E2E_LIMIT=300
. "$(dirname "$0")/lib.sh"
needs wireguard-go ping

PAIRS=(0 1 2 3)
begins=("$ADITD" "$ADITD" wireguard-go wireguard-go)
answers=(wireguard-go wireguard-go "$ADITD" "$ADITD")
keyed=(0 1 0 1)
name() { [ ${keyed[$1]} = 1 ] && key=", preshared key"; echo "$(basename "${begins[$1]}") to $(basename "${answers[$1]}")${key:-}"; }
psk ir

for n in "${PAIRS[@]}"; do
        spaces i$n r$n
        cable i$n e0 192.0.2.1/24 r$n e0 192.0.2.2/24
        keys i r
        shared=()
        [ ${keyed[n]} = 0 ] || shared=(preshared-key "$TMP/ir.psk")
        I=${LINK}i$n R=${LINK}r$n
        daemon i$n "$I" "${begins[n]}"
        daemon r$n "$R" "${answers[n]}"
        # Only i knows where the other is, so that it is the one that begins.
        must on i$n wg set "$I" private-key "$TMP/i.key" peer "$PUB_r" "${shared[@]}" allowed-ips 10.9.0.2/32,fd09::2/128 endpoint 192.0.2.2:51820
        must on r$n wg set "$R" private-key "$TMP/r.key" listen-port 51820 peer "$PUB_i" "${shared[@]}" allowed-ips 10.9.0.1/32,fd09::1/128
        address i$n "$I" 10.9.0.1/24,fd09::1/64
        address r$n "$R" 10.9.0.2/24,fd09::2/64
done

for n in "${PAIRS[@]}"; do
        ok "$(name $n): the first handshake" pings i$n 10.9.0.2
        first_i[n]=$(handshake i$n "${LINK}i$n")
        first_r[n]=$(handshake r$n "${LINK}r$n")
done
for n in "${PAIRS[@]}"; do
        ok "$(name $n): IPv6, back" pings r$n fd09::1 3
        incoming r$n 10.9.0.2 7000
        outgoing i$n 10.9.0.2 7000 $((8 << 20))
        ok "$(name $n): 8 MiB" arrived 30
        incoming i$n 10.9.0.1 7000
        outgoing r$n 10.9.0.1 7000 $((8 << 20))
        ok "$(name $n): 8 MiB back" arrived 30
done

# Pings until well after the rekey; each of them is answered.
COUNT=640
echo "# \$ ping -i 0.2 -c $COUNT, from both ends of each pair"
waiting=()
for n in "${PAIRS[@]}"; do
        on i$n ping -q -n -i 0.2 -c $COUNT -W 3 10.9.0.2 >"$TMP/ping.i$n" 2>&1 & waiting+=($!)
        on r$n ping -q -n -i 0.2 -c $COUNT -W 3 10.9.0.1 >"$TMP/ping.r$n" 2>&1 & waiting+=($!)
done
wait "${waiting[@]}"

for n in "${PAIRS[@]}"; do
        for end in i r; do
                like "$(name $n): no ping from $end was lost" "$(cat "$TMP/ping.$end$n")" "$COUNT packets transmitted, $COUNT received, 0% packet loss"
        done
        between "$(name $n): a second handshake after REKEY_AFTER_TIME, seen by i" $(($(handshake i$n "${LINK}i$n") - first_i[n])) 119 132
        between "$(name $n): and by r" $(($(handshake r$n "${LINK}r$n") - first_r[n])) 119 132
done
finish
