#!/bin/bash
# As a service: what adit@.service runs, with the rights and filters that it says and nothing more, and what the service manager
# is told. tool.py notify is the service manager's ear, as_unit.py its hands.
#
#   a e0 192.0.2.1 (adit up --foreground, with a /run and /etc of its own) ----- e0 192.0.2.2 b (aditd)
#   tunnel 10.9.0.1  =====================================================  tunnel 10.9.0.2
. "$(dirname "$0")/lib.sh"
needs ping nft nsenter unshare systemd-analyze
[ -x "$ADIT" ] || bail "$ADIT is missing: make"

spaces a b
cable a e0 192.0.2.1/24 b e0 192.0.2.2/24
keys a b
A=${LINK}a B=${LINK}b COMM=$(basename "$ADITD") LOG=$TMP/log HEARD=$TMP/heard HOOKS=$TMP/hooks
chmod 755 "$TMP"
mkdir "$TMP/bin" "$TMP/sbin"
cp "$ADIT" "$TMP/bin/adit"
cp "$ADITD" "$TMP/sbin/aditd"
UNIT=$TMP/adit@.service
for unit in adit@.service adit-lock@.service; do
        sed "s|@BINDIR@|$TMP/bin|; s|@SBINDIR@|$TMP/sbin|" "$ROOT/scripts/systemd/$unit.in" >"$TMP/$unit"
done
[ -z "${ADIT_SANITIZE:-}" ] || export AS_UNIT_FILTER=0 # whose runtimes need more
unset SUDO_COMMAND NOTIFY_SOCKET

daemon b "$B"
must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips 10.9.0.1/32
address b "$B" 10.9.0.2/24

# ---- a machine: /run and /var/lib as adit.tmpfiles makes them, /etc with the user and group of adit.sysusers
own_etc a true || bail "no /etc"
sed -i '/^adit:/d' "$TMP/etc/passwd" "$TMP/etc/group"
echo 'adit:x:54321:54321::/:/usr/sbin/nologin' >>"$TMP/etc/passwd"
echo 'adit:x:54321:' >>"$TMP/etc/group"
mkdir "$TMP/etc/adit"
own_etc a unshare -m sh -c 'mount -t tmpfs tmpfs /run && mkdir /run/adit /run/wireguard && chgrp 54321 /run/adit && chmod 2755 /run/adit &&
        mount -t tmpfs tmpfs /var/lib && mkdir -m 700 /var/lib/adit && mount -t tmpfs -o mode=700 tmpfs /root && echo $$ >"$1" && exec sleep 1000' - "$TMP/machine" &
wait_for 5 test -s "$TMP/machine" || bail "no machine"
MACHINE=$(cat "$TMP/machine")
in_machine() { nsenter -t "$MACHINE" -m -n -- "$@"; }

listen() { # ADDRESS [SECONDS]
        : >"$HEARD"
        nsenter -t "$MACHINE" -m -n -- $PYTHON "$HERE/tool.py" notify "$@" >>"$HEARD" &
        EAR=$!
        wait_for 5 contains "$HEARD" '^listening' || bail "nobody listens"
        export NOTIFY_SOCKET=$1
}
hush() {
        kill "$EAR"
        wait "$EAR" 2>/dev/null
        [ "${NOTIFY_SOCKET:0:1}" = @ ] || in_machine rm -f "$NOTIFY_SOCKET"
        unset NOTIFY_SOCKET WATCHDOG_USEC
}
unit() { in_machine $PYTHON "$HERE/as_unit.py" "$UNIT" "$1" "$A" "$TMP"; } # KEY
START=($PYTHON "$HERE/as_unit.py" "$UNIT" ExecStart "$A" "$TMP")
start() { # runs until it is stopped: MAIN
        : >"$LOG"
        nsenter -t "$MACHINE" -m -n -- "${START[@]}" >"$LOG" 2>&1 &
        MAIN=$!
}
told() { contains "$HEARD" "^$MAIN (.*\|)?$1"; }    # by the main process
not_told() { ! told "$1"; }
said() { sed -n "s/^$MAIN //p" "$HEARD" | sed 's/MONOTONIC_USEC=[0-9][0-9]*/MONOTONIC_USEC=N/; s/port [0-9]*/port N/' | grep -v '^WATCHDOG=1$'; }
ended() { # STATUS: waits for it
        wait_for 10 dead "$MAIN" || { diag "it goes on"; kill -KILL "$MAIN"; }
        wait "$MAIN"
        STATUS=$?
}
tunnel_process() { for pid in $(running a "$COMM"); do [ "$pid" = "$MAIN" ] || grep -q '^Uid:.0' "/proc/$pid/status" || echo "$pid"; done; }
up() { ip -n "${SPACE}a" link show "$A" >/dev/null 2>&1; }
hooks() { paste -sd ' ' "$HOOKS" 2>/dev/null; }
nothing() {
        ok "$1: no link, no process, no socket, no journal" eval "! up && empty_of a $COMM && empty_of a adit && ! in_machine test -e /run/adit/$A.sock && ! in_machine test -e /run/adit/$A.state"
}
write() { # [INTERFACE-LINE]...
        rm -f "$HOOKS" "$TMP/etc/adit/$A.conf"
        (umask 077; cat >"$TMP/etc/adit/$A.conf") <<-END
		[Interface]
		PrivateKey = $KEY_a
		Address = 10.9.0.1/24
		ListenPort = 443
		$(printf '%s\n' "$@")
		[Peer]
		PublicKey = $PUB_b
		AllowedIPs = ${ALLOWED:-10.9.0.0/24, 198.51.100.0/24}
		Endpoint = 192.0.2.2:51820
		END
}
field() { awk -v f="$2:" '$1 == f { $1 = ""; sub(/^ /, ""); print }' "/proc/$1/status"; } # PID FIELD

