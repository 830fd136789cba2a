#!/bin/bash
# The lab from end to end: BatteryMeter leaks, and its leaking lines get names. Once for the build
# that is shipped, once for the build of a developer. Takes about twenty seconds.
#   scripts/demo.sh [BUILD-FOLDER]
# The snapshots stay in BUILD-FOLDER/demo/, so that one can go on from where the demo ends.
set -u

source=$(dirname "$0")
build=${1:-build}
seep=$build/seep
kept=$build/demo
tmp=
recorder= # process of `seep run`
meter=    # the program under it

fail() {
    echo "demo: $1" >&2
    [ -s "$tmp/run.log" ] && cat "$tmp/run.log" >&2
    exit 1
}

# Asks the meter to go, and ends it with the recorder when it has not gone after two seconds.
stop_meter() {
    [ -n "$recorder" ] || return 0
    echo quit >&3
    exec 3>&- 4<&-
    for _ in {1..20}; do
        if ! kill -0 "$recorder" 2>/dev/null; then
            wait "$recorder" 2>/dev/null
            recorder=
            return
        fi
        sleep 0.1
    done
    # shellcheck disable=SC2086
    kill $meter "$recorder" 2>/dev/null
    wait "$recorder" 2>/dev/null
    recorder=
}

clean_up() {
    trap '' INT TERM HUP
    trap - EXIT
    stop_meter
    [ -n "$tmp" ] && rm -rf "$tmp"
}

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# step TEXT WINDOWS-EQUIVALENT
step() {
    printf '\n%s\n  on Windows: %s\n' "$1" "$2"
}

# Shows a command and runs it.
typed() {
    printf '\n  $ %s\n' "$*"
    "$@" || fail "'$*' failed with status $?"
}

# start_meter BUILD: under the recorder, without a screen; it answers on a pipe when it is ready.
start_meter() {
    local program=$build/examples/batterymeter/batterymeter-$1 answer

    [ -x "$program" ] || fail "'$program' is not built"
    rm -f "$tmp/in" "$tmp/out"
    mkfifo "$tmp/in" "$tmp/out" || fail "cannot make pipes in '$tmp'"
    printf '\n  $ %s run -- %s &\n' "$seep" "$program"
    "$seep" run -- "$program" --headless <"$tmp/in" >"$tmp/out" 2>"$tmp/run.log" &
    recorder=$!
    meter=
    # Opened for both directions: opening must not wait for a program that could not start.
    exec 3<>"$tmp/in" 4<>"$tmp/out"
    echo truth >&3
    until IFS= read -r -t 1 answer <&4; do
        kill -0 "$recorder" 2>/dev/null || fail "'$seep run' ended before the meter answered"
    done
    meter=$(printf '%s' "$answer" | sed -n 's/.*"pid":\([0-9]*\).*/\1/p')
    [ -n "$meter" ] || fail "the meter gives no sensible answer: $answer"
}

# walk BUILD SECONDS
walk() {
    local one=$kept/$1-one.seep two=$kept/$1-two.seep

    rm -f "$one" "$two"
    step "1. Start it with the recorder, so that it is known who allocates." \
        "gflags -i BatteryMeter.exe +ust"
    start_meter "$1"
    step "2. See that it grows." "Task Manager"
    typed "$seep" top "$meter" --for "$2s" --interval 1s
    step "3. List its heaps twice: which one grows?" "WinDbg: !heap -s -h 0, g, Ctrl-C, again"
    typed "$seep" heaps --watch 2s --count 2 "$meter"
    step "4. Take a snapshot, wait $2 seconds, take another; it runs on." \
        "umdh -pn:BatteryMeter.exe -f:dump1.txt, later dump2.txt"
    typed "$seep" snap "$meter" -o "$one"
    sleep "$2" &
    wait $! # so that an interruption is heard at once
    typed "$seep" snap "$meter" -o "$two"
    step "5. Compare them." "umdh dump1.txt dump2.txt -f:report.txt"
    typed "$seep" diff "$one" "$two"
    step "6. Cache or leak: does anything still point to it?" "WinDbg: !heap -l"
    typed "$seep" leaks --limit 5 "$meter"
    "$seep" diff --format json "$one" "$two" >"$tmp/$1.json" || fail "no JSON of the difference"
    stop_meter
}

[ -x "$seep" ] || fail "'$seep' is not built: run make"
tmp=$(mktemp -d) || fail "cannot make a temporary folder"
mkdir -p "$kept" || fail "cannot make '$kept'"

echo "=== BatteryMeter as it is shipped: optimised, constructors inlined, symbols in another file"
walk release 4
printf '\n=== The same, debug build: every call is a frame of its own\n'
walk debug 3
printf '\n=== Found\n\n'
"$source/demo-verdict.py" "$seep" "release=$tmp/release.json" "debug=$tmp/debug.json"
