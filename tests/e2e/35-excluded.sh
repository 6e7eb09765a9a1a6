#!/bin/bash
# ExcludedIPs: what a peer's AllowedIPs hold, and still does not go through the link. Without a default route, with one, and
# across reloads under a running ping. And AllowedIPs that two peers have.
#
#   a e0 192.0.2.1, 2001:db8::1 ------- e0 192.0.2.2, 2001:db8::2 b       a's default route is by b, where the addresses
#   tunnel 10.9.0.1, fd09::1 ========== 10.9.0.2, fd09::2 b               10.1.1.1, 10.1.2.1, 203.0.113.1, 198.51.100.7,
#                                                                         fd01::1, fd02::1 are: by e0 or by the tunnel,
#                                                                         as a's routes say, and b counts by which
. "$(dirname "$0")/lib.sh"
needs nft ping
[ -x "$ADIT" ] || bail "$ADIT is missing: make"

spaces a b
cable a e0 192.0.2.1/24,2001:db8::1/64 b e0 192.0.2.2/24,2001:db8::2/64
route a default via 192.0.2.2
route a default via 2001:db8::2
for here in 10.1.1.1/32 10.1.2.1/32 203.0.113.1/32 198.51.100.7/32 fd01::1/128 fd02::1/128; do
        must ip -n "${SPACE}b" address add $here dev lo
done
keys a b c
A=${LINK}a B=${LINK}b
daemon b "$B"
must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips 10.9.0.1/32,fd09::1/128,192.0.2.1/32,2001:db8::1/128
address b "$B" 10.9.0.2/24,fd09::2/64
must on b nft 'table inet seen {
        set clear4 { type ipv4_addr; flags dynamic; size 64; }
        set clear6 { type ipv6_addr; flags dynamic; size 64; }
        set link4 { type ipv4_addr; flags dynamic; size 64; }
        set link6 { type ipv6_addr; flags dynamic; size 64; }
        chain in { type filter hook input priority 0
                iifname e0 icmp type echo-request add @clear4 { ip daddr }
                iifname e0 icmpv6 type echo-request add @clear6 { ip6 daddr }
                iifname != e0 icmp type echo-request add @link4 { ip daddr }
                iifname != e0 icmpv6 type echo-request add @link6 { ip6 daddr }
        }
}'

write() { # ALLOWED-IPS [INTERFACE-LINE]...
        local ips=$1
        shift
        (umask 077; cat >"$TMP/$A.conf") <<-END
		[Interface]
		PrivateKey = $KEY_a
		Address = 10.9.0.1/24, fd09::1/64
		$(printf '%s\n' "$@")
		[Peer]
		Name = berlin
		PublicKey = $PUB_b
		AllowedIPs = $ips
		Endpoint = 192.0.2.2:51820
		END
}
adit() { on a "$ADIT" "$@"; }
host() { # all that the link adds there, to the letter
        local family
        for family in -4 -6; do ip -n "${SPACE}a" $family rule; ip -n "${SPACE}a" $family route show table all; done | sed -E "s/fe80::[0-9a-f:]+ dev $LINK/fe80::- dev $LINK/" | sort
        on a sysctl net.ipv4.conf.all.src_valid_mark
}
ours() { for family in -4 -6; do ip -n "${SPACE}a" $family route show table all proto 109; done; }
way() { # ADDRESS: by which of the two a ping comes there; it is answered
        local set
        for set in clear4 clear6 link4 link6; do must on b nft flush set inet seen $set >/dev/null; done
        reaches a "$1" || { echo "none"; return; }
        on b nft list table inet seen | awk -v want="$1" '/set/ { set = $2 } /elements/ && index($0, want) { sub(/[46]$/, "", set); print set }'
}
changed() { diff <(echo "$1") <(echo "$2") | grep -c '^[<>]'; } # BEFORE AFTER: lines
# A ping that goes on: `flowing` waits for 10 answers more, `unbroken` ends it and tells which were never answered.
start_ping() { on a ping -n -i 0.02 -W 2 "$1" >"$TMP/ping" 2>&1 & }
replies() { [ "$(grep -c 'bytes from' "$TMP/ping")" -ge "$1" ]; }
flowing() { wait_for 10 replies $(($(grep -c 'bytes from' "$TMP/ping") + 10)); }
unbroken() {
        local pid
        for pid in $(running a ping); do kill -INT "$pid"; done
        wait_for 5 contains "$TMP/ping" "packet loss"
        tail -n 3 "$TMP/ping"
        unanswered "$TMP/ping" | not grep .
}

untouched=$(host)

