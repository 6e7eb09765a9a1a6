#!/bin/bash
# The host's state when the N-th kernel call of up, reload and down fails, or is the last: the old state or the new, never
# a mix; after a crash, `adit repair` restores what was before. N is a spread of SAMPLE numbers, with EVERY_CALL=1 every one.
#
#   h e0 192.0.2.1, 2001:db8::1 ------- e0 192.0.2.2, 2001:db8::2 p        h has a default route, a rule, an nft table and
#   tunnel 10.9.0.1, fd09::1 (under test; its peer never answers)           a resolv.conf of its own
#   tunnel 10.7.0.1, fd07::1 (wg-quick, wireguard-go) ==== 10.7.0.2 p       and, beside, all of the internet in this one
E2E_LIMIT=${E2E_LIMIT:-${EVERY_CALL:+7200}} # every one takes its time
E2E_LIMIT=${E2E_LIMIT:-120}
. "$(dirname "$0")/lib.sh"
needs wg-quick nft ping wireguard-go
[ -x "$ADIT" ] || bail "$ADIT is missing: make"
[ "$(uname -m)" = x86_64 ] || skip_all "nthcall knows the registers of x86-64 alone"
NTHCALL=$(dirname "$ADITD")/tests/e2e/nthcall
[ -x "$NTHCALL" ] || bail "$NTHCALL is missing: make tests"
[ -z "${ADIT_SANITIZE:-}" ] || SAMPLE=${SAMPLE:-5} # slow
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0} # whose leak checker cannot run under ptrace

spaces h p
cable h e0 192.0.2.1/24,2001:db8::1/64 p e0 192.0.2.2/24,2001:db8::2/64
route h default via 192.0.2.2
route h default via 2001:db8::2
keys h p q
A=${LINK}a Q=${LINK}q P=${LINK}p
in_h() { own_etc h "$@"; }

# ---- what is there before: another's rule, table, names and tunnel
must ip -n "${SPACE}h" rule add from 198.51.100.0/24 lookup 77
must ip -n "${SPACE}h" route add 198.51.100.0/24 dev e0 table 77
must on h nft 'table inet others { chain out { type filter hook output priority 5; ip daddr 198.51.100.9 counter drop; }; }'
must in_h true
echo 'nameserver 192.0.2.53' >"$TMP/etc/resolv.conf"
echo '192.0.2.2 peer.test' >>"$TMP/etc/hosts"
daemon p "$P"
must on p wg set "$P" private-key "$TMP/p.key" listen-port 51820 peer "$PUB_q" allowed-ips 10.7.0.1/32,fd07::1/128
address p "$P" 10.7.0.2/24,fd07::2/64
(umask 077; cat >"$TMP/$Q.conf") <<-END
	[Interface]
	PrivateKey = $KEY_q
	Address = 10.7.0.1/24, fd07::1/64
	[Peer]
	PublicKey = $PUB_p
	AllowedIPs = 0.0.0.0/0, ::/0
	Endpoint = 192.0.2.2:51820
	END
# wg-quick takes the kernel's WireGuard where there is one, and puts its own folder first in PATH (25-wg-quick.sh).
mkdir "$TMP/bin"
cp "$(command -v wg-quick)" "$TMP/bin/wg-quick"
cat >"$TMP/bin/ip" <<END
#!/bin/sh
case "\$*" in "link add"*"type wireguard"*) echo 'Error: Unknown device type.' >&2; exit 2 ;; esac
exec $(command -v ip) "\$@"
END
chmod +x "$TMP/bin/ip" "$TMP/bin/wg-quick"
must in_h env WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go PATH="$TMP/bin:$PATH" wg-quick up "$TMP/$Q.conf"
ok "the tunnel of wireguard-go works" reaches h 10.7.0.2

# ---- what is compared, and what is done

# (an interface's link-local address is another each time, and with it its place)
cat >"$TMP/host" <<END
for family in -4 -6; do
        ip \$family -o address show | sed -E 's/^[0-9]+: //; s/valid_lft.*//'
        ip \$family rule
        ip \$family route show table all
done | sed -E 's/fe80::[0-9a-f:]+(.*)$A/fe80::-\1$A/; s/$A(.*)fe80::[0-9a-f:]+/$A\1fe80::-/' | sort
nft list ruleset | sed -E 's/packets [0-9]+ bytes [0-9]+//'
grep -rs --exclude=stable_secret '' /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf /proc/sys/net/ipv4/ip_forward | sort
sed -E 's|/var/lib/adit/dns/[^ ]*|a copy|' /etc/resolv.conf
END
marks() { awk '{ mark = ""; for (i = 5; i <= NF; i++) if ($i ~ /^fwmark:/) mark = $i; print "socket", $4, mark }' | sort; }
host() { in_h sh "$TMP/host"; on h ss -uaneH 2>/dev/null | marks; }
gone_link() { dead "$pid" && ! ip -n "${SPACE}h" link show "$A" >/dev/null 2>&1; }
await_end() { # of the keeper, and of the tunnel process, with which the interface goes
        local tries
        for ((tries = 0; tries < 1000; tries++)); do
                gone_link && return
                sleep 0.01
        done
        bail "the link does not end"
}

