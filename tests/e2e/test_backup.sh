#!/usr/bin/env bash
# Backups while nodes run: under load, killed with -9 at any moment, and one of them restored in place of a
# validator whose machine is lost. It follows without a vote until the chain has passed what its former life
# can have voted for, then it votes; nobody ever holds two votes of it. Without the mark that holds it
# back, the others' memory does. Usage: test_backup.sh BUILD
set -euo pipefail
. tests/e2e/lib.sh
e2e_begin backup "$1"
load=
at_end() { [ -z "$load" ] || kill "$load" 2>/dev/null || true; }
devnet --audit 1
flexd() { "$bin/flexd" "$@"; }
api() { jq -r --arg n "$1" '.nodes[] | select(.name == $n) | .api' start.json; }
status() { curl -s --max-time 5 "$(api "$1")/v1/status"; }
home() { echo "$dir/net/nodes/$1"; }
until_status() { # SECONDS NODE FILTER
    local limit=$((SECONDS + $1))
    until status "$2" | jq -e "$3" >/dev/null 2>&1; do
        [ $SECONDS -lt $limit ] || fail "$2 did not reach $3: $(status "$2")"
        sleep 0.2
    done
}
height() { status "$1" | jq '.height | tonumber'; }
mint 1000 dso agg-a
pay() { as agg-a token transfer --to dso --amount 0.01 >>load.out 2>&1; }
(while [ ! -e enough ]; do pay || sleep 0.1; done) &
load=$!

# --- under load ------------------------------------------------------------------------------------
flexd backup --home "$(home agg-b)" --out first --json >first.out || fail "a backup of a running node"
[ ! -e first/node.key ] && [ ! -e first/tls/node.key ] && [ ! -e first/journal ] || fail "keys or votes in a backup"
jq -e '.keys == false and (.height | tonumber) >= 1' first.out >/dev/null || fail "$(cat first.out)"
flexd backup --home "$(home agg-b)" --out first >/dev/null 2>&1 && fail "over another backup"
flexd backup --home "$(home agg-b)" --out secret --keys --json >secret.out || fail "with keys"
[ "$(stat -c %a secret)$(stat -c %a secret/node.key)" = 700600 ] || fail "modes of the key"
[ "$(jq -r '.height | tonumber' secret.out)" -ge "$(jq -r '.height | tonumber' first.out)" ] || fail "older"
flexd start --home secret >start.out 2>&1 && fail "a backup that runs"
grep -q "this is a backup" start.out || fail "$(cat start.out)"
cp -r secret outside && rm outside/backup.json && cp net/genesis.json elsewhere.json
jq --arg g "$dir/elsewhere.json" '.genesis = $g' secret/flexd.json >outside/flexd.json
flexd backup --home outside --out inside --json >inside.out || fail "a home with a file outside"
jq -e --arg g "$dir/elsewhere.json" '.outside == [$g]' inside.out >/dev/null || fail "not said: $(cat inside.out)"
flexd backup --home outside --out inside-2 2>&1 >/dev/null | grep -q "elsewhere.json is outside the home" || fail "not said"

# --- killed at any moment: never half a backup, and the node does not mind ---------------------------
# The kernel ends the process at the write that passes a number of bytes: a kill that hits surely, in the
# small files, in each part of the copy, at its end, and with the copy whole and nothing said about it yet.
whole=0
size=$(stat -c %s first/data/data.mdb)
for part in 0 30 60 90 99; do
    code=0
    (ulimit -c 0; ulimit -f $((size * part / 100 / 1024 + 1)); exec "$bin/flexd" backup --home "$(home agg-b)" --out "bytes-$part" --keys) >/dev/null 2>&1 || code=$?
    [ $code != 0 ] && [ ! -e "bytes-$part" ] || fail "a backup of $part % has the name of a whole one (exit $code)"
    [ $part = 0 ] || [ -s "bytes-$part.partial/data/data.mdb" ] || fail "killed at $part % before the copy began"
done
for boundary in rename after; do
    "$bin/flexd" backup --home "$(home agg-b)" --out "late-$boundary" --keys >/dev/null 2>&1 &
    victim=$!
    # Stopped when all is written, or when all is renamed: whichever the kill then meets is looked at.
    until [ -e "late-$boundary" ] || { [ "$boundary" = rename ] && [ -e "late-$boundary.partial/backup.json" ]; } || ! kill -0 $victim 2>/dev/null; do :; done
    kill -9 $victim 2>/dev/null || true
    wait $victim 2>/dev/null || true
    if [ -e "late-$boundary" ]; then
        whole=$((whole + 1))
        [ -s "late-$boundary/backup.json" ] && flexd check --home "late-$boundary" --quick >/dev/null || fail "late-$boundary is not whole"
    fi
done
[ $whole -ge 1 ] || fail "no backup was whole before its kill"
mkdir killed-2.partial
flexd backup --home "$(home agg-b)" --out killed-1-again >/dev/null || fail "a backup after all the kills"
echo secret >killed-2.partial/node.key
[ -e killed-2 ] || flexd backup --home "$(home agg-b)" --out killed-2 >/dev/null || fail "over an unfinished one"
[ ! -e killed-2/node.key ] || jq -e .keys killed-2/backup.json >/dev/null || fail "a key of an earlier attempt"
before=$(height dso)
until_status 20 dso "(.height | tonumber) > $before"
[ "$(status agg-b | jq .voting)" = true ] || fail "agg-b does not mind"

