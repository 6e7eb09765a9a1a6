#!/bin/bash
# On a clean link nothing is lost, sent twice, or overtaken, whatever the number of workers: TCP never sends again, and datagrams
# with numbers come in their order.
#
#   a e0 192.0.2.1 (adit up FILE) ----- e0 192.0.2.2 b (adit up FILE)
#   tunnel 10.9.0.1, fd09::1 ========== tunnel 10.9.0.2, fd09::2
E2E_LIMIT=120
. "$(dirname "$0")/lib.sh"
needs ping iperf3
NUMBERS=$(dirname "$ADITD")/tests/e2e/numbers COMM=$(basename "$ADITD")
for file in "$NUMBERS" "$ADIT"; do [ -x "$file" ] || bail "$file is missing: make all tests"; done
KEY=Workers # of [Interface]
EACH=2 PACKETS=20000
[ -z "${ADIT_SANITIZE:-}" ] || PACKETS=4000

spaces a b
cable a e0 192.0.2.1/24 b e0 192.0.2.2/24
# A retransmission is then a loss, and not a machine that stood still for a while.
for end in a b; do must on $end sysctl -qw net.ipv4.tcp_early_retrans=0; done
keys a b
A=${LINK}a B=${LINK}b

write() { # DEVICE KEY ADDRESSES PEER'S-KEY PEER'S-ADDRESSES PEER'S-ENDPOINT [INTERFACE-LINE]
        (umask 077; cat >"$TMP/$1.conf") <<-END
		[Interface]
		PrivateKey = $2
		ListenPort = 51820
		Address = $3
		${7:-}
		[Peer]
		PublicKey = $4
		AllowedIPs = $5
		Endpoint = $6
		END
}
up() { # [INTERFACE-LINE]
        write "$A" "$KEY_a" 10.9.0.1/24,fd09::1/64 "$PUB_b" 10.9.0.2/32,fd09::2/128 192.0.2.2:51820 "$@"
        write "$B" "$KEY_b" 10.9.0.2/24,fd09::2/64 "$PUB_a" 10.9.0.1/32,fd09::1/128 192.0.2.1:51820 "$@"
        must on a "$ADIT" up "$TMP/$A.conf"
        must on b "$ADIT" up "$TMP/$B.conf"
        reaches a 10.9.0.2 && reaches b fd09::1 || bail "no packet passes"
}
down() {
        must on a "$ADIT" down "$A"
        must on b "$ADIT" down "$B"
        wait_for 5 empty_of a "$COMM" && wait_for 5 empty_of b "$COMM" || bail "aditd does not end"
}

listening() { on b ss -Hltn 'sport = :5201' | grep -q .; }
iperf() { # NAME ARGUMENT...: 0 retransmissions, by iperf3's count and by the kernels'
        local name=$1 before server
        shift
        before=$(retransmitted)
        on b iperf3 -s -1 -B 10.9.0.2 >"$TMP/iperf.server" 2>&1 &
        server=$!
        wait_for 5 listening || bail "iperf3 does not listen"
        echo "# \$ iperf3 -c 10.9.0.2 -t $EACH -J $*"
        on a timeout 30 iperf3 -c 10.9.0.2 -t $EACH -J "$@" >"$TMP/iperf.json" 2>&1
        wait_for 10 dead $server
        is "$name: iperf3 counts no retransmission" "$($PYTHON -c 'import json, sys
end = json.load(open(sys.argv[1]))["end"]
print(sum(end[x].get("retransmits", 0) for x in ("sum_sent", "sum_sent_bidir_reverse") if x in end))' "$TMP/iperf.json" 2>&1)" 0
        is "$name: nor do the kernels" "$(($(retransmitted) - before))" 0
}

verdict() { grep '^all' "$TMP/$1" 2>/dev/null; }
numbers() { # RATE BURST [segment]: there and back at once, four flows each; small and large
        local way space address port pids=()
        for way in "b 10.9.0.2 7000" "a fd09::1 7001"; do
                read -r space address port <<<"$way"
                : >"$TMP/progress.$space"
                on "$space" timeout 60 "$NUMBERS" receive "$address" "$port" 4 >"$TMP/numbers.$space" 2>"$TMP/progress.$space" &
                pids+=($!)
                wait_for 5 contains "$TMP/progress.$space" listening || bail "numbers: $(cat "$TMP/progress.$space")"
        done
        echo "# \$ numbers send, there and back: 4 flows, $PACKETS datagrams of 16 to 1372 bytes, $1 a second, $2 at once ${3:-}"
        on a timeout 60 "$NUMBERS" send 10.9.0.2 7000 4 $((PACKETS / 4)) 16-1372 "$1" "$2" ${3:-} >/dev/null &
        on b timeout 60 "$NUMBERS" send fd09::1 7001 4 $((PACKETS / 4)) 16-1372 "$1" "$2" ${3:-} >/dev/null &
        wait_for 60 dead "${pids[0]}" && wait_for 60 dead "${pids[1]}"
}

echo "# ---- the tool itself: it sees what it is to see"
on a timeout 30 "$NUMBERS" receive 127.0.0.1 7001 1 300 >"$TMP/numbers" 2>"$TMP/progress" &
receiver=$!
: >"$TMP/progress.meddle"
tool a meddle 7000 7001 1000 2>"$TMP/progress.meddle" &
wait_for 5 contains "$TMP/progress" listening && wait_for 5 contains "$TMP/progress.meddle" listening || bail "nobody listens"
must on a "$NUMBERS" send 127.0.0.1 7000 1 1000 100-200 20000 10
wait_for 10 dead $receiver
is "of 1000: 50 changed and so lost with 40 others, 30 late, 20 twice" "$(verdict numbers)" \
        "all: received 910 lost 90 reordered 30 duplicated 20 corrupted 50"

# A daemon that does not know the key has the one way alone.
write "$A" "$KEY_a" 10.9.0.1/24 "$PUB_b" 10.9.0.2/32 192.0.2.2:51820 "$KEY = 2"
if "$ADIT" check "$TMP/$A.conf" >/dev/null 2>&1; then LIST="1 2 4"; else LIST=default; fi
[ "$LIST" != default ] || skip "several workers" "this aditd has no key $KEY"
for workers in $LIST; do
        echo "# ---- $KEY = $workers"
        if [ "$workers" = default ]; then up; else up "$KEY = $workers"; fi
        iperf "$workers: one stream"
        iperf "$workers: one stream back" -R
        iperf "$workers: four streams" -P 4
        # Datagrams do not wait for anybody: room for what comes while the machine stands still.
        must ip -n "${SPACE}a" link set "$A" txqueuelen 10000
        must ip -n "${SPACE}b" link set "$B" txqueuelen 10000
        for segment in '' segment; do
                numbers 20000 64 $segment
                for end in a b; do
                        is "$workers: numbered datagrams ${segment:+by super-packets }to $end" "$(verdict numbers.$end)" \
                                "all: received $PACKETS lost 0 reordered 0 duplicated 0 corrupted 0"
                done
        done
        numbers 1000000 1024 segment
        for end in a b; do
                like "$workers: a flood to $end: what comes, comes in order" "$(verdict numbers.$end)" \
                        '^all: received [1-9][0-9]* lost [0-9]+ reordered 0 duplicated 0 corrupted 0$'
        done
        down
done
finish
