#!/bin/bash
# A gateway: clients reach the world by its address, sites the networks that it names; and then all is as it was.
#
#   client e0 192.0.2.2 ------ 192.0.2.1 e0  server  e1 198.51.100.1 ------ e0 198.51.100.2 world
#   tunnel 10.9.0.2, fd09::2 ======= 10.9.0.1   |    e2 10.1.0.1 ---------- e0 10.1.0.2 one
#                                               e3 10.2.0.1 --------------- e0 10.2.0.2 other
# The world knows no way back to the tunnel's addresses. The server has its IPv6 default route from an advertisement.
. "$(dirname "$0")/lib.sh"
needs nft ping tcpdump
[ -x "$ADIT" ] || bail "$ADIT is missing: make"

spaces client server world one other
cable client e0 192.0.2.2/24,2001:db8::2/64 server e0 192.0.2.1/24,2001:db8::1/64
cable server e1 198.51.100.1/24,2001:db8:1::1/64 world e0 198.51.100.2/24,2001:db8:1::2/64
cable server e2 10.1.0.1/24,fd01::1/64 one e0 10.1.0.2/24,fd01::2/64
cable server e3 10.2.0.1/24,fd02::1/64 other e0 10.2.0.2/24,fd02::2/64
address world lo 203.0.113.1/32,2001:db8:113::1/128
route server default via 198.51.100.2
for site in one other; do
        subnet=$([ $site = one ] && echo 1 || echo 2)
        route $site default via "10.$subnet.0.1"
        route $site default via "fd0$subnet::1"
done
forwarding world # else its neighbours learn that it is no router
# What a plain setting back would lose.
must on server sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
must on server sysctl -qw net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.e3.forwarding=1 net.ipv6.conf.e3.forwarding=1
must on server sysctl -qw net.ipv6.conf.e0.accept_ra=0 net.ipv6.conf.e1.accept_ra=1 net.ipv6.conf.e2.accept_ra=1 net.ipv6.conf.e3.accept_ra=1

advertise() { tool world advertise e0 "$1"; } # SECONDS, as which the world is a default router
advertised() { ip -n "${SPACE}server" -6 route show default proto ra | grep -q e1; }
advertised_soon() { advertise "$1" && wait_for 2 advertised; }
retracted() { advertise 0 && wait_for 2 not advertised; }
ok "the server takes its default route from the world's advertisement" advertised_soon 1800

keys client server second world
C=${LINK}c S=${LINK}s S2=${LINK}t
write() { # LINE...: the server's file
        (umask 077; { printf '%s\n' '[Interface]' "PrivateKey = $KEY_server" 'Address = 10.9.0.1/24, fd09::1/64' 'ListenPort = 51820' 'MTU = 1300' "$@" \
                '[Peer]' "PublicKey = $PUB_client" 'AllowedIPs = 10.9.0.2/32, fd09::2/128'; } >"$TMP/$S.conf")
}
(umask 077; cat >"$TMP/$S2.conf") <<-END
	[Interface]
	PrivateKey = $KEY_second
	Address = 10.8.0.1/24, fd08::1/64
	Masquerade = yes
END
(umask 077; cat >"$TMP/$C.conf") <<-END
	[Interface]
	PrivateKey = $KEY_client
	Address = 10.9.0.2/24, fd09::2/64
	[Peer]
	PublicKey = $PUB_server
	AllowedIPs = 0.0.0.0/0, ::/0
	Endpoint = 192.0.2.1:51820
END
adit() { on "$1" "$ADIT" "${@:2}"; }
host() { # all of the server's that a gateway changes
        on server sh -c 'cd /proc/sys/net; grep -rs . ipv4/conf ipv6/conf ipv4/ip_forward' | grep -v "stable_secret\|/$LINK" | sort
        on server nft list ruleset
}
untouched=$(host)
value() { on server sysctl -n "$1"; }
is_now() { [ "$(value "$1")" = "$2" ]; } # SYSCTL VALUE
connects() { on "$1" timeout 3 bash -c "exec 3<>/dev/tcp/$2/$3" 2>/dev/null; } # SPACE ADDRESS PORT; refused will do
syn() { tcpdump -n -r "$1" 'tcp or ip6 proto 6' 2>/dev/null | grep "$2"; } # FILE REGEX

