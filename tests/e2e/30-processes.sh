#!/bin/bash
# The two processes of aditd as the kernel sees them: what each may do, what the keeper never holds, and that neither outlives
# the other or the link.
#
#   a e0 192.0.2.1 (aditd, aditd -c)  -----  e0 192.0.2.2 b (aditd)
#   tunnel 10.9.0.1  ======================  tunnel 10.9.0.2
. "$(dirname "$0")/lib.sh"
needs ping

spaces a b
cable a e0 192.0.2.1/24 b e0 192.0.2.2/24
keys a b
psk ab
A=${LINK}a B=${LINK}b SOCKET=/var/run/wireguard/${LINK}a.sock
COMM=$(basename "$ADITD")
(umask 077; cat >"$TMP/$A.conf") <<END
[Interface]
PrivateKey = $KEY_a
ListenPort = 51820
Address = 10.9.0.1/24
FwMark = 0x51

[Peer]
PublicKey = $PUB_b
PresharedKey = $(cat "$TMP/ab.psk")
AllowedIPs = 0.0.0.0/0
Endpoint = 192.0.2.2:51820
END

field() { awk -v f="$2:" '$1 == f { $1 = ""; sub(/^ /, ""); print }' "/proc/$1/status"; } # PID FIELD
find_both() { # KEEPER and TUNNEL: by who runs as root
        local pid
        KEEPER='' TUNNEL=''
        for pid in $(running a "$COMM"); do
                case $(field "$pid" Uid) in 0*) KEEPER=$pid ;; *) TUNNEL=$pid ;; esac
        done
        [ -n "$KEEPER" ] && [ -n "$TUNNEL" ]
}
confined() { # HOW: of the two that run now
        ok "$1: two processes" find_both || return
        is "$1: no more than two" "$(running a "$COMM" | wc -l)" 2
        for set in CapInh CapPrm CapEff CapBnd CapAmb; do
                is "$1: the tunnel process has no $set" "$(field "$TUNNEL" $set)" 0000000000000000
        done
        # CAP_NET_BIND_SERVICE is bit 10, CAP_NET_ADMIN bit 12
        for set in CapPrm CapEff; do is "$1: the keeper's $set" "$(field "$KEEPER" $set)" 0000000000001400; done
        for set in CapBnd CapInh CapAmb; do like "$1: the keeper's $set is no more than that" "$(field "$KEEPER" $set)" "^0000000000001[40]00$|^0+$"; done
        is "$1: the keeper is root" "$(field "$KEEPER" Uid | tr '\t' ' ')" "0 0 0 0"
        like "$1: the tunnel process is somebody, four times the same" "$(field "$TUNNEL" Uid | tr '\t' ' ')" '^([1-9][0-9]*) \1 \1 \1$'
        like "$1: its group too" "$(field "$TUNNEL" Gid | tr '\t' ' ')" '^([1-9][0-9]*) \1 \1 \1$'
        is "$1: and no other group" "$(field "$TUNNEL" Groups | tr -d ' ')" ""
        is "$1: its root is empty" "$(ls -A "/proc/$TUNNEL/root/")" ""
        is "$1: and is not the host's" "$([ "/proc/$TUNNEL/root/" -ef / ] && echo the host)" ""
        for pid in "$KEEPER" "$TUNNEL"; do
                is "$1: no new privileges for $pid" "$(field "$pid" NoNewPrivs)" 1
                if [ -n "${ADIT_SANITIZE:-}" ]; then
                        skip "$1: seccomp for $pid" "not under the sanitizers, whose runtimes need more"
                else
                        is "$1: seccomp filters $pid" "$(field "$pid" Seccomp)" 2
                fi
                echo "# $pid is $([ "$pid" = "$KEEPER" ] && echo the keeper || echo the tunnel process): $(field "$pid" VmRSS) resident, $(awk '/^Pss:/ { print $2, $3 }' "/proc/$pid/smaps_rollup") proportional"
        done
}
no_link() { ! ip -n "${SPACE}a" link show "$A" >/dev/null 2>&1; }
ended() { # HOW [SECONDS]
        ok "$1: both processes are gone within ${2:-1} s" wait_for "${2:-1}" empty_of a "$COMM"
        ok "$1: the interface is gone" wait_for 1 no_link
        ok "$1: the UAPI socket is gone" wait_for 1 gone "$SOCKET"
        ok "$1: the control socket is gone" wait_for 1 gone "/run/adit/$A.sock"
        is "$1: no ip rule is left" "$(ip -n "${SPACE}a" rule; ip -n "${SPACE}a" -6 rule)" "$rules"
        is "$1: no route is left" "$(ip -n "${SPACE}a" route show table all; ip -n "${SPACE}a" -6 route show table all)" "$routes"
}
rules=$(ip -n "${SPACE}a" rule; ip -n "${SPACE}a" -6 rule)
routes=$(ip -n "${SPACE}a" route show table all; ip -n "${SPACE}a" -6 route show table all)

daemon b "$B"
must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" preshared-key "$TMP/ab.psk" allowed-ips 10.9.0.1/32
address b "$B" 10.9.0.2/24