write() { # FILE ADDRESS ALLOWED-IPS [INTERFACE-LINE]...
        (umask 077; cat >"$TMP/$1") <<-END
		[Interface]
		PrivateKey = $KEY_h
		Address = $2
		$(printf '%s\n' "${@:4}")
		[Peer]
		PublicKey = $PUB_p
		AllowedIPs = $3
		Endpoint = peer.test:51999
		END
}
write full "10.9.0.1/24, fd09::1/64" "0.0.0.0/0, ::/0" "ListenPort = 51833" "KillSwitch = yes" "DNS = 10.9.0.53, corp.test" "ExcludedIPs = 203.0.113.0/24, 2001:db8:5::/48"
write split "10.9.0.1/24, 10.9.4.1/24, fd09::4/64" "10.0.0.0/8, fd00::/8" "ListenPort = 51834" "MTU = 1340" "ExcludedIPs = 10.66.0.0/16"
config() { cp -p "$TMP/$1" "$TMP/$A.conf"; } # full|split

# Each leaves pid, status, calls, by, struck, error, end; and what aditd and adit said in $TMP/log.
traced() { in_h "$NTHCALL" ${ADIT_SANITIZE:+-m} -o "$TMP/report" "$@" && . "$TMP/report"; }
up() { : >"$TMP/log"; traced "$@" -e 'ready, port' "$ADITD" -f -c "$TMP/$A.conf" 2>>"$TMP/log"; }
reload() { : >"$TMP/log"; traced "$@" -e 'was read again' -e 'nothing was changed' -p "$pid" -s HUP; }
down() { : >"$TMP/log"; traced "$@" -p "$pid" -s TERM; }
ask_reload() { : >"$TMP/log"; traced "$@" -p "$pid" "$ADIT" reload "$TMP/$A.conf" >>"$TMP/log" 2>&1; }
ask_down() { : >"$TMP/log"; traced "$@" -p "$pid" "$ADIT" down "$A" >>"$TMP/log" 2>&1; }

# The states, and how many calls there are between them.
before=$(host)
most() { [ "$calls" -le "${!1:-0}" ] || printf -v "$1" %s "$calls"; } # VARIABLE: that many, or as it was
for name in full split; do
        config "$name"
        up
        is "up ($name)" "$end" "said ready, port" || bail "$(cat "$TMP/log")"
        printf -v "$name" %s "$(host)"
        [ $name = split ] || up_calls=$calls
        down
        is "down" "$end" "exit 0"
        [ $name = split ] || down_calls=$calls
        await_end
        is "leaves nothing" "$(host)" "$before"
done
isnt "the two states are different" "$full" "$split"
config full
up
for name in split full; do
        config $name
        reload
        is "reload ($name)" "$end" "said was read again"
        most reload_calls
        is "leads there" "$(host)" "${!name}"
done
for name in split full; do
        config $name
        ask_reload
        is "reload by adit ($name)" "$end $status" "answered 0"
        most ask_reload_calls
        is "leads there" "$(host)" "${!name}"
done
ask_down
is "down by adit" "$end $status" "exit 0 0"
ask_down_calls=$calls
await_end
is "leaves nothing" "$(host)" "$before"

# The numbers to try, at most so many.
numbers() { # CALLS COUNT
        local step=$(($1 / $2))
        [ -z "${EVERY_CALL:-}" ] && [ $step -gt 1 ] || step=1
        seq $((step / 2 + 1)) $step "$1"
}

