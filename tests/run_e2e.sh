#!/usr/bin/env bash
# Runs end-to-end scripts against the programs in BUILD/bin, one after another. Usage: run_e2e.sh BUILD SCRIPT...
set -u
build=${1:?build folder}
shift
failed=0 count=0 absent=()
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for script; do
    count=$((count + 1))
    started=$SECONDS
    timeout "${E2E_TIMEOUT_SECONDS:-240}" "$script" "$build" >"$log" 2>&1
    code=$?
    if [ $code -eq 0 ]; then
        printf '%-40s %s (%d s)\n' "$script" "$(tail -n 1 "$log")" $((SECONDS - started))
    elif [ $code -eq 77 ]; then # the machine does not give what it needs: neither passed nor failed
        printf '%-40s %s\n' "$script" "$(tail -n 1 "$log")"
        absent+=("$script")
    else
        printf '%-40s FAILED (exit %d)\n' "$script" $code
        grep -a -m 5 '^FAILED' "$log" # what follows may have pushed it out of the tail
        tail -n 80 "$log"
        failed=$((failed + 1))
    fi
done
printf 'e2e tests: %d scripts, %d failed, %d not run here%s\n' "$count" "$failed" "${#absent[@]}" "${absent[*]:+: ${absent[*]}}"
[ "$failed" -eq 0 ] && [ "$count" -gt 0 ]
