#!/bin/bash
# adit alone: keys, help, check, and what it says when there is no link. No daemon, no network, no topology.
#   ADIT=path of the binary (build/adit); prints TAP. As root, parts run in a mount namespace with an empty /run.
set -u
cd "$(dirname "$0")/../.." || exit 99
ADIT=$(realpath "${ADIT:-build/adit}") || exit 99

if [ "$(id -u)" = 0 ] && [ -z "${ADIT_CLI_INSIDE:-}" ] && unshare -m true 2>/dev/null; then
        ADIT_CLI_INSIDE=1 exec unshare -m "$0" "$@"
fi
unset NO_COLOR
umask 077
tmp=$(mktemp -d) || exit 99
listener='' stand_in=''
trap '[ -z "$listener$stand_in" ] || kill $listener $stand_in 2>/dev/null; rm -rf "$tmp"' EXIT
if [ -n "${ADIT_CLI_INSIDE:-}" ]; then mount -t tmpfs none /run || exit 99; fi
install -m 0755 "$ADIT" "$tmp/adit"
ADIT=$tmp/adit
cd "$tmp" || exit 99

tests=0 failed=0
# ok NAME: by the status of the command before it
ok() {
        local status=$?
        tests=$((tests + 1))
        if [ $status = 0 ]; then echo "ok $tests - $1"; return; fi
        failed=$((failed + 1))
        echo "not ok $tests - $1"
        sed 's/^/# status, stdout, stderr: /' status out err 2>/dev/null
}
skip() { tests=$((tests + 1)); echo "ok $tests - $1 # SKIP $2"; }
# run ARGS...: adit with these; leaves status, out, err
run() { "$ADIT" "$@" >out 2>err </dev/null; echo $? >status; }
# exits STATUS [ERE of stderr]
exits() { [ "$(cat status)" = "$1" ] && { [ -z "${2:-}" ] || grep -qE -- "$2" err; }; }
root() { [ -n "${ADIT_CLI_INSIDE:-}" ]; }

