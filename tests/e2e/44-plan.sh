#!/bin/bash
# The plan of a link as commands: what `adit up --dry-run` prints, typed by hand, makes the same host; `adit diff` prints what a
# reload changes, and nothing after it.
#
#   a e0 192.0.2.1 ----- e0 192.0.2.2 b            adit up
#   d e0 192.0.2.1 ----- e1 192.0.2.2 b            the commands
. "$(dirname "$0")/lib.sh"
[ -x "$ADIT" ] || bail "$ADIT is missing: make"
needs nft setpriv unshare

spaces a b d
cable a e0 192.0.2.1/24,2001:db8::1/64 b e0 192.0.2.2/24
cable d e0 192.0.2.1/24,2001:db8::1/64 b e1 192.0.2.2/24
for end in a d; do route $end default via 192.0.2.2; done
keys a b c e
psk b
A=${LINK}a FILE=$TMP/${LINK}a.conf

write() { # ADDRESSES ALLOWED-IPS [INTERFACE-LINE]...
        local addresses=$1 ips=$2
        shift 2
        (umask 077; cat >"$FILE") <<-END
		[Interface]
		PrivateKey = $KEY_a
		Address = $addresses
		$(printf '%s\n' "$@")
		[Peer]
		PublicKey = $PUB_b
		Name = berlin
		AllowedIPs = $ips
		Endpoint = 192.0.2.2:51820
		END
}
adit() { on a "$ADIT" "$@"; }
host() { # SPACE: but for the interfaces' numbers, and what comes when it likes
        local family
        ip -n "$SPACE$1" addr | sed -E '/valid_lft|fe80|link\//d; s/^[0-9]+: //; s/@if[0-9]+//; s/ link-netns .*//; s/ qlen .*//'
        for family in -4 -6; do ip -n "$SPACE$1" $family rule; ip -n "$SPACE$1" $family route show table all; done | sed -E '/fe80/d' | sort
        on "$1" sysctl net.ipv4.conf.all.src_valid_mark
        on "$1" nft list ruleset
}
untouched=$(host a)
is "(both hosts are the same)" "$untouched" "$(host d)"

echo "# ---- dry run: the same host"
typed() { # NAME
        ok "$1: dry run" adit up --dry-run "$FILE"
        grep -vE '^(aditd|wg set [^ ]+ (peer|listen-port)|# the private key:) ' "$TMP/out" >"$TMP/commands"
        is "$1: nothing was changed" "$(host a)" "$untouched"
        ok "$1: the same for who is not root" on a setpriv --reuid 65534 --clear-groups --inh-caps=-all "$ADIT" up --dry-run "$TMP/readable/$A.conf"
        is "$1: to the letter" "$(grep -vE '^(aditd|wg set [^ ]+ (peer|listen-port)|# the private key:) ' "$TMP/out")" "$(cat "$TMP/commands")"
        must adit up "$FILE"
        wanted=$(host a; on a wg show "$A" fwmark)
        must adit down "$A" # both folders of sockets are everybody's: one of a name at a time
        must on d "$ADITD" "$A"
        ok "$1: the commands can be typed" on d sh -ex "$TMP/commands"
        is "$1: the host is the same" "$(host d; on d wg show "$A" fwmark)" "$wanted"
        must ip -n "${SPACE}d" link del "$A"
        wait_for 5 gone "/run/adit/$A.sock"
        must on d sysctl -qw net.ipv4.conf.all.src_valid_mark=0
        must on d nft flush ruleset
        for family in -4 -6; do
                ip -n "${SPACE}d" $family rule | sed -nE 's/^([0-9]+):.*fwmark.*/\1/p' | while read -r pref; do ip -n "${SPACE}d" $family rule del pref "$pref"; done
                ip -n "${SPACE}d" $family route show table all type throw | sed 's/proto.*//' | while read -r words; do ip -n "${SPACE}d" $family route del $words; done
        done
        is "(both hosts are the same again)" "$(host a)" "$(host d)"
}
mkdir "$TMP/readable"
chmod 755 "$TMP" "$TMP/readable"
open_copy() { (umask 077; sed "s|^PrivateKey = .*|PrivateKey = $KEY_e|" "$FILE" >"$TMP/readable/$A.conf"; chown 65534 "$TMP/readable/$A.conf"); }

# The kernel makes the route of 10.9.0.0/24 and of fd09::/64 by itself.
write "10.9.0.1/24, fd09::1/64" "10.9.0.0/24, fd09::/64, 10.1.0.0/16, fd01::/48"
open_copy
typed "split"
write "10.9.0.1/24, 10.9.0.7/24, fd09::1/128, 10.8.0.1/32" "0.0.0.0/0, ::/0, 10.9.0.0/24, fd09::1/128, 10.1.0.0/16" "ExcludedIPs = 198.51.100.0/24, 10.1.7.0/24, 2001:db8:66::/48"
open_copy
typed "full"
write "10.9.0.1/24, fd09::1/64" "0.0.0.0/0, ::/0" "ExcludedIPs = 198.51.100.0/24" "KillSwitch = yes"
open_copy
typed "kill switch"
write "10.9.0.1/24" "0.0.0.0/0, 10.1.0.0/16" "MTU = 1300" "Table = 77" "FwMark = 0x1234"
open_copy
typed "a table by number"
write "10.9.0.1/24" "10.1.0.0/16" "Table = off" "PreUp = echo before" "PostUp = echo after"
open_copy
typed "no routes"
is "hooks are shown in their places, and not run" "$(adit up --dry-run "$FILE" | grep -nE 'aditd|echo' | sed 's/:.*echo/:/' | paste -sd ' ')" "1: before 2:aditd $A 8: after"

