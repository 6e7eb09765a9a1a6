#!/bin/bash
# Files: what aditd and adit make of them, how they refuse them, and how a running link follows a changed one.
#
#   a e0 192.0.2.1 (adit up FILE) ----- e0 192.0.2.2 b (aditd)     b also has 203.0.113.1, behind the tunnel
#   tunnel 10.9.0.1, fd09::1 ========== tunnel 10.9.0.2, fd09::2
. "$(dirname "$0")/lib.sh"
needs ping
[ -x "$ADIT" ] || bail "$ADIT is missing: make"

spaces a b
cable a e0 192.0.2.1/24 b e0 192.0.2.2/24
route a default via 192.0.2.2
keys a b c
A=${LINK}a B=${LINK}b CONF=$TMP/${LINK}a.conf COMM=$(basename "$ADITD")
daemon b "$B"
must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips 10.9.0.1/32,fd09::1/128,10.9.1.1/32
address b "$B" 10.9.0.2/24,fd09::2/64
must ip -n "${SPACE}b" address add 203.0.113.1/32 dev lo
must ip -n "${SPACE}b" route add 10.9.1.1 dev "$B"

write() { # ADDRESS ALLOWED-IPS [INTERFACE-LINE]...
        local address=$1 ips=$2
        shift 2
        rm -f "$CONF" # and with it its mode
        (umask 077; cat >"$CONF") <<-END
		[Interface]
		PrivateKey = $KEY_a
		Address = $address
		$(printf '%s\n' "$@")
		[Peer]
		PublicKey = $PUB_b
		AllowedIPs = $ips
		Endpoint = 192.0.2.2:51820
		END
}
no_link() { ! ip -n "${SPACE}a" link show "$A"; }
nothing() { ok "$1: no link, no process" no_link && empty_of a "$COMM" && [ ! -e "/run/adit/$A.sock" ]; }
routes() { ip -n "${SPACE}a" route show table all dev "$A"; ip -n "${SPACE}a" -6 route show table all dev "$A"; }

echo "# ---- refused files"
refused() { # NAME PLACE-AND-KEY
        local text
        for command in "$ADIT up" "$ADITD -c" "$ADIT check"; do
                not_ok "$1: refused by ${command##*/}" on a $command "$CONF"
                like "$1: it says where, what, and nothing of the key" "$(cat "$TMP/out")" "$CONF:$2"
                lacks "$1: the key is not told" "$(cat "$TMP/out")" "${KEY_a:0:20}"
        done
        nothing "$1"
}
write 10.9.0.1/24 "10.9.0.2/32, 10.0.0.0/33"
refused "a prefix too long" "7:27: AllowedIPs: .*10\.0\.0\.0/33"
write 10.9.0.1/24 10.9.0.2/32 "ListenPort = 70000"
refused "a port too high" "4:14: ListenPort: .*70000"
write 10.9.0.1/24 10.9.0.2/32 "Colour = blue"
refused "an unknown key" "4:1: .*Colour"
write 10.9.0.1/24 10.9.0.2/32
printf 'PostQuantum = require\nUpgrade = off\n' >>"$CONF"
refused "policies that contradict each other" "10:1: PostQuantum: 'require' excludes Upgrade = off: .*change one"
write 10.9.0.1/24 10.9.0.2/32 "PrivateKeyFile = $TMP/none.key"
sed -i '/^PrivateKey /d' "$CONF"
refused "a key file that is not there" ".*none\.key"