echo "# ---- start, reload and stop, by what the unit says and with no more"
write "PreUp = env >$TMP/env; echo preup >>$HOOKS" "PostUp = ip route get 10.9.0.2 | grep 'dev %i'; echo postup >>$HOOKS; grep -c READY $HEARD >>$HOOKS || true" \
        "PreDown = echo predown >>$HOOKS" "PostDown = echo postdown >>$HOOKS"
listen /run/notify
start
ok "READY=1 comes from the process that was started" wait_for 15 told "READY=1"
is "PreUp and PostUp were run before it" "$(hooks)" "preup postup 0"
is "in order" "$(said)" "STATUS=set up, PostUp is to come
READY=1|STATUS=up, port N"
is "and from no other" "$(grep -v "^$MAIN " "$HEARD")" "listening"
unlike "nothing of it reaches a hook" "$(cat "$TMP/env")" "^(NOTIFY_SOCKET|WATCHDOG_)"
is "the main process is aditd" "$(cat "/proc/$MAIN/comm")" "$COMM"
ok "the link works" reaches a 10.9.0.2
is "a port below 1024, as asked" "$(in_machine "$ADIT" show "$A" --json | grep -c '"listen_port": 443')" 1
is "the keeper has what it needs" "$(field "$MAIN" CapEff)" 0000000000001400
TUNNEL=$(tunnel_process)
is "the tunnel process nothing" "$(field "$TUNNEL" CapBnd) $(field "$TUNNEL" CapEff)" "0000000000000000 0000000000000000"
is "and the uid of adit" "$(field "$TUNNEL" Uid | tr '\t' ' ')" "54321 54321 54321 54321"
is "its root is empty" "$(ls -A "/proc/$TUNNEL/root/")" ""
isnt "and is not the host's" "$([ "/proc/$TUNNEL/root/" -ef / ] && echo the host)" "the host"
is "the control socket is for the group" "$(in_machine stat -c '%a %u %g' "/run/adit/$A.sock")" "660 0 54321"
if contains "$LOG" LimitMEMLOCK; then
        skip "keys are locked" "this container may not raise RLIMIT_MEMLOCK"
else
        unlike "keys are locked: no line says that they are not" "$(cat "$LOG")" RLIMIT_MEMLOCK
fi

sed -i 's|, 198.51.100.0/24|, 203.0.113.0/24|' "$TMP/etc/adit/$A.conf"
ok "ExecReload" unit ExecReload
is "has changed the route" "$(ip -n "${SPACE}a" route show dev "$A" | grep -cE '^(198.51.100|203.0.113).0/24')|$(ip -n "${SPACE}a" route show 203.0.113.0/24 | wc -l)" "1|1"
sed -i 's|203.0.113.0/24|203.0.113.0/33|' "$TMP/etc/adit/$A.conf"
not_ok "with a mistake it fails" unit ExecReload
like "and says where" "$(cat "$TMP/out")" "$A.conf:[0-9]+:[0-9]+: AllowedIPs"
ok "the link is there, as before" reaches a 10.9.0.2

