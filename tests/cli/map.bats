#!/usr/bin/env bats
# seep map: on a program that tells where its memory of every kind lies, on snapshots, on bad input.

setup_file() {
    export LAB="$BATS_FILE_TMPDIR"
    cd "$LAB"
    mkfifo commands
    "$SEEP_BUILD/tests/victims/victim-regions" <commands >truth.txt 3>&- &
    echo $! >pid
    exec 9>commands
    until_true grep -q ']}$' truth.txt
    export VICTIM=$(cat pid)
    until_true sleeps "$VICTIM"
}

teardown_file() {
    kill "$VICTIM" 2>/dev/null || true
}

setup() {
    unset NO_COLOR
    export TERM=xterm TZ=UTC COLUMNS=120
    cd "$LAB"
}

# Until a condition is true, for at most 20 seconds.
until_true() {
    local end=$((SECONDS + 20))
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.02
    done
}

sleeps() {
    [ "$(sed 's/.*) //; s/ .*//' "/proc/$1/stat")" = S ]
}

both() {
    local errors="$BATS_TEST_TMPDIR/err"
    status=0
    out=$("$@" 2>"$errors") || status=$?
    err=$(cat "$errors")
}

# A line of Python on the answer d and the victim's truth t.
python() {
    python3 - "$1" "$BATS_TEST_TMPDIR/out.json" "$LAB/truth.txt" <<'PY'
import json, sys
d = json.load(open(sys.argv[2]))
t = json.loads(open(sys.argv[3]).readline())
def region(addr):
    return next(r for r in d['regions'] if int(r['start'], 16) <= addr < int(r['end'], 16))
exec(sys.argv[1])
PY
}

json() {
    both "$SEEP" map --format json "$@"
    printf '%s\n' "$out" >"$BATS_TEST_TMPDIR/out.json"
    [ "$status" -eq 0 ]
}

@test "every region of the victim is what it says it is" {
    json "$VICTIM"
    python '
wrong = []
for want in t["regions"]:
    r = region(want["addr"])
    if r["kind"] != want["kind"] or want["detail"] not in (r["detail"] or ""):
        wrong.append((want["name"], r["kind"], r["detail"]))
    if want["size"] and r["size_bytes"] != want["size"]:
        wrong.append((want["name"], "size", r["size_bytes"]))
    if want["touched"] and r["rss_bytes"] != want["touched"]:
        wrong.append((want["name"], "rss", r["rss_bytes"]))
assert not wrong, wrong
left = [r for r in d["regions"] if r["kind"] == "stack" and r["detail"].startswith("no thread")]
assert len(left) == 1, left'
}

@test "heaps are told by allocator and arena" {
    json "$VICTIM"
    if [[ $out != *'"detail": "glibc main"'* && $out != *'"detail":"glibc main"'* ]]; then
        skip "the heaps of this C library are not known"
    fi
    python '
of = {want["name"]: region(want["addr"])["owner"] for want in t["regions"]}
assert of["small block"] == "glibc main", of
assert of["thread block"].startswith("glibc arena"), of'
}

@test "the kinds add up to the RSS of smaps_rollup, in every column" {
    [ -r "/proc/$VICTIM/smaps_rollup" ] || skip "this kernel has no smaps_rollup"
    json "$VICTIM"
    cp "/proc/$VICTIM/smaps_rollup" "$BATS_TEST_TMPDIR/rollup"
    python '
import os
rollup = {}
for line in open(os.path.dirname(sys.argv[2]) + "/rollup").readlines()[1:]:
    key, value = line.split(":")
    rollup[key] = int(value.split()[0]) * 1024
for column, key in (("rss_bytes", "Rss"), ("private_dirty_bytes", "Private_Dirty"),
                    ("anonymous_bytes", "Anonymous"), ("swap_bytes", "Swap")):
    kinds = sum(row[column] for row in d["rows"])
    assert kinds == rollup[key], (key, kinds, rollup[key])
    assert kinds == sum(r[column] for r in d["regions"])
for row in d["rows"]:
    assert row["rss_bytes"] == row["uss_bytes"] + row["shared_clean_bytes"] + row["shared_dirty_bytes"]
assert d["schema"] == "seep-map-1"
assert d["totals"]["pid"] == int(os.environ["VICTIM"])
parts = [v for k, v in d["totals"].items() if k.startswith("footprint_") and k != "footprint_bytes"]
assert sum(parts) == d["totals"]["footprint_bytes"]'
}

