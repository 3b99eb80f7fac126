#!/usr/bin/env bash
# docs/operator.md by hand: four homes, a certificate authority, the guide's own genesis, an audit
# node; and the mistakes that people make on the way, each with its exit code and a message that says
# what to do. Usage: test_operator.sh BUILD
set -uo pipefail
bin=$(cd "$1/bin" && pwd)
root=$PWD
dir=$(mktemp -d /tmp/flex-e2e-operator-XXXXXX)
base=$(python3 tests/e2e/ports.py 20 $$) || exit 1
failed=0
pids=()
PATH=$bin:$PATH
finish() {
    [ "${#pids[@]}" -eq 0 ] || kill "${pids[@]}" 2>/dev/null
    wait
    rm -rf "$dir"
}
trap finish EXIT
cd "$dir" || exit 1

# want CODE COMMAND...: runs it, output in ./out and ./err.
want() {
    local code=$1
    shift
    "$@" >out 2>err </dev/null
    local got=$?
    if [ "$got" -ne "$code" ]; then
        echo "FAILED: exit $got, not $code: $*"
        cat out err
        failed=1
    fi
}
# has TEXT: the last command printed it.
has() {
    grep -qF -- "$1" out err || { echo "FAILED: no '$1' in"; cat out err; failed=1; }
}
# one_object: under --json the last command printed exactly one object.
one_object() {
    python3 -c 'import json,sys; assert isinstance(json.load(open("out")), dict)' ||
        { echo "FAILED: not one object:"; cat out; failed=1; }
}
field() { python3 -c 'import json,sys; print(json.load(open("out"))[sys.argv[1]])' "$1"; }
# start HOME: in the background, until its API answers.
start() {
    flexd start --home "$1" 2>>"$1.log" &
    pids+=($!)
    last=$!
}
ready() { # HOME PORT: answers /ready with 200 within 15 s
    for _ in $(seq 150); do
        curl -sf "http://127.0.0.1:$2/ready" >/dev/null && return
        sleep 0.1
    done
    echo "FAILED: $1 does not get ready"
    tail -n 5 "$1.log"
    failed=1
}

# --- 1. homes and keys
declare -A node wallet p2p api
n=0
for who in operator dso agg-a agg-b; do
    n=$((n + 1))
    p2p[$who]=$((base + n)) api[$who]=$((base + 10 + n))
    ca=()
    [ $who = operator ] && ca=(--new-ca west-consortium)
    want 0 flexd init --home $who --name $who --role validator --listen-p2p "127.0.0.1:${p2p[$who]}" \
        --listen-api "127.0.0.1:${api[$who]}" "${ca[@]}" --json
    one_object
    node[$who]=$(field key)
done
want 1 flexd init --home dso --name dso --role validator
has "in use already"
want 2 flexd check --home dso --json
has "flexd join --genesis"
one_object
want 2 flexd start --home dso
has "flexd check"
want 2 flexd init --home other --name other --role king --json
one_object
want 2 flexd init --home other --name "o t" --role audit
want 2 flexd init --home other --name o --role audit --listen-p2p 0.0.0.0:99999
want 2 flexd init --home other --name o --role audit --bogus 1
want 2 flexd check --home nowhere
[ ! -e other ] || { echo "FAILED: a refused init left a home behind"; failed=1; }

