#!/bin/sh
# The growing victim in a pid namespace of its own, as in a container: it says a small pid.
exec unshare --user --map-root-user --pid --fork --kill-child \
    bash -c 'exec -a "$0" "$SEEP_BUILD/tests/victims/victim-grow"' "in-namespace-$PPID"
