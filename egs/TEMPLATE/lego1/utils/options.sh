# shellcheck shell=bash
# Command-line options for recipes: `parse_options legal_names "$@"` sets a variable for each
# `--name value`. Hyphens and underscores are one; an unknown name is an error that tells the
# closest. Sourced by lego.sh and by recipes' run.sh.

recipe_help() { # recipe_help NAME ...: the comment that opens the recipe's script, its own options, then lego.sh's
    local name
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$(basename "$0")"
    echo
    echo "Options of this recipe, with their defaults:"
    for name in "$@"; do # what stands behind its default in the script
        printf '  %-34s %s\n' "--${name} ${!name:-\"\"}" "$(sed -n "s/^${name}=[^#]*# *//p" "$(basename "$0")" | head -n 1)"
    done | sed 's/ *$//'
    echo
    "$(dirname "${BASH_SOURCE[0]}")/../lego.sh" --help
}

take_options() { # take_options "name name ..." "$@": set these variables where given; the rest of
    # the arguments goes into the array `remaining`. For a recipe's own options; LEGONN_COMMAND
    # becomes the command that scores record.
    local legal name
    legal=" $(tr -s '[:space:]' ' ' <<<"$1") "
    shift
    export LEGONN_RECIPE_OPTIONS=${legal} # for lego.sh, whose errors name the closest option
    LEGONN_COMMAND="cd egs/$(basename "$(dirname "${PWD}")")/$(basename "${PWD}") &&$(printf ' %q' ./run.sh "$@")"
    export LEGONN_COMMAND
    remaining=()
    while [ $# -gt 0 ]; do
        if [ "$1" = --help ]; then
            # shellcheck disable=SC2086
            recipe_help ${legal}
            exit 0
        fi
        if [ "$1" = -- ]; then # all after it is for others
            remaining+=("${@:2}")
            break
        fi
        name=$(tr - _ <<<"${1#--}")
        if [ "${1#--}" = "$1" ] || [ "${legal#* "${name%%=*}" }" = "${legal}" ]; then
            remaining+=("$1")
            shift
        elif [ "${name#*=}" != "${name}" ]; then
            printf -v "${name%%=*}" '%s' "${1#*=}"
            shift
        elif [ $# -gt 1 ]; then
            printf -v "${name}" '%s' "$2"
            shift 2
        else
            echo "$0: error: --${name} needs a value" >&2
            return 2
        fi
    done
}

closest() { # closest WORD CANDIDATE ...: what ESPnet's recipes mean by it, else the most similar candidate if there is one
    python3 - "$@" <<'PYTHON'
import difflib
import re
import sys

word, *candidates = sys.argv[1:]
OF_ESPNET = {"gpu_inference": "ngpu", "skip_eval": "stop_stage", "asr_speech_fold_length": "lego_args"}
guess = OF_ESPNET.get(word) or re.sub("^(asr|st|mt)_", "lego_", word)
if guess not in candidates:
    guess = (difflib.get_close_matches(word, candidates, n=1, cutoff=0.5) or [""])[0]
print(guess)
PYTHON
}

parse_options() { # parse_options "name name ..." "$@"
    local legal given name value
    legal=" $(tr -s '[:space:]' ' ' <<<"$1") "
    shift
    while [ $# -gt 0 ]; do
        given=$1
        if [ "${given#--}" = "${given}" ]; then
            echo "$0: error: '${given}' is no option: give --name value (see --help)" >&2
            return 2
        fi
        name=${given#--}
        name=$(tr - _ <<<"${name%%=*}")
        if [ "${name}" = help ]; then
            help_message
            exit 0
        fi
        if [ "${legal#* "${name}" }" = "${legal}" ]; then
            # shellcheck disable=SC2086
            value=$(closest "${name}" ${legal} ${LEGONN_RECIPE_OPTIONS:-})
            echo "$0: error: unknown option --${name}${value:+: did you mean --${value}?} (--help lists all)" >&2
            return 2
        fi
        if [ "${given#*=}" != "${given}" ]; then
            value=${given#*=}
            shift
        elif [ $# -gt 1 ]; then
            value=$2
            shift 2
        else
            echo "$0: error: --${name} needs a value" >&2
            return 2
        fi
        if { [ "${!name}" = true ] || [ "${!name}" = false ]; } &&
            [ "${value}" != true ] && [ "${value}" != false ]; then
            echo "$0: error: --${name} ${value}: give true or false" >&2
            return 2
        fi
        printf -v "${name}" '%s' "${value}"
    done
}
