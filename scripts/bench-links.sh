# Sourced by bench-run.sh: the two namespaces, and how each contender's link comes up and goes down between them.
#
#       left  192.0.2.1 e0 ======== e0 192.0.2.2  right          the tunnel inside: 10.9.0.1 and 10.9.0.2, MTU 1420
#
# link_up sets what the measures use: `near` and `far` (addresses), `pids_left` and `pids_right` (every process of each daemon),
# and `uapi` (yes: `wg` can set it). An aditd is held to WireGuard's own cipher (Upgrade = off), or to what CIPHER= names, and has
# shown by then that its session has that one.
# shellcheck shell=bash disable=SC2034,SC2154
LEFT=adit-bench-$$-l RIGHT=adit-bench-$$-r # namespaces
LINK_L=abl$$ LINK_R=abr$$                  # tunnels: /var/run/wireguard is everybody's, so the names are ours alone
MTU=1420 PLAIN_CIPHER=ChaCha20-Poly1305
pids_left='' pids_right='' near='' far='' uapi='' veth_off=''

fail() { echo "bench: $*" >&2; exit 1; }
note() { echo "$*" >>"$tmp/notes"; echo "bench: $*" >&2; }
on() { ip netns exec "$@"; }

net_up() {
        local i=0 host
        { ip netns add "$LEFT" && ip netns add "$RIGHT"; } || fail "no network namespace can be made here"
        ip link add e0 netns "$LEFT" type veth peer name e0 netns "$RIGHT" || fail "no veth pair can be made here"
        for host in "$LEFT" "$RIGHT"; do
                i=$((i + 1))
                ip -n "$host" address add 192.0.2.$i/24 dev e0 || fail "no address for $host"
                ip -n "$host" link set lo up
                ip -n "$host" link set e0 up
                # shellcheck disable=SC2086
                [ -z "${BENCH_ETHTOOL:-}" ] || on "$host" ethtool -K e0 $BENCH_ETHTOOL || fail "ethtool -K e0 $BENCH_ETHTOOL failed"
                [ -z "${BENCH_CC:-}" ] || on "$host" sysctl -qw "net.ipv4.tcp_congestion_control=$BENCH_CC" || fail "no TCP $BENCH_CC here"
        done
        # not for what is started from here: wireguard-go would make /var/run/wireguard, everybody's, ours alone
        for host in l r; do (umask 077 && wg genkey | tee "$tmp/$host.key" | wg pubkey >"$tmp/$host.pub"); done
}

net_down() {
        end_all "$LEFT" "$RIGHT"
        ip netns delete "$LEFT" 2>/dev/null
        ip netns delete "$RIGHT" 2>/dev/null
}

# Ends what lives in our namespaces, and nothing else.
end_all() { # NAMESPACE...
        local host tries pids
        for tries in {1..60}; do
                pids=$(for host in "$@"; do ip netns pids "$host" 2>/dev/null; done)
                [ -n "$pids" ] || return 0
                # shellcheck disable=SC2086
                [ "$tries" != 1 ] || kill $pids 2>/dev/null
                # shellcheck disable=SC2086
                [ "$tries" != 50 ] || kill -KILL $pids 2>/dev/null
                sleep 0.05
        done
        return 1
}

# A contender of CONTENDERS, taken apart: `kind` (veth, wireguard-go, openvpn, adit), `program` and `environment` of the daemon,
# the `cipher` that its session must have (empty: nothing is asked for, and nothing looked at), and the switches of scripts/bench.
parse() { # NAME[:SWITCH=VALUE,...]
        local item items=()
        kind=adit program=$ADITD environment=() without='' veth_off='' only='' mtu=$MTU cipher=$PLAIN_CIPHER
        case $1 in veth | openvpn | wireguard-go*) kind=${1%%[:@]*} ;; esac
        case $1 in wireguard-go*) kind=wireguard-go program=${WIREGUARD_GO:-} environment=(LOG_LEVEL=error) ;; esac
        [ "$1" = "${1#*:}" ] || IFS=, read -ra items <<<"${1#*:}"
        for item in "${items[@]}"; do
                case $item in
                ADITD=*) program=${item#*=} ;;
                WITHOUT=*) without=${item#*=} ;;
                VETH_OFF=*) veth_off=${item#*=} ;;
                ONLY=*) only=${item#*=} ;;
                MTU=*) mtu=${item#*=} ;;
                CIPHER=any) cipher='' ;;
                CIPHER=*) cipher=${item#*=} ;;
                *) environment+=("$item") ;;
                esac
        done
        [ "$kind" = adit ] || cipher=''
}

