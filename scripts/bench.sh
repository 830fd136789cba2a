#!/bin/sh
# What seep costs (doc/overhead.md): builds, installs what is missing, measures.
#   scripts/bench.sh [--quick] [--rounds N] [--tools NAME,...] [WORKLOAD...]
#   scripts/bench.sh check                  compares every stack with another unwinder's
#   scripts/bench.sh flags [PROGRAM...]     what a flagged image costs all other programs (as root)
#   scripts/bench.sh servers [LOOKS]        servers under load, looked at 100 times: no check may fail
#   scripts/bench.sh attached [CYCLES]      servers under load, attached to and detached from 1,000 times
#   scripts/bench.sh attach [--rounds N]    how long attach stops a process; a malloc meanwhile, and after detach
#   scripts/bench.sh look [MIB...]          how long a process stands still for a look
#   scripts/bench.sh walk [MILLIONS]        a walk over so many blocks, beside reading their bytes
#   scripts/bench.sh map [MAPPINGS...]      seep map of many mappings, beside reading their smaps
#   scripts/bench.sh leaks [MILLIONS]       leaks of so many random blocks, beside LeakSanitizer
# Another build folder than build: BUILD=FOLDER. Results: FOLDER/bench-results/.
set -eu

here=$(dirname "$0")
build=${BUILD:-build}

"$here/setup.sh" build bench
"$here/build.sh" "$build"
if [ "${1:-}" = flags ]; then
	shift
	SEEP_BUILD=$build exec python3 -B "$here/../bench/flags.py" "$@"
fi
if [ "${1:-}" = servers ]; then
	SEEP_BUILD=$build SEEP_LOOKS=${2:-100} exec python3 -B "$here/../tests/e2e/looks.py"
fi
if [ "${1:-}" = attached ]; then
	SEEP_BUILD=$build SEEP_ATTACH_CYCLES=${2:-1000} \
		exec python3 -B "$here/../tests/e2e/attach_servers.py"
fi
if [ "${1:-}" = attach ]; then
	shift
	exec python3 -B "$here/../bench/attach_cost.py" --build "$build" "$@"
fi
if [ "${1:-}" = look ]; then
	shift
	exec python3 -B "$here/../bench/look_pause.py" --build "$build" "$@"
fi
if [ "${1:-}" = walk ]; then
	shift
	exec python3 -B "$here/../bench/heap_walk.py" "$build" "$@"
fi
if [ "${1:-}" = map ]; then
	shift
	exec python3 -B "$here/../bench/map_speed.py" --build "$build" "$@"
fi
if [ "${1:-}" = leaks ]; then
	shift
	exec python3 -B "$here/../bench/leak_speed.py" "$build" "$@"
fi
exec python3 -B "$here/../bench/bench.py" --build "$build" "$@"
