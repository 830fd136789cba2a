#!/bin/sh
# split-symbols.sh PROGRAM STRIPPED: writes a stripped copy and puts its symbols where tools look.
#
#	STRIPPED
#	.build-id/xx/yyyy.debug			by build-id
#	.debug/STRIPPED.debug -> the same	by debug link
set -eu

in=$1
out=$2
folder=$(dirname "$out")
name=$(basename "$out")

id=$(readelf -n "$in" | sed -n 's/.*Build ID: *//p' | head -n 1)
if [ -z "$id" ]; then
	echo "split-symbols.sh: '$in' has no build-id" >&2
	exit 1
fi
rest=${id#??}
file=.build-id/${id%"$rest"}/$rest.debug

rm -rf "$folder/.build-id" "$folder/.debug"
mkdir -p "$folder/$(dirname "$file")" "$folder/.debug"
objcopy --only-keep-debug "$in" "$folder/$file"
chmod 644 "$folder/$file"
ln -s "../$file" "$folder/.debug/$name.debug"
objcopy --strip-all --add-gnu-debuglink="$folder/.debug/$name.debug" "$in" "$out"
