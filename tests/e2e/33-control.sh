#!/bin/bash
# adit on a running link: show, peers, routes, the key, save; who may, and what it says when not.
#
#   a e0 192.0.2.1 (adit) ----- e0 192.0.2.2 b (aditd)          b also has 10.20.0.1 and fd20::1, behind the tunnel
#   tunnel 10.9.0.1, fd09::1 == tunnel 10.9.0.2, fd09::2
. "$(dirname "$0")/lib.sh"
needs ping setpriv
[ -x "$ADIT" ] || bail "$ADIT is missing: make"

spaces a b
cable a e0 192.0.2.1/24 b e0 192.0.2.2/24
keys a b c new
psk ab
A=${LINK}a B=${LINK}b CONF=$TMP/${LINK}a.conf
daemon b "$B"
must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips 10.9.0.1/32,fd09::1/128
address b "$B" 10.9.0.2/24,fd09::2/64
must ip -n "${SPACE}b" address add 10.20.0.1/32 dev lo
must ip -n "${SPACE}b" address add fd20::1/128 dev lo
(umask 077; cat >"$CONF") <<END
[Interface]
PrivateKey = $KEY_a
ListenPort = 51820
Address = 10.9.0.1/24, fd09::1/64
END

adit() { on a "$ADIT" "$@"; }
status() { "$@" >/dev/null 2>&1; echo $?; }
ips() { on a wg show "$A" allowed-ips | grep -F "$1" | cut -f 2- | tr ' ' '\n' | sort | paste -sd ' '; } # PUBLIC-KEY
routed() { ip -n "${SPACE}a" route get "$1" 2>/dev/null | grep -q "dev $A"; } # ADDRESS
json() { adit show "$A" --json | $PYTHON -c 'import json, sys; x = json.load(sys.stdin)["links"][0]
for step in sys.argv[1].split("."): x = x[int(step) if step.isdigit() else step]
print(json.dumps(x))' "$1"; }

is "show of a link that is not up is status 3" "$(status adit show "$A")" 3
is "down too" "$(status adit down "$A")" 3
is "no such command is 2" "$(status adit dwon)" 2
is "a missing argument is 2" "$(status adit peer add "$A")" 2
# A group of our own, whether the host has one or not: only the keeper's start and this test know of it.
own_etc a true
sed -i '/^adit:/d' "$TMP/etc/group"
echo "adit:x:54321:" >>"$TMP/etc/group"
must own_etc a "$ADIT" up "$CONF"

echo "# ---- peers"
ok "peer add" adit peer add "$A" "$PUB_b" --name berlin --endpoint 192.0.2.2:51820 --allowed-ips 10.9.0.2/32,fd09::2/128 --keepalive 25
ok "it works" reaches a 10.9.0.2
is "added twice is refused" "$(status adit peer add "$A" "$PUB_b" --name berlin)" 1
first=$(handshake a "$A")
like "peer list" "$(adit peer list "$A")" "berlin"
like "show, for a person" "$(adit show "$A")" "berlin +192\.0\.2\.2:51820 +10\.9\.0\.2/32.* up"
is "show --json: name" "$(json peers.0.name)" '"berlin"'
is "show --json: key" "$(json peers.0.public_key)" "\"$PUB_b\""
is "show --json: endpoint" "$(json peers.0.endpoint)" '"192.0.2.2:51820"'
is "show --json: state" "$(json peers.0.state)" '"up"'
is "show --json: keepalive" "$(json peers.0.persistent_keepalive)" 25
is "show --json: handshake" "$(json peers.0.last_handshake)" "$first"
is "show --json: own key" "$(json public_key)" "\"$PUB_a\""
is "show --json: port" "$(json listen_port)" 51820
is "show --json: addresses" "$(json addresses)" '["10.9.0.1/24", "fd09::1/64"]'
lacks "show never tells a secret" "$(adit show "$A"; adit show "$A" --json)" "$KEY_a"
ok "peer set, by name" adit peer set "$A" berlin --keepalive off --name lisbon
is "keepalive is off" "$(on a wg show "$A" persistent-keepalive | cut -f 2)" off
is "the new name" "$(json peers.0.name)" '"lisbon"'
ok "peer set of a preshared key keeps the session" adit peer set "$A" lisbon --preshared-key "$TMP/ab.psk"
is "it is there" "$(json peers.0.preshared_key)" true
ok "and packets pass" pings a 10.9.0.2
is "without a new handshake" "$(handshake a "$A")" "$first"
must on b wg set "$B" peer "$PUB_a" preshared-key "$TMP/ab.psk"
ok "a second peer" adit peer add "$A" "$PUB_c" --name porto --allowed-ips 10.30.0.0/16
ok "has its route" routed 10.30.1.1
ok "peer remove" adit peer remove "$A" porto
not_ok "takes the route with it" routed 10.30.1.1
is "and the peer" "$(ips "$PUB_c")" ""
is "no such peer is status 1" "$(status adit peer remove "$A" porto)" 1
like "and says which there are" "$(adit peer set "$A" porto --keepalive 1 2>&1)" "no peer 'porto'"

echo "# ---- routes"
ok "route add" adit route add "$A" lisbon 10.20.0.0/24 fd20::/64
is "is an allowed IP" "$(ips "$PUB_b")" "10.20.0.0/24 10.9.0.2/32 fd09::2/128 fd20::/64"
ok "and a route, which works" pings a 10.20.0.1
ok "IPv6 too" pings a fd20::1
like "route list" "$(adit route list "$A")" "10\.20\.0\.0/24"
ok "route del" adit route del "$A" lisbon 10.20.0.0/24
is "takes the allowed IP" "$(ips "$PUB_b")" "10.9.0.2/32 fd09::2/128 fd20::/64"
not_ok "and the route" routed 10.20.0.1
is "a prefix that nobody has is status 1" "$(status adit route del "$A" lisbon 10.77.0.0/24)" 1
is "nonsense is refused" "$(status adit route add "$A" lisbon 10.0.0.0/33)" 2
must ip -n "${SPACE}a" route add 10.50.0.0/24 dev e0
is "a route that somebody else has there already is refused" "$(status adit route add "$A" lisbon 10.50.0.0/24)" 1
is "then the allowed IP was not added either" "$(ips "$PUB_b")" "10.9.0.2/32 fd09::2/128 fd20::/64"
like "and the other's route is as it was" "$(ip -n "${SPACE}a" route show 10.50.0.0/24)" "^10\.50\.0\.0/24 dev e0"
ok "a peer with a prefix" adit peer add "$A" "$PUB_c" --name porto --allowed-ips 10.60.0.0/16
ok "the prefix goes to another" adit route add "$A" lisbon 10.60.0.0/16
is "who has it now" "$(ips "$PUB_b")" "10.60.0.0/16 10.9.0.2/32 fd09::2/128 fd20::/64"
is "and who has not" "$(ips "$PUB_c")" "(none)"
ok "the route stayed" routed 10.60.0.1
is "all this without a new handshake" "$(handshake a "$A")" "$first"

echo "# ---- what a peer may be upgraded to"
policy() { echo "$(json peers.0.upgrade) $(json peers.0.post_quantum)"; }
is "without a word it is both sides' best" "$(policy)" '"auto" "auto"'
ok "peer set --upgrade off" adit peer set "$A" lisbon --upgrade off
is "is off, and the other as it was" "$(policy)" '"off" "auto"'
is "with what it refuses is status 1" "$(status adit peer set "$A" lisbon --post-quantum require)" 1
like "and says of whom, what, and what to do" "$(adit peer set "$A" lisbon --post-quantum require 2>&1)" \
        "^adit: $A: peer lisbon: PostQuantum: 'require' excludes Upgrade = off: .*change one of the two$"
is "both at once too" "$(status adit peer set "$A" lisbon --upgrade off --post-quantum require)" 1
is "nothing was changed" "$(policy)" '"off" "auto"'
ok "peer set of another thing" adit peer set "$A" lisbon --keepalive 5
is "leaves it alone" "$(policy)" '"off" "auto"'
ok "peer set of both" adit peer set "$A" lisbon --upgrade AUTO --post-quantum off
is "is so" "$(policy)" '"auto" "off"'
like "adit show says so" "$(adit show "$A")" "^ *upgrade: .*\(PostQuantum = off\)$"
ok "a word that is none is refused" [ "$(status adit peer set "$A" lisbon --upgrade require)" = 2 ]
ok "packets pass all the while" reaches a 10.9.0.2
is "the state has a name" "$(json peers.0.upgrade_state | grep -Ec '^"[a-z-]+"$')" 1
ok "back to the default" adit peer set "$A" lisbon --post-quantum auto
is "as it was" "$(policy)" '"auto" "auto"'

echo "# ---- save and reload"
ok "reload undoes what was not saved" adit reload "$CONF"
is "no peer is left" "$(on a wg show "$A" peers)" ""
must adit peer add "$A" "$PUB_b" --name berlin --endpoint 192.0.2.2:51820 --allowed-ips 10.9.0.2/32,10.20.0.0/24 --preshared-key "$TMP/ab.psk" --post-quantum off
ok "save" adit save "$A"
is "its file is its owner's alone" "$(stat -c %a "$CONF")" 600
ok "adit check likes what was saved" "$ADIT" check "$CONF"
for line in "Name = berlin" "PublicKey = $PUB_b" "PresharedKey = $(cat "$TMP/ab.psk")" "PrivateKey = $KEY_a" "Endpoint = 192.0.2.2:51820" "ListenPort = 51820" "PostQuantum = off"; do
        ok "it has ${line%% *}" grep -Fxq -- "$line" "$CONF"
done
ok "reload keeps what was saved" adit reload "$CONF"
is "the policy among it" "$(policy)" '"auto" "off"'
ok "it works" reaches a 10.20.0.1
ok "down, and up from it" adit down "$A"
must own_etc a "$ADIT" up "$CONF"
ok "works as well" reaches a 10.20.0.1

echo "# ---- the private key"
must on b wg set "$B" peer "$PUB_new" preshared-key "$TMP/ab.psk" allowed-ips 10.9.0.1/32,fd09::1/128
ok "key set from stdin" on a sh -c "'$ADIT' key set $A - <$TMP/new.key"
is "the key is the new one" "$(on a wg show "$A" public-key)" "$PUB_new"
ok "with it the peer is met anew" reaches a 10.9.0.2
chmod 644 "$TMP/c.key"
is "from a file that others can read it is refused" "$(status adit key set "$A" "$TMP/c.key")" 1
is "and nothing was changed" "$(on a wg show "$A" public-key)" "$PUB_new"

echo "# ---- who may"
nobody() { on a setpriv --reuid=65534 --regid=65534 --clear-groups "$ADIT" "$@"; }
chmod 711 "$TMP"
is "nobody may not read the state" "$(status nobody show "$A")" 4
is "nor change it" "$(status nobody peer remove "$A" berlin)" 4
is "nor end it" "$(status nobody down "$A")" 4
is "the socket is root's, and its group's" "$(stat -c '%A %U %g' "/run/adit/$A.sock")" "srw-rw---- root 54321"
group() { on a setpriv --reuid=65534 --regid=65534 --groups=54321 "$ADIT" "$@"; }
is "the group adit may read" "$(status group show "$A")" 0
lacks "and is not told a secret" "$(group show "$A"; group show "$A" --json)" "$(on a wg show "$A" private-key)"
is "and not change" "$(status group peer remove "$A" berlin)" 4
is "nor end it" "$(status group down "$A")" 4

echo "# a member of the group takes every place and says nothing"
hold() { # COUNT: connections, until stdin ends
        on a setpriv --reuid=65534 --regid=65534 --groups=54321 $PYTHON -c 'import socket, sys
held = []
for _ in range(int(sys.argv[2])):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.settimeout(0.2)
    try: s.connect(sys.argv[1]); held.append(s)
    except OSError: break
print(len(held), flush=True); sys.stdin.read()' "/run/adit/$A.sock" "$1"
}
coproc HOLDER { hold 40; }
read -r -t 10 count <&"${HOLDER[0]}"
echo "# it holds $count"
is "root is answered all the same" "$(status timeout 5 ip netns exec "${SPACE}a" "$ADIT" show "$A")" 0
ok "and may change" timeout 5 ip netns exec "${SPACE}a" "$ADIT" peer set "$A" berlin --keepalive 5
exec {HOLDER[1]}>&-
wait "$HOLDER_PID" 2>/dev/null
reads() { [ "$(status group show "$A")" = 0 ]; }
ok "once it let go, the group reads again" wait_for 5 reads
ok "and after all that the link lives" pings a 10.9.0.2
finish
