#!/usr/bin/env bats
# seep run: the program is started as if seep were not there, recorded, and reported on when it ends.

setup() {
    unset NO_COLOR COLUMNS LD_PRELOAD SEEP_RECORDER
    export TERM=xterm
    TOOLS="$SEEP_BUILD/tests/tools"
    VICTIMS="$SEEP_BUILD/tests/victims"
    cd "$BATS_TEST_TMPDIR"
}

both() {
    local errors="$BATS_TEST_TMPDIR/err"
    status=0
    out=$("$@" 2>"$errors") || status=$?
    err=$(cat "$errors")
}

# A command's output alone and under seep; they must be the same.
same() {
    local bare recorded
    bare=$("$@")
    recorded=$("$SEEP" run --quiet -- "$@")
    [ -n "$bare" ]
    diff <(echo "$bare") <(echo "$recorded")
}

# Blocks and bytes live at function $2 in snapshot $1.
live_at() {
    "$SEEP" report --filter "func~^$2$" --format json "$1" >live.json
    python3 -c 'import json
rows = json.load(open("live.json"))["rows"]
print(sum(r["live_blocks"] for r in rows), sum(r["live_bytes"] for r in rows))'
}

# Starts seep run with say_signals in the background: $launcher, $program, and its words on &7.
start_signals() {
    mkfifo words
    "$SEEP" run --quiet "$@" -- "$TOOLS/say_signals" >words 7>&- 3>&- &
    launcher=$!
    exec 7<words
    read -r word program <&7
    [ "$word" = ready ]
}

table_value() {
    "$TOOLS/print_table" "$1" | sed -n "s/^$2=//p"
}

# As nobody, in a folder that nobody can write. Root runs the tests in containers.
as_nobody() {
    if [ "$(id -u)" -ne 0 ]; then
        "$@"
    else
        setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
    fi
}

needs_root() {
    [ "$(id -u)" -eq 0 ] || skip "only root can make files of other users"
}

# ---- the program does not notice ----

@test "the exit status is the program's" {
    for code in 0 1 7 255; do
        both "$SEEP" run --quiet -- sh -c "exit $code"
        [ "$status" -eq "$code" ]
        [ -z "$err" ]
    done
}

@test "a signal's end is 128 + its number" {
    for signal in TERM KILL SEGV USR1; do
        both "$SEEP" run --quiet -- sh -c "kill -$signal \$\$"
        [ "$status" -eq $((128 + $(kill -l $signal))) ]
    done
}

@test "arguments arrive as they were, with and without --" {
    both "$SEEP" run --quiet -- printf '<%s>' 'a b' '' --help -q
    [ "$out" = '<a b><><--help><-q>' ]
    both "$SEEP" run --quiet printf '<%s>' -- x
    [ "$out" = '<--><x>' ]
    both "$SEEP" run -q /usr/bin/printf %s -n
    [ "$out" = -n ]
}

@test "standard streams are the program's" {
    both "$SEEP" run --quiet -- sh -c 'cat; echo to stderr >&2' <<<"through stdin"
    [ "$out" = "through stdin" ]
    [ "$err" = "to stderr" ]
}

@test "the same descriptors are open" {
    same sh -c 'ls /proc/self/fd; readlink /proc/self/fd/0' </dev/null
    exec 8</dev/null 9</dev/null
    same sh -c 'ls /proc/self/fd' </dev/null
    same ls /proc/self/fd </dev/null
}

@test "closed standard descriptors stay closed" {
    local list='ls /proc/self/fd >"$1"'
    sh -c "$list" - bare <&- >&- 2>&-
    "$SEEP" run -- sh -c "$list" - recorded <&- >&- 2>&-
    diff bare recorded
    ! grep -qx 2 recorded
}

@test "signal masks and dispositions are the same" {
    same grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status
    same env --ignore-signal=CHLD,HUP,PIPE grep -E '^Sig(Blk|Ign)' /proc/self/status
    same env --block-signal=TERM,USR1 grep -E '^Sig(Blk|Ign)' /proc/self/status
    env --ignore-signal=CHLD,HUP "$SEEP" run -q -- grep SigIgn /proc/self/status >under
    env --ignore-signal=CHLD,HUP grep SigIgn /proc/self/status >bare
    diff bare under
    env --block-signal=TERM,USR1 "$SEEP" run -q -- grep SigBlk /proc/self/status >under
    env --block-signal=TERM,USR1 grep SigBlk /proc/self/status >bare
    diff bare under
}

