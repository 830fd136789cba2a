#!/usr/bin/env bats
# seep top, on a victim that grows on command and says how much it holds.

setup() {
    unset NO_COLOR COLUMNS
    export TERM=xterm
    cd "$BATS_TEST_TMPDIR"
    victim_pids=()
}

teardown() {
    local pid
    exec 8>&- 9<&-
    for pid in "${victim_pids[@]}"; do
        wait "$pid" 2>/dev/null || true
    done
}

# Starts the victim; $pid is its pid. Commands go to it by `tell`, its answer stands in $held.
start_victim() {
    mkfifo to from
    exec 8<>to 9<>from
    # The victim must not hold these itself, or it would never see the end of its input.
    "${1:-$SEEP_BUILD/tests/victims/victim-grow}" <to >from 8>&- 9<&- 3>&- &
    victim_pids+=($!)
    local word
    read -r -t 60 word pid <&9
    [ "$word" = pid ]
}

# The same under a $name that nobody else has, for tests that look for a name.
start_named_victim() {
    name=grow-$BASHPID
    cp "$SEEP_BUILD/tests/victims/victim-grow" "$name"
    start_victim "./$name"
}

tell() {
    local word
    echo "$*" >&8
    read -r -t 60 word held <&9
    [ "$word" = held ]
}

stop_victim() {
    echo quit >&8
    wait "$pid"
}

# Waits until process $1 runs seep and sleeps: it has taken its first sample.
wait_asleep() {
    until [ "$(readlink "/proc/$1/exe")" = "$(readlink -f "$SEEP")" ] &&
        grep -q '^State:.S' "/proc/$1/status"; do
        kill -0 "$1"
    done
}

# Splits the two streams of one run into $out and $err; $status as usual.
both() {
    status=0
    out=$("$@" 2>err) || status=$?
    err=$(cat err)
}

# True if the jq expression is true of $out.
is_true() {
    jq -e "$1" <<<"$out" >/dev/null || {
        echo "not true: $1 of $out"
        return 1
    }
}

@test "one look shows what the victim holds" {
    start_victim
    tell add 50000000
    both "$SEEP" top --once --format json "$pid"
    [ "$status" -eq 0 ]
    [ -z "$err" ]
    is_true '.schema == "seep-top-1" and (.rows | length) == 1 and .totals.processes == 1'
    is_true ".rows[0].pid == $pid and .rows[0].name == \"victim-grow\""
    is_true ".rows[0].anonymous_bytes >= $held and .rows[0].anonymous_bytes < $held + 1000000"
    is_true '.rows[0].rss_bytes >= .rows[0].anonymous_bytes'
    is_true '.rows[0].pss_bytes == null or .rows[0].pss_bytes <= .rows[0].rss_bytes'
    # One page table page for each 2 MiB; and threads and descriptors as they are.
    is_true ".rows[0].page_table_bytes >= $held / 512"
    is_true '.rows[0].threads == 1'
    [ "$(ls "/proc/$pid/fd" | wc -l)" -eq "$(jq '.rows[0].descriptors' <<<"$out")" ]
    is_true '.rows[0].samples == 1 and .rows[0].trend == "too-early" and .rows[0].slope_bytes_per_s == null'
    is_true '.rows[0].verdict == "too early to say (1 sample)" and .rows[0].recorded == false'
    stop_victim
}

@test "growth is measured at the victim's own rate" {
    start_victim
    tell add 20000000
    tell rate 8000000
    before=$held
    both "$SEEP" top --for 3s --interval 250ms --format json "$pid"
    tell held
    [ "$status" -eq 0 ]
    is_true '.rows[0].trend == "growing" and .rows[0].samples >= 8 and .rows[0].samples <= 13'
    is_true '.rows[0].confidence == "high"'
    # Within 10 %: the victim keeps to the clock, but gets the processor only now and then.
    is_true '.rows[0].rate_bytes_per_s > 7200000 and .rows[0].rate_bytes_per_s < 8800000'
    is_true '.rows[0].slope_bytes_per_s > 7200000 and .rows[0].slope_bytes_per_s < 8800000'
    is_true '.rows[0].slope_r2 > 0.98 and .rows[0].rate_r2 > 0.98'
    # No more than the victim says that it has grown by around it.
    is_true ".rows[0].delta_bytes > 20000000 and .rows[0].delta_bytes <= $held - $before + 100000"
    is_true '.rows[0].verdict | test("^growing at 7\\.[0-9] MiB/s \\(fit (1.00|0.9[89]) over [0-9.]+ s\\)$|^growing at 8\\.[0-9] MiB/s")'
    is_true '.totals.growing_processes == 1'
    stop_victim
}

