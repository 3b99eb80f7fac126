#!/usr/bin/env bash
# What more validators cost: throughput, latency, bytes and CPU of each node against their number.
#
#   bench/validators.sh [COUNTS]      "4 7 13" by default
#   RATE=100 SECONDS_EACH=20 ACCOUNTS=10000 ORDERS=1000 RUNS=1 OUT=FILE BUILD=DIR
#
# Two rows for each number: as much as goes in, and RATE transactions a second, at which costs can be
# compared. All validators are processes of this machine, so throughput falls at least as 1 / n. Exit 1 if
# at the fixed rate the CPU time of one node grows faster than n does (with a third more for noise).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
bench_need jq
counts=${1:-4 7 13}
rate=${RATE:-100}
out=${OUT:-$bench_build/bench-validators.csv}
common=(--seconds "${SECONDS_EACH:-20}" --accounts "${ACCOUNTS:-10000}" --orders "${ORDERS:-1000}" --wallets 1000)

median_of() { jq -r "$1" <<<"$2" | bench_median; }

bench_say "$(bench_machine)"
echo "validators,load,tx_per_s,ratio,p50_ms,p99_ms,sent_bytes_per_tx,cpu_us_per_tx,cpu_of_a_processor,anon_mb_max" >"$out"
for n in $counts; do
    for load in most "$rate"; do
        at=(--rate "$load")
        [ "$load" = most ] && at=()
        runs=
        for _ in $(seq "${RUNS:-1}"); do
            runs+=$(bench_flexbench --validators "$n" "${common[@]}" "${at[@]}")$'\n'
        done
        row=$n,$load
        for key in .tx_per_s .ratio .latency_ms.p50 .latency_ms.p99 .sent_bytes_per_tx .validator_us_per_tx \
            .validator_cpu .anon_mb_max; do
            row+=,$(median_of $key "$runs")
        done
        echo "$row" >>"$out"
    done
done
column -s, -t "$out"
bench_say "also in $out"
awk -F, -v rate="$rate" '$2 == rate { if (!n) { n = $1; cpu = $8 } else if ($8 > 1.33 * cpu * $1 / n) bad = bad " " $1 }
    END { if (bad) { print "CPU of a node grows faster than the number of nodes:" bad; exit 1 } }' "$out"
