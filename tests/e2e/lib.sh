# Sourced by every script here: TAP, a world of network namespaces, and its end.
#
# A script draws its topology, sources this file, makes its world (`spaces`, `cable`), asserts (`ok`, `not_ok`, `is`, `like`) and
# ends with `finish`. Everything it starts lives in namespaces named adit-PID-..., with links named aPID..., so that scripts
# may run side by side. At the end, whatever the reason, what lives in those namespaces is killed and they are deleted.
#
# ADITD, ADIT: the programs under test. ADIT_SANITIZE=1: they are a sanitizer build. E2E_LIMIT: seconds for the whole script.
# shellcheck shell=bash
set -u

LIMIT=${E2E_LIMIT:-120}
[ -z "${ADIT_SANITIZE:-}" ] || LIMIT=$((LIMIT * 3))
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:atexit_sleep_ms=0} # a race ends the daemon, and so fails the script
if [ -z "${E2E_BOUNDED:-}" ]; then
        E2E_BOUNDED=1 exec timeout -k 15 "$LIMIT" bash "$0" "$@"
fi
unset E2E_BOUNDED

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
ADITD=$(realpath -m "${ADITD:-$ROOT/${BUILD:-build}/aditd}")
ADIT=$(realpath -m "${ADIT:-$ROOT/${BUILD:-build}/adit}")
PYTHON=/usr/bin/python3
[ -x $PYTHON ] || PYTHON=python3
export PATH="$(dirname "$ADITD"):$(dirname "$ADIT"):$PATH" LC_ALL=C
export WG_HIDE_KEYS=never WG_COLOR_MODE=never

SPACE=adit-$$-         # what our namespaces begin with
LINK=a$$               # what our tunnels' names begin with: /var/run/wireguard is everybody's
TMP=$(mktemp -d /tmp/adit-e2e.XXXXXX)
SPACES=()
TESTS=0 FAILED=0

# ---- TAP ------------------------------------------------------------------------------------------------------------

diag() { sed 's/^/#   /' <<<"$*"; }

_verdict() { # _verdict 0|1 NAME [DETAIL]
        TESTS=$((TESTS + 1))
        if [ "$1" = 0 ]; then
                echo "ok $TESTS - $2"
        else
                FAILED=$((FAILED + 1))
                echo "not ok $TESTS - $2"
                [ -z "${3:-}" ] || diag "$3"
        fi
        return "$1"
}

# A step of the setup: shown, and the end of the script if it fails.
must() {
        echo "# \$ $*"
        "$@" >"$TMP/out" 2>&1 || { diag "$(cat "$TMP/out")"; bail "failed: $*"; }
}

ok() { # NAME COMMAND...: the command succeeds
        local name=$1 status
        shift
        echo "# \$ $*"
        "$@" >"$TMP/out" 2>&1
        status=$?
        _verdict $((status != 0)) "$name" "status $status"$'\n'"$(tail -n 30 "$TMP/out")"
}

not_ok() { # NAME COMMAND...: the command fails
        local name=$1 status
        shift
        echo "# \$ $*"
        "$@" >"$TMP/out" 2>&1
        status=$?
        _verdict $((status == 0)) "$name" "it succeeded"$'\n'"$(tail -n 30 "$TMP/out")"
}

is() { # NAME GOT WANTED
        [ "$2" = "$3" ]
        _verdict $? "$1" "$(difference "$2" "$3")"
}
difference() { # GOT WANTED
        case $1$2 in
        *$'\n'*) echo "< got, > wanted"; diff <(echo "$1") <(echo "$2") ;;
        *) echo "got:    $1"; echo "wanted: $2" ;;
        esac
}

isnt() { # NAME GOT UNWANTED
        [ "$2" != "$3" ]
        _verdict $? "$1" "got: $2"
}

like() { # NAME GOT EXTENDED-REGEX
        grep -Eq -- "$3" <<<"$2"
        _verdict $? "$1" "got:            ${2:0:2000}"$'\n'"does not match: $3"
}

unlike() { # NAME GOT EXTENDED-REGEX
        ! grep -Eq -- "$3" <<<"$2"
        _verdict $? "$1" "got:     $2"$'\n'"matches: $3"
}