echo "# ---- without a default route"
write "10.0.0.0/8, fd00::/14" "ExcludedIPs = 10.1.2.0/24, fd02::1"
ok "adit check likes the file" adit check "$TMP/$A.conf"
ok "up" adit up "$TMP/$A.conf"
is "what is allowed goes through the link" "$(way 10.1.1.1)" link
is "what is excluded of it does not" "$(way 10.1.2.1)" clear
is "of IPv6: through the link" "$(way fd01::1)" link
is "and not" "$(way fd02::1)" clear
is "there is no wide route" "$(ours | grep -c '^10.0.0.0/8 ')" 0
is "but those around it, as few as there can be" "$(ours | grep -c '^10\.')" 16
split=$(host)
handshake=$(handshake a "$A")
start_ping 10.1.1.1
ok "a ping flows" flowing
write "10.0.0.0/8, fd00::/14" "ExcludedIPs = 10.1.2.0/24, fd02::1, 203.0.113.0/24"
ok "reload with one more that no peer has" adit reload "$TMP/$A.conf"
is "changes nothing" "$(host)" "$split"
write "10.0.0.0/8, fd00::/14" "ExcludedIPs = 10.1.2.0/24, fd02::1, 10.200.0.0/16"
ok "reload with one more that is in the widest route" adit reload "$TMP/$A.conf"
is "changes that one alone: it goes, those around the new one come" "$(changed "$split" "$(host)")" 8
ok "the ping flows" flowing
write "10.0.0.0/8, fd00::/14" "ExcludedIPs ="
ok "reload with none" adit reload "$TMP/$A.conf"
is "what was excluded goes through the link" "$(way 10.1.2.1)" link
is "by the wide route alone" "$(ours | grep -c '^10\.')" 1
ok "the ping flows" flowing
write "10.0.0.0/8, fd00::/14" "ExcludedIPs = 10.1.2.0/24" "ExcludedIPs = fd02::1"
ok "reload, back to what it was" adit reload "$TMP/$A.conf"
ok "the ping flows" flowing
ok "and lost not one packet in all this" unbroken
is "the host is as it was" "$(host)" "$split"
is "there was no new handshake" "$(handshake a "$A")" "$handshake"

echo "# ---- what adit tells and keeps"
like "show" "$(adit show "$A")" "excluded +10.1.2.0/24"
is "show --json" "$(adit show "$A" --json | $PYTHON -c 'import json, sys; print(json.load(sys.stdin)["links"][0]["excluded_ips"])')" "['10.1.2.0/24', 'fd02::1/128']"
like "route list: a prefix with a hole" "$(adit route list "$A")" "10.0.0.0/8 +in part"
ok "a live route inside of it" adit route add "$A" berlin 10.1.2.128/25 10.1.0.0/16
is "leaves out what is excluded, too" "$(way 10.1.2.1)" clear
like "and is listed as not routed" "$(adit route list "$A")" "10.1.2.128/25 +no"
ok "and goes" adit route del "$A" berlin 10.1.2.128/25 10.1.0.0/16
is "without a trace" "$(host)" "$split"
ok "save" adit save "$A" "$TMP/saved.conf"
is "keeps them" "$(grep ExcludedIPs "$TMP/saved.conf")" "ExcludedIPs = 10.1.2.0/24, fd02::1/128"
write "10.0.0.0/8, fd00::/14" "ExcludedIPs = 10.1.2.0/24, fd02::1" "Table = off"
like "Table = off: check says that it is idle" "$(adit check "$TMP/$A.conf" 2>&1)" "ExcludedIPs does nothing with Table = off"
ok "reload with it" adit reload "$TMP/$A.conf"
is "sets no route" "$(ours)" ""

echo "# ---- what comes from there: the cryptokey routing is WireGuard's"
must adit down "$A"
is "down leaves nothing" "$(host)" "$untouched"
write "10.0.0.0/8, fd00::/14" "ExcludedIPs = 10.1.2.0/24"
must adit up "$TMP/$A.conf"
must on a sysctl -qw net.ipv4.conf.all.rp_filter=0 "net.ipv4.conf.$A.rp_filter=0"
must on a nft "table inet in { counter linked { }; chain in { type filter hook input priority 0; iifname $A ip saddr 10.1.2.1 counter name linked; }; }"
must reaches a 10.9.0.2
on b ping -n -c 1 -W 1 -I 10.1.2.1 10.9.0.1 >/dev/null
like "a peer sends from there through the link, and is let in" "$(on a nft list counter inet in linked)" "packets 1 "
must adit down "$A"
must on a nft delete table inet in