write 10.9.0.1/24 10.9.0.2/32
chmod 644 "$CONF"
refused "a file with a key that others can read" ".*chmod [a-z0-9,=-]* $CONF"
chmod 600 "$CONF"
ok "the chmod it names mends it" "$ADIT" check "$CONF"
cp "$TMP/a.key" "$TMP/open.key" && chmod 640 "$TMP/open.key"
write 10.9.0.1/24 10.9.0.2/32 "PrivateKeyFile = open.key"
sed -i '/^PrivateKey /d' "$CONF"
refused "a key file that the group can read" ".*chmod [a-z0-9,=-]* $TMP/open\.key"
chmod 600 "$TMP/open.key"
chmod 644 "$CONF"
ok "a file without a key may be read by all, its key file is found beside it" on a "$ADITD" -c "$CONF"
ok "and the link works" reaches a 10.9.0.2
is "the key is that of the file" "$(on a wg show "$A" public-key)" "$PUB_a"
ok "adit down" on a "$ADIT" down "$A"
nothing "after down"

echo "# ---- a changed file, and the sessions that it keeps"
write 10.9.0.1/24 10.9.0.2/32
rm -f "$TMP/open.key"
must on a "$ADITD" -c "$CONF"
ok "works" reaches a 10.9.0.2
first=$(handshake a "$A")
# The keeper is the one of the two that is root.
KEEPER=$(for pid in $(running a "$COMM"); do awk -v p="$pid" '$1 == "Uid:" && $2 == 0 { print p }' "/proc/$pid/status"; done)
ip netns exec "${SPACE}a" ping -n -i 0.01 -W 2 10.9.0.2 >"$TMP/ping" 2>&1 &
ping=$!

write "10.9.0.1/24, fd09::1/64" "10.9.0.2/32, fd09::2/128, 203.0.113.0/24" "MTU = 1400"
printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.10.0.0/16\n' "$PUB_c" >>"$CONF"
must kill -HUP "$KEEPER"
followed() { routes | grep -q '^203\.0\.113\.0/24' && routes | grep -q '^10\.10\.0\.0/16' && routes | grep -q '^fd09::2'; }
ok "SIGHUP: the new routes are there" wait_for 5 followed
is "SIGHUP: the MTU" "$(on a cat "/sys/class/net/$A/mtu")" 1400
like "SIGHUP: the address" "$(ip -n "${SPACE}a" -6 address show "$A")" "fd09::1/64"
like "SIGHUP: the new peer" "$(on a wg show "$A" allowed-ips)" "10\.10\.0\.0/16"
ok "SIGHUP: the new address works" pings a fd09::2
ok "SIGHUP: and the new route" pings a 203.0.113.1

before=$(routes; on a wg show "$A" dump | cut -f 1-5; ip -n "${SPACE}a" address show "$A")
write 10.9.0.1/24 "10.9.0.2/32, 10.0.0.0/33"
must kill -HUP "$KEEPER"
not_ok "a bad file: reload says no" on a "$ADIT" reload "$CONF"
like "where, and why" "$(cat "$TMP/out")" "$CONF:7:27: AllowedIPs"
is "and neither it nor SIGHUP changed anything" "$(routes; on a wg show "$A" dump | cut -f 1-5; ip -n "${SPACE}a" address show "$A")" "$before"

write "10.9.1.1/24, 10.9.0.1/24" "10.9.0.2/32"
ok "reload of a good one" on a "$ADIT" reload "$CONF"
unlike "what is no more in it is gone: the peer" "$(on a wg show "$A" allowed-ips)" "10\.10\."
unlike "the routes" "$(routes)" "203\.0\.113|10\.10\.|fd09::2"
unlike "the address" "$(ip -n "${SPACE}a" -6 address show "$A")" "fd09::1"
like "what is new is there" "$(ip -n "${SPACE}a" address show "$A")" "10\.9\.1\.1/24"
workers() { on a "$ADIT" show --json "$A" | $PYTHON -c 'import json, sys; l = json.load(sys.stdin)["links"][0]; print(l["workers"], l["workers_configured"])'; }
is "one worker, which is automatic on a small machine" "$(workers | cut -d' ' -f2)" "None"
write "10.9.1.1/24, 10.9.0.1/24" "10.9.0.2/32" "Workers = 3"
ok "reload with three workers" on a "$ADIT" reload "$CONF"
is "there are three" "$(workers)" "3 3"
like "adit show says so" "$(on a "$ADIT" show "$A")" "workers *3$"
ok "adit save" on a "$ADIT" save "$A" "$TMP/saved.conf"
ok "keeps them" grep -Fxq "Workers = 3" "$TMP/saved.conf"
write "10.9.1.1/24, 10.9.0.1/24" "10.9.0.2/32" "Workers = 1"
ok "reload with one" on a "$ADIT" reload "$CONF"
is "there is one" "$(workers)" "1 1"
write "10.9.1.1/24, 10.9.0.1/24" "10.9.0.2/32"
ok "reload without a number" on a "$ADIT" reload "$CONF"
is "it is automatic again" "$(workers | cut -d' ' -f2)" "None"
replies() { [ "$(grep -c 'bytes from' "$TMP/ping")" -ge 30 ]; }
ok "the pings went on all the while" wait_for 10 replies
must kill -INT $ping
wait $ping
is "through all this not one ping was lost" "$(unanswered "$TMP/ping")" ""
is "nor was there a new handshake" "$(handshake a "$A")" "$first"
ok "adit down" on a "$ADIT" down "$A"
nothing "after down"