wrong=() tried=0 hit=0
complain() { # N WHAT [DIFFERENCE]
        wrong+=("$1: $2 ($by: $struck, end: $end)")
        [ -z "${3:-}" ] || wrong+=("$(head -n 14 <<<"$3")")
        wrong+=("$(grep -v 'interface is' "$TMP/log")")
}
count_it() {
        tried=$((tried + 1))
        [ -z "$by" ] || hit=$((hit + 1))
}
verdict() { # NAME
        local count all
        [ $((hit * 2)) -gt "$tried" ] || wrong+=("only $hit were struck") # one that comes too late is none
        count=${#wrong[@]}
        all=$(printf '%s\n' "${wrong[@]}" | head -n 200)
        _verdict $((count != 0)) "$1 ($hit calls)" "$all"
        wrong=() tried=0 hit=0
}

# A failure names its step: what was being done, and to what.
names_step() { # N
        local step='aditd?: [^:]*: ([^n]|n[^o]|no[^t])'
        case $struck in
        *' 'NEWADDR | *' 'DELADDR) step='address ' ;;
        *' 'NEWROUTE | *' 'DELROUTE) step='route |throw ' ;;
        *' 'NEWRULE | *' 'DELRULE) step='rules ' ;;
        *src_valid_mark) step='src_valid_mark|state' ;;
        esac
        grep -Eq -- "$step" "$TMP/log" || complain "$1" "the message does not name the step ($step)"
}
is_state() { # N STATE...: the host is in one of them, left in $state
        local is name
        is=$(host)
        for name in "${@:2}"; do
                state=$name
                [ "$is" = "${!name}" ] && return
        done
        complain "$1" "the host is in none of the states $(echo "${@:2}")" "$(difference "$is" "${!2}")"
        state=mix
        return 1
}
clear_link() { # whatever became of it
        dead "$pid" || down
        await_end
}

# ---- one call fails

config full
for n in $(numbers "$up_calls" "${SAMPLE:-20}"); do
        up -n "$n"
        count_it
        if [ "$end" = "said ready, port" ]; then
                is_state "$n" full
        elif [ "$end" = hang ]; then
                complain "$n" hangs
        else
                await_end
                is_state "$n" before
                names_step "$n"
        fi
        clear_link
done
verdict "up, when a call fails: the link is up, or nothing is left"

try_down() { # COMMAND CALLS COUNT
        local n
        for n in $(numbers "$2" "$3"); do
                config full
                up
                "$1" -n "$n"
                count_it
                [ "$end" != hang ] || complain "$n" hangs
                clear_link
                is_state "$n" before
        done
}
try_down down "$down_calls" "${SAMPLE:-8}"
verdict "down, when a call fails: nothing is left"
try_down ask_down "$ask_down_calls" "${SAMPLE:-6}"
verdict "down by adit, the same"

try_reload() { # COMMAND CALLS COUNT
        local n way from to
        config full
        up
        for n in $(numbers "$2" "$3"); do
                for way in "full split" "split full"; do
                        read -r from to <<<"$way"
                        config "$to"
                        "$1" -n "$n"
                        count_it
                        case $end:$status in
                        'said was read again:'* | answered:0) is_state "$n" "$to" ;;
                        'said nothing was changed:'* | answered:*)
                                is_state "$n" "$from"
                                names_step "$n"
                                ;;
                        *) complain "$n" "no end of a reload ($from to $to)" ;;
                        esac
                        if dead "$pid" || [ "$end" = hang ]; then
                                clear_link
                                up
                        elif [ "$state" != "$to" ]; then
                                reload
                                is_state "$n" "$to" || { clear_link; up; }
                        fi
                done
        done
        down
        await_end
}
try_reload reload "$reload_calls" "${SAMPLE:-8}"
verdict "reload, when a call fails: the old configuration or the new"
try_reload ask_reload "$ask_reload_calls" "${SAMPLE:-8}"
verdict "reload by adit, the same"

# ---- the N-th call is the last of the keeper and its children

repair() { # N: by adit, or by the next start; nothing is left
        await_end
        if [ $(($1 % 4)) = 0 ]; then
                config full
                up
                is_state "$1" full
                down
                await_end
        else
                in_h "$ADIT" repair "$A" >>"$TMP/log" 2>&1 || complain "$1" "repair fails"
        fi
        is_state "$1" before
        ! compgen -G "/run/adit/$A.*" >/dev/null || complain "$1" "left: $(echo "/run/adit/$A".*)"
        [ ! -e "/var/run/wireguard/$A.sock" ] || complain "$1" "/var/run/wireguard/$A.sock is left"
}

for n in $(numbers "$up_calls" "${SAMPLE:-10}"); do
        config full
        up -n "$n" -k
        count_it
        dead "$pid" || down # it needed fewer calls this time
        repair "$n"
done
verdict "up, and killed: repair restores what was"

for n in $(numbers "$down_calls" "${SAMPLE:-8}"); do
        config full
        up
        down -n "$n" -k
        count_it
        repair "$n"
done
verdict "down, and killed: repair restores what was"

for n in $(numbers "$reload_calls" "${SAMPLE:-10}"); do
        from=full to=split
        [ $((n % 2)) = 0 ] || from=split to=full
        config $from
        up
        config $to
        reload -n "$n" -k
        count_it
        dead "$pid" || down
        repair "$n"
done
verdict "reload, and killed: repair restores what was"

ok "the tunnel beside it still works" pings h 10.7.0.2
finish
