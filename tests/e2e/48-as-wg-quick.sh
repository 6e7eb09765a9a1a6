#!/bin/bash
# The same file under wg-quick (with wireguard-go) and under adit: the same addresses, routes, rules and values, and down leaves the host
# as it was. What differs on purpose is evened out in `seen`, and said there.
#
#   a e0 192.0.2.1, 2001:db8::1, the default routes ----- e0 192.0.2.2 b        nobody answers: it takes no peer to bring a link up
. "$(dirname "$0")/lib.sh"
needs wg-quick wireguard-go nft
[ -x "$ADIT" ] || bail "$ADIT is missing: make"

# wg-quick as of a kernel without WireGuard: see 25-wg-quick.sh.
mkdir "$TMP/bin"
cp "$(command -v wg-quick)" "$TMP/bin/wg-quick"
cat >"$TMP/bin/ip" <<END
#!/bin/sh
case "\$*" in "link add"*"type wireguard"*) exit 2 ;; esac
exec $(command -v ip) "\$@"
END
chmod +x "$TMP/bin/ip" "$TMP/bin/wg-quick"
quick() { # up|down
        on a unshare -m sh -c '[ ! -d /sys/module ] || mount -t tmpfs none /sys/module; exec "$@"' - \
                env WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go LOG_LEVEL=silent PATH="$TMP/bin:$PATH" wg-quick "$1" "$CONF"
}
adit() { on a "$ADIT" "$@" "$CONF"; }

spaces a b
cable a e0 192.0.2.1/24,2001:db8::1/64 b e0 192.0.2.2/24,2001:db8::2/64
route a default via 192.0.2.2
route a default via 2001:db8::2
keys a b c
A=${LINK}a CONF=$TMP/${LINK}a.conf
chmod 755 "$TMP"
VALUES=(net.ipv4.conf.all.src_valid_mark net.ipv4.conf.all.rp_filter net.ipv4.ip_forward net.ipv6.conf.all.forwarding)

A_IP() { ip -n "${SPACE}a" "$@"; }
# All of the host's networking, to the letter. (An interface's link-local address is another each time, and with it its place;
# a multicast or anycast address, and cached routes, are the kernel's own.)
host() {
        local family
        A_IP -o address | awk '{ print $2, $3, $4, $6 }' | sed -E "s/fe80::[0-9a-f:]+/fe80::-/" | sort
        A_IP -o link show dev "$A" 2>/dev/null | grep -o ' mtu [0-9]*'
        for family in -4 -6; do
                A_IP $family rule
                A_IP $family route show table all | sed -E "s/fe80::[0-9a-f:]+ dev $LINK/fe80::- dev $LINK/; /^(multicast|anycast) /d" | sort
        done
        on a sysctl "${VALUES[@]}"
}
whole() { host; on a nft list ruleset; }
# The same, evened out: adit marks routes and rules as its own (proto 109), and both of its rules carry the mark, where wg-quick's
# `suppress_prefixlength 0` is everybody's. wg-quick's nft table against forged sources has its counterpart in KillSwitch. A route to what the link's own network holds anyway wg-quick leaves out.
seen() {
        host | sed -E 's/ proto (109|boot|static)\b//; s/not from all fwmark 0x[0-9a-f]+ lookup main suppress/from all lookup main suppress/; s/ +$//' |
                grep -vE "^(10\.9\.0\.[0-9]+|fd09::[0-9a-f]+) dev $A "
        printf 'mark %s, port %s\n' "$(on a wg show "$A" fwmark)" "$([ -z "$PORT" ] || on a wg show "$A" listen-port)"
        on a wg show "$A" allowed-ips
        [ ! -e "$TMP/hooks" ] || cat "$TMP/hooks"
}