echo "# ---- what a peer may be upgraded to"
policy() { on a "$ADIT" show --json "$A" | $PYTHON -c 'import json, sys; p = json.load(sys.stdin)["links"][0]["peers"][0]; print(p["upgrade"], p["post_quantum"])'; }
write 10.9.0.1/24 10.9.0.2/32
printf 'Upgrade = off\nPostQuantum = off\n' >>"$CONF"
ok "a file that says Upgrade = off, PostQuantum = off" on a "$ADIT" up "$CONF"
is "it is so" "$(policy)" "off off"
like "adit show says so" "$(on a "$ADIT" show "$A")" "^ *upgrade: .*Upgrade = off"
ok "the link works" reaches a 10.9.0.2
lacks "wg is told nothing of it" "$(printf 'get=1\n\n' | on a $PYTHON tests/e2e/tool.py uapi "$A")" "upgrade"
ok "adit save" on a "$ADIT" save "$A" "$TMP/saved.conf"
ok "keeps the one" grep -Fxq "Upgrade = off" "$TMP/saved.conf"
ok "and the other" grep -Fxq "PostQuantum = off" "$TMP/saved.conf"
write 10.9.0.1/24 10.9.0.2/32
ok "reload without them" on a "$ADIT" reload "$CONF"
is "both are the default again" "$(policy)" "auto auto"
ok "adit save" on a "$ADIT" save "$A" "$TMP/saved.conf"
not_ok "writes neither" grep -Eq "^(Upgrade|PostQuantum)" "$TMP/saved.conf"
printf 'PostQuantum = require\n' >>"$CONF"
if grep -aqE 'crypto_kem_mlkem768_|EVP_PKEY_encapsulate' "$ADITD"; then # the names of what it is linked with
        ok "PostQuantum = require, of a build that has ML-KEM" on a "$ADIT" reload "$CONF"
        is "is so" "$(policy)" "auto require"
        must on a "$ADIT" down "$A"
else
        not_ok "PostQuantum = require, of a build without ML-KEM" on a "$ADIT" reload "$CONF"
        like "it says whose, what, and what to do" "$(cat "$TMP/out")" \
                "peer $(sed 's/[+]/[+]/g' <<<"$PUB_b"): PostQuantum: 'require': this build of aditd has no ML-KEM; .*libsodium 1\.0\.22"
        is "nothing was changed" "$(policy)" "auto auto"
        must on a "$ADIT" down "$A"
        not_ok "a link does not come up without what its file requires" on a "$ADIT" up "$CONF"
        like "and says so, too" "$(cat "$TMP/out")" "PostQuantum: 'require': this build of aditd has no ML-KEM"
        nothing "a requirement that cannot be kept"
fi

