# Sourced by bench-run.sh: the measures of one turn. Each writes its samples as lines `CONTENDER ROUND KEY VALUE` into $tmp/samples.
# shellcheck shell=bash disable=SC2034,SC2154

sample() { printf '%s\t%s\t%s\t%s\n' "${contender%%:*}" "$round" "$1" "$2" >>"$tmp/samples"; }
samples() { # PREFIX < lines `KEY VALUE`
        local key value
        while read -r key value; do sample "$1$key" "$value"; done
}

measure() { # COMMAND...: one that fails costs its own samples only
        "$@" && return
        note "${contender%%:*}: round $round: failed: $*"
}

measures() {
        local trial=$((SECONDS_EACH * 50)) pings=100
        if [ "$only" = tcp1 ]; then
                measure tcp tcp1 -P 1
                return
        fi
        [ -z "$quick" ] || pings=40
        measure rtt idle 20000 $pings
        measure tcp tcp1 -P 1
        measure rtt_under load
        [ -z "$quick" ] || return 0
        measure rtt warm 500 $((SECONDS_EACH * 700))
        measure tcp tcp4 -P 4
        measure tcp tcp4r -P 4 -R
        measure udp 64 "$trial"
        measure udp 1400 "$trial"
        [ "$uapi" != yes ] || measure handshakes # the last, for it leaves peers behind
}

# After all that is measured of the link: whether it still was what it should be; and what ends it.
last_measures() {
        if ! carried 0; then
                note "${contender%%:*}: round $round: after it was measured, $(cat "$tmp/log")"
                gone+=("$contender")
                return
        fi
        [ -z "$only$quick" ] || return 0
        case $cipher in '' | "$PLAIN_CIPHER") ;; *) measure upgrade ;; esac
}

rtt() { # KEY INTERVAL-US COUNT
        on "$LEFT" timeout 60 "$BUILD/tests/bench/rtt" "$far" "$2" "$3" >"$tmp/rtt" || return 1
        samples "rtt_$1_" <"$tmp/rtt"
}

# iperf3's server for one test, when it listens.
serve() {
        local tries
        on "$RIGHT" timeout $((SECONDS_EACH + 30)) iperf3 -s -1 -B "$far" >/dev/null 2>&1 &
        for tries in {1..100}; do
                on "$RIGHT" ss -Hltn 'sport = :5201' | grep -q . && return 0
                sleep 0.02
        done
        return 1
}

drive() { # FILE OPTION...: iperf3's client
        local file=$1
        shift
        on "$LEFT" timeout $((SECONDS_EACH + 15)) iperf3 -c "$far" -B "$near" -t "$SECONDS_EACH" -i 0 -J "$@" >"$file" 2>/dev/null
}

tcp() { # KEY IPERF3-OPTION...: rate, retransmits; the memory of the daemons at two thirds; their CPU over it
        local key=$1 before after machine client
        shift
        serve || return 1
        before=$(daemon_ticks) machine=$(machine_ticks)
        drive "$tmp/iperf" "$@" &
        client=$!
        if [ "$key" = tcp1 ]; then
                sleep "$((SECONDS_EACH * 2 / 3))"
                memory
        fi
        wait "$client" || return 1
        after=$(daemon_ticks) || return 1
        python3 "$root/scripts/bench-report.py" iperf "$tmp/iperf" $((after - before)) $(($(machine_ticks) - machine)) >"$tmp/tcp" || return 1
        [ -n "$pids_left" ] || sed -i /daemons_/d "$tmp/tcp"
        samples "${key}_" <"$tmp/tcp"
}

# 5 ms apart, while one stream runs as fast as it can: from when it is up to speed until just before it ends. The stream's rate too.
rtt_under() { # KEY
        local client status=0
        serve || return 1
        drive "$tmp/iperf" -P 1 &
        client=$!
        sleep 0.4
        rtt "$1" 5000 $(((SECONDS_EACH - 1) * 200)) || status=1
        kill -0 "$client" 2>/dev/null || status=1 # or it was not all under load
        wait "$client" || status=1
        [ $status = 0 ] && python3 "$root/scripts/bench-report.py" iperf "$tmp/iperf" 0 0 >"$tmp/tcp" || return 1
        sed -n '/^gbit/p' "$tmp/tcp" | samples "$1_"
}

