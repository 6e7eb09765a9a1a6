# Sourced by scripts/bench and scripts/bench-scale: a run. In each of ROUNDS rounds every contender has a turn, in rotating order,
# with daemons started for that turn: its link comes up, `measures` (of whoever sources this) takes its samples, its link goes down.
# shellcheck shell=bash disable=SC2034,SC2154
root=$(cd "$(dirname "$0")/.." && pwd)
BUILD=$(realpath -m "${BUILD:-$root/build}")
ADITD=$(realpath -m "${ADITD:-$BUILD/aditd}")
ADIT=$BUILD/adit
out=$BUILD/bench
gone=()
export BUILD

# shellcheck source=scripts/bench-links.sh
. "$root/scripts/bench-links.sh"
# shellcheck source=scripts/bench-measures.sh
. "$root/scripts/bench-measures.sh"

# The script once more, under a limit: 4 minutes, and so many seconds for each turn.
bounded() { # SECONDS-A-TURN SCRIPT ARGUMENT...
        local each=$1
        shift
        case $ROUNDS$SECONDS_EACH in *[!0-9]*) echo "bench: ROUNDS and SECONDS_EACH are whole numbers" >&2; exit 2 ;; esac
        if [ "$ROUNDS" -lt 1 ] || [ "$SECONDS_EACH" -lt 2 ]; then echo "bench: at least 1 round, and 2 seconds each" >&2; exit 2; fi
        if [ -z "${BENCH_BOUNDED:-}" ]; then
                BENCH_BOUNDED=1 exec timeout --foreground -k 20 $((240 + ROUNDS * $(wc -w <<<"$CONTENDERS") * each)) bash "$@"
        fi
        unset BENCH_BOUNDED
}

need() {
        local program
        [ "$(id -u)" = 0 ] || fail "this needs root, for network namespaces and tunnel interfaces"
        for program in ip ss iperf3 wg python3 ping timeout ethtool; do
                command -v "$program" >/dev/null || fail "$program is missing; install it: scripts/deps bench"
        done
        for program in "$ADITD" "$ADIT" "$BUILD/tests/bench/rtt" "$BUILD/tests/bench/udprate" "$BUILD/tests/bench/handshakes" \
                "$BUILD/tests/bench/without" "$BUILD/tests/bench/relay"; do
                [ -x "$program" ] || fail "$program is missing; build it: make bench"
        done
        [ -c /dev/net/tun ] || fail "/dev/net/tun is missing; load the module: modprobe tun"
}

turn() { # CONTENDER
        if ! link_up "$1"; then
                note "${1%%:*}: did not come up: $(tail -n 3 "$tmp/log" | tr '\n' ' ')"
                gone+=("$1")
        else
                measures
                progress
                last_measures
        fi
        link_down
}

rounds() {
        local i n names
        read -ra names <<<"$CONTENDERS"
        n=${#names[@]}
        for ((round = 1; round <= ROUNDS; round++)); do
                for ((i = 0; i < n; i++)); do
                        contender=${names[(i + round - 1) % n]}
                        [[ " ${gone[*]} " != *" $contender "* ]] || continue
                        sample machine_busy_percent "$(busy_percent)"
                        turn "$contender"
                done
        done
}

run() { # REPORT NAME: everything, and the results as REPORT (of bench-report.py) in $out/NAME
        local steal began=$SECONDS
        need
        tmp=$(mktemp -d) || exit 1
        trap 'status=$?; trap "" EXIT INT TERM HUP; net_down; rm -rf "$tmp"; exit $status' EXIT
        trap 'exit 1' INT TERM HUP
        mkdir -p "$out"
        touch "$tmp/samples" "$tmp/notes"
        net_up
        choose_contenders
        facts >"$tmp/facts"
        steal=$(steal_ticks)
        rounds
        echo "machine_steal_ticks $(($(steal_ticks) - steal))" >>"$tmp/facts"
        echo "took $((SECONDS - began)) s" >>"$tmp/facts"
        net_down
        python3 "$root/scripts/bench-report.py" "$1" "$tmp" "$out/$2" "$CONTENDERS" || fail "there is nothing to report"
        [ "${#gone[@]}" = 0 ] || fail "not measured, or not what it should be: ${gone[*]%%:*}; the notes say why"
}
