#!/usr/bin/env bash
# Auctions against real processes: a VCG market with a reserve, bids of one DSO and two aggregators, the
# gate, the result as the wallet proves it, as flexclear computes it and as a proof file shows it, a
# delivery in part, and an export whose offline audit clears the auctions again. Usage: test_auction.sh BUILD
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
e2e_begin auction "$1"

devnet --simulated-time 2025-01-15T08:00:00Z

mint 10 dso agg-a agg-b operator meters
as operator market create auc --zone west --opens 2025-01-01 --closes 2026-01-01 --price-max 2 \
    --mechanism merit_order --payment vcg --reserve-account operator --reserve 1 \
    --quantity-step-wh 4 --quantity-min-wh 4 --proof-deadline 4d >/dev/null
echo "500 500 500 500" >plan
battery agg-a bat-a auc
battery agg-b bat-b auc

# --- the reserve and the bids -------------------------------------------------------------------
refused not_permitted dso market reserve auc 0.5
refused over_reserve operator market reserve auc 1.5
as operator market reserve auc 0.2 >/dev/null
at="--market auc --direction up --start 2025-01-15T11:00Z"
# shellcheck disable=SC2086
{
    as agg-a order offer $at --quantity-wh 600 --price 0.20 --device bat-a --schedule plan >/dev/null
    as agg-b order offer $at --quantity-wh 800 --price 0.25 --device bat-b --schedule plan >/dev/null
    as dso order request $at --quantity-wh 1000 --price 0.30 >/dev/null
    refused unsupported_order dso order request $at --quantity-wh 1000 --price 0.30 --rank 2
}
refused reserve_in_use operator market reserve auc 0.2 --take-back
result() { as dso market result auc --start 2025-01-15T11:00Z; }
[ "$(result | jq -r .state)" = open ] || fail "before the gate: $(result)"
[ "$(as dso deal list | jq '.items | length')" = 0 ] || fail "deals before the gate"

# --- the gate -----------------------------------------------------------------------------------
flex devnet time --dir net --set 2025-01-15T10:00:00Z >/dev/null
for _ in $(seq 60); do
    [ "$(result | jq -r .state)" = cleared ] && break
    sleep 0.5
done
result | jq -e '.state == "cleared" and .proof_verified == true and .payment == "vcg" and
    .fallback == "none" and .quantity_wh == "1000" and .price_ueur_per_kwh == "250000" and
    .welfare_ueur == "80000" and .bought_ueur == "220000" and .sold_ueur == "280000" and
    .reserve_used_ueur == "60000" and .deals == 2 and .first_deal == "1"' >/dev/null || fail "cleared: $(result)"
refused order_not_open dso order cancel 3
# shellcheck disable=SC2086
refused gate_closed dso order request $at --quantity-wh 1000 --price 0.30
[ "$(as dso market results | jq -r '.items[0].state')" = cleared ] || fail "the list of results"
cat >problem.json <<'JSON'
{"format":"flexclear/1","mechanism":"merit_order","tie":"pro_rata","payments":["vcg"],"bids":[
 {"id":"1","agent":"agg-a","side":"sell","quantity":"600","price":"200000"},
 {"id":"2","agent":"agg-b","side":"sell","quantity":"800","price":"250000"},
 {"id":"3","agent":"dso","side":"buy","quantity":"1000","price":"300000"}]}
JSON
"$bin/flexclear" problem.json >cleared.json
for deal in 1 2; do as dso deal show $deal >deal-$deal.json; done
for deal in 1 2; do
    seller=$(jq -r .seller deal-$deal.json)
    [ "$(jq -r .payment_ueur deal-$deal.json)" = "$(jq -r ".payments.vcg.agents[\"$seller\"]" cleared.json)" ] ||
        fail "$seller gets what flexclear says: $(cat deal-$deal.json)"
done
as dso proof get auction auc/1736938800000/up --out auction.proof >/dev/null
flex proof verify auction.proof --genesis net/genesis.json >/dev/null || fail "the auction's proof"

# --- half of it delivered -----------------------------------------------------------------------
clock 2025-01-15T12:01:00Z
echo "425 425 425 425" >profile
flex meter read --key bat-a.meter --device bat-a --start 2025-01-15T11:00Z --profile profile \
    --out readings.json >/dev/null
as meters meter batch --id west readings.json >/dev/null
as meters meter reveal --id west --device bat-a --from 2025-01-15T11:00Z --until 2025-01-15T12:00Z \
    --out reveal.json >/dev/null
as agg-a deal prove --deal 1 --readings reveal.json >proven.json
jq -e '.deal.state == "partial" and .deal.credited_wh == "300" and .deal.paid_ueur == "80000" and
       .deal.refunded_ueur == "62857" and .deal.returned_ueur == "17143"' proven.json >/dev/null ||
    fail "half: $(cat proven.json)"
as operator market reserve auc 0.14 --take-back >/dev/null
refused not_permitted operator market reserve auc 0.01 --take-back

as dso audit export --dir export >/dev/null
flex audit verify --dir export --genesis net/genesis.json --json | jq -e .ok >/dev/null || fail "audit"
echo "auctions: cleared at the gate as flexclear does, proven, paid in part, audited"
