#!/usr/bin/env bash
# Runs cmocka programs one after another, shows each one's closing line, and fails if any fails.
set -u
failed=0 count=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for program in "$@"; do
    count=$((count + 1))
    if timeout "${UNIT_TIMEOUT_SECONDS:-300}" "$program" >"$log" 2>&1; then
        printf '%-58s %s\n' "${program#*/tests/}" "$(grep -a 'PASSED' "$log" | tail -n 1)"
    else
        printf '%-58s FAILED (exit %d)\n' "${program#*/tests/}" $?
        cat "$log"
        failed=$((failed + 1))
    fi
done
printf 'unit tests: %d programs, %d failed\n' "$count" "$failed"
[ "$failed" -eq 0 ] && [ "$count" -gt 0 ]
