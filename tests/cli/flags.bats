#!/usr/bin/env bats
# seep flags: the list and its messages, on a folder instead of /etc. tests/e2e/flags.py starts programs.

setup() {
    unset NO_COLOR COLUMNS LD_PRELOAD
    export TERM=xterm
    # Readable by all, whoever may look into the build folder.
    OPEN=$(mktemp -d /tmp/seep-flags-XXXXXX)
    chmod 755 "$OPEN"
    cp "$SEEP_BUILD/rec/libseep-rec.so" "$SEEP_BUILD/rec/libseep-flags.so" "$OPEN"
    chmod 755 "$OPEN"/*.so
    export SEEP_RECORDER="$OPEN/libseep-rec.so"
    export SEEP_ETC="$BATS_TEST_TMPDIR/etc"
    mkdir "$SEEP_ETC"
    IMAGE=$(realpath /bin/cat)
    cd "$BATS_TEST_TMPDIR"
}

teardown() {
    rm -rf "$OPEN"
}

both() {
    local errors="$BATS_TEST_TMPDIR/err"
    status=0
    out=$("$@" 2>"$errors") || status=$?
    err=$(cat "$errors")
}

@test "an image is switched on and off, and nothing is left" {
    both "$SEEP" flags /bin/cat +ust
    [ "$status" -eq 0 ]
    [ -z "$out" ]
    [[ $err == *"+ust is on for every next start of '$IMAGE', until 20"*"(1d 00h)"* ]]
    [[ $err == *"SEEP_ETC is set"* ]]
    [ "$(cat "$SEEP_ETC/ld.so.preload")" = "$OPEN/libseep-flags.so" ]
    [ "$(stat -c %a "$SEEP_ETC/ld.so.preload" "$SEEP_ETC/seep/flags" | sort -u)" = 644 ]
    [ "$(sed -n 2p "$SEEP_ETC/seep/flags")" = "recorder $OPEN/libseep-rec.so" ]
    both "$SEEP" flags /bin/cat -ust
    [ "$status" -eq 0 ]
    [ "$err" = "seep: +ust is off for '$IMAGE'" ]
    [ -z "$(ls -A "$SEEP_ETC")" ]
}

@test "options may stand before, behind and between" {
    for command in "--expire 2h $IMAGE +ust" "+ust $IMAGE --expire=2h" "$IMAGE -e 2h +ust"; do
        both "$SEEP" flags $command
        [ "$status" -eq 0 ]
        [[ $err == *"(2h 00m)"* ]]
        both "$SEEP" flags -ust "$IMAGE"
        [ "$status" -eq 0 ]
    done
}

@test "the list: text, JSON, CSV, one image" {
    both "$SEEP" flags
    [ "$status" -eq 0 ]
    [ "$out" = "no image is flagged" ]
    "$SEEP" flags "$IMAGE" +ust --expire 30m 2>/dev/null
    "$SEEP" flags --name worker +ust 2>/dev/null
    both "$SEEP" flags
    [[ $out == IMAGE* ]]
    [[ $out == *"$IMAGE"*path*" on"*worker*name*" on"* ]]
    "$SEEP" flags --format json >list.json
    python3 - "$IMAGE" <<'PY'
import json, sys, time
d = json.load(open("list.json"))
assert d["schema"] == "seep-flags-1", d
assert d["totals"] == {"images": 2}, d
a, b = d["rows"]
assert (a["image"], a["by"], a["mode"], a["state"]) == (sys.argv[1], "path", "lite", "on"), a
assert a["expires_unix_s"] - a["since_unix_s"] == 1800, a
assert abs(time.time() - a["since_unix_s"]) < 60, a
assert (b["image"], b["by"]) == ("worker", "name"), b
assert b["expires_unix_s"] - b["since_unix_s"] == 86400, b
PY
    both "$SEEP" flags --format csv "$IMAGE"
    [ "$(echo "$out" | wc -l)" -eq 2 ]
    [[ $out == image,by,mode,since,* ]]
    both "$SEEP" flags --name worker --output list.txt
    [ "$(tail -n +2 list.txt | wc -l)" -eq 1 ]
    both "$SEEP" flags /bin/ls
    [ "$out" = "no image is flagged" ]
}

@test "on again sets the time anew, and since stays" {
    "$SEEP" flags "$IMAGE" +ust 2>/dev/null
    sed -i 's/^ust [0-9]* /ust 1000 /' "$SEEP_ETC/seep/flags"
    "$SEEP" flags "$IMAGE" +ust --expire 1h 2>/dev/null
    [[ $(tail -n 1 "$SEEP_ETC/seep/flags") == "ust 1000 "*" lite path $IMAGE" ]]
    [ "$(wc -l <"$SEEP_ETC/seep/flags")" -eq 3 ]
}

@test "what is over is told and cleaned up" {
    "$SEEP" flags "$IMAGE" +ust 2>/dev/null
    sed -i 's/^ust [0-9]* [0-9]* /ust 1000 2000 /' "$SEEP_ETC/seep/flags"
    both "$SEEP" flags
    [ "$status" -eq 0 ]
    [ "$out" = "no image is flagged" ]
    [ "$err" = "seep: 1 image expired, and is off now" ]
    [ -z "$(ls -A "$SEEP_ETC")" ]
}

@test "what was not on is not switched off" {
    both "$SEEP" flags "$IMAGE" -ust
    [ "$status" -eq 0 ]
    [ "$err" = "seep: +ust was not on for '$IMAGE'" ]
    "$SEEP" flags --name nothing +ust 2>/dev/null
    both "$SEEP" flags --name something -ust
    [ "$status" -eq 0 ]
    [ -e "$SEEP_ETC/seep/flags" ]
}

@test "an image that is gone can be switched off" {
    cp /bin/cat gone
    "$SEEP" flags ./gone +ust 2>/dev/null
    rm gone
    both "$SEEP" flags
    [[ $out == *"no such file now"* ]]
    both "$SEEP" flags ./gone -ust
    [ "$status" -eq 0 ]
    [ -z "$(ls -A "$SEEP_ETC")" ]
}

@test "other lines of ld.so.preload stay" {
    printf '# mine\n/lib/a.so /lib/b.so # two\n\n/lib/c.so' >"$SEEP_ETC/ld.so.preload"
    cp "$SEEP_ETC/ld.so.preload" before
    "$SEEP" flags "$IMAGE" +ust 2>/dev/null
    [ "$(grep -c libseep-flags.so "$SEEP_ETC/ld.so.preload")" -eq 1 ]
    "$SEEP" flags "$IMAGE" -ust 2>/dev/null
    cmp before "$SEEP_ETC/ld.so.preload"
}

@test "a line of an older installation is replaced" {
    echo /opt/old/libseep-flags.so >"$SEEP_ETC/ld.so.preload"
    "$SEEP" flags "$IMAGE" +ust 2>/dev/null
    [ "$(cat "$SEEP_ETC/ld.so.preload")" = "$OPEN/libseep-flags.so" ]
}

@test "a stub that is not in the list of the loader is told" {
    "$SEEP" flags "$IMAGE" +ust 2>/dev/null
    rm "$SEEP_ETC/ld.so.preload"
    both "$SEEP" flags
    [[ $out == *"does not name the stub"* ]]
}

@test "a damaged list: lines are left out and told, what is no list is refused" {
    "$SEEP" flags "$IMAGE" +ust 2>/dev/null
    echo "ust soon later lite path /bin/ls" >>"$SEEP_ETC/seep/flags"
    both "$SEEP" flags
    [ "$status" -eq 0 ]
    [ "$err" = "seep: warning: 1 damaged line in '$SEEP_ETC/seep/flags' (line 4) is left out" ]
    [[ $out == *"$IMAGE"* ]]
    echo "something else" >"$SEEP_ETC/seep/flags"
    for arguments in "" "$IMAGE +ust" "$IMAGE -ust"; do
        both "$SEEP" flags $arguments
        [ "$status" -eq 4 ]
        [[ $err == *"is not a list of this seep's flags"*$'\n'"hint: "* ]]
    done
    both "$SEEP" flags --clear
    [ "$status" -eq 0 ]
    [ -z "$(ls -A "$SEEP_ETC")" ]
}

@test "images that cannot be recorded are refused with the reason" {
    refused() {
        both "$SEEP" flags "$1" +ust
        [ "$status" -eq "$2" ] || { echo "$status: $err"; return 1; }
        [[ $err == "seep: cannot flag '"*"$3"* ]] || { echo "$err"; return 1; }
        [ -z "$(ls -A "$SEEP_ETC")" ]
    }
    refused cat 2 "it is no path"
    refused "" 2 "the name is empty"
    refused ./missing 3 "No such file or directory"
    refused /tmp 3 "it is not a program"
    refused "$SEEP_BUILD/tests/victims/victim-static" 3 "it is statically linked"
    printf '#!/bin/sh\n' >script
    refused ./script 3 "Permission denied"
    chmod +x script
    refused ./script 3 "it is a script"
    [[ $err == *"seep flags $(realpath /bin/sh | sed 's,.*/,,')"* || $err == *"seep flags /"* ]]
    cp /bin/cat privileged
    chmod u+s privileged
    refused ./privileged 3 "set-user-ID"
    printf '\177ELF\001\001\001' >old
    head -c 200 /dev/zero >>old
    printf '\003' | dd of=old bs=1 seek=18 conv=notrunc 2>/dev/null
    chmod +x old
    refused ./old 3 "32-bit x86"
    if command -v musl-gcc >/dev/null; then
        echo 'int main(void) { return 0; }' >m.c
        musl-gcc -o m m.c
        refused ./m 3 "does not read /etc/ld.so.preload"
    fi
    refused "$(printf 'a\nb')/x" 3 "No such file"
}