# --- the machine is lost -----------------------------------------------------------------------------
flexd backup --home "$(home agg-b)" --out last --keys --json >last.out || fail "the last backup"
flexd restore --from last --home "$(home agg-b)" >/dev/null 2>&1 && fail "over a home"
flex devnet kill --node agg-b --dir net >/dev/null
mv "$(home agg-b)" lost
flexd restore --from first --home half >/dev/null || fail "restore without keys"
flexd check --home half >/dev/null 2>&1 && fail "a home without its key"
rm -rf half
for i in $(seq 12); do # a restore that is killed never leaves something that starts, and goes on
    "$bin/flexd" restore --from last --home "$(home agg-b)" >/dev/null 2>&1 & # the program, not a shell's function
    victim=$!
    sleep "0.00$((i % 10))"
    kill -9 $victim 2>/dev/null || true
    wait $victim 2>/dev/null || true
    [ ! -e "$(home agg-b)/flexd.json" ] || [ -e "$(home agg-b)/restored" ] || fail "a home without its mark"
    [ ! -e "$(home agg-b)/flexd.json" ] || break
done
[ -e "$(home agg-b)/flexd.json" ] || flexd restore --from last --home "$(home agg-b)" --json >restore.out || fail "restore"
flexd check --home "$(home agg-b)" >/dev/null || fail "what was restored is whole"
flex devnet start-node --node agg-b --dir net >/dev/null
until_status 30 agg-b '.voting == false and (.refusal | startswith("restored from a backup"))'
until_status 30 agg-b "(.block_time_ms | tonumber) > $(jq '.restored_ms | tonumber' "$(home agg-b)/restored")"
[ "$(status agg-b | jq .voting)" = false ] || fail "it votes"

# Too early: nothing changes. Then the minute is over (the mark says when; here it is put forward).
flex devnet kill --node agg-b --dir net >/dev/null
flex devnet start-node --node agg-b --dir net >/dev/null
until_status 30 agg-b '.voting == false and (.refusal | startswith("restored"))'
flex devnet kill --node agg-b --dir net >/dev/null
jq -c '.votes_after_ms = .restored_ms' "$(home agg-b)/restored" >mark && cp mark "$(home agg-b)/restored"
flex devnet start-node --node agg-b --dir net >/dev/null
until_status 30 agg-b .voting
[ ! -e "$(home agg-b)/restored" ] && [ ! -e "$(home agg-b)/votes-lost" ] || fail "a mark is still there"
! grep -q "contradicts those before it" "$(home agg-b)/flexd.log" || fail "a good journal is called contradictory"

# --- the database alone ---------------------------------------------------------------------------------
flex devnet kill --node agg-a --dir net >/dev/null
flexd restore --from last --home "$(home agg-a)" --data >/dev/null 2>&1 && fail "over a database"
mv "$(home agg-a)/data" lost-data
flexd restore --from last --home "$(home agg-a)" --data >/dev/null || fail "the database alone"
flex devnet start-node --node agg-a --dir net >/dev/null
# The mark is believed once the home itself holds a block of after the restore.
until_status 30 agg-a ".voting == false and (.block_time_ms | tonumber) > $(jq '.restored_ms | tonumber' "$(home agg-a)/restored")"
status agg-a | jq -e '.refusal | startswith("restored from a backup")' >/dev/null || fail "no reason: $(status agg-a)"
flex devnet kill --node agg-a --dir net >/dev/null
jq -c '.votes_after_ms = .restored_ms' "$(home agg-a)/restored" >mark && cp mark "$(home agg-a)/restored"
flex devnet start-node --node agg-a --dir net >/dev/null
until_status 30 agg-a .voting

# --- without the mark, the others remember ------------------------------------------------------------
flex devnet kill --node agg-b --dir net >/dev/null
rm -rf "$(home agg-b)"
flexd restore --from secret --home "$(home agg-b)" >/dev/null || fail "an old backup"
rm "$(home agg-b)/restored"
# Its last payment is over before the next one: two of one nonce would be in each other's way.
touch enough
wait $load || true
load=
flex devnet start-node --node agg-b --dir net >/dev/null
until_status 30 agg-b '(.refusal // "") != "" or .voting'
for who in dso agg-a operator agg-b; do
    [ "$(curl -s "$(api "$who")/v1/evidence" | jq '.items | length')" = 0 ] || fail "$who holds two votes"
done

# Behind the others a node would still tell the wallet an old nonce.
target=$(height dso)
until_status 30 agg-a ".voting and (.height | tonumber) >= $target"
pay || { tail -n 5 load.out; fail "a payment at the end"; }
paid=$(grep -c proof_verified load.out)
[ "$paid" -ge 5 ] || fail "there was no load: $paid payments"
echo "backups under load, killed at every part of the copy, $whole of 2 whole before a late kill; a restored validator waited, then voted; no double votes"
