#!/bin/bash
# The man pages say all that the programs and the tables of their sources do: each command with its arguments, each option, field,
# environment variable, key and word. Prints TAP. BUILD: the folder of the programs.
# shellcheck disable=SC2001 # sed, where the line has an end or a beginning
set -u
cd "$(dirname "$0")/.." || exit 1
programs=$(realpath "${BUILD:-build}")
man=scripts/man
failed=0

check() { # NAME: nothing on stdin is good, else each line is what is wrong
        local wrong
        wrong=$(cat)
        if [ -z "$wrong" ]; then
                echo "ok - $1"
        else
                echo "not ok - $1"
                sed 's/^/# /' <<<"$wrong"
                failed=1
        fi
}

# Prints what lines of stdin are no beginning of a line of the text, a blank or the end after it. None at all is a mistake of this script.
missing() { # TEXT
        awk -v text="$1" 'BEGIN { while ((at = index(text, "\n")) || text != "") {
                        line = at ? substr(text, 1, at - 1) : text
                        text = at ? substr(text, at + 1) : ""
                        for (i = 1; i <= length(line); i++) if (i == length(line) || substr(line, i + 1, 1) == " ") there[substr(line, 1, i)] = 1
                } }
                !($0 in there) { print "missing: " $0 }
                END { if (!NR) print "nothing was found that should be there" }'
}

items() { # PAGE MACRO [SECTION]: of each ".It MACRO tag" the tag and the text that follows, in one line
        awk -v macro="$2" -v section="${3:-}" '
                /^\.S[hs] / { inside = section == "" || substr($0, 5) == section; if (said != "") print said; said = "" }
                !inside { next }
                /^\.(It|El)/ { if (said != "") print said; said = "" }
                $1 == ".It" && $2 == macro { said = substr($0, length(macro) + 6); next }
                /^\./ { if (said != "") print said; said = ""; next }
                said != "" { said = said " " $0 }' "$man/$1"
}

# A tag is alone in its line, or has two blanks after it: its end is marked, so that one with less or more is another.
rendered() { mandoc -Tascii -Owidth=200 "$man/$1" | sed 's/.\x08//g; s/^ *//; s/ | /|/g'; }
quoted() { grep -hoE "$1" "${@:2}" | sed 's/^[^"]*"//; s/".*//' | sort -u; } # the text in the first quotes
# 'X(RX_REPLAY, "rx-replay", "counter seen before, or too old")' as "rx-replay Counter seen before, or too old."
meanings() { sed -nE 's/.*X\([A-Z0-9_]+, *"([a-z-]+)", *"([^"]*)"\).*/\1 \u\2./p' "$1"; }

commands=$("$programs/adit" help | sed -nE 's/^  ([a-z]+( [a-z]+)?)  .*/\1/p')
# shellcheck disable=SC2086 # a command is one word or two
helps() { while read -r words; do "$programs/adit" $words --help; done <<<"$commands"; }

echo 1..11

# A page that is not installed, and an index of others that is old, are no mistakes of ours.
mandoc -Tlint -Wstyle "$man"/*.[58] 2>&1 | grep -vE 'STYLE: referenced manual not found|^mandoc: outdated mandoc.db' |
        check "mandoc has nothing to say"
adit=$(rendered adit.8)
tags=$(sed 's/  .*//; s/$/;/' <<<"$adit")
helps | sed -n 's/^Usage: adit //p' | sed 's/ *$/;/' | missing "$tags" | check "adit.8: every command, with its arguments"
helps | sed -nE 's/^  (--[a-z-]+ [^ a-z][^ ]*|--[a-z-]+ [a-z]+\|[^ ]*) .*/\1;/p' | sort -u | missing "$tags" |
        check "adit.8: every option with a value, and which"
quoted 'json_object_set_new\(object, "[a-z_]+"' ctl/*.c | missing "$(items adit.8 Va JSON)" | check "adit.8: every field of the JSON"
meanings daemon/proto/drop.h | missing "$(items adit.8 Cm 'DROP COUNTERS')" | check "adit.8: every reason to drop a packet"
meanings daemon/proto/engine.h | missing "$(items adit.8 Cm 'UPGRADE STATES')" | check "adit.8: every state of an upgrade"
"$programs/adit" help | grep -A2 '^Exit status' | grep -oE '[0-9] [a-z ]+' | sed -E 's/^([0-9]) (.)/\1 \u\2/; s/ *$//' |
        missing "$(tr -d ., <<<"$adit" | tr -s ' ')" | check "adit.8: every exit status"
{
        quoted 'getenv\("[A-Z_]+"' ctl/*.c | missing "$(items adit.8 Ev ENVIRONMENT)"
        quoted 'getenv\("[A-Z_]+"' {daemon,daemon/*,crypto,kernel-iface}/*.c | missing "$(items aditd.8 Ev ENVIRONMENT)"
} | check "adit.8, aditd.8: every environment variable"
options=$(sed -nE "s/.*\{ \"([a-z]+)\", ([a-z]+)_argument, NULL, '(.)' \}.*/\3 --\1/p" daemon/main.c)
{
        sed 's/ --/ , -/' <<<"$options" | missing "$(items aditd.8 Fl DESCRIPTION)"
        sed 's/ --/, --/; s/^/  -/' <<<"$options" | missing "$("$programs/aditd" --help)"
        # those without a letter
        words=$(sed -nE 's/.*\{ "([a-z]+)", [a-z]+_argument, NULL, OPTION_.*/-\1/p' daemon/main.c)
        missing "$(items aditd.8 Fl DESCRIPTION)" <<<"$words"
        sed 's/^/      -/' <<<"$words" | missing "$("$programs/aditd" --help)"
} | check "aditd.8, aditd --help: every option"
{
        quoted 'SECTION_INTERFACE, "[A-Za-z]+"' daemon/conf/keys.c | sed 's/$/ No =/' | missing "$(items tunnel.conf.5 Cm Interface)"
        quoted 'SECTION_PEER, "[A-Za-z]+"' daemon/conf/keys.c | sed 's/$/ No =/' | missing "$(items tunnel.conf.5 Cm Peer)"
} | check "tunnel.conf.5: every key, in its section"
# Each example that begins with a section, with the key files that it names.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
(
        umask 077
        awk -v folder="$tmp" '/^\.Bd -literal/ { getline; if (/^\[Interface\]/) file = folder "/example" ++count ".conf" }
                /^\.Ed/ { file = "" }
                file != "" { print > file }' "$man/tunnel.conf.5"
        sed -n 's/^P.*KeyFile = //p' "$tmp"/*.conf | while read -r key; do "$programs/adit" genkey >"$tmp/$key"; done
        for file in "$tmp"/*.conf; do "$programs/adit" check "$file" 2>&1 >/dev/null; done
) | check "tunnel.conf.5: adit takes the examples"

exit $failed
