#!/bin/sh
# Installs what is missing for the groups given (scripts/packages.txt), by apt, as root or by sudo.
# Does nothing, and needs no network, when everything is there.
#   scripts/setup.sh GROUP...            installs
#   scripts/setup.sh --missing GROUP...  prints what it would install
set -eu

here=$(dirname "$0")
list=${SEEP_PACKAGES:-$here/packages.txt}

have_header() {
    for folder in /usr/include /usr/local/include /usr/include/*-linux-gnu; do
        [ -e "$folder/$1" ] && return 0
    done
    return 1
}

# have PACKAGE PROOF
have() {
    case $2 in
    cmd:*) command -v "${2#cmd:}" >/dev/null 2>&1 && return 0 ;;
    pc:*) pkg-config --exists "${2#pc:}" 2>/dev/null && return 0 ;;
    h:*) have_header "${2#h:}" && return 0 ;;
    esac
    # A command that is not in PATH is missing even when dpkg knows its package.
    case $2 in cmd:*) return 1 ;; esac
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing() {
    sed 's/#.*//' "$list" | while read -r package group proof _; do
        [ -n "$package" ] || continue
        case " $* " in
        *" ${group:-check} "*) have "$package" "${proof:-none}" || printf ' %s' "$package" ;;
        esac
    done
}

if [ "${1:-}" = --missing ]; then
    shift
    missing "$@"
    exit 0
fi
packages=$(missing "$@")
[ -n "$packages" ] || exit 0

explain() {
    echo "seep: $1" >&2
    echo "hint: as root: apt-get install -y --no-install-recommends$packages" >&2
    exit 1
}

command -v apt-get >/dev/null 2>&1 ||
    explain "these Debian packages, or what they are called here, are missing:$packages"
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    explain "packages are missing, and installing them needs root:$packages"
fi

echo "installing:$packages" >&2
apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# An outdated package list is worth a try; only the installation decides.
$apt update >"$log" 2>&1 || true
# shellcheck disable=SC2086
if ! $apt install -y --no-install-recommends $packages >>"$log" 2>&1; then
    tail -n 20 "$log" >&2
    explain "apt-get could not install:$packages"
fi
packages=$(missing "$@")
[ -z "$packages" ] || explain "still missing after the installation:$packages"