udp() { # PACKET-SIZE TRIAL-MS
        timeout 60 "$BUILD/tests/bench/udprate" "$LEFT" "$RIGHT" "$far" "$1" "$2" "$LOSS" >"$tmp/udp" || return 1
        samples "udp$1_" <"$tmp/udp"
}

# 400 peers that all call at once, 16 unanswered at a time: below what either implementation takes for an attack.
handshakes() {
        local tool=$BUILD/tests/bench/handshakes
        "$tool" peers bench 400 >"$tmp/peers" && wg addconf "$LINK_R" "$tmp/peers" || return 1
        on "$LEFT" timeout 30 "$tool" run bench 400 16 192.0.2.2 51820 "$(cat "$tmp/r.pub")" >"$tmp/handshakes" || return 1
        samples handshakes_ <"$tmp/handshakes"
}

# How long after a handshake an idle link has its better session, at the first meeting of two daemons and when they know each other:
# on a link of its own, by a relay that makes the way UPGRADE_DELAY us long and sees both indices change. Nothing is sent but what
# the daemons send by themselves. In round-trip times, of a ping by that link.
upgrade() {
        local relay=$tmp/relay rtt
        end_all "$LEFT" "$RIGHT" || return 1
        on "$LEFT" "$BUILD/tests/bench/relay" 192.0.2.1 51900 51901 192.0.2.2 51820 "$UPGRADE_DELAY" >"$relay" 2>&1 </dev/null &
        soon "$relay" ready && wireguard_up 192.0.2.1:51900 && soon "$relay" 'both 1 ' && carried 5 || return 1
        # without its sessions the left end calls again
        ip -n "$LEFT" link set "$LINK_L" down && ip -n "$LEFT" link set "$LINK_L" up && soon "$relay" 'both 2 ' || return 1
        on "$LEFT" timeout 60 "$BUILD/tests/bench/rtt" "$far" 100000 20 >"$tmp/rtt" || return 1
        rtt=$(awk '$1 == "p50_us" { print $2 }' "$tmp/rtt")
        awk -v rtt="$rtt" 'BEGIN { print "rtt_ms", rtt / 1000; name[1] = "first"; name[2] = "known" }
                $1 == "first" && $2 in name { print name[$2] "_ms", $3 / 1000; print name[$2] "_rtts", $3 / rtt }
                $1 == "both" && $2 in name { print name[$2] "_both_rtts", $3 / rtt }' "$relay" | samples upgrade_
}

soon() { # FILE LINE: a line that begins so is there within 20 seconds
        local deadline=$((SECONDS + 20))
        until grep -q "^$2" "$1"; do
                [ $SECONDS -lt $deadline ] || return 1
                sleep 0.05
        done
}