@test "shrinking has a sentence of its own" {
    start_victim
    tell add 100000000
    tell rate -6000000
    both "$SEEP" top --for 3s --interval 250ms "$pid"
    [ "$status" -eq 0 ]
    [[ $out == *"shrinking at 5."*" MiB/s (fit "* || $out == *"shrinking at 6."*" MiB/s (fit "* ]]
    stop_victim
}

@test "what fills up has levelled off" {
    start_victim
    tell add 10000000
    tell fill 30000000
    # 1/4 of what lacks each 100 ms: after 3 s nothing is left of it.
    both "$SEEP" top --for 5s --interval 200ms --format json "$pid"
    tell held
    is_true '.rows[0].trend == "levelled"'
    is_true '.rows[0].levelled_bytes > 20000000 and .rows[0].levelled_bytes < 31000000'
    is_true '.rows[0].verdict | test("^levelled off after 2[0-9]\\.[0-9] MiB, for [0-9.]+ s now")'
    stop_victim
}

@test "what stays is steady, and two samples are too few" {
    start_victim
    tell add 10000000
    both "$SEEP" top --for 1s --interval 100ms "$pid"
    [ "$status" -eq 0 ]
    [[ $out == *" 0 B/s  steady"* ]]
    both "$SEEP" top --for 100ms --interval 100ms "$pid"
    [[ $out == *"too early to say (2 samples)"* ]]
    stop_victim
}

@test "growth over the budget is status 1" {
    start_named_victim
    tell rate 5000000
    both "$SEEP" top --for 2s --interval 200ms --exit-code --max-growth 1M/s "$name"
    [ "$status" -eq 1 ]
    [[ $err == "seep: process $pid ('$name') grows at "*"; 1.0 MiB/s is allowed" ]]
    both "$SEEP" top --for 2s --interval 200ms --exit-code --max-growth 50M "$pid"
    [ "$status" -eq 0 ]
    [ -z "$err" ]
    tell rate 0
    both "$SEEP" top --for 1s --interval 100ms --exit-code "$pid"
    [ "$status" -eq 0 ]
    stop_victim
}

@test "a target that ends while it is watched is status 3, and what was seen is shown" {
    start_victim
    tell rate 5000000
    "$SEEP" top --for 1h --interval 50ms --format json "$pid" >out 2>err 3>&- 8>&- 9<&- &
    top=$!
    wait_asleep "$top"
    stop_victim
    status=0
    wait "$top" || status=$?
    [ "$status" -eq 3 ]
    grep -qE "^seep: process $pid \('victim-grow'\) (has ended|ended after [0-9.]+ m?s)$" err
    out=$(cat out)
    is_true '.rows[0].state == "ended" and .totals.ended_processes == 1'
    is_true '.rows[0].anonymous_bytes > 0 and (.rows[0].verdict | test("^ended"))'
}

@test "others go on when one target ends" {
    start_victim
    "$SEEP" top --for 2s --interval 50ms --format json "$pid" $$ >out 2>err 3>&- 8>&- 9<&- &
    top=$!
    wait_asleep "$top"
    stop_victim
    wait "$top"
    out=$(cat out)
    is_true ".rows | map(select(.pid == $pid)) | .[0].state == \"ended\""
    is_true ".rows | map(select(.pid == $$)) | .[0].state == \"running\""
    [[ $(cat err) == *"process $pid ('victim-grow')"*"ended"* ]]
}

