#!/usr/bin/env bats
# seep diff on hand-made snapshots, whose every figure stands in tests/tools/meter_snapshots.h.

setup_file() {
    export LAB="$BATS_FILE_TMPDIR"
    for scene in meter-before meter-after restarted nothing incomplete hostile earlier; do
        "$SEEP_BUILD/tests/tools/mk_snapshot" "$scene" "$LAB/$scene.seep"
    done
}

setup() {
    unset NO_COLOR COLUMNS
    export TERM=xterm TZ=UTC
    cd "$LAB"
}

both() {
    local errors="$BATS_TEST_TMPDIR/err"
    status=0
    out=$("$@" 2>"$errors") || status=$?
    err=$(cat "$errors")
}

# Compares standard input with a golden file; SEEP_ACCEPT=1 accepts it as the new one, to be read by a
# person before it is committed.
golden() {
    local file="$SEEP_SOURCE/tests/cli/golden/$1"
    if [ -n "${SEEP_ACCEPT:-}" ]; then
        cat >"$file"
    else
        diff -u "$file" -
    fi
}

# Reads a value of the JSON in $out: json '["rows"][0]["rank"]'
json() {
    python3 -c 'import json,sys; d=json.load(sys.stdin); print(eval("d" + sys.argv[1]))' "$1" <<<"$out"
}

@test "the default listing is the golden one" {
    both "$SEEP" diff meter-before.seep meter-after.seep
    [ "$status" -eq 0 ]
    [ -z "$err" ]
    golden diff.txt <<<"$out"
}

@test "--full shows everything" {
    both "$SEEP" diff --full --stacks 1 meter-before.seep meter-after.seep
    golden diff-full.txt <<<"$out"
}

@test "--format umdh is the golden report, with CR LF" {
    "$SEEP" diff --format umdh meter-before.seep meter-after.seep >"$BATS_TEST_TMPDIR/report"
    [ "$(grep -c $'\r$' "$BATS_TEST_TMPDIR/report")" -eq "$(wc -l <"$BATS_TEST_TMPDIR/report")" ]
    tr -d '\r' <"$BATS_TEST_TMPDIR/report" | golden diff-umdh.txt
    "$SEEP" diff --format umdh --decimal meter-before.seep meter-after.seep |
        grep -q '^Total increase == 7621180 requested +  31940 overhead = 7653120'
}

@test "--format json has the figures" {
    both "$SEEP" diff --format json meter-before.seep meter-after.seep
    [ "$status" -eq 0 ]
    [ "$(json '["schema"]')" = seep-diff-1 ]
    [ "$(json '["totals"]["grown_bytes"]')" = 7645680 ]
    [ "$(json '["totals"]["elapsed_ns"]')" = 12000000000 ]
    [ "$(json '["rows"][0]["delta_blocks"]')" = 1003 ]
    [ "$(json '["rows"][0]["site"]["line"]')" = 31 ]
    [ "$(json '["rows"][0]["inlined_in"]["function"]')" = worker_turn ]
    [ "$(json '["rows"][0]["stacks"][0]["frames"][1]["function"]')" = malloc ]
    [ "$(json '["rows"][0]["stacks"][0]["frames"][1]["offset"]')" = 0x100 ]
}

@test "--format csv reads as csv" {
    both "$SEEP" diff --format csv meter-before.seep meter-after.seep
    python3 - "$out" <<'PYTHON'
import csv, io, sys
rows = list(csv.DictReader(io.StringIO(sys.argv[1])))
assert [int(row['delta_bytes']) for row in rows] == [4573680, 3072000, -500, -24000], rows
assert rows[1]['function'] == 'battery_info_new' and rows[1]['inlined_in'] == 'worker_turn', rows
PYTHON
}

@test "groups" {
    both "$SEEP" diff --format json --group-by stack meter-before.seep meter-after.seep
    [ "$(json '["totals"]["rows"]')" = 5 ]
    both "$SEEP" diff --format json --group-by module meter-before.seep meter-after.seep
    [ "$(json '["totals"]["rows"]')" = 1 ]
    [ "$(json '["rows"][0]["name"]')" = meter ]
    both "$SEEP" diff --format json --group-by function meter-before.seep meter-after.seep
    [ "$(json '["rows"][0]["name"]')" = cpu_info_new ]
}

