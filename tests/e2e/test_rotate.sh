#!/usr/bin/env bash
# docs/operator.md, "Rotate a validator's key" and "Rotate certificates", by hand on a live network: the others
# reload and never restart, payments go on all the while. Usage: test_rotate.sh BUILD
set -euo pipefail
bin=$(cd "$1/bin" && pwd)
dir=$(mktemp -d /tmp/flex-e2e-rotate-XXXXXX)
PATH=$bin:$PATH
payer=
finish() {
    [ -z "$payer" ] || kill "$payer" 2>/dev/null || true
    if [ "$1" -ne 0 ]; then tail -n 15 "$dir"/net/nodes/*/*.log "$dir/payments" 2>/dev/null || true; fi
    flex devnet stop --dir "$dir/net" >/dev/null 2>&1 || true
    rm -rf "$dir"
}
trap 'finish $?' EXIT
fail() { echo "FAILED: $*"; exit 1; }
cd "$dir"

flex devnet start --dir net --json >start.json
api() { jq -r --arg n "$1" '.nodes[] | select(.name == $n) | .api' start.json; }
home() { echo "net/nodes/$1"; }
pid() { cat "$(home "$1")/flexd.pid"; }
status() { curl -s --max-time 5 "$(api "$1")/v1/status"; }
metric() { curl -s --max-time 5 "$(api "$1")/metrics" | awk -v m="flexd_$2" '$1 == m {print $2}'; }
until_status() { # SECONDS NODE FILTER
    local limit=$((SECONDS + $1))
    until status "$2" | jq -e "$3" >/dev/null 2>&1; do
        [ $SECONDS -lt $limit ] || fail "$2 did not reach $3: $(status "$2")"
        sleep 0.2
    done
}
as() { flex --home "net/wallets/$1" --node "$(api dso)" --json "${@:2}"; }
said() { # SECONDS NODE TEXT COUNT: its log has TEXT that often
    local limit=$((SECONDS + $1))
    until [ "$(grep -c -- "$3" "$(home "$2")/flexd.log")" -ge "$4" ]; do
        [ $SECONDS -lt $limit ] || fail "$2 did not say '$3' $4 times"
        sleep 0.1
    done
}
ca=$(echo "$PWD"/net/nodes/*/tls/ca.key); ca=${ca%/ca.key}
[ -f "$ca/ca.key" ] || fail "where is the CA: $ca"
for who in dso agg-a agg-b operator meters; do
    as treasurer token mint --to $who --amount 100 --reference "$who" >/dev/null
    [ $who = meters ] || pid $who >"pid-$who"
done
# A payment after the other, each final before the next, until the end; the time of each.
(while as meters token transfer --to agg-b --amount 0.01 >/dev/null 2>>payments; do echo "paid $(date +%s)" >>payments; done
 echo refused >>payments) &
payer=$!

# --- certificates: a new one for dso, under the same CA -----------------------------------------
flexd certificate --ca-certificate "$ca/ca.pem" --ca-key "$ca/ca.key" --node-key "$(status dso | jq -r .key)" \
    --out for-dso >/dev/null
mv for-dso/node.pem for-dso/node.key "$(home dso)/tls/"
kill -HUP "$(pid dso)"
said 30 dso "every link is made anew" 1

# --- the validator key of agg-a ---------------------------------------------------------------
flexd rotate --home "$(home agg-a)" --ca-certificate "$ca/ca.pem" --ca-key "$ca/ca.key" --json >next.json
next=$(jq -r .key next.json)
old=$(status agg-a | jq -r .key)
[ "$next" != "$old" ] || fail "the next key is the old one"
[ "$(flexd rotate --home "$(home agg-a)" --json | jq -r .key)" = "$next" ] || fail "asked again it makes another key"
listen=$(jq -r .listen_p2p "$(home agg-a)/flexd.json")
for who in dso agg-b operator; do
    flexd join --home "$(home $who)" --peer "$next@$listen" >/dev/null || fail "$who takes no new peer while it runs"
    kill -HUP "$(pid $who)"
    said 30 $who "p2p reload > every link" $([ $who = dso ] && echo 2 || echo 1)
done
flex governance prove-key agg-a --node-key "$(home agg-a)/node.key.next" --genesis net/genesis.json --json >proof.json
[ "$(jq -r .key proof.json)" = "$next" ] || fail "the proof is of another key"
as agg-a governance replace --old-key "$old" --key "$next" --operator agg-a --proof "$(jq -r .proof proof.json)" >/dev/null
number=$(as agg-a governance list | jq -r '[.items[].id | tonumber] | max')
for who in agg-b operator dso; do as $who governance vote "$number" yes >/dev/null || true; done
until_status 30 dso '.epoch == "1"'
until_status 20 agg-a '.epoch == "1" and .voting == false'
flexd rotate --home "$(home agg-a)" --adopt && fail "adopted under a node that runs"
stopped=$(pid agg-a)
kill -TERM "$stopped"
for _ in $(seq 200); do kill -0 "$stopped" 2>/dev/null || break; sleep 0.1; done
flexd rotate --home "$(home agg-a)" --adopt >/dev/null || fail "adopting"
flexd rotate --home "$(home agg-a)" --adopt && fail "adopted twice"
flex devnet start-node --node agg-a --dir net >/dev/null
until_status 30 agg-a '.epoch == "1" and .voting'
[ "$(status agg-a | jq -r .key)" = "$next" ] || fail "agg-a has another key"
for who in dso agg-b operator; do
    [ "$(pid $who)" = "$(cat "pid-$who")" ] || fail "$who was restarted"
    limit=$((SECONDS + 20)) # a dial that failed while agg-a was down is tried again after a while
    until [ "$(metric $who validators_up)" = 4 ]; do
        [ $SECONDS -lt $limit ] || fail "$who is not linked to all: $(metric $who validators_up)"
        sleep 0.1
    done
done
# The old key is worth nothing now, and the new one is needed: three of four validators go on without another.
flex devnet kill --node agg-b --dir net >/dev/null
before=$(grep -c paid payments)
for _ in $(seq 200); do [ "$(grep -c paid payments)" -ge $((before + 3)) ] && break; sleep 0.1; done
[ "$(grep -c paid payments)" -ge $((before + 3)) ] || fail "no payment with the new key's vote"
kill "$payer"; wait "$payer" 2>/dev/null || true; payer=
grep -q refused payments && fail "a payment failed: $(cat payments)"
longest=$(awk '/paid/ {if (last && $2 - last > most) most = $2 - last; last = $2} END {print most + 0}' payments)
echo "rotated a certificate and a validator's key: $(grep -c paid payments) payments meanwhile, $longest s between two at most"