@test "process group, session and limits are the same" {
    same cut -d ' ' -f 5,6,7,8 /proc/self/stat
    same cat /proc/self/limits
    (ulimit -S -n 300; same cat /proc/self/limits)
    (ulimit -S -f 1000; same cat /proc/self/limits)
    (ulimit -S -n 300; "$SEEP" run -q --follow -- sh -c 'ulimit -S -n' | grep -qx 300)
}

@test "the environment has two variables more" {
    local version=$(sed -n 's/^#define WIRE_VERSION //p' "$SEEP_SOURCE/src/wire/wire.h")

    env | grep -vE '^_=' | sort >bare
    "$SEEP" run -q -- env | grep -vE '^_=' | sort >under
    [ -z "$(comm -23 bare under)" ]
    comm -13 bare under >more
    [ "$(wc -l <more)" -eq 2 ]
    grep -qx "LD_PRELOAD=$SEEP_BUILD/rec/libseep-rec.so" more
    grep -qE "^SEEP_REC=$version:"'[0-9]+:[0-9]+:0:seep-rec\.[0-9]+\.[0-9a-f]{32}$' more
    both "$SEEP" run -q -- sh -c 'echo "$$ $SEEP_REC"'
    [[ $out =~ ^([0-9]+)\ $version:[0-9]+:([0-9]+):0: ]]
    [ "${BASH_REMATCH[1]}" = "${BASH_REMATCH[2]}" ]
    both "$SEEP" run -q --follow -- sh -c 'echo "$SEEP_REC"'
    [[ $out =~ ^$version:[0-9]+:[0-9]+:1: ]]
}

@test "LD_PRELOAD is handed on, and does not grow inside itself" {
    both env LD_PRELOAD=/lib/none.so "$SEEP" run -q -- sh -c 'echo "$LD_PRELOAD"'
    [ "$out" = "$SEEP_BUILD/rec/libseep-rec.so:/lib/none.so" ]
    # A sanitized seep would mind that something else is loaded before the sanitizer.
    export ASAN_OPTIONS="verify_asan_link_order=0:${ASAN_OPTIONS-}"
    both "$SEEP" run -q -- "$SEEP" run -q -- sh -c 'echo "$LD_PRELOAD"; exit 6'
    [ "$status" -eq 6 ]
    [ "$out" = "$SEEP_BUILD/rec/libseep-rec.so" ]
}

@test "whoever reads the program's output waits for the program alone" {
    start_signals
    [ "$(readlink "/proc/$launcher/fd/0")" = /dev/null ]
    [ "$(readlink "/proc/$launcher/fd/1")" = /dev/null ]
    kill -TERM "$program"
    wait "$launcher" || [ $? -eq 9 ]
}

# ---- the table ----

@test "the table is named after launcher and descriptor, sealed, private, and filled" {
    start_signals
    grep -qE "rw-s 0+ .*/memfd:seep-rec\.$launcher\.[0-9]+ \(deleted\)$" "/proc/$program/maps"
    [ "$(table_value "$program" magic)" = good ]
    [ "$(table_value "$program" launcher_pid)" = "$launcher" ]
    [ "$(table_value "$program" pid)" = "$program" ]
    [ "$(table_value "$program" image)" = 1 ]
    [ "$(table_value "$program" state)" = 1 ]
    [ "$(table_value "$program" allocator)" = glibc ]
    [ "$(table_value "$program" size)" = good ]
    [ "$(table_value "$program" mode)" = 600 ]
    [ "$(table_value "$program" sealed)" = yes ]
    [ "$(table_value "$program" nodes)" = some ]
    kill -TERM "$program"
    wait "$launcher" || [ $? -eq 9 ]
}

@test "the table's clock runs" {
    start_signals
    local first tries=0
    first=$(table_value "$program" time_code)
    until [ "$(table_value "$program" time_code)" -gt $((first + 2)) ]; do
        [ $((++tries)) -lt 5000 ]
    done
    kill -TERM "$program"
    wait "$launcher" || [ $? -eq 9 ]
}

@test "exec begins another image of the same process" {
    mkfifo words
    "$SEEP" run -q -- sh -c "exec sh -c 'exec \"\$0\"' '$TOOLS/say_signals'" >words 3>&- &
    launcher=$!
    exec 7<words
    read -r _ program <&7
    [ "$(table_value "$program" image)" = 3 ]
    [ "$(table_value "$program" pid)" = "$program" ]
    grep -c memfd:seep-rec "/proc/$program/maps" | grep -qx 1
    kill -TERM "$program"
    wait "$launcher" || [ $? -eq 9 ]
}

# ---- signals ----