lacks() { # NAME GOT SECRET: nowhere in it, letter by letter
        ! grep -Fq -- "$3" <<<"$2"
        _verdict $? "$1" "it is there"
}

between() { # NAME GOT LOW HIGH
        [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]
        _verdict $? "$1" "got $2, wanted $3 to $4"
}

skip() { # NAME REASON
        TESTS=$((TESTS + 1))
        echo "ok $TESTS - $1 # SKIP $2"
}

skip_all() { echo "1..0 # SKIP $*"; exit 0; }
bail() { echo "Bail out! $*"; exit 1; }

finish() {
        echo "1..$TESTS"
        exit $((FAILED != 0))
}

# Polls until the command succeeds, at most SECONDS.
wait_for() { # SECONDS COMMAND...
        local end=$((SECONDS + $1 + 1))
        shift
        until "$@" >/dev/null 2>&1; do
                [ $SECONDS -lt $end ] || return 1
                sleep 0.05
        done
}
not() { ! "$@"; }
gone() { ! [ -e "$1" ]; }
dead() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
contains() { grep -Eq -- "$2" "$1"; } # FILE REGEX

# ---- the world -------------------------------------------------------------------------------------------------------

needs() { # PROGRAM...
        local program
        [ "$(id -u)" = 0 ] || skip_all "needs root"
        [ -c /dev/net/tun ] || skip_all "needs /dev/net/tun"
        for program in ip wg "$PYTHON" "$@"; do
                command -v "$program" >/dev/null || bail "$program is missing: scripts/deps check"
        done
        ip netns add "${SPACE}try" 2>/dev/null || skip_all "needs network namespaces"
        ip netns delete "${SPACE}try"
        [ -x "$ADITD" ] || bail "$ADITD is missing: make"
}

on() { # SPACE COMMAND...
        local space=$SPACE$1
        shift
        ip netns exec "$space" "$@"
}

spaces() { # SPACE...
        local space
        for space in "$@"; do
                SPACES+=("$space")
                must ip netns add "$SPACE$space"
                # Addresses are usable at once, and links of tests gone by are not routed around.
                on "$space" sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.router_solicitations=0
                ip -n "$SPACE$space" link set lo up
        done
}

cable() { # SPACE DEVICE ADDRESS[,ADDRESS] SPACE DEVICE ADDRESS[,ADDRESS]: a veth pair
        must ip link add "$2" netns "$SPACE$1" type veth peer name "$5" netns "$SPACE$4"
        address "$1" "$2" "$3"
        address "$4" "$5" "$6"
}

# A command in SPACE with an /etc of the test's own, $TMP/etc, where names come from the file hosts alone, and a /var/lib, $TMP/lib.
own_etc() { # SPACE COMMAND...
        local space=$1
        shift
        if [ ! -d "$TMP/etc" ]; then
                mkdir "$TMP/etc" "$TMP/lib"
                (cd /etc && cp -a passwd group ld.so.* iproute2 "$TMP/etc/" 2>/dev/null)
                echo 'hosts: files' >"$TMP/etc/nsswitch.conf"
                echo 'multi on' >"$TMP/etc/host.conf"
                echo '127.0.0.1 localhost' >"$TMP/etc/hosts"
                : >"$TMP/etc/resolv.conf"
        fi
        on "$space" unshare -m sh -c "mount --bind $TMP/etc /etc && mount --bind $TMP/lib /var/lib && exec \"\$@\"" - "$@"
}

address() { # SPACE DEVICE ADDRESS[,ADDRESS]: and up
        local one
        for one in ${3//,/ }; do must ip -n "$SPACE$1" address add "$one" dev "$2" nodad; done
        must ip -n "$SPACE$1" link set "$2" up
}

route() { # SPACE ARGUMENT...
        local space=$1 family=-4
        shift
        case "$*" in *:*) family=-6 ;; esac
        must ip -n "$SPACE$space" $family route add "$@"
}

