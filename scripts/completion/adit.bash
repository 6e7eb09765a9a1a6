# bash completion for adit(8). What the commands, their arguments and options are is read from `adit help` and
# `adit COMMAND --help`: nothing here names one.
# shellcheck shell=bash disable=SC2001

_adit_names() { # FOLDER SUFFIX: the names of links there
        local path

        for path in "$1"/*"$2"; do
                [[ -e $path ]] || continue
                path=${path##*/}
                printf '%s\n' "${path%"$2"}"
        done
}

_adit_files() { # WORD SUFFIX: files that end so, and folders
        local path

        compgen -d -S / -- "$1"
        while IFS= read -r path; do
                [[ ! -d $path && $path == *"$2" ]] && printf '%s\n' "$path"
        done < <(compgen -f -- "$1")
}

_adit_peers() { # PROGRAM LINK: the Name of each peer, or else its public key, where the user may look
        "$1" peer list "$2" --json 2>/dev/null | awk -F'"' '
                $2 == "public_key" { key = $4 }
                $2 == "name" { print $3 ~ /null/ || $4 ~ /\\/ ? key : $4 }'
}

# What a word of a usage line stands for: "FILE|NAME" is a link's file, "NAME|FILE" a link that is up, "FILE" any file, and small
# letters are what they say.
_adit_offer() { # KIND WORD PROGRAM LINK
        local kinds kind

        IFS='|' read -ra kinds <<<"$1"
        for kind in "${kinds[@]}"; do
                case $kind in
                NAME) case $1 in
                        FILE*) _adit_names /etc/adit .conf && _adit_names /etc/wireguard .conf ;;
                        *) _adit_names /run/adit .sock ;;
                        esac ;;
                FILE) case $1 in *NAME*) _adit_files "$2" .conf ;; *) _adit_files "$2" '' ;; esac ;;
                PEER) _adit_peers "$3" "$4" ;;
                [a-z]*) printf '%s\n' "$kind" ;;
                esac
        done
}

# Prints one a line what may stand as the last of these words, whether or not it fits what is there of it.
_adit_candidates() { # PROGRAM WORD...
        local program=$1 commands help command='' word=${*: -1} value='' kinds positional=() options i
        shift

        commands=$("$program" help 2>/dev/null | sed -nE 's/^  ([a-z]+( [a-z]+)?)  .*/\1/p')
        [[ $commands ]] || return
        [[ $1 != help ]] || (($# == 1)) || shift
        for i in 1 2; do
                (($# > i)) && grep -qxF -- "${*:1:i}" <<<"$commands" && command=${*:1:i} && break
        done
        if [[ -z $command ]]; then
                case $# in
                1) sed 's/ .*//' <<<"$commands" | uniq && printf '%s\n' help --help --version ;;
                2) sed -n "s/^${1//[!a-z]/} //p" <<<"$commands" && echo --help ;;
                esac
                return
        fi
        shift "$i"
        # shellcheck disable=SC2086 # one word or two
        help=$("$program" $command --help 2>/dev/null)
        read -ra kinds < <(sed -nE "s/^Usage: adit $command *//; T; s/\[(--[a-z-]+|OPTION)\]//g; s/[].[]//g; p" <<<"$help")
        options=$(sed -nE 's/^  (--[a-z-]+)( ([^ ]+) .*| .*)/\1 \3/p' <<<"$help")$'\n--help'
        for ((; $# > 1;)); do # what stands before it
                if [[ $value ]]; then value=''
                elif [[ $1 == --* ]]; then value=$(sed -nE "s/^${1//[!a-z-]/} //p" <<<"$options")
                else positional+=("$1"); fi
                shift
        done
        local kind=${kinds[${#positional[@]}]-}
        if [[ $value ]]; then _adit_offer "$value" "$word" "$program" ''
        elif [[ $word == -* || -z $kind || $kind == OPTION ]]; then sed 's/ .*//' <<<"$options"
        else _adit_offer "$kind" "$word" "$program" "${positional[0]-}"; fi
}

_adit() {
        local words=() rest=${COMP_LINE-} before word i candidate

        # bash parts words at = and :, which keys and endpoints have in them.
        for ((i = 0; i <= COMP_CWORD; i++)); do
                word=${COMP_WORDS[i]} before=$rest
                [[ -z $word ]] || before=${rest%%"$word"*}
                rest=${rest#*"$word"}
                if ((i > 1)) && [[ -z $before && "${COMP_WORDS[i - 1]: -1}$word" == *[:=]* ]]; then words[-1]+=$word
                else words+=("$word"); fi
        done
        word=${words[-1]}
        local kept=${word%"${word##*[:=]}"} # what bash leaves as it is

        COMPREPLY=()
        while IFS= read -r candidate; do
                [[ $candidate == "$word"* ]] && COMPREPLY+=("${candidate#"$kept"}")
        done < <(_adit_candidates "$1" "${words[@]:1}")
        if [[ ${COMPREPLY[0]-} == */ ]]; then compopt -o nospace 2>/dev/null; fi
        return 0
}

complete -F _adit adit
