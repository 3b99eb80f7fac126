#!/usr/bin/env bash
# A coupled auction against real processes: a network with a narrow line, linked bids, the gate, the problem
# that every node fixed, solved by flexclear and sent in by hand, wrong solutions and their strikes, deals at
# node prices, a delivery, the surplus, an export whose offline audit judges every solution again. A second
# auction that nobody solves clears by its floor. Usage: test_coupled.sh BUILD
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
e2e_begin coupled "$1"

# A window is 40 blocks; idle ones come faster than the default.
echo '{"block_interval_ms":100,"max_idle_ms":400}' >spec.json
devnet --genesis-spec spec.json --simulated-time 2025-01-15T08:00:00Z

mint 10 dso agg-a agg-b operator meters
as dso network create lv1 >/dev/null
for name in trafo f1 f2; do as dso network node lv1 $name >/dev/null; done
as dso network line lv1 a --from trafo --to f1 --capacity-w 4000 >/dev/null
as dso network line lv1 b --from trafo --to f2 --capacity-w 2000 >/dev/null
refused unknown_node dso network line lv1 c --from trafo --to nowhere --capacity-w 1
cat >rows.json <<'JSON'
{"rows":[{"id":"v1","carrier":"el","op":"<=","rhs":"40000","coefs":[{"node":"f1","value":"2"},{"node":"f2","value":"1"}]}]}
JSON
as dso network rows lv1 rows.json >/dev/null
as operator market create cpl --zone west --network lv1 --opens 2025-01-01 --closes 2026-01-01 --price-max 2 \
    --mechanism coupled --reserve-account operator --directions up --mtus-per-period 1 \
    --quantity-step-wh 1 --quantity-min-wh 1 --intervals 2 --window-blocks 40 --solution-fee 0.001 \
    --proof-deadline 4d >/dev/null
refused bad_term_coupling operator market create bad --zone west --network lv1 --opens 2025-01-01 \
    --closes 2026-01-01 --price-max 2 --mechanism coupled --reserve-account operator --directions up \
    --mtus-per-period 1 --quantity-step-wh 1 --quantity-min-wh 1
battery_at() { # WHO DEVICE NODE
    flex meter new-key --out "$2.meter" --json >meter.json
    as "$1" asset register "$2" --type storage --max-power-w 10000 --connection-w 11000 --grid-node "$3" \
        --feeder "$3" --zone west --meter-key "$(jq -r .public_key meter.json)" >/dev/null
    as dso asset prequalify "$2" >/dev/null
    as "$1" asset enrol "$2" --market cpl >/dev/null
}
battery_at agg-a bat-a f1
battery_at agg-b bat-b f2

# --- portfolios ---------------------------------------------------------------------------------
start=2025-01-15T11:00Z
# 500 and 500 Wh of a, both or none, cheap; b one by one, dear. The request stands at the transformer.
cat >ask.json <<'JSON'
{"bids":[{"id":"x","side":"buy","interval":0,"quantity":"600","price":"300000","node":"trafo"},
         {"id":"y","side":"buy","interval":1,"quantity":"600","price":"300000","node":"trafo"}]}
JSON
cat >a.json <<'JSON'
{"bids":[{"id":"p","side":"sell","interval":0,"quantity":"500","price":"100000","device":"bat-a","schedule":"500"},
         {"id":"q","side":"sell","interval":1,"quantity":"500","price":"100000","device":"bat-a","schedule":"500"}],
 "links":[{"type":"and","bids":["p","q"]}]}
JSON
cat >b.json <<'JSON'
{"bids":[{"id":"r","side":"sell","interval":0,"quantity":"400","price":"200000","device":"bat-b","schedule":"500"},
         {"id":"s","side":"sell","interval":1,"quantity":"400","price":"200000","device":"bat-b","schedule":"500"}]}
JSON
as dso coupled place cpl $start ask.json >/dev/null 2>said
[ ! -s said ] || fail "under --json standard error is for faults: $(cat said)"
as agg-a coupled place cpl $start a.json >/dev/null
as agg-b coupled place cpl $start b.json >/dev/null
sed 's/"and"/"sum","op":">=","quantity":"1"/' a.json >bad.json
refused bad_link agg-a coupled place cpl $start bad.json
refused unsupported_order dso order request --market cpl --direction up --start $start --quantity-wh 10 --price 0.1
refused not_solving dso coupled problem cpl $start
jq 'del(.bids[].schedule)' a.json >bad.json
refused bad_schedule agg-a coupled place cpl $start bad.json
show() { as dso coupled show cpl "$1"; }
[ "$(show $start | jq -r '.state + (.bids | tostring)')" = open6 ] || fail "before the gate: $(show $start)"
# The other auction: placed, taken back whole by one of its orders, placed again.
as dso coupled place cpl 2025-01-15T11:30Z ask.json >placed.json
order=$(jq -r '[.events[] | select(.type == "order_placed" or .event == "order_placed")][0].id // .events[0].id' placed.json)
as dso order cancel "$order" >/dev/null
refused unknown_auction dso coupled show cpl 2025-01-15T11:30Z
as dso coupled place cpl 2025-01-15T11:30Z ask.json >/dev/null
as agg-b coupled place cpl 2025-01-15T11:30Z b.json >/dev/null