@test "a recorder that others may not read is refused" {
    chmod 700 "$OPEN"
    both "$SEEP" flags "$IMAGE" +ust
    [ "$status" -eq 3 ]
    [[ $err == *"'$OPEN' is not open to all users"* ]]
    chmod 755 "$OPEN"
    rm "$OPEN/libseep-flags.so"
    both "$SEEP" flags "$IMAGE" +ust
    [ "$status" -eq 3 ]
    [[ $err == *"libseep-flags.so': No such file"* ]]
    [ -z "$(ls -A "$SEEP_ETC")" ]
}

@test "who may not write is told that only root may" {
    if [ "$(id -u)" -eq 0 ]; then
        cp "$SEEP" "$OPEN/seep"
        chmod 755 "$OPEN/seep" "$SEEP_ETC"
        chmod 755 "$BATS_TEST_TMPDIR" 2>/dev/null || true
        both setpriv --reuid=65534 --regid=65534 --clear-groups env -u SEEP_ETC "$OPEN/seep" flags "$IMAGE" +ust
    else
        both env -u SEEP_ETC "$SEEP" flags "$IMAGE" +ust
    fi
    [ "$status" -eq 4 ]
    [[ $err == *"cannot write '/etc/seep/flags': Permission denied"*"only root may"* ]]
    [ ! -e /etc/seep ]
}