# ---- what they may do, and where the keys are
daemon a "$A"
confined "aditd NAME"
must ip -n "${SPACE}a" link delete "$A"
ended "ip link delete"

up() { must on a "$ADITD" -c "$TMP/$A.conf"; find_both || bail "aditd -c made no two processes"; }
up
confined "aditd -c"
ok "aditd -c: the link works" reaches a 10.9.0.2
needles() { for key in "$KEY_a" "$(cat "$TMP/ab.psk")"; do base64 -d <<<"$key" | od -An -v -tx1 | tr -d ' \n'; echo; printf %s "$key" | od -An -v -tx1 | tr -d ' \n'; echo; done; }
if [ -n "${ADIT_SANITIZE:-}" ]; then
        skip "no key is in the keeper's memory" "the sanitizers map terabytes of shadow"
else
        needles | $PYTHON "$HERE/tool.py" scan "$KEEPER" >"$TMP/scan"
        like "the keeper's memory can be read by root, all of it" "$(head -n 1 "$TMP/scan")" '^scanned [0-9]{6,}'
        is "and neither private nor preshared key is in it, raw or in base64" "$(grep -c found "$TMP/scan")" 0
        needles | $PYTHON "$HERE/tool.py" scan "$TUNNEL" >"$TMP/scan"
        isnt "(the same search finds it where it is: in the tunnel process)" "$(grep -c found "$TMP/scan")" 0
fi
for pid in "$KEEPER" "$TUNNEL"; do
        lacks "no key in the arguments or the environment of $pid" "$(tr '\0' '\n' <"/proc/$pid/cmdline"; tr '\0' '\n' <"/proc/$pid/environ")" "$KEY_a"
done

# ---- when one goes, all goes
kill -KILL "$TUNNEL"
ended "tunnel process killed"
up
ok "up again: the link works" reaches a 10.9.0.2
kill -KILL "$KEEPER"
ok "keeper killed: the tunnel process is gone within 1 s" wait_for 1 dead "$TUNNEL"
ok "keeper killed: the interface is gone" wait_for 1 no_link
up
ok "up after that crash: the link works" reaches a 10.9.0.2
kill -TERM "$KEEPER"
ended "SIGTERM, after the crash was put right"
for signal in TERM INT; do
        up
        kill -$signal "$KEEPER"
        ended "SIG$signal"
done
up
must rm "$SOCKET"
ended "UAPI socket removed" 2
up
must rm "/run/adit/$A.sock"
ended "control socket removed" 2
up
must ip -n "${SPACE}a" link delete "$A"
ended "interface deleted"

# ---- whatever the umask of whoever starts it: the folders are for all to enter, the sockets are not
masked() { # in a /run of its own, where no folder is yet
        on a unshare -m sh -c "mount -t tmpfs none /run && umask 077 && '$ADITD' -c '$TMP/$A.conf' && stat -c %a /run/adit /run/wireguard && stat -c %a /run/adit/$A.sock /run/wireguard/$A.sock"
}
modes=$(masked 2>"$TMP/out" | paste -sd ' ')
find_both && kill -TERM "$KEEPER"
is "under umask 077: the folders and sockets of the link" "$modes" "755 755 660 700"
ok "it ends" wait_for 2 empty_of a "$COMM"

# ---- in the foreground: the exit status
foreground() { # STATUS-WANTED KILL...
        local want=$1 job
        shift
        ip netns exec "${SPACE}a" "$ADITD" -f "$A" >"$TMP/log" 2>&1 &
        job=$!
        wait_for 5 test -S "$SOCKET" && wait_for 2 find_both || bail "aditd -f: $(cat "$TMP/log")"
        [ "$KEEPER" = "$job" ] || diag "the main pid is $job, the keeper $KEEPER"
        "$@"
        wait_for 3 dead $job || kill -KILL $job
        wait $job
        STATUS=$?
        is "-f, $*: exit status" "$([ $STATUS = 0 ] && echo clean || echo failed)" "$want"
        is "-f, $*: the keeper is the main process" "$KEEPER" "$job"
        unlike "-f, $*: no sanitizer complains" "$(cat "$TMP/log")" "Sanitizer|runtime error"
}
term() { kill -TERM "$KEEPER"; }
int() { kill -INT "$KEEPER"; }
delete() { ip -n "${SPACE}a" link delete "$A"; }
kill_tunnel() { kill -KILL "$TUNNEL"; }
foreground clean term
foreground clean int
foreground clean delete
foreground failed kill_tunnel

# ---- ADIT_CIPHERS: an implementation by name, or no start
export LOG_LEVEL=verbose
for name in libsodium padded; do
        export ADIT_CIPHERS=$name
        foreground clean term
        like "ADIT_CIPHERS=$name: is taken" "$(cat "$TMP/log")" "ChaCha20-Poly1305 by (libsodium )?$name\$"
done
export ADIT_CIPHERS=rot13
not_ok "ADIT_CIPHERS=rot13: no start" on a "$ADITD" "$A"
like "and why, and what there is" "$(on a "$ADITD" "$A" 2>&1)" "ADIT_CIPHERS: 'rot13': .*: libsodium, libsodium padded"
finish
