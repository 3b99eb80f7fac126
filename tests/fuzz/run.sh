#!/usr/bin/env bash
# run.sh BUILD SECONDS NAME...: fuzzes every target, two at a time, for SECONDS in all; with 0 seconds
# only replays the corpora and the inputs of past defects. Fails on any finding, which stays in
# BUILD/crashes/NAME with a line that tells how to reproduce it.
set -uo pipefail
cd "$(dirname "$0")/../.."

build=$1 seconds=$2
shift 2
each=$((seconds * 2 / $#))
[ "$seconds" -gt 0 ] && [ "$each" -lt 1 ] && each=1
export UBSAN_OPTIONS=print_stacktrace=1 ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1

one() { # NAME: writes BUILD/logs/NAME.log and BUILD/logs/NAME.line
    local name=$1 crashes=$build/crashes/$1 log=$build/logs/$1.log status=0
    local found=$build/found/$name flags=(-runs=0)
    mkdir -p "$crashes" "$found"
    [ "$each" -gt 0 ] && flags=("-max_total_time=$each" -print_final_stats=1)
    local seeds=()
    for folder in tests/fuzz/corpus/$name tests/fuzz/regress/$name; do
        [ -d "$folder" ] && seeds+=("$folder")
    done
    # The longest inputs that still run thousands of times a second; the limits of the decoders
    # themselves have unit tests.
    "$build/bin/fuzz_$name" "${flags[@]}" -max_len=16384 -timeout=10 -rss_limit_mb=2048 \
        -malloc_limit_mb=512 -artifact_prefix="$crashes/" "$found" ${seeds[@]+"${seeds[@]}"} \
        >"$log" 2>&1 || status=$?
    local runs inputs
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    inputs=$(find ${seeds[@]+"${seeds[@]}"} -type f 2>/dev/null | wc -l)
    if [ "$status" -ne 0 ]; then
        printf '%-18s FAILED: ' "$name" >"$build/logs/$name.line"
        grep -aE 'SUMMARY|FLEX|assertion|must hold|ERROR: ' "$log" | head -n 2 | tr '\n' ' ' >>"$build/logs/$name.line"
        for input in "$crashes"/*; do
            [ -f "$input" ] && printf '\n    reproduce: %s %s' "$build/bin/fuzz_$name" "$input" >>"$build/logs/$name.line"
        done
        echo >>"$build/logs/$name.line"
    elif [ "$each" -gt 0 ]; then
        printf '%-18s %10s executions in %d s\n' "$name" "$runs" "$each" >"$build/logs/$name.line"
    else
        printf '%-18s %10s inputs replayed\n' "$name" "$inputs" >"$build/logs/$name.line"
    fi
    cat "$build/logs/$name.line"
    return "$status"
}

rm -rf "$build/logs" "$build/crashes"
mkdir -p "$build/logs"
[ "$each" -eq 0 ] && rm -rf "$build/found"
failed=0
for name in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n || failed=$((failed + 1)); done
    one "$name" &
done
while [ -n "$(jobs -p)" ]; do wait -n || failed=$((failed + 1)); done
if [ "$failed" -gt 0 ]; then
    echo "fuzz: $failed of $# targets FAILED; findings are in $build/crashes, logs in $build/logs"
    exit 1
fi
total=$(($(sed -n 's/^[a-z_0-9]* *\([0-9]*\) .*/\1/p' "$build"/logs/*.line | paste -sd+)))
if [ "$each" -gt 0 ]; then
    echo "fuzz: $# targets, $total executions in $seconds s, no finding"
else
    echo "fuzz: $# targets, $total inputs replayed, no finding"
fi
