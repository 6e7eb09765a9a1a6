#!/bin/bash
# DNS: /etc/resolv.conf replaced and put back, in whatever way it lies there; beside systemd-resolved, and with resolvconf.
#
#   a e0 192.0.2.1 (adit up) ----- e0 192.0.2.2 b (aditd, a name server on 10.9.0.2)
#   tunnel 10.9.0.1  =============  tunnel 10.9.0.2
#
# All of it in a mount namespace with an /etc, a /var/lib and a /run/systemd of its own.
if [ -z "${DNS_MOUNTS:-}" ]; then
        RESOLVED=$("$(dirname "$0")/../../scripts/unpacked" systemd-resolved 2>&1 | tail -n 1)
        DNS_MOUNTS=1 RESOLVED=$RESOLVED exec unshare -m --propagation private bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
needs getent
[ -x "$ADIT" ] || bail "$ADIT is missing: make"
mkdir "$TMP/etc.copy" && cp -a /etc/. "$TMP/etc.copy/" 2>/dev/null
must mount -t tmpfs tmpfs /etc
must cp -a "$TMP/etc.copy/." /etc/
must mount -t tmpfs tmpfs /var/lib
echo 'hosts: files dns' >/etc/nsswitch.conf
echo '127.0.0.1 localhost' >/etc/hosts
rm -f /etc/resolv.conf

spaces a b
cable a e0 192.0.2.1/24 b e0 192.0.2.2/24
keys a b
A=${LINK}a A2=${LINK}c B=${LINK}b
daemon b "$B"
must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips 10.9.0.1/32
address b "$B" 10.9.0.2/24
echo "10.9.0.80 www.corp.example" >"$TMP/zone"
tool b nameserver 10.9.0.2 "$TMP/zone" 2>"$TMP/queries" &
NAMESERVER=$!
wait_for 5 contains "$TMP/queries" listening

adit() { on a "$ADIT" "$@"; }
write() { # LINK ADDRESS DNS
        (umask 077; cat >"$TMP/$1.conf") <<-END
		[Interface]
		PrivateKey = $KEY_a
		Address = $2
		$(printf 'DNS = %s\n' "${@:3}")
		[Peer]
		PublicKey = $PUB_b
		AllowedIPs = ${2%.*}.0/24
		Endpoint = 192.0.2.2:51820
		END
}
original() { printf '%s\n' "nameserver 192.0.2.53" "options ndots:2 edns0" >/etc/resolv.conf; }
lines() { grep -v '^#' /etc/resolv.conf; }
kept() { find /var/lib/adit/dns -mindepth 1 -not -name .lock 2>/dev/null | wc -l; }
up() { ip -n "${SPACE}a" link show "$1" >/dev/null 2>&1; }
restored() { is "$1" "$(cat /etc/resolv.conf)" "$before"; is "and nothing is kept" "$(kept)" 0; }

echo "# ---- a file"
original
chmod 640 /etc/resolv.conf
before=$(cat /etc/resolv.conf)
write "$A" 10.9.0.1/24 "10.9.0.2, corp.example"
write "$A2" 10.8.0.1/24 "fd00::53, 10.8.0.53" "~lab.example, home.example"
ok "up" adit up "$TMP/$A.conf"
is "its servers, its domains, and the options of before" "$(lines)" $'nameserver 10.9.0.2\nsearch corp.example\noptions ndots:2 edns0'
ok "a name is asked of its server, through the tunnel" on a getent ahostsv4 www
like "by its whole name" "$(cat "$TMP/queries")" "query www.corp.example"
like "adit show says which" "$(adit show "$A")" "DNS +10.9.0.2, corp.example \(/etc/resolv.conf\)"
ok "a second link" adit up "$TMP/$A2.conf"
is "has the first word" "$(lines)" $'nameserver fd00::53\nnameserver 10.8.0.53\nnameserver 10.9.0.2\nsearch home.example corp.example\noptions ndots:2 edns0'
ok "the first goes down" adit down "$A"
is "and takes what is its own" "$(lines)" $'nameserver fd00::53\nnameserver 10.8.0.53\nsearch home.example\noptions ndots:2 edns0'
ok "the second, too" adit down "$A2"
restored "the file is what it was"
is "with its mode" "$(stat -c %a /etc/resolv.conf)" 640