echo "# ---- masquerade"
write 'Masquerade = yes'
ok "check finds nothing to say" adit server check "$TMP/$S.conf"
unlike "(nothing)" "$(cat "$TMP/out")" 'asquerade'
planned=$(adit server up --dry-run "$TMP/$S.conf")
like "a dry run tells of forwarding" "$planned" '^sysctl -q -w net.ipv4.conf.all.forwarding=1$'
like "of advertisements" "$planned" '^sysctl -q -w net.ipv6.conf.e1.accept_ra=2$'
like "and of the rules" "$planned" 'iifname "'"$S"'" oifname != "'"$S"'" masquerade'
is "and changes nothing" "$(host)" "$untouched"
ok "the server is up" adit server up "$TMP/$S.conf"
ok "the client is up" adit client up "$TMP/$C.conf"
ok "the client reaches the server" reaches client 10.9.0.1
capture world e0 "$TMP/world.pcap" 'icmp or icmp6 or tcp or ip6 proto 6'
capture client "$C" "$TMP/client.pcap" 'tcp or ip6 proto 6'
ok "and the world, which knows no way back to it" pings client 203.0.113.1
ok "in IPv6 too" pings client 2001:db8:113::1
incoming world 203.0.113.1 7000
outgoing client 203.0.113.1 7000 $((1 << 20))
ok "a transfer comes through whole" arrived 20
incoming world 2001:db8:113::1 7001
outgoing client 2001:db8:113::1 7001 $((1 << 20))
ok "in IPv6 too" arrived 20
captured world "$TMP/world.pcap"
captured client "$TMP/client.pcap"
seen=$(tcpdump -n -r "$TMP/world.pcap" 2>/dev/null)
like "the world sees the gateway's address" "$seen" 'IP 198\.51\.100\.1 > 203\.0\.113\.1: ICMP echo request'
like "of IPv6 too" "$seen" 'IP6 2001:db8:1::1 > 2001:db8:113::1: ICMP6, echo request'
unlike "and none of the tunnel's" "$seen" ' (10\.9\.0\.|fd09::)'
like "a client's SYN asks for less there than it did" "$(syn "$TMP/world.pcap" '198.51.100.1.*Flags \[S\]')" 'mss 1260'
like "in IPv6 too" "$(syn "$TMP/world.pcap" '2001:db8:1::1.*Flags \[S\]')" 'mss 1240'
like "(the client's own has more)" "$(syn "$TMP/client.pcap" '10.9.0.2.*Flags \[S\]')" 'mss 1380'
like "and so does the answer on its way to the client" "$(syn "$TMP/client.pcap" '203.0.113.1.*Flags \[S\.\]')" 'mss 1260'
route world 10.9.0.0/24 via 198.51.100.1
ok "nobody out there reaches a client that did not ask" no_pings world 10.9.0.2
must on server nft 'table inet other { chain forward { type filter hook forward priority 10; policy drop; }; }'
ok "a firewall of the host's own that drops has the last word" no_pings client 203.0.113.1
must on server nft delete table inet other
ok "(without it, it is as before)" pings client 203.0.113.1 1

echo "# ---- the default route that was advertised"
ok "it is still there" advertised
is "the server takes advertisements as it did: of e1" "$(value net.ipv6.conf.e1.accept_ra)" 2
is "of e0 none" "$(value net.ipv6.conf.e0.accept_ra)" 0
is "and of the link nothing: a peer is no router" "$(value net.ipv6.conf.$S.accept_ra)" 0
ok "one that retracts it is heard" retracted
ok "and one that gives it again" advertised_soon 1800

echo "# ---- what others do meanwhile"
must on server sysctl -qw net.ipv4.ip_forward=0
ok "forwarding switched off: it is on again within a second" wait_for 1 is_now net.ipv4.ip_forward 1
must on server sysctl -qw net.ipv6.conf.all.forwarding=0
ok "in IPv6 too" wait_for 1 is_now net.ipv6.conf.all.forwarding 1
ok "which lost no route" advertised
must on server nft flush ruleset
ok "the rules flushed: the client reaches the world again" wait_for 3 pings client 203.0.113.1 1
ok "down" adit server down "$S"
is "and all is as it was" "$(host)" "$untouched"
ok "and the advertised route is there" advertised

echo "# ---- two links"
ok "one up" adit server up "$TMP/$S.conf"
ok "and another" adit server up "$TMP/$S2.conf"
ok "the first one down" adit server down "$S"
is "what the other needs stays" "$(value net.ipv4.ip_forward) $(value net.ipv6.conf.all.forwarding) $(value net.ipv6.conf.e1.accept_ra)" "1 1 2"
ok "up again" adit server up "$TMP/$S.conf"
ok "the other one down" adit server down "$S2"
is "what the first needs stays" "$(value net.ipv4.ip_forward) $(value net.ipv6.conf.all.forwarding)" "1 1"
must on server sysctl -qw net.ipv6.conf.e2.accept_ra=0
ok "and down" adit server down "$S"
is "what another program set stays" "$(value net.ipv6.conf.e2.accept_ra)" 0
must on server sysctl -qw net.ipv6.conf.e2.accept_ra=1
is "and all else is as it was" "$(host)" "$untouched"

