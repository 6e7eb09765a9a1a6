#!/bin/bash
# Hooks: PreUp, PostUp, PreDown, PostDown of `adit up` and `adit down`, beside wg-quick with the same file.
#
#   a e0 192.0.2.1 (adit up FILE; wg-quick up FILE) ----- e0 192.0.2.2 b     nobody answers at b: hooks need no peer
#   tunnel 10.9.0.1
. "$(dirname "$0")/lib.sh"
needs wg-quick setpriv
[ -x "$ADIT" ] || bail "$ADIT is missing: make"

spaces a b
cable a e0 192.0.2.1/24 b e0 192.0.2.2/24
keys a b
A=${LINK}a CONF=$TMP/${LINK}a.conf LOG=$TMP/log COMM=$(basename "$ADITD")
chmod 755 "$TMP"

# wg-quick of a kernel without WireGuard, as in 25-wg-quick.sh.
mkdir "$TMP/bin"
cp "$(command -v wg-quick)" "$TMP/bin/wg-quick"
cat >"$TMP/bin/ip" <<END
#!/bin/sh
case "\$*" in "link add"*"type wireguard"*) exit 2 ;; esac
exec $(command -v ip) "\$@"
END
chmod +x "$TMP/bin/ip" "$TMP/bin/wg-quick"
quick() { # up|down FILE
        on a unshare -m sh -c '[ ! -d /sys/module ] || mount -t tmpfs none /sys/module; exec "$@"' - \
                env WG_QUICK_USERSPACE_IMPLEMENTATION=aditd PATH="$TMP/bin:$PATH" wg-quick "$@"
}
adit() { on a "$ADIT" "$@"; }
status() { "$@" >"$TMP/said" 2>&1; echo $?; }
said() { grep -v "^aditd: .* ready, port" "$TMP/said"; }
logged() { paste -sd ' ' "$LOG" 2>/dev/null; }
up() { ip -n "${SPACE}a" link show "$A" >/dev/null 2>&1; }
nothing() { ok "$1: no link, no process, no socket" eval "! up && empty_of a $COMM && gone /run/adit/$A.sock"; }

write() { # [INTERFACE-LINE]...
        rm -f "$CONF" "$LOG"
        (umask 077; cat >"$CONF") <<-END
		[Interface]
		PrivateKey = $KEY_a
		Address = 10.9.0.1/24
		$(printf '%s\n' "$@")
		[Peer]
		PublicKey = $PUB_b
		AllowedIPs = 10.9.0.0/24
		Endpoint = 192.0.2.2:51820
		END
}
# What is there while a hook runs: the interface, its address, its route.
cat >"$TMP/seen" <<'END'
#!/bin/bash
# NAME LOG WORD
link=no address=no route=no
ip link show "$1" >/dev/null 2>&1 && link=yes
ip address show "$1" 2>/dev/null | grep -q 10.9.0.1 && address=yes
ip route show 10.9.0.0/24 | grep -q . && route=yes
echo "$3:$link/$address/$route" >>"$2"
END
chmod +x "$TMP/seen"
see() { echo "$TMP/seen %i $LOG $1"; }

echo "# ---- order, and what is there when they run"
write "PostDown = $(see postdown1)" "PreUp = $(see preup1)" "PostUp = $(see postup1); $(see postup1b)" "PreDown = $(see predown1)" \
        "PreUp = $(see preup2)" "PostUp = $(see postup2) # not this" "predown = $(see predown2)" "PostDown = $(see postdown2)" \
        "PostUp = echo %i,x%ix >>$LOG"
ok "check likes it" adit check "$CONF"
lacks "and has no remark on hooks" "$(cat "$TMP/out")" "PostUp"
is "adit up" "$(status adit up "$CONF")" 0
is "it says nothing of its own" "$(said)" ""
UP="preup1:no/no/no preup2:no/no/no postup1:yes/yes/yes postup1b:yes/yes/yes postup2:yes/yes/yes $A,x${A}x"
is "PreUp before there is anything, PostUp when all is set, in the order of the file" "$(logged)" "$UP"
is "adit up once more is refused" "$(status adit up "$CONF")" 1
like "and says so" "$(said)" "is up already"
is "and runs no hook" "$(logged)" "$UP"
is "adit reload" "$(status adit reload "$CONF")" 0
is "runs none" "$(logged)" "$UP"
like "and says so" "$(said)" "^adit: $CONF: PreUp and PostUp: a reload runs no commands; .*adit down $A"
: >"$LOG"
is "adit down, by name" "$(status adit down "$A")" 0
DOWN="predown1:yes/yes/yes predown2:yes/yes/yes postdown1:no/no/no postdown2:no/no/no"
is "PreDown while all is there, PostDown when it is gone" "$(logged)" "$DOWN"
nothing "after down"
: >"$LOG"
ok "wg-quick up, with the same file" quick up "$CONF"
is "runs them in the same order, with the same there" "$(logged)" "$UP"
: >"$LOG"
ok "wg-quick down" quick down "$CONF"
is "too" "$(logged)" "$DOWN"

