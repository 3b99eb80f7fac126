#!/usr/bin/env bash
# Runs every tests/e2e/test_*.sh against the programs in BUILD/bin, one after another.
set -u
build=${1:?build folder}
failed=0 count=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for script in tests/e2e/test_*.sh; do
    count=$((count + 1))
    started=$SECONDS
    if timeout "${E2E_TIMEOUT_SECONDS:-240}" "$script" "$build" >"$log" 2>&1; then
        printf '%-40s %s (%d s)\n' "$script" "$(tail -n 1 "$log")" $((SECONDS - started))
    else
        printf '%-40s FAILED (exit %d)\n' "$script" $?
        tail -n 80 "$log"
        failed=$((failed + 1))
    fi
done
printf 'e2e tests: %d scripts, %d failed\n' "$count" "$failed"
[ "$failed" -eq 0 ] && [ "$count" -gt 0 ]
