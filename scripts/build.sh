#!/bin/sh
# Builds the tree above into FOLDER; further arguments are for `meson setup` (once, when it is new).
#   scripts/build.sh FOLDER [MESON-ARGUMENT...]
set -eu

source=$(cd "$(dirname "$0")/.." && pwd)
build=$1
shift

if [ ! -e "$build/build.ninja" ]; then
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    # What an interrupted setup left would be refused; nothing else is ever removed.
    if [ -d "$build/meson-private" ]; then
        rm -rf "$build"
    fi
    if ! meson setup "$build" "$source" "$@" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        exit 1
    fi
fi
exec ninja -C "$build" --quiet
