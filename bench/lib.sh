# shellcheck shell=bash
# What the scripts of bench/ share (docs/performance.md): flexbench runs, medians, tables. To be sourced.
#
#   bench_build        the build directory, $BUILD or build
#   bench_say          to standard error
#   bench_flexbench    one run as JSON on standard output; fails if flexbench does
#   bench_median       of the numbers on standard input, one a line

bench_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bench_build=$(cd "${BUILD:-$bench_root/build}" && pwd)

bench_say() { echo "$*" >&2; }

bench_need() {
    local missing=()
    for program in "$@"; do command -v "$program" >/dev/null || missing+=("$program"); done
    [ ${#missing[@]} -eq 0 ] || { bench_say "needed and not installed: ${missing[*]}"; exit 2; }
}

bench_flexbench() {
    bench_say "flexbench $*"
    "$bench_build/bin/flexbench" "$@" --json
}

bench_median() { sort -g | awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# Which machine, and what else was running: figures mean little without.
bench_machine() {
    jq -nc --arg cpu "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
        --argjson processors "$(nproc)" --arg load "$(cut -d' ' -f1-3 /proc/loadavg)" \
        --arg time "$(date -u +%Y-%m-%dT%H:%M:%SZ)" '{$time, $cpu, $processors, load_average: $load}'
}
