#!/usr/bin/env bash
# usage: run_upgrades.sh FLEXSIM SEEDS MUTANT...: in every run the validators vote new rules in, and old programs run
# beside new ones (docs/simulator.md, "New rules"). FLEXSIM is the one with a second version. Fails as well
# if no program had to stop or none stayed old to the end: then nothing was shown. At the end the mutants.
set -uo pipefail
sim=$1
seeds=$2
fourth=$(((seeds + 3) / 4))
code=0
said=$("$sim" --upgrade --seed 1 --seeds "$seeds" --json) || code=$?
printf '%s\n' "$said" | tail -n 1
printf '%s\n' "$said" | head -n 1 | jq -e '.halts > 0 and .laggards > 0' >/dev/null || {
    echo "run_upgrades: no program stopped, or none was late"
    code=1
}
"$sim" --upgrade --nodes 7 --seed 1 --seeds "$fourth" || code=$?
"$sim" --upgrade --nodes 5 --ed25519 --seed 1 --seeds $(((seeds + 19) / 20)) || code=$?
for mutant in "${@:3}"; do
    caught=0
    "$sim" --upgrade --mutant "$mutant" --seed 1 --seeds 1000 >/dev/null 2>&1 || caught=$?
    [ "$caught" = 1 ] || {
        echo "run_upgrades: mutant $mutant is not caught (exit $caught)"
        code=1
    }
done
exit "$code"
