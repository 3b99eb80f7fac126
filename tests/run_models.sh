#!/usr/bin/env bash
# Runs every tests/models/check_*.py against the programs in BUILD/bin. Each prints what it compared,
# and plainly what it could not; the first difference fails it.
set -u
build=${1:?build folder}
failed=0 count=0
for script in tests/models/check_*.py; do
    count=$((count + 1))
    if ! PYTHONDONTWRITEBYTECODE=1 timeout "${MODEL_TIMEOUT_SECONDS:-120}" python3 "$script" "$build"; then
        printf '%s FAILED\n' "$script"
        failed=$((failed + 1))
    fi
done
printf 'models: %d programs, %d failed\n' "$count" "$failed"
[ "$failed" -eq 0 ] && [ "$count" -gt 0 ]
