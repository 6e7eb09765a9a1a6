# Sourced after lib.sh by what tests the kill switch: its world, and who sees what leaves in the clear.
#
#   c e0 10.77.0.2 ------- lan 10.77.0.1 a                       c is a client of a's, which forwards for it
#   a e0 192.0.2.1 ------- e0 192.0.2.2 b                        b is the peer, and all the rest of the internet
#   a 10.9.0.1, fd09::1 == tunnel == b 10.9.0.2, fd09::2         203.0.113.1, 2001:db8:113::1: of b, by the tunnel or not
# shellcheck shell=bash
A=${LINK}a B=${LINK}b
INTERNET=(203.0.113.1 2001:db8:113::1)

world() {
        spaces a b c
        cable a e0 192.0.2.1/24,2001:db8::1/64 b e0 192.0.2.2/24,2001:db8::2/64
        cable a lan 10.77.0.1/24,fd77::1/64 c e0 10.77.0.2/24,fd77::2/64
        route a default via 192.0.2.2
        route a default via 2001:db8::2
        route c default via 10.77.0.1
        route c default via fd77::1
        route b 10.77.0.0/24 via 192.0.2.1
        route b fd77::/64 via 2001:db8::1
        forwarding a
        must ip -n "${SPACE}b" address add 203.0.113.1/32 dev lo
        must ip -n "${SPACE}b" address add 2001:db8:113::1/128 dev lo
        keys a b
        # what a server on the host itself has: a kill switch does not touch it
        must on a nft 'table inet other { counter seen { }; chain in { type filter hook input priority 10; iifname e0 ip daddr 10.9.0.1 counter name seen; }; }'
}

far_end() { # b's: its tunnel, without the routes that lead packets out of it in the clear
        daemon b "$B"
        must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips "10.9.0.0/24,fd09::/64,10.77.0.0/24,fd77::/64"
        address b "$B" 10.9.0.2/24,fd09::2/64
        must ip -n "${SPACE}b" route replace 10.77.0.0/24 dev "$B"
        must ip -n "${SPACE}b" -6 route replace fd77::/64 dev "$B"
}

write() { # [INTERFACE-LINE]...; KILL, FILE, ADDRESS, PEER, ALLOWED, ENDPOINT: instead of what is usual
        (umask 077; cat >"$TMP/${FILE:-$A}.conf") <<-END
		[Interface]
		PrivateKey = $KEY_a
		Address = ${ADDRESS:-10.9.0.1/24, fd09::1/64}
		KillSwitch = ${KILL:-yes}
		$(printf '%s\n' "$@")
		[Peer]
		PublicKey = ${PEER:-$PUB_b}
		AllowedIPs = ${ALLOWED:-0.0.0.0/0, ::/0}
		Endpoint = ${ENDPOINT:-192.0.2.2:51820}
		END
}

rogue() { # add|delete: what a DHCP server that lies could give: more specific than any route of ours
        local to
        for to in 0.0.0.0/1 128.0.0.0/1 203.0.113.1/32; do must ip -n "${SPACE}a" route "$1" "$to" via 192.0.2.2; done
        for to in ::/1 8000::/1 2001:db8:113::1/128; do must ip -n "${SPACE}a" -6 route "$1" "$to" via 2001:db8::2; done
}

# What b gets on the underlay that is neither the tunnel's nor ARP, DHCP, neighbour or router discovery. Of IPv6, the next header is
# read where the fixed header ends: UDP, ICMPv6, or the hop-by-hop options of MLD.
CLEAR='(ip and not udp dst port 51820 and not udp dst port 51821 and not udp dst port 67) or (ip6 and not (ip6[6] = 17 and (ip6[42:2] = 51820 or ip6[42:2] = 51821 or ip6[42:2] = 547)) and not (ip6[6] = 58 and ip6[40] >= 133 and ip6[40] <= 136) and not (ip6[6] = 0 and ip6[40] = 58))'
watch_clear() { capture b e0 "$TMP/$1.pcap" -Q in "$CLEAR"; } # NAME
in_clear() { # NAME: the captures end; what was seen
        captured b "$TMP/$1.pcap"
        $PYTHON - "$TMP/$1.pcap" <<-'END'
		import collections, socket, struct, sys
		data, at, seen = open(sys.argv[1], "rb").read(), 24, collections.Counter()
		while at < len(data):
		    length = struct.unpack_from("<I", data, at + 8)[0]
		    packet = data[at + 30:at + 16 + length]
		    at += 16 + length
		    if packet[0] >> 4 == 4:
		        seen[f"{socket.inet_ntop(socket.AF_INET, packet[12:16])} to {socket.inet_ntop(socket.AF_INET, packet[16:20])} protocol {packet[9]}"] += 1
		    else:
		        seen[f"{socket.inet_ntop(socket.AF_INET6, packet[8:24])} to {socket.inet_ntop(socket.AF_INET6, packet[24:40])} protocol {packet[6]}"] += 1
		print(*(f"{count} of {what}" for what, count in sorted(seen.items())), sep="\n")
	END
}

chatter() { # a and c talk to the internet and to b, from now on
        tool a chatter "${INTERNET[@]}" 192.0.2.2 2001:db8::2 10.9.0.77 2>/dev/null &
        disown
        tool c chatter "${INTERNET[@]}" 192.0.2.2 2>/dev/null &
        disown
}
chatting() { [ "$(for space in a c; do pgrep_in "$space"; done | wc -l)" = 2 ]; }
pgrep_in() { # SPACE: its chatterers
        local pid
        for pid in $(pids "$1"); do tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q 'tool.py chatter' && echo "$pid"; done
        return 0
}
hush() {
        local pids=
        for space in a c; do pids+=" $(pgrep_in "$space")"; done
        [ -z "${pids// /}" ] || kill $pids
}
# SIGKILL to one end of a's link, or both; the other one ends by itself. A process that ends is out of its namespace before its
# sockets are closed: they are waited for one by one.
crash() { # keeper|tunnel|both
        local ends pid
        ends=($(running a aditd | sort -n))
        case $1 in
        keeper) kill -KILL "${ends[0]}" ;;
        tunnel) kill -KILL "${ends[1]}" ;;
        both) kill -KILL "${ends[@]}" ;;
        esac || return
        for pid in "${ends[@]}"; do wait_for 5 dead "$pid" || return; done
}
shut() { ! on "$1" ping -n -c 2 -i 0.1 -W 0.3 "$2"; } # SPACE ADDRESS
adit() { on a "$ADIT" "$@"; }
lock() { on a nft list table inet "adit-lock-$A"; }
locked() { lock >/dev/null 2>&1; }
