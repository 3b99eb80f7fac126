#!/usr/bin/env bash
# usage: run_regress.sh FLEXSIM: replays each line of regress*.txt (arguments of flexsim; what follows a #
# is said to people), then runs one seed twice and compares digests, and checks the exit codes.
set -uo pipefail
sim=$1
here=$(dirname "$0")
failed=0
count=0
while IFS= read -r line; do
    arguments=${line%%#*}
    [ -z "${arguments// /}" ] && continue
    count=$((count + 1))
    # The arguments are words of a file of ours.
    # shellcheck disable=SC2086
    if ! said=$("$sim" $arguments 2>&1); then
        printf 'regression: flexsim %s\n%s\n' "$arguments" "$said"
        failed=1
    fi
done < <(cat "$here"/regress*.txt)

expect() {
    local wanted=$1
    shift
    "$sim" "$@" >/dev/null 2>&1
    local code=$?
    if [ "$code" -ne "$wanted" ]; then
        printf 'flexsim %s: exit %d, not %d\n' "$*" "$code" "$wanted"
        failed=1
    fi
}
expect 2 --nodes 3
expect 2 --persona nobody
expect 2 --mutant nothing --seed 1
expect 2 --seed
expect 2 --seeds 0
expect 2 --byzantine 4 --seed 1
expect 2 --byzantine 1 --persona none --seed 1
expect 2 --epochs sometimes --seed 1
expect 2 --epochs tour --nodes 7 --seed 1
# f lie: nothing breaks. One more: the chain does, and the oracles must see it.
expect 0 --seed 1 --seeds 10 --persona colluder
expect 0 --nodes 7 --seed 1 --seeds 5 --persona colluder
expect 1 --seed 1 --seeds 5 --byzantine 2 --persona colluder
expect 1 --seed 1 --seeds 60 --byzantine 2 --persona twin
expect 1 --nodes 7 --seed 1 --seeds 5 --byzantine 3 --persona colluder
expect 1 --nodes 7 --seed 101 --seeds 80 --byzantine 3 --persona twin
expect 1 --seed 1 --seeds 10 --mutant small-quorum
expect 1 --seed 1 --seeds 5 --byzantine 2 --persona colluder --epochs always
expect 3 --seed 1 --seeds 10 --mutant leader-ignores-mempool

for arguments in "--seed 7 --seeds 20" "--nodes 7 --seed 3 --seeds 5 --json"; do
    # shellcheck disable=SC2086
    if [ "$("$sim" $arguments 2>/dev/null)" != "$("$sim" $arguments 2>/dev/null)" ]; then
        printf 'flexsim %s: two runs differ\n' "$arguments"
        failed=1
    fi
done
expect 2 --from 3
expect 2 --twins 6
expect 2 --twins 3 --nodes 11
expect 2 --twins 3 --from 9216
expect 2 --twins 3 --calm
# What the usage names, the manual page and the guide explain; the page's hyphens stand behind backslashes.
for text in docs/man/flexsim.1 docs/simulator.md; do
    said=$(tr -d '\\' <"$here/../../$text")
    while read -r option; do
        if ! grep -qe "$option" <<<"$said"; then
            printf '%s does not name %s\n' "$text" "$option"
            failed=1
        fi
    done < <("$sim" --help | grep -oE -e '--[a-z0-9]+' | sort -u)
done
# The market is alive under faults: nothing below may be zero.
market=$("$sim" --seed 241 --seeds 100 --json 2>/dev/null | head -n 1)
for what in deals settled partial refunds cancelled expired; do
    if ! grep -qE "\"$what\":[1-9]" <<<"$market"; then
        printf 'flexsim: no %s on the ledger\n' "$what"
        failed=1
    fi
done
# Sets change before healing and after it.
changes=$("$sim" --seed 1 --seeds 40 --epochs always --json 2>/dev/null | head -n 1)
for what in epochs epochs_before_healing; do
    if ! grep -qE "\"$what\":[1-9]" <<<"$changes"; then
        printf 'flexsim: no %s\n' "$what"
        failed=1
    fi
done
# shellcheck disable=SC2312
whole=$("$sim" --seed 1 --seeds 3 --trace --persona none | grep -c '>')
if [ "$whole" -lt 100 ]; then
    printf 'flexsim --trace tells no story\n'
    failed=1
fi
printf 'flexsim: %d regressions replayed\n' "$count"
exit "$failed"