echo "# ---- what a hook says, and what it is given"
write "PostUp = echo one; echo two >&2; printf three" "PostUp = ls -l /proc/self/fd >$TMP/fds; umask >$TMP/umask; env >$TMP/env; pwd >$TMP/pwd" \
        "PostUp = id -u >$TMP/uid; grep ^Cap /proc/self/status >$TMP/caps; exec cat" "PreDown = echo four"
export ADIT_TEST_WORD=here
cd "$TMP" || bail "cd"
is "up" "$(umask 027; exec 7</dev/null </dev/zero; status adit up "$CONF")" 0
unset ADIT_TEST_WORD
is "each line of output has its origin, and all of it is on stderr" "$(adit down "$A" 2>&1 >/dev/null; said)" \
        "adit: $A: PreDown: four"$'\n'"$(printf "adit: $A: PostUp: %s\n" one two three)"
# 3 is what ls reads.
is "descriptors: stdin is /dev/null, two pipes, and no other" "$(awk '$9 ~ /^[0-9]+$/ { print $9, $11 }' "$TMP/fds" | sed 's/:\[.*//; s/^3 .*/3/' | paste -sd ' ')" \
        "0 /dev/null 1 $TMP/fds 2 pipe 3"
is "umask is the caller's" "$(cat "$TMP/umask")" 0027
is "folder too" "$(cat "$TMP/pwd")" "$TMP"
is "environment too" "$(grep -c '^ADIT_TEST_WORD=here$' "$TMP/env")" 1
is "PATH among it" "$(sed -n 's/^PATH=//p' "$TMP/env")" "$PATH"
is "uid too" "$(cat "$TMP/uid")" 0
is "rights too, not aditd's" "$(cat "$TMP/caps")" "$(on a grep ^Cap /proc/self/status)"
nothing "after it"

echo "# ---- failures"
write "PreUp = $(see preup)" "PreUp = echo no; exit 5" "PreUp = $(see not-this)" "PostUp = $(see not-this)" "PostDown = $(see not-this)"
is "a PreUp that fails: status 1" "$(status adit up "$CONF")" 1
is "it says which, and what became of the link" "$(said)" "adit: $A: PreUp: no
adit: $A: PreUp: command 2 ended with exit status 5
adit: the link was not brought up"
is "nothing was run after it" "$(logged)" "preup:no/no/no"
nothing "a PreUp that fails"
: >"$LOG"
not_ok "wg-quick fails as well" quick up "$CONF"
is "with the same run" "$(logged)" "preup:no/no/no"

write "PostUp = $(see postup)" "PostUp = kill -9 \$BASHPID" "PostUp = $(see not-this)" "PreDown = $(see not-this)" "PostDown = $(see not-this)"
is "a PostUp that fails: status 1" "$(status adit up "$CONF")" 1
is "it says which, and what became of the link" "$(said)" "adit: $A: PostUp: command 2 was ended by signal 9 (Killed)
adit: the link was taken down again"
is "no other was run" "$(logged)" "postup:yes/yes/yes"
nothing "a PostUp that fails"
: >"$LOG"
not_ok "wg-quick fails as well" quick up "$CONF"
is "with the same run" "$(logged)" "postup:yes/yes/yes"
ok "and without a link" not up

write "PreDown = $(see predown)" "PreDown = false; true" "PreDown = $(see not-this)" "PostDown = $(see not-this)"
must adit up "$CONF"
is "a PreDown that fails: status 1" "$(status adit down "$A")" 1
is "it says which, and what became of the link" "$(said)" "adit: $A: PreDown: command 2 ended with exit status 1
adit: $A: the link was left up"
is "no other was run" "$(logged)" "predown:yes/yes/yes"
ok "the link is up" up
like "and answers" "$(adit show "$A")" "$A"
sed -i 's/^PreDown = false; true/PreDown = true/; s/not-this/later/' "$CONF"
: >"$LOG"
is "the file is mended: down reads it anew" "$(status adit down "$A")" 0
is "as it is now" "$(logged)" "predown:yes/yes/yes later:yes/yes/yes later:no/no/no"

write "PostDown = exit 6" "PostDown = $(see not-this)"
must adit up "$CONF"
is "a PostDown that fails: status 1" "$(status adit down "$A")" 1
is "it says which, and what became of the link" "$(said)" "adit: $A: PostDown: command 1 ended with exit status 6
adit: $A: the link is down"
is "no other was run" "$(logged)" ""
nothing "a PostDown that fails"

