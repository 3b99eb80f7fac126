#!/usr/bin/env bash
# usage: run_seeds.sh FLEXSIM SEEDS: seeds 1..SEEDS with 4 validators in two halves at the same time, a
# fifth as many with 7, a few with 5, 10 and 31. Fails with the first exit code that is not 0.
set -uo pipefail
sim=$1
seeds=$2
half=$(((seeds + 1) / 2))
fifth=$(((seeds + 9) / 10))
few=$(((seeds + 39) / 40))
"$sim" --seed 1 --seeds "$half" &
first=$!
(
    worst=0
    "$sim" --seed $((half + 1)) --seeds "$half" || worst=$?
    "$sim" --nodes 7 --seed $((fifth + 1)) --seeds "$fifth" || worst=$?
    "$sim" --nodes 5 --seed 1 --seeds "$few" || worst=$?
    exit "$worst"
) &
second=$!
code=0
wait "$first" || code=$?
"$sim" --nodes 7 --seed 1 --seeds "$fifth" || code=$?
"$sim" --nodes 10 --seed 1 --seeds "$few" || code=$?
"$sim" --nodes 31 --seed 1 --seeds $(((few + 9) / 10)) || code=$?
"$sim" --ed25519 --seed 1 --seeds $(((few + 4) / 5)) || code=$?
wait "$second" || code=$?
exit "$code"
