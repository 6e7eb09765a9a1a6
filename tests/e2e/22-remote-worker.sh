#!/bin/bash
# A laptop behind two NATs, the office network and a mobile one, and its server with a fixed address. The server reaches
# mobile's NAT by another link than its own address is on: its answers must leave with the address that was spoken to.
#
#             10.1.0.1  office  192.0.2.2 ---- e0 192.0.2.1
#   laptop  <          (masquerade)                          server    tunnel 10.9.0.2 laptop, 10.9.0.1 server
#             10.2.0.1  mobile  198.51.100.2 - e1 198.51.100.1
. "$(dirname "$0")/lib.sh"
needs nft ping

spaces laptop office mobile server
cable laptop e0 10.1.0.2/24 office in 10.1.0.1/24
cable laptop e1 10.2.0.2/24 mobile in 10.2.0.1/24
cable office out 192.0.2.2/24 server e0 192.0.2.1/24
cable mobile out 198.51.100.2/24 server e1 198.51.100.1/24
route mobile 192.0.2.1 via 198.51.100.1
for nat in office mobile; do
        forwarding $nat
        must on $nat nft 'table ip nat { chain out { type nat hook postrouting priority 100; oifname out masquerade random; }; }'
        # A NAT that forgets in two seconds, so that nobody has to wait for long.
        must on $nat sysctl -qw net.netfilter.nf_conntrack_udp_timeout=2 net.netfilter.nf_conntrack_udp_timeout_stream=2
done
route laptop default via 10.1.0.1

keys laptop server
L=${LINK}l S=${LINK}s
daemon laptop "$L"
daemon server "$S"
must on laptop wg set "$L" private-key "$TMP/laptop.key" peer "$PUB_server" allowed-ips 10.9.0.0/24 endpoint 192.0.2.1:51820
must on server wg set "$S" private-key "$TMP/server.key" listen-port 51820 peer "$PUB_laptop" allowed-ips 10.9.0.2/32
address laptop "$L" 10.9.0.2/24
address server "$S" 10.9.0.1/24
endpoint() { on server wg show "$S" endpoints | cut -f 2; }

ok "the laptop reaches the server through its NAT" pings laptop 10.9.0.1 3
like "which sees the NAT's address" "$(endpoint)" '^192\.0\.2\.2:'
ok "and can answer and ask" pings server 10.9.0.2 3

# The condition is that time passed: longer than the NAT remembers, on a link with nothing to say.
idle() { echo "# nothing is said for $1 s"; sleep "$1"; }
idle 3
ok "without keepalives the NAT forgets, and the server cannot reach the laptop" no_pings server 10.9.0.2
must on laptop wg set "$L" peer "$PUB_server" persistent-keepalive 1
ok "setting a keepalive sends one at once, or within its interval" wait_for 5 on server ping -n -c 1 -W 1 10.9.0.2
idle 5
ok "with it the NAT's mapping stays, and the server reaches the laptop" pings server 10.9.0.2 3

seen_at() { [[ $(endpoint) == "$1":* ]]; }

before=$(handshake laptop "$L")
echo "# up: 12 MiB at 4 MiB/s; at the fourth the office's link and address are gone, and the mobile network takes over"
incoming server 10.9.0.1 7000
outgoing laptop 10.9.0.1 7000 $((12 << 20)) $((4 << 20))
ok "a transfer to the server is on its way" wait_for 20 progress "4|5|6"
must ip -n "${SPACE}laptop" route replace default via 10.2.0.1
must ip -n "${SPACE}laptop" address flush dev e0
ok "the server finds the laptop at its new address" wait_for 10 seen_at 198.51.100.2
ok "the transfer goes on, and not a byte is changed" arrived 30
is "no new handshake was needed" "$(handshake laptop "$L")" "$before"

echo "# down: the same the other way, and back to the office, while the mobile address stays: it must let go of that by itself"
address laptop e0 10.1.0.2/24
incoming laptop 10.9.0.2 7001
outgoing server 10.9.0.2 7001 $((12 << 20)) $((4 << 20))
ok "a transfer to the laptop is on its way" wait_for 20 progress "4|5|6"
must ip -n "${SPACE}laptop" route replace default via 10.1.0.1
ok "the server finds the laptop at its old address" wait_for 30 seen_at 192.0.2.2
ok "the transfer goes on, and not a byte is changed" arrived 30

# Two ways at once, both addresses up. What the route says is followed at once, not after handshakes stayed unanswered.
for way in "10.2.0.1 198.51.100.2" "10.1.0.1 192.0.2.2"; do
        read -r gateway nat <<<"$way"
        must ip -n "${SPACE}laptop" route replace default via "$gateway"
        ok "the route is by $gateway now: traffic goes on within 2 s" wait_for 2 on laptop ping -n -c 1 -W 0.5 10.9.0.1
        ok "and that way: the server sees $nat within 2 s" wait_for 2 seen_at "$nat"
done

# The office's NAT forgets, and gives the next packet another port.
port=$(endpoint)
must on laptop wg set "$L" peer "$PUB_server" persistent-keepalive off
idle 3
ok "after the NAT forgot the laptop, the laptop still reaches the server" pings laptop 10.9.0.1 1
isnt "from another port of the NAT, which the server follows" "$(endpoint)" "$port"
finish