@test "a target that is not there is said, and the others are shown" {
    start_victim
    both "$SEEP" top --once "$pid" no-such-program-anywhere
    [ "$status" -eq 3 ]
    [[ $out == *"victim-grow"* ]]
    [ "$(head -1 <<<"$err")" = "seep: no process is called 'no-such-program-anywhere'" ]
    [[ $err == *$'\nhint: '* ]]
    both "$SEEP" top victim-grwo
    [ "$status" -eq 3 ]
    [[ $err == *"hint: near names: "*"victim-grow"* ]]
    stop_victim
    both "$SEEP" top "$pid"
    [ "$status" -eq 3 ]
    [ -z "$out" ]
    [ "$err" = "seep: no such process: $pid" ]
}

@test "a zombie, a thread and a kernel thread have their own words" {
    # A parent that does not wait, because it has become another program.
    mkfifo child_lives parent_lives
    bash -c 'cat child_lives & echo $! >zombie; exec cat parent_lives' >/dev/null 3>&- &
    parent=$!
    until [ "$(cat "/proc/$parent/comm")" = cat ]; do kill -0 "$parent"; done
    read -r zombie <zombie
    : >child_lives
    until grep -q '^State:.Z' "/proc/$zombie/status"; do kill -0 "$zombie"; done
    both "$SEEP" top "$zombie"
    [ "$status" -eq 3 ]
    [ "$(head -1 <<<"$err")" = "seep: process $zombie has ended (zombie)" ]
    [[ $err == *"only its parent, process $parent, can remove it" ]]
    : >parent_lives
    wait "$parent"
    if grep -qs kthreadd /proc/2/comm; then
        both "$SEEP" top 2
        [ "$status" -eq 3 ]
        [ "$(head -1 <<<"$err")" = "seep: process 2 ('kthreadd') is a kernel thread" ]
    fi
}

@test "several targets, names and pids: each process once, in the order asked for" {
    start_named_victim
    tell add 30000000
    both "$SEEP" top --once --format csv --sort pid "$name" "$pid" $$
    [ "$status" -eq 0 ]
    [ "$(grep -c '^[0-9]' <<<"$out")" -eq 2 ]
    [ "$(sed -n '2,$p' <<<"$out" | cut -d, -f1)" = "$(printf '%s\n' "$pid" $$ | sort -n)" ]
    both "$SEEP" top --once --format json --sort anon "$pid" $$
    is_true ".rows[0].pid == $pid"
    both "$SEEP" top --once --format json --sort anon --limit 1 "$pid" $$
    is_true '(.rows | length) == 1 and .totals.processes == 2 and .totals.listed_processes == 1'
    stop_victim
}

@test "without a target: this user's processes, the largest first" {
    start_victim
    tell add 30000000
    both "$SEEP" top --once --format json
    [ "$status" -eq 0 ]
    is_true ".rows | map(.pid) | index($pid) != null"
    is_true '(.rows | map(.rss_bytes)) as $r | $r == ($r | sort | reverse)'
    is_true '.totals.processes == (.rows | length)'
    # Text shows 20 at most and says how many there are.
    both "$SEEP" top --limit 1 --sort rss
    [ "$(wc -l <<<"$out")" -ge 3 ]
    [[ $out == *"1 of "*" processes are shown (--limit 0 shows all)"* ]]
    [[ $out == *"One sample does not say what grows"* ]]
    stop_victim
}

@test "names cannot steer the terminal" {
    cp "$SEEP_BUILD/tests/victims/victim-grow" $'e\e[31m\nvil,"x'
    start_victim ./$'e\e[31m\nvil,"x'
    both "$SEEP" top --once "$pid"
    [ "$(wc -l <<<"$out")" -le 4 ]
    [[ $out != *$'\e'* ]]
    [[ $out == *'e\x1b[31m\x0avil,"x'* ]]
    both "$SEEP" top --once --format json "$pid"
    is_true '.rows[0].name == "e\u001b[31m\nvil,\"x"'
    both "$SEEP" top --once --format csv "$pid"
    [[ $out == *$'"e\e[31m\nvil,""x"'* ]]
    stop_victim
}

