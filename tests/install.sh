#!/bin/bash
# make install puts these files there with these modes, and make uninstall takes away those and no more. Prints TAP. BUILD: the
# folder of the programs, which must be built: nothing is compiled here.
# shellcheck disable=SC2001 # sed, for every line
set -u
cd "$(dirname "$0")/.." || exit 1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

# BUILD is what the programs lie in already, whatever the variables of the make that called this would make of it.
run() { env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u SANITIZE -u SODIUM_DIR -u OPENSSL_DIR make -s -o all BUILD="${BUILD:-build}" DESTDIR="$tmp/a root" "$@" 2>&1; }
is() { # NAME GOT WANTED
        if [ "$2" = "$3" ]; then
                echo "ok - $1"
        else
                echo "not ok - $1"
                diff <(echo "$3") <(echo "$2") | sed 's/^/# /'
                failed=1
        fi
}
files() { (cd "$tmp/a root" && find . ! -type d -printf '%m %P\n' | sort -k 2); }

wanted='755 bin/adit
644 lib/systemd/system/adit-lock@.service
644 lib/systemd/system/adit@.service
644 lib/sysusers.d/adit.conf
644 lib/tmpfiles.d/adit.conf
755 sbin/aditd
644 share/bash-completion/completions/adit
644 share/doc/adit/LICENSE
644 share/doc/adit/README.md
644 share/doc/adit/recipes.md
644 share/doc/adit/session-upgrade.md
644 share/doc/adit/tunnel.conf
644 share/man/man5/tunnel.conf.5
644 share/man/man8/adit.8
644 share/man/man8/aditd.8
644 share/zsh/site-functions/_adit'

echo 1..9
umask 077
said=$(run PREFIX=/usr install)
is "install succeeds" $? 0
is "install with PREFIX=/usr: these files" "$(files)" "$(sed 's| | usr/|' <<<"$wanted")"
is "what is installed is what was built" "$(cmp "${BUILD:-build}/aditd" "$tmp/a root/usr/sbin/aditd" 2>&1)" ""
is "the units start what was installed" "$(sed -nE 's/^Exec[A-Za-z]+=-?([^ ]+) .*/\1/p' "$tmp/a root/usr/lib/systemd/system"/* | sort -u)" "/usr/bin/adit
/usr/sbin/aditd"
touch "$tmp/a root/usr/bin/other" "$tmp/a root/usr/share/man/man8/adit.8.gz"
said=$(run PREFIX=/usr uninstall)
is "uninstall succeeds, and says nothing" "$? $said" "0 "
is "uninstall leaves what others put there, and no more" "$(files | cut -d' ' -f2)" "usr/bin/other
usr/share/man/man8/adit.8.gz"
is "nor a folder of ours" "$(find "$tmp/a root" -type d -path '*adit*')" ""
rm -rf "$tmp/a root"
said=$(run install)
is "install without PREFIX: /usr/local" "$(files)" "$(sed 's| | usr/local/|' <<<"$wanted")"
mkdir -p "$tmp/a root/usr/local/share/doc/adit" && touch "$tmp/a root/usr/local/share/doc/adit/notes"
said=$(run uninstall)
is "a folder of ours with something of others stays" "$(files | cut -d' ' -f2)" "usr/local/share/doc/adit/notes"
exit $failed
