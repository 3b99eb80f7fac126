#!/usr/bin/env bash
# flexbench against real processes, small: all modes work, nothing is lost or refused, sampled proofs
# verify, its JSON has the keys that scripts read, it leaves nothing behind, and bad usage is told.
# What it measures is not judged here. Usage: test_flexbench.sh BUILD
set -euo pipefail
bin=$(cd "$1/bin" && pwd)
dir=$(mktemp -d /tmp/flex-e2e-bench-XXXXXX)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*"; cat "$dir/log" 2>/dev/null || true; exit 1; }

"$(dirname "$0")/test_bench_soak.py" >"$dir/log" || fail "the soak's judge"

small=(--accounts 300 --wallets 100 --orders 250 --seconds 6 --json)
for mode in single batch; do
    rate=$([ $mode = single ] && echo 50 || echo 5)
    "$bin/flexbench" "${small[@]}" --mode $mode --rate "$rate" >"$dir/$mode" 2>"$dir/log" || fail "$mode: exit $?"
    jq -e --arg mode $mode '.mode == $mode and .validators == 4 and .cores > 0 and .tx_per_s > 0
        and .actions_per_s >= .tx_per_s and .latency_ms.p50 > 0 and .latency_ms.p99 >= .latency_ms.p50
        and .verify_us > 0 and .signature_bound_tx_per_s > 0 and .ratio > 0 and .anon_mb_max > 0
        and .mapped_mb_max > 0 and .ledger_bytes_per_tx >= 0 and .failed == 0 and .refused == 0
        and .unfinished == 0 and .ok > 0 and .proofs_checked > 0' "$dir/$mode" >/dev/null || fail "$mode: $(cat "$dir/$mode")"
done
# 50 a second for six seconds, all of them: what is due is posted, however long the load.
jq -e '.ok == 300' "$dir/single" >/dev/null || fail "single: $(cat "$dir/single")"
jq -e '.actions_per_s > 50 * .tx_per_s' "$dir/batch" >/dev/null || fail "batch: $(cat "$dir/batch")"

# Every reading of every meter is on the ledger, and the sample is proven.
"$bin/flexbench" --accounts 300 --wallets 100 --orders 100 --mode meter --meters 3000 --devices 200 --quarters 2 \
    --samples 40 --json >"$dir/meter" 2>"$dir/log" || fail "meter: exit $?"
jq -e '.mode == "meter" and .readings == "6000" and .fingerprints == "6" and .transactions == "2" and .proofs_checked == "80"
    and .proof_bytes > 300 and .cpu_s.ingest > 0 and .cpu_s.validators >= 0 and .machine_share > 0 and .verify_us > 0
    and .latency_ms.p99 >= .latency_ms.p50 and .anon_mb_max > 0' "$dir/meter" >/dev/null || fail "meter: $(cat "$dir/meter")"

# What the stages' table says sums to what the processes used, but for what the kernel rounds.
awk '/= together/ && !sum { sum = $3 } /as counted/ { whole = $4 }
    END { exit !(sum > 0 && whole > 0 && sum - whole < 0.1 * whole + 5 && whole - sum < 0.1 * whole + 5) }' "$dir/log" ||
    fail "the stages do not sum to the whole: $(cat "$dir/log")"

# Interrupted: the cluster goes down with it.
"$bin/flexbench" "${small[@]}" --seconds 60 --rate 10 --keep "$dir/kept" >"$dir/out" 2>"$dir/log" &
bench=$!
for _ in $(seq 300); do grep -q 'of load' "$dir/log" && break; sleep 0.1; done
grep -q 'of load' "$dir/log" || fail "no load within 30 s"
kill -TERM $bench
wait $bench && fail "an interrupted run ends well"
for pid in "$dir"/kept/nodes/*/devnet.pid; do
    ! kill -0 "$(cat "$pid")" 2>/dev/null || fail "$pid is still running"
done

for wrong in "--seconds 0" "--mode none" "--wallets 3" "--rate -1" "--validators 3" "--what 1" "--seconds" "--meters 10 --devices 11"; do
    status=0
    # shellcheck disable=SC2086
    "$bin/flexbench" $wrong >"$dir/out" 2>"$dir/log" || status=$?
    [ $status -eq 2 ] && [ ! -s "$dir/out" ] || fail "$wrong: exit $status"
done
echo "flexbench: $(jq -r .ok "$dir/single") transactions and $(jq -r .ok "$dir/batch") batches verified"