@test "a process in a pid namespace is found by its name and its pid here" {
    unshare --user --map-root-user --pid --fork true 2>/dev/null || skip "no namespaces here"
    start_victim "$SEEP_SOURCE/tests/cli/in_namespace.sh"
    inside=$pid
    both "$SEEP" top --once --format json "in-namespace-$$"
    [ "$status" -eq 0 ]
    is_true ".rows[0].pid != $inside and .rows[0].namespace_pid == $inside"
    outside=$(jq '.rows[0].pid' <<<"$out")
    [ "$(readlink "/proc/$outside/exe")" = "$(readlink -f "$SEEP_BUILD/tests/victims/victim-grow")" ]
    both "$SEEP" top --once --format json "$outside"
    is_true ".rows[0].namespace_pid == $inside"
    echo quit >&8
}

@test "wrong usage is explained" {
    for args in "--interval 1us" "--max-growth 5" "--exit-code --max-growth fast" "--sort size" \
        "--format xml" "--for never"; do
        # shellcheck disable=SC2086
        both "$SEEP" top $args
        [ "$status" -eq 2 ]
        [[ $err == "seep: top: "*"hint: "* ]]
    done
    both "$SEEP" top ""
    [ "$status" -eq 2 ]
    [ "$(head -1 <<<"$err")" = "seep: the target is empty" ]
}

@test "a full disk is status 4" {
    both bash -c '"$SEEP" top --once $$ >/dev/full'
    [ "$status" -eq 4 ]
    [[ $err == "seep: cannot write to standard output: No space left on device" ]]
}

@test "live: redrawn in place, ended by q or Ctrl-C, the terminal is as before" {
    for key in q c; do
        both python3 "$SEEP_SOURCE/tests/cli/top_pty.py" wait s resize $key -- \
            "$SEEP" top --interval 50ms $$
        [ "$status" -eq 0 ]
        grep -qx 'status 0' <<<"$out"
        grep -qx 'restored yes' <<<"$out"
        grep -qx 'cursor shown' <<<"$out"
        # The last screen fits the 60 columns that it was resized to, and has no line about keys.
        [ "$(sed '1,/^screen$/d' <<<"$out" | wc -L)" -le 60 ]
        [[ $(sed '1,/^screen$/d' <<<"$out") != *"q ends"* ]]
        [[ $out == *"NAME"* ]]
    done
}

@test "live: a signal ends it by that signal, the terminal is as before" {
    both python3 "$SEEP_SOURCE/tests/cli/top_pty.py" wait term -- "$SEEP" top --interval 50ms
    grep -qx 'status -15' <<<"$out"
    grep -qx 'restored yes' <<<"$out"
    grep -qx 'cursor shown' <<<"$out"
}

@test "live: ends with its only target, and says so" {
    start_victim
    python3 "$SEEP_SOURCE/tests/cli/top_pty.py" wait "sh:echo quit >to" -- \
        "$SEEP" top --interval 50ms "$pid" >out 3>&- 8>&- 9<&-
    grep -qx 'status 3' out
    grep -qx 'restored yes' out
    grep -qE "^seep: process $pid \('victim-grow'\) ended after [0-9.]+ m?s" out
}

@test "live: stops by itself after --for, with the last table on the screen" {
    start_victim
    tell rate 5000000
    both python3 "$SEEP_SOURCE/tests/cli/top_pty.py" -- \
        "$SEEP" top --interval 100ms --for 1s "$pid"
    grep -qx 'status 0' <<<"$out"
    # At most eleven samples, and once more without the line about keys.
    [ "$(sed -n 's/^screens //p' <<<"$out")" -le 12 ]
    [[ $out == *"growing at "*" (fit "* ]]
    stop_victim
}

@test "every example of the manual works" {
    cp "$SEEP_BUILD/tests/victims/victim-grow" batterymeter
    start_victim ./batterymeter
    seep() { "$SEEP" "$@"; }
    export -f seep
    count=0
    while read -r example; do
        # Minutes are too long for a test.
        example=$(sed -E 's/--for [0-9]+[a-z]/--for 300ms --interval 50ms/' <<<"$example")
        bash -c "$example" >out
        [ -s out ]
        count=$((count + 1))
    done < <(sed -n 's/^\t\$ //p' "$SEEP_SOURCE/doc/man/seep-top.1.scd")
    [ "$count" -ge 5 ]
    stop_victim
}
