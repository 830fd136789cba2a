#!/bin/bash
# Everything that must hold before a change is taken: gcc and clang builds without a warning, unit
# tests under the sanitizers, all tests, style. The last line is `N passed, N failed, N skipped`.
set -u
cd "$(dirname "$0")/.." || exit 1

# A folder configured before a package came does not look for it again by itself.
[ -z "$(scripts/setup.sh --missing build check)" ] || stale=(build build-clang build-asan)
scripts/setup.sh build check || exit 1
for folder in "${stale[@]}"; do
    rm -f "$folder/build.ninja"
done

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
failed_steps=()

# step NAME COMMAND...: quiet when it works; shows the end of its output and goes on when not.
step() {
    local name=$1
    shift
    printf '== %s\n' "$name"
    if ! "$@" >"$logs/step" 2>&1; then
        tail -n 40 "$logs/step"
        failed_steps+=("$name")
        return 1
    fi
}

# run_tests FOLDER [MESON-TEST-ARGUMENT...]: failures are counted from the log, not from the status.
run_tests() {
    local build=$1 log=$1/meson-logs/testlog.json
    shift
    rm -f "$log"
    printf '== tests in %s\n' "$build"
    meson test -C "$build" --no-rebuild "$@" >"$logs/step" 2>&1
    if [ -s "$log" ]; then
        results+=("$log")
    else
        tail -n 20 "$logs/step"
        failed_steps+=("tests in $build")
    fi
}

results=()
# The sanitizers' code gives gcc wrong ideas about formats and overflows: warnings are judged above.
san=(-Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 -Dwerror=false)
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

step "build with gcc" env CC=gcc scripts/build.sh build && run_tests build
step "build with clang" env CC=clang scripts/build.sh build-clang &&
    run_tests build-clang --suite unit
step "build with gcc, address and undefined-behaviour sanitizers" \
    env CC=gcc scripts/build.sh build-asan "${san[@]}" &&
    run_tests build-asan --suite unit --suite fuzz

exec scripts/count-tests.py --failed-steps "${#failed_steps[@]}" "${results[@]}"
