#!/usr/bin/env bash
# Watching orders and deals against real processes: each change once and proven, across a node that is killed
# and comes back; the ends: all closed, a signal, a reader that goes away, a node that stays away. Wallets
# that only watch: they read and watch, and sign nothing. Words make the same key again; what is wrong with
# them is named. Usage: test_watch.sh BUILD
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
e2e_begin watch "$1"
watching=
at_end() { [ -z "$watching" ] || kill -9 "$watching" 2>/dev/null || true; }
devnet --simulated-time 2025-01-15T08:00:00Z
mint 100 dso agg-a operator
as operator market create west --zone west --opens 2025-01-01 --closes 2026-01-01 --price-max 2 >/dev/null
as operator market create east --zone west --opens 2025-01-01 --closes 2026-01-01 --price-max 2 >/dev/null
battery agg-a bat west
echo "0 0 0 0" >plan
request() { as dso order request --market "${3:-west}" --direction up --start "2025-01-15T$1:00Z" --quantity-wh "$2" --price 0.30 >/dev/null; }
offer() { as agg-a order offer --market west --direction up --start "2025-01-15T$1:00Z" --quantity-wh "$2" --price 0.20 --device bat --schedule plan >/dev/null; }
# wait_for FILE FILTER: some line satisfies it.
wait_for() {
    local limit=$((SECONDS + 30))
    until jq -es "any($2)" "$1" >/dev/null 2>&1; do
        [ $SECONDS -lt $limit ] || fail "$1 never had $2: $(cat "$1")"
        sleep 0.1
    done
}
ended() { # WANTED-EXIT: of what is being watched
    local status=0
    wait "$watching" || status=$?
    watching=
    [ $status = "$1" ] || fail "exit $status, not $1"
}

# --- two by number, until both are closed ---------------------------------------------------------
request 11 4000
request 12 4000
exec_as dso --json order watch 1 2 --until-closed >two.jsonl &
watching=$!
wait_for two.jsonl '.[]; .id == "2"'
offer 11 1000
wait_for two.jsonl '.[]; .open_wh == "3000"'
request 13 1000 # not one of the two
offer 11 3000
as dso order cancel 2 >/dev/null
ended 0
jq -es '[.[] | select(.id) | .id + " " + .status + " " + .open_wh] ==
    ["1 open 4000", "2 open 4000", "1 open 3000", "1 filled 0", "2 cancelled 4000"]' two.jsonl >/dev/null ||
    fail "two: $(cat two.jsonl)"
jq -es '(.[:-1] | all(.proof_verified)) and (.[-1] | .ended == "closed" and .changes == "5")' two.jsonl >/dev/null ||
    fail "the end: $(tail -n 1 two.jsonl)"

# --- all of one's own, over a node that dies ------------------------------------------------------
exec_as dso --json order watch --market west --timeout 60s >own.jsonl &
watching=$!
wait_for own.jsonl '.[]; .id == "4"'
first=$(jq -r '.nodes[0].name' start.json)
flex devnet kill --node "$first" --dir net >/dev/null
there=$node node=$(jq -r '.nodes[1].api' start.json)
request 14 1000
request 14 1000 east
flex devnet start-node --node "$first" --dir net >/dev/null
node=$there
wait_for own.jsonl '.[]; .period_start_ms == "1736949600000"'
request 15 2000
wait_for own.jsonl '.[]; .open_wh == "2000"'
kill -TERM "$watching"
ended 0
jq -es '[.[] | select(.id) | .id] == (["4", "6", "8"] | map(.)) or ([.[] | select(.id)] | length) == 3' own.jsonl >/dev/null ||
    fail "own: $(cat own.jsonl)"
jq -es 'all(.[:-1][]; .market == "west") and (.[-1].ended == "signal")' own.jsonl >/dev/null || fail "own: $(cat own.jsonl)"

# --- deals; a table for people; a reader that goes away --------------------------------------------
exec_as agg-a deal watch >deals.txt &
watching=$!
for _ in $(seq 100); do grep -q ' 1  matched' deals.txt && break; sleep 0.1; done
offer 15 2000
for _ in $(seq 100); do grep -q ' 3  matched' deals.txt && break; sleep 0.1; done
kill -INT "$watching"
ended 0
[ "$(grep -c matched deals.txt)" = 3 ] && head -n 1 deals.txt | grep -q 'state.*market' || fail "deals: $(cat deals.txt)"
(set +o pipefail; person dso order watch 2>/dev/null | head -n 1 >table) # and it ends with its reader
grep -q status table || fail "no table"
refused unknown_order dso order watch 999 --until-closed
as dso order watch 1 --until-closed | jq -es '.[-1].ended == "closed"' >/dev/null || fail "closed at once"
status=0
flex --home net/wallets/dso --node http://127.0.0.1:1 --timeout 1s --json order watch 1 >none.json 2>/dev/null || status=$?
[ $status = 3 ] && jq -e '.error.code == "no_node"' none.json >/dev/null || fail "no node: $status $(cat none.json)"

# --- words, and a wallet without a secret ----------------------------------------------------------
flex --home words key new --mnemonic --words 12 --no-passphrase --json >new.json
[ "$(jq -r .mnemonic new.json | wc -w)" = 12 ] || fail "$(cat new.json)"
jq -r .mnemonic new.json >phrase
grep -q "$(cut -d' ' -f1-3 phrase)" words/key.json && fail "words on disk"
tr a-z A-Z <phrase | sed 's/ /   /g' >typed
flex --home again key restore --mnemonic-fd 3 --passphrase-fd 4 --json 3<typed 4<<<"a passphrase" >again.json
[ "$(jq -r .public_key again.json)" = "$(jq -r .public_key new.json)" ] || fail "another key"
refused_by key_exists flex --home again key restore --mnemonic-fd 3 --no-passphrase --json 3<phrase
sed 's/^[a-z]*/zzzz/' phrase >typo
refused_by bad_mnemonic flex --home bad key restore --mnemonic-fd 3 --no-passphrase --json 3<typo
grep -q "word 1 is not in the list" refused.json && [ ! -e bad/key.json ] || fail "$(cat refused.json)"
refused_by mnemonic_missing flex --home bad key restore --mnemonic-fd 3 --no-passphrase --json 3</dev/null

screen() { flex --home screen --node "$node" --genesis net/genesis.json --json "$@"; }
screen key watch dso | jq -e '.watch_only' >/dev/null || fail "watching"
screen account show | jq -e '.proof_verified' >/dev/null || fail "a watcher's balance"
screen order watch 1 --until-closed >/dev/null || fail "a watcher watches"
printf 'side,market,direction,start,quantity_wh,price\nrequest,west,up,2025-01-16T11:00Z,1000,0.3\n' >one.csv
screen order place --csv one.csv --dry-run >/dev/null || fail "a watcher's dry run"
for command in "order place --csv one.csv" "order cancel 4" "token transfer --to agg-a --amount 1" "key sign-proof dso" \
    "order request --market west --direction up --start 2025-01-15T16:00Z --quantity-wh 1000 --price 0.1"; do
    # shellcheck disable=SC2086
    refused_by watch_only screen $command
done
screen key watch agg-a | jq -e '.watch_only' >/dev/null || fail "watching another"
screen key watch "$(jq -r .public_key new.json)" >/dev/null || fail "watching a key"
refused_by key_exists flex --home words --json key watch "$(jq -r .public_key new.json)"
refused_by bad_key screen key watch "$(printf 'ff%.0s' $(seq 32))"
refused_by unknown_participant screen key watch nobody
echo "watching: each change once and proven, over a killed node; words and watchers as they should be"
