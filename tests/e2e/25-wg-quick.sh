#!/bin/bash
# wg-quick with aditd as its WireGuard: up, down, and nothing left; also with a default route through the link.
#
#   a e0 192.0.2.1 ----- e0 192.0.2.2 b (aditd, by hand)    b also has 203.0.113.1, which a reaches through the tunnel only
#   tunnel 10.9.0.2, fd09::2 ===== tunnel 10.9.0.1, fd09::1
. "$(dirname "$0")/lib.sh"
needs wg-quick nft ping

# wg-quick takes the kernel's WireGuard where there is one: it must meet a kernel without. It puts its own folder first in
# PATH, so it is copied beside an `ip` that knows no such type, and /sys/module is hidden in a mount namespace.
mkdir "$TMP/bin"
cp "$(command -v wg-quick)" "$TMP/bin/wg-quick"
cat >"$TMP/bin/ip" <<END
#!/bin/sh
case "\$*" in "link add"*"type wireguard"*) echo 'Error: Unknown device type.' >&2; exit 2 ;; esac
exec $(command -v ip) "\$@"
END
chmod +x "$TMP/bin/ip" "$TMP/bin/wg-quick"
quick() { # up|down FILE
        on a unshare -m sh -c '[ ! -d /sys/module ] || mount -t tmpfs none /sys/module; exec "$@"' - \
                env WG_QUICK_USERSPACE_IMPLEMENTATION=aditd PATH="$TMP/bin:$PATH" wg-quick "$@"
}

spaces a b
cable a e0 192.0.2.1/24,2001:db8::1/64 b e0 192.0.2.2/24,2001:db8::2/64
keys a b
psk ab
A=${LINK}a B=${LINK}b CONF=$TMP/${LINK}a.conf
daemon b "$B"
must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" preshared-key "$TMP/ab.psk" allowed-ips 10.9.0.2/32,fd09::2/128
address b "$B" 10.9.0.1/24,fd09::1/64
must ip -n "${SPACE}b" address add 203.0.113.1/32 dev lo

write() { # ALLOWED-IPS [LINE]...
        local ips=$1
        shift
        (umask 077; cat >"$CONF") <<-END
		[Interface]
		PrivateKey = $KEY_a
		Address = 10.9.0.2/24, fd09::2/64
		$(printf '%s\n' "$@")
		[Peer]
		PublicKey = $PUB_b
		PresharedKey = $(cat "$TMP/ab.psk")
		AllowedIPs = $ips
		Endpoint = 192.0.2.2:51820
		PersistentKeepalive = 5
		END
}
state() { # what of the host a tunnel could leave changed
        local family
        for family in -4 -6; do
                ip -n "${SPACE}a" $family route show table all | sed 's/ metric [0-9]*//; s/ pref medium//' | sort
                ip -n "${SPACE}a" $family rule show
        done
        ip -n "${SPACE}a" -o link show | cut -d : -f 2 | cut -d @ -f 1
        on a nft list ruleset
        ls /var/run/wireguard | grep "^$A"
}
is_aditd() { # the process that answers on the socket, as the kernel knows it, is one of aditd
        local pid
        [ -S "/var/run/wireguard/$A.sock" ] || return 1
        for pid in $(pids a); do
                echo "$pid $(readlink "/proc/$pid/exe")"
                [ "/proc/$pid/exe" -ef "$ADITD" ] && touch "$TMP/aditd-$1"
        done
        [ -e "$TMP/aditd-$1" ]
}
up_and_down() { # NAME
        before=$(state)
        rm -f "$TMP"/hook
        ok "$1: wg-quick up" quick up "$CONF"
        ok "$1: it is aditd that runs" is_aditd "$1"
        ok "$1: the far end answers" reaches a 10.9.0.1
        ok "$1: by IPv6 too" pings a fd09::1
        ok "$1: wg shows the peer" on a wg show "$A" allowed-ips
}
down() { # NAME
        ok "$1: wg-quick down" quick down "$CONF"
        ok "$1: no process is left within a second" wait_for 1 empty_of a "$(basename "$ADITD")"
        ok "$1: and no socket" gone "/var/run/wireguard/$A.sock"
        is "$1: and nothing else: routes, rules, links, nftables as before" "$(state)" "$before"
}

write "10.9.0.0/24, fd09::/64"
up_and_down "two routes"
is "MTU is what wg-quick works out" "$(on a cat "/sys/class/net/$A/mtu")" 1420
not_ok "up once more is refused" quick up "$CONF"
ok "and the link lives" pings a 10.9.0.1
like "wg-quick save's way of reading it, showconf" "$(on a wg showconf "$A")" "^PresharedKey = "
down "two routes"

write "0.0.0.0/0, ::/0"
up_and_down "default route"
ok "default route: the endpoint itself is still reached beside the tunnel" pings a 192.0.2.2
ok "default route: and what only b has, through it" pings a 203.0.113.1
isnt "default route: wg-quick set a mark" "$(on a wg show "$A" fwmark)" off
down "default route"

write "10.9.0.0/24, fd09::/64" 'MTU = 1300' 'ListenPort = 40000' 'FwMark = 0x77' 'Table = off' "PostUp = echo %i >$TMP/hook"
before=$(state)
ok "port, mark, MTU, hook: wg-quick up" quick up "$CONF"
is "the port" "$(on a wg show "$A" listen-port)" 40000
is "the mark" "$(on a wg show "$A" fwmark)" 0x77
is "the MTU" "$(on a cat "/sys/class/net/$A/mtu")" 1300
is "the hook ran" "$(cat "$TMP/hook")" "$A"
ok "the far end answers" reaches a 10.9.0.1
down "port, mark, MTU, hook"

for round in 1 2 3 4 5; do
        ok "up again at once, round $round" quick up "$CONF"
        ok "and down" quick down "$CONF"
done
ok "no process is left" wait_for 1 empty_of a "$(basename "$ADITD")"
finish
