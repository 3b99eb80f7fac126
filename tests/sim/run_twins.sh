#!/usr/bin/env bash
# usage: run_twins.sh FLEXSIM tier|whole: the twins campaign (docs/simulator.md). f twinned validators break
# nothing, in whatever way the network is divided; one more breaks the chain, and the oracles see it.
set -uo pipefail
sim=$1
failed=0

expect() {
    local wanted=$1 said code
    shift
    said=$("$sim" "$@" 2>&1)
    code=$?
    printf '%s\n' "$said" | grep '^twins:'
    if [ "$code" -ne "$wanted" ]; then
        printf 'flexsim %s: exit %d, not %d\n%s\n' "$*" "$code" "$wanted" "$said"
        failed=1
    fi
}

if [ "$2" = whole ]; then
    expect 0 --twins 3
    expect 0 --twins 4 --count 20000
    expect 0 --twins 5 --count 5000
    expect 0 --nodes 5 --twins 3 --count 5000
    expect 0 --nodes 5 --twins 4 --count 2000
    expect 0 --nodes 7 --twins 3 --count 3000
    expect 0 --nodes 7 --twins 4 --count 2000
    expect 0 --nodes 7 --twins 5 --count 1000
    expect 0 --nodes 10 --twins 3 --count 1500
    expect 0 --nodes 10 --twins 4 --count 1000
    expect 0 --nodes 10 --twins 5 --count 500
    expect 1 --nodes 10 --twins 3 --byzantine 4 --count 300
else
    expect 0 --twins 3 --count 300
    expect 0 --twins 5 --count 60
    expect 0 --nodes 5 --twins 4 --count 40
    expect 0 --nodes 7 --twins 4 --count 40
    expect 0 --nodes 10 --twins 5 --count 20
fi
# Two quorums of 4, 7 or 10 share f + 1 validators: just as many liars as it takes. Of 5 they share three.
expect 1 --twins 3 --byzantine 2 --count 60
expect 1 --nodes 5 --twins 3 --byzantine 3 --count 150
expect 1 --nodes 7 --twins 3 --byzantine 3 --count 150
# Rules that the campaign must find missing.
expect 1 --twins 3 --count 300 --mutant finalize-after-nullify
expect 3 --twins 3 --count 300 --mutant no-fetch-no-standstill
exit "$failed"
