#!/usr/bin/env bash
# Aliases against real processes: requested, given keys, issued, refused, offered, matched, proven by schedule
# and by baseline without a reading of the device on the ledger, computed again by a regulator, audited; and
# what an audit says of a device that was sold under its own name, too. Usage: test_alias.sh BUILD
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
e2e_begin alias "$1"

devnet --simulated-time 2025-01-15T08:00:00Z

mint 10 dso agg-a agg-b operator meters
as operator market create west --zone west --opens 2025-01-01 --closes 2026-01-01 --price-max 2 >/dev/null
as operator market create base --zone west --opens 2025-01-01 --closes 2026-01-01 --price-max 2 \
    --method baseline --baseline-days 10 --baseline-highest 5 --baseline-adjustment-permille 200 \
    --baseline-window 8 --baseline-gap 4 >/dev/null

as operator market create slow --zone west --opens 2025-01-01 --closes 2026-01-01 --price-max 2 \
    --dispute-window 2d --proof-deadline 4d >/dev/null

# --- six houses of one aggregator; none is prequalified under its own name -----------------------
for i in 1 2 3 4 5 6; do
    flex meter new-key --out h$i.meter --json >meter.json
    as agg-a asset register house-$i --type heat_pump --max-power-w $((4000 + 130 * i)) --connection-w 11000 \
        --grid-node n$i --feeder f1 --zone west --meter-key "$(jq -r .public_key meter.json)" >/dev/null
done
hour="--from 2025-01-15T11:00Z --until 2025-01-15T12:00Z"
request() { as agg-a alias request "$@" | jq -r .alias; }
# shellcheck disable=SC2086
{
    one=$(request house-1 --market west $hour --max-power-w 2000 --out asked.json)
    two=$(request house-2 --market base $hour --max-power-w 2000 --out asked.json)
    three=$(request house-3 --market slow $hour --max-power-w 2000 --out asked.json)
    twice=$(request house-1 --market base $hour --max-power-w 2000 --out twice.json)
    request house-3 --market west $hour --max-power-w 4390 --out odd.json >/dev/null
    request house-3 --market west $hour --max-power-w 9000 --out large.json >/dev/null
}
for file in asked twice odd large; do as meters alias key $file.json --out $file.keyed.json >/dev/null; done
grep -q house asked.keyed.json || fail "an opening names its device"

refused odd_power dso alias issue odd.keyed.json
refused too_large dso alias issue large.keyed.json
refused small_crowd dso alias issue asked.keyed.json --crowd 7
refused bad_key dso alias issue asked.json
rm -f net/wallets/dso/aliases.json
jq -c '.openings[0].device = "house-4"' asked.keyed.json >moved.json
refused wrong_commitment dso alias issue moved.json
jq -c '.openings[0].issue.max_power_w = "2500"' asked.keyed.json >grown.json
refused bad_signature dso alias issue grown.json
as dso alias issue asked.keyed.json | jq -e '.aliases == 3' >/dev/null || fail "issued"
refused carved_twice dso alias issue twice.keyed.json
as agg-b alias show "$one" | jq -e '.manager == "agg-a" and (tostring | contains("house") | not)' >/dev/null ||
    fail "an alias names no device"

# --- offers, deals ------------------------------------------------------------------------------
at="--direction up --start 2025-01-15T11:00Z --quantity-wh 2000"
echo "900 900 900 900" >plan
# shellcheck disable=SC2086
{
    as agg-a order offer --market west $at --price 0.20 --device "$one" --schedule plan >/dev/null
    as agg-a order offer --market slow $at --price 0.20 --device "$three" --schedule plan >/dev/null
    as dso order request --market slow $at --price 0.20 >/dev/null
    as agg-a order offer --market base $at --price 0.20 --device "$two" >/dev/null
    refused not_yours_to_offer agg-b order offer --market base $at --price 0.20 --device "$two"
    as dso order request --market west $at --price 0.20 >/dev/null
    as dso order request --market base $at --price 0.20 >/dev/null
}
clock 2025-01-15T12:01:00Z

