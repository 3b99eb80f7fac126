#!/usr/bin/env bash
# Grid capacity against real processes: a network published from a table, a book that keeps its limits, a
# capacity market cleared at its gate with proven allocations and the money at the DSO, and less published
# than was sold. Usage: test_capacity.sh BUILD
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
e2e_begin capacity "$1"

devnet --simulated-time 2025-01-15T08:00:00Z
mint 10 dso agg-a agg-b operator

# --- a network ----------------------------------------------------------------------------------
as dso network create lv1 >/dev/null
as dso network node lv1 trafo >/dev/null
as dso network node lv1 f1 --parent trafo >/dev/null
refused not_permitted agg-a network node lv1 f2 --parent trafo
{
    echo node,start,import_w,export_w
    for figures in trafo,9000,8000 f1,6000,5000; do
        for start in 12:00 12:15 12:30 12:45; do
            echo "${figures%%,*},2025-01-15T${start}Z,${figures#*,}"
        done
    done
} >day.csv
as dso network publish lv1 --csv day.csv >/dev/null
[ "$(as agg-a network capacity lv1 f1 2025-01-15T12:30Z | jq -r '.import_w + "/" + (.revision | tostring)')" = 6000/1 ] ||
    fail "published: $(as agg-a network capacity lv1 f1 2025-01-15T12:30Z)"
[ "$(as agg-a network nodes | jq -r '.items | length')" = 2 ] || fail "nodes: $(as agg-a network nodes 2>&1)"

# --- devices and markets ------------------------------------------------------------------------
terms="--zone west --network lv1 --opens 2025-01-01 --closes 2026-01-01 --price-max 2"
# shellcheck disable=SC2086
as operator market create west $terms >/dev/null
# shellcheck disable=SC2086
as operator market create room $terms --product capacity_allocation --mechanism capacity >/dev/null
for who in agg-a agg-b; do
    flex meter new-key --out $who.meter --json >meter.json
    as $who asset register car-$who --type ev --max-power-w 10000 --connection-w 11000 \
        --grid-node home-$who --feeder f1 --zone west --meter-key "$(jq -r .public_key meter.json)" >/dev/null
    as dso asset prequalify car-$who >/dev/null
    for market in west room; do as $who asset enrol car-$who --market $market >/dev/null; done
done

# --- the book keeps the feeder's 5 kW of export ---------------------------------------------------
echo "500 500 500 500" >plan
at="--direction up --start 2025-01-15T12:00Z"
# shellcheck disable=SC2086
as agg-a order offer --market west $at --quantity-wh 4000 --price 0.10 --device car-agg-a --schedule plan >/dev/null
# shellcheck disable=SC2086
as agg-b order offer --market west $at --quantity-wh 4000 --price 0.20 --device car-agg-b --schedule plan >/dev/null
# shellcheck disable=SC2086
as dso order request --market west $at --quantity-wh 8000 --price 0.30 >/dev/null
for _ in $(seq 50); do
    sold=$(as dso network capacity lv1 f1 2025-01-15T12:45Z | jq -r .export_sold_w)
    [ "$sold" = 5000 ] && break
    sleep 0.1
done
[ "$sold" = 5000 ] || fail "sold $sold W of 5000"
[ "$(as dso deal list | jq -r '[.items[].contracted_wh | tonumber] | add')" = 5000 ] || fail "deals: $(as dso deal list)"
refused capacity_sold dso network publish lv1 --grid-node f1 --start 2025-01-15T12:00Z --import-w 6000 --export-w 4999
as dso network publish lv1 --grid-node f1 --start 2025-01-15T12:00Z --import-w 6000 --export-w 4999 --enforce >/dev/null

# --- a capacity market ----------------------------------------------------------------------------
need="--market room --flow import --start 2025-01-15T12:00Z"
# shellcheck disable=SC2086
as agg-a order capacity $need --quantity-wh 4000 --price 0.05 --device car-agg-a >/dev/null
# shellcheck disable=SC2086
as agg-b order capacity $need --quantity-wh 4000 --price 0.02 --device car-agg-b --min-quantity-wh 1000 >/dev/null
# shellcheck disable=SC2086
refused over_connection agg-b order capacity $need --quantity-wh 8000 --price 0.02 --device car-agg-b
refused not_cleared agg-a order allocation 4
before=$(as dso account show | jq -r .balance_ueur)
flex devnet time --dir net --set 2025-01-15T11:30Z >/dev/null
for _ in $(seq 100); do
    as agg-a order allocation 4 >allocation.json 2>/dev/null && break
    sleep 0.1
done
jq -e '.granted_wh == "4000" and .paid_ueur == "80000" and .proof_verified' allocation.json >/dev/null ||
    fail "the first: $(cat allocation.json)"
[ "$(grep -o '"height"' allocation.json | wc -l)" = 1 ] || fail "a key twice: $(cat allocation.json)"
jq -e '(.proven_height | tonumber) >= (.height | tonumber)' allocation.json >/dev/null || fail "no proven height"
[ "$(as agg-a --no-verify order show 4 | jq -r .height)" = "$(as agg-a order show 4 | jq -r .height)" ] ||
    fail "the order's own height, by the node's word"
as agg-b order allocation 5 >allocation.json
jq -e '.granted_wh == "2000" and .limited_by == "f1" and .price_ueur_per_kwh == "20000"' allocation.json >/dev/null ||
    fail "the second: $(cat allocation.json)"
after=$(as dso account show | jq -r .balance_ueur)
[ $((after - before)) -ge 120000 ] || fail "the DSO got $((after - before))"
as agg-b order events --order 5 | jq -e '[.items[].kind] == ["new", "grant", "expire"]' >/dev/null ||
    fail "events: $(as agg-b order events --order 5)"
echo "passed: a book and a capacity market keep a feeder's limits"