echo "# ---- dry run: what does not come up"
write "10.9.0.1/33" "10.1.0.0/16"
not_ok "a mistake in the file" adit up --dry-run "$FILE"
write "10.9.0.1/24, fd09::1/64" "0.0.0.0/0, ::/0, 10.1.0.0/16"
must adit up "$FILE"
not_ok "a link that is up" adit up --dry-run "$FILE"

must adit down "$A"
readonly_sys() { on a unshare -m sh -c 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"' - "$@"; }
not_ok "where /proc/sys cannot be written" readonly_sys "$ADIT" up "$FILE"
like "the step, the reason, and what to do" "$(cat "$TMP/out")" "net.ipv4.conf.all.src_valid_mark = 1: Read-only file system: .*: sysctl -w net.ipv4.conf.all.src_valid_mark=1\$"
is "and nothing was changed" "$(host a)" "$untouched"
must on a sysctl -qw net.ipv4.conf.all.src_valid_mark=1
ok "as it says: then the link comes up" readonly_sys "$ADIT" up "$FILE"

echo "# ---- diff"
diffs() { # NAME STATUS-WANTED [FILE]
        local status
        echo "# \$ adit diff $A ${3:-}"
        adit diff "$A" ${3:+"$3"} >"$TMP/diff" 2>&1
        status=$?
        is "$1: exit status $2" "$status" "$2"
}
lines() { grep -vE '^#' "$TMP/diff"; }
before=$(host a)
diffs "just up" 0
is "just up: nothing to do" "$(cat "$TMP/diff")" "$A: nothing to do"

write "10.9.0.1/24, fd09::1/64, 10.9.8.1/24" "::/0, 10.1.0.0/16, 10.2.0.0/16" "MTU = 1300" "ListenPort = 51999"
(umask 077; cat >>"$FILE") <<END
PresharedKey = $(cat "$TMP/b.psk")
PersistentKeepalive = 25
[Peer]
PublicKey = $PUB_c
AllowedIPs = 10.3.0.0/16
END
diffs "an edited file" 1
is "an edited file: what a reload would do" "$(cat "$TMP/diff")" "ip address add 10.9.8.1/24 dev $A
ip link set dev $A mtu 1300
ip -4 route add 10.2.0.0/16 dev $A proto 109
ip -4 route add 10.3.0.0/16 dev $A proto 109
ip -4 rule del not fwmark 51820 table 51820 protocol 109
ip -4 rule del not fwmark 51820 table main suppress_prefixlength 0 protocol 109
ip -4 route del 0.0.0.0/0 dev $A table 51820 proto 109
wg set $A listen-port 51999
wg set $A peer $PUB_b persistent-keepalive 25 allowed-ips 10.1.0.0/16,10.2.0.0/16,::/0 # berlin
# peer berlin: preshared key: one from now on (of the file)
wg set $A peer $PUB_c allowed-ips 10.3.0.0/16"
lacks "no key is shown" "$(cat "$TMP/diff")" "$(cat "$TMP/b.psk")"
is "nothing was changed" "$(host a)" "$before"
must adit reload "$A"
diffs "after the reload" 0
like "(which did it)" "$(host a)" "^10.2.0.0/16 dev $A"

must adit peer add "$A" "$PUB_e" --name paris --allowed-ips 10.4.0.0/16
must adit peer set "$A" berlin --preshared-key none --keepalive off --upgrade off
diffs "a link that was edited" 1
is "a link that was edited: what a reload would undo" "$(cat "$TMP/diff")" "ip -4 route del 10.4.0.0/16 dev $A proto 109
wg set $A peer $PUB_e remove # paris
wg set $A peer $PUB_b persistent-keepalive 25 # berlin
# peer berlin: preshared key: one from now on (of the file)
# peer berlin: Upgrade = auto"
must adit reload "$A"
diffs "reloaded" 0

must ip -n "${SPACE}a" link set "$A" down # which is the user's to do, and not mended
diffs "set down by others" 1
like "it would be set up" "$(lines)" "^ip link set dev $A up\$"
like "and get its routes" "$(lines)" "^ip -4 route add 10.1.0.0/16 dev $A proto 109\$"
must adit reload "$A"
diffs "reloaded" 0

sed 's/^MTU/KillSwitch = yes\n&/' "$FILE" >"$TMP/locked.conf"
chmod 600 "$TMP/locked.conf"
diffs "a kill switch" 1 "$TMP/locked.conf"
like "its table first" "$(head -n 2 "$TMP/diff" | paste -sd ' ')" "^nft -f - <<'END' table inet adit-lock-$A\$"
cp "$FILE" "$TMP/keep" && cp "$TMP/locked.conf" "$FILE"
must adit reload "$A"
diffs "in force" 0
cp "$TMP/keep" "$FILE"
diffs "to be lifted" 1
is "last of all" "$(cat "$TMP/diff")" "nft delete table inet adit-lock-$A"
must adit reload "$A"
diffs "lifted" 0
cp "$FILE" "$TMP/other.conf"
must sed -i "s|^Name.*|Name = rome|; s|^PrivateKey = .*|PrivateKey = $KEY_c|" "$TMP/other.conf"
diffs "another file" 1 "$TMP/other.conf"
is "another private key, by its public key" "$(grep private "$TMP/diff")" "# the private key: that of the file, whose public key is $PUB_c"
like "another name" "$(cat "$TMP/diff")" "^# peer rome: Name = rome\$"
lacks "the key is not shown" "$(cat "$TMP/diff")" "$KEY_c"
echo "AllowedIPs = 1" >>"$TMP/other.conf"
diffs "a broken file" 2 "$TMP/other.conf"
must adit down "$A"
diffs "a link that is not up" 3
finish