echo "# ---- an endpoint in the AllowedIPs of its peer"
write "192.0.2.0/28"
like "is told" "$(adit check "$TMP/$A.conf" 2>&1)" "or the endpoint by ExcludedIPs"
write "192.0.2.0/28, 10.9.0.2/32" "ExcludedIPs = 192.0.2.2"
unlike "excluded, it is right" "$(adit check "$TMP/$A.conf" 2>&1)" "Endpoint"
ok "up" adit up "$TMP/$A.conf"
ok "and works" reaches a 10.9.0.2
ok "down" adit down "$A"

echo "# ---- with a default route"
full() { write "0.0.0.0/0, ::/0" "$@"; }
full "ExcludedIPs = 10.1.0.0/16, 198.51.100.7, fd02::/64"
ok "up" adit up "$TMP/$A.conf"
is "the internet is through the link" "$(way 203.0.113.1)" link
is "not an excluded host" "$(way 198.51.100.7)" clear
is "nor network" "$(way 10.1.1.1)" clear
is "IPv6 is" "$(way fd01::1)" link
is "but for what is excluded" "$(way fd02::1)" clear
like "which are throw routes in the link's table" "$(ours)" "^throw 10.1.0.0/16 table 51820"
full4=$(host)
handshake=$(handshake a "$A")
start_ping 203.0.113.1
ok "a ping flows" flowing
full "ExcludedIPs = 10.1.0.0/16, 198.51.100.7, fd02::/64, 203.0.113.0/24"
ok "reload that excludes where the ping goes" adit reload "$TMP/$A.conf"
is "adds that one" "$(changed "$full4" "$(host)")" 1
is "the ping goes on in the clear" "$(way 203.0.113.1)" clear
ok "and flows" flowing
full "ExcludedIPs = 10.1.0.0/16, fd02::/64, 198.51.100.7"
ok "reload without it" adit reload "$TMP/$A.conf"
is "takes it away" "$(host)" "$full4"
is "the ping goes through the link again" "$(way 203.0.113.1)" link
ok "and flows" flowing
ok "without one packet lost" unbroken
is "there was no new handshake" "$(handshake a "$A")" "$handshake"
full "ExcludedIPs = 198.51.100.7" "MTU = 1200"
not_ok "a reload that is refused" adit reload "$TMP/$A.conf"
is "changes nothing" "$(host)" "$full4"
must ip -n "${SPACE}a" link set "$A" down
must ip -n "${SPACE}a" link set "$A" up
as_before() { [ "$(host)" = "$full4" ]; }
ok "set down and up, the link has all of it again" wait_for 5 as_before
full "ExcludedIPs = ::/0"
ok "reload that excludes IPv6 wholly" adit reload "$TMP/$A.conf"
is "IPv6 has no rule of the link" "$(ip -n "${SPACE}a" -6 rule | grep -c 51820)" 0
is "and goes in the clear" "$(way fd01::1)" clear
is "IPv4 through the link" "$(way 198.51.100.7)" link
ok "down" adit down "$A"
is "leaves nothing" "$(host)" "$untouched"

echo "# ---- after a crash"
full "ExcludedIPs = 10.1.0.0/16, fd02::/64"
ok "up" adit up "$TMP/$A.conf"
pids=$(running a aditd)
must kill -KILL $pids
for pid in $pids; do wait_for 5 dead "$pid"; done
isnt "killed, it leaves rules and throw routes" "$(ours)" ""
ok "up again" adit up "$TMP/$A.conf"
is "and works" "$(way 10.1.1.1) $(way 203.0.113.1)" "clear link"
ok "down" adit down "$A"
is "leaves nothing" "$(host)" "$untouched"

echo "# ---- a prefix of two peers"
write "10.0.0.0/8, 10.7.0.0/16"
cat >>"$TMP/$A.conf" <<-END
	[Peer]
	Name = porto
	PublicKey = $PUB_c
	AllowedIPs = 10.7.0.0/16
END
said=$(adit check "$TMP/$A.conf" 2>&1)
like "check names both" "$said" "10.7.0.0/16 is given to peer berlin and to peer porto, and the later one has it"
like "and notes that it lies in a wider one" "$said" "note: AllowedIPs: 10.7.0.0/16 of peer porto lies in 10.0.0.0/8 of peer berlin"
ok "it is no mistake" adit check "$TMP/$A.conf"
like "up warns, too" "$(adit up "$TMP/$A.conf" 2>&1)" "10.7.0.0/16 is given to peer berlin and to peer porto"
is "and the later one has it" "$(on a wg show "$A" allowed-ips | grep -F "10.7.0.0/16")" "$PUB_c"$'\t'10.7.0.0/16
ok "down" adit down "$A"
finish