@test "filter, sort, min, limit and grown-only choose rows" {
    both "$SEEP" diff --filter 'file~cache or func=warm_up' --sort site meter-before.seep meter-after.seep
    [[ $out == *"shrank by 23.9 KiB"* ]]
    [ "$(grep -E '^[0-9]+  ' <<<"$out" | awk '{print $NF}' | tr '\n' ' ')" = "cache_put warm_up " ]
    [[ $out == *"left out by the filter: 3 stacks"* ]]
    both "$SEEP" diff --min 1k --limit 1 --stacks 0 meter-before.seep meter-after.seep
    [[ $out == *"2 more rows, +2.9 MiB together"* ]]
    [[ $out == *"left out by --min or --grown-only: 1 row"* ]]
    both "$SEEP" diff --grown-only --format json meter-before.seep meter-after.seep
    [ "$(json '["totals"]["shrunk_bytes"]')" = 0 ]
}

@test "a bad filter is told with its place" {
    both "$SEEP" diff --filter 'fnc~x' meter-before.seep meter-after.seep
    [ "$status" -eq 2 ]
    [ -z "$out" ]
    [[ $err == "seep: cannot read filter 'fnc~x': an unknown field at column 1"$'\n'"hint: fields: "* ]]
}

@test "suppressions in LeakSanitizer's syntax hide and count" {
    printf '# known\nleak:^cpu_info\nleak:libnothing\n' >"$BATS_TEST_TMPDIR/known.supp"
    both "$SEEP" diff --suppressions "$BATS_TEST_TMPDIR/known.supp" meter-before.seep meter-after.seep
    [ "$status" -eq 0 ]
    [[ $out != *cpu_info_new* ]]
    [[ $out == *"suppressed: 2 stacks, 4.3 MiB in 1,003 blocks"* ]]
    [[ $out == *"4.3 MiB by leak:^cpu_info (line 2)"* ]]
    echo 'fun:foo' >"$BATS_TEST_TMPDIR/bad.supp"
    both "$SEEP" diff --suppressions "$BATS_TEST_TMPDIR/bad.supp" meter-before.seep meter-after.seep
    [ "$status" -eq 4 ]
    [[ $err == *"bad.supp': line 1: 'fun:foo'"* ]]
    both "$SEEP" diff --suppressions "$BATS_TEST_TMPDIR/none.supp" meter-before.seep meter-after.seep
    [ "$status" -eq 4 ]
    [[ $err == *"cannot read suppressions"*"No such file or directory"* ]]
}

@test "--exit-code compares what grew with --max" {
    both "$SEEP" diff --exit-code meter-before.seep meter-after.seep
    [ "$status" -eq 1 ]
    [[ $out == *"grew by 7.2 MiB"* ]]
    both "$SEEP" diff --exit-code --max 7645679 meter-before.seep meter-after.seep
    [ "$status" -eq 1 ]
    both "$SEEP" diff --exit-code --max 7645680 meter-before.seep meter-after.seep
    [ "$status" -eq 0 ]
    both "$SEEP" diff --exit-code meter-after.seep meter-after.seep
    [ "$status" -eq 0 ]
    [ "$out" = "meter (pid 4242) did not change" ]
    both "$SEEP" diff --exit-code --filter warm_up meter-before.seep meter-after.seep
    [ "$status" -eq 0 ]
    both "$SEEP" diff --max 5k meter-before.seep meter-after.seep
    [ "$status" -eq 2 ]
}

@test "a restart in between is refused, and compared with --force" {
    both "$SEEP" diff meter-before.seep restarted.seep
    [ "$status" -eq 2 ]
    [ -z "$out" ]
    [[ $err == "seep: the snapshots are not of the same process: process 4242 was started anew"*"hint: --force"* ]]
    both "$SEEP" diff --force meter-before.seep restarted.seep
    [ "$status" -eq 0 ]
    [[ $err == "seep: warning: the snapshots are not of the same process"* ]]
    [[ $out == *"grew by 7.2 MiB"* ]]
    [[ $out == *"incomplete: compared by --force although"* ]]
}

