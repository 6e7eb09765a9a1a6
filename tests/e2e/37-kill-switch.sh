#!/bin/bash
# A kill switch: what leaves, what does not, who tries to get round it, and how it ends. The topology is drawn in leaks.sh.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/leaks.sh"
needs nft ping tcpdump strace
[ -x "$ADIT" ] || bail "$ADIT is missing: make"
world
host() { # all of a's that a link changes
        local family
        for family in -4 -6; do ip -n "${SPACE}a" $family rule; ip -n "${SPACE}a" $family route show table all; done | sort
        on a nft list ruleset
        on a sysctl net.ipv4.conf.all.src_valid_mark
}
untouched=$(host)

echo "# ---- without one"
watch_clear control
ok "b is reached in the clear" pings a 203.0.113.1
ok "in IPv6 too" pings a 2001:db8:113::1
ok "from the LAN too" pings c 203.0.113.1
chatter
wait_for 5 chatting
talked() { [ "$(stat -c %s "$TMP/control.pcap")" -gt 20000 ]; }
ok "a and c talk" wait_for 5 talked
hush
clear=$(in_clear control)
for what in '192.0.2.1 to 203.0.113.1 protocol 17' '192.0.2.1 to 203.0.113.1 protocol 6' '2001:db8::1 to 2001:db8:113::1 protocol 17' \
        '10.77.0.2 to 203.0.113.1 protocol 17' '192.0.2.1 to 203.0.113.1 protocol 1'; do
        like "which is seen: $what" "$clear" "$what"
done
must ip -n "${SPACE}a" address add 10.9.0.1/32 dev lo
must ip -n "${SPACE}b" route add 10.9.0.1/32 via 192.0.2.1
forged() { on b ping -n -c 1 -W 0.2 10.9.0.1 >/dev/null 2>&1; on a nft list counter inet other seen | awk '/packets/ { print $2 }'; }
isnt "and a packet for what is to be the tunnel's address comes in by the wire" "$(forged)" 0
must ip -n "${SPACE}a" address delete 10.9.0.1/32 dev lo
must ip -n "${SPACE}b" route delete 10.9.0.1/32 via 192.0.2.1
on a nft reset counters >/dev/null

echo "# ---- in force before the first handshake: b's tunnel is not there yet"
write "Forward = 10.77.0.0/24, fd77::/64"
ok "up" adit up "$TMP/$A.conf"
watch_clear before
chatter
for address in "${INTERNET[@]}" 192.0.2.2; do ok "nothing reaches $address" shut a "$address"; done
is "there was no handshake" "$(handshake a "$A")" 0
like "it is shown" "$(adit show "$A")" "kill switch +in force"
like "and in JSON" "$(adit show "$A" --json)" '"kill_switch": *true'

echo "# ---- the tunnel, and nothing but the tunnel"
far_end
for address in "${INTERNET[@]}" 10.9.0.2; do ok "by the tunnel $address is reached" reaches a "$address"; done
for address in "${INTERNET[@]}"; do ok "from the LAN too" reaches c "$address"; done
rogue add
for address in "${INTERNET[@]}"; do ok "a rogue route leads packets for $address nowhere" shut a "$address"; done
ok "from the LAN neither" shut c 203.0.113.1
ok "what no rogue route takes goes by the tunnel" pings a 10.9.0.2
rogue delete
must ip -n "${SPACE}b" route replace 10.9.0.1/32 via 192.0.2.1
is "a forged packet for the tunnel's address does not come in" "$(forged)" 0
must ip -n "${SPACE}b" route delete 10.9.0.1/32 via 192.0.2.1
on a nft 'table ip turn { chain out { type nat hook output priority -100; ip daddr 10.9.0.77 udp dport 9 counter dnat to 192.0.2.2; }; }'
turned() { [ "$(on a nft list table ip turn | sed -n 's/.*counter packets \([0-9]*\).*/\1/p')" -gt 3 ]; }
ok "another program turns packets for the tunnel to the wire, after the hook of output" wait_for 5 turned
must on a nft delete table ip turn
hush
is "all this while nothing left in the clear" "$(in_clear before)" ""