echo "# ---- routes"
write 10.9.0.1/24 0.0.0.0/0,::/0
untouched=$(ip -n "${SPACE}a" rule; ip -n "${SPACE}a" route show table all; ip -n "${SPACE}a" -6 rule; ip -n "${SPACE}a" -6 route show table all)
ok "a default route through the link" on a "$ADIT" up "$CONF"
ok "works: what only b has is reached" reaches a 203.0.113.1
between "through the tunnel" "$(received b "$B")" 1 1000000
ok "the endpoint is not swallowed: it is reached beside the tunnel" pings a 192.0.2.2
bytes=$(on a cat "/sys/class/net/$A/statistics/tx_bytes")
ok "a burst through it" on a ping -q -n -c 50 -i 0.01 -s 1000 203.0.113.1
between "and no packet went round in it" $(($(on a cat "/sys/class/net/$A/statistics/tx_bytes") - bytes)) 50000 60000
ok "adit down" on a "$ADIT" down "$A"
is "rules and routes are what they were" "$(ip -n "${SPACE}a" rule; ip -n "${SPACE}a" route show table all; ip -n "${SPACE}a" -6 rule; ip -n "${SPACE}a" -6 route show table all)" "$untouched"

write 10.9.0.1/32 10.9.0.2/32 "Table = off"
ok "Table = off" on a "$ADIT" up "$CONF"
unlike "makes no route" "$(routes)" "10\.9\.0\.2"
must ip -n "${SPACE}a" route add 10.9.0.2 dev "$A"
ok "one made by hand is used" reaches a 10.9.0.2
must on a "$ADIT" down "$A"
write 10.9.0.1/32 "10.9.0.2/32, 203.0.113.0/24" "Table = 1234"
ok "Table = 1234" on a "$ADIT" up "$CONF"
like "makes them there" "$(ip -n "${SPACE}a" route show table 1234)" "^203\.0\.113\.0/24 dev $A"
unlike "and not in main" "$(ip -n "${SPACE}a" route)" "203\.0\.113"
must on a "$ADIT" down "$A"

echo "# ---- NAME"
own_etc a true
mkdir "$TMP/etc/adit" "$TMP/etc/wireguard"
write 10.9.0.1/24 10.9.0.2/32 "MTU = 1310"
cp "$CONF" "$TMP/etc/wireguard/$A.conf"
ok "NAME is /etc/wireguard/NAME.conf" own_etc a "$ADIT" up "$A"
is "it is that one" "$(on a cat "/sys/class/net/$A/mtu")" 1310
must on a "$ADIT" down "$A"
sed 's/1310/1320/' "$CONF" >"$TMP/etc/adit/$A.conf"
chmod 600 "$TMP/etc/adit/$A.conf"
ok "but /etc/adit/NAME.conf before it" own_etc a "$ADIT" up "$A"
is "it is that one" "$(on a cat "/sys/class/net/$A/mtu")" 1320
sed -i 's/1320/1330/' "$TMP/etc/adit/$A.conf"
ok "adit reload NAME" own_etc a "$ADIT" reload "$A"
is "rereads it" "$(on a cat "/sys/class/net/$A/mtu")" 1330
must on a "$ADIT" down "$A"
must own_etc a "$ADIT" up "$CONF"
sed 's/1310/1340/' "$CONF" >"$TMP/changed" && cat "$TMP/changed" >"$CONF"
ok "adit reload NAME, of one from elsewhere" own_etc a "$ADIT" reload "$A"
is "takes the file that it came up from, not the one in /etc" "$(on a cat "/sys/class/net/$A/mtu")" 1340
must on a "$ADIT" down "$A"
not_ok "reload NAME of a link that is down" own_etc a "$ADIT" reload "$A"
like "says that" "$(cat "$TMP/out")" "no link of this name is up"
not_ok "a NAME that is nowhere" own_etc a "$ADIT" up "${LINK}z"
like "says where it looked" "$(cat "$TMP/out")" "/etc/adit/${LINK}z\.conf.*/etc/wireguard/${LINK}z\.conf"
finish
