#!/usr/bin/env bash
# What a long history costs: memory and disk after a load, starting again after a clean stop and after
# kill -9, and the speed of an audit that executes everything once more.
#
#   bench/recovery.sh
#   TRANSACTIONS=20000 ACCOUNTS=100000 ORDERS=10000 RATE=  OUT=FILE BUILD=DIR
#
# The issue asks for ten million transactions; at some hundred a second that is hours: the number is yours.
# A start is timed from the process to /ready, which on a validator includes its links to a quorum. Exit 1 if
# a node does not come back, the audit finds a fault, or it counts fewer transactions than were carried out.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
bench_need jq curl
transactions=${TRANSACTIONS:-20000}
out=${OUT:-$bench_build/bench-recovery.json}
dir=$(mktemp -d "${TMPDIR:-/tmp}/flex-bench-recovery-XXXXXX")
flex=$bench_build/bin/flex
finish() {
    "$flex" devnet stop --dir "$dir/net" >/dev/null 2>&1 || true
    rm -rf "$dir"
}
trap finish EXIT
now_ms() { date +%s%3N; }

# Load: how long it takes at the rate that is reached, found by a short run, unless a rate is given.
rate=${RATE:-}
if [ -z "$rate" ]; then
    rate=$(bench_flexbench --seconds 10 --accounts 10000 --orders 1000 2>/dev/null | jq '.tx_per_s * 0.8 | floor')
fi
[ "$rate" -gt 0 ] || { bench_say "nothing gets through"; exit 1; }
run=$(bench_flexbench --seconds $((transactions / rate + 1)) --rate "$rate" --accounts "${ACCOUNTS:-100000}" \
    --orders "${ORDERS:-10000}" --keep "$dir/net")
ok=$(jq .ok <<<"$run")

# Starts the whole network and says how long until all are ready.
start() {
    local began
    began=$(now_ms)
    "$flex" devnet start --dir "$dir/net" >/dev/null || { bench_say "the network does not come back"; exit 1; }
    echo $(($(now_ms) - began))
}
# One validator again, with the others running: from its process to its /ready.
api_of() { "$flex" devnet status --dir "$dir/net" --json | jq -r '.nodes[0].api'; }
pid_of() { "$flex" devnet status --dir "$dir/net" --json | jq -r '.nodes[0].pid'; }
start_one() {
    local began name
    name=$("$flex" devnet status --dir "$dir/net" --json | jq -r '.nodes[0].name')
    began=$(now_ms)
    "$bench_build/bin/flexd" start --home "$dir/net/nodes/$name" >/dev/null 2>>"$dir/log" &
    started=$!
    for _ in $(seq 60000); do
        curl -sf "$api/ready" >/dev/null && break
        kill -0 $started 2>/dev/null || { bench_say "the validator ends"; cat "$dir/log" >&2; exit 1; }
        sleep 0.01
    done
    curl -sf "$api/ready" >/dev/null || { bench_say "the validator is not ready after ten minutes"; exit 1; }
    took=$(($(now_ms) - began))
}
wait_gone() { for _ in $(seq 6000); do kill -0 "$1" 2>/dev/null || return 0; sleep 0.01; done; return 1; }

all_ms=$(start)
api=$(api_of)
pid=$(pid_of)
kill -TERM "$pid"
wait_gone "$pid"
start_one
clean_ms=$took
kill -KILL $started
wait $started 2>/dev/null || true
start_one
killed_ms=$took

rss() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$started/status"; }
anon_after=$(rss RssAnon)
mapped_after=$(rss RssFile)
name=$("$flex" devnet status --dir "$dir/net" --json | jq -r '.nodes[0].name')
disk=$(du -s --block-size=1 "$dir/net/nodes/$name" | cut -f1)

bench_say "export and audit"
"$flex" --home "$dir/net/wallets/regulator" --node "$api" audit export --dir "$dir/export" >/dev/null
audit=$("$flex" --json audit verify --dir "$dir/export" --genesis "$dir/net/genesis.json")
kill -TERM $started
wait $started 2>/dev/null || true

jq -n --argjson run "$run" --argjson audit "$audit" --argjson machine "$(bench_machine)" \
    --argjson clean "$clean_ms" --argjson killed "$killed_ms" --argjson all "$all_ms" --argjson disk "$disk" \
    --argjson anon "$anon_after" --argjson mapped "$mapped_after" '{
    $machine, carried_out: $run.ok, tx_per_s: $run.tx_per_s,
    anon_mb_max: $run.anon_mb_max, mapped_mb_max: $run.mapped_mb_max, bytes_per_tx: $run.ledger_bytes_per_tx,
    disk_bytes: $disk, start_network_ms: $all, start_after_stop_ms: $clean, start_after_kill_ms: $killed,
    anon_mb_after_start: ($anon / 1024 | floor), mapped_mb_after_start: ($mapped / 1024 | floor),
    audit_ok: $audit.ok, audit_transactions: ($audit.transactions | tonumber), audit_seconds: ($audit.seconds | tonumber),
    audit_tx_per_s: (($audit.transactions | tonumber) / ([($audit.seconds | tonumber), 0.001] | max) | floor)}' | tee "$out"
jq -e --argjson ok "$ok" '.audit_ok and .audit_transactions >= $ok and $ok > 0' "$out" >/dev/null