echo "# ---- what may leave"
capture b e0 "$TMP/may.pcap" -Q in udp dst port 67 or udp dst port 547
dhcp() { # as a DHCP client without an address or a lease would
        on a $PYTHON - <<-'END'
		import socket
		for family, own, to in (socket.AF_INET, ("", 68), ("255.255.255.255", 67)), (socket.AF_INET6, ("::", 546), ("ff02::1:2", 547, 0, socket.if_nametoindex("e0"))):
		    with socket.socket(family, socket.SOCK_DGRAM) as sock:
		        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
		        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"e0")
		        sock.bind(own)
		        sock.sendto(b"lease", to)
	END
}
ok "a DHCP client may ask" dhcp
captured b "$TMP/may.pcap"
like "in IPv4" "$(tcpdump -nr "$TMP/may.pcap" 2>&1)" "192.0.2.1.68 > 255.255.255.255.67"
like "and in IPv6" "$(tcpdump -nr "$TMP/may.pcap" 2>&1)" "546 > ff02::1:2.547"
write "Forward = 10.77.0.0/24, fd77::/64" "ExcludedIPs = 192.0.2.0/24, 2001:db8::/64"
ok "reload with the LAN excluded" adit reload "$TMP/$A.conf"
must ip -n "${SPACE}a" neigh flush dev e0
ok "it is reached" pings a 192.0.2.2
ok "and its neighbours are found in IPv6" pings a 2001:db8::2
like "and the rest goes by the tunnel" "$(on a ip route get 203.0.113.1 | head -n 1)" "dev $A"

echo "# ---- reloads have no gap"
write
ok "reload" adit reload "$TMP/$A.conf"
watch_clear reload
chatter
wait_for 5 chatting
table() { on a nft -a list table inet "adit-lock-$A" | grep "^table .* # handle"; } # this very one
before=$(table)
for n in 1 2 3 4 5 6; do
        if [ $((n % 2)) = 1 ]; then write "ExcludedIPs = 198.51.100.0/24"; else write "ExcludedIPs = 198.51.100.0/24, 10.200.0.0/16" "FwMark = 4711"; fi
        adit reload "$TMP/$A.conf" >"$TMP/out" 2>&1 || diag "reload $n: $(cat "$TMP/out")"
done
is "each is made in place: while a table is replaced by another one, a packet may pass" "$(table)" "$before"
is "the last one is in force" "$(lock | grep -c '10.200.0.0/16') $(on a wg show "$A" fwmark)" "1 0x1267"
ok "the tunnel carries packets" reaches a 203.0.113.1
whole=$(lock)
ok "that there be no mark" on a wg set "$A" fwmark 0
is "is not followed: all that is not marked would leave" "$(lock)" "$whole"
ok "and the tunnel goes on" pings a 203.0.113.1
write "Forward = 10.77.0.0/24, fd77::/64"
ok "back" adit reload "$TMP/$A.conf"
hush
is "nothing left in the clear" "$(in_clear reload)" ""

echo "# ---- other programs"
whole=$(lock)
back() { [ "$(lock)" = "$whole" ]; }
on a nft list table inet other >"$TMP/other.nft"
from=$(date +%s%N)
must on a nft flush ruleset
ok "after a flush of the ruleset it is back" wait_for 5 back
echo "# (seen after $((($(date +%s%N) - from) / 1000000)) ms)"
must on a nft -f "$TMP/other.nft"
must on a nft delete table inet "adit-lock-$A"
ok "after its table was deleted" wait_for 5 back
handle=$(on a nft -a list chain inet "adit-lock-$A" output | sed -n 's/.*jump own # handle //p')
must on a nft delete rule inet "adit-lock-$A" output handle "$handle"
ok "after a rule of it was deleted" wait_for 5 back
must on a nft insert rule inet "adit-lock-$A" output accept
ok "after one was put before all others" wait_for 5 back
# A shortage: the keeper can open nothing for a moment, and no news comes afterwards.
keeper=$(running a "$(basename "$ADITD")" | sort -n | head -n 1)
must prlimit --pid "$keeper" --nofile="$(ls "/proc/$keeper/fd" | wc -l):4096"
must on a nft flush ruleset
not_ok "while the keeper can open nothing, it does not come back" wait_for 0 back
must prlimit --pid "$keeper" --nofile=4096:4096
ok "it is, as soon as it can be" wait_for 5 back
must on a nft -f "$TMP/other.nft"
# Another's table of that name is not ours to remove, and when it goes nobody tells.
must on a nft "delete table inet adit-lock-$A; table inet adit-lock-$A { chain output { type filter hook output priority 0; policy accept; }; }"
is_off() { adit show "$A" | grep -q 'kill switch *NOT in force'; }
ok "behind another's table of its name adit show says so" wait_for 5 is_off
must on a nft delete table inet "adit-lock-$A"
ok "and it is back when that one is gone" wait_for 5 back
is_on() { adit show --json "$A" | $PYTHON -c 'import json, sys; sys.exit(not json.load(sys.stdin)["links"][0]["kill_switch_in_force"])'; }
ok "which adit show --json says" wait_for 5 is_on
must on a nft chain inet "adit-lock-$A" output '{ policy accept; }'
ok "after the policy was changed" wait_for 5 back
must on a nft add table inet "adit-lock-$A" '{ flags dormant; }'
ok "after it was put to sleep" wait_for 5 back
for n in $(seq 60); do on a nft delete table inet "adit-lock-$A" 2>/dev/null; done
ok "who goes on is answered, again and again" wait_for 8 back
ok "and the tunnel is what it was" reaches a 203.0.113.1

