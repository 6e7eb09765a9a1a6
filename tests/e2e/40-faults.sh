#!/bin/bash
# Kernels that lack an offload or refuse it in mid-flow: the same transfers pass, and the right fallback was taken.
#
#   a e0 192.0.2.1, 2001:db8::1 ----- e0 192.0.2.2, 2001:db8::2 b      aditd of both with faults.so in front of libc
#   tunnel 10.9.0.1, fd09::1 ======== tunnel 10.9.0.2, fd09::2
E2E_LIMIT=180
. "$(dirname "$0")/lib.sh"
needs ping
FAULTS_SO=$(dirname "$ADITD")/tests/faults.so NUMBERS=$(dirname "$ADITD")/tests/e2e/numbers COMM=$(basename "$ADITD")
for file in "$FAULTS_SO" "$NUMBERS" "$ADIT"; do [ -x "$file" ] || bail "$file is missing: make all tests"; done
# A sanitizer's runtime must come before all other libraries; one that is linked into the program does.
RUNTIME=$(ldd "$ADITD" | awk '$1 ~ /^lib[at]san\./ { print $3 ":" }')
SIZE=$((10 << 20)) PACKETS=3000
[ -z "${ADIT_SANITIZE:-}" ] || SIZE=$((2 << 20)) PACKETS=1000
WORKERS=${WORKERS:-4} # threads that may find the same fault at the same time
COARSE=

spaces a b
cable a e0 192.0.2.1/24,2001:db8::1/64 b e0 192.0.2.2/24,2001:db8::2/64
# A retransmission is then a loss, and not a machine that stood still for a while: no tail loss probe. And ECN, so that what is
# sent has a traffic class.
for end in a b; do must on $end sysctl -qw net.ipv4.tcp_early_retrans=0 net.ipv4.tcp_ecn=1; done
keys a b
A=${LINK}a B=${LINK}b
FOUR=192.0.2.2:51820 SIX='[2001:db8::2]:51820'

link() { [ "$1" = a ] && echo "$A" || echo "$B"; } # SPACE
start() { # SPACE FAULTS
        must on "$1" env LD_PRELOAD="$RUNTIME$FAULTS_SO" FAULTS="$2" FAULTS_REPORT="$TMP/$1.table" "$ADITD" "$(link "$1")"
        # All that TCP may have on its way fits the interface's queue: only the daemons can lose any of it.
        must ip -n "$SPACE$1" link set "$(link "$1")" txqueuelen 10000
}
up() { # FAULTS-OF-A FAULTS-OF-B ENDPOINT-OF-B
        start a "$1"
        start b "$2"
        must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips 10.9.0.1/32,fd09::1/128
        must on a wg set "$A" private-key "$TMP/a.key" peer "$PUB_b" allowed-ips 10.9.0.2/32,fd09::2/128 endpoint "$3"
        address a "$A" 10.9.0.1/24,fd09::1/64
        address b "$B" 10.9.0.2/24,fd09::2/64
        reaches a 10.9.0.2 && reaches b fd09::1 || bail "no packet passes"
        RETRANSMITTED=$(retransmitted)
}
down() {
        must ip -n "${SPACE}a" link delete "$A"
        must ip -n "${SPACE}b" link delete "$B"
        wait_for 5 empty_of a "$COMM" && wait_for 5 empty_of b "$COMM" || bail "aditd does not end"
}

