#!/bin/sh
# Runs a command with an /etc of its own, which is gone with it: in_private_etc.sh COMMAND [ARGUMENT...]
# The machine's own /etc, and with it its /etc/ld.so.preload, is never written. Needs root; 77 where it
# cannot be done.
set -e
if [ "${SEEP_PRIVATE_ETC:-}" != inside ]; then
    [ "$(id -u)" -eq 0 ] || exit 77
    room=$(mktemp -d) || exit 77
    status=0
    SEEP_PRIVATE_ETC=inside SEEP_PRIVATE_ROOM=$room unshare --mount --propagation private "$0" "$@" || status=$?
    rmdir "$room"
    exit $status
fi
mount -t tmpfs -o mode=755 tmpfs "$SEEP_PRIVATE_ROOM" || exit 77
mkdir "$SEEP_PRIVATE_ROOM/upper" "$SEEP_PRIVATE_ROOM/work"
if ! mount -t overlay -o "lowerdir=/etc,upperdir=$SEEP_PRIVATE_ROOM/upper,workdir=$SEEP_PRIVATE_ROOM/work" \
    overlay /etc 2>/dev/null; then
    cp -a /etc "$SEEP_PRIVATE_ROOM/etc" 2>/dev/null || true
    mount --bind "$SEEP_PRIVATE_ROOM/etc" /etc || exit 77
fi
# The proof that it is another one, before anybody writes there.
: >/etc/seep-private-etc
[ -e "$SEEP_PRIVATE_ROOM/upper/seep-private-etc" ] || [ -e "$SEEP_PRIVATE_ROOM/etc/seep-private-etc" ] || exit 77
umount -l "$SEEP_PRIVATE_ROOM" 2>/dev/null || true
unset SEEP_PRIVATE_ROOM
export SEEP_PRIVATE_ETC
exec "$@"