forwarding() { must on "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; }

# ---- tunnels ---------------------------------------------------------------------------------------------------------

# KEY_x, PUB_x and the file $TMP/x.key, for each x.
keys() {
        local x
        for x in "$@"; do
                (umask 077; wg genkey >"$TMP/$x.key")
                printf -v "KEY_$x" %s "$(cat "$TMP/$x.key")"
                printf -v "PUB_$x" %s "$(wg pubkey <"$TMP/$x.key")"
        done
}
psk() { (umask 077; wg genpsk >"$TMP/$1.psk"); } # the file $TMP/x.psk

daemon() { # SPACE DEVICE [PROGRAM]: wireguard-go's calling way
        must on "$1" "${3:-$ADITD}" "$2"
        [ -S "/var/run/wireguard/$2.sock" ] || bail "${3:-$ADITD} returned before /var/run/wireguard/$2.sock was there"
}

pids() { ip netns pids "$SPACE$1" 2>/dev/null; } # of SPACE

# The processes of PROGRAM in SPACE. The tunnel process may have another root: it is known by its name.
running() { # SPACE PROGRAM
        local pid
        for pid in $(pids "$1"); do
                [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] && ! dead "$pid" && echo "$pid"
        done
        return 0
}
runs() { [ -n "$(running "$1" "$2")" ]; }
empty_of() { [ -z "$(running "$1" "$2")" ]; } # SPACE PROGRAM

pings() { on "$1" ping -n -c "${3:-1}" -i 0.2 -W 2 "$2"; }            # SPACE ADDRESS [COUNT]
no_pings() { ! on "$1" ping -n -c 2 -i 0.3 -W 1 "$2"; }               # SPACE ADDRESS
reaches() { wait_for 15 on "$1" ping -n -c 1 -W 1 "$2"; }             # SPACE ADDRESS: soon
handshake() { on "$1" wg show "$2" latest-handshakes | awk '{print $2; exit}'; } # SPACE DEVICE
received() { on "$1" cat "/sys/class/net/$2/statistics/rx_packets"; } # SPACE DEVICE: packets out of the tunnel
counter() { # SPACE PROTOCOL NAME, as in /proc/net/snmp
        on "$1" awk -v want="$3" '$1 == "'"$2"':" { if (!n) for (n = NF; n && $n != want; n--); else print $n }' /proc/net/snmp
}
retransmitted() { echo $(($(counter a Tcp RetransSegs) + $(counter b Tcp RetransSegs))); } # by the TCP of the spaces a and b
tool() { local space=$1; shift; on "$space" $PYTHON "$HERE/tool.py" "$@"; }

# A checksummed TCP stream: `incoming` and `outgoing` start its ends, `arrived` waits for both and compares.
incoming() { # SPACE ADDRESS PORT
        : >"$TMP/progress"
        tool "$1" receive "$2" "$3" >"$TMP/received" 2>"$TMP/progress" &
        RECEIVER=$!
        wait_for 5 contains "$TMP/progress" listening || bail "receiver: $(cat "$TMP/progress")"
}
outgoing() { # SPACE ADDRESS PORT BYTES [BYTES-PER-SECOND [FILE]]: at most, if FILE comes to be
        tool "$1" send "${@:2}" >"$TMP/sent" 2>&1 &
        SENDER=$!
}
arrived() { # SECONDS
        wait_for "$1" dead "$SENDER" && wait_for 10 dead "$RECEIVER" || { kill "$SENDER" "$RECEIVER" 2>/dev/null; echo "not in $1 s"; }
        wait "$SENDER" "$RECEIVER"
        echo "sent $(cat "$TMP/sent"), received $(cat "$TMP/received")"
        [ -s "$TMP/sent" ] && cmp "$TMP/sent" "$TMP/received"
}
progress() { contains "$TMP/progress" "^MiB ($1)\$"; } # as in "4|5|6"

# ---- the session upgrade, and what is on the wire -------------------------------------------------------------------

# A build's: the names of what it is linked with.
has_mlkem() { grep -aqE 'crypto_kem_mlkem768_|EVP_PKEY_encapsulate' "$1"; } # PROGRAM
has_aegis() { grep -aq 'crypto_aead_aegis256_' "$1"; }                      # PROGRAM

peer() { # SPACE DEVICE FIELD...: what adit shows of its only peer, with bars between
        on "$1" "$ADIT" show "$2" --json | $PYTHON -c 'import json, sys
peer = json.load(sys.stdin)["links"][0]["peers"][0]
print(*(peer[field] for field in sys.argv[1:]), sep="|")' "${@:3}"
}
# The numbers of a ping's packets that were not answered, of its output; the last may still be on its way.
unanswered() { sed -n 's/.*bytes from.*icmp_seq=\([0-9]*\).*/\1/p' "$1" | sort -n | awk '$1 > last + 1 { print last + 1 "-" $1 - 1 } { last = $1 } END { if (!last) print "all" }'; } # FILE
# What its daemon dropped by reason, but for the kernel's own multicast, which has no peer.
dropped() { # SPACE DEVICE
        on "$1" "$ADIT" show "$2" --json | $PYTHON -c 'import json, sys
for name, count in json.load(sys.stdin)["links"][0]["drops"].items():
    if count and name not in ("tx-no-peer", "tx-no-endpoint", "tx-link-down"): print(name, count)'
}

# aditd with keylog.so: who has its log, $TMP/SPACE.keylog, can open a capture. A sanitizer's runtime must come before all
# other libraries; one that is linked into the program does.
daemon_logged() { # SPACE DEVICE PROGRAM [VARIABLE=VALUE]...
        local so
        so=$(dirname "$3")/tests/keylog.so
        [ -e "$so" ] || bail "$so is missing: make tests"
        must on "$1" env LD_PRELOAD="$(ldd "$3" | awk '$1 ~ /^lib[at]san\./ { print $3 ":" }')$so" KEYLOG="$TMP/$1.keylog" "${@:4}" "$3" "$2"
}
# Each datagram by itself, and not as the kernel hands a batch on.
unbatched() { must on "$1" ethtool -K "$2" tx-udp-segmentation off; } # SPACE DEVICE
capture() { # SPACE DEVICE FILE [FILTER...]
        : >"$3.log"
        on "$1" tcpdump -Z root --immediate-mode -s 2048 -U -n -B 32768 -i "$2" -w "$3" "${@:4}" 2>"$3.log" &
        wait_for 5 contains "$3.log" 'listening on' || bail "tcpdump: $(cat "$3.log")"
}
captured() { # SPACE FILE...: ends all captures there
        kill -TERM $(running "$1" tcpdump)
        wait_for 5 empty_of "$1" tcpdump || bail "tcpdump does not end"
        for file in "${@:2}"; do
                wait_for 5 contains "$file.log" '^0 packets dropped by kernel' || bail "a capture has holes: $(cat "$file.log")"
        done
}
# What $TMP/FROM.keylog and the key $TMP/FROM.key can tell of a capture: decrypt.py. Each nonce was used once.
opened() { # FILE FROM ADDRESS-OF-FROM PEER-PUBLIC-KEY [PRESHARED-KEY-FILE]
        $PYTHON "$HERE/decrypt.py" "$1" "$TMP/$2.keylog" "$3" "$TMP/$2.key" "${@:4}" >"$1.txt" 2>&1
}

# ---- the end ---------------------------------------------------------------------------------------------------------

_cleanup() {
        local status=$? space pid
        trap '' TERM INT HUP
        trap - EXIT
        exec 2>/dev/null # where bash would tell of each job it sees killed
        declare -F teardown >/dev/null && teardown
        for signal in TERM KILL; do
                for space in "${SPACES[@]}"; do
                        for pid in $(pids "$space"); do kill -$signal "$pid" 2>/dev/null; done
                done
                wait_for 2 _all_quiet
        done
        for space in "${SPACES[@]}"; do ip netns delete "$SPACE$space" 2>/dev/null; done
        rm -f /var/run/wireguard/"$LINK"*.sock /run/adit/"$LINK"*
        rm -rf "$TMP"
        exit "$status"
}
_all_quiet() {
        local space
        for space in "${SPACES[@]}"; do [ -z "$(pids "$space")" ] || return 1; done
}
trap _cleanup EXIT
trap 'echo "Bail out! interrupted, or over the limit of $LIMIT s"; exit 1' TERM INT HUP