: >"$HEARD"
kill -HUP "$MAIN"
ok "SIGHUP, with the mistake: READY=1 again" wait_for 5 told "READY=1"
is "RELOADING=1 before it, with the time; and that nothing was changed" "$(said)" "RELOADING=1|MONOTONIC_USEC=N|STATUS=reading the file again
READY=1|STATUS=up, port N; the file was read again, and is wrong: nothing was changed"
sed -i 's|203.0.113.0/33|198.51.100.0/24|' "$TMP/etc/adit/$A.conf"
: >"$HEARD"
kill -HUP "$MAIN"
ok "SIGHUP, mended" wait_for 5 told "READY=1"
is "RELOADING=1, READY=1" "$(said)" "RELOADING=1|MONOTONIC_USEC=N|STATUS=reading the file again
READY=1|STATUS=up, port N"
is "and the route is as the file says" "$(ip -n "${SPACE}a" route show 198.51.100.0/24 | wc -l)" 1

: >"$HEARD" >"$HOOKS"
ok "ExecStop" unit ExecStop
ended
is "the main process ends well" "$STATUS" 0
is "PreDown and PostDown were run" "$(hooks)" "predown postdown"
is "STOPPING=1" "$(said)" "STOPPING=1|STATUS=taking the link down"
nothing "ExecStop"
not_ok "ExecStop of a link that is gone (the unit has a - before it)" unit ExecStop
like "says so" "$(cat "$TMP/out")" "no link of this name is up"
hush

echo "# ---- a key that the service manager keeps; a default route: a sysctl, rules and a table of its own; the kill switch"
ALLOWED='0.0.0.0/0, ::/0' write "KillSwitch = yes" "DNS = 10.9.0.53"
echo "nameserver 192.0.2.53" >"$TMP/etc/resolv.conf"
sed -i 's/^PrivateKey .*/PrivateKeyFile = credential:private-key/' "$TMP/etc/adit/$A.conf"
chmod 644 "$TMP/etc/adit/$A.conf"
start
ended
is "without a service manager that hands it over: it is a mistake in the file" "$STATUS" 78
like "and says so" "$(cat "$LOG")" "$A.conf:2:18: PrivateKeyFile: 'credential:private-key': no service manager hands credentials over"
in_machine sh -c 'mkdir -m 700 -p /run/credentials && umask 377 && cat >/run/credentials/private-key && chmod 500 /run/credentials' <"$TMP/a.key"
tables() { on a nft list tables | grep -c adit; }
ok "adit-lock@.service, which needs no key" in_machine $PYTHON "$HERE/as_unit.py" "$TMP/adit-lock@.service" ExecStart "$A" "$TMP"
isnt "it has closed the kill switch" "$(tables)" 0
not_ok "nothing goes out" on a ping -n -c 1 -W 1 192.0.2.2
listen /run/notify
export CREDENTIALS_DIRECTORY=/run/credentials
start
ok "with it" wait_for 15 told "READY=1"
ok "the link works: it is that key" reaches a 10.9.0.2
is "the sysctl is set" "$(on a cat /proc/sys/net/ipv4/conf/all/src_valid_mark)" 1
isnt "and the rules" "$(ip -n "${SPACE}a" rule show | grep -c fwmark)" 0
: >"$HEARD"
kill -HUP "$MAIN"
ok "the keeper, which has few rights by now, can have it read again" wait_for 5 told "READY=1"
like "and has" "$(cat "$LOG")" "$A.conf was read again"
ok "ExecReload can, too" unit ExecReload
if in_machine sh -c 'command -v resolvconf' >/dev/null; then
        skip "names are asked of the link's server" "this machine has resolvconf, for which the unit wants a drop-in"
else
        like "names are asked of the link's server" "$(cat "$TMP/etc/resolv.conf")" "^nameserver 10.9.0.53$"
fi
unset CREDENTIALS_DIRECTORY
ok "ExecStop needs none" unit ExecStop
ended
is "it ends well" "$STATUS" 0
is "the kill switch is lifted" "$(tables)" 0
is "names are asked as before" "$(cat "$TMP/etc/resolv.conf")" "nameserver 192.0.2.53"
is "the sysctl is back" "$(on a cat /proc/sys/net/ipv4/conf/all/src_valid_mark)" 0
nothing "a default route"
hush

START=("$TMP/bin/adit" up --foreground "$A") # from here on without the sandbox, which takes a second each time

