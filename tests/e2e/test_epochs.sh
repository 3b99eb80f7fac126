#!/usr/bin/env bash
# The validator set changes by vote while the chain runs: one joins, one changes its key, one is removed,
# and one that was away through all of it comes back. Payments go on, and wallet, proof file and export
# still verify from the first genesis file alone. Usage: test_epochs.sh BUILD
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
e2e_begin epochs "$1"

devnet --audit 2 --simulated-time 2025-01-15T08:00:00Z
api() { jq -r --arg n "$1" '.nodes[] | select(.name == $n) | .api' start.json; }
status() { curl -s --max-time 5 "$(api "$1")/v1/status"; }
# until SECONDS NODE FILTER: the node's status satisfies it.
until_status() {
    local limit=$((SECONDS + $1))
    until status "$2" | jq -e "$3" >/dev/null 2>&1; do
        [ $SECONDS -lt $limit ] || fail "$2 did not reach $3: $(status "$2")"
        sleep 0.2
    done
}
mapfile -t spares < <(jq -r '.nodes[] | select(.role == "audit") | .name' start.json)
[ "${#spares[@]}" = 2 ] || fail "two spare nodes"
# Spare nodes stand by as validators whose key is in no set yet: they follow.
for spare in "${spares[@]}"; do
    flex devnet kill --node "$spare" --dir net >/dev/null
    config=net/nodes/$spare/flexd.json
    jq '.role = "validator"' "$config" >config.json
    cat config.json >"$config"
    [ "$(jq -r .role "$config")" = validator ] || fail "role of $spare"
    flex devnet start-node --node "$spare" --dir net >/dev/null
    until_status 20 "$spare" '.voting == false and .epoch == "0"'
done
first=dso
as() { flex --home "net/wallets/$1" --node "$(api $first)" --json "${@:2}"; }
key_of() { status "$1" | jq -r .key; }
mint 100 dso agg-a agg-b operator meters
as dso token transfer --to agg-a --amount 1 >/dev/null || fail "a payment before"

# propose WHO ARGUMENTS...: prints the proposal's number; then everybody named votes yes.
propose() { as "$1" governance "${@:2}" >/dev/null; as "$1" governance list | jq -r '[.items[].id | tonumber] | max'; }
vote() { for who in "${@:2}"; do as "$who" governance vote "$1" yes >/dev/null || fail "vote of $who"; done; }
prove() { flex governance prove-key "$2" --node-key "net/nodes/$1/node.key" --genesis net/genesis.json --json; }

# --- one joins: 4 -> 5 ------------------------------------------------------------------------
prove "${spares[0]}" meters >proof.json
number=$(propose dso add --key "$(jq -r .key proof.json)" --operator meters --proof "$(jq -r .proof proof.json)")
as meters governance vote "$number" yes >/dev/null && fail "a vote without a validator"
# One that cannot make the next epoch's journal stops and says why; it does not crash.
: >net/nodes/agg-b/journal-1
vote "$number" agg-a agg-b
for _ in $(seq 100); do
    [ "$(flex devnet status --dir net --json | jq -r '.nodes[] | select(.name == "agg-b") | .pid')" = null ] && break
    sleep 0.1
done
grep -q "epoch 1: .*-> stopping" net/nodes/agg-b/flexd.log || fail "agg-b did not say why it stops"
grep -q "the node had to stop; see the log" net/nodes/agg-b/flexd.log || fail "agg-b crashed"
rm net/nodes/agg-b/journal-1
flex devnet start-node --dir net --node agg-b >/dev/null
for node in dso agg-a agg-b operator "${spares[0]}"; do
    until_status 20 "$node" '.epoch == "1" and .validators == 5 and .voting'
done
until_status 20 "${spares[1]}" '.epoch == "1" and .voting == false'
as dso token transfer --to agg-a --amount 1 >/dev/null || fail "a payment in epoch 1"

# --- one changes its key while another is away ------------------------------------------------
flex devnet kill --node agg-b --dir net >/dev/null
prove "${spares[1]}" agg-a >proof.json
number=$(propose agg-a replace --old-key "$(key_of agg-a)" --key "$(jq -r .key proof.json)" \
    --operator agg-a --proof "$(jq -r .proof proof.json)")
vote "$number" dso operator meters
for node in dso operator "${spares[@]}"; do
    until_status 20 "$node" '.epoch == "2" and .validators == 5 and .voting'
done
until_status 20 agg-a '.epoch == "2" and .voting == false'

# --- one is removed ---------------------------------------------------------------------------
number=$(propose dso remove --key "$(key_of operator)")
vote "$number" agg-a meters operator
until_status 20 operator '.epoch == "3" and .voting == false and .validators == 4'
until_status 20 dso '.epoch == "3" and .voting'
as dso token transfer --to agg-a --amount 1 >/dev/null || fail "a payment in epoch 3"
as operator governance remove --key "$(key_of dso)" >/dev/null && fail "the removed one's proposal"

# --- the one that was away crosses two epochs; those removed are not needed ---------------------
flex devnet start-node --node agg-b --dir net >/dev/null
until_status 30 agg-b '.epoch == "3" and .voting'
flex devnet kill --node operator --dir net >/dev/null
flex devnet kill --node agg-a --dir net >/dev/null
as dso token transfer --to agg-b --amount 1 >/dev/null || fail "a payment without those removed"
flex devnet kill --node dso --dir net >/dev/null
first=agg-b
as agg-b token transfer --to dso --amount 1 >/dev/null || fail "a payment with three of four"
flex devnet start-node --node dso --dir net >/dev/null
until_status 30 dso '.epoch == "3" and .voting'

# --- from the first genesis file alone ----------------------------------------------------------
as dso proof get participant dso --out account.proof >/dev/null || fail "proof get"
[ "$(jq '.epochs | length' account.proof)" = 3 ] || fail "the proof walks three boundaries"
flex proof verify account.proof --genesis net/genesis.json >/dev/null || fail "proof verify"
flex devnet time --dir net --set 2025-01-16T00:05Z >/dev/null
as agg-b token transfer --to dso --amount 1 >/dev/null || fail "a payment on the next day"
as dso audit digest get 2025-01-15 --out day.note >day.json || fail "the day's digest"
[ "$(grep -c '^epoch ' day.note)" = 3 ] || fail "the digest walks three boundaries"
flex audit digest verify day.note --genesis net/genesis.json >/dev/null || fail "digest verify"
as dso proof get block 1 --out block.proof >/dev/null || fail "an earlier block's proof"
as dso proof get log "2/$(jq -r .log_size day.json)" --out log.proof >/dev/null || fail "the log's proof"
for proof in block log; do
    flex proof verify $proof.proof --genesis net/genesis.json >/dev/null || fail "proof verify of $proof"
done
flex --node "$(api dso)" audit export --dir export --genesis net/genesis.json >/dev/null ||
    fail "audit export"
flex audit verify --dir export --genesis net/genesis.json >verify.out || { cat verify.out; fail "audit verify"; }
cmp -s day.note export/digests/2025-01-15.note || flex audit digest verify export/digests/2025-01-15.note \
    --genesis net/genesis.json >/dev/null || fail "the export's digest"
broken=$(curl -s "$(api dso)/metrics" | awk '/log_broken_lines/ && !/^#/ {print $2}')
[ "${broken:-0}" = 0 ] || fail "broken log lines"
echo "validators joined, changed keys, left and came back; everything verifies from genesis"