write() { # ALLOWED-IPS [LINE]...
        local ips=$1
        shift
        (umask 077; cat >"$CONF") <<-END
		[Interface]
		PrivateKey = $KEY_a
		$(printf '%s\n' "$@")
		[Peer]
		PublicKey = $PUB_b
		AllowedIPs = $ips
		Endpoint = ${ENDPOINT:-192.0.2.2:51820}
		${MORE:-}
	END
}
ADDRESS='Address = 10.9.0.2/24, fd09::2/64'
untouched=$(whole)
gone_quick() { empty_of a wireguard-go && ! A_IP link show dev "$A"; }

same() { # WHAT ALLOWED-IPS [LINE]...
        local what=$1 wanted got
        echo "# ---- $what"
        write "${@:2}"
        rm -f "$TMP/hooks"
        must quick up
        wanted=$(seen)
        must quick down
        wait_for 5 gone_quick || bail "wireguard-go does not end"
        on a sysctl -qw net.ipv4.conf.all.src_valid_mark=0 # which wg-quick leaves as it set it
        is "($what: wg-quick leaves nothing else)" "$(whole)" "$untouched"
        rm -f "$TMP/hooks"
        ok "$what: up" adit up
        got=$(seen)
        is "$what: as wg-quick has it" "$got" "$wanted"
        isnt "(which is something)" "$(whole)" "$untouched"
        ok "$what: down" adit down
        is "$what: nothing is left" "$(whole)" "$untouched"
        LAST=$wanted
}

PORT=''
same "split tunnel" "10.1.0.0/16, 192.168.7.0/24, fd01::/64, 203.0.113.7" "$ADDRESS"
like "(with a route for each prefix)" "$LAST" "^203.0.113.7 dev $A scope link$"
same "split tunnel with its own network and one more peer" "10.9.0.1/32, 10.9.0.0/24, 10.1.0.0/16" "Address = 10.9.0.2/24" "Address = 10.9.7.1/32"
MORE="[Peer]
PublicKey = $PUB_c
AllowedIPs = 10.9.0.7/32, 10.1.2.0/24" same "overlapping peers" "10.1.0.0/16" "$ADDRESS"
same "full tunnel, IPv4 and IPv6" "0.0.0.0/0, ::/0" "$ADDRESS"
like "(with a rule and a table)" "$LAST" "lookup 51820"
ENDPOINT='[2001:db8::2]:51820' same "full tunnel over IPv6" "0.0.0.0/0, ::/0" "$ADDRESS"
same "full tunnel, IPv4 alone" "0.0.0.0/0" "Address = 10.9.0.2/32"
same "full tunnel and prefixes beside it" "0.0.0.0/0, ::/0, 10.1.0.0/16" "$ADDRESS"
same "the whole internet in two halves" "0.0.0.0/1, 128.0.0.0/1" "Address = 10.9.0.2/32"
PORT=yes same "FwMark, MTU and ListenPort" "0.0.0.0/0, ::/0" "$ADDRESS" "FwMark = 0x1234" "MTU = 1300" "ListenPort = 51999"
like "(the mark names the table)" "$LAST" "lookup 4660"
same "Table = off" "0.0.0.0/0, ::/0, 10.1.0.0/16" "$ADDRESS" "Table = off"
same "Table = 1234" "0.0.0.0/0, ::/0, 10.1.0.0/16" "$ADDRESS" "Table = 1234"
like "(which has a default route)" "$LAST" "^default dev $A table 1234"
same "Table = main with a part of it" "10.1.0.0/16" "$ADDRESS" "Table = main"
same "no address" "10.1.0.0/16, fd01::/64"
same "hooks" "10.1.0.0/16" "$ADDRESS" "PreUp = echo preup %i >>$TMP/hooks" "PostUp = ip route add 10.77.0.0/24 dev %i; ip rule add from 10.9.0.2 lookup 77; echo up %i >>$TMP/hooks" \
        "PostUp = sysctl -qw net.ipv4.ip_forward=1" "PostDown = ip rule del from 10.9.0.2 lookup 77; sysctl -qw net.ipv4.ip_forward=0"
like "(they ran)" "$LAST" "^preup $A"
finish