echo "# ---- the watchdog"
write
export WATCHDOG_USEC=1000000
listen "@adit-$$" 1
start
beats() { [ "$(grep -c "^$MAIN WATCHDOG=1" "$HEARD")" -ge "$1" ]; }
ok "to a socket of the abstract namespace, too: READY=1" wait_for 15 told "READY=1"
ok "WATCHDOG=1, again and again" wait_for 10 beats 4
not_ok "in time, each" contains "$HEARD" expired
TUNNEL=$(tunnel_process)
kill -STOP "$TUNNEL"
ok "a tunnel process that is stopped: the watchdog fires" wait_for 10 contains "$HEARD" expired
BEATS=$(grep -c WATCHDOG "$HEARD")
kill -CONT "$TUNNEL"
ok "it goes on: so do the beats" wait_for 10 beats $((BEATS + 2))
kill -STOP "$TUNNEL"
kill -ABRT "$MAIN" # as systemd does; and to what is left:
ended
kill -TERM "$TUNNEL"
kill -CONT "$TUNNEL"
isnt "the watchdog's signal ends the main process, and not well" "$STATUS" 0
ok "and the tunnel process" wait_for 2 empty_of a "$COMM"
wait_for 2 not up # which its threads may hold a moment longer: the unit waits RestartSec=
hush
start
ok "started again after that: it is up" wait_for 15 contains "$LOG" "ready, port"
kill -TERM "$MAIN"
ended
is "SIGTERM: it ends well" "$STATUS" 0
nothing "SIGTERM"

echo "# ---- for another process: no beat"
export WATCHDOG_USEC=100000 WATCHDOG_PID=1
listen /run/notify
start
ok "READY=1" wait_for 15 told "READY=1"
kill -HUP "$MAIN"
ok "and what comes after it" wait_for 5 told "RELOADING=1"
ok "without a beat" not_told "WATCHDOG=1"
unset WATCHDOG_PID

echo "# ---- one process dies, the other ends: the service manager starts both anew"
kill -KILL "$(tunnel_process)"
ended
is "tunnel process killed: exit status 1" "$STATUS" 1
nothing "tunnel process killed"
start
ok "up again" wait_for 15 told "READY=1"
kill -KILL "$MAIN"
ended
is "keeper killed" "$STATUS" 137
ok "the tunnel process ends" wait_for 2 empty_of a "$COMM"
wait_for 2 not up
start
ok "up again" wait_for 15 told "READY=1"
kill -TERM $(running a "$COMM") # all at once, as the service manager does that waits no longer
ended
is "SIGTERM to both: it ends well" "$STATUS" 0
nothing "SIGTERM to both"

echo "# ---- what fails"
write "PostUp = echo postup >>$HOOKS; exit 5"
: >"$HEARD"
start
ended
is "a PostUp that fails: exit status 1" "$STATUS" 1
ok "READY=1 was not said" not_told "READY=1"
like "it says which, and what becomes of the link" "$(cat "$LOG")" "PostUp: command 1 ended with exit status 5.*"
like "the link is taken down" "$(cat "$LOG")" "the link is taken down again"
nothing "a PostUp that fails"
write "PreUp = false" "PostUp = echo postup >>$HOOKS"
start
ended
is "a PreUp that fails: exit status 1" "$STATUS" 1
is "no PostUp is run" "$(hooks)" ""
nothing "a PreUp that fails"
write "PostUp = echo \$BASHPID >$TMP/begun; exec sleep 100"
start
ok "in the midst of a PostUp" wait_for 10 test -s "$TMP/begun"
kill -TERM "$MAIN"
ended
is "SIGTERM: it ends well" "$STATUS" 0
ok "and the command is ended" wait_for 5 dead "$(cat "$TMP/begun")"
wait_for 5 empty_of a adit
nothing "SIGTERM in the midst of a PostUp"
sed -i 's/^Address.*/Adress = 10.9.0.1/' "$TMP/etc/adit/$A.conf"
start
ended
is "a mistake in the file: a status that tells not to try again" "$STATUS" 78
chmod 622 "$TMP/etc/adit/$A.conf"
write "PostUp = true"
sed -i 's/^PrivateKey .*//' "$TMP/etc/adit/$A.conf"
chmod 666 "$TMP/etc/adit/$A.conf"
start
ended
is "a file with hooks that others can write: the same" "$STATUS" 78
is "the unit does not start it again then" "$(sed -n 's/^RestartPreventExitStatus=//p' "$UNIT")" "2 4 78"
hush
finish
