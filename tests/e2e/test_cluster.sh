#!/usr/bin/env bash
# Four validators and an audit node as real processes: a payment reaches everybody, what is wrong is
# refused by name, a validator that is killed comes back and catches up with the same state, and
# everything stops cleanly. Wallet and genesis come from ledger.py, which shares no code with us.
# Usage: test_cluster.sh BUILD
set -euo pipefail
flexd=$(realpath "$1")/bin/flexd
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
declare -A pids
cleanup() {
    for pid in "${pids[@]}"; do
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if [ "${1:-0}" -ne 0 ]; then tail -n 20 "$dir"/*.log; fi
    rm -rf "$dir"
}
trap 'cleanup $?' EXIT
fail() { printf 'FAILED: %s\n' "$*"; exit 1; }
cd "$dir"
base=$(python3 "$here/ports.py" 10 $$) || exit 1
api() { printf 'http://127.0.0.1:%d' $((base + 5 + $1 - 1)); }
get() { curl -s --max-time 5 "$(api "$1")$2"; }
code() { curl -s --max-time 5 -o /dev/null -w '%{http_code}' "$@"; }
start() { "$flexd" start --home "n$1" 2>>"n$1.log" & pids[$1]=$!; }
wait_until() { # seconds, what, command...
    local limit=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ $SECONDS -lt $limit ] || fail "$what did not happen in time"
        sleep 0.1
    done
}
ready() { [ "$(code "$(api "$1")/ready")" = 200 ]; }
height() { get "$1" /v1/status | jq -r '.height // "0"'; }
height_is() { [ "$(height "$1")" -ge "$2" ]; }
balance_is() { [ "$(get "$1" "/v1/accounts/$2" | jq -r .balance_ueur)" = "$3" ]; }
post() { curl -s --max-time 5 -w '%{http_code}' --data-binary "@$2" "$(api "$1")/v1/transactions"; }
expect() { # what, wanted, got
    [ "$2" = "$3" ] || fail "$1: wanted $2, got $3"
}

# --- homes --------------------------------------------------------------------------------------
keys=() peers=()
for i in 1 2 3 4 5; do
    role=validator; [ $i = 5 ] && role=audit
    ca=(--ca-certificate n1/tls/ca.pem --ca-key n1/tls/ca.key); [ $i = 1 ] && ca=(--new-ca e2e)
    key=$("$flexd" init --home n$i --name n$i --role $role --listen-p2p 127.0.0.1:$((base + i - 1)) \
        --listen-api 127.0.0.1:$((base + 5 + i - 1)) "${ca[@]}" --json | jq -r .key)
    [ $i = 5 ] || keys+=("$key")
    peers+=(--peer "$key@127.0.0.1:$((base + i - 1))")
done
python3 "$here/ledger.py" genesis "${keys[@]}" >genesis.json
before=$(cat n1/node.key n1/flexd.json)
"$flexd" init --home n1 --name n1 --role validator 2>/dev/null && fail "init overwrote a home"
expect "a refused init" "$before" "$(cat n1/node.key n1/flexd.json)"
"$flexd" check --home n1 2>/dev/null && fail "check passed without a genesis"
for i in 1 2 3 4 5; do
    "$flexd" join --home n$i --genesis genesis.json "${peers[@]}" --json >join.json
    expect "steps left after join" "[]" "$(jq -c .next join.json)"
    "$flexd" check --home n$i >/dev/null || fail "check of n$i"
done

# --- a payment ----------------------------------------------------------------------------------
for i in 1 2 3 4 5; do start $i; done
for i in 1 2 3 4 5; do wait_until 15 "ready $i" ready $i; done
status=0; "$flexd" start --home n1 2>/dev/null || status=$?
expect "a second process on one home" 3 $status
chain=$(get 1 /v1/status | jq -r .genesis)
sign() { python3 "$here/ledger.py" "$1" "$2" "$chain" "${@:3}"; }
sign mint mint.tx bank 1 agg 5000000 receipt-1
expect "mint" 202 "$(post 1 mint.tx | tail -c 3)"
for i in 1 2 3 4 5; do wait_until 10 "mint on $i" balance_is $i agg 5000000; done
# The second one first: it waits for its predecessor. Each at another node.
sign transfer two.tx agg 2 dso 2000
sign transfer one.tx agg 1 dso 1000
answer=$(post 3 two.tx); expect "transfer 2" 202 "${answer: -3}"
id=$(jq -r .id <<<"${answer%???}")
expect "pending" pending "$(get 3 "/v1/transactions/$id" | jq -r .status)"
expect "transfer 1" 202 "$(post 4 one.tx | tail -c 3)"
for i in 1 2 3 4 5; do wait_until 10 "transfers on $i" balance_is $i dso 3000; done
expect "receipt" "ok token_moved" \
    "$(get 5 "/v1/transactions/$id" | jq -r '.status + " " + .events[0].type')"
receipt_proven() { [ "$(get 5 "/v1/proofs/transaction/$id" | jq -r .id)" = "$id" ]; }
wait_until 5 "receipt proof" receipt_proven
get 2 "/v1/proofs/pot/balance/dso" | jq -e '.value != null and (.certificate | length > 0)' \
    >/dev/null || fail "no proof of a balance"

# --- refusals -----------------------------------------------------------------------------------
refused() { # what, node, file, status, code
    local answer; answer=$(post "$2" "$3")
    expect "$1: status" "$4" "${answer: -3}"
    expect "$1: code" "$5" "$(jq -r .error.code <<<"${answer%???}")"
}
refused replay 2 one.tx 422 tx_nonce_used
sign transfer far.tx agg 999 dso 1
refused "nonce far ahead" 2 far.tx 422 tx_nonce_gap
python3 "$here/ledger.py" transfer other.tx "$(printf 'ab%.0s' {1..32})" agg 3 dso 1
refused "other chain" 2 other.tx 422 tx_wrong_chain
cp far.tx forged.tx
printf '\001\002' | dd of=forged.tx bs=1 seek=200 conv=notrunc status=none
refused "forged signature" 2 forged.tx 422 tx_bad_signature
head -c 150 far.tx >short.tx
refused "cut short" 2 short.tx 400 tx_malformed
: >empty.tx
refused empty 2 empty.tx 400 tx_malformed
head -c 400000 /dev/zero >huge.tx
refused huge 2 huge.tx 400 tx_oversized
refused "audit node" 5 far.tx 405 read_only
expect "wrong method" 405 "$(code -X DELETE "$(api 1)/v1/status")"
expect "no such path" 404 "$(code "$(api 1)/v1/nothing")"
expect "unknown query" 400 "$(code "$(api 1)/v1/accounts?nonsense=1")"
expect "bad escape" 400 "$(code "$(api 1)/v1/accounts/%zz%")"

# --- events -------------------------------------------------------------------------------------
timeout 2 curl -sN "$(api 5)/v1/events?from=1" >events.txt || true
grep -q '^id: 1$' events.txt || fail "no event of block 1"
grep -q token_moved events.txt || fail "the stream lacks the payment"
last=$(grep -c '^id: ' events.txt)
grep -q -m 1 "^id: $((last + 1))$" <(timeout 20 curl -sN -H "Last-Event-ID: $last" "$(api 5)/v1/events") || fail "the stream did not resume after $last"

# --- kill -9, catch up --------------------------------------------------------------------------
kill -9 "${pids[2]}"; wait "${pids[2]}" 2>/dev/null || true
mkdir old && cp -r n2/journal n2/data old/
killed_at=$(height 1)
sign transfer three.tx agg 3 dso 4000
expect "transfer with one node down" 202 "$(post 1 three.tx | tail -c 3)"
for i in 1 3 4 5; do wait_until 15 "transfer without n2 on $i" balance_is $i dso 7000; done
wait_until 15 "blocks without n2" height_is 1 $((killed_at + 2))
start 2
wait_until 15 "n2 ready again" ready 2
wait_until 15 "n2 has the payment" balance_is 2 dso 7000
votes() { [ "$(get "$1" /v1/status | jq -r .voting)" = true ]; }
wait_until 15 "n2 votes again" votes 2
rejoined=$(height 2)
wait_until 15 "progress with n2" height_is 2 $((rejoined + 2))
common=$(height 2)
for i in 1 3 4 5; do wait_until 10 "height $common on $i" height_is $i "$common"; done
root() { get "$1" "/v1/blocks/$common" | jq -r '.id + " " + .header.state_root'; }
wanted=$(root 2)
for i in 1 3 4 5; do expect "block $common on $i" "$wanted" "$(root $i)"; done
for i in 1 2 3 4 5; do
    grep -qx 'flexd_log_broken_lines 0' <<<"$(get $i /metrics)" || fail "n$i logged a broken line"
    grep -qx 'flexd_strikes 0' <<<"$(get $i /metrics)" || fail "n$i struck an honest peer"
done

# --- a disk that was rolled back ----------------------------------------------------------------
# n2 gets the disk of its first life back, whole and consistent: only its peers know better.
kill -TERM "${pids[2]}"; wait "${pids[2]}" || fail "n2 did not stop cleanly"
rm -r n2/journal n2/data && cp -r old/journal old/data n2/
start 2
refuses() { get 2 /v1/status | jq -e '.voting == false and (.refusal | length > 0)' >/dev/null; }
wait_until 15 "n2 refuses to vote on an old disk" refuses
rejoined=$(height 1)
for i in 1 2 5; do wait_until 20 "blocks without n2's vote on $i" height_is $i $((rejoined + 3)); done
refuses || fail "n2 votes again after a while"

# --- stop ---------------------------------------------------------------------------------------
# With a stream open and a transaction that waits for its predecessor: neither may hold up a stop.
curl -sN --max-time 20 "$(api 1)/v1/events" >/dev/null & stream=$!
sign transfer gap.tx agg 6 dso 1
expect "a transaction that waits" 202 "$(post 1 gap.tx | tail -c 3)"
for i in 1 2 3 4 5; do kill -TERM "${pids[$i]}"; done
for i in 1 2 3 4 5; do
    status=0; wait "${pids[$i]}" || status=$?
    expect "exit of n$i" 0 $status
    [ ! -e n$i/flexd.pid ] || fail "n$i left its pid file"
    unset "pids[$i]"
done
wait "$stream" || true
echo "cluster: blocks to height $common, killed at $killed_at, caught up, stopped cleanly"
