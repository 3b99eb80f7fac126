#!/usr/bin/env bash
# Runs cmocka programs, one per processor at a time (UNIT_JOBS=n), shows each one's closing line, and what
# it printed if it failed. Fails if any fails. None of them relies on a fixed port or on the time it takes.
set -u
logs=$(mktemp -d)
export logs
trap 'rm -rf "$logs"' EXIT

run_one() {
    local program=$1 log status
    log=$(mktemp -p "$logs" log.XXXXXX)
    timeout "${UNIT_TIMEOUT_SECONDS:-300}" "$program" >"$log" 2>&1
    status=$?
    # One write for each program, so that lines of two do not mix.
    if [ "$status" -eq 0 ]; then
        printf '%-58s %s\n' "${program#*/tests/}" "$(grep -a 'PASSED' "$log" | tail -n 1)"
    else
        printf '%-58s FAILED (exit %d)\n%s\n' "${program#*/tests/}" "$status" "$(cat "$log")"
        echo "$program" >>"$logs/failed"
    fi
    rm -f "$log"
}
export -f run_one

[ "$#" -gt 0 ] && printf '%s\0' "$@" | xargs -0 -n 1 -P "${UNIT_JOBS:-$(nproc)}" bash -c 'run_one "$1"' run_one
ran=$?
failed=$(cat "$logs/failed" 2>/dev/null | wc -l)
printf 'unit tests: %d programs, %d failed\n' "$#" "$failed"
[ "$ran" -eq 0 ] && [ "$failed" -eq 0 ] && [ "$#" -gt 0 ]
