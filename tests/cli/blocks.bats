#!/usr/bin/env bats
# seep blocks on hand-made snapshots: tests/tools/heap_snapshots.h and mk_snapshot.c say what is in
# them. Processes are looked at by e2e/blocks.py.

setup_file() {
    export LAB="$BATS_FILE_TMPDIR"
    for scene in heaps-before heaps-after heaps-damaged blocks meter-after; do
        "$SEEP_BUILD/tests/tools/mk_snapshot" "$scene" "$LAB/$scene.seep"
    done
}

setup() {
    unset NO_COLOR
    export TERM=xterm TZ=UTC COLUMNS=100
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

# refuses STATUS TEXT ARGUMENT...: one line with this text, and nothing on standard output.
refuses() {
    local want=$1 text=$2
    shift 2
    both "$SEEP" blocks "$@"
    [ "$status" -eq "$want" ]
    [ -z "$out" ]
    [[ $err == "seep: "*"$text"* ]]
    [ "$(grep -vc '^hint: ' <<<"$err")" = 1 ]
}

@test "sizes, growth, the chain, one block: the golden ones" {
    {
        "$SEEP" blocks heaps-before.seep
        echo
        "$SEEP" blocks --by heap heaps-before.seep heaps-after.seep
        echo
        "$SEEP" blocks --top heaps-before.seep heaps-after.seep
        echo
        "$SEEP" blocks --at 0x7f1000001c24 heaps-before.seep
        echo
        "$SEEP" blocks --top blocks.seep
    } >"$BATS_TEST_TMPDIR/text"
    golden blocks.txt <"$BATS_TEST_TMPDIR/text"
}

@test "the same sizes for programs, with the totals" {
    both "$SEEP" blocks --format json heaps-before.seep
    [ "$status" -eq 0 ]
    [ "$(json '["schema"]')" = seep-blocks-1 ]
    [ "$(json '["totals"]["busy_blocks"]')" = 250 ]
    [ "$(json '["totals"]["busy_bytes"]')" = $((48000 + 307200 + 102400 + 2 * 1044480)) ]
    [ "$(json '["rows"][1]["size"]')" = 3072 ]
    [ "$(json '["rows"][1]["bytes"]')" = 307200 ]
    both "$SEEP" blocks --format csv --sort size heaps-before.seep
    [ "${#lines[@]}" -eq 0 ]
    [ "$(cut -d, -f1 <<<"$out" | tr '\n' ' ')" = 'size 1044480 3072 1024 1000 ' ]
}

@test "growth is the difference, and shrinking is none" {
    both "$SEEP" blocks --format json heaps-before.seep heaps-after.seep
    [ "$(json '["rows"][0]["blocks_change"]')" = 300 ]
    [ "$(json '["totals"]["grown_bytes"]')" = $((300 * 3072 + 300 * 1024)) ]
    both "$SEEP" blocks heaps-after.seep heaps-before.seep
    [[ $out == *'Nothing grew; 1.1 MiB went'* ]]
    both "$SEEP" blocks heaps-after.seep heaps-after.seep
    [[ $out == *'Nothing grew'* ]]
}

@test "filters choose by size, heap, address and state" {
    both "$SEEP" blocks --list --format csv --filter 'size=1000..1024 and heap=main' heaps-before.seep
    [ "$(wc -l <<<"$out")" = 49 ]
    both "$SEEP" blocks --list --format json --limit 1 --filter 'addr>=0x7f1000800000' heaps-before.seep
    [ "$(json '["totals"]["matching_blocks"]')" = 100 ]
    [ "$(json '["rows"][0]["address"]')" = 0x7f1000800010 ]
    both "$SEEP" blocks --list --filter 'state=free' heaps-before.seep
    [ "$status" -eq 0 ]
    [[ $out == *'0 matching blocks'* ]]
    both "$SEEP" blocks --filter 'heap~^arena' --format json heaps-before.seep
    [ "$(json '["totals"]["matching_blocks"]')" = 200 ]
    [ "$(json '["totals"]["busy_blocks"]')" = 250 ]
}

@test "the largest first, or by address; a limit leaves out and says how many" {
    both "$SEEP" blocks --list --limit 3 heaps-before.seep
    [[ $out == *'(247 more; --limit 0 shows all)'* ]]
    both "$SEEP" blocks --list --limit 2 --format csv heaps-before.seep
    [ "$(sed -n '2s/,.*//p' <<<"$out")" = 0x7e0000000010 ]
    both "$SEEP" blocks --list --limit 2 --sort addr --format csv heaps-before.seep
    [ "$(sed -n '2s/,.*//p' <<<"$out")" = 0x555000000010 ]
    both "$SEEP" blocks --list --format csv heaps-before.seep
    [ "$(wc -l <<<"$out")" = 251 ]
}

@test "a snapshot of a recorder alone has blocks, sites, and no heaps" {
    both "$SEEP" blocks --list --format json blocks.seep
    [ "$status" -eq 0 ]
    [ "$(json '["rows"][0]["heap"]')" = None ]
    [ "$(json '["rows"][0]["site"]')" != None ]
}

@test "a damaged heap is said below the table" {
    both "$SEEP" blocks heaps-damaged.seep
    [ "$status" -eq 0 ]
    [[ $out == *'Heap arena 1 is damaged: size 0x4141414141414140'* ]]
}

@test "written to a file, and nothing on standard output" {
    both "$SEEP" blocks --format csv -o sizes.csv heaps-before.seep
    [ "$status" -eq 0 ]
    [ -z "$out" ]
    [ "$(wc -l <sizes.csv)" = 5 ]
}

@test "no wider than the terminal, down to 80 columns" {
    for columns in 80 120; do
        for form in --stat --list --top; do
            COLUMNS=$columns both "$SEEP" blocks "$form" heaps-before.seep
            [ "$(awk -v w=$columns 'length > w' <<<"$out")" = '' ]
        done
    done
}

@test "command lines that make no sense" {
    refuses 2 'nothing to work on'
    refuses 2 'only one of' --list --top heaps-before.seep
    refuses 2 'two targets go with' --list heaps-before.seep heaps-after.seep
    refuses 2 '--by goes with' --by class --list heaps-before.seep
    refuses 2 '--everywhere goes with' --everywhere heaps-before.seep
    refuses 2 '--min-length goes with' --min-length 3 heaps-before.seep
    refuses 2 '--min-length must be' --strings --min-length 1 heaps-before.seep
    refuses 2 '--content goes with' --content heaps-before.seep
    refuses 2 '--force goes with' --force heaps-before.seep
    refuses 2 '--sort addr' --sort addr heaps-before.seep
    refuses 2 'contradict' --search text:a --everywhere --filter 'size>3' heaps-before.seep
    refuses 2 'an unknown field' --filter 'color=red' heaps-before.seep
    refuses 2 'cannot search for' --search 'deadbeef' heaps-before.seep
    refuses 2 'is not an address' --at 12g heaps-before.seep
}

@test "what a snapshot cannot answer is refused with a hint" {
    refuses 4 'holds no contents of memory' --search text:foo heaps-before.seep
    [[ $err == *'hint: look at the process itself, or at a core'* ]]
    refuses 4 'holds no contents of memory' --strings heaps-before.seep
    refuses 4 'holds no contents of memory' --list --content heaps-before.seep
    refuses 4 'was taken without blocks' meter-after.seep
    refuses 3 'in no block' --at 0x10 heaps-before.seep
    refuses 3 'in no block' --at 0x7f1000000000 heaps-before.seep
    refuses 4 'no-such-file.seep' no-such-file.seep
}