# ---- keys, beside wg's ----------------------------------------------------------------------------------------------
same=0
for _ in $(seq 20); do
        key=$("$ADIT" genkey)
        [ ${#key} = 44 ] && [ "$("$ADIT" pubkey <<<"$key")" = "$(wg pubkey <<<"$key")" ] && same=$((same + 1))
        key=$(wg genkey)
        [ "$("$ADIT" pubkey <<<"$key")" = "$(wg pubkey <<<"$key")" ] && same=$((same + 1))
done
[ $same = 40 ]
ok "pubkey of 20 keys each of adit genkey and wg genkey is wg pubkey's"

clamped=0 free=0
for _ in $(seq 20); do
        "$ADIT" genkey | base64 -d | od -An -tu1 -v | tr -s ' \n' ' ' >bytes
        read -r -a b <bytes
        ((b[0] % 8 == 0 && b[31] >= 64 && b[31] < 128)) && clamped=$((clamped + 1))
        "$ADIT" genpsk | base64 -d | od -An -tu1 -v | tr -s ' \n' ' ' >bytes
        read -r -a b <bytes
        ((${#b[@]} == 32)) || continue
        ((b[0] % 8 == 0 && b[31] >= 64 && b[31] < 128)) || free=$((free + 1))
done
[ $clamped = 20 ]
ok "genkey is clamped"
[ $free -gt 0 ]
ok "genpsk is 32 bytes and not clamped"
[ "$("$ADIT" genkey)" != "$("$ADIT" genkey)" ] && [ "$("$ADIT" genpsk)" != "$("$ADIT" genpsk)" ]
ok "no key is made twice"

key=$(wg genkey)
zero=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
while IFS='|' read -r label text; do
        printf "%b" "$text" >input
        "$ADIT" pubkey <input >out 2>err
        mine=$?
        echo $mine >status
        wg pubkey <input >wanted 2>/dev/null
        theirs=$?
        [ $mine = $theirs ] && cmp -s out wanted
        ok "pubkey of $label: the verdict of wg pubkey ($theirs)"
done <<ROWS
a key without a newline|$key
a key with blanks and lines after it|$key \\t\\r\\n\\n
a key with more after it|$key\\n$key
a key with a blank before it| $key
nothing|
one character less|${key:1}
one character more|A$key
the unused bits not zero|${key:0:42}B=
no padding|${key:0:43}A
all zero|$zero
a character that is not base64|${key:0:20}-${key:21}
ROWS

warns() { (umask "$1"; rm -f file; "$2" "$3" >file 2>warning); [ -s warning ]; }
for command in genkey genpsk; do
        warns 022 wg $command && warns 022 "$ADIT" $command && [ "$(wc -c <file)" = 45 ]
        ok "$command warns as wg's does when everybody can read the file, and writes it"
        ! warns 077 wg $command && ! warns 077 "$ADIT" $command && [ "$(wc -c <file)" = 45 ]
        ok "$command does not when only the owner can"
done
"$ADIT" genkey 2>err | cat >/dev/null
[ ! -s err ]
ok "genkey does not warn of a pipe"
"$ADIT" genkey >/dev/full 2>err
[ $? = 1 ] && grep -q 'No space left' err
ok "genkey says so when it cannot write"

# ---- help and usage -------------------------------------------------------------------------------------------------
run help
commands=$(sed -n 's/^  \([a-z]*\( [a-z]*\)\{0,1\}\)  *[A-Z].*/\1/p' out)
[ "$(wc -l <<<"$commands")" = 19 ] && exits 0 && [ ! -s err ] && grep -q '^Exit status: 0 ' out
ok "help names all 19 commands and the exit statuses"
while read -r command; do
        # shellcheck disable=SC2086
        run $command --help
        exits 0 && [ ! -s err ] && grep -qE "^Usage: adit $command( |\$)" out && grep -q '^Examples:' out && grep -q '^Exit status: ' out
        ok "$command --help has usage, examples and exit statuses"
        mv out help
        # shellcheck disable=SC2086
        run help $command
        cmp -s out help
        ok "help $command is the same"
done <<<"$commands"
run --version
exits 0 && grep -qE '^adit [0-9]+\.[0-9]+' out
ok "--version"
run
exits 2 && [ ! -s out ] && grep -q '^Usage: adit' err
ok "no command: usage on stderr"
while read -r line; do
        # shellcheck disable=SC2086
        run $line
        exits 2 "^(adit: |Usage: )" && [ ! -s out ]
        ok "wrong usage is exit status 2: adit $line"
done <<'ROWS'
frobnicate
peer
peer frobnicate
peer frobnicate wg0
up
up a b
check
show --frob
show a b
genkey more
peer add wg0
peer set wg0 berlin
peer add wg0 berlin --keepalive
peer add wg0 berlin --keepalive 65536
peer add wg0 berlin --keepalive 1x
peer add wg0 berlin --upgrade on
peer add wg0 berlin --upgrade
peer set wg0 berlin --post-quantum yes
peer add wg0 berlin --endpoint 192.0.2.1
peer add wg0 berlin --allowed-ips 10.0.0.0/33
peer add wg0 berlin --name a#b
peer add wg0 berlin --name ä
peer add a:b berlin
down a:b
route add wg0 berlin
route add wg0 berlin 10.0.0.0/33
show ../etc
show 1234567890123456
down /tmp/a-name-that-is-too-long.conf
key set a/b
ROWS

# ---- check ----------------------------------------------------------------------------------------------------------
peer=$(wg genkey | wg pubkey)
cat >good.conf <<CONF
[Interface]
PrivateKey = $(wg genkey)
Address = 10.0.0.1/24
DNS = 192.0.2.53
PostUp = true
SaveConfig = true
[Peer]
PublicKey = $peer
AllowedIPs = 10.0.0.2/32
CONF
run check good.conf
exits 0 && [ "$(cat out)" = "good.conf: ok: 1 interface, 1 peer" ]
ok "check of a good file"
grep -q '^adit: good.conf: SaveConfig ' err && [ "$(wc -l <err)" = 1 ]
ok "check says what this version does not do"
sed 's|10.0.0.2/32|10.0.0.2/33|' good.conf >bad.conf
run check bad.conf
exits 1 "^adit: bad\.conf:9:14: AllowedIPs: '10\.0\.0\.2/33': " && [ ! -s out ]
ok "check says file, line and column"
cp good.conf open.conf && chmod 640 open.conf
run check open.conf
exits 1 'chmod 600 .*open\.conf'
ok "check refuses a key that the group can read, with the chmod that mends it"
cp good.conf shared.conf && chmod 620 shared.conf && sed -i '/^PrivateKey/d' shared.conf
run check shared.conf
exits 1 '^adit: shared\.conf: it has commands to run .*/shared\.conf can be written by .*: chmod go-w /.*/shared\.conf$' && [ ! -s out ]
ok "check refuses commands in a file that the group can write, with the chmod that mends it"
sed -i '/^PostUp/d' shared.conf
run check shared.conf
exits 0
ok "without commands it may be"
run check missing.conf
exits 1 missing
ok "check of a file that is not there"
own=$(sed -n 's/^PrivateKey = //p' good.conf | wg pubkey)
sed "s|^PublicKey.*|PublicKey = $own|; /^DNS\|^PostUp\|^SaveConfig/d" good.conf >own.conf
run check own.conf
exits 0 && [ "$(cat err)" = "adit: own.conf: a [Peer] has this link's own public key, and is left out; a peer has another" ]
ok "check says that a peer has the link's own key"
mkdir others && sed 's|^PrivateKey = .*|PrivateKeyFile = others/key|; /^DNS\|^PostUp\|^SaveConfig/d' good.conf >keyed.conf
wg genkey >others/key && chmod 755 "$tmp"
if root && chown -R 65534 others; then
        # As aditd reads: root, without the right to pass by modes and owners.
        for what in "check keyed.conf" "check others/some.conf" "key set nolink0 others/key"; do
                # shellcheck disable=SC2086
                setpriv --bounding-set -dac_override,-dac_read_search "$ADIT" $what >out 2>err </dev/null
                echo $? >status
                exits 4 "Permission denied; the file and its folders must be root's, or readable by root without special rights\$"
                ok "root without special rights is told what to do: adit $what"
        done
else
        skip "root without special rights is told what to do" "needs root"
fi
chmod 700 "$tmp"

# ---- up without a daemon --------------------------------------------------------------------------------------------
cat >aditd <<'FAKE'
#!/bin/sh
printf '%s\n' "$@" >"$(dirname "$0")/called"
echo "aditd: refused by the test" >&2
exit "$(cat "$(dirname "$0")/answer")"
FAKE
chmod 755 aditd
if root; then
        for answer in 0 1 4; do
                rm -f called
                echo $answer >answer
                run up ./good.conf
                exits $answer '^aditd: refused by the test$' && [ "$(cat called)" = "-c
$tmp/good.conf" ]
                ok "up runs the aditd beside it on the whole path, and passes on its stderr and exit status $answer"
        done
        mkdir releases && cp good.conf releases/1.conf && ln -s releases/1.conf linked.conf
        rm -f called
        echo 0 >answer
        run up linked.conf
        exits 0 && [ "$(cat called)" = "-c
$tmp/linked.conf" ]
        ok "up gives a symbolic link as it is: one that is switched is followed by the next reload"
        rm -f called
        run up ./bad.conf
        exits 1 '^adit: \./bad\.conf:9:14: ' && tail -1 err | grep -qx 'adit: nothing was changed' && [ ! -e called ]
        ok "up of a bad file starts nothing, and says that nothing was changed"
        chmod 755 "$tmp" && chmod 644 good.conf
        mkdir -m 700 /run/adit
        setpriv --reuid 65534 --regid 65534 --clear-groups "$ADIT" show >out 2>err </dev/null
        echo $? >status
        exits 4 'ermission denied'
        ok "show without the right to look is exit status 4"
        setpriv --reuid 65534 --regid 65534 --clear-groups sh -c 'umask 077; cd "$(mktemp -d)" &&
                sed "s/^DNS.*//" "$1/good.conf" >own.conf && "$1/adit" up ./own.conf; status=$?; rm -r "$PWD"; exit $status' - "$tmp" >out 2>err </dev/null
        echo $? >status
        exits 4 'needs root' && [ ! -e called ]
        ok "up without root is exit status 4"
        rmdir /run/adit
        chmod 600 good.conf
else
        skip "up and permissions" "needs root"
fi

# ---- no link --------------------------------------------------------------------------------------------------------
wg genpsk >psk
while read -r line; do
        # shellcheck disable=SC2086
        run $line
        exits 3 '^adit: nolink0: no link of this name is up \(no /run/adit/nolink0\.sock\); bring it up with: adit up nolink0$' &&
                [ ! -s out ]
        ok "no link is exit status 3: adit $line"
done <<ROWS
show nolink0
show nolink0 --json
down nolink0
down ./nolink0.conf
peer list nolink0
peer add nolink0 $peer --preshared-key psk --allowed-ips 10.0.0.0/24,fd00::/64 --endpoint [2001:db8::1]:51820
peer set nolink0 $peer --keepalive off
peer set nolink0 $peer --upgrade Auto --post-quantum REQUIRE
peer remove nolink0 berlin
route add nolink0 berlin 10.0.0.0/24 fd00::/64
route del nolink0 berlin 10.0.0.0/24
route list nolink0
route list nolink0 --json
key set nolink0 psk
save nolink0
ROWS
cp good.conf nolink0.conf
run reload ./nolink0.conf
exits 3 '^adit: nothing was changed$'
ok "no link is exit status 3: adit reload, and nothing was changed"

chmod 640 psk
run peer add nolink0 "$peer" --preshared-key psk
exits 1 'chmod 600 psk'
ok "a preshared key that the group can read is refused"
run key set nolink0 psk
exits 1 'chmod 600 psk'
ok "a private key that the group can read is refused"
"$ADIT" key set nolink0 <<<"$zero" >out 2>err
echo $? >status
exits 1 'all-zero'
ok "an all-zero private key is refused"
run key set nolink0
exits 1 'stdin: .*not a key'
ok "key set reads stdin"
run peer set nolink0 berlin --preshared-key "$tmp"
exits 1 'not a regular file'
ok "a folder is no key file"

if root; then
        run show
        exits 0 && grep -q '^No link is up' out
        ok "show without links"
        run show --json
        exits 0 && [ "$(tr -d ' \n' <out)" = '{"links":[]}' ]
        ok "show --json without links is an empty list"
        mkdir -p /run/wireguard /run/adit
        python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind("/run/wireguard/nolink0.sock"); s.listen()
t = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); t.bind("/run/adit/nolink1.sock")
t.close(); open("ready", "w"); time.sleep(60)' &
        listener=$!
        for _ in $(seq 200); do [ ! -e ready ] || break; sleep 0.05; done
        run show nolink0
        exits 3 'another WireGuard implementation \(/var/run/wireguard/nolink0\.sock'
        ok "a link of another implementation is called that"
        run show nolink1
        exits 3 'left over.*adit up nolink1$'
        ok "a socket that a dead daemon left is no link"
        run show
        exits 0 && grep -q '^No link is up' out
        ok "nor is it shown"
else
        skip "show without links" "needs root"
fi

# ---- a link of which a stand-in for aditd tells ---------------------------------------------------------------------
# It tells of the link what is in link (TABLE MANAGED MARK_CHOSEN FWMARK), routes and text, and writes down what is
# applied to applied, in the same form.
cat >stand-in <<'PYTHON'
import ipaddress, os, socket, struct, sys
LINK, PREFIX, REPLY = struct.Struct("=q14I"), struct.Struct("=BB16s"), struct.Struct("=IIiIQ480s")
def record(kind, payload): return struct.pack("=II", kind, len(payload)) + payload
def memfd(data):
    fd = os.memfd_create("x")
    os.write(fd, data)
    return fd
def records():
    table, managed, chosen, mark = map(int, open("link").read().split())
    nets = [ipaddress.ip_network(line.strip()) for line in open("routes")]
    return record(1, LINK.pack(table, managed, chosen, 0, mark, 0, 0, 0, 0, len(nets), 0, 0, 0, 0, 0)) + b"".join(
        record(3, PREFIX.pack(socket.AF_INET if net.version == 4 else socket.AF_INET6, net.prefixlen,
                              net.network_address.packed)) for net in nets)
def applied(records, text):
    link = LINK.unpack_from(records, 8)
    with open("applied.new", "w") as out:
        print("link", link[0], link[1], link[2], link[4], file=out)
        for i in range(link[9]):
            family, length, address = PREFIX.unpack_from(records, 72 + 26 * i + 8)
            print("route", "%s/%d" % (socket.inet_ntop(family, address[:4 if family == socket.AF_INET else 16]), length), file=out)
        out.write(text)
    os.rename("applied.new", "applied")
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.bind("/run/adit/nolink2.sock")
server.listen()
open("standing", "w")
while True:
    client = server.accept()[0]
    request, fds, _, _ = socket.recv_fds(client, 1024, 2)
    if len(request) != 24: continue
    magic, version, op = struct.unpack_from("=III", request)
    reply = REPLY.pack(magic, version, 0, 0, 1, b"")
    if op in (1, 2): socket.send_fds(client, [reply], [memfd(open("text", "rb").read()), memfd(records())])
    else:
        applied(*(os.pread(fd, 1 << 20, 0) for fd in fds[:1]), os.pread(fds[1], 1 << 20, 0).decode())
        client.send(reply)
    for fd in fds: os.close(fd)
    client.close()
PYTHON
peer_hex=$(base64 -d <<<"$peer" | od -An -tx1 -v | tr -d ' \n')
# stands LINK FWMARK ROUTES ALLOWED-IPS: all of it
stands() {
        echo "$1" >"link"
        printf '%s\n' $3 >routes
        { [ "$2" = 0 ] || echo "fwmark=$2"; echo "public_key=$peer_hex"; printf 'allowed_ip=%s\n' $4; } >text
        rm -f applied
}
# told LINK [ROUTE...]: the host state that was applied; and no mark for the tunnel process
told() {
        local link=$1
        shift
        [ "$(cat status)" = 0 ] && [ "$(sed -n 's/^link //p' applied)" = "$link" ] &&
                [ "$(sed -n 's/^route //p' applied | sort | paste -sd ' ')" = "$*" ] && ! grep -q '^fwmark=' applied
}
if root; then
        python3 stand-in 2>stand-in.err &
        stand_in=$!
        for _ in $(seq 200); do [ ! -e standing ] || break; sleep 0.05; done
        all="0.0.0.0/0 10.1.0.0/16 10.2.0.0/16"
        # a mark that the keeper chose, and that the tunnel process tells or does not
        for mark in 0 51821; do
                stands "0 1 1 51821" $mark "10.1.0.0/16 0.0.0.0/0" "$all"
                run route list nolink2
                exits 0 && head -1 out | grep -qE 'peer  +prefix  +routed by adit$' &&
                        [ "$(awk 'NR > 1 { print $2, $3 }' out | paste -sd ,)" = "0.0.0.0/0 yes,10.1.0.0/16 yes,10.2.0.0/16 no" ]
                ok "route list says what adit routes"
                run route list nolink2 --json
                exits 0 && python3 -c 'import json, sys
rows = json.load(open("out"))["routes"]
assert [(r["prefix"], r["routed_by_adit"]) for r in rows] == [("0.0.0.0/0", True), ("10.1.0.0/16", True), ("10.2.0.0/16", False)]
assert all(r["public_key"] == sys.argv[1] and r["name"] is None for r in rows)' "$peer"
                ok "route list --json says the same"
                run show nolink2
                exits 0 && grep -qE '^  fwmark +0xca6d \(automatic\)$' out
                ok "show: a chosen mark is called automatic (told: $mark)"
                run show nolink2 --json
                exits 0 && grep -q '"fwmark": 51821,' out && grep -q '"fwmark_configured": null,' out
                ok "show --json: a chosen mark is not configured (told: $mark)"
                rm -f saved.conf
                run save nolink2 saved.conf
                exits 0 && grep -q '^AllowedIPs = 0.0.0.0/0, ' saved.conf && ! grep -q FwMark saved.conf
                ok "save leaves a chosen mark out (told: $mark)"
                run peer set nolink2 "$peer" --keepalive OFF
                told "0 1 1 51821" $all
                ok "an edit keeps a chosen mark (told: $mark)"
                run route del nolink2 "$peer" 0.0.0.0/0
                told "0 1 0 0" 10.1.0.0/16 10.2.0.0/16
                ok "with the last default route a chosen mark goes (told: $mark)"
        done
        stands "0 1 0 0" 0 10.1.0.0/16 10.1.0.0/16
        run route add nolink2 "$peer" ::/0
        told "0 1 1 0" 10.1.0.0/16 ::/0
        ok "the first default route asks for a mark"
        stands "0 1 0 7" 7 0.0.0.0/0 0.0.0.0/0
        rm -f saved.conf
        run save nolink2 saved.conf
        exits 0 && grep -qx 'FwMark = 0x7' saved.conf
        ok "save keeps the user's mark"
        run peer set nolink2 "$peer" --name berlin
        told "0 1 0 7" 0.0.0.0/0
        ok "an edit keeps the user's mark"
        run route del nolink2 "$peer" 0.0.0.0/0
        told "0 1 0 7"
        ok "and so does the end of its default route"
        stands "-1 1 0 0" 0 "$all" "$all"
        run route list nolink2
        exits 0 && [ "$(awk 'NR > 1 { print $3 }' out | paste -sd ,)" = no,no,no ]
        ok "route list: adit routes nothing with Table = off"
        # shows SESSION UPGRADE STATUS-LINE...: what show makes of them below the peer's row; "" is no line
        shows() {
                local session=$1 upgrade=$2
                shift 2
                stands "0 1 0 0" 0 10.1.0.0/16 10.1.0.0/16
                printf '%s\n' "$@" >>text
                run show nolink2
                exits 0 && [ "$(sed -n 's/^ *session: //p' out)" = "$session" ] &&
                        [ "$(sed -n 's/^ *upgrade: //p' out)" = "$upgrade" ]
                ok "show of '$*': '$session', '$upgrade'"
        }
        none=(upgrade_state=no-session "upgrade_reason=there is no session yet")
        cipher=(cipher=AES-256-GCM cipher_implementation=ipsec-mb)
        kem=(kem=ML-KEM-768 kem_implementation=libsodium)
        shows "" ""
        shows "" "" "${none[@]}"
        shows "" "there is no session yet (Upgrade = off)" "${none[@]}" upgrade=off
        shows "" "there is no session yet (PostQuantum = require)" "${none[@]}" post_quantum=require
        shows "AES-256-GCM by ipsec-mb" "being agreed on" upgrade_state=pending "upgrade_reason=being agreed on" "${cipher[@]}"
        shows "AES-256-GCM by ipsec-mb, ML-KEM-768 by libsodium" upgraded upgrade_state=upgraded upgrade_reason=upgraded \
                adit=1 "${cipher[@]}" "${kem[@]}"
        shows "AES-256-GCM by ipsec-mb" "upgraded (PostQuantum = off)" upgrade_state=upgraded upgrade_reason=upgraded \
                "${cipher[@]}" post_quantum=off
        shows "AES-256-GCM by ipsec-mb" "not upgraded: no answer: not an Adit" upgrade_state=no-answer \
                "upgrade_reason=no answer: not an Adit" "${cipher[@]}"
        shows "AES-256-GCM by ipsec-mb" "not upgraded: Upgrade = off" upgrade_state=off "upgrade_reason=Upgrade = off" \
                "${cipher[@]}" upgrade=off
        is_json() { exits 0 && python3 -c 'import json, sys
peer = json.load(open("out"))["links"][0]["peers"][0]
assert [peer[key] for key in ("cipher", "cipher_implementation", "kem", "kem_implementation", "adit", "upgrade",
                              "post_quantum", "upgrade_state", "upgrade_reason")] == json.loads(sys.argv[1]), peer' "$1"; }
        run show nolink2 --json
        is_json '["AES-256-GCM", "ipsec-mb", null, null, false, "off", "auto", "off", "Upgrade = off"]'
        ok "show --json: a session without a KEM"
        printf '%s\n' adit=1 "${kem[@]}" upgrade=auto post_quantum=require >>text
        run show nolink2 --json
        is_json '["AES-256-GCM", "ipsec-mb", "ML-KEM-768", "libsodium", true, "auto", "require", "off", "Upgrade = off"]'
        ok "show --json: a session with one"
        stands "0 1 0 0" 0 10.1.0.0/16 10.1.0.0/16
        run show nolink2 --json
        is_json '[null, null, null, null, false, "auto", "auto", null, null]'
        ok "show --json: what is not told is null"
        printf 'cipher=\033[2J\n' >>text
        run show nolink2
        exits 1 'cipher: printable ASCII is wanted' && ! grep -q $'\033' out err
        ok "show passes no control character on"
        stands "0 1 0 0" 0 10.1.0.0/16 10.1.0.0/16
        run peer set nolink2 "$peer" --upgrade auto --post-quantum require
        exits 0 && grep -qx upgrade=auto applied && grep -qx post_quantum=require applied
        ok "peer set sends both policies"
        stands "0 1 0 0" 0 10.1.0.0/16 10.1.0.0/16
        printf '%s\n' upgrade=off post_quantum=off >>text
        run peer set nolink2 "$peer" --keepalive 5
        exits 0 && ! grep -qE '^(upgrade|post_quantum)=' applied
        ok "peer set sends no policy that was not named"
        key=$(wg genkey)
        stands "0 1 0 0" 0 "10.1.0.0/16" "10.1.0.0/16"
        { echo "public_key=$(wg pubkey <<<"$key" | base64 -d | od -An -tx1 -v | tr -d ' \n')"; echo allowed_ip=10.3.0.0/16; } >>text
        "$ADIT" key set nolink2 - <<<"$key" >out 2>err
        echo $? >status
        told "0 1 0 0" 10.1.0.0/16 && grep -q 'a link is not its own peer' err
        ok "key set: a peer that has the new key loses its routes"
else
        skip "a link of which a stand-in for aditd tells" "needs root"
fi

echo "1..$tests"
exit $((failed > 0))