@test "wrong command lines are explained" {
    wrong() {
        both "$SEEP" flags "${@:2}"
        [ "$status" -eq 2 ] || { echo "$status: $err"; return 1; }
        [[ $err == *"$1"* ]] || { echo "$err"; return 1; }
    }
    wrong "which image?" +ust
    wrong "either +ust or -ust" "$IMAGE" +ust -ust
    wrong "unexpected operand 'b'" a b
    wrong "--name needs a name" --name
    wrong "--name takes the last part" --name /bin/cat +ust
    wrong "--expire: less than a second" "$IMAGE" +ust --expire 0
    wrong "--expire: more than a year" "$IMAGE" +ust --expire 400d
    wrong "--expire" "$IMAGE" +ust --expire soon
    wrong "--mode" "$IMAGE" +ust --mode full
    wrong "--clear goes alone" --clear "$IMAGE"
}

# ---- units ----

unit() {
    mkdir -p "$SEEP_ETC/systemd/system"
    printf '%s\n' "${@:2}" >"$SEEP_ETC/systemd/system/$1"
}

@test "a unit is switched on and off: a drop-in, no stub for others, and nothing is left" {
    unit catty.service '[Service]' 'ExecStart=-/bin/cat /dev/null'
    before=$(find "$SEEP_ETC" | sort)
    both "$SEEP" flags --unit catty +ust --expire 2h
    [ "$status" -eq 0 ]
    [[ $err == *"+ust is on for every next start of 'catty.service' ($IMAGE), until 20"*"(2h 00m)"* ]]
    [[ $err == *"hint: "*"systemctl daemon-reload"*"systemctl restart catty.service"* ]]
    [ ! -e "$SEEP_ETC/ld.so.preload" ]
    drop_in="$SEEP_ETC/systemd/system/catty.service.d/50-seep-ust.conf"
    [ "$(stat -c %a "$drop_in")" = 644 ]
    [ "$(grep -v '^#' "$drop_in")" = "[Service]
Environment=\"LD_PRELOAD=$OPEN/libseep-flags.so\"
Environment=\"SEEP_UNIT=catty.service\"" ]
    [[ $(tail -n 1 "$SEEP_ETC/seep/flags") == "ust "*" lite unit catty.service $IMAGE" ]]
    both "$SEEP" flags
    [[ $out == *"$IMAGE"*unit*" on "*catty.service* ]]
    "$SEEP" flags --format json --unit catty.service >list.json
    grep -q '"unit": *"catty.service"' list.json
    both "$SEEP" flags --unit other
    [ "$out" = "no image is flagged" ]
    both "$SEEP" top --once $$
    [[ $out == *"+ust is on for every start of catty.service, since "* ]]
    both "$SEEP" flags --unit catty.service -ust
    [ "$status" -eq 0 ]
    [[ $err == *"+ust is off for 'catty.service'"*"systemctl daemon-reload"* ]]
    [ "$(find "$SEEP_ETC" | sort)" = "$before" ]
}

