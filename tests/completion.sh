#!/bin/bash
# What bash and zsh offer: every command, option and value that `adit help` has, links, files and peers. Prints TAP. BUILD: the
# folder of the programs. zsh is asked by functions of its own in place of compadd and _files, and passed over where it is not.
# shellcheck disable=SC2317 # in_bash, in_zsh: called by a name that is put together
set -u
cd "$(dirname "$0")/.." || exit 1
adit=$(realpath "${BUILD:-build}")/adit
completion=$PWD/scripts/completion
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

# A machine with links: files, sockets (a file does), and an adit that tells of peers.
mkdir -p "$tmp"/{etc/adit,etc/wireguard,run/adit,here/sub}
touch "$tmp"/etc/adit/paris.conf "$tmp"/etc/wireguard/{berlin.conf,notes.txt} "$tmp"/run/adit/{up0.sock,up0.state} "$tmp"/here/{other.conf,a.key}
for shell in adit.bash _adit; do
        sed "s|/etc/|$tmp/etc/|g; s|/run/|$tmp/run/|g" "$completion/$shell" >"$tmp/$shell"
done
cat >"$tmp/adit" <<END
#!/bin/sh
[ "\$*" = "peer list up0 --json" ] || exec "$adit" "\$@"
cat <<'JSON'
{
  "peers": [
    {
      "public_key": "B2K9GHPOKYTfOpXwS6YBXLcSbcgjftk0j+pFoPtWsQw=",
      "name": "ada",
      "endpoint": null
    },
    {
      "public_key": "yAE6c6zlHleQyQI7dK3mH1iRygM8da7nIFmSywQ9dq8=",
      "name": null,
      "endpoint": null
    }
  ]
}
JSON
END
chmod +x "$tmp/adit"
cd "$tmp/here" || exit 1

# shellcheck source=/dev/null
. "$tmp/adit.bash"
in_bash() { # WORD...: what is offered for the last one; a word is parted as bash does
        local word parts
        COMP_WORDS=("$tmp/adit") COMP_LINE="$tmp/adit $*"
        for word; do
                mapfile -t parts < <(sed 's/[:=]\+/\n&\n/g; s/^\n//; s/\n$//' <<<"$word")
                COMP_WORDS+=("${parts[@]}")
        done
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _adit "$tmp/adit"
        printf '%s\n' "${COMPREPLY[@]}"
}
in_zsh() {
        zsh -fc 'setopt extendedglob
                compadd() { shift; print -rl -- "$@" }
                _files() { [[ $1 == -g ]] && print -rl -- *.conf || print -rl -- * }
                file=$1; shift
                words=("$@") CURRENT=$# PREFIX=$words[-1]
                source $file' zsh "$tmp/_adit" "$tmp/adit" "$@" | grep -e "^${*: -1}"
}

offered() { # NAME: each line of stdin is "WORD...|OFFER..."
        local line words offers offer said wrong=''
        while IFS= read -r line; do
                IFS=' ' read -ra words <<<"${line%%;*}"
                [[ ${line%%;*} == *' ' || ${line%%;*} == '' ]] && words+=('')
                IFS=' ' read -ra offers <<<"${line#*;}"
                said=$("in_$shell" "${words[@]}" 2>&1)
                for offer in "${offers[@]}"; do
                        case $offer in
                        !*) grep -qxF -e "${offer#!}" <<<"$said" && wrong+="# offered after '${line%%;*}': ${offer#!}"$'\n' ;;
                        *) grep -qxF -e "$offer" <<<"$said" || wrong+="# not offered after '${line%%;*}': $offer"$'\n' ;;
                        esac
                done
        done
        if [[ $wrong ]]; then
                printf 'not ok - %s: %s\n%s' "$shell" "$1" "$wrong"
                failed=1
        else
                echo "ok - $shell: $1"
        fi
}

commands=$("$adit" help | sed -nE 's/^  ([a-z]+( [a-z]+)?)  .*/\1/p')
options() { # of each command, behind all its arguments and behind none
        while read -r words; do
                # shellcheck disable=SC2086 # one word or two
                for option in $("$adit" $words --help | grep -E '^Usage|^  --' | grep -oE -- '--[a-z-]+ ?' | sort -u) --help; do
                        printf '%s\n' "$words -;$option" "$words up0 x ${option:0:5};$option"
                done
        done <<<"$commands"
}

echo 1..10
for shell in bash zsh; do
        if ! command -v $shell >/dev/null; then
                for _ in 1 2 3 4 5; do echo "ok - # SKIP there is no $shell"; done
                continue
        fi
        while read -r first second; do
                echo ";$first"
                echo "${first:0:2};$first"
                [ -z "$second" ] || printf '%s\n' "$first ;$second" "help $first ;$second"
        done <<<"$commands" | cat - <(printf '%s\n' ';help' ';--version' '--;--help') | offered "every command"
        options | offered "every option of every command"
        offered "values of options, and files with keys" <<'ROWS'
peer set up0 ada --upgrade ;auto off !require
peer set up0 ada --post-quantum ;auto require off !--name
route add up0 B2K9GHPOKYTfOpXwS6YBXLcSbcgjftk0j+pFoPtWsQw= ;!--help !ada
peer add up0 B2K9GHPOKYTfOpXwS6YBXLcSbcgjftk0j+pFoPtWsQw= --endpoint [2001:db8::1]:51820 --keepalive ;off
peer set up0 ada --preshared-key ;a.key none
peer set up0 ada --upgrade o;off
peer set up0 ada --upgrade off --na;--name
key set up0 ;a.key other.conf
ROWS
        offered "links and their files" <<'ROWS'
up ;paris berlin other.conf !notes !a.key !up0
check p;paris
reload ;paris berlin other.conf
show ;up0 !paris
down ;up0 !paris
save ;up0 !paris
save up0 ;a.key other.conf
genkey ;!up0 !paris
ROWS
        offered "peers" <<'ROWS'
peer set up0 ;ada yAE6c6zlHleQyQI7dK3mH1iRygM8da7nIFmSywQ9dq8= !B2K9GHPOKYTfOpXwS6YBXLcSbcgjftk0j+pFoPtWsQw=
peer remove up0 a;ada
route add up0 ad;ada
peer set down0 ;!ada
peer add up0 ;!ada
ROWS
done
exit $failed
