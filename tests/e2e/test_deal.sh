#!/usr/bin/env bash
# The life of a deal against real processes: terms changed by draft and vote, a proof that is held through
# the dispute window of the new terms, a dispute decided by the validators, a reservation that is called
# and answered, and the provider's record. Usage: test_deal.sh BUILD
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
e2e_begin deal "$1"

devnet --simulated-time 2025-01-15T08:00:00Z
# vote PROPOSAL: with the proposer's own, three of four.
vote() { for who in agg-a agg-b; do as $who governance vote "$1" yes >/dev/null || fail "vote of $who"; done; }
last_proposal() { as dso governance list | jq -r '[.items[].id | tonumber] | max'; }

mint 10 dso agg-a agg-b operator meters
as operator market create long --zone west --opens 2025-01-01 --closes 2026-01-01 --price-max 2 \
    --product reservation --activation-lead 2h --must-offer yes --proof-deadline 4d >/dev/null
as operator market create west --zone west --opens 2025-01-01 --closes 2026-01-01 --price-max 2 \
    --parent long >/dev/null

# --- other terms --------------------------------------------------------------------------------
[ "$(as operator market update west --price-max 1.5 | jq -r .change)" = at_once ] || fail "at once"
[ "$(as operator market update west --dispute-window 1d | jq -r .change)" = vote ] || fail "a vote"
refused bad_draft dso governance set-market long --height 1000
height=$(($(curl -s "$node/v1/status" | jq -r .height) + 12))
as dso governance set-market west --height $height >/dev/null
vote "$(last_proposal)"
[ "$(as dso market show west | jq -r .change_height)" = $height ] || fail "scheduled"
for _ in $(seq 100); do
    version=$(as dso market show west | jq -r .version)
    [ "$version" = 3 ] && break
    as dso token transfer --to agg-a --amount 0.001 >/dev/null
done
[ "$version" = 3 ] || fail "version $version"
as dso market show west | jq -e '.terms.times.dispute_window_ms == "86400000" and .terms.limits.price_max_ueur_per_kwh == "1500000"' >/dev/null ||
    fail "the terms: $(as dso market show west)"

# --- a reservation and its call ----------------------------------------------------------------
battery agg-a bat long west
at="--direction up --start 2025-01-15T11:00Z --quantity-wh 4000"
# shellcheck disable=SC2086
as agg-a order offer --market long $at --price 0.01 --device bat >/dev/null
# shellcheck disable=SC2086
as dso order request --market long $at --price 0.01 >/dev/null
[ "$(as dso deal show 1 | jq -r .state)" = matched ] || fail "reserved"
as dso deal call --deal 1 --market west --start 2025-01-15T11:00Z --quantity-wh 4000 --price 0.30 >/dev/null
echo "500 500 500 500" >plan
# shellcheck disable=SC2086
refused bad_schedule agg-a order offer --market west $at --price 0.20 --device bat --reservation 1
# shellcheck disable=SC2086
refused out_of_range agg-a order offer --market west $at --price 1.60 --device bat --schedule plan --reservation 1
# shellcheck disable=SC2086
as agg-a order offer --market west $at --price 0.20 --device bat --schedule plan --reservation 1 >/dev/null
[ "$(as dso deal show 2 | jq -r .reservation)" = 1 ] || fail "the answer's deal"

# --- a proof, and what the buyer thinks of it ---------------------------------------------------
clock 2025-01-15T12:01:00Z
echo "-500 -500 -500 0" >profile
flex meter read --key bat.meter --device bat --start 2025-01-15T11:00Z --profile profile \
    --out readings.json >/dev/null
as meters meter batch --id west readings.json >/dev/null
as meters meter reveal --id west --device bat --from 2025-01-15T11:00Z --until 2025-01-15T12:00Z \
    --out reveal.json >/dev/null
as agg-a deal prove --deal 2 --readings reveal.json | jq -e '.deal.state == "proven" and .deal.credited_wh == "3500"' >/dev/null ||
    fail "proven"
refused no_newer_readings agg-a deal prove --deal 2 --readings reveal.json
evidence=$(sha256sum readings.json | cut -c-64)
refused not_permitted agg-b deal dispute --deal 2 --evidence "$evidence"
as dso deal dispute --deal 2 --evidence "$evidence" >/dev/null
[ "$(as dso deal show 2 | jq -r .state)" = disputed ] || fail "disputed"
as dso governance decide 2 --credited-wh 2000 >/dev/null
vote "$(last_proposal)"
as dso deal show 2 | jq -e '.state == "partial" and .credited_wh == "2000"' >/dev/null ||
    fail "decided: $(as dso deal show 2)"
as dso proof get dispute 2 --out dispute.proof >/dev/null
flex proof verify dispute.proof --genesis net/genesis.json >/dev/null || fail "the dispute's proof"

# --- the record, and the reservation's fee ------------------------------------------------------
clock 2025-01-19T12:01:00Z
as dso token transfer --to agg-a --amount 0.001 >/dev/null
[ "$(as dso deal show 1 | jq -r .state)" = settled ] || fail "the reservation: $(as dso deal show 1)"
as agg-b participant reliability agg-a |
    jq -e '.deals == "2" and .settled == "1" and .partial == "1" and .disputes_lost == "1" and
           .contracted_wh == "8000" and .credited_wh == "6000"' >/dev/null ||
    fail "the record: $(as agg-b participant reliability agg-a)"

# --- kinds that have no list are read one by one, with a proof -----------------------------------
[ "$(as operator market update west --dispute-window 2d | jq -r .change)" = vote ] || fail "another draft"
slot=$(($(date -u -d 2025-01-15T11:00Z +%s) * 1000))
proven() { # KIND ID JQ: the record is there, is that, and its proof holds
    flex proof get "$1" "$2" --node "$node" --genesis net/genesis.json --out kind.proof >/dev/null || fail "proof of $1 $2"
    flex proof verify kind.proof --genesis net/genesis.json --json >proof.json || fail "verify $1 $2"
    jq -e "$3" proof.json >/dev/null || fail "$1 $2: $(cat proof.json)"
}
proven reservation 1 '.present and .record.calls[0].offered_wh == "4000"'
proven dispute 2 '.present and .record.opener == "dso"'
proven reliability agg-a '.present and .record.disputes_lost == "1"'
proven reliability nobody '.ok and (.present | not)'
proven terms west/3 '.present and .record.times.dispute_window_ms == "86400000"'
proven draft west '.present and .record.terms.times.dispute_window_ms == "172800000"'
echo "-400 -500 -500 0" >profile # a correction that comes too late: the fingerprint before it is kept
flex meter read --key bat.meter --device bat --start 2025-01-15T11:00Z --profile profile --out late.json >/dev/null
as meters meter batch --id west late.json --reason "meter exchanged" >/dev/null
proven batch "meters/west/$slot" '.present'
proven fingerprint "meters/west/$slot/0" '.present'
as dso audit export --dir export >/dev/null
flex audit verify --dir export --genesis net/genesis.json --json | jq -e .ok >/dev/null || fail "audit"
echo "deals: terms by vote, a dispute decided, a reservation called, answered and paid"