@test "gaps and regions cover the address space" {
    json --free "$VICTIM"
    python '
at = 0x10000
for r in d["regions"]:
    if int(r["start"], 16) >= 1 << 56:
        break # vsyscall
    assert int(r["start"], 16) == at, (hex(at), r)
    at = int(r["end"], 16)
gaps = [r["size_bytes"] for r in d["regions"] if r["kind"] == "free"]
assert d["totals"]["free_gaps"] == len(gaps)
assert d["totals"]["free_bytes"] == sum(gaps)
assert d["totals"]["largest_free_bytes"] == max(gaps)'
}

# Of the process, as the kernel counts it.
private_dirty() {
    awk '/^Private_Dirty:/ { sum += $2 } END { print sum * 1024 }' "/proc/$VICTIM/smaps"
}

# METHOD BYTES: is that what a look finds?
finds_private_dirty() {
    json --method "$1" "$VICTIM"
    [ "$(python 'print(sum(r["private_dirty_bytes"] for r in d["regions"]))')" = "$2" ]
}

# No look leaves a clone. Whoever happens to read it in /proc as it ends, as ps does, keeps its memory
# for a moment longer, shared with the process; what a look changes would stay.
@test "the looks change nothing: a clone is no sharer, the process runs on" {
    sleep 0.2
    before=$(private_dirty)
    for method in auto clone stop live; do
        json --method "$method" "$VICTIM"
        [ -z "$(cat "/proc/$VICTIM/task/"*/children)" ]
        until_true finds_private_dirty "$method" "$before"
    done
    [ "$(private_dirty)" = "$before" ]
    until_true sleeps "$VICTIM"
}

@test "text: the summary first, details by address, nothing wider than the terminal" {
    for width in 80 100 120 160; do
        COLUMNS=$width both "$SEEP" map "$VICTIM"
        [ "$status" -eq 0 ]
        [ -z "$err" ]
        [[ $out == *"(pid $VICTIM): physical footprint "* ]]
        [[ $out == *$'\nKIND '* && $out == *$'\ntotal '* && $out == *' DETAIL'* ]]
        [[ $out == *'Free address space: '* ]]
        [ "$(awk -v w="$width" '{ gsub(/[\200-\277]/, "") } length > w' <<<"$out")" = '' ]
    done
}

@test "--summary has no details, --wide has all columns" {
    both "$SEEP" map --summary "$VICTIM"
    [ "$status" -eq 0 ]
    [[ $out != *DETAIL* ]]
    COLUMNS=60 both "$SEEP" map --wide "$VICTIM"
    [[ $out == *COMMITTED* && $out == *' END '* && $out == *victims/victim-regions* ]]
}

@test "--filter leaves regions out of both tables" {
    json --filter 'kind=image and section=text' "$VICTIM"
    python '
assert [row["kind"] for row in d["rows"]] == ["image"]
assert {r["section"] for r in d["regions"]} == {"text"}
assert all("x" in r["prot"] for r in d["regions"])'
    json --filter 'size>=512k and not prot~w' "$VICTIM"
    python 'assert all(r["size_bytes"] >= 512 * 1024 and "w" not in r["prot"] for r in d["regions"])'
    json --filter 'path~memfd' "$VICTIM"
    python 'assert len(d["regions"]) == 1 and d["totals"]["regions"] > 10'
}

@test "--sort and --limit" {
    json --sort rss --limit 3 "$VICTIM"
    python '
rss = [r["rss_bytes"] for r in d["regions"]]
assert len(rss) == 3 and rss == sorted(rss, reverse=True)'
    json --summary --sort size_bytes "$VICTIM"
    python '
size = [r["size_bytes"] for r in d["rows"]]
assert size == sorted(size, reverse=True)'
    both "$SEEP" map --sort uss --limit 1 "$VICTIM"
    [ "$status" -eq 0 ]
    both "$SEEP" map --sort colour "$VICTIM"
    [ "$status" -eq 2 ]
    [[ $err == *"cannot sort by 'colour'"* ]]
}

@test "--group-by owner puts a library's regions together" {
    json --group-by owner "$VICTIM"
    python '
me = [r for r in d["owners"] if (r["owner"] or "").endswith("victim-regions") and r["kind"] == "image"]
assert len(me) == 1 and me[0]["regions"] >= 4, me
assert sum(r["rss_bytes"] for r in d["owners"]) == d["totals"]["rss_bytes"]'
}