# Drops from CONTENDERS what cannot be had here, with a note; finds the newest wireguard-go, and which implementation of
# its cipher each aditd takes: `ciphers`, "NAME IMPLEMENTATION; ...", with the cipher before it where it is not WireGuard's.
choose_contenders() {
        local contender kept=()
        ciphers='' default_cipher=''
        for contender in $CONTENDERS; do
                parse "$contender"
                case $kind in
                wireguard-go) [ -n "${WIREGUARD_GO:-}" ] || find_wireguard_go || { note "$contender: not to be had, left out"; continue; } ;;
                openvpn) find_openvpn || continue ;;
                adit) [ -n "$only" ] || find_cipher "$contender" || continue ;;
                esac
                kept+=("$contender")
        done
        CONTENDERS=${kept[*]}
}

find_cipher() { # CONTENDER, taken apart; fails when it asks for a cipher that is not there, or that is no other than adit's own
        local name=${1%%[:@]*} by
        [[ "; $ciphers" != *"; $name "* ]] || return 0
        [ -x "$program" ] || { note "$name: there is no $(basename "$(dirname "$program")")/$(basename "$program"), left out"; return 1; }
        by=$(cipher_by "${cipher:-$PLAIN_CIPHER}" "${environment[@]}")
        [ "$1" != adit ] || default_cipher=$by
        if [ "$cipher" != "$PLAIN_CIPHER" ]; then
                if [ -n "$cipher" ] && [ -z "$by" ] && grep -q ' by .* ns a packet' "$tmp/cipher"; then
                        note "$name: no $cipher in this build or on this machine, left out"
                        return 1
                fi
                by="${cipher:-unverified} ${by:-unknown}"
        elif [ "${environment[*]}" != "${environment[*]#ADIT_CIPHERS=}" ] && [ ${#environment[@]} = 1 ]; then
                [ -n "$by" ] || { note "$name: not in this build or on this machine, left out"; return 1; }
                [ "$by" != "$default_cipher" ] || { note "$name: no other than adit here, left out"; return 1; }
        fi
        ciphers+="${ciphers:+; }$name ${by:-unknown}"
}

# Whose code an aditd says that it takes for a cipher; nothing when it has none, does not start, or is of another time.
cipher_by() { # CIPHER VAR=VALUE...
        local tries wanted=$1
        shift
        : >"$tmp/cipher"
        on "$LEFT" timeout 10 env "$@" LOG_LEVEL=verbose "$program" -f "$LINK_L" >"$tmp/cipher" 2>&1 </dev/null &
        for tries in {1..100}; do
                if grep -q ': ready' "$tmp/cipher" || ! kill -0 $! 2>/dev/null; then break; fi
                sleep 0.05
        done
        end_all "$LEFT"
        wait
        sed -n "s/.*$wanted by //p" "$tmp/cipher" | sed 's/: .*//'
}

find_wireguard_go() {
        local folder
        if folder=$("$root/scripts/peers" wireguard-go) && "$folder/usr/bin/wireguard-go" --version >/dev/null 2>&1; then
                WIREGUARD_GO=$folder/usr/bin/wireguard-go
                wireguard_go_version="Debian $(cat "$folder/.version")"
                return 0
        fi
        WIREGUARD_GO=$(command -v wireguard-go) || return 1
        wireguard_go_version="Debian $(dpkg-query -W -f '${Version}' wireguard-go 2>/dev/null)"
        note "wireguard-go: the newest cannot be had; this is the installed one, $wireguard_go_version"
}

find_openvpn() {
        if ! command -v openvpn >/dev/null || ! command -v openssl >/dev/null; then
                note "openvpn: not installed, left out (scripts/deps bench)"
                return 1
        fi
        case $(openvpn --version | awk '{ print $2; exit }') in
        2.[6-9]* | [3-9]*) return 0 ;;
        esac
        note "openvpn: older than 2.6, left out"
        return 1
}

link_up() { # NAME[:SWITCH=VALUE,...]
        pids_left='' pids_right='' near=10.9.0.1 far=10.9.0.2 uapi=''
        : >"$tmp/log"
        parse "$1"
        veth_features off || return 1
        case $kind in
        veth) near=192.0.2.1 far=192.0.2.2 ;;
        openvpn) openvpn_up || return 1 ;;
        *) wireguard_up '' || return 1 ;;
        esac
        { answered && carried 10; } || return 1
        [ "$kind" = veth ] || pids_left=$(ip netns pids "$LEFT") pids_right=$(ip netns pids "$RIGHT")
}

link_down() {
        end_all "$LEFT" "$RIGHT" || fail "a daemon does not end"
        veth_features on || fail "the veth does not take its features back"
}