echo "# ---- crashes"
watch_clear crash
chatter
wait_for 5 chatting
mark=$(lock | grep 'meta mark')
for victim in keeper tunnel both; do
        ok "SIGKILL: $victim; the other one ends too" crash "$victim"
        ok "the kill switch is in force" locked
        ok "nothing reaches the internet" shut a 203.0.113.1
        ok "up again" adit up "$TMP/$A.conf"
        ok "behind it the tunnel comes up" reaches a 203.0.113.1
        is "with the same mark" "$(lock | grep 'meta mark')" "$mark"
done
must ip -n "${SPACE}a" link delete "$A"
ok "the interface is deleted: the daemon ends" wait_for 5 empty_of a aditd
ok "and the kill switch is in force" locked
ok "up again" adit up "$TMP/$A.conf"
ok "works" reaches a 2001:db8:113::1
hush
is "nothing left in the clear" "$(in_clear crash)" ""

echo "# ---- the end"
ok "down" adit down "$A"
is "leaves the host as it was" "$(host)" "$untouched"
ok "and what is in the clear reaches b" pings a 203.0.113.1

echo "# ---- a reload puts it in force, and lifts it"
KILL=no write
on a strace -f -o "$TMP/calls" -e trace=socket "$ADIT" up "$TMP/$A.conf" >/dev/null 2>&1 & # it ends when aditd does
up() { pings a 10.9.0.2; [ "$(handshake a "$A")" -gt 0 ]; }
ok "up without one" wait_for 10 up
like "what it asks the kernel is seen" "$(cat "$TMP/calls")" NETLINK_ROUTE
unlike "of a host that wants nothing of it, nftables is asked nothing" "$(cat "$TMP/calls")" NETLINK_NETFILTER
ok "the LAN is reached" pings a 192.0.2.2
write "Forward = yes"
ok "reload with one" adit reload "$TMP/$A.conf"
ok "it is in force" locked
ok "the LAN is not reached" shut a 192.0.2.2
ok "the tunnel goes on" pings a 203.0.113.1
ok "what a client sends into it is answered" reaches c 203.0.113.1
not_ok "and nothing else of it goes on to the LAN" on b ping -n -c 2 -i 0.2 -W 1 -I 10.9.0.2 10.77.0.2
KILL=no write
ok "reload without it" adit reload "$TMP/$A.conf"
ok "the LAN is reached again" pings a 192.0.2.2
ok "down" adit down "$A"
is "leaves the host as it was" "$(host)" "$untouched"

echo "# ---- a table of that name that is not ours"
must on a nft add table inet "adit-lock-$A"
write
not_ok "up" adit up "$TMP/$A.conf"
like "is named" "$(cat "$TMP/out")" "kill switch: nftables table inet adit-lock-$A: File exists: it is not Adit's"
like "and left alone" "$(on a nft list tables)" "adit-lock-$A"
must on a nft delete table inet "adit-lock-$A"
is "nothing else was changed" "$(host)" "$untouched"

echo "# ---- a saved ruleset that is loaded again after the link is down"
ok "up" adit up "$TMP/$A.conf"
on a nft list table inet "adit-lock-$A" >"$TMP/saved.nft"
ok "down" adit down "$A"
must on a nft -f "$TMP/saved.nft"
ok "it is shut" locked
ok "adit repair finds it by its name and mark" adit repair "$A"
is "and lifts it" "$(host)" "$untouched"
finish
