#!/bin/bash
# A lot of bytes, and not one of them changed.
#
#   a e0 192.0.2.1 ----- e0 192.0.2.2 b
#   tunnel 10.9.0.1, fd09::1 ===== tunnel 10.9.0.2, fd09::2
E2E_LIMIT=240
. "$(dirname "$0")/lib.sh"
needs iperf3 ping

spaces a b
cable a e0 192.0.2.1/24 b e0 192.0.2.2/24
keys a b
A=${LINK}a B=${LINK}b
daemon a "$A"
daemon b "$B"
must on a wg set "$A" private-key "$TMP/a.key" peer "$PUB_b" allowed-ips 10.9.0.2/32,fd09::2/128 endpoint 192.0.2.2:51820
must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips 10.9.0.1/32,fd09::1/128
address a "$A" 10.9.0.1/24,fd09::1/64
address b "$B" 10.9.0.2/24,fd09::2/64
ok "the link is up" reaches a 10.9.0.2

SIZE=$((100 << 20))
incoming b 10.9.0.2 7000
outgoing a 10.9.0.2 7000 $SIZE
ok "100 MiB from a to b" arrived 100
read -r bytes _ <"$TMP/received"
is "whole" "$bytes" $SIZE
incoming a 10.9.0.1 7001
outgoing b 10.9.0.1 7001 $SIZE
ok "100 MiB from b to a" arrived 100
incoming b fd09::2 7002
outgoing a fd09::2 7002 $SIZE
ok "100 MiB over IPv6" arrived 100

# Both directions at once, in the same second.
TMP_A=$TMP/there TMP_B=$TMP/back
mkdir "$TMP_A" "$TMP_B"
OLD=$TMP
TMP=$TMP_A incoming b 10.9.0.2 7003; ra=$RECEIVER
TMP=$TMP_B incoming a 10.9.0.1 7004; rb=$RECEIVER
TMP=$TMP_A outgoing a 10.9.0.2 7003 $SIZE; sa=$SENDER
TMP=$TMP_B outgoing b 10.9.0.1 7004 $SIZE; sb=$SENDER
RECEIVER=$ra SENDER=$sa TMP=$TMP_A ok "100 MiB there, while" arrived 100
RECEIVER=$rb SENDER=$sb TMP=$TMP_B ok "100 MiB come back" arrived 100
TMP=$OLD

GIB=$((1 << 30))
incoming b 10.9.0.2 7005
outgoing a 10.9.0.2 7005 $GIB
ok "1 GiB without a change of a byte" arrived 150
read -r bytes _ <"$TMP/received"
is "whole" "$bytes" $GIB

on b iperf3 -s -1 -B 10.9.0.2 >"$TMP/iperf.server" 2>&1 &
server=$!
listening() { on b ss -Hltn 'sport = :5201' | grep -q .; }
wait_for 5 listening || bail "iperf3 does not listen"
echo "# \$ iperf3 -c 10.9.0.2 -n 1G"
on a timeout 200 iperf3 -c 10.9.0.2 -n 1G -J >"$TMP/iperf.json" 2>&1
wait_for 5 dead $server
numbers() { $PYTHON -c 'import json, sys; e = json.load(open(sys.argv[1]))["end"]
print(e["sum_sent"]["bytes"], e["sum_received"]["bytes"], round(e["sum_received"]["bits_per_second"] / 1e6))' "$TMP/iperf.json"; }
read -r sent got rate <<<"$(numbers)"
echo "# $rate Mbit/s"
between "iperf3, for the rate: sends 1 GiB" "${sent:-0}" $((1 << 30)) $(((1 << 30) + (1 << 20)))
# At the end iperf3 does not read what is still on the way: that much its two counts may differ.
between "and it is received" "${got:-0}" $((${sent:-0} - (16 << 20))) "${sent:-0}"

# Each segment was checked by its TCP checksum when it left the tunnel.
for end in a b; do
        echo "# on $end: TCP segments in $(counter $end Tcp InSegs), retransmitted $(counter $end Tcp RetransSegs); UDP dropped $(counter $end Udp InErrors)"
        is "no segment came to $end with a bad checksum" "$(counter $end Tcp InCsumErrors) $(counter $end Tcp InErrs)" "0 0"
done
for end in a b; do
        link=${LINK}$end
        is "and the interface of $end counts no error" "$(on $end sh -c "cat /sys/class/net/$link/statistics/rx_errors /sys/class/net/$link/statistics/tx_errors" | paste -sd ' ')" "0 0"
done
finish