echo "# ---- networks"
write 'Masquerade = yes' 'Forward = no'
not_ok "masquerade without forwarding is refused" adit server check "$TMP/$S.conf"
like "(and it says where and why)" "$(cat "$TMP/out")" "$S.conf:7:1: Masquerade = yes needs what Forward = no forbids"
write 'Forward = 10.1.0.0/24, fd01::/64'
ok "up" adit server up "$TMP/$S.conf"
must adit client down "$C" # it has a session with the one that is gone
must adit client up "$TMP/$C.conf"
ok "the client reaches the one network" reaches client 10.1.0.2
ok "in IPv6 too" reaches client fd01::2
ok "from there it is reached" pings one 10.9.0.2
ok "in IPv6 too" pings one fd09::2
ok "it does not reach the other" no_pings client 10.2.0.2
ok "in IPv6 neither" no_pings client fd02::2
ok "nor does the other reach it" no_pings other 10.9.0.2
ok "nor the world, whose way leads by here" no_pings world 10.9.0.2
ok "and between other interfaces this host forwards as it likes" pings one 10.2.0.2
write 'Forward = yes'
ok "with Forward = yes" adit server reload "$TMP/$S.conf"
ok "it reaches the other, too" pings client 10.2.0.2
ok "and the world reaches it" pings world 10.9.0.2
write 'Masquerade = yes' 'Forward = 203.0.113.0/24, 2001:db8:113::/64'
ok "with masquerade, and networks" adit server reload "$TMP/$S.conf"
ok "it reaches them" pings client 203.0.113.1
ok "in IPv6 by this host's address alone" pings client 2001:db8:113::1
ok "and no other" no_pings client 10.2.0.2
write 'Forward = no'
ok "with Forward = no" adit server reload "$TMP/$S.conf"
is "this host is as it was but for the link's table" "$(host | grep ^ip)" "$(grep ^ip <<<"$untouched")"
must on server sysctl -qw net.ipv4.ip_forward=1
ok "nothing is forwarded, though the host does" no_pings client 10.1.0.2
ok "nor back" no_pings one 10.9.0.2
ok "(the server itself is reached)" pings client 10.9.0.1
must on server sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.e3.forwarding=1
ok "down" adit server down "$S"
is "and all is as it was" "$(host)" "$untouched"

echo "# ---- behind another link's kill switch: that link's datagrams, and this one's by the same mark, alone leave in the clear"
W=${LINK}w
daemon world "$W"
must on world wg set "$W" private-key "$TMP/world.key" listen-port 51820 peer "$PUB_second" allowed-ips 10.8.0.1/32,fd08::1/128
address world "$W" 10.8.0.2/24,fd08::2/64
write 'Masquerade = yes' 'FwMark = 51999'
(umask 077; cat >"$TMP/$S2.conf") <<-END
	[Interface]
	PrivateKey = $KEY_second
	Address = 10.8.0.1/24, fd08::1/64
	FwMark = 51999
	KillSwitch = yes
	[Peer]
	PublicKey = $PUB_world
	AllowedIPs = 0.0.0.0/0, ::/0
	Endpoint = 198.51.100.2:51820
END
ok "that link is up" adit server up "$TMP/$S2.conf"
ok "the gateway is up" adit server up "$TMP/$S.conf"
must adit client down "$C"
must adit client up "$TMP/$C.conf"
capture world e0 "$TMP/clear.pcap" -Q in '(ip or ip6) and not udp port 51820 and not icmp6 and not ip6 multicast'
capture world "$W" "$TMP/inside.pcap" 'icmp or icmp6'
ok "the client reaches the world" reaches client 203.0.113.1
ok "in IPv6 too" reaches client 2001:db8:113::1
captured world "$TMP/clear.pcap"
seen=$(tcpdump -n -r "$TMP/inside.pcap" 2>/dev/null)
like "which sees the address of that link" "$seen" 'IP 10\.8\.0\.1 > 203\.0\.113\.1: ICMP echo request'
like "of IPv6 too" "$seen" 'IP6 fd08::1 > 2001:db8:113::1: ICMP6, echo request'
is "and nothing in the clear" "$(tcpdump -n -r "$TMP/clear.pcap" 2>/dev/null)" ""
ok "that link is down" adit server down "$S2"
ok "the client reaches the world without it" reaches client 203.0.113.1
ok "down" adit server down "$S"
is "and all is as it was" "$(host)" "$untouched"
ok "the client is down" adit client down "$C"
finish
