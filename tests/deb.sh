#!/bin/bash
# The Debian package, from `make deb` to dpkg --purge: lintian, hardening, the same bytes when built again; then, on a machine of
# its own, installed, a link brought up, upgraded, removed and purged, with nothing left. BUILD: the folder the package lies in.
# TWICE=1: compare with a second build.
#
#   veth0 192.0.2.1 ---- veth0 192.0.2.2 namespace peer     the machine is this one under an overlay, by chroot, in namespaces
#   tunnel left 10.9.0.1 ==== right 10.9.0.2                of its own (mounts, network, processes): what is done there is not
#                                                           done here, and ends with this script
# shellcheck disable=SC2317 # teardown: called by lib.sh
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit 0; }
unshare --mount --net --pid --fork true 2>/dev/null || { echo "1..0 # SKIP needs namespaces"; exit 0; }
[ -n "${DEB_INSIDE:-}" ] || DEB_INSIDE=1 exec unshare --mount --net --pid --fork --kill-child --mount-proc bash "$0" "$@"
. "$(dirname "$0")/e2e/lib.sh"
for program in lintian dpkg-deb fakeroot debhelper:dh; do
        command -v "${program#*:}" >/dev/null || bail "${program%:*} is missing: scripts/deps deb"
done
cd "$ROOT" || bail "$ROOT"
build=$(realpath "${BUILD:-build}")
package=$(echo "$build"/adit_*.deb)
[ -f "$package" ] || bail "not one package: $package: make deb"
log=$build/deb/log

# ---- what was built --------------------------------------------------------------------------------------------------

is "lintian has nothing to say" "$(lintian --allow-root --no-cfg --fail-on none "$build"/deb/*.changes 2>&1)" ""
# Our own flags, and what Debian's builders ask for.
compiled=$(grep -E '^[^ ]*(cc|gcc) .* -c -o ' "$log")
isnt "the log has the compiler's lines" "$compiled" ""
for flag in -D_FORTIFY_SOURCE=3 -fstack-clash-protection -ftrivial-auto-var-init=zero $(dpkg-buildflags --get CFLAGS | tr ' ' '\n' | grep -v prefix-map) -ffile-prefix-map="$build/deb/adit"=.; do
        is "all of it is compiled with $flag" "$(grep -vF -- " $flag " <<<"$compiled" | head -n 1)" ""
done

# The same tree gives the same package, wherever it lies and whoever builds it.
if [ -n "${TWICE:-}" ]; then
        must env BUILD="$TMP/again" VERSION="$(sed -n 's/^VERSION *:= *//p' Makefile)" DEB_BUILD_OPTIONS=parallel=1 sh -c 'umask 077; scripts/deb'
        ok "built again, in another folder: the same bytes" cmp "$package" "$TMP"/again/adit_*.deb
else
        skip "built again, in another folder: the same bytes" "TWICE=1 does it"
fi

# ---- a machine -------------------------------------------------------------------------------------------------------

# Nothing of it lies in $TMP, which is deleted at the end: what is mounted ends with our namespaces.
machine=/run/machine
must mount -t tmpfs none /run
mkdir $machine{,/upper,/work,/root}
must mount -t overlay -o "lowerdir=/,upperdir=$machine/upper,workdir=$machine/work" none $machine/root
must mount -t proc none $machine/root/proc
must mount -t sysfs none $machine/root/sys
must mount -t tmpfs none $machine/root/dev
mkdir $machine/root/dev/net
cp -a /dev/{null,zero,full,random,urandom} $machine/root/dev
cp -a /dev/net/tun $machine/root/dev/net
for folder in run tmp; do must mount -t tmpfs none $machine/root/$folder; done
must cp "$package" $machine/root/tmp/adit.deb
# Without an adit of this machine's own, nor what a container tells dpkg to leave out.
rm -rf $machine/root/{etc,var/lib}/adit $machine/root/usr/{local,}/{sbin/aditd,bin/adit} $machine/root/etc/dpkg/dpkg.cfg.d/*
on_it() { chroot $machine/root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }
peer() { on_it ip netns exec peer "$@"; }
# What is not as it was: each file, and each folder that is new. But for the package manager's notes and caches, and the list of
# users, in which the package's own stays, as Debian's do.
changed() {
        (cd $machine/upper && find . -mindepth 1 \( ! -type d -o -exec test ! -d /{} \; \) -print) | sed 's|^\.||' |
                grep -vE '^/var/(lib/(dpkg|systemd/deb-systemd-helper-.*)|log|cache/(man|ldconfig|debconf))(/|$)|^/etc/(passwd|group|shadow|gshadow)-?$|^/etc/\.pwd\.lock$' | sort
}
state() { on_it dpkg-query -W -f '${db:Status-Status}\n' adit 2>&1 | sed 's/.*no packages found.*/none/'; }
there() { [ -s "$1" ] || [ -s "$1.gz" ]; } # Debian's way: what is long is packed
daemons() { for pid in $(pgrep -x aditd); do dead "$pid" || echo "$pid"; done; }
before=$(changed)

# ---- installed -------------------------------------------------------------------------------------------------------

ok "dpkg -i" on_it dpkg -i /tmp/adit.deb
is "adit --version: the package's" "$(on_it adit --version)" "adit $(dpkg-deb -f "$package" Version)"
is "/etc/adit is root's alone" "$(on_it stat -c '%a %U' /etc/adit)" "700 root"
ok "files are as the package has them" on_it dpkg --verify adit
for file in man8/adit.8.gz man8/aditd.8.gz man5/tunnel.conf.5.gz; do ok "/usr/share/man/$file" test -s "$machine/root/usr/share/man/$file"; done
for file in README.md copyright changelog examples/tunnel.conf $(cd docs && echo *.md); do
        ok "/usr/share/doc/adit/$file" there "$machine/root/usr/share/doc/adit/$file"