echo "# ---- a change of the config, of others, and a failure"
ok "up" adit up "$TMP/$A.conf"
write "$A" 10.9.0.1/24 10.9.0.3
ok "reload with another server" adit reload "$TMP/$A.conf"
is "it is followed" "$(lines)" $'nameserver 10.9.0.3\noptions ndots:2 edns0'
write "$A" 10.9.0.1/24 "10.9.0.4, bad;name"
not_ok "reload with a domain that is none" adit reload "$TMP/$A.conf"
like "says where" "$(cat "$TMP/out")" "DNS: 'bad;name'"
is "and changes nothing" "$(lines)" $'nameserver 10.9.0.3\noptions ndots:2 edns0'
echo "nameserver 192.0.2.99" >/etc/next && mv /etc/next /etc/resolv.conf
back() { lines | grep -q '^nameserver 10.9.0.3$'; }
ok "another program replaces the file: it is put right" wait_for 5 back
echo "nameserver 192.0.2.98" >/etc/resolv.conf
ok "it writes into it: the same" wait_for 5 back
ok "down" adit down "$A"
before="nameserver 192.0.2.98"
restored "what the other wrote last comes back"
write "$A" 10.9.0.1/24 10.9.0.3
ok "up" adit up "$TMP/$A.conf"
must mount -o remount,ro /etc
not_ok "down when the file cannot be put back: adit says that it is not all" adit down "$A"
like "and what to do" "$(cat "$TMP/out")" "adit repair $A"
must mount -o remount,rw /etc
ok "adit repair, when it can be" adit repair "$A"
restored "puts it back"
must mount -o remount,ro /etc
not_ok "up when the file cannot be written" adit up "$TMP/$A.conf"
like "says which step failed, and why" "$(cat "$TMP/out")" "DNS: /etc/resolv.conf: Read-only file system"
must mount -o remount,rw /etc
ok "and has undone the rest" eval "! up $A && [ ! -e /run/adit/$A.state ]"
restored "the file is as before"

echo "# ---- as it lies there"
: >"$TMP/mounted"
must mount --bind "$TMP/mounted" /etc/resolv.conf
original
before=$(cat /etc/resolv.conf)
ok "up, with a file mounted over it" adit up "$TMP/$A.conf"
is "it is written in place" "$(grep -v '^#' "$TMP/mounted")" $'nameserver 10.9.0.3\noptions ndots:2 edns0'
ok "down" adit down "$A"
restored "and put back in place"
must umount /etc/resolv.conf
mkdir /etc/dhcp.run && echo "nameserver 192.0.2.7" >/etc/dhcp.run/resolv.conf
ln -sf dhcp.run/resolv.conf /etc/resolv.conf
before=$(cat /etc/resolv.conf)
ok "up, with a symbolic link" adit up "$TMP/$A.conf"
is "what it leads to is left alone" "$(cat /etc/dhcp.run/resolv.conf)" "nameserver 192.0.2.7"
is "the names are ours" "$(lines)" "nameserver 10.9.0.3"
ok "down" adit down "$A"
restored "the link is back"
is "where it was" "$(readlink /etc/resolv.conf)" dhcp.run/resolv.conf
rm /etc/resolv.conf
ok "up, without any" adit up "$TMP/$A.conf"
is "there is one" "$(lines)" "nameserver 10.9.0.3"
ok "down" adit down "$A"
ok "there is none" test ! -e /etc/resolv.conf
is "and nothing is kept" "$(kept)" 0

echo "# ---- a crash"
original
before=$(cat /etc/resolv.conf)
COMM=$(basename "$ADITD")
crash() {
        local pid killed
        must adit up "$TMP/$A.conf"
        killed=$(running a "$COMM")
        kill -9 $killed
        for pid in $killed; do wait_for 5 dead "$pid"; done # sockets are closed later than the namespace is left
}
crash
is "after it the names are still the link's" "$(lines)" $'nameserver 10.9.0.3\noptions ndots:2 edns0'
ok "adit repair" adit repair "$A"
restored "puts them back"
crash
ok "the next start does so, too" adit up "$TMP/$A.conf"
ok "and down" adit down "$A"
restored "is as ever"
crash
echo "nameserver 192.0.2.97" >/etc/resolv.conf
ok "changed after a crash: adit repair" adit repair "$A"
before="nameserver 192.0.2.97"
restored "leaves it"

