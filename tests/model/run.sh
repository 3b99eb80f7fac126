#!/usr/bin/env bash
# run.sh BUILD: verifies tests/model/simplex.pml with spin, exhaustively, and shows that the check can
# fail: each mutant must give a counterexample. Prints spin's own counts.
set -euo pipefail
model=$PWD/tests/model/simplex.pml
folder=$1/model
views=${VIEWS:-3}
rm -rf "$folder"
mkdir -p "$folder"

verify() { # NAME, -D...: leaves NAME.out; the exit code says nothing, pan's counts do
    local name=$1
    shift
    mkdir -p "$folder/$name"
    (
        cd "$folder/$name"
        spin "$@" -a "$model" >spin.out
        gcc -O3 -DSAFETY -DMEMLIM=3800 -o pan pan.c
        ./pan -m100000 -w25 >../"$name.out" 2>&1 || true
    )
    if ! grep -q '^State-vector' "$folder/$name.out"; then
        echo "model: spin did not finish $name:"
        tail -n 20 "$folder/$name.out"
        exit 1
    fi
}

show() { # NAME
    awk '/^State-vector/ { sub(",", "", $6); depth = $6; errors = $8 }
         /states, stored/ { states = $1 }
         /transitions \(=/ { transitions = $1 }
         /total actual memory/ { memory = $1 }
         /^pan: elapsed/ { seconds = $4 }
         END { printf "%s states, %s transitions, depth %s, %s MB, %s s, errors: %s\n", states, transitions, depth, memory, seconds == "" ? 0 : seconds, errors }' "$folder/$1.out"
}

failed=0
for mutant in FINALIZE_AFTER_NULLIFY SKIP_ANCESTRY AMNESIA; do
    verify "$mutant" "-DVIEWS=$views" "-D$mutant"
    broken=$(sed -n 's/^pan:1: assertion violated \(.*\) (at depth.*/\1/p' "$folder/$mutant.out")
    if [ -n "$broken" ]; then
        echo "mutant $mutant: counterexample found"
    else
        echo "mutant $mutant: NO counterexample: the model proves nothing"
        failed=1
    fi
    show "$mutant"
done
verify rules "-DVIEWS=$views"
echo "the rules, $views views:"
show rules
grep -q 'errors: 0$' "$folder/rules.out" || failed=1
if grep -qE 'search not completed|max search depth too small|out of memory|reached -DMEMLIM' "$folder/rules.out"; then
    echo "model: the search is not whole"
    failed=1
fi
if [ "$failed" -ne 0 ]; then
    echo "model: FAILED; see $folder/*.out"
    exit 1
fi
echo "model: no error in any state; every mutant was caught"
