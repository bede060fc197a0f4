# shellcheck shell=bash
# Stages that run once: a stamp is written after success only, and holds what the stage depended
# on, line by line. Sourced by lego.sh.

log() { # a dated line on stdout
    echo "$(date '+%Y-%m-%dT%H:%M:%S') (lego.sh) $*"
}

die() { # an error that says what to do
    echo "lego.sh: error: $*" >&2
    exit 2
}

need() { # need FILE REMEDY: stop when a file isn't there
    [ -e "$1" ] || die "$1 is missing: $2"
}

sums() { # sums FILE ...: a line "hash  path" for each, sorted as given
    sha256sum -- "$@"
}

stamp_is() { # stamp_is STAMP KEY: whether the stage was done with just these inputs and options
    [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]
}

stamp_write() { # stamp_write STAMP KEY: whole or not at all, on disk before it has its name
    mkdir -p "$(dirname "$1")"
    printf '%s\n' "$2" >"$1.tmp.$$"
    sync "$1.tmp.$$"
    mv -f "$1.tmp.$$" "$1"
}

once() { # once STAMP KEY COMMAND ...: run a command unless its stamp has this key
    local stamp=$1 key=$2
    shift 2
    if stamp_is "${stamp}" "${key}"; then
        log "up to date: ${stamp}"
        return 0
    fi
    rm -f "${stamp}"
    "$@"
    stamp_write "${stamp}" "${key}"
}

install_file() { # install_file FROM TO: copy, whole or not at all
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2.tmp.$$"
    sync "$2.tmp.$$"
    mv -f "$2.tmp.$$" "$2"
}

stamp_difference() { # stamp_difference STAMP KEY: the lines that changed, - old, + new
    diff -U0 "$1" <(printf '%s\n' "$2") | tail -n +3 | grep -v '^@@' || true
}

locked() { # locked FOLDER COMMAND ...: one run at a time writes into a folder
    # The jobs inherit the lock, so those that outlive a killed recipe are waited for, too.
    local folder=$1
    shift
    exec 9>"${folder}/.lock"
    # Another status than 1: a file system without locks.
    flock -w 30 9 || [ $? -ne 1 ] || die "another run is at work in ${folder}: wait for it, or end it"
    "$@"
    exec 9>&-
}
