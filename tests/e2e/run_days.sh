#!/usr/bin/env bash
# Plays the demonstration day: on the bundled data, and on the real grid where ../shared/data is
# there. Says plainly when the second one was not played.
set -euo pipefail
build=${1:?build folder}
examples/day/run.sh "$build" "" 1 "$build/day-bundled"
echo "day: bundled data played, every promise kept"
if [ -d ../shared/data/simbench ]; then
    examples/day/run.sh "$build" ../shared/data 1 "$build/day-simbench"
    echo "day: SimBench LV1.101 played, every promise kept"
else
    echo "day: ../shared/data is not here, so the SimBench day was NOT played"
fi
