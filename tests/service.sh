#!/bin/bash
# The units of systemd: well-formed, little exposed, and with the user and folders that they count on. Prints TAP. No service
# manager runs here, and nothing but $tmp is written; what a unit permits its programs is tried by e2e/42-service.sh.
set -u
cd "$(dirname "$0")/.." || exit 1
command -v systemd-analyze >/dev/null || { echo "1..0 # SKIP there is no systemd-analyze: scripts/deps check"; exit 0; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

check() { # NAME STATUS: stdin is what is shown of a failure
        local said
        said=$(sed 's/^/# /')
        if [ "$2" = 0 ]; then
                echo "ok - $1"
        else
                printf 'not ok - %s\n%s\n' "$1" "$said"
                failed=1
        fi
}

# As installed, with programs that are there.
mkdir -p "$tmp"/{bin,sbin,units,root/etc}
ln -s /bin/true "$tmp/bin/adit"
ln -s /bin/true "$tmp/sbin/aditd"
for unit in scripts/systemd/*.in; do
        sed "s|@BINDIR@|$tmp/bin|; s|@SBINDIR@|$tmp/sbin|" "$unit" >"$tmp/units/$(basename "$unit" .in)"
done
service=$tmp/units/adit@.service lock=$tmp/units/adit-lock@.service

echo 1..8
for unit in "$service" "$lock"; do
        name=$(basename "$unit")
        # It verifies all that the unit depends on; what it has to say of others' is theirs.
        said=$(systemd-analyze verify --man=no "${unit/@/@test}" 2>&1 | grep -E "$tmp|adit")
        check "$name: systemd-analyze verify has nothing to say" "$([ -z "$said" ]; echo $?)" <<<"$said"
        said=$(systemd-analyze security --offline=true --no-pager --threshold=25 "$unit" 2>&1) # 25: an exposure of 2.5
        check "$name: its exposure is at most 2.5" $? <<<"$said"
        echo "# ${said##*→ }"
done
sed '/^CapabilityBoundingSet/d' "$service" >"$tmp/units/open@.service"
systemd-analyze security --offline=true --no-pager --threshold=25 "$tmp/units/open@.service" >/dev/null 2>&1
check "(the same says no of a unit without CapabilityBoundingSet)" "$(($? == 0))" <<<"it said yes"

systemd-sysusers --root="$tmp/root" "$PWD/scripts/systemd/adit.sysusers" >"$tmp/said" 2>&1
check "adit.sysusers makes the user and the group adit" "$(grep -q '^adit:.*:/usr/sbin/nologin$' "$tmp/root/etc/passwd" && grep -q '^adit:' "$tmp/root/etc/group"; echo $?)" <"$tmp/said"
# /etc and /proc are there by themselves
said=$(sed -n 's/^ReadWritePaths=//p' "$tmp"/units/adit*.service | tr ' ' '\n' | sed 's/^-//; /^\/etc\|^\/proc/d' | sort -u |
        while read -r path; do grep -q "^d $path [0-7]* root " scripts/systemd/adit.tmpfiles || echo "$path"; done)
check "adit.tmpfiles makes every folder that a unit may write" "$([ -z "$said" ]; echo $?)" <<<"$said"
# Else a kill switch that comes first would wait for what waits for it.
said=$(grep -hE '^(After|Wants|Requires)=.*network' "$lock" | grep -v '^Wants=network-pre.target$')
check "adit-lock@.service waits for nothing of the network" "$([ -z "$said" ] && grep -q '^Before=network-pre.target ' "$lock"; echo $?)" <<<"$said"
exit $failed
