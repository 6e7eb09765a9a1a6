#!/bin/bash
# Other programs take away what is ours: it is back at once, the log says what and who, and a fight costs little.
#
#   a e0 192.0.2.1 ------- e0 192.0.2.2 b
#   tunnel 10.9.0.1, fd09::1 ==== 10.9.0.2, fd09::2 b        a: all of the internet through b, but 198.51.100.0/24
. "$(dirname "$0")/lib.sh"
needs ping strace
[ -x "$ADIT" ] || bail "$ADIT is missing: make"

spaces a b
cable a e0 192.0.2.1/24,2001:db8::1/64 b e0 192.0.2.2/24,2001:db8::2/64
route a default via 192.0.2.2
keys a b
A=${LINK}a B=${LINK}b
daemon b "$B"
must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips 10.9.0.1/32,fd09::1/128
address b "$B" 10.9.0.2/24,fd09::2/64
(umask 077; cat >"$TMP/$A.conf") <<-END
	[Interface]
	PrivateKey = $KEY_a
	Address = 10.9.0.1/24, 10.9.4.1/32, fd09::1/64
	ExcludedIPs = 198.51.100.0/24
	[Peer]
	PublicKey = $PUB_b
	AllowedIPs = 0.0.0.0/0, ::/0, 10.1.0.0/16, fd01::/64
	Endpoint = 192.0.2.2:51820
END
adit() { on a "$ADIT" "$@"; }
A_IP() { ip -n "${SPACE}a" "$@"; }
host() { # all that the link has there, to the letter, but for the numbers that order rules
        local family
        A_IP -br address show dev "$A" | tr -s ' ' '\n' | sed -E 's/fe80::[0-9a-f:]+/fe80::-/' | sort
        for family in -4 -6; do A_IP $family rule | sed 's/^[0-9]*://' | sort; A_IP $family route show table all | sort; done | sed -E "s/fe80::[0-9a-f:]+ dev $LINK/fe80::- dev $LINK/"
        on a sysctl net.ipv4.conf.all.src_valid_mark
}
whole() { [ "$(host)" = "$one" ]; }
log() { cat "$TMP/log"; }
said() { contains "$TMP/log" "$1"; }

# In the foreground, so that its log is here.
on a "$ADITD" -f -c "$TMP/$A.conf" >"$TMP/log" 2>&1 &
ok "up" wait_for 10 said "ready, port"
ok "it works" reaches a 10.9.0.2
one=$(host)
MARK=$(on a wg show "$A" fwmark); MARK=$((MARK))

lose() { # WHAT LOG IP-ARGUMENT...
        echo "# \$ ip ${*:3}"
        A_IP "${@:3}" || bail "ip ${*:3}"
        ok "$1: it is back within a second" wait_for 1 whole
        ok "(and the log says so)" wait_for 1 said "$2.*; it was put back"
}
lose "an address deleted" 'address 10.9.4.1/32: .*removed it' address delete 10.9.4.1/32 dev "$A"
lose "the address that routes hang on" 'address 10.9.0.1/24: .*removed it' address delete 10.9.0.1/24 dev "$A"
lose "an address of IPv6" 'address fd09::1/64: .*removed it' -6 address delete fd09::1/64 dev "$A"
lose "all addresses" 'address 10.9.[04].1/.. .and . more.: .*removed it' address flush dev "$A" scope global
lose "a route deleted" 'route 10.1.0.0/16 table 254: .*removed it' route delete 10.1.0.0/16
lose "a route of IPv6" 'route fd01::/64 table 254: .*removed it' -6 route delete fd01::/64
lose "the default route in its table" "route 0.0.0.0/0 table $MARK.*: .*removed it" route delete default table "$MARK"
lose "the throw route of what is excluded" "throw 198.51.100.0/24 table $MARK: .*removed it" route delete throw 198.51.100.0/24 table "$MARK"
lose "a rule" "rules ipv4 mark $MARK table $MARK: .*removed it" rule delete not fwmark "$MARK" lookup "$MARK"
lose "the rule before it, of IPv6" "rules ipv6 mark $MARK table $MARK: .*removed it" -6 rule delete not fwmark "$MARK" lookup main
on a sysctl -qw net.ipv4.conf.all.src_valid_mark=0
ok "src_valid_mark set back: it is set again within a second" wait_for 1 whole
must A_IP route replace 10.1.0.0/16 via 192.0.2.2
ok "another's route in the place of ours is not removed, but told with what to do" wait_for 2 said 'route 10.1.0.0/16 .*File exists: that table has another route to it; remove that one'
is "it stays, and all else is there" "$(host | grep -v '^10.1.0.0/16')" "$(grep -v '^10.1.0.0/16' <<<"$one")"
must A_IP route delete 10.1.0.0/16
must adit reload "$TMP/$A.conf"
ok "(gone, a reload makes ours again)" whole
must A_IP link set "$A" down
must A_IP link set "$A" up
ok "a link that flapped has all of its own again" wait_for 2 whole
ok "and works" reaches a 10.9.0.2

echo "# ---- others' doings are none of ours"
keeper=$(running a aditd | head -n 1)
on a strace -f -qq -e trace=sendmsg,sendto -o "$TMP/calls" -p "$keeper" 2>/dev/null &
tracer=$!
traced() { [ "$(awk '/^TracerPid/ { print $2 }' "/proc/$keeper/status")" != 0 ]; }
wait_for 5 traced || bail "strace does not attach"
for i in {1..200}; do echo "route add 10.77.$i.0/24 via 192.0.2.2"; echo "route replace 10.77.$i.0/24 dev lo"; echo "route del 10.77.$i.0/24"; done | A_IP -b - || bail "ip -b"
must adit show "$A"
kill "$tracer"; wait "$tracer"
dumps=$(grep -c 'RTM_GETROUTE\|nlmsg_type=RTM_GETROUTE' "$TMP/calls")
is "600 changes of routes that are not ours: not one look at the host" "$dumps" 0

echo "# ---- a fight"
before=$(wc -l <"$TMP/log")
fight() { # as systemd-networkd: whenever it sees our rule, it removes it
        local end=$((SECONDS + 4)) n=0
        while [ $SECONDS -lt $end ]; do A_IP rule delete not fwmark "$MARK" lookup "$MARK" 2>/dev/null && n=$((n + 1)); done
        echo $n
}
rounds=$(fight)
between "the other program won a handful of times in four seconds, and no more" "$rounds" 2 20
ok "it ends with the rule in place" wait_for 3 whole
ok "the log tells of the fight, and what to do" said 'keeps removing it; it was put back.*ManageForeignRoutingPolicyRules=no'
lines=$(($(wc -l <"$TMP/log") - before))
between "in a few lines" "$lines" 2 15

echo "# ---- the end of the link"
must A_IP link delete "$A"
ok "deleted under us, it ends with a clear line" wait_for 5 said 'the interface was deleted'
ok "the daemon is gone" wait_for 5 empty_of a aditd
is "and so is all that was its own" "$(A_IP -4 rule | grep -c "$MARK")$(A_IP -6 rule | grep -c "$MARK")$(on a sysctl -n net.ipv4.conf.all.src_valid_mark)" 000
finish