echo "# ---- resolvconf"
mkdir "$TMP/bin"
cat >"$TMP/bin/resolvconf" <<'END'
#!/bin/sh
{ echo "resolvconf $*"; [ "$1" = -d ] || cat; } >>"$RESOLVCONF_LOG"
END
chmod +x "$TMP/bin/resolvconf"
export RESOLVCONF_LOG=$TMP/resolvconf.log PATH="$TMP/bin:$PATH"
called() { cat "$RESOLVCONF_LOG" 2>/dev/null; rm -f "$RESOLVCONF_LOG"; }
printf '%s\n' "# Generated by resolvconf" "nameserver 192.0.2.96" >/etc/resolv.conf
before=$(cat /etc/resolv.conf)
write "$A" 10.9.0.1/24 "10.9.0.2, fd00::53, corp.example"
ok "up" adit up "$TMP/$A.conf"
is "resolvconf is given the servers, as by wg-quick" "$(called)" "resolvconf -a $A -m 0 -x"$'\nnameserver 10.9.0.2\nnameserver fd00::53\nsearch corp.example'
restored "its file is not touched"
like "adit show says who does it" "$(adit show "$A")" "DNS +.*\(resolvconf\)"
write "$A" 10.9.0.1/24 10.9.0.3
ok "reload" adit reload "$TMP/$A.conf"
is "gives it the new ones" "$(called)" "resolvconf -a $A -m 0 -x"$'\nnameserver 10.9.0.3'
ok "down" adit down "$A"
is "takes them back" "$(called)" "resolvconf -d $A -f"
sed -i '/^DNS/a PostUp = false' "$TMP/$A.conf"
not_ok "up with a PostUp that fails" adit up "$TMP/$A.conf"
like "takes them back, too" "$(called)" "resolvconf -d $A -f"
sed -i '/^PostUp/d' "$TMP/$A.conf"
crash
called >/dev/null
ok "after a crash: adit repair" adit repair "$A"
is "takes them back, too" "$(called)" "resolvconf -d $A -f"
crash
called >/dev/null
sed "/^DNS/d" "$TMP/$A.conf" >"$TMP/without" && cat "$TMP/without" >"$TMP/$A.conf"
ok "or the next start, without DNS" adit up "$TMP/$A.conf"
is "does" "$(called)" "resolvconf -d $A -f"
ok "down" adit down "$A"
write "$A" 10.9.0.1/24 10.9.0.3
printf '#!/bin/sh\necho no >&2\nexit 3\n' >"$TMP/bin/resolvconf"
not_ok "up when it fails" adit up "$TMP/$A.conf"
like "says so" "$(cat "$TMP/out")" "resolvconf"
ok "and has taken the link down again" eval "! up $A"

echo "# ---- systemd-resolved"
if [ -x "$RESOLVED/usr/bin/resolvectl" ] && command -v dbus-daemon >/dev/null; then
        original
        before=$(cat /etc/resolv.conf)
        id systemd-resolve >/dev/null 2>&1 || { echo 'systemd-resolve:x:990:990::/:/usr/sbin/nologin' >>/etc/passwd; echo 'systemd-resolve:x:990:' >>/etc/group; }
        for folder in /run/systemd /run/dbus; do mkdir -p $folder && must mount -t tmpfs tmpfs $folder; done
        install -d -o systemd-resolve -g systemd-resolve /run/systemd/resolve
        mkdir -p /etc/systemd && printf '[Resolve]\nLLMNR=no\nMulticastDNS=no\nDNSSEC=no\nFallbackDNS=\n' >/etc/systemd/resolved.conf
        cat >/run/dbus/conf <<-'END'
		<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
		<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
		<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/></policy></busconfig>
		END
        on a dbus-daemon --config-file=/run/dbus/conf --nofork --nopidfile 2>/dev/null &
        wait_for 5 test -S /run/dbus/system_bus_socket
        must ip -n "${SPACE}a" link set lo up
        on a "$RESOLVED"/lib/systemd/systemd-resolved 2>"$TMP/resolved.log" &
        ctl() { on a "$RESOLVED/usr/bin/resolvectl" "$@" 2>&1; }
        serves() { ctl dns | grep -q Global; }
        ok "systemd-resolved serves" wait_for 10 serves || diag "$(cat "$TMP/resolved.log")"
        write "$A" 10.9.0.1/24 "10.9.0.2, FD00::53, corp.example"
        ok "up" adit up "$TMP/$A.conf"
        like "resolved has the link's servers" "$(ctl dns "$A")" ": 10.9.0.2 fd00::53$"
        like "it is asked for all names" "$(ctl domain "$A")" ": corp.example ~.$"
        restored "the file is not touched"
        like "adit show says who does it" "$(adit show "$A")" "DNS +.*\(systemd-resolved\)"
        ok "a name is asked of its server" ctl query --legend=no www.corp.example
        write "$A" 10.9.0.1/24 "10.9.0.2, ~corp.example"
        ok "reload with one domain to be looked up there" adit reload "$TMP/$A.conf"
        like "is only that one" "$(ctl domain "$A")" ": ~corp.example$"
        like "and no default" "$(ctl default-route "$A")" ": no$"
        must ctl dns "$A" 192.0.2.95
        ok "another program changed it: reload" adit reload "$TMP/$A.conf"
        like "puts it right" "$(ctl dns "$A")" ": 10.9.0.2$"
        write "$A" 10.9.0.1/24 ""
        ok "reload without DNS" adit reload "$TMP/$A.conf"
        like "takes it away" "$(ctl dns "$A")" ":$"
        ok "down" adit down "$A"
        write "$A" 10.9.0.1/24 "10.9.0.2"
        must ip netns exec "${SPACE}b" true
        daemon_elsewhere() { (umask 077; sed "s/10.9.0/10.7.0/" "$TMP/$A.conf" >"$TMP/$A2.conf"); on b "$ADIT" up "$TMP/$A2.conf"; }
        ok "a link in another network namespace" daemon_elsewhere
        is "is none of its business" "$(lines)" $'nameserver 10.7.0.2\noptions ndots:2 edns0'
        ok "down" on b "$ADIT" down "$A2"
        restored "and its file is put back"
else
        skip "systemd-resolved" "$RESOLVED"
fi
kill $NAMESERVER
finish