@test "a signal to the launcher alone reaches the program" {
    start_signals
    for signal in USR1 USR2 HUP INT QUIT WINCH; do
        kill -$signal "$launcher"
        read -r -u 7 word name
        [ "$name" = "$signal" ]
    done
    kill -TERM "$launcher"
    read -r -u 7 word name
    [ "$name" = TERM ]
    status=0
    wait "$launcher" || status=$?
    [ "$status" -eq 9 ]
}

@test "the program outlives a launcher that is killed" {
    start_signals
    kill -KILL "$launcher"
    wait "$launcher" || [ $? -eq 137 ]
    kill -USR1 "$program"
    read -r -u 7 word name
    [ "$name" = USR1 ]
    kill -TERM "$program"
    read -r -u 7 word name
    [ "$name" = TERM ]
}

@test "Ctrl-C comes once, Ctrl-Z stops both, a shell continues both" {
    both timeout 60 "$SEEP_SOURCE/tests/tools/on_a_terminal.py" jobs "$SEEP" "$TOOLS/say_signals"
    [ "$out" = "after Ctrl-C: []
launcher stopped
while stopped: []
program goes on
launcher stopped
program goes on
after Ctrl-\\: []
status 9" ]
}

@test "a hang-up of which only the launcher is told is passed on" {
    both timeout 60 "$SEEP_SOURCE/tests/tools/on_a_terminal.py" hangup "$SEEP" \
        "$TOOLS/say_signals"
    [ "$out" = "program was told of the hang-up
status 9" ]
}

# ---- the end ----

@test "what was live at the end is known, however it came" {
    for way in exit return _exit quick_exit abort segv kill term overflow; do
        "$SEEP" run --quiet --at-exit "$way.seep" -- "$VICTIMS/victim-dies" "$way" \
            >/dev/null || true
        [ "$(live_at "$way.seep" leak)" = "100 7700" ]
    done
}

@test "the last line names blocks, file and the next step" {
    both "$SEEP" run --at-exit "it's the end.seep" -- "$VICTIMS/victim-dies" kill
    [ "$status" -eq 137 ]
    [[ $err =~ ^"seep: victim-dies ("[0-9]+") was ended by signal 9 (Killed): "[0-9,]+" blocks, " ]]
    [[ $err == *" live; snapshot in it's the end.seep; next: seep report 'it'\\''s the end.seep'" ]]
    eval "$("$SEEP" run --at-exit "it's the end.seep" -- true 2>&1 | sed "s|.*next: seep|$SEEP|")" \
        >report
    grep -q true report
    both "$SEEP" run -- sh -c 'exit 3'
    [[ $err =~ ^"seep: "[a-z]+" ("[0-9]+") ended with status 3; no snapshot was asked for" ]]
}

@test "--quiet says nothing of it" {
    both "$SEEP" run --quiet --at-exit end.seep -- true
    [ "$status" -eq 0 ]
    [ -z "$err" ]
    [ -s end.seep ]
}

@test "the snapshot is of the image at the end, and of nobody else" {
    "$SEEP" run -q --at-exit end.seep -- "$VICTIMS/victim-execer" 2 >/dev/null
    [ "$(live_at end.seep allocate_stage)" = "10 1000" ]
    [ "$(stat -c %a end.seep)" = 600 ]
}

@test "--follow: children get files of their own, orphans too" {
    both "$SEEP" run --follow --at-exit end.seep -- \
        sh -c "'$VICTIMS/victim-dies' kill >/dev/null
               (setsid '$VICTIMS/victim-dies' _exit >/dev/null &)
               exit 3"
    [ "$status" -eq 3 ]
    [ -s end.seep ]
    local files=(end.seep.*) found=0
    for file in "${files[@]}"; do
        if [ "$(live_at "$file" leak)" = "100 7700" ]; then
            found=$((found + 1))
        fi
    done
    [ "$found" -eq 2 ]
    [ "$(grep -c 'next: seep report' <<<"$err")" -eq $((${#files[@]} + 1)) ]
}

@test "without --follow children are not recorded" {
    both "$SEEP" run --at-exit end.seep -- sh -c "'$VICTIMS/victim-dies' kill >/dev/null; exit 0"
    [ "$(live_at end.seep leak)" = "0 0" ]
    [ "$(echo end.seep*)" = end.seep ]
}

@test "--follow: a signal ends the waiting, and what still runs is written" {
    mkfifo words
    "$SEEP" run --follow --at-exit end.seep -- \
        sh -c "'$TOOLS/say_signals' & exit 0" >words 2>err 3>&- &
    launcher=$!
    exec 7<words
    read -r _ program <&7
    # The first has been collected when the survivor belongs to the launcher.
    until [ "$(cut -d ' ' -f 4 "/proc/$program/stat")" = "$launcher" ]; do :; done
    while [ -n "$(pgrep -P "$launcher" -x sh)" ]; do :; done
    kill -TERM "$launcher"
    status=0
    wait "$launcher" || status=$?
    [ "$status" -eq 0 ]
    grep -q "say_signals ($program) still runs: .* snapshot in end.seep.$program" err
    kill -TERM "$program"
    "$SEEP" report "end.seep.$program" >/dev/null
}

# ---- not recorded ----

@test "a malloc of its own: told at once, and the program runs" {
    both "$SEEP" run -- "$VICTIMS/victim-ownmalloc"
    [ "$status" -eq 0 ]
    [[ $err == *"seep: warning: victim-ownmalloc ("*") is not recorded: it has a malloc of its own"* ]]
    [ "$(grep -c warning <<<"$err")" -eq 1 ]
    [[ $out == *'"program":"ownmalloc"'* ]]
    both "$SEEP" run --at-exit end.seep -- "$VICTIMS/victim-ownmalloc"
    [ "$status" -eq 3 ]
    [ ! -e end.seep ]
}

@test "a recorder that never starts is told at the end" {
    cp "$(ldd /bin/sh | awk '$3 ~ "libc.so" {print $3}')" none.so
    both "$SEEP" run --recorder "$PWD/none.so" -- sh -c 'exit 0'
    [ "$status" -eq 0 ]
    [[ $err == "seep: warning: "*" was not recorded: the recorder never started in it"* ]]
    [[ $err == *"hint: "* ]]
    both env SEEP_RECORDER="$PWD/none.so" "$SEEP" run --at-exit end.seep -- sh -c 'exit 5'
    [ "$status" -eq 5 ]
    [[ $err == *"never started"* ]]
}

@test "little address space makes small tables, or a refusal" {
    (ulimit -v 2000000; "$SEEP" --version >/dev/null 2>&1) ||
        skip "this seep itself needs more (built with a sanitizer)"
    (ulimit -v 2000000; "$SEEP" run -q --at-exit end.seep -- "$VICTIMS/victim-dies" _exit >out) ||
        [ $? -eq 4 ]
    [ "$(live_at end.seep leak)" = "100 7700" ]
    (ulimit -v 200000; both "$SEEP" run -- true
     [ "$status" -eq 3 ]
     [[ $err == "seep: cannot create the recorder's table: "*"hint: "*"ulimit -v"* ]])
}

# ---- refused before the start ----

refused() {
    both "$SEEP" run -- "$1"
    [ "$status" -eq 3 ]
    [ -z "$out" ]
    [ "${err%%$'\n'*}" = "seep: $2" ]
    [[ -z $3 || $err == *$'\n'"hint: "*"$3"* ]]
}

@test "what is not there or cannot be run is refused with a reason" {
    refused no-such-program "cannot run 'no-such-program': No such file or directory" PATH
    refused ./none "cannot run './none': No such file or directory"
    refused /usr "cannot run '/usr': Is a directory"
    echo 'echo hi' >plain
    refused ./plain "cannot run './plain': Permission denied" chmod
    refused ./plain/x "cannot run './plain/x': Not a directory"
    : >empty
    chmod +x empty
    refused ./empty "cannot run './empty': the file is empty"
    head -c 1000 "$VICTIMS/victim-dies" >cut
    chmod +x cut
    refused ./cut "cannot run './cut': the program file is cut short or damaged" again
    printf '#!/nonexistent\n' >script
    chmod +x script
    refused ./script "cannot run './script': its interpreter '/nonexistent': No such file or directory" \
        "first line"
}

@test "what cannot be recorded is refused with a reason" {
    refused "$VICTIMS/victim-static-stripped" \
        "cannot record '$VICTIMS/victim-static-stripped': its program is static and stripped" \
        "symbol table"
    cp "$VICTIMS/victim-dies" foreign
    printf '\x03\x00' | dd of=foreign bs=1 seek=18 conv=notrunc status=none
    printf '\x01' | dd of=foreign bs=1 seek=4 conv=notrunc status=none
    refused ./foreign "cannot record './foreign': it is a program for 32-bit x86" "64-bit"
}

@test "a program built with AddressSanitizer is refused" {
    echo 'int main(void) { return 0; }' >main.c
    gcc -fsanitize=address main.c -o sanitized || skip "gcc has no AddressSanitizer here"
    refused ./sanitized "cannot record './sanitized': it is built with AddressSanitizer" \
        "-fsanitize=address"
}

@test "set-user-ID, set-group-ID and capabilities are refused" {
    needs_root
    open=$(mktemp -d)
    chmod 755 "$open"
    for name in setuid setgid capable; do
        cp "$VICTIMS/victim-dies" "$open/$name"
    done
    chmod 4755 "$open/setuid"
    chmod 2755 "$open/setgid"
    python3 -c 'import os, struct, sys
os.setxattr(sys.argv[1], "security.capability", struct.pack("<5I", 0x02000001, 0x400, 0, 0, 0))' \
        "$open/capable"
    check() {
        both as_nobody "$SEEP" run -- "$open/$1" _exit
        [ "$status" -eq 3 ]
        [[ $err == "seep: cannot record '$open/$1': it $2"$'\n'"hint: "* ]]
    }
    check setuid "runs as another user (set-user-ID)"
    check setgid "runs as another group (set-group-ID)"
    check capable "has capabilities of its own (file capabilities)"
    both "$SEEP" run -q -- "$open/setuid" _exit
    [ "$status" -eq 4 ]
    both "$SEEP" run -q -- "$open/capable" _exit
    [ "$status" -eq 4 ]
    both as_nobody setpriv --no-new-privs "$SEEP" run -q -- "$open/setuid" _exit
    [ "$status" -eq 4 ]
    rm -r "$open"
}

@test "an ordinary user records his programs" {
    open=$(mktemp -d)
    chmod 777 "$open"
    both as_nobody "$SEEP" run --at-exit "$open/end.seep" -- "$VICTIMS/victim-dies" _exit
    [ "$status" -eq 4 ]
    [ "$(live_at "$open/end.seep" leak)" = "100 7700" ]
    rm -r "$open"
}

@test "a program that drops its privileges is recorded on" {
    needs_root
    "$SEEP" run -q --at-exit end.seep -- setpriv --reuid=65534 --regid=65534 --clear-groups \
        "$VICTIMS/victim-dies" _exit || [ $? -eq 4 ]
    [ "$(live_at end.seep leak)" = "100 7700" ]
}

@test "an output that cannot be written stops before the program starts" {
    both "$SEEP" run --at-exit none/end.seep -- touch started
    [ "$status" -eq 4 ]
    [ "${err%%$'\n'*}" = "seep: cannot write 'none/end.seep': No such file or directory" ]
    both "$SEEP" run --at-exit . -- touch started
    [ "$status" -eq 4 ]
    both "$SEEP" run --at-exit - -- touch started
    [ "$status" -eq 2 ]
    [ ! -e started ]
}

@test "a snapshot that fails at the end is a failure of a program that had none" {
    mkdir gone
    both "$SEEP" run --at-exit gone/end.seep -- rmdir gone
    [ "$status" -eq 4 ]
    [[ $err == *"seep: cannot write 'gone/end.seep': "* ]]
    mkdir gone
    both "$SEEP" run --at-exit gone/end.seep -- sh -c 'rmdir gone; exit 5'
    [ "$status" -eq 5 ]
}

@test "recorders that are none are refused" {
    both "$SEEP" run --recorder /none.so -- true
    [ "$status" -eq 3 ]
    [ "$err" = "seep: cannot use the recorder '/none.so': No such file or directory" ]
    cp "$SEEP_BUILD/rec/libseep-rec.so" 'with blank.so'
    both "$SEEP" run --recorder 'with blank.so' -- true
    [ "$status" -eq 3 ]
    [[ $err == "seep: cannot preload '"*"with blank.so'"$'\n'"hint: "* ]]
    mkdir bin
    cp "$SEEP" bin/seep
    both bin/seep run -- true
    if [ "$status" -ne 0 ]; then # another seep may be installed
        [ "$status" -eq 3 ]
        [[ $err == "seep: cannot find the recorder (libseep-rec.so)"$'\n'"hint: "* ]]
    fi
    mkdir -p lib/seep
    cp "$SEEP_BUILD/rec/libseep-rec.so" lib/seep/
    both bin/seep run -q -- sh -c 'echo "$LD_PRELOAD"'
    [ "$out" = "$(realpath lib/seep/libseep-rec.so)" ]
}

@test "nothing to run and unknown options are usage errors" {
    both "$SEEP" run
    [ "$status" -eq 2 ]
    [[ $err == "seep: run: nothing to work on: expected a command"* ]]
    both "$SEEP" run --
    [ "$status" -eq 2 ]
    both "$SEEP" run --folow -- true
    [ "$status" -eq 2 ]
    [ "$err" = "seep: run: unknown option '--folow'"$'\n'"hint: did you mean '--follow'?" ]
}