veth_features() { # on|off: those of VETH_OFF, both ends
        local host feature
        for host in "$LEFT" "$RIGHT"; do
                for feature in ${veth_off//+/ }; do
                        on "$host" ethtool -K e0 "$feature" "$1" >>"$tmp/log" 2>&1 || return 1
                done
        done
}

# wireguard-go and aditd are called and set up alike.
wireguard_up() { # ENDPOINT: not empty, there the left end finds the right, calls it at once, and is answered
        local find=(endpoint 192.0.2.2:51820) answer=(endpoint 192.0.2.1:51820)
        [ -z "$1" ] || find=(endpoint "$1" persistent-keepalive 25) answer=()
        wireguard_end "$LEFT" "$LINK_L" 1 && wireguard_end "$RIGHT" "$LINK_R" 2 &&
                wg set "$LINK_R" private-key "$tmp/r.key" listen-port 51820 \
                        peer "$(cat "$tmp/l.pub")" allowed-ips 10.9.0.1/32 "${answer[@]}" >>"$tmp/log" 2>&1 &&
                wg set "$LINK_L" private-key "$tmp/l.key" listen-port 51820 \
                        peer "$(cat "$tmp/r.pub")" allowed-ips 10.9.0.2/32 "${find[@]}" >>"$tmp/log" 2>&1 &&
                hold_to_cipher && uapi=yes
}

# WireGuard's own needs that nothing else is agreed on. An aditd of before the upgrade has no such key: CIPHER=any.
hold_to_cipher() {
        [ "$cipher" = $PLAIN_CIPHER ] || return 0
        "$ADIT" peer set "$LINK_L" "$(cat "$tmp/r.pub")" --upgrade off >>"$tmp/log" 2>&1 &&
                "$ADIT" peer set "$LINK_R" "$(cat "$tmp/l.pub")" --upgrade off >>"$tmp/log" 2>&1
}

# Both ends' sessions have the cipher that is to be measured; else $tmp/log tells what they have instead.
carried() { # SECONDS
        local deadline=$((SECONDS + $1))
        [ -n "$cipher" ] || return 0
        until carries "$LINK_L" "$tmp/r.pub" && carries "$LINK_R" "$tmp/l.pub"; do
                [ $SECONDS -lt $deadline ] || { cp "$tmp/carries" "$tmp/log"; return 1; }
                sleep 0.05
        done
}

carries() { # LINK FILE-OF-PEER
        "$ADIT" show "$1" --json 2>&1 | python3 "$root/scripts/bench-report.py" carries "$(cat "$2")" "$cipher" >"$tmp/carries" 2>&1
}

wireguard_end() { # NAMESPACE LINK NUMBER
        local host=$1 link=$2 number=$3 command=(env "${environment[@]}" "$program") features=${without//+/,}
        [ "$kind" != wireguard-go ] || features=${features/tun/tun=$link}
        [ -z "$without" ] || command=("$BUILD/tests/bench/without" "$features" "${command[@]}")
        on "$host" timeout 10 "${command[@]}" "$link" >>"$tmp/log" 2>&1 </dev/null || { echo "exit $? of: ${command[*]}" >>"$tmp/log"; return 1; }
        ip -n "$host" address add "10.9.0.$number/24" dev "$link" >>"$tmp/log" 2>&1 &&
                ip -n "$host" link set "$link" mtu "$mtu" up >>"$tmp/log" 2>&1
}

# TLS with a certificate made for this run at each end, each knowing the other's fingerprint; in user space, like the others.
openvpn_up() {
        local end
        if [ ! -f "$tmp/r.fingerprint" ]; then
                for end in l r; do
                        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=bench-$end" -days 2 \
                                -keyout "$tmp/$end.pem" -out "$tmp/$end.crt" >>"$tmp/log" 2>&1 || return 1
                        openssl x509 -in "$tmp/$end.crt" -noout -fingerprint -sha256 | cut -d= -f2 >"$tmp/$end.fingerprint"
                done
        fi
        openvpn_end "$RIGHT" "$LINK_R" r l 192.0.2.1 10.9.0.2 10.9.0.1 --tls-server --dh none
        openvpn_end "$LEFT" "$LINK_L" l r 192.0.2.2 10.9.0.1 10.9.0.2 --tls-client
}

openvpn_end() { # NAMESPACE LINK OWN-END OTHER-END REMOTE INNER-OWN INNER-OTHER OPTION...
        local host=$1 link=$2 own=$3 other=$4 remote=$5 inner=$6 inner_other=$7
        shift 7
        on "$host" openvpn --dev "$link" --dev-type tun --proto udp4 --port 1194 --remote "$remote" --disable-dco \
                --ifconfig "$inner" "$inner_other" --tun-mtu $MTU --mssfix 0 --cipher AES-256-GCM --data-ciphers AES-256-GCM \
                --cert "$tmp/$own.crt" --key "$tmp/$own.pem" --peer-fingerprint "$(cat "$tmp/$other.fingerprint")" \
                --verb 1 "$@" >>"$tmp/log" 2>&1 </dev/null &
}

# The far end answers within 15 seconds; the first packets may wait for a handshake.
answered() {
        local deadline=$((SECONDS + 15))
        until on "$LEFT" ping -n -q -c 1 -W 1 "$far" >/dev/null 2>&1; do
                [ $SECONDS -lt $deadline ] || { echo "no answer" >>"$tmp/log"; return 1; }
                sleep 0.05
        done
}
