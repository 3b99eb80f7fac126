#!/usr/bin/env bash
# usage: run_epochs.sh FLEXSIM SEEDS: in every run the validator set changes. SEEDS with 4 validators, a fourth
# as many with 5 and with 7, some with 10 and 31, and tours from 4 to 31 and back. On both cores; fails with the
# first exit code that is not 0.
set -uo pipefail
sim=$1
seeds=$2
fourth=$(((seeds + 3) / 4))
few=$(((seeds + 19) / 20))
"$sim" --epochs always --seed 1 --seeds "$seeds" &
first=$!
code=0
"$sim" --epochs always --nodes 7 --seed 1 --seeds "$fourth" || code=$?
"$sim" --epochs always --nodes 5 --seed 1 --seeds "$fourth" || code=$?
"$sim" --epochs always --nodes 10 --seed 1 --seeds "$few" || code=$?
"$sim" --epochs always --nodes 31 --seed 1 --seeds $(((few + 9) / 10)) || code=$?
"$sim" --epochs always --ed25519 --seed 1 --seeds "$few" || code=$?
"$sim" --epochs tour --seed 1 --seeds $(((few + 4) / 5)) || code=$?
wait "$first" || code=$?
exit "$code"
