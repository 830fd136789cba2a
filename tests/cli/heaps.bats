#!/usr/bin/env bats
# seep heaps on hand-made snapshots, whose every figure stands in tests/tools/heap_snapshots.h.

setup_file() {
    export LAB="$BATS_FILE_TMPDIR"
    for scene in heaps-before heaps-after heaps-damaged meter-after restarted; do
        "$SEEP_BUILD/tests/tools/mk_snapshot" "$scene" "$LAB/$scene.seep"
    done
}

setup() {
    unset NO_COLOR
    export TERM=xterm TZ=UTC COLUMNS=120
    cd "$LAB"
}

both() {
    local errors="$BATS_TEST_TMPDIR/err"
    status=0
    out=$("$@" 2>"$errors") || status=$?
    err=$(cat "$errors")
}

golden() {
    local file="$SEEP_SOURCE/tests/cli/golden/$1"
    if [ -n "${SEEP_ACCEPT:-}" ]; then
        cat >"$file"
    else
        diff -u "$file" -
    fi
}

json() {
    python3 -c 'import json,sys; d=json.load(sys.stdin); print(eval("d" + sys.argv[1]))' "$1" <<<"$out"
}

@test "the table, the balance and the footprint are the golden ones" {
    both "$SEEP" heaps heaps-before.seep
    [ "$status" -eq 0 ]
    [ -z "$err" ]
    golden heaps.txt <<<"$out"
}

@test "on 80 columns what matters is still there, and nothing is wider" {
    COLUMNS=80 both "$SEEP" heaps heaps-before.seep
    [ "$status" -eq 0 ]
    for title in HEAP THREADS 'IN USE' BLOCKS FREE FRAG.; do
        [[ $out == *"$title"* ]]
    done
    [ "$(awk 'length > 80' <<<"$out")" = '' ]
}

@test "two snapshots: the heap that grows, how fast, and by which sizes" {
    both "$SEEP" heaps heaps-before.seep heaps-after.seep
    [ "$status" -eq 0 ]
    golden heaps-change.txt <<<"$out"
}

@test "json: totals, rows and parts have names, and the balance adds up" {
    both "$SEEP" heaps --format json heaps-before.seep
    [ "$status" -eq 0 ]
    [ "$(json '["schema"]')" = seep-heaps-1 ]
    [ "$(json '["totals"]["busy_bytes"]')" = $(((64 + 1000 + 2040) * 1024)) ]
    [ "$(json '["totals"]["busy_blocks"]')" = 1052 ]
    [ "$(json '["totals"]["rss_bytes"]')" = $((1776 * 1024)) ]
    [ "$(json '["totals"]["footprint_bytes"]')" = $(((1736 + 64) * 1024)) ]
    [ "$(json '["totals"]["method"]')" = 'frozen clone' ]
    [ "$(json '["rows"][0]["heap"]')" = 'glibc direct' ]
    [ "$(json '["rows"][1]["threads"]')" = worker ]
    [ "$(json '["rows"].__len__()')" = 4 ]
    [ "$(json '["totals"]["rss_bytes"] == sum(l["bytes"] for l in d["balance"])')" = True ]
}

@test "json of a change" {
    both "$SEEP" heaps --format json heaps-before.seep heaps-after.seep
    [ "$status" -eq 0 ]
    [ "$(json '["totals"]["growing_heap"]')" = 'glibc arena 1' ]
    [ "$(json '["totals"]["growing_heap_bytes"]')" = $((1200 * 1024)) ]
    [ "$(json '["totals"]["delta_busy_blocks"]')" = 600 ]
    [ "$(json '["rows"][0]["busy_bytes_per_s"]')" = $((100 * 1024)) ]
    [ "$(json '["sizes"][0]["size"]')" = 3072 ]
    [ "$(json '["sizes"][1]["delta_blocks"]')" = 300 ]
}

@test "csv has a row a heap and no sum" {
    both "$SEEP" heaps --format csv --sort name heaps-before.seep
    [ "$status" -eq 0 ]
    [ "$(wc -l <<<"$out")" -eq 5 ]
    [[ $(sed -n 1p <<<"$out") == heap,allocator,name,kind,address,threads,tids,reserved_bytes,* ]]
    [[ $(sed -n 2p <<<"$out") == 'glibc arena 1,glibc,arena 1,arena,0x7f1000000030,worker,4243,'* ]]
}

@test "rows are put in order and limited" {
    both "$SEEP" heaps --sort fragmentation --limit 1 heaps-before.seep
    [ "$status" -eq 0 ]
    [[ $(sed -n 4p <<<"$out") == 'glibc main '* ]]
    [[ $out == *'(3 more; --limit 0 shows all)'* ]]
    [[ $out == *'all heaps'* ]]
}

@test "a damaged heap: the first bad place, and status 1" {
    both "$SEEP" heaps --check heaps-damaged.seep
    [ "$status" -eq 1 ]
    golden heaps-check.txt <<<"$out"
    both "$SEEP" heaps heaps-damaged.seep
    [ "$status" -eq 0 ]
    [[ $out == *DAMAGED* ]]
    [[ $out == *'first at 0x7f1000000b10'* ]]
    [[ $out == *'--check'* ]]
    both "$SEEP" heaps --check heaps-before.seep
    [ "$status" -eq 0 ]
    [[ $out == *'Every check holds'* ]]
}

@test "written to a file" {
    both "$SEEP" heaps --format json -o heaps.json heaps-before.seep
    [ "$status" -eq 0 ]
    [ -z "$out" ]
    python3 -c 'import json; json.load(open("heaps.json"))'
}

@test "snapshots without heaps, of other processes, and wrong usage" {
    both "$SEEP" heaps meter-after.seep
    [ "$status" -eq 4 ]
    [[ $err == "seep: snapshot 'meter-after.seep' has no heaps in it"*"hint: "* ]]
    both "$SEEP" heaps nowhere.seep
    [ "$status" -eq 4 ]
    both "$SEEP" heaps no-such-process-anywhere
    [ "$status" -eq 3 ]
    both "$SEEP" heaps --watch 1s heaps-before.seep
    [ "$status" -eq 2 ]
    [[ $err == *'does not change'* ]]
    for wrong in '--count 3 x' '--watch 0 x' '--check --watch 1s x' '--check a b' '--watch 1s a b' \
        '--watch 1s --format csv x' '--watch 1s -o file x' 'a b c' ''; do
        both "$SEEP" heaps $wrong
        [ "$status" -eq 2 ]
        [[ $err == 'seep: heaps: '* ]]
    done
}

@test "different processes are compared by force only, and that is said" {
    other="$SEEP_SOURCE/tests/data/v1-heaps.seep"
    both "$SEEP" heaps heaps-before.seep "$other"
    [ "$status" -eq 2 ]
    [[ $err == "seep: the snapshots are not of the same process: "*"hint: --force"* ]]
    both "$SEEP" heaps --force heaps-before.seep "$other"
    [ "$status" -eq 0 ]
    [[ $err == "seep: warning: the snapshots are not of the same process: "* ]]
}

@test "report and diff of a snapshot without recorder say what does answer" {
    both "$SEEP" report heaps-before.seep
    [ "$status" -eq 4 ]
    [[ $err == "seep: snapshot 'heaps-before.seep' does not say who allocated"*"hint: seep heaps"* ]]
    both "$SEEP" diff heaps-before.seep heaps-after.seep
    [ "$status" -eq 4 ]
}
