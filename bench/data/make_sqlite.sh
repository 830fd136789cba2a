#!/bin/sh
# The SQLite amalgamation, preprocessed, from Debian's source package; the system's own list of
# sources is read but not changed. Fails, with nothing written, where there is no such package.
#   make_sqlite.sh OUTPUT.i
set -eu

output=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

mkdir -p "$tmp/parts" "$tmp/lists/partial" "$tmp/cache/archives/partial" "$tmp/tree"
for list in /etc/apt/sources.list.d/*.sources; do
    [ -e "$list" ] || continue
    sed 's/^Types:.*/Types: deb-src/' "$list" >"$tmp/parts/$(basename "$list")"
done
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -e "$list" ] || continue
    sed -n 's/^deb\(-src\)\{0,1\} /deb-src /p' "$list" >"$tmp/parts/of-$(basename "$list")"
done

apt() {
    apt-get -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$tmp/parts" \
        -o Dir::State::lists="$tmp/lists" -o Dir::Cache="$tmp/cache" -o APT::Sandbox::User=root "$@"
}

cd "$tmp"
apt update
apt source --download-only sqlite3
tar -xf sqlite3_*.orig.tar.* -C tree --strip-components=1
cd tree
./configure --quiet
make -s sqlite3.c
gcc -E -P sqlite3.c -o "$tmp/sqlite3.i"
mv "$tmp/sqlite3.i" "$output"
