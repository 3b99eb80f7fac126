#!/usr/bin/env bash
# Solvers beside real nodes: with none enabled the floor clears; with one of four enabled, its process killed
# -9 in the middle of the window, what it proposes after its restart clears, alike on all nodes; killed each
# time, the floor clears again, and the node goes on. Every auction is checked anew from an export, with no
# solver in the path. Usage: test_solver.sh BUILD
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
e2e_begin solver "$1"

echo '{"block_interval_ms":100,"max_idle_ms":200}' >spec.json
devnet --audit 1 --genesis-spec spec.json --simulated-time 2025-01-15T08:00:00Z
mint 100 dso agg-a agg-b operator
name=$(jq -r ".nodes[0].name" start.json)
home=$dir/net/nodes/$name
[ -f "$home/flexd.json" ] || fail "no home: $home"

# --- a market in which the floor alone leaves something: it takes no `and` ------------------------
as dso network create lv1 >/dev/null
as dso network node lv1 trafo >/dev/null
as dso network node lv1 f1 --parent trafo >/dev/null
as dso network line lv1 l1 --from trafo --to f1 --capacity-w 8000 >/dev/null
as operator market create cpl --zone west --coupled-zones east --network lv1 --opens 2025-01-01 --closes 2026-01-01 \
    --price-max 2 --mechanism coupled --directions up --mtus-per-period 1 --quantity-step-wh 1 \
    --quantity-min-wh 1 --gate-closure 1h --intervals 2 --window-blocks 30 --reserve-account operator >/dev/null
for who in agg-a agg-b; do
    flex meter new-key --out $who.meter --json >meter.json
    as $who asset register car-$who --type ev --max-power-w 10000 --connection-w 11000 --grid-node home-$who \
        --feeder f1 --zone "$([ $who = agg-a ] && echo west || echo east)" \
        --meter-key "$(jq -r .public_key meter.json)" >/dev/null
    as dso asset prequalify car-$who >/dev/null
    as $who asset enrol car-$who --market cpl >/dev/null
done
cat >buy.json <<'EOF'
{"bids":[{"id":"b0","side":"buy","interval":0,"quantity":"900","price":"300000","node":"trafo"},
         {"id":"b1","side":"buy","interval":1,"quantity":"900","price":"300000","node":"trafo"}]}
EOF
cat >agg-a.json <<'EOF'
{"bids":[{"id":"s0","side":"sell","interval":0,"quantity":"800","price":"100000","device":"car-agg-a","schedule":"500"},
         {"id":"s1","side":"sell","interval":1,"quantity":"800","price":"100000","device":"car-agg-a","schedule":"500"}],
 "links":[{"type":"and","bids":["s0","s1"]}]}
EOF
sed 's/agg-a/agg-b/; s/"800","price":"100000"/"300","price":"200000"/; s/car-agg-a/car-agg-b/' agg-a.json |
    jq 'del(.links)' >agg-b.json
place() { # start
    as dso coupled place cpl "$1" buy.json >/dev/null
    as agg-a coupled place cpl "$1" agg-a.json >/dev/null
    as agg-b coupled place cpl "$1" agg-b.json >/dev/null
}
record() { as dso coupled show cpl "$1" 2>/dev/null; }
cleared() { # start
    local _
    for _ in $(seq 400); do
        [ "$(record "$1" | jq -r .state)" = cleared ] && return
        sleep 0.1
    done
    fail "$1 has not cleared: $(record "$1")"
}
metric() { curl -s "$node/metrics" | sed -n "s/^flexd_$1 //p"; }
day=2025-01-15
for start in ${day}T12:00Z ${day}T13:00Z ${day}T14:00Z; do place $start; done

# --- nobody solves: the floor ---------------------------------------------------------------------
flex devnet time --dir net --set ${day}T11:00Z >/dev/null
cleared ${day}T12:00Z
record ${day}T12:00Z >floor.json
[ "$(jq -r .best.proposer floor.json)" = "" ] || fail "somebody proposed: $(cat floor.json)"
[ "$(jq -r .deals floor.json)" -gt 0 ] || fail "the floor cleared nothing: $(cat floor.json)"

