#!/bin/sh
# A daemon to try things with, like any other but small:
#
#     daemon.sh PID-FILE GREETING-FILE
#
# It goes into the background, writes its pid file, and serves: now and then it says its greeting. HUP makes it read the
# greeting again, TERM makes it remove its pid file and exit with status 0.
set -eu

say() {
    printf 'daemon.sh (%d): %s\n' "$$" "$*"
}

read_greeting() {
    greeting=$(cat "$greeting_file")
    say "my greeting is \"$greeting\""
}

reload() {
    say 'HUP: I read my greeting again'
    read_greeting
    naps=0
}

stop() {
    say 'TERM: good bye'
    rm -f "$pid_file"
    exit 0
}

serve() {
    trap reload HUP
    trap stop TERM
    read_greeting
    # Written aside and moved, so that nobody can read the half of it.
    echo "$$" >"$pid_file.new"
    mv "$pid_file.new" "$pid_file"
    naps=0
    while :; do
        if [ $((naps % 5)) -eq 0 ]; then say "$greeting"; fi
        naps=$((naps + 1))
        # A signal interrupts the waiting, but not all shells notice one that comes just before it: so the naps are short.
        sleep 1 &
        wait "$!" || :
    done
}

if [ "${1-}" = --in-background ]; then
    pid_file=$2
    greeting_file=$3
    serve
fi

if [ $# -ne 2 ]; then
    echo 'usage: daemon.sh PID-FILE GREETING-FILE' >&2
    exit 2
fi
"$0" --in-background "$@" </dev/null &
say "my daemon is $!, I leave it alone now"