# --- 2. certificates, one of them in the wrong home at first
for who in dso agg-a agg-b; do
    want 0 flexd certificate --ca-certificate operator/tls/ca.pem --ca-key operator/tls/ca.key \
        --node-key "${node[$who]}" --out for-$who
    cp for-$who/* $who/tls/
done
want 1 flexd certificate --ca-certificate operator/tls/ca.pem --ca-key operator/tls/ca.key \
    --node-key "${node[dso]}" --out for-dso
has "already"

# --- 3. the genesis of the guide, with real keys
for who in dso agg-a agg-b operator meters treasurer; do
    want 0 flex --home wallet-$who key new --no-passphrase --json
    wallet[$who]=$(field public_key)
done
{
    for who in "${!node[@]}"; do echo "node $who ${node[$who]}"; done
    for who in "${!wallet[@]}"; do echo "wallet $who ${wallet[$who]}"; done
} >keys
python3 - "$root/docs/operator.md" <<'PY' || exit 1
import json, re, sys
keys = {tuple(line.split()[:2]): line.split()[2] for line in open("keys")}
genesis = json.loads(re.search(r"```json\n(.*?)```", open(sys.argv[1]).read(), re.S).group(1))
validators = genesis["params"]["validators"]
for v in validators:
    v["key"] = keys["node", v["operator"]]
for p in genesis["participants"]:
    p["key"] = keys["wallet", p["id"]]
validators.sort(key=lambda v: v["key"], reverse=True)
json.dump(genesis, open("unsorted.json", "w"))
validators.reverse()
json.dump(genesis, open("genesis.json", "w"))
genesis["chain"] = "other"
json.dump(genesis, open("other.json", "w"))
PY
: >empty.json

# --- 4. join, compare, start
peers=()
for who in "${!node[@]}"; do peers+=(--peer "${node[$who]}@127.0.0.1:${p2p[$who]}"); done
want 2 flexd init --home typo --name typo --role audit --ca-certificate nowhere.pem --ca-key nowhere.key
want 0 flexd init --home typo --name typo --role audit
want 2 flexd join --home nowhere
has "flexd init makes a home"
want 2 flexd join --home dso --genesis empty.json --json
has "a value must stand here"
one_object
want 2 flexd join --home dso --genesis unsorted.json
want 2 flexd join --home dso --genesis nowhere.json
hashes=()
for who in operator dso agg-a agg-b; do
    want 0 flexd join --home $who --genesis genesis.json "${peers[@]}"
    has "flexd start --home $who"
    want 0 flexd check --home $who --json
    one_object
    hashes+=("$(field genesis_hash)")
done
[ "$(printf '%s\n' "${hashes[@]}" | sort -u | wc -l)" -eq 1 ] || { echo "FAILED: hashes differ"; failed=1; }
want 1 flexd join --home dso --genesis other.json
has "of another chain"
cp for-agg-a/node.* dso/tls/
want 2 flexd check --home dso
has "issued for another node"
cp for-dso/node.* dso/tls/
want 0 flexd check --home dso

for who in operator dso agg-a agg-b; do start $who; done
for who in operator dso agg-a agg-b; do ready $who "${api[$who]}"; done
want 3 flexd start --home dso
has "another process"
want 1 flexd join --home dso --genesis genesis.json
has "stop it first"
want 0 flexd join --home dso
has "${node[dso]}"
export FLEX_NODE=http://127.0.0.1:${api[dso]}
want 0 flex --home wallet-treasurer account trust genesis.json --json
[ "$(field genesis)" = "${hashes[0]}" ] || { echo "FAILED: wallet and node print other hashes"; failed=1; }
want 0 flex --home wallet-treasurer token mint --to dso --amount 10 --reference "receipt 1"
has "proven from the genesis file"

# --- 5. an audit node, and its port taken
want 0 flexd init --home audit --name audit --role audit --listen-p2p "127.0.0.1:$((base + 5))" \
    --listen-api "127.0.0.1:$((base + 15))" --genesis genesis.json --peer "${node[agg-b]}@127.0.0.1:${p2p[agg-b]}" \
    --ca-certificate operator/tls/ca.pem --ca-key operator/tls/ca.key --json
audit=$(field key)
kill "$last" && wait "$last"
[ $? -eq 0 ] || { echo "FAILED: a stop by SIGTERM is exit 0"; failed=1; }
want 0 flexd join --home agg-b --peer "$audit@"
start agg-b
# The audit node under a service manager that listens, with a log file of its own.
jq '.log += {"file": "flexd.log", "json": true}' audit/flexd.json >edited && mv edited audit/flexd.json
python3 -c 'import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("notify")
while True:
    with open("heard", "ab") as out: out.write(s.recv(4096) + b"\n")' &
pids+=($!)
for _ in $(seq 50); do [ -S notify ] && break; sleep 0.1; done
export NOTIFY_SOCKET=$dir/notify WATCHDOG_USEC=2000000
start audit
unset NOTIFY_SOCKET WATCHDOG_USEC
ready agg-b "${api[agg-b]}"
ready audit $((base + 15))
want 0 flex --node "http://127.0.0.1:$((base + 15))" --genesis genesis.json account show dso
has "10.00 EUR"
for _ in $(seq 50); do grep -qs WATCHDOG=1 heard && break; sleep 0.1; done
if ! grep -q READY=1 heard || ! grep -q WATCHDOG=1 heard; then echo "FAILED: the manager heard:"; cat heard; failed=1; fi
mv audit/flexd.log audit/flexd.log.1
kill -HUP "$last"
for _ in $(seq 50); do grep -qs "new file" audit/flexd.log && break; sleep 0.1; done
jq -es 'length > 0 and all(.[]; .node == "audit" and .level != null)' audit/flexd.log >/dev/null ||
    { echo "FAILED: no JSON log in a new file after SIGHUP"; failed=1; }
jq -es 'length > 0' audit/flexd.log.1 >/dev/null || { echo "FAILED: the old log is not whole"; failed=1; }
cp -r audit audit2
rm -rf audit2/data audit2/flexd.pid
want 1 flexd start --home audit2
has "can't listen"

[ "$failed" -eq 0 ] && echo "passed: four homes by hand, one chain, an audit node"
exit "$failed"