@test "--at finds a region, its neighbours and a gap" {
    addr=$(python3 -c '
import json
t = json.loads(open("truth.txt").readline())
print(hex(next(r["addr"] for r in t["regions"] if r["name"] == "memfd") + 0x123))')
    both "$SEEP" map --at "$addr" "$VICTIM"
    [ "$status" -eq 0 ]
    [[ $out == *"$addr is 0x123 bytes into a region of kind shared: /memfd:notes"* ]]
    [ "$(grep -c '^ *0x' <<<"$out")" -eq 3 ]
    both "$SEEP" map --at 10000 "$VICTIM"
    [ "$status" -eq 0 ]
    [[ $out == *'nothing is mapped at 0x10000'* ]]
    both "$SEEP" map --at ffffffff80000000 "$VICTIM"
    [[ $out == *'where no program can map anything'* ]]
    both "$SEEP" map --at 12fg "$VICTIM"
    [ "$status" -eq 2 ]
    [[ $err == *"'12fg' is not an address"* ]]
}

@test "--at for programs: which row holds the address" {
    addr=$(python3 -c '
import json
t = json.loads(open("truth.txt").readline())
print(hex(next(r["addr"] for r in t["regions"] if r["name"] == "small block")))')
    json --at "$addr" "$VICTIM"
    python "
t, rows = d['totals'], d['rows']
assert [r['relation'] for r in rows] == ['before', 'this', 'after'], rows
assert t['address'] == '$addr' and t['region_address'] == rows[1]['start'], t
assert int(rows[1]['start'], 16) <= $addr < int(rows[1]['end'], 16), rows
assert t.get('block_address', '$addr') == '$addr', t"
    json --at 10000 "$VICTIM"
    python '
assert d["totals"]["region_address"] is None, d["totals"]
assert next(r["kind"] for r in d["rows"] if r["relation"] == "this") == "free", d["rows"]'
}

@test "what makes no sense is said before a process is looked for" {
    for wrong in 'map --sort foo' 'map --sort delta a' 'map --summary --sort start' \
        'heaps --watch 0' 'leaks --repeat 0'; do
        # shellcheck disable=SC2086
        both "$SEEP" $wrong no-such-process-anywhere
        [ "$status" -eq 2 ] || { echo "$wrong: $err"; return 1; }
    done
    both "$SEEP" leaks --since nowhere.seep no-such-process-anywhere
    [ "$status" -eq 4 ]
    [[ $err == *"'nowhere.seep'"* ]]
    both "$SEEP" core truth.txt
    [ "$status" -eq 2 ]
    [[ $err == *"'truth.txt' is a file, not a process"* ]]
}

@test "every command that looks at a process has one vocabulary for programs" {
    for command in heaps "heaps --check" map "map --at 10000" "map --group-by owner" blocks \
        "blocks --list" "blocks --top" leaks "leaks --list" "leaks --tree" "refs --tree"; do
        # shellcheck disable=SC2086
        both "$SEEP" $command --format json "$VICTIM"
        [ "$status" -eq 0 ] || { echo "$command: $err"; return 1; }
        printf '%s\n' "$out" >"$BATS_TEST_TMPDIR/out.json"
        python "
what = '$command'
t = d['totals']
assert t['pid'] == $VICTIM and t['process'] == 'victim-regions'[:15], (what, t)
assert t['method'] in ('stopped', 'frozen clone', 'live') and t['pause_ns'] >= 0, (what, t)
for note in d['notes']:
    assert not note[0].islower() and note.endswith(('.', ':', '?', '!')), (what, note)
for name, rows in [('totals', [t])] + [(k, v) for k, v in d.items() if isinstance(v, list)]:
    for row in rows:
        for key, value in row.items() if isinstance(row, dict) else ():
            assert value != '', (what, name, key, row)
            assert key not in ('addr', 'percent', 'share'), (what, name, key)"
    done
}

@test "a core's regions have the files that the process's have, and no others" {
    json "$VICTIM"
    mv "$BATS_TEST_TMPDIR/out.json" "$BATS_TEST_TMPDIR/live.json"
    "$SEEP" core -o "$BATS_TEST_TMPDIR/it.core" "$VICTIM"
    json "$BATS_TEST_TMPDIR/it.core"
    python '
import os
live = json.load(open(os.environ["BATS_TEST_TMPDIR"] + "/live.json"))["regions"]
there = {(r["start"], r["end"]): r["path"] for r in d["regions"]}
compared = 0
for r in live:
    if (r["start"], r["end"]) in there and (not r["path"] or r["path"].startswith("/")):
        assert there[r["start"], r["end"]] == r["path"], (r, there[r["start"], r["end"]])
        compared += 1
assert compared >= 20, compared'
}

@test "--at names the block" {
    addr=$(python3 -c '
import json
t = json.loads(open("truth.txt").readline())
print(hex(next(r["addr"] for r in t["regions"] if r["name"] == "small block")))')
    both "$SEEP" map --at "$addr" "$VICTIM"
    [ "$status" -eq 0 ]
    [[ $out == *glibc* ]] || skip "the heaps of this C library are not known"
    [[ $out == *"Busy block at $addr, "* ]]
}

# Ranges of addresses, those that touch as one.
joined() {
    python3 - "$1" <<'PY'
import sys
ranges = []
for line in sys.argv[1].splitlines():
    start, end = (int(word, 16) for word in line.split()[:2])
    if ranges and ranges[-1][1] == start:
        ranges[-1][1] = end
    else:
        ranges.append([start, end])
print(ranges)
PY
}

@test "csv: the regions, or with --summary the kinds" {
    both "$SEEP" map --format csv "$VICTIM"
    [ "$status" -eq 0 ]
    [ "$(head -1 <<<"$out" | cut -d, -f1-3)" = start,end,size_bytes ]
    # A mapping that the kernel joined of several things is a row for each.
    [ "$(tail -n +2 <<<"$out" | wc -l)" -ge "$(wc -l <"/proc/$VICTIM/maps")" ]
    [ "$(joined "$(tail -n +2 <<<"$out" | tr , ' ')")" = \
        "$(joined "$(cut -d' ' -f1 "/proc/$VICTIM/maps" | sed 's/^/0x/; s/-/ 0x/')")" ]
    both "$SEEP" map --summary --format csv "$VICTIM"
    [ "$(head -1 <<<"$out" | cut -d, -f1-2)" = kind,regions ]
}

@test "vmmap-csv: process, types, allocations; sums that add up" {
    both "$SEEP" map --format vmmap-csv -o out.csv "$VICTIM"
    [ "$status" -eq 0 ]
    python3 - <<'PY'
import csv
text = open('out.csv', newline='').read()
assert text.count('\r\r\n') == text.count('\n')
rows = list(csv.reader(text.replace('\r\r\n', '\n').splitlines()))
assert rows[0] == ['Process:', 'victim-regions'], rows[0]
number = lambda text: int(text.replace(',', '') or 0)
types = {r[0]: r for r in rows[4:rows.index([], 4)]}
assert number(types['Total'][1]) == sum(number(r[1]) for t, r in types.items()
                                        if t not in ('Total', 'Free'))
tops = [r for r in rows[rows.index([], 4) + 2:] if r and not r[0].startswith('  ')]
size = sum(number(r[2]) for r in tops)
assert size + number(types['Page Table'][1]) == number(types['Total'][1])
assert {'Image (ASLR)', 'Thread Stack', 'Heap (Private Data)', 'Shareable'} <= {r[1] for r in tops}
PY
}

@test "a snapshot keeps the map; two of them tell what is new, grown and gone" {
    "$SEEP" snap -q "$VICTIM" -o one.seep || skip "seep snap does not take snapshots of such a process"
    json one.seep
    python 'assert {"heap", "stack", "image", "shared"} <= {row["kind"] for row in d["rows"]}'
    echo grow >&9
    until_true grep -q grown truth.txt
    until_true sleeps "$VICTIM"
    "$SEEP" snap -q "$VICTIM" -o two.seep
    json one.seep two.seep
    python '
new = [r for r in d["regions"] if r["change"] == "new" and r["kind"] == "anonymous"]
assert len(new) == 1 and new[0]["rss_change_bytes"] == 3 << 20, new
assert d["regions"][0] == new[0] # the largest change comes first
assert d["schema"] == "seep-map-diff-1"'
    echo shrink >&9
    until_true grep -q shrunk truth.txt
    until_true sleeps "$VICTIM"
    json two.seep "$VICTIM"
    python '
gone = [r for r in d["regions"] if r["change"] == "gone" and r["kind"] == "anonymous"]
assert len(gone) == 1 and gone[0]["rss_change_bytes"] == -(3 << 20), gone'
    both "$SEEP" map one.seep two.seep
    [[ $out == *"3.0 MiB"* && $out == *new* ]]
}

@test "different processes are compared by force only, and by kind only" {
    both "$SEEP" map "$VICTIM" $$
    [ "$status" -ne 0 ]
    [[ $err == *'hint: seep map --force compares them by kind'* ]]
    json --force "$VICTIM" $$
    python 'assert "regions" not in d and any(row["kind"] == "heap" for row in d["rows"])'
}

@test "a process of 32 bits" {
    printf 'int main(void) { return getchar(); }\n' >small.c
    gcc -m32 -include stdio.h -o small small.c 2>/dev/null || skip "no compiler of 32 bits"
    mkfifo small.in
    ./small <small.in 3>&- 9>&- &
    exec 8>small.in
    until_true sleeps $!
    json $!
    exec 8>&-
    python '
assert all(int(r["end"], 16) <= 1 << 32 for r in d["regions"])
assert d["totals"]["free_bytes"] < 1 << 32'
}

@test "a process in a container" {
    unshare --user --map-root-user --pid --fork true 2>/dev/null || skip "no namespaces of one's own here"
    mkfifo inside.in
    SEEP_BUILD="$SEEP_BUILD" unshare --user --map-root-user --pid --fork --kill-child \
        "$SEEP_BUILD/tests/victims/victim-regions" <inside.in >inside.txt 3>&- 9>&- &
    exec 8>inside.in
    until_true grep -q ']}$' inside.txt
    inside=$(pgrep -P $! -f victim-regions)
    until_true sleeps "$inside"
    both "$SEEP" map "$inside"
    exec 8>&-
    [ "$status" -eq 0 ]
    [[ $out == *"main thread"* && $out == *"thread "*worker* ]]
}

@test "many mappings" {
    mkfifo many.in
    "$SEEP_BUILD/tests/victims/victim-regions" 20000 <many.in >many.txt 3>&- 9>&- &
    exec 8>many.in
    until_true grep -q ']}$' many.txt
    until_true sleeps $!
    json $!
    exec 8>&-
    cp many.txt "$BATS_TEST_TMPDIR/"
    python '
many = [r for r in d["regions"] if r["kind"] == "anonymous" and r["size_bytes"] == 4096]
assert len(many) >= 20000, len(many)
# Every second one was touched; the kernel may have joined a few with what lies beside them.
assert sum(r["rss_bytes"] for r in many) >= 9990 * 4096'
}

@test "what cannot be looked at is told by name" {
    both "$SEEP" map no-such-process-here
    [ "$status" -eq 3 ]
    [[ $err == *"no process is called 'no-such-process-here'"* ]]
    both "$SEEP" map 2
    [ "$status" -eq 3 ]
    [[ $err == *kernel* || $err == *"no such process"* ]]
    both "$SEEP" map nowhere.seep
    [ "$status" -eq 4 ]
    head -c 100 /dev/urandom >broken.seep
    both "$SEEP" map broken.seep
    [ "$status" -eq 4 ]
    [[ $err == *"not a "* ]]
    both "$SEEP" map
    [ "$status" -eq 2 ]
}

@test "a zombie" {
    python3 -c '
import os, sys, time
pid = os.fork()
if pid == 0:
    os._exit(0)
while open(f"/proc/{pid}/stat").read().split(") ")[1][0] != "Z":
    pass
print(pid, flush=True)
time.sleep(60)' </dev/null >zombie.txt 3>&- 9>&- &
    until_true test -s zombie.txt
    both "$SEEP" map "$(cat zombie.txt)"
    kill $!
    [ "$status" -eq 3 ]
    [[ $err == *ended* || $err == *zombie* ]]
}

@test "options that do not go together" {
    both "$SEEP" map --at 1000 --summary "$VICTIM"
    [ "$status" -eq 2 ]
    both "$SEEP" map --format vmmap-csv --filter kind=heap "$VICTIM"
    [ "$status" -eq 2 ]
    both "$SEEP" map --filter 'colour=red' "$VICTIM"
    [ "$status" -eq 2 ]
    [[ $err == *'hint: fields: kind prot path'* ]]
    both "$SEEP" map --format json -o no/such/folder "$VICTIM"
    [ "$status" -eq 4 ]
}

@test "the manual's examples run" {
    page="$SEEP_SOURCE/doc/man/seep-map.1.scd"
    ran=0
    while IFS= read -r line; do
        line=${line//redis-server/$VICTIM}
        if [[ $line == *one.seep* && ! -e one.seep ]]; then
            continue
        fi
        eval "\"\$SEEP\" ${line#seep }" >/dev/null
        ran=$((ran + 1))
    done < <(sed -n '/^# EXAMPLES/,/^# EXIT/s/^\tseep /seep /p' "$page")
    [ "$ran" -ge 6 ]
}
