#!/bin/bash
# `wg` on aditd's socket beside `wg` on wireguard-go's: the same commands on both, the same answers. No packets but for the mark.
#
#   a: aditd, e0 192.0.2.1  -----------  b: wireguard-go, e0 192.0.2.2
. "$(dirname "$0")/lib.sh"
needs wireguard-go nft perl

spaces a b
cable a e0 192.0.2.1/24 b e0 192.0.2.2/24
keys one two p q r
psk one
psk two
A=${LINK}a B=${LINK}b
daemon a "$A"
daemon b "$B" wireguard-go
# wireguard-go answers peers and allowed IPs in any order: put both in order. How many times a handshake was tried so far
# (148 bytes each) is a matter of seconds: tried is tried.
normal() { # DEVICE
        perl -00 -e 'sub list { join ",", sort split /, */, $_[0] }
                for (map { /^(\[|interface:|peer:)/ ? $_ : split /(?<=\n)/ } <STDIN>) {
                        s/'"$1"'/DEVICE/g; s/\n+$//; s/\b(148|296|444|592|740)\b/TRIED/g;
                        s/(AllowedIPs = |allowed ips: )(.*)/$1 . list($2)/ge;
                        s/^((?:[^\t\n]*\t){3})([^\t\n]*)(?=\t)/$1 . list($2)/ge;
                        push @out, $_ }
                print join("\n", sort @out), "\n"'
}
same() { # NAME: all that wg can say about them is the same
        local view a b got=0
        for view in "show @ dump" "showconf @" "show @" "show @ allowed-ips" "show @ peers" "show @ endpoints" "show @ preshared-keys" \
                "show @ fwmark" "show @ listen-port" "show @ persistent-keepalive" "show @ transfer" "show @ latest-handshakes"; do
                a=$(on a wg ${view//@/$A} 2>&1 | normal "$A")
                b=$(on b wg ${view//@/$B} 2>&1 | normal "$B")
                [ "$a" = "$b" ] || { got=1; break; }
        done
        _verdict $got "$1" "wg $view differs:"$'\n'"$(diff <(echo "$a") <(echo "$b"))"
}
both() { # wg's arguments, @ for the device; the same exit status from both
        local a b
        echo "# \$ wg $*"
        on a wg "${@//@/$A}" >"$TMP/a" 2>&1; a=$?
        on b wg "${@//@/$B}" >"$TMP/b" 2>&1; b=$?
        [ $a = $b ] || is "wg $* exits alike" "$a $(cat "$TMP/a")" "$b $(cat "$TMP/b")"
}

# (Its port is the kernel's choice until one is set.)
is "a new device: no key, no mark, no peer" "$(on a wg show "$A" dump | cut -f 1,2,4)" "$(on b wg show "$B" dump | cut -f 1,2,4)"
must ip -n "${SPACE}a" link set "$A" up
must ip -n "${SPACE}b" link set "$B" up
ok "up without a port it has one that the kernel chose" wait_for 5 on a sh -c "[ \$(wg show $A listen-port) -gt 1023 ]"
both set @ private-key "$TMP/one.key" listen-port 40001
same "key and port"
both set @ peer "$PUB_p" allowed-ips 10.1.0.0/16,10.2.3.4/32,fd00::/64 endpoint 192.0.2.2:1234 persistent-keepalive 25
both set @ peer "$PUB_q" preshared-key "$TMP/one.psk" allowed-ips 0.0.0.0/0,::/0 endpoint '[2001:db8::1]:5'
same "two peers"
is "latest handshake of a peer never met" "$(on a wg show "$A" latest-handshakes | cut -f 2 | sort -u)" 0
both set @ peer "$PUB_q" allowed-ips 10.1.0.0/16
same "an allowed IP given to a second peer moves"
both set @ peer "$PUB_p" allowed-ips ''
same "allowed IPs emptied"
both set @ peer "$PUB_p" allowed-ips 10.9.8.7/8
same "host bits are masked"
both set @ peer "$PUB_p" preshared-key "$TMP/two.psk" peer "$PUB_q" preshared-key /dev/null
same "one preshared key set, one removed"
both set @ fwmark 0x1234
same "fwmark"
both set @ fwmark 0
same "fwmark off"
both set @ peer "$PUB_p" persistent-keepalive off endpoint 192.0.2.2:65535
same "keepalive off, endpoint changed"
both set @ peer "$PUB_r" remove
same "removing a peer that is not there"
both set @ peer "$PUB_q" remove
same "removing one that is"
both set @ peer "$PUB_one" allowed-ips 10.5.0.0/16
same "one's own key as a peer is ignored"
both set @ peer "$PUB_two" allowed-ips 10.6.0.0/16
both set @ private-key "$TMP/two.key"
same "a private key removes the peer of the same key"
both set @ private-key /dev/null
same "no private key"
both set @ listen-port 40002
same "another port"
both set @ listen-port 70000
both set @ peer nonsense
same "and refused commands changed nothing"

conf() { printf '[Interface]\nPrivateKey = %s\nListenPort = 40003\nFwMark = 7\n' "$KEY_one"; for p in "$@"; do printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.%d.0.0/16\n' "$p" $((++n)); done; }
n=20
conf "$PUB_p" "$PUB_q" >"$TMP/set.conf"
both setconf @ "$TMP/set.conf"
same "setconf"
printf '[Peer]\nPublicKey = %s\nPresharedKey = %s\nEndpoint = 192.0.2.2:9\nPersistentKeepalive = 9\n' "$PUB_r" "$(cat "$TMP/one.psk")" >"$TMP/add.conf"
both addconf @ "$TMP/add.conf"
same "addconf"
conf "$PUB_q" >"$TMP/sync.conf"
both syncconf @ "$TMP/sync.conf"
same "syncconf"
on a wg showconf "$A" >"$TMP/shown.conf"
both setconf @ "$TMP/shown.conf"
same "setconf of what showconf wrote"
is "wg show all tells of the device" "$(on a wg show all dump | grep "^$A" | cut -f 2- | sort)" "$(on a wg show "$A" dump | sort)"
like "wg show interfaces too" "$(on a wg show interfaces)" "\\b$A\\b"

# ---- raw, and Adit alone: all or nothing ---------------------------------------------------------------------------
raw() { printf '%b' "$1" | tool a uapi "$A"; }
hex() { base64 -d <<<"$1" | od -An -v -tx1 | tr -d ' \n'; }
P=$(hex "$PUB_p") Q=$(hex "$PUB_q") R=$(hex "$PUB_r")
must on a wg set "$A" fwmark 0 peer "$PUB_q" endpoint 192.0.2.2:1 allowed-ips 10.30.0.0/16
get=$(raw 'get=1\n\n')
like "a get ends with errno=0" "$get" '^errno=0$'
ip netns exec "${SPACE}a" $PYTHON -c 'import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("", 40009)); time.sleep(100)' &
taken() { on a ss -Hlun "sport = :40009" | grep -q .; }
wait_for 5 taken || bail "nobody took port 40009"
for bad in nonsense nonsense=1 allowed_ip=10.0.0.0/33 allowed_ip=fd00::/129 allowed_ip=10.0.0.1x/8 allowed_ip= endpoint=192.0.2.1 endpoint=host:70000 \
        persistent_keepalive_interval=65536 persistent_keepalive_interval=-1 public_key=00 "public_key=${P}00" preshared_key=xyz replace_allowed_ips=1 \
        protocol_version=2 remove=yes private_key=1 listen_port=40005 fwmark=1 "=" "set=1" "get=1"; do
        answer=$(raw "set=1\nprivate_key=$(hex "$KEY_two")\nfwmark=99\nreplace_peers=true\npublic_key=$R\nallowed_ip=10.77.0.0/16\npublic_key=$P\n$bad\n\n")
        like "a set whose last line is '${bad:0:40}' is refused with a negative errno" "$answer" '^errno=-[1-9][0-9]*$'
        is "and nothing of it was done" "$(raw 'get=1\n\n')" "$get"
done
answer=$(raw "set=1\nprivate_key=$(hex "$KEY_two")\nlisten_port=40009\nreplace_peers=true\n\n")
is "a port that is taken is EADDRINUSE" "$answer" "errno=-98"
is "and nothing of that set was done" "$(raw 'get=1\n\n')" "$get"
like "still listening on the old one" "$(on a ss -Hlun)" ':40003\b'

ok "connecting and closing is tolerated" tool a touch "$A"
is "several operations on one connection" "$(raw "get=1\n\nset=1\nfwmark=5\n\nset=1\nbad=1\n\nget=1\n\n" | grep -E '^(errno|fwmark)=')" \
        "errno=0"$'\n'"errno=0"$'\n'"errno=-22"$'\n'"fwmark=5"$'\n'"errno=0"
answer=$(raw "get=2\n\n")
like "an unknown operation is an error, not a silence" "$answer" '^errno=-?[1-9]'
must on a wg set "$A" peer "$PUB_q" allowed-ips 10.30.0.0/16,10.31.0.0/16,10.32.0.0/16
is "allowed_ip=-CIDR" "$(raw "set=1\npublic_key=$Q\nupdate_only=true\nallowed_ip=-10.31.0.0/16\n\n")" "errno=0"
is "takes one away" "$(on a wg show "$A" allowed-ips | grep -F "$PUB_q" | cut -f 2 | tr ' ' '\n' | sort | paste -sd ' ')" "10.30.0.0/16 10.32.0.0/16"
before=$(on a wg show "$A" dump)
is "update_only of a peer that is not there" "$(raw "set=1\npublic_key=$P\nupdate_only=true\nallowed_ip=10.99.0.0/16\n\n")" "errno=0"
is "makes none" "$(on a wg show "$A" dump)" "$before"

# The mark is on the packets that leave, and follows a change.
must on a nft 'table inet m { chain out { type filter hook output priority 0; udp dport 1 meta mark 0x1234 counter; udp dport 1 meta mark 0 counter; }; }'
marked() { on a nft list table inet m | grep -Eq "mark 0x0000$1 .*packets [1-9]"; }
must on a wg set "$A" fwmark 0x1234 peer "$PUB_q" persistent-keepalive 1
ok "what leaves carries the mark" wait_for 10 marked 1234
not_ok "and nothing left without" marked 0000
must on a wg set "$A" fwmark 0
ok "without a mark again" wait_for 10 marked 0000
finish
