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
listener=
trap '[ -z "$listener" ] || kill "$listener" 2>/dev/null; rm -rf "$tmp"' EXIT
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
        printf "$text" >input # shellcheck disable=SC2059
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
[ "$(wc -l <<<"$commands")" = 17 ] && exits 0 && [ ! -s err ] && grep -q '^Exit status: 0 ' out
ok "help names all 17 commands and the exit statuses"
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
peer add wg0 berlin --endpoint 192.0.2.1
peer add wg0 berlin --allowed-ips 10.0.0.0/33
peer add wg0 berlin --name a#b
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
grep -qx 'adit: good.conf: DNS is not set by this version; set it yourself' err &&
        grep -qx 'adit: good.conf: PostUp is not run by this version; run it yourself' err &&
        grep -q '^adit: good.conf: SaveConfig ' err && [ "$(wc -l <err)" = 3 ]
ok "check says what this version does not do, a line for each"
sed 's|10.0.0.2/32|10.0.0.2/33|' good.conf >bad.conf
run check bad.conf
exits 1 "^adit: bad\.conf:9:14: AllowedIPs: '10\.0\.0\.2/33': " && [ ! -s out ]
ok "check says file, line and column"
cp good.conf open.conf && chmod 640 open.conf
run check open.conf
exits 1 'chmod 600 .*open\.conf'
ok "check refuses a key that the group can read, with the chmod that mends it"
run check missing.conf
exits 1 missing
ok "check of a file that is not there"

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
peer remove nolink0 berlin
route add nolink0 berlin 10.0.0.0/24 fd00::/64
route del nolink0 berlin 10.0.0.0/24
route list nolink0
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

echo "1..$tests"
exit $((failed > 0))