# --- readings: the device's own stay with the meter operator --------------------------------------
echo "400 400 350 900" >profile1
flex meter read --key h1.meter --device house-1 --start 2025-01-15T11:00Z --profile profile1 --out h1.json >/dev/null
flex meter read --key h3.meter --device house-3 --start 2025-01-15T11:00Z --profile profile1 --out h3.json >/dev/null
# Twelve quarter hours before noon on ten weekdays and the day itself: 1000 Wh each, on the day less.
for day in 01 02 03 06 07 08 09 10 13 14 15; do
    {
        for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do echo 1000; done
        if [ $day = 15 ]; then echo 620 500 490 1000; else echo 1000 1000 1000 1000; fi
    } | tr ' ' '\n' >profile2
    flex meter read --key h2.meter --device house-2 --start 2025-01-${day}T08:00Z --profile profile2 \
        --out h2.json >/dev/null
done
west=$(as dso deal list | jq -r --arg d "$one" '.items[]|select(.device==$d).id')
base=$(as dso deal list | jq -r --arg d "$two" '.items[]|select(.device==$d).id')
slow=$(as dso deal list | jq -r --arg d "$three" '.items[]|select(.device==$d).id')
as meters alias readings --deal "$slow" --openings asked.keyed.json --out proofs.json h3.json >/dev/null
as meters alias readings --deal "$west" --openings asked.keyed.json --out proofs.json h1.json >/dev/null
as meters alias readings --deal "$base" --openings asked.keyed.json --out proofs.json h2.json >/dev/null
refused reading_missing meters alias readings --deal "$base" --openings asked.keyed.json --out other.json h1.json
refused not_its_deal meters alias readings --deal "$base" --openings twice.keyed.json --out other.json h2.json
jq -e '[.readings[]|select(.meter=="delivered").net_wh] == ["380","500","510","0"]' proofs.json >/dev/null ||
    fail "derived: $(jq -c .readings proofs.json)"
as meters meter batch --id aliases proofs.json >/dev/null
for pair in "$west $one" "$base $two" "$slow $three"; do
    as meters meter reveal --id aliases --device "${pair#* }" --from 2025-01-15T11:00Z \
        --until 2025-01-15T12:00Z --out reveal.json >/dev/null
    as agg-a deal prove --deal "${pair% *}" --readings reveal.json >/dev/null
done
as dso deal show "$west" | jq -e '.credited_wh == "1500"' >/dev/null || fail "$(as dso deal show "$west")"
as dso deal show "$base" | jq -e '.credited_wh == "1380"' >/dev/null || fail "$(as dso deal show "$base")"

as dso deal show "$slow" | jq -e '.state == "proven"' >/dev/null || fail "$(as dso deal show "$slow")"

# --- a regulator, who was given openings and readings ---------------------------------------------
as meters alias readings --deal "$base" --openings asked.keyed.json --check proofs.json h2.json >/dev/null
jq -c '.readings[8].net_wh = "381"' proofs.json >false.json
refused differs meters alias readings --deal "$base" --openings asked.keyed.json --check false.json h2.json
as dso alias audit asked.keyed.json | jq -e '.checked == 3 and .unopened == 0' >/dev/null || fail "audit"
refused aliases_wrong dso alias audit asked.keyed.json twice.keyed.json
jq -e '[.problems[].problem] | sort == ["carved_twice","carved_twice"]' refused.json >/dev/null ||
    fail "$(cat refused.json)"
# The DSO breaks its own rule: house-2 sells under its own name, too, at a time that an alias has.
as dso asset prequalify house-2 >/dev/null
as agg-a asset enrol house-2 --market base >/dev/null
as agg-a alias request house-2 --market base --from 2025-01-15T16:00Z --until 2025-01-15T17:00Z \
    --max-power-w 2000 --out late.json >/dev/null
as meters alias key late.json --out late.keyed.json >/dev/null
as dso alias issue late.keyed.json >/dev/null
as agg-a order offer --market base --direction up --start 2025-01-15T16:00Z --quantity-wh 2000 --price 0.20 \
    --device house-2 >/dev/null