losses() { # where a packet may have gone that no daemon dropped
        local end
        for end in a b; do
                echo "$end: the interface's queue: $(on $end cat "/sys/class/net/$(link $end)/statistics/tx_dropped")"
                echo "$end: the UDP sockets' queues: $(counter $end Udp RcvbufErrors)"
        done
        cat "$TMP"/*/numbers
}

# ---- the same transfers for every fault: both ways, over IPv4 and IPv6, all at once
WAYS=("there over IPv4:a:b:10.9.0.2:7000" "back over IPv4:b:a:10.9.0.1:7001" "there over IPv6:a:b:fd09::2:7002" "back over IPv6:b:a:fd09::1:7003")
split() { # WAY: NAME, FROM, TO, PORT, ADDRESS and DIR
        IFS=: read -r NAME FROM TO ADDRESS <<<"$1"
        PORT=${1##*:} ADDRESS=${ADDRESS%:*} DIR=$WORLD/$PORT
        mkdir -p "$DIR"
}
WORLD=$TMP
streams() { # FAULT
        local way
        for way in "${WAYS[@]}"; do
                split "$way"
                : >"$DIR/progress"
                tool "$TO" receive "$ADDRESS" "$PORT" >"$DIR/received" 2>"$DIR/progress" &
                echo $! >"$DIR/receiver"
        done
        for way in "${WAYS[@]}"; do
                split "$way"
                wait_for 5 contains "$DIR/progress" listening || bail "receiver: $(cat "$DIR/progress")"
                TMP=$DIR outgoing "$FROM" "$ADDRESS" "$PORT" $SIZE
                echo "$SENDER" >"$DIR/sender"
        done
        for way in "${WAYS[@]}"; do
                split "$way"
                RECEIVER=$(cat "$DIR/receiver") SENDER=$(cat "$DIR/sender")
                TMP=$DIR ok "$1: a stream $NAME" arrived 60
        done
}
numbers() { # SIZES [segment]: VERDICT of each way
        local way
        for way in "${WAYS[@]}"; do
                split "$way"
                : >"$DIR/progress"
                on "$TO" timeout 60 "$NUMBERS" receive "$ADDRESS" "$PORT" 2 1000 >"$DIR/numbers" 2>"$DIR/progress" &
                echo $! >"$DIR/receiver"
        done
        for way in "${WAYS[@]}"; do
                split "$way"
                wait_for 5 contains "$DIR/progress" listening || bail "numbers: $(cat "$DIR/progress")"
                on "$FROM" timeout 60 "$NUMBERS" send "$ADDRESS" "$PORT" 2 $((PACKETS / 2)) "$1" 20000 64 ${2:-} >/dev/null &
        done
        VERDICT=''
        for way in "${WAYS[@]}"; do
                split "$way"
                wait_for 60 dead "$(cat "$DIR/receiver")"
                VERDICT+=$(grep '^all' "$DIR/numbers")$'\n'
        done
}
each() { printf "%s\n" "$1" "$1" "$1" "$1" ''; }
ALL=$(each "all: received $PACKETS lost 0 reordered 0 duplicated 0 corrupted 0")
numbered() { # FAULT
        numbers 16-1372 segment
        [ "$VERDICT" = "$ALL"$'\n' ] || diag "$(losses)"
        is "$1: numbered datagrams, there and back" "${VERDICT%$'\n'}" "$ALL"
}
transfers() { # FAULT
        streams "$1"
        is "$1: nothing had to be sent again" "$(retransmitted)" "$RETRANSMITTED"
        numbered "$1"
        is "$1: no packet was dropped" "$(dropped a "$A"; dropped b "$B")" ""
        table
}
lossy_transfers() { # FAULT REASON
        streams "$1"
        numbers 16-1372 segment
        is "$1: of the numbered datagrams some are lost, the others as they were" \
                "$(sed -E 's/(received|lost) [0-9]+/\1 some/g' <<<"${VERDICT%$'\n'}")" \
                "$(each "all: received some lost some reordered 0 duplicated 0 corrupted 0")"
        like "$1: what it cost is counted" "$(dropped a "$A")" "^$2 [1-9][0-9]*\$"
        table
}

# ---- what faults.so counted: rows of faults.c
table() {
        local end
        for end in a b; do tool $end faults "$TMP/$end.table" | sed "s/^/$end /"; done >"$TMP/counts"
}
count() { awk -v end="$1" -v name="$2" '$1 == end && $2 == name { print $3 }' "$TMP/counts"; }                           # SPACE ROW
injected() { for row in "${@:2}"; do between "the fault was there: $row of $1" "$(count "$1" "$row")" 1 1000000; done; } # SPACE ROW...
used() { for row in "${@:2}"; do between "in use: $row of $1" "$(count "$1" "$row")" 10 1000000; done; }                 # SPACE ROW...
unused() { for row in "${@:2}"; do is "not in use: $row of $1" "$(count "$1" "$row")" 0; done; }                         # SPACE ROW...
given_up() { # SPACE ROW PASSED REFUSED: at most as often, by each worker that was about to
        between "not tried again: $2 of $1" "$(count "$1" "$2")" $(($3 + 1)) $(($3 + $4 * WORKERS))
}

echo "# ---- no fault: what there is to be lost"
up '' '' $FOUR
transfers "no fault"
for end in a b; do used $end singles batches ecn-sends gro-reads tcp-reads udp-reads tcp-writes udp-writes; done
down

echo "# ---- old kernels"
up no-udp-segment '' $FOUR
transfers "no UDP_SEGMENT"
injected a no-udp-segment
unused a batches
used a singles gro-reads tcp-reads udp-reads tcp-writes
used b batches
down
up no-udp-gro '' $FOUR
transfers "no UDP_GRO"
injected a no-udp-gro
unused a gro-reads
used a batches tcp-reads udp-reads
used b gro-reads
down
up no-tso '' $FOUR
transfers "no TSO"
injected a no-tso
unused a tcp-reads
used a batches udp-reads gro-reads tcp-writes udp-writes
down
up no-uso '' $FOUR
transfers "no USO"
injected a no-uso
unused a udp-reads
is "no USO: none was written but to find out" "$(count a udp-writes)" 2
used a batches tcp-reads gro-reads tcp-writes
used b udp-reads udp-writes
down
up no-csum no-csum $FOUR
transfers "no checksum offload"
injected a no-csum
unused a tcp-reads udp-reads
used a tcp-writes udp-writes
down
up no-udp-segment,no-udp-gro,no-csum,no-uso no-udp-segment,no-udp-gro,no-csum,no-uso $FOUR
transfers "nothing at all"
injected a no-udp-segment no-udp-gro no-csum no-uso
unused a batches gro-reads tcp-reads udp-reads
down

echo "# ---- refused in mid-flow"
for endpoint in $FOUR $SIX; do
        up gso-eio-after=20 '' $endpoint
        transfers "EIO for batches to $endpoint"
        injected a gso-eio-after
        given_up a batches 20 2 # with a traffic class, without
        used a singles gro-reads ecn-sends tcp-reads
        down
        up ecn-eio '' $endpoint
        transfers "EIO for a traffic class to $endpoint"
        injected a ecn-eio
        given_up a ecn-sends 0 1
        used a batches
        used b ecn-sends
        down
done
up gso-einval-after=20 gso-einval-after=20 $FOUR
transfers "EINVAL for batches"
injected a gso-einval-after
given_up a batches 20 1
given_up b batches 20 1
used a singles gro-reads ecn-sends
down
up ecn-eio,gso-eio-after=20 '' $FOUR
transfers "EIO for a traffic class, later for batches"
injected a ecn-eio gso-eio-after
given_up a ecn-sends 0 1
given_up a batches 20 1
down
# The probes, one of each IP version, pass.
up tun-udp-einval-after=2 tun-tcp-einval-after=2 $FOUR
numbered "EINVAL for super-packets into the interface, UDP first"
transfers "EINVAL for super-packets into the interface"
injected a tun-udp-einval-after
injected b tun-tcp-einval-after
given_up a tun-udp-einval-after 0 4 # groups of the slab that is in work
given_up b tun-tcp-einval-after 0 4
if [ -n "$COARSE" ]; then
        skip "each kind of super-packet is given up by itself" "$COARSE"
else
        used a tcp-writes
        used b udp-writes
fi
down
up tun-tcp-einval-after=0 tun-udp-einval-after=0 $FOUR
transfers "EINVAL for the first super-packets, which find out"
is "TCP was not tried again" "$(count a tcp-writes)" 2
is "UDP was not tried again" "$(count b udp-writes)" 2
used a udp-writes
used b tcp-writes
down

echo "# ---- too large for the path"
up batch-emsgsize=1000 batch-emsgsize=1000 $FOUR
transfers "EMSGSIZE for batches"
injected a batch-emsgsize
used a singles batches
down
# An inner packet of 1280 makes a datagram of 1312; a UDP payload of 1300, one of 1360 over IPv4 and 1376 over IPv6.
up emsgsize=1330 emsgsize=1330 $FOUR
numbers 1300
is "EMSGSIZE for all above 1330: none of them arrives" "${VERDICT%$'\n'}" "$(each "all: received 0 lost 0 reordered 0 duplicated 0 corrupted 0")"
is "each is counted" "$(dropped a "$A")" "tx-too-big $((2 * PACKETS))"
for end in a b; do must ip -n "$SPACE$end" link set "$(link $end)" mtu 1280; done
streams "EMSGSIZE, after the MTU was mended"
is "EMSGSIZE: nothing had to be sent again" "$(retransmitted)" "$RETRANSMITTED"
numbers 16-1232 segment
is "EMSGSIZE: numbered datagrams that fit, there and back" "${VERDICT%$'\n'}" "$ALL"
is "no other packet was dropped" "$(dropped a "$A")" "tx-too-big $((2 * PACKETS))"
table
injected a emsgsize
used a batches
down

echo "# ---- now and then"
up enobufs-every=20 enobufs-every=20 $FOUR
lossy_transfers "ENOBUFS" tx-no-buffers
injected a enobufs-every
used a batches
down
up eagain-every=200 eagain-every=200 $FOUR
lossy_transfers "EAGAIN" tx-no-buffers
injected a eagain-every
used a batches
down
up econnrefused-every=50,read-econnrefused-every=70,eintr-every=7 econnrefused-every=50,read-econnrefused-every=70,eintr-every=7 $FOUR
transfers "ECONNREFUSED, EINTR"
injected a econnrefused-every read-econnrefused-every eintr-every
used a batches
down
finish
