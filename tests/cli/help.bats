#!/usr/bin/env bats
# What seep says when it is asked, or when it is asked wrongly.

setup() {
    unset NO_COLOR COLUMNS
    export TERM=xterm
}

# Splits the two streams of one run into $out and $err; $status as usual.
both() {
    local errors="$BATS_TEST_TMPDIR/err"
    status=0
    out=$("$@" 2>"$errors") || status=$?
    err=$(cat "$errors")
}

@test "seep alone shows the commands on standard output" {
    both "$SEEP"
    [ "$status" -eq 0 ]
    [ -z "$err" ]
    [[ $out == *"Usage: seep"* ]]
    for command in top run snap diff report help; do
        grep -qE "^  $command +[a-z]" <<<"$out"
    done
}

@test "seep help and seep --help say the same" {
    both "$SEEP"
    [ "$("$SEEP" help)" = "$out" ]
    [ "$("$SEEP" --help)" = "$out" ]
    [ "$("$SEEP" -h)" = "$out" ]
}

@test "seep help COMMAND is seep COMMAND --help" {
    for command in top run snap diff report help; do
        [ "$("$SEEP" help "$command")" = "$("$SEEP" "$command" --help)" ]
    done
}

@test "the version is a name and a number" {
    both "$SEEP" --version
    [ "$status" -eq 0 ]
    [[ $out =~ ^seep\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
    [ "$("$SEEP" -V)" = "$out" ]
}

@test "a mistyped command suggests the right one" {
    both "$SEEP" dif
    [ "$status" -eq 2 ]
    [ -z "$out" ]
    [ "$err" = "seep: 'dif' is not a seep command"$'\n'"hint: did you mean 'diff'?" ]
}

@test "a command that is like none points at the list" {
    both "$SEEP" frobnicate
    [ "$status" -eq 2 ]
    [ "$err" = "seep: 'frobnicate' is not a seep command"$'\n'"hint: 'seep help' lists the commands" ]
}

@test "help for a command that does not exist is a usage error" {
    both "$SEEP" help snapp
    [ "$status" -eq 2 ]
    [[ $err == *"did you mean 'snap'?"* ]]
}

@test "a mistyped option suggests the right one" {
    both "$SEEP" help --colour=never
    [ "$status" -eq 2 ]
    [ "$err" = "seep: help: unknown option '--colour'"$'\n'"hint: did you mean '--color'?" ]
}

@test "an option unlike any points at --help" {
    both "$SEEP" help --zzz
    [ "$status" -eq 2 ]
    [ "$err" = "seep: help: unknown option '--zzz'"$'\n'"hint: try 'seep help --help'" ]
    both "$SEEP" help -z
    [ "$status" -eq 2 ]
    [ "$err" = "seep: help: unknown option '-z'"$'\n'"hint: try 'seep help --help'" ]
}

@test "a value that is none of the choices is refused" {
    both "$SEEP" --color=blue help
    [ "$status" -eq 2 ]
    [ "$err" = "seep: --color: 'blue' is not one of auto|always|never"$'\n'"hint: try 'seep --help'" ]
}

@test "a missing value and a value too many are refused" {
    both "$SEEP" help --color
    [ "$status" -eq 2 ]
    [[ $err == "seep: help: --color needs a value"* ]]
    both "$SEEP" --version=3
    [ "$status" -eq 2 ]
    [[ $err == "seep: --version takes no value"* ]]
}

@test "too many operands are named" {
    both "$SEEP" help diff snap
    [ "$status" -eq 2 ]
    [[ $err == "seep: help: unexpected operand 'snap'"* ]]
}

@test "no colour on a pipe, colour when asked, before or after the command" {
    both "$SEEP" help
    [[ $out != *$'\e'* ]]
    both "$SEEP" --color=always help
    [[ $out == *$'\e['* ]]
    both "$SEEP" help --color=always
    [[ $out == *$'\e['* ]]
    both "$SEEP" --color=always help --color=never
    [[ $out != *$'\e'* ]]
}

on_a_terminal() {
    script -qec "$1" /dev/null </dev/null
}

@test "colour on a terminal, unless NO_COLOR or a dumb one" {
    command -v script >/dev/null || skip "script(1) is not installed"
    [[ $(on_a_terminal "'$SEEP' help") == *$'\e['* ]]
    [[ $(NO_COLOR=1 on_a_terminal "'$SEEP' help") != *$'\e['* ]]
    [[ $(NO_COLOR= on_a_terminal "'$SEEP' help") == *$'\e['* ]]
    [[ $(TERM=dumb on_a_terminal "'$SEEP' help") != *$'\e['* ]]
}

@test "a name cannot steer the terminal" {
    both "$SEEP" $'\e[2Jx'
    [ "$status" -eq 2 ]
    [[ $err != *$'\e'* ]]
    [[ $err == *'\x1b[2Jx'* ]]
}

@test "a full disk under standard output is told" {
    status=0
    "$SEEP" help >/dev/full 2>"$BATS_TEST_TMPDIR/err" || status=$?
    [ "$status" -eq 4 ]
    [ "$(cat "$BATS_TEST_TMPDIR/err")" = \
        "seep: cannot write to standard output: No space left on device" ]
}

@test "bash completion offers commands and options" {
    run bash -c '
        source "$SEEP_SOURCE/completions/seep.bash"
        complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"
            COMP_POINT=${#COMP_LINE}; COMPREPLY=(); _seep; echo "${COMPREPLY[@]}"; }
        complete_words "$SEEP" di
        complete_words "$SEEP" help rep
        complete_words "$SEEP" help --he'
    [ "${lines[0]}" = diff ]
    [ "${lines[1]}" = report ]
    [ "${lines[2]}" = --help ]
}