@test "swapped snapshots are noticed" {
    both "$SEEP" diff meter-after.seep meter-before.seep
    [ "$status" -eq 0 ]
    [ "$err" = "seep: warning: 'meter-after.seep' was taken after 'meter-before.seep': growth is shown as shrinking" ]
    [[ $out == *"shrank by 7.2 MiB"* ]]
}

@test "-o writes the whole file or leaves the old one" {
    both "$SEEP" diff --format csv -o "$BATS_TEST_TMPDIR/x.csv" meter-before.seep meter-after.seep
    [ "$status" -eq 0 ]
    [ -z "$out$err" ]
    [ "$(wc -l <"$BATS_TEST_TMPDIR/x.csv")" -eq 5 ]
    both "$SEEP" diff -o "$BATS_TEST_TMPDIR/no/such/x" meter-before.seep meter-after.seep
    [ "$status" -eq 4 ]
    [[ $err == "seep: "*"No such file or directory"* ]]
    [ -e /dev/full ] || skip "no /dev/full"
    status=0
    "$SEEP" diff meter-before.seep meter-after.seep >/dev/full 2>"$BATS_TEST_TMPDIR/err" || status=$?
    [ "$status" -eq 4 ]
    grep -q 'cannot write to standard output: No space left on device' "$BATS_TEST_TMPDIR/err"
}

@test "missing, foreign, empty and cut files each have their line" {
    both "$SEEP" diff none.seep meter-after.seep
    [ "$status" -eq 4 ]
    [[ $err == "seep: "*"none.seep"*"No such file or directory"* ]]
    : >"$BATS_TEST_TMPDIR/empty.seep"
    both "$SEEP" diff "$BATS_TEST_TMPDIR/empty.seep" meter-after.seep
    [ "$status" -eq 4 ]
    [[ $err == "seep: "*empty* ]]
    echo "something else entirely, long enough to be looked at" >"$BATS_TEST_TMPDIR/foreign.seep"
    both "$SEEP" diff meter-before.seep "$BATS_TEST_TMPDIR/foreign.seep"
    [ "$status" -eq 4 ]
    local size
    size=$(wc -c <meter-after.seep)
    head -c $((size - 200)) meter-after.seep >"$BATS_TEST_TMPDIR/cut.seep"
    both "$SEEP" diff meter-before.seep "$BATS_TEST_TMPDIR/cut.seep"
    [ "$status" -eq 0 ] || [ "$status" -eq 4 ]
    [[ $err == *"cut.seep"* ]]
    if [ "$status" -eq 0 ]; then
        [[ $out == *"incomplete: "*"is damaged: "* ]]
    fi
}

@test "--wrapper folds a function away" {
    both "$SEEP" diff --wrapper 'cpu_info_*' --format json meter-before.seep meter-after.seep
    [ "$(json '["rows"][0]["site"]["function"]')" = worker_turn ]
}

@test "--color=always colours, and nothing else does here" {
    both "$SEEP" diff meter-before.seep meter-after.seep
    [[ $out != *$'\033'* ]]
    both "$SEEP" diff --color=always meter-before.seep meter-after.seep
    [[ $out == *$'\033['* ]]
}

@test "options that do not go together" {
    both "$SEEP" diff --decimal meter-before.seep meter-after.seep
    [ "$status" -eq 2 ]
    both "$SEEP" diff --symbols /tmp --no-symbols meter-before.seep meter-after.seep
    [ "$status" -eq 2 ]
    both "$SEEP" diff meter-before.seep
    [ "$status" -eq 2 ]
    [ -n "$err" ]
}

@test "a file that does not say when resources were acquired: that is said, and memory is shown" {
    both "$SEEP" diff --no-symbols --from one --format json earlier.seep
    [ "$status" -eq 0 ]
    [[ $err == *"'earlier.seep' does not say when resources were acquired: they are left out"* ]]
    [ "$(json '["resources"]')" = "[]" ]
    [ "$(json '["rows"][0]["delta_blocks"]')" = 3 ]
    both "$SEEP" report --no-symbols --generations earlier.seep
    [ "$status" -eq 0 ]
    [[ $out == *"Incomplete: 'earlier.seep' does not say when resources were acquired"* ]]
    [[ $out != *thing_get* ]]
    both "$SEEP" report --no-symbols earlier.seep
    [[ $out == *"thing_get: 2 held; ever acquired: 5"* ]]
    [ -z "$err" ]
}