refused aliases_wrong dso alias audit late.keyed.json
jq -e '[.problems[].problem] == ["sold_twice"] and .unopened == 3' refused.json >/dev/null || fail "$(cat refused.json)"
as dso audit export --dir export >/dev/null
flex audit verify --dir export --genesis net/genesis.json --json |
    jq -e '.ok and .not_reexecuted == "0" and .not_reexecuted_deals == []' >/dev/null || fail "audit"

# --- validators forget what finished deals revealed; the audit node doesn't ------------------------
flex devnet stop --dir net >/dev/null
for who in dso agg-a agg-b operator; do
    jq '.witness_days = 0' net/nodes/$who/flexd.json >changed.json && mv changed.json net/nodes/$who/flexd.json
done
flex devnet start --dir net >/dev/null
flex devnet kill --node agg-b --dir net >/dev/null
rm -rf net/nodes/agg-b/data net/nodes/agg-b/journal
api() { jq -r --arg n "$1" '.nodes[]|select(.name==$n).api' start.json; }
# verified NODE: exports from it and executes that offline.
verified() {
    rm -rf "export-$1"
    flex --home net/wallets/dso --node "$(api "$1")" audit export --dir "export-$1" >/dev/null &&
        flex audit verify --dir "export-$1" --genesis net/genesis.json --json >"verified-$1.json"
}
as dso token transfer --to agg-a --amount 0.001 >/dev/null
for who in dso agg-a operator; do
    for _ in $(seq 40); do
        verified $who || fail "an export without readings: $(cat verified-$who.json)"
        [ "$(jq -r .not_reexecuted verified-$who.json)" = 2 ] && break
        sleep 0.3
    done
    jq -e --arg a "$west" --arg b "$base" '.ok and .not_reexecuted == "2" and
        ([.not_reexecuted_deals[].deal] | sort) == ([$a, $b] | sort)' verified-$who.json >/dev/null ||
        fail "$(cat verified-$who.json)"
done
verified audit || fail "the audit node's export"
jq -e '.ok and .not_reexecuted == "0"' verified-audit.json >/dev/null || fail "the audit node has all"
# What could still be disputed stays, until the window is over and the deal closed.
flex devnet time --dir net --set 2025-01-17T13:00:00Z >/dev/null
for _ in $(seq 60); do
    sleep 0.3
    as dso token transfer --to agg-a --amount 0.001 >/dev/null
    verified dso || fail "an export without readings: $(cat verified-dso.json)"
    [ "$(jq -r .not_reexecuted verified-dso.json)" = 3 ] && break
done
[ "$(jq -r .not_reexecuted verified-dso.json)" = 3 ] || fail "the window is over: $(cat verified-dso.json)"
[ "$(as dso deal show "$slow" | jq -r .state)" = partial ] || fail "$(as dso deal show "$slow")"
for who in agg-a operator; do
    for _ in $(seq 40); do verified $who; [ "$(jq -r .not_reexecuted verified-$who.json)" = 3 ] && break; sleep 0.3; done
done
# A validator begins anew, with nothing but what three others kept.
flex devnet kill --node audit --dir net >/dev/null
flex devnet start-node --node agg-b --dir net >/dev/null || fail "agg-b does not catch up"
height() { curl -fsS "$(api "$1")/v1/status" | jq -r .height; }
wanted=$(height dso)
for _ in $(seq 60); do [ "$(height agg-b)" -ge "$wanted" ] && break; sleep 0.5; done
root() { curl -fsS "$(api "$1")/v1/blocks/$wanted" | jq -r .header.state_root; }
[ "$(root agg-b)" = "$(root dso)" ] || fail "agg-b has another state"
verified agg-b && jq -e '.ok and .not_reexecuted == "3"' verified-agg-b.json >/dev/null || fail "$(cat verified-agg-b.json)"
flex devnet stop --dir net >/dev/null
for who in dso agg-b; do "$bin/flexd" check --home net/nodes/$who >/dev/null || fail "the database of $who"; done
echo "aliases: issued, offered, proven without the device's readings, computed again, audited; readings forgotten, history whole"
