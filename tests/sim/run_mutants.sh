#!/usr/bin/env bash
# usage: run_mutants.sh FLEXSIM SEEDS: each rule that can be switched off must be missed by an oracle
# within that many seeds (exit 1, safety, or 3, liveness); a crash is not a catch.
set -uo pipefail
sim=$1
seeds=$2
failed=0
while read -r _ mutant _; do
    said=$("$sim" --seed 1 --seeds "$seeds" --mutant "$mutant" 2>&1)
    code=$?
    caught=$(tail -n 1 <<<"$said" | sed -E 's/flexsim: ([0-9]+) seeds.*/\1/')
    if [ "$code" -ne 1 ] && [ "$code" -ne 3 ]; then
        printf 'mutant %-24s NOT CAUGHT by %s seeds (exit %d)\n' "$mutant" "$seeds" "$code"
        failed=1
    else
        what=$(grep -m 1 '^seed ' <<<"$said" | cut -c 1-90)
        printf 'mutant %-24s caught after %4s seeds: %s\n' "$mutant" "$caught" "$what"
    fi
done < <("$sim" --list | grep '^mutant')
exit "$failed"
