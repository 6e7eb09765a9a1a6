#!/bin/bash
# What a link that was killed leaves, and its repair.
#
#   a e0 192.0.2.1 ----- e0 192.0.2.2 b            a's default route is by b
#   tunnel 10.9.0.1, fd09::1 (aditd -c)            c: another network namespace, alone
. "$(dirname "$0")/lib.sh"
needs unshare
[ -x "$ADIT" ] || bail "$ADIT is missing: make"

spaces a b c
cable a e0 192.0.2.1/24,2001:db8::1/64 b e0 192.0.2.2/24,2001:db8::2/64
route a default via 192.0.2.2
route a default via 2001:db8::2
keys a b
A=${LINK}a COMM=$(basename "$ADITD")

write() { # ADDRESSES ALLOWED-IPS [INTERFACE-LINE]...
        local addresses=$1 ips=$2
        shift 2
        (umask 077; cat >"$TMP/$A.conf") <<-END
		[Interface]
		PrivateKey = $KEY_a
		Address = $addresses
		$(printf '%s\n' "$@")
		[Peer]
		PublicKey = $PUB_b
		AllowedIPs = $ips
		Endpoint = 192.0.2.2:51820
		END
}
full() { write "10.9.0.1/24, fd09::1/64" "0.0.0.0/0, ::/0, 10.1.0.0/16" "ExcludedIPs = 198.51.100.0/24, 2001:db8:66::/48"; }
other() { write "10.9.0.1/24, fd09::1/64, 10.9.8.1/24" "10.1.0.0/16, 10.2.0.0/16, ::/0" "MTU = 1300" "FwMark = 77"; }
adit() { on a "$ADIT" "$@"; }
host() { # all that a link adds there, to the letter
        local family
        ip -n "${SPACE}a" addr | sed '/valid_lft/d'
        for family in -4 -6; do ip -n "${SPACE}a" $family rule; ip -n "${SPACE}a" $family route show table all; done
        on a sysctl net.ipv4.conf.all.src_valid_mark
}
files() { ls /run/adit /var/run/wireguard | grep "^$LINK" | paste -sd ' '; }
killed() { # both processes, at once
        local pids pid
        pids=$(running a "$COMM")
        # shellcheck disable=SC2086
        kill -KILL $pids
        # (one that ends leaves its namespace before its sockets are closed)
        for pid in $pids; do wait_for 5 dead "$pid" || bail "aditd does not die"; done
}
repaired() { # HOW
        is "$1: the host is as it was" "$(host)" "$untouched"
        is "$1: no file is left" "$(files)" ""
}

untouched=$(host)
full

echo "# ---- killed at rest"
is "nothing to repair" "$(adit repair "$A" 2>&1)" "$A: nothing to repair"
must adit up "$TMP/$A.conf"
up=$(host)
isnt "(the link changes the host)" "$up" "$untouched"
not_ok "a link that is up is not repaired" adit repair "$A"
like "and what to do" "$(adit repair "$A" 2>&1)" "^aditd: $A: this link is up, and nothing to repair; to take it down: adit down $A\$"
is "nothing was changed" "$(host)" "$up"
killed
like "rules are left" "$(host)" 'not from all fwmark'
like "and files" "$(files)" "$A.sock $A.state $A.sock"
ok "repair" adit repair "$A"
like "says what it removed" "$(cat "$TMP/out")" "^$A: removed rules ipv4 mark [0-9]+ table [0-9]+\$"
like "and what it set back" "$(cat "$TMP/out")" "^$A: set back src_valid_mark 0\$"
like "and of IPv6, of excluded prefixes, and the sockets" "$(paste -sd ' ' "$TMP/out")" \
        "rules ipv6 .*throw 2001:db8:66::/48 .*throw 198.51.100.0/24 .*removed /var/run/wireguard/$A.sock .*removed /run/adit/$A.sock"
repaired "killed at rest"
is "once more: nothing to repair" "$(adit repair "$A" 2>&1)" "$A: nothing to repair"

must adit up "$TMP/$A.conf"
killed
must on a "$ADITD" --repair "$A"
repaired "by aditd --repair"

must adit up "$TMP/$A.conf"
killed
on a env LOG_LEVEL=info "$ADITD" -f -c "$TMP/$A.conf" >"$TMP/log" 2>&1 &
wait_for 10 contains "$TMP/log" 'ready' || bail "aditd -f: $(cat "$TMP/log")"
like "a start repairs, and the log says so" "$(cat "$TMP/log")" 'a crash left its state behind: removed rules ipv4'
same() { sed -E "s/^[0-9]+: (e0|$A)/\1/; /fe80/d"; } # but for the index, and what comes when it likes
is "the link is up as before" "$(host | same)" "$(same <<<"$up")"
must adit down "$A"
repaired "and down"

echo "# ---- killed in a reload"
for turn in 1 2 3 4 5 6; do
        full
        must adit up "$TMP/$A.conf"
        other
        adit reload "$A" >/dev/null 2>&1 &
        reload=$!
        for ((i = 0; i < turn * 400; i++)); do :; done # another moment each time
        killed
        wait $reload
        must adit repair "$A"
        repaired "$turn"