write "PreUp = $(see not-this)" "AllowedIPs = 10.0.0.0/33"
is "a mistake in the file" "$(status adit up "$CONF")" 1
write "PreUp = $(see not-this)"
must ip -n "${SPACE}a" link add "$A" type veth peer name other
is "an interface of the name that is not ours" "$(status adit up "$CONF")" 1
like "says so" "$(said)" "an interface of this name exists"
must ip -n "${SPACE}a" link delete "$A"
is "neither has run a hook" "$(logged)" ""

echo "# told to end in the midst of a hook"
write "PostUp = echo \$PPID >$TMP/adit.pid; touch $TMP/begun; trap 'echo ended >>$LOG; exit' TERM; while :; do sleep 0.05; done"
adit up "$CONF" >"$TMP/said" 2>&1 &
ADIT_UP=$!
ok "the hook runs" wait_for 10 test -e "$TMP/begun"
kill -TERM "$(cat "$TMP/adit.pid")"
wait "$ADIT_UP"
is "status 1" "$?" 1
is "the hook was told" "$(logged)" "ended"
like "it says so" "$(said)" "^adit: $A: PostUp: command 1 was stopped: adit was told to end"
nothing "told to end"

echo "# ---- whose file"
refused() { # NAME PART-OF-THE-PATH
        is "$1: up is refused" "$(status adit up "$CONF")" 1
        like "$1: it says why, and what to do" "$(said)" "^adit: $CONF: it has commands to run .*: $2 .*mend it with: ch(mod|own) .* $2$"
        like "$1: nothing was changed" "$(said)" "^adit: nothing was changed$"
        is "$1: no hook was run" "$(logged)" ""
        nothing "$1"
}
write "PreUp = $(see preup)" "PostDown = $(see postdown)"
sed -i "s/^PrivateKey .*/PrivateKeyFile = a.key/" "$CONF" # so that the file may be read by others
chmod 666 "$CONF"
refused "all can write the file" "$CONF"
chmod 620 "$CONF"
refused "its group can" "$CONF"
chmod 644 "$CONF"
chown 65534 "$CONF"
refused "it is another's" "$CONF"
chown 0 "$CONF"
chmod 777 "$TMP"
refused "all can write the folder" "$TMP"
chmod 1777 "$TMP"
is "with the sticky bit they may" "$(status adit up "$CONF")" 0
is "and the hook is run" "$(logged)" "preup:no/no/no"
chmod 777 "$TMP"
: >"$LOG"
is "unsafe at the time of down: status 1" "$(status adit down "$A")" 1
like "it says what is left out" "$(said)" "^adit: $A: it is taken down without its PreDown and PostDown$"
is "it is not run" "$(logged)" ""
nothing "unsafe at the time of down"
chmod 755 "$TMP"

echo "# ---- the file at the time of down"
must adit up "$CONF"
mv "$TMP/a.key" "$TMP/gone.key"
: >"$LOG"
is "the key file is gone" "$(status adit down "$A")" 0
is "hooks need none" "$(logged)" "postdown:no/no/no"
mv "$TMP/gone.key" "$TMP/a.key"
for how in "rm -f" "sed -i s/^Address/Adress/"; do
        write "PostDown = $(see postdown)"
        must adit up "$CONF"
        $how "$CONF"
        is "$how FILE: down works" "$(status adit down "$A")" 0
        like "$how FILE: it says why there are no hooks" "$(said)" "^adit: $CONF:.*"
        like "$how FILE: and that there are none" "$(said)" "without its PreDown and PostDown"
        is "$how FILE: none was run" "$(logged)" ""
        nothing "$how FILE"
done

echo "# ---- without adit"
write "PreDown = $(see not-this)" "PostDown = $(see not-this)"
must adit up "$CONF"
must ip -n "${SPACE}a" link delete "$A"
ok "a link that is deleted ends" wait_for 5 empty_of a "$COMM"
is "and runs no hook" "$(logged)" ""
nobody() { on a setpriv --reuid=65534 --regid=65534 --clear-groups "$ADIT" "$@"; }
must adit up "$CONF"
is "nobody may not end it" "$(status nobody down "$A")" 4
is "and runs no hook" "$(logged)" ""
must rm "$CONF"
must adit down "$A"
write "PreDown = echo not this"
sed -i "s/^PrivateKey .*/PrivateKeyFile = a.key/" "$CONF"
chmod 644 "$CONF"
must adit up "$CONF"
must chgrp 54321 "/run/adit/$A.sock" # the group adit, of a machine that has one
group() { on a setpriv --reuid=65534 --regid=65534 --groups=54321 "$ADIT" "$@"; }
ok "who may only look, looks" group show "$A"
is "and may not end it" "$(status group down "$A")" 4
lacks "nor run its hooks" "$(said)" "not this"
must adit down "$A"
finish
