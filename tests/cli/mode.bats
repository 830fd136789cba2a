#!/usr/bin/env bats
# seep mode: its messages. tests/e2e/modes.py has what is recorded in which mode.

setup() {
    unset NO_COLOR COLUMNS LD_PRELOAD SEEP_RECORDER
    export TERM=xterm
    cd "$BATS_TEST_TMPDIR"
    mkfifo in
}

teardown() {
    exec 7>&-
    [ -z "${launcher:-}" ] || wait "$launcher" || true
}

both() {
    local errors="$BATS_TEST_TMPDIR/err"
    status=0
    out=$("$@" 2>"$errors") || status=$?
    err=$(cat "$errors")
}

# cat under seep run with these options: $pid
start() {
    "$SEEP" run --quiet "$@" -- cat <in >words 3>&- 2>said &
    launcher=$!
    exec 7>in
    echo ready >&7
    until [ -s words ]; do sleep 0.02; done
    pid=$(pgrep -P "$launcher" cat)
}

@test "a change is told, and shown" {
    start
    both "$SEEP" mode "$pid" off
    [ "$status" -eq 0 ]
    [ -z "$out" ]
    [ "$err" = "seep: cat ($pid): off, was lite" ]
    both "$SEEP" mode "$pid"
    [ "$status" -eq 0 ]
    [ -z "$err" ]
    [[ $out == "cat (pid $pid) is recorded: off"$'\n'"MODE "* ]]
    [ "$(awk 'NR > 2 {print $1}' <<<"$out" | tr '\n' ' ')" = "lite off " ]
}

@test "sizes are rounded to powers of two, and said so" {
    start --mode=sample=1000
    for pair in 1:1 3:4 1000:1K 1400:1K 1500:2K 64K:64K 500000:512K 1G:1G; do
        both "$SEEP" mode "$pid" "sample=${pair%:*}"
        [ "$status" -eq 0 ]
        [[ $err == *": sample=${pair#*:}, was "* ]]
    done
    both "$SEEP" mode --format csv "$pid"
    [ "$(sed -n 2p <<<"$out" | cut -d, -f1)" = "sample=1K" ]
}

@test "quiet says nothing" {
    start
    both "$SEEP" mode --quiet "$pid" sample=4K
    [ "$status" -eq 0 ]
    [ -z "$out$err" ]
}

@test "what is no mode is refused before anything is looked at" {
    for word in on lite2 sample sample= sample=0 sample=1x sample=2G ""; do
        both "$SEEP" mode 1 "$word"
        [ "$status" -eq 2 ]
        [[ $err == "seep: '$word'"* ]]
    done
    both "$SEEP" run --mode=some -- true
    [ "$status" -eq 2 ]
    [ "${err%%$'\n'*}" = "seep: run: --mode: 'some' is not a mode" ]
    [[ $err == *"hint: lite: "* ]]
    both "$SEEP" flags --mode=some /bin/cat +ust
    [ "$status" -eq 2 ]
}

@test "processes that are not recorded, or not there" {
    both "$SEEP" mode $$ off
    [ "$status" -eq 3 ]
    [[ $err == "seep: process $$ is not being recorded"* ]]
    both "$SEEP" mode no-such-process off
    [ "$status" -eq 3 ]
    both "$SEEP" mode
    [ "$status" -eq 2 ]
}