# --- one of four solves, killed once --------------------------------------------------------------
key=$("$bin/flexd" solver-key --home "$home" --json | jq -r .key)
[ "$("$bin/flexd" solver-key --home "$home" --json | jq -r '.key + (.new | tostring)')" = "${key}false" ] || fail "another key"
as operator participant register solver --key "$key" --roles aggregator >/dev/null
mint 5 solver
cat >slow.sh <<EOF
#!/bin/sh
sleep 1
exec $bin/flexsolve "\$@"
EOF
chmod 700 slow.sh
jq --arg p "$dir/slow.sh" '.solver = {enabled: true, program: $p, memory_mb: 512, seconds: 60}' \
    "$home/flexd.json" >new.json
cat new.json >"$home/flexd.json"
name=$(jq -r '.nodes[0].name' start.json)
flex devnet kill --dir net --node "$name" >/dev/null
flex devnet start-node --dir net --node "$name" >/dev/null
worker() { # the solver's process, once there is one
    local _ pid
    for _ in $(seq 200); do
        pid=$(pgrep -P "$(cat "$home/flexd.pid")" | head -n 1)
        [ -n "$pid" ] && { echo "$pid"; return; }
        sleep 0.05
    done
    return 1
}
flex devnet time --dir net --set ${day}T12:00Z >/dev/null
kill -9 "$(worker)" || fail "no solver started"
cleared ${day}T13:00Z
record ${day}T13:00Z >solved.json
[ "$(jq -r .best.proposer solved.json)" = solver ] || fail "not the solver's: $(cat solved.json)"
[ "$(metric solver_failures)" -ge 1 ] && [ "$(metric solver_starts)" -ge 2 ] || fail "not counted"
[ "$(jq -r '.best.welfare_ueur' solved.json)" -gt "$(jq -r .best.welfare_ueur floor.json)" ] || fail "no better"
[ "$(jq -r .solutions solved.json)/$(jq -r .wrong solved.json)" = 1/0 ] || fail "proposals: $(cat solved.json)"

# --- killed each time -----------------------------------------------------------------------------
flex devnet time --dir net --set ${day}T13:00Z >/dev/null
before=$(metric solver_failures)
for _ in $(seq 600); do
    [ "$(metric solver_failures)" -ge $((before + 4)) ] && break
    for pid in $(pgrep -P "$(cat "$home/flexd.pid")"); do kill -9 "$pid" 2>/dev/null || true; done
    sleep 0.02
done
cleared ${day}T14:00Z
record ${day}T14:00Z >again.json
[ "$(jq -r .best.proposer again.json)" = "" ] || fail "not the floor: $(cat again.json)"
[ "$(metric solver_failures)" = $((before + 4)) ] || fail "not counted: $(metric solver_failures)"
[ "$(jq -r .best.welfare_ueur again.json)" = "$(jq -r .best.welfare_ueur floor.json)" ] || fail "another floor"

# --- the same on all nodes ------------------------------------------------------------------------
height=$(curl -s "$node/v1/status" | jq -r .height)
for one in $(jq -r '.nodes[].api' start.json); do
    for _ in $(seq 100); do
        [ "$(curl -s "$one/v1/status" | jq -r .height)" -ge "$height" ] && break
        sleep 0.1
    done
    curl -s "$one/v1/blocks/$height" | jq -r .header.state_root
done | sort -u >roots
[ "$(wc -l <roots)" = 1 ] && grep -qE '^[0-9a-f]{64}$' roots || fail "different roots: $(cat roots)"

# --- checked anew, without a node and without a solver ---------------------------------------------
as operator audit export --dir export >/dev/null
as operator audit coupled --dir export --out auctions >audit.json
[ "$(jq -c '[.auctions[].proposer]' audit.json)" = '["","solver",""]' ] || fail "audit: $(cat audit.json)"
[ "$(ls auctions | wc -l)" = 6 ] || fail "files: $(ls auctions)"
mkdir alone && cp "$bin/flexclear" alone # no flexsolve beside it
for problem in auctions/*.problem.json; do
    result=${problem%.problem.json}.result.json
    alone/flexclear --verify "$problem" "$result" >/dev/null || fail "$problem does not verify"
    jq '(.accepted[] | select(.quantity != "0").quantity) |= (tonumber - 1 | tostring)' "$result" >bent.json
    cmp -s "$result" bent.json && fail "nothing was bent in $result"
    alone/flexclear --verify "$problem" bent.json >/dev/null 2>&1 && fail "a bent result verifies"
done
as operator coupled result cpl ${day}T13:00Z --out shown.json >/dev/null
cmp shown.json "auctions/$(ls auctions | grep -F "$(jq -r '.auctions[1].start_ms' audit.json)" | grep result)" ||
    fail "the wallet's result is another"
echo "passed: solvers help, die and are missed by nobody"
