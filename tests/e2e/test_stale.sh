#!/usr/bin/env bash
# A wallet remembers how far it has verified: a node that was set back to an old copy of its database, and
# has nobody to catch up with, shows true proofs of a state that is over, and is refused. A wallet that
# has seen nothing can't know. Usage: test_stale.sh BUILD
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
e2e_begin stale "$1"

devnet
api() { jq -r --arg n "$1" '.nodes[] | select(.name == $n) | .api' start.json; }
as() { flex --home "net/wallets/$1" --node "$(api "$2")" --json "${@:3}"; }
as treasurer dso token mint --to dso --amount 10 --reference one >/dev/null
# The audit node may not have the block yet: whoever has verified it asks until it is there, too.
as treasurer audit account show dso >minted.json || fail "the minted state from the audit node"
[ "$(jq -r .balance_ueur minted.json)" = 10000000 ] || fail "balance $(cat minted.json)"
# Stopped, not killed: blocks that are made final together are stored one by one, the certificate with the
# last, so a copy from between them holds a state that nobody can prove yet.
pid=$(flex devnet status --dir net --json | jq -r '.nodes[] | select(.name == "audit") | .pid')
kill -TERM "$pid"
while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
cp -r net/nodes/audit old
flex devnet start-node --node audit --dir net >/dev/null

as dso dso token transfer --to agg-a --amount 1 >/dev/null
# The audit node may be a block behind: the wallet asks again until it isn't.
as dso audit account show >now.json || fail "the newest state from the audit node"
[ "$(jq -r .balance_ueur now.json)" = 8998000 ] || fail "balance $(cat now.json)"
ls net/wallets/dso/verified-*.json >/dev/null || fail "nothing was remembered"

flex devnet stop --dir net >/dev/null
rm -r net/nodes/audit
mv old net/nodes/audit
flex devnet start-node --node audit --dir net >/dev/null
for _ in $(seq 100); do
    curl -s --max-time 2 "$(api audit)/v1/status" >/dev/null && break
    sleep 0.1
done
status=0
as dso audit --timeout 2s account show >said 2>&1 || status=$?
[ "$status" = 3 ] || fail "exit $status for a node that is set back"
grep -q stale_node said || fail "it is not called by its name"
as dso audit --allow-stale account show 2>said >old.json || fail "--allow-stale"
[ "$(jq -r '.balance_ueur + " " + (.proof_verified | tostring)' old.json)" = "10000000 true" ] || fail "the old state"
grep -q 'was verified before' said || fail "no warning"
mkdir fresh
flex --home fresh --genesis net/genesis.json --node "$(api audit)" --json account show dso >/dev/null ||
    fail "a wallet that has seen nothing"
echo "an old state is true, and is refused: block $(jq -r .height old.json) after block $(jq -r .height now.json)"