done

echo "# ---- one process dies"
full
for victim in 0 1-9; do
        must adit up "$TMP/$A.conf"
        for pid in $(running a "$COMM"); do
                if grep -q "^Uid:.[$victim]" "/proc/$pid/status"; then kill -KILL "$pid"; else other=$pid; fi
        done
        ok "the other ends" wait_for 5 dead "$other"
        [ "$victim" != 0 ] || must adit repair "$A"
        repaired "killed: the process of uid $victim"
done

echo "# ---- two repairs, and a repair beside a start"
for _ in 1 2 3; do
        must adit up "$TMP/$A.conf"
        killed
        adit repair "$A" >"$TMP/one.out" 2>&1 &
        one=$!
        adit repair "$A" >"$TMP/two.out" 2>&1 &
        two=$!
        wait $one
        first=$?
        wait $two
        is "two at once: both succeed" "$first $?" "0 0"
        is "one of them removed the rules" "$(cat "$TMP/one.out" "$TMP/two.out" | grep -c "removed rules ipv4")" 1
        repaired "two at once"
done
for _ in 1 2 3; do
        must adit up "$TMP/$A.conf"
        killed
        adit up "$TMP/$A.conf" >"$TMP/one.out" 2>&1 &
        one=$!
        adit repair "$A" >"$TMP/two.out" 2>&1
        wait $one
        status=$?
        [ $status = 0 ] || diag "$(cat "$TMP/one.out" "$TMP/two.out")"
        is "beside a start: the link is up" "$status" 0
        is "and whole" "$(adit show "$A" >/dev/null && ip -n "${SPACE}a" rule | grep -c fwmark)" 2
        must adit down "$A"
        repaired "beside a start"
done
: >"/run/adit/$A.lock"
ok "a lock that nobody holds blocks no start" adit up "$TMP/$A.conf"
must adit down "$A"
: >"/run/adit/$A.lock"
ok "and no repair" adit repair "$A"
repaired "a stale lock"

echo "# ---- a damaged journal"
must adit up "$TMP/$A.conf"
killed
mark=$(ip -n "${SPACE}a" rule | sed -nE 's/.*fwmark (0x[0-9a-f]+).*suppress.*/\1/p')
half=$(head -c 60 "/run/adit/$A.state")
for damage in "$half" garbage ""; do
        printf %s "$damage" >"/run/adit/$A.state"
        not_ok "damaged ('${damage:0:12}'): repair fails" adit repair "$A"
        report=$(cat "$TMP/out")
        like "it names the file" "$report" "^aditd: $A: /run/adit/$A.state is damaged"
        like "and what to do" "$report" "rm /run/adit/$A.state"
        like "and shows what bears our mark" "$report" "^ip -4 rule del not fwmark $((mark)) table $((mark)) protocol 109\$"
        not_ok "damaged: no start" adit up "$TMP/$A.conf"
done
grep '^ip ' <<<"$report" >"$TMP/commands"
ok "the commands that it shows can be typed" on a sh -ex "$TMP/commands"
must on a sysctl -qw net.ipv4.conf.all.src_valid_mark=0
is "then the host is as it was" "$(host)" "$untouched"
must rm "/run/adit/$A.state"
ok "repair does the rest" adit repair "$A"
repaired "damaged, and mended"

echo "# ---- another network namespace"
must adit up "$TMP/$A.conf"
killed
not_ok "from another network namespace: refused" on c "$ADIT" repair "$A"
like "it names the one" "$(cat "$TMP/out")" "/run/adit/$A.state is of another network namespace \([0-9]+\): repair it there: (ip netns exec ${SPACE}a|nsenter --net=\S+) adit repair $A"
not_ok "nor is one of its name started there" on c "$ADIT" up "$TMP/$A.conf"
ok "in its own it is repaired" adit repair "$A"
repaired "its own namespace"
printf '%s\n' "link $A 7 1" 'ours rules ipv4 mark 1 table 1' >"/run/adit/$A.state"
ok "of a namespace that is gone there is nothing left" adit repair "$A"
repaired "a namespace that is gone"

echo "# ---- all of them"
must mkdir "$TMP/run"
owns() { on a unshare -m sh -c "mount --bind $TMP/run /run/adit && exec \"\$@\"" - "$@"; }
like "no link: nothing to repair" "$(owns "$ADIT" repair 2>&1)" "^nothing to repair"
must owns "$ADIT" up "$TMP/$A.conf"
is "one that is up" "$(owns "$ADIT" repair --all 2>&1)" "$A: is up"
killed
ok "repair without a name" owns "$ADIT" repair
like "says what" "$(cat "$TMP/out")" "^$A: removed rules ipv4"
repaired "all of them"
is "(its folder is empty)" "$(ls "$TMP/run")" ""
not_ok "not with a name too" adit repair --all "$A"
finish