done
for file in bash-completion/completions/adit zsh/site-functions/_adit; do ok "/usr/share/$file" test -s "$machine/root/usr/share/$file"; done

# ---- a link of it ----------------------------------------------------------------------------------------------------

must on_it ip netns add peer
must on_it ip link set lo up
must on_it ip link add veth0 type veth peer name veth0 netns peer
must on_it ip address add 192.0.2.1/24 dev veth0
must on_it ip link set veth0 addrgenmode none up # no address that comes a second later
must peer ip address add 192.0.2.2/24 dev veth0
must peer ip link set veth0 up
host() { on_it nft list ruleset; on_it ip rule; on_it ip -6 rule; on_it ip route show table all; on_it ip -6 route show table all; on_it ip -o link | cut -d' ' -f2; on_it sysctl net.ipv4.conf.all.src_valid_mark; }
untouched=$(host)
for end in left right; do (umask 077; on_it adit genkey >"$machine/root/etc/adit/$end.key"); done
write() { # LINK ADDRESS OTHER OTHER'S-ADDRESS OTHER'S-ENDPOINT [INTERFACE-LINE]...
        (umask 077; cat >"$machine/root/etc/adit/$1.conf") <<-CONF
		[Interface]
		PrivateKeyFile = $1.key
		Address = $2/32
		ListenPort = 51820
		$(printf '%s\n' "${@:6}")
		[Peer]
		PublicKey = $(on_it adit pubkey <"$machine/root/etc/adit/$3.key")
		AllowedIPs = $4/32
		Endpoint = $5:51820
		CONF
}
write left 10.9.0.1 right 10.9.0.2 192.0.2.2 'PreDown = test ! -e /etc/adit/stay' 'PostDown = touch /etc/adit/left-is-down'
write right 10.9.0.2 left 10.9.0.1 192.0.2.1
must on_it adit up left
must peer adit up right
ok "a link carries packets" on_it ping -n -c 1 -W 5 10.9.0.2
pids=$(daemons)
isnt "(it has processes)" "$pids" ""

# ---- upgraded, removed, purged ---------------------------------------------------------------------------------------

ok "an upgrade" on_it dpkg -i /tmp/adit.deb
ok "the link is still there" on_it ping -n -c 1 -W 5 10.9.0.2
is "it has the same processes" "$(daemons)" "$pids"

touch $machine/root/etc/adit/stay
not_ok "dpkg -r: a PreDown says no" on_it dpkg -r adit
like "it says which link" "$(cat "$TMP/out")" "links are still up: left;"
is "the package is still installed" "$(state)" installed
ok "and so is the link" on_it adit show left
# A third, by which everything goes, is killed: its rules are left, and its kill switch.
write killed 10.9.0.3 right 0.0.0.0 192.0.2.2 'KillSwitch = yes'
sed -i 's|^AllowedIPs.*|AllowedIPs = 0.0.0.0/0|; /^ListenPort/d' $machine/root/etc/adit/killed.conf
cp $machine/root/etc/adit/{left,killed}.key
must on_it adit up killed
for pid in $(daemons); do grep -q "^$pid$" <<<"$pids" || kill -KILL "$pid"; done
like "(one was killed, and left rules)" "$(on_it ip rule)" "suppress_prefixlength"
rm $machine/root/run/adit/killed.sock # as when its tunnel process alone was: the journal tells
like "(and its kill switch)" "$(on_it nft list ruleset)" "drop"

rm $machine/root/etc/adit/stay
ok "dpkg -r" on_it dpkg -r adit
ok "the link went down as adit down does it" test -e $machine/root/etc/adit/left-is-down
is "and so did one of another network namespace" "$(daemons)" ""
is "no route, rule, setting or interface is left, of the killed one neither" "$(host)" "$untouched"
is "nor a file but those of the user" "$(comm -13 <(echo "$before") <(changed) | grep -vx /var/lib/adit)" "$(printf '/etc/adit%s\n' '' /killed.{conf,key} /left{-is-down,.conf,.key} /right.{conf,key})"
ok "dpkg --purge" on_it dpkg --purge adit
like "says that keys are left" "$(cat "$TMP/out")" "^adit: /etc/adit is left"
is "they are" "$(ls $machine/root/etc/adit/*.key)" "$(printf '%s\n' $machine/root/etc/adit/{killed,left,right}.key)"
is "of the package nothing is" "$(state)" none

rm $machine/root/etc/adit/*
must on_it dpkg -i /tmp/adit.deb
mkdir -p $machine/root/{run,var/lib}/adit
touch $machine/root/{run/adit/killed.lock,var/lib/adit/killed.endpoints}
wants=$machine/root/etc/systemd/system/multi-user.target.wants
mkdir -p $wants
ln -s /lib/systemd/system/adit@.service $wants/adit@left.service # as systemctl enable does
ok "dpkg --purge with no file of the user" on_it dpkg --purge adit
is "leaves no file, and changed none" "$(changed)" "$before"
is "of users it added none but its own" "$(for list in passwd group shadow gshadow; do diff /etc/$list $machine/root/etc/$list | grep '^[<>]' | grep -v '^> adit:'; done)" ""
not_ok "nor is there one in /run" test -e $machine/root/run/adit
finish