# User and system time of every process of both daemons; fails when one is gone.
daemon_ticks() {
        local pid stat sum=0
        for pid in $pids_left $pids_right; do
                stat=$(cat "/proc/$pid/stat") || return 1
                stat=${stat##*) } # the name before may hold anything
                # shellcheck disable=SC2086
                set -- $stat
                sum=$((sum + ${12} + ${13}))
        done
        echo $sum
}

machine_ticks() { awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8 }' /proc/stat; }
idle_ticks() { awk '$1 == "cpu" { print $5 + $6 }' /proc/stat; }
steal_ticks() { awk '$1 == "cpu" { print $9 }' /proc/stat; }

# The part of the machine that is busy while nothing of ours runs.
busy_percent() {
        local busy idle
        busy=$(machine_ticks) idle=$(idle_ticks)
        sleep "$([ -n "$quick" ] && echo 0.2 || echo 0.4)"
        busy=$(($(machine_ticks) - busy)) idle=$(($(idle_ticks) - idle))
        echo $((busy * 100 / (busy + idle > 0 ? busy + idle : 1)))
}

# Of each process: its name, RSS and PSS in kB.
process_memory() { # PID...
        local pid
        for pid in "$@"; do
                awk -v name="$(cat "/proc/$pid/comm")" '$1 == "Rss:" { rss = $2 } $1 == "Pss:" { pss = $2 } END { print name, rss, pss }' \
                        "/proc/$pid/smaps_rollup"
        done
}

daemon_memory() { # "PID...": its processes' number, RSS and PSS together
        # shellcheck disable=SC2086
        process_memory $1 | awk '{ rss += $2; pss += $3 } END { print NR, rss, pss }'
}

# RSS and PSS of each process, and of each daemon: the larger of the two ends.
memory() {
        [ -n "$pids_left" ] || return 0
        # shellcheck disable=SC2086
        { process_memory $pids_left | sed 's/^/left /'; process_memory $pids_right | sed 's/^/right /'; } >"$tmp/memory"
        awk '{ rss[$1] += $3; pss[$1] += $4; n = ++seen[$1, $2]; if ($1 == "left") {
                        printf "process.%s.%d.rss_mb %.2f\nprocess.%s.%d.pss_mb %.2f\n", $2, n, $3 / 1024, $2, n, $4 / 1024 } }
                END { for (end in rss) { if (rss[end] > most) most = rss[end]; if (pss[end] > most_pss) most_pss = pss[end] }
                        printf "rss_mb %.2f\npss_mb %.2f\n", most / 1024, most_pss / 1024 }' "$tmp/memory" >"$tmp/sums"
        samples '' <"$tmp/sums"
}

# One line a turn, so that a long run shows life.
progress() {
        awk -F'\t' -v name="${contender%%:*}" -v round="$round" -v rounds="$ROUNDS" '
                function show(key, what, unit) { if (key in v) printf "   %s %8.2f %s", what, v[key], unit }
                $1 == name && $2 == round { v[$3] = $4 }
                END { printf "round %d of %d  %-27s", round, rounds, name
                        show("tcp1_gbit", "1 stream", "Gbit/s"); show("rtt_idle_p50_us", "idle", "us")
                        show("rtt_load_p50_us", "under load", "us"); print "" }' "$tmp/samples" >&2
}

# What was measured, on what: lines `KEY VALUE`.
facts() {
        echo "kernel $(uname -r)"
        echo "machine $(uname -m), $(nproc) CPUs,$(sed -n 's/^model name[^:]*://p' /proc/cpuinfo | head -n 1)"
        echo "adit $("$ADITD" --version 2>/dev/null | head -n 1), $(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)"
        echo "wireguard_go ${wireguard_go_version:-not measured}"
        [[ " $CONTENDERS " != *" openvpn "* ]] || echo "openvpn $(openvpn --version | awk '{ print $2; exit }'), AES-256-GCM, in user space"
        echo "iperf3 $(iperf3 --version | awk '{ print $2; exit }'), TCP $(on "$LEFT" cat /proc/sys/net/ipv4/tcp_congestion_control)"
        echo "rounds $ROUNDS"
        echo "seconds_each $SECONDS_EACH"
        [ -z "${LOSS:-}" ] || echo "loss_allowed $LOSS"
        [ -z "${UPGRADE_DELAY:-}" ] || echo "upgrade_delay_us $UPGRADE_DELAY"
        [ -z "${STORM_RATE:-}" ] || echo "storm_rate $STORM_RATE"
        echo "contenders $CONTENDERS"
        echo "ciphers $ciphers"
        [ -z "${BENCH_ETHTOOL:-}" ] || echo "ethtool $BENCH_ETHTOOL"
        echo "load_at_start $(cut -d' ' -f1-3 /proc/loadavg)"
}