@test "a unit and its image are flagged one beside the other" {
    unit catty.service '[Service]' 'ExecStart=/bin/cat'
    "$SEEP" flags --unit catty +ust 2>/dev/null
    "$SEEP" flags "$IMAGE" +ust 2>/dev/null
    [ -e "$SEEP_ETC/ld.so.preload" ]
    "$SEEP" flags "$IMAGE" -ust 2>/dev/null
    [ ! -e "$SEEP_ETC/ld.so.preload" ]
    [ -e "$SEEP_ETC/systemd/system/catty.service.d/50-seep-ust.conf" ]
    both "$SEEP" flags --clear
    [ "$status" -eq 0 ]
    [ ! -e "$SEEP_ETC/systemd/system/catty.service.d" ]
    [ ! -e "$SEEP_ETC/seep" ]
}

@test "a unit whose time is over loses its drop-in; other people's drop-ins stay" {
    unit catty.service '[Service]' 'ExecStart=/bin/cat'
    mkdir "$SEEP_ETC/systemd/system/catty.service.d"
    echo '[Service]' >"$SEEP_ETC/systemd/system/catty.service.d/10-mine.conf"
    "$SEEP" flags --unit catty +ust 2>/dev/null
    sed -i 's/^ust [0-9]* [0-9]* /ust 1000 2000 /' "$SEEP_ETC/seep/flags"
    both "$SEEP" flags
    [ "$out" = "no image is flagged" ]
    [ "$(ls "$SEEP_ETC/systemd/system/catty.service.d")" = 10-mine.conf ]
    [ ! -e "$SEEP_ETC/seep" ]
}

