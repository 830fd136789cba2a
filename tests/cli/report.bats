#!/usr/bin/env bats
# seep report on hand-made snapshots; see tests/tools/mk_snapshot.c for the scenes.

setup_file() {
    export LAB="$BATS_FILE_TMPDIR"
    for scene in meter-after nothing incomplete hostile blocks; do
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

@test "the default listing is the golden one, with all that is incomplete" {
    both "$SEEP" report incomplete.seep
    [ "$status" -eq 0 ]
    golden report.txt <<<"$out"
}

@test "sorted by what is temporary" {
    both "$SEEP" report --sort temporary --limit 1 --format json meter-after.seep
    [ "$status" -eq 0 ]
    [ "$(json '["schema"]')" = seep-report-1 ]
    [ "$(json '["rows"][0]["site"]["function"]')" = cache_put ]
    [ "$(json '["rows"][0]["temporary_blocks"]')" = 40 ]
    [ "$(json '["totals"]["live_bytes"]')" = 15293780 ]
}

@test "sorted by all that was ever allocated" {
    both "$SEEP" report --sort total_bytes --format csv meter-after.seep
    [ "$(sed -n 4p <<<"$out" | cut -d, -f1-5)" = "3,16000,4,400000,100" ]
}

@test "what a library allocates is put down to its caller" {
    both "$SEEP" report --filter 'func=strdup' --stacks 0 meter-after.seep
    [[ $out == *"config.c:77 in config_set through strdup"* ]]
}

@test "hostile names cannot steer the terminal nor break json" {
    both "$SEEP" report --full hostile.seep
    [ "$status" -eq 0 ]
    [[ $out != *$'\033'* ]]
    [[ $out == *'f\x1b]0;x\x07("a", \\xff)'* ]]
    both "$SEEP" report --format json hostile.seep
    [ "$(json '["rows"][0]["site"]["module"]')" = $'/opt/a,"b"\n/meter' ]
}

@test "an empty snapshot is an answer, not an error" {
    both "$SEEP" report nothing.seep
    [ "$status" -eq 0 ]
    [[ $out == "meter (pid 4242) held 0 B in 0 blocks"* ]]
    both "$SEEP" report --format json nothing.seep
    [ "$(json '["rows"]')" = "[]" ]
}

@test "--format umdh writes the golden log, with CR LF" {
    "$SEEP" report --format umdh -o "$BATS_TEST_TMPDIR/log" blocks.seep
    [ "$(grep -c $'\r$' "$BATS_TEST_TMPDIR/log")" -eq "$(wc -l <"$BATS_TEST_TMPDIR/log")" ]
    tr -d '\r' <"$BATS_TEST_TMPDIR/log" |
        sed 's/version [0-9.]*/version V/; s/seep [0-9.]*/seep V/' |
        golden report-umdh.txt
}

@test "a UMDH log needs single blocks" {
    both "$SEEP" report --format umdh meter-after.seep
    [ "$status" -eq 4 ]
    [ -z "$out" ]
    [[ $err == "seep: cannot write 'meter-after.seep' as a UMDH log"*"hint: "* ]]
}

@test "--no-symbols says so" {
    both "$SEEP" report --no-symbols meter-after.seep
    [ "$status" -eq 0 ]
}

@test "standard input is read as -" {
    "$SEEP" report - <meter-after.seep | grep -q '^meter (pid 4242) held 14.5 MiB in 4,012 blocks'
}
