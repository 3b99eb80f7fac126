#!/usr/bin/env bash
# Runs end-to-end scripts against the programs in BUILD/bin, one per processor at a time (E2E_JOBS=n), since
# most of their time is waiting. Shows each one's closing line, and the end of what it printed if it failed.
# None of them relies on a fixed port (tests/e2e/ports.py) or on the time that it takes.
# Usage: run_e2e.sh BUILD SCRIPT...
set -u
build=${1:?build folder}
shift
logs=$(mktemp -d)
export build logs
trap 'rm -rf "$logs"' EXIT

run_one() {
    local script=$1 log started=$SECONDS code
    log=$(mktemp -p "$logs" log.XXXXXX)
    timeout "${E2E_TIMEOUT_SECONDS:-300}" "$script" "$build" >"$log" 2>&1 </dev/null
    code=$?
    # One write for each script, so that lines of two do not mix.
    if [ $code -eq 0 ]; then
        printf '%-40s %s (%d s)\n' "$script" "$(tail -n 1 "$log")" $((SECONDS - started))
    elif [ $code -eq 77 ]; then # the machine does not give what it needs: neither passed nor failed
        printf '%-40s %s\n' "$script" "$(tail -n 1 "$log")"
        echo "$script" >>"$logs/absent"
    else # what FAILED says may have been pushed out of the tail
        printf '%-40s FAILED (exit %d)\n%s\n%s\n' "$script" $code \
            "$(grep -a -m 5 '^FAILED' "$log")" "$(tail -n 80 "$log")"
        echo "$script" >>"$logs/failed"
    fi
    rm -f "$log"
}
export -f run_one

[ "$#" -gt 0 ] && printf '%s\0' "$@" | xargs -0 -n 1 -P "${E2E_JOBS:-$(nproc)}" bash -c 'run_one "$1"' run_one
ran=$?
failed=$(cat "$logs/failed" 2>/dev/null | wc -l)
absent=$(cat "$logs/absent" 2>/dev/null | wc -l)
printf 'e2e tests: %d scripts, %d failed, %d not run here%s\n' "$#" "$failed" "$absent" \
    "$([ "$absent" -eq 0 ] || printf ': %s' "$(paste -sd ' ' "$logs/absent")")"
[ "$ran" -eq 0 ] && [ "$failed" -eq 0 ] && [ "$#" -gt 0 ]
