#!/bin/sh
# What seep costs (doc/overhead.md): builds, installs what is missing, measures.
#   scripts/bench.sh [--quick] [--rounds N] [--tools NAME,...] [WORKLOAD...]
#   scripts/bench.sh check                  compares every stack with another unwinder's
# Another build folder than build: BUILD=FOLDER. Results: FOLDER/bench-results/.
set -eu

here=$(dirname "$0")
build=${BUILD:-build}

"$here/setup.sh" build bench
"$here/build.sh" "$build"
exec python3 -B "$here/../bench/bench.py" --build "$build" "$@"
