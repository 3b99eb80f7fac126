#!/usr/bin/env bash
# Tables of orders against real processes: what is wrong with which line, as the ledger itself says it; sums
# and balance; placed once, whatever dies in between; and order and deal lists and watching them. Wallets with
# words, and without a secret. Usage: test_batch.sh BUILD
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
e2e_begin batch "$1"
devnet --simulated-time 2025-01-15T08:00:00Z
mint 100 dso agg-a agg-b operator
as operator market create west --zone west --opens 2025-01-01 --closes 2026-01-01 --price-max 2 >/dev/null
as operator market create up --zone west --opens 2025-01-01 --closes 2026-01-01 --price-max 2 --directions up \
    --gate-opening 6h >/dev/null
as operator market create shut --zone west --opens 2025-02-01 --closes 2026-01-01 --price-max 2 >/dev/null
battery agg-a bat west

# --- every refusal, by line, is the ledger's own ------------------------------------------------
head='side,market,direction,start,quantity_wh,price,rank'
rows=(
    'request,west,up,2025-01-15T11:15Z,4000,0.30,'   # not the start of a period
    'request,up,down,2025-01-15T11:00Z,4000,0.30,'   # not that direction
    'request,west,up,2025-01-15T11:00Z,4000,0.30,2'  # no place among its own in a book
    'request,up,up,2025-01-15T17:00Z,4000,0.30,'     # too early
    'request,west,up,2025-01-15T08:00Z,4000,0.30,'   # too late
    'request,west,up,2025-01-15T11:00Z,0,0.30,'      # nothing
    'request,west,up,2025-01-15T11:00Z,4001,0.30,'   # between the steps
    'request,west,up,2025-01-15T11:00Z,4000,2.01,'   # over the highest price
    'request,shut,up,2025-02-15T11:00Z,4000,0.30,'   # a market that has not opened
    'request,none,up,2025-01-15T11:00Z,4000,0.30,'   # no market
    'request,west,up,2031-01-15T11:00Z,4000,0.30,'   # years ahead
)
{ echo "$head"; printf '%s\n' "${rows[@]}"; } >wrong.csv
refused bad_rows dso order place --csv wrong.csv --dry-run
[ "$(jq '.faults | length' refused.json)" = ${#rows[@]} ] || fail "faults: $(cat refused.json)"
cp refused.json wrong.json
line=2
for row in "${rows[@]}"; do
    IFS=, read -r _ market direction start quantity price rank <<<"$row"
    said=$(jq -r --arg l $line '.faults[] | select(.line == $l) | .reason' wrong.json)
    refused "${said%%:*}" dso order request --market "$market" --direction "$direction" --start "$start" \
        --quantity-wh "$quantity" --price "$price" --rank "${rank:-0}"
    line=$((line + 1))
done

# --- what a table can be wrong in by itself: all of it at once ----------------------------------
cat >broken.csv <<'CSV'
side;market;direction;start;quantity_wh;price;device;schedule;indivisible;kind
buy;west;up;2025-01-15T11:00Z;4000;0.30;;;;
request;West;up;2025-01-15T11:00Z;4000;0.30;;;;
request;west;sideways;2025-01-15T11:00;4e3;0,30;;;maybe;iceberg
offer;west;up;2025-01-15T11:00Z;4000;0.30;;plan;;
request;west;up;2025-01-15T11:00Z;4000;0.30;;plan;;
CSV
refused bad_rows dso order place --csv broken.csv
[ "$(jq -r '[.faults[].line] | join(" ")' refused.json)" = "2 3 4 4 4 4 4 4 5 6" ] || fail "lines: $(cat refused.json)"
sed 's/side;market/side;Market/' broken.csv >misspelt.csv
refused bad_table dso order place --csv misspelt.csv
grep -q "column 'Market' is none of orders" refused.json || fail "$(cat refused.json)"
printf '%s\noffer,west,up,2025-01-15T11:00Z,4000,0.30,\n' "$head" >bare.csv
refused bad_rows agg-a order place --csv bare.csv
[ "$(curl -s "$node/v1/orders" | jq '.items | length')" = 0 ] || fail "orders after refused tables"

# --- sums, and a balance that does not bear them --------------------------------------------------
{
    echo side,market,direction,start,quantity_wh,price
    for i in $(seq 0 44); do
        printf 'request,west,up,2025-01-%02dT%02d:00Z,%d,0.%02d\n' $((16 + i / 24)) $((i % 24)) $((4000 + 1000 * (i % 5))) $((10 + i))
    done
} >day.csv
as dso order place --csv day.csv --dry-run >sums.json
python3 - <<'PY' || fail "sums: $(cat sums.json)"
import json
said = json.load(open("sums.json"))
rows = [line.strip().split(",") for line in open("day.csv")][1:]
escrow = sum(-(-int(r[4]) * round(float(r[5]) * 10**6) // 1000) for r in rows)
assert said["rows"] == "45" and said["requests"] == "45" and said["offers"] == "0", said
assert said["request_wh"] == str(sum(int(r[4]) for r in rows)), said
assert said["escrow_ueur"] == str(escrow), (said, escrow)
assert said["fees_ueur"] == str(5 * 1000 + 45 * 1000) or int(said["fees_ueur"]) > 0, said
assert int(said["needed_ueur"]) == escrow + int(said["fees_ueur"]) and said["proof_verified"], said
PY
[ ! -e day.csv.placed ] || fail "a dry run left a journal"
sed '2,$s/,0\.[0-9]*$/,1.99/' day.csv >dear.csv
refused insufficient_funds dso order place --csv dear.csv
[ "$(curl -s "$node/v1/orders" | jq '.items | length')" = 0 ] || fail "orders without money"

# --- placed once, whatever dies -----------------------------------------------------------------
count() { curl -s "$node/v1/orders?limit=1000" | jq '.items | length'; }
placed_so_far() { jq '.transactions | length' day.csv.placed 2>/dev/null || echo 0; }
kills=0
while [ "$(placed_so_far)" -lt 25 ] && [ $kills -lt 100 ]; do
    exec_as dso order place --csv day.csv --per-transaction 1 >>killed 2>&1 &
    placing=$!
    sleep "0.$((10 + 7 * (kills % 9)))"
    kill -9 $placing 2>/dev/null || true
    wait $placing 2>/dev/null || true
    kills=$((kills + 1))
done
as dso order place --csv day.csv --per-transaction 7 >placed.json || fail "going on: $(cat placed.json)"
jq -e '.placed_before != "0" and .rows != "0"' placed.json >/dev/null || fail "no kill came in between: $(cat killed placed.json)"
[ "$(count)" = 45 ] || fail "$(count) orders for 45 rows"
[ "$(curl -s "$node/v1/orders?limit=1000" | jq -r '[.items[] | .period_start_ms] | unique | length')" = 45 ] || fail "a row twice"
as dso order place --csv day.csv | jq -e '.rows == "0" and .placed_before == "45"' >/dev/null || fail "once more"
[ "$(count)" = 45 ] || fail "placed twice"
sed '3s/0\.11/0.12/' day.csv >changed && cp changed day.csv
refused placed_rows_changed dso order place --csv day.csv
sed '3s/0\.12/0.11/' day.csv >changed && cp changed day.csv
refused other_wallet agg-a order place --csv day.csv
echo 'request,west,up,2025-01-18T11:00Z,4000,0.31' >>day.csv
as dso order place --csv day.csv | jq -e '.rows == "1" and (.transactions[0].orders | length) == 1' >/dev/null || fail "a row more"
head -c 100 day.csv.placed >cut && mv cut day.csv.placed
refused bad_journal dso order place --csv day.csv
printf 'side,market,direction,start,quantity_wh,price\nrequest,\033]0;x\007west,up,2025-01-20T11:00Z,4000,0.1\n' >steers.csv
refused bad_rows dso order place --csv steers.csv
person dso order place --csv steers.csv 2>&1 | grep -q "$(printf '[\033\007]')" && fail "a table steers the terminal"
[ "$(count)" = 46 ] || fail "orders after all that: $(count)"

# --- a table that an editor replaces while it is being placed is still the same table -------------
{
    echo side,market,direction,start,quantity_wh,price
    for i in $(seq 0 19); do printf 'request,west,up,2025-01-20T%02d:00Z,4000,0.01\n' "$i"; done
} >held.csv
before=$(count)
exec_as dso order place --csv held.csv --per-transaction 1 >killed 2>&1 &
placing=$!
for _ in $(seq 500); do [ -e held.csv.placed ] && break; sleep 0.02; done
kill -STOP $placing
cp held.csv edited && mv edited held.csv
refused busy dso order place --csv held.csv
as dso order place --csv held.csv --dry-run >/dev/null 2>&1 || fail "a dry run waits for nobody"
kill -9 $placing
wait $placing 2>/dev/null || true
as dso order place --csv held.csv >placed.json || fail "after it died: $(cat placed.json)"
[ "$(count)" = $((before + 20)) ] || fail "$(count) orders, not $((before + 20))"

# --- a transaction that was signed and never sent: signed again only when it can't be executed any more
printf 'side,market,direction,start,quantity_wh,price\nrequest,west,up,2025-01-19T11:00Z,4000,0.31\n' >late.csv
as dso order place --csv late.csv >/dev/null
python3 - "$(as dso order request --market west --direction up --start 2025-01-19T12:00Z --quantity-wh 4000 --price 0.2 \
    --save-envelope envelope | jq -r .id)" <<'PY'
# The journal as it was before the node knew anything: another table's row under a transaction nobody has.
import json, sys
journal = json.load(open("late.csv.placed"))
last = journal["transactions"][-1]
last["id"] = "ab" * 32
last.update(nonce="1", valid_until_ms="1", envelope=open("envelope", "rb").read().hex())
json.dump(journal, open("late.csv.placed", "w"))
PY
before=$(count)
refused fate_unknown dso order place --csv late.csv
[ "$(count)" = "$before" ] || fail "placed although nobody knows"
python3 - <<'PY'
import json
journal = json.load(open("late.csv.placed"))
journal["transactions"][-1].update(nonce="9999")
json.dump(journal, open("late.csv.placed", "w"))
PY
as dso order place --csv late.csv | jq -e '.rows == "1"' >/dev/null || fail "what had expired is not placed"
[ "$(count)" = $((before + 1)) ] || fail "expired: $(count) orders"

# --- offers with schedules ------------------------------------------------------------------------
echo "0 0 0 0" >plan
echo "0 0 0" >short
{
    echo side,market,direction,start,quantity_wh,price,device,schedule
    echo offer,west,up,2025-01-16T00:00Z,4000,0.05,bat,plan
    echo offer,west,up,2025-01-16T01:00Z,5000,0.05,bat,short
} >offers.csv
refused bad_rows agg-a order place --csv offers.csv
grep -q 'short has 3 numbers' refused.json || fail "$(cat refused.json)"
sed -i 's/,short/,plan/' offers.csv
as agg-a order place --csv offers.csv | jq -e '.offers == "2"' >/dev/null || fail "offers"
[ "$(ls net/wallets/agg-a/schedules | wc -l)" = 2 ] || fail "salts"
[ "$(as dso deal list | jq '.items | length')" = 2 ] || fail "deals"

# --- lists, cut down; each against the node's whole list -------------------------------------------
# listed NOUN FILTER-OF-JQ OPTIONS...
listed() {
    local wanted
    wanted=$(curl -s "$node/v1/$1s?limit=1000" | jq -c "[.items[] | select($2) | .id]")
    [ "$(as dso "$1" list "${@:3}" | jq -c '[.items[] | .id]')" = "$wanted" ] || fail "$1 list ${*:3}: not $wanted"
    [ "$wanted" != '[]' ] || fail "nothing to list: $1 $2"
}
listed order '.status == "filled"' --state filled
listed order '.side == "sell"' --side sell
listed order '.market == "west" and (.period_start_ms | tonumber) >= 1737154800000' --market west --since 2025-01-17T23:00Z
listed order '.status == "open" and .side == "buy" and (.period_start_ms | tonumber) >= 1737154800000' --state open --side buy --since 2025-01-17T23:00Z
listed deal '.buyer == "dso" and .state == "matched"' --side buy --state matched
[ "$(as dso deal list --side sell | jq '.items | length')" = 0 ] || fail "the DSO sells"
[ "$(as agg-a deal list --side sell --market west | jq '.items | length')" = 2 ] || fail "agg-a's sales"
echo "tables: every refusal the ledger's own, sums right, 45 rows placed once through $kills kills"