# --- the gate and the window --------------------------------------------------------------------
await() { # START STATE
    for _ in $(seq 120); do
        [ "$(show "$1" | jq -r .state)" = "$2" ] && return
        sleep 0.5
    done
    fail "$1 never was $2: $(show "$1")"
}
flex devnet time --dir net --set 2025-01-15T10:00:00Z >/dev/null
await $start solving
show $start | jq -e '.proof_verified == true and .best.proposer == "" and .best.welfare_ueur == "80000" and
    .closes_height == (.fixed_height | tonumber + 40 | tostring)' >/dev/null || fail "the floor: $(show $start)"
as agg-b coupled problem cpl $start --out problem.json >/dev/null
jq -e '.format == "flexclear/1" and (.bids | length) == 6 and (.network.lines | length) == 2 and
    (.network.rows | length) == 1 and .links[0].type == "and"' problem.json >/dev/null || fail "$(cat problem.json)"
"$bin/flexclear" problem.json >solved.json
"$bin/flexclear" --verify problem.json solved.json || fail "flexclear's own result"
# Another welfare than the quantities have can't even be written; other quantities break a rule.
jq '(.accepted[] | select(.quantity == "500") | .quantity) = "499"' solved.json >wrong.json
refused bad_file agg-b coupled propose cpl $start problem.json
person agg-b coupled propose cpl $start wrong.json >judged.json
grep -q "the solution is wrong: it breaks the rule 'balance'" judged.json || fail "$(cat judged.json)"
show $start | jq -e '.wrong == 1 and .best.proposer == ""' >/dev/null || fail "a wrong solution: $(cat judged.json)"
as agg-b coupled propose cpl $start solved.json >/dev/null
show $start | jq -e '.best.proposer == "agg-b" and .best.welfare_ueur == "220000" and .best.gap_neur == "0"' \
    >/dev/null || fail "the best: $(show $start)"
as agg-a coupled propose cpl $start solved.json >/dev/null
show $start | jq -e '.best.proposer == "agg-b" and .solutions == 3' >/dev/null || fail "a copy: $(show $start)"

# --- cleared ------------------------------------------------------------------------------------
await $start cleared
show $start | jq -e '.deals == 4 and .bought_ueur == "240000" and .sold_ueur == "240000" and .agents == 3' \
    >/dev/null || fail "cleared: $(show $start)"
as dso coupled result cpl $start --out result.json >/dev/null
"$bin/flexclear" --verify problem.json result.json || fail "the ledger's result"
[ "$(jq -r '.welfare_neur' result.json)" = "$(jq -r '.welfare_neur' solved.json)" ] || fail "its welfare"
as dso proof get coupled "cpl/1736938800000/up" --out coupled.proof >/dev/null
flex proof verify coupled.proof --genesis net/genesis.json >/dev/null || fail "the auction's proof"
flex devnet time --dir net --set 2025-01-15T10:30:00Z >/dev/null
await 2025-01-15T11:30Z cleared
show 2025-01-15T11:30Z | jq -e '.best.proposer == "" and .deals == 2' >/dev/null || fail "the floor's auction"

# --- delivered ----------------------------------------------------------------------------------
deal=$(as dso deal list | jq -r '[.items[] | select(.seller == "agg-a")][0].id')
clock 2025-01-15T12:01:00Z
echo "0" >profile
flex meter read --key bat-a.meter --device bat-a --start $start --profile profile --out readings.json >/dev/null
as meters meter batch --id west readings.json >/dev/null
as meters meter reveal --id west --device bat-a --from $start --until 2025-01-15T11:15Z --out reveal.json >/dev/null
as agg-a deal prove --deal "$deal" --readings reveal.json >proven.json
jq -e '.deal.state == "settled" and .deal.credited_wh == "500"' proven.json >/dev/null || fail "$(cat proven.json)"

as dso audit export --dir export >/dev/null
flex audit verify --dir export --genesis net/genesis.json --json | jq -e .ok >/dev/null || fail "audit"
flex audit coupled --dir export --genesis net/genesis.json --json |
    jq -e '.checked == 2 and ([.auctions[].state] == ["cleared", "cleared"])' >/dev/null || fail "audit coupled"
echo "coupled auctions: fixed at the gate, solved by hand, wrong ones struck, cleared, proven, audited"