@test "a drop-in that is gone is told; one that is left over goes" {
    unit catty.service '[Service]' 'ExecStart=/bin/cat'
    "$SEEP" flags --unit catty +ust 2>/dev/null
    cp -r "$SEEP_ETC/systemd/system/catty.service.d" kept
    rm -r "$SEEP_ETC/systemd/system/catty.service.d"
    both "$SEEP" flags
    [[ $out == *"off: its drop-in is gone"* ]]
    "$SEEP" flags --unit catty -ust 2>/dev/null
    cp -r kept "$SEEP_ETC/systemd/system/catty.service.d"
    both "$SEEP" flags --unit catty -ust
    [ "$status" -eq 0 ]
    [ ! -e "$SEEP_ETC/systemd/system/catty.service.d" ]
}

@test "which program a unit starts: the last word of its files" {
    unit a.service '[Service]' '# ExecStart=/bin/ls' 'ExecStart = @/bin/ls \' '  -l'
    "$SEEP" flags --unit a +ust 2>/dev/null
    grep -q " unit a.service $(realpath /bin/ls)\$" "$SEEP_ETC/seep/flags"
    mkdir -p "$SEEP_ETC/systemd/system/a.service.d"
    printf '[Service]\nExecStart=\nExecStart="/bin/cat" x\n' >"$SEEP_ETC/systemd/system/a.service.d/x.conf"
    "$SEEP" flags --unit a +ust 2>/dev/null
    grep -q " unit a.service $IMAGE\$" "$SEEP_ETC/seep/flags"
    unit b@.service '[Service]' 'ExecStart=cat %i'
    "$SEEP" flags --unit b@7 +ust 2>/dev/null
    grep -q " unit b@7.service $IMAGE\$" "$SEEP_ETC/seep/flags"
    [ -e "$SEEP_ETC/systemd/system/b@7.service.d/50-seep-ust.conf" ]
}

@test "units that cannot be flagged are refused with the reason" {
    refused() {
        both "$SEEP" flags --unit "$1" +ust
        [ "$status" -eq 3 ] || { echo "$status: $err"; return 1; }
        [[ $err == *"$2"* ]] || { echo "$err"; return 1; }
        [ ! -e "$SEEP_ETC/seep" ]
        [ ! -e "$SEEP_ETC/systemd/system/$1.d" ]
    }
    refused none.service "there is no file of that name"
    unit a.service '[Service]' 'Type=oneshot'
    refused a.service "it has no ExecStart="
    unit b.service '[Service]' 'ExecStart=/bin/cat' 'Environment=LD_PRELOAD=libjemalloc.so.2'
    refused b.service "it preloads a library itself"
    echo 'LD_PRELOAD=libjemalloc.so.2' >env
    unit c.service '[Service]' 'ExecStart=/bin/cat' "EnvironmentFile=-$PWD/env"
    refused c.service "it preloads a library itself"
    unit d.service '[Service]' 'ExecStart=/nowhere/program'
    refused d.service "its program '/nowhere/program': No such file"
    unit e.service '[Service]' 'ExecStart=%h/program'
    refused e.service "does not say plainly"
    printf '#!/bin/sh\n' >script && chmod 755 script
    unit f.service '[Service]' "ExecStart=$PWD/script"
    refused f.service "script"
    head -c 3000 /dev/urandom >"$SEEP_ETC/systemd/system/g.service"
    refused g.service "ExecStart="
}

@test "wrong command lines about units are explained" {
    for name in 'a b' '' '../x' '.service' 'a/b'; do
        both "$SEEP" flags --unit "$name" +ust
        [ "$status" -eq 2 ] || { echo "$name: $status: $err"; return 1; }
    done
    both "$SEEP" flags --unit --name x +ust
    [ "$status" -eq 2 ]
    both "$SEEP" flags --unit
    [ "$status" -eq 2 ]
    both "$SEEP" flags --unit x -ust
    [ "$status" -eq 0 ]
    [ "$err" = "seep: +ust was not on for 'x.service'" ]
}
