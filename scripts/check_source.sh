#!/usr/bin/env bash
# All checks of `make check-source`: each prints what is wrong, with place and rule, and none
# compiles anything. Exit 1 if any found something.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=0
run() {
    local output
    if output=$("$@" 2>&1); then
        printf 'ok      %s\n' "$1"
    else
        printf 'FAILED  %s\n%s\n' "$1" "$output"
        failed=1
    fi
}
run scripts/check_format.sh
run scripts/check_layers.sh
run scripts/check_sizes.sh
run scripts/check_words.sh
run scripts/check_clauses.sh
run scripts/check_metrics.sh
[ "$failed" -eq 0 ] && echo "check-source: clean"
exit "$failed"
