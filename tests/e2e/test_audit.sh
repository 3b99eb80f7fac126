#!/usr/bin/env bash
# The audit node as a real process: it refuses every write, whatever it is; it is down while three days
# go by, catches up by itself to the same state, and exports a history that verifies; the regulator's
# queries answer from that. Usage: test_audit.sh BUILD
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
e2e_begin audit "$1"
wrong() { echo "FAILED: $*"; failed=1; }
must() { # what, command...
    local what=$1
    shift
    "$@" >out 2>err || { wrong "$what: $*"; cat out err; exit 1; }
}
as() { # who...
    local who=$1
    shift
    flex --home "$dir/net/wallets/$who" --node "$validator" "$@"
}
field() { # file, python expression over the parsed object d
    python3 -c 'import json,sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$@"
}
status_of() { curl -s --max-time 5 "$1/v1/status" >status.json && field status.json "d['$2']"; }

must start flex devnet start --dir net --audit 1 --simulated-time 2025-01-15T08:00:00Z --json
validator=$(field out "[n['api'] for n in d['nodes'] if n['role'] == 'validator'][0]")
audit=$(field out "[n['api'] for n in d['nodes'] if n['role'] == 'audit'][0]")
name=$(field out "[n['name'] for n in d['nodes'] if n['role'] == 'audit'][0]")

# --- read-only ------------------------------------------------------------------------------------
for who in dso agg-a operator; do
    must money as treasurer token mint --to $who --amount 10 --reference "receipt $who"
done
must "an envelope" as dso --json token transfer --to agg-a --amount 1 --save-envelope envelope
for path in /v1/transactions /v1/status /v1/blocks/1 /v1/evidence /no/such/path / /metrics; do
    for method in POST PUT DELETE PATCH; do
        for body in envelope /dev/null "$bin/flex"; do
            head -c 4096 "$body" >body
            code=$(curl -s --max-time 5 -o answer -w '%{http_code}' -X $method \
                --data-binary @body "$audit$path")
            [ "$code" = 405 ] && grep -q read_only answer || wrong "$method $path of $body: $code"
        done
    done
done
curl -s "$audit/metrics" >metrics
grep -q '^flexd_transactions_received 0' metrics || wrong "the audit node took transactions"
grep -q '^flexd_pending_transactions 0' metrics || wrong "transactions wait on the audit node"
[ ! -e "net/$name/journal" ] || wrong "the audit node has a vote journal"

# --- days behind ----------------------------------------------------------------------------------
must "an audit node's end" flex devnet kill --dir net --node "$name"
must market as operator market create west --zone west --opens 2025-01-01 --closes 2026-01-01 \
    --price-max 2.00
must "a meter's key" flex meter new-key --out bat.meter --json
key=$(field out "d['public_key']")
must register as agg-a asset register bat --type storage --max-power-w 10000 --connection-w 11000 \
    --grid-node n1 --feeder f1 --zone west --meter-key "$key"
must prequalify as dso asset prequalify bat
must enrol as agg-a asset enrol bat --market west
must request as dso order request --market west --direction up --start 2025-01-15T12:00Z \
    --quantity-wh 4000 --price 0.30
echo "500 500 500 500" >plan
must offer as agg-a order offer --market west --direction up --start 2025-01-15T12:00Z \
    --quantity-wh 2000 --price 0.20 --device bat --schedule plan
for day in 16 17 18; do
    clock 2025-01-${day}T00:10:00Z
    must "a payment on day $day" as dso token transfer --to agg-a --amount 0.1
done
behind=$(status_of "$validator" height)
must "the audit node again" flex devnet start-node --dir net --node "$name"
end=$((SECONDS + 60))
until [ "$(status_of "$audit" height)" -ge "$behind" ] 2>/dev/null; do
    [ $SECONDS -lt $end ] || { wrong "the audit node does not catch up"; break; }
    sleep 0.2
done
curl -s "$validator/v1/blocks/$behind" >one
curl -s "$audit/v1/blocks/$behind" >two
[ "$(field one "d['id']")" = "$(field two "d['id']")" ] || wrong "another block $behind"

# --- the regulator --------------------------------------------------------------------------------
must export flex --node "$audit" --genesis net/genesis.json audit export --dir export
must verify flex audit verify --dir export --genesis net/genesis.json --checkpoint mark \
    --expect-height "$behind" --json
[ "$(field out "d['ok']")" = True ] || wrong "verify"
root=$(field out "d['log_root']")
must "verify from the mark" flex audit verify --dir export --genesis net/genesis.json \
    --checkpoint mark --expect-digest "$root" --json
[ "$(field out "d['from_checkpoint'] == d['height'] == d['digest_height']")" = True ] ||
    wrong "from the mark: $(cat out)"
cp mark damaged
printf x >>damaged
flex audit verify --dir export --genesis net/genesis.json --checkpoint damaged >/dev/null 2>err
[ $? -eq 4 ] && grep -q bad_checkpoint err || wrong "a damaged mark: $(cat err)"
flex audit verify --dir export --genesis net/genesis.json --expect-height 1000000 >/dev/null 2>&1
[ $? -eq 4 ] || wrong "an export that ends too early passes"
flex audit verify --dir export --genesis net/genesis.json --expect-digest "${root:2}00" >/dev/null 2>&1
[ $? -eq 4 ] || wrong "an export with another root passes"
flex audit verify --dir export --genesis net/genesis.json --expect-digest "$(printf '%064d' 0)" \
    >/dev/null 2>&1
[ $? -eq 4 ] || wrong "an export with the zero root passes"

query() { must "$1" flex audit "$@" --dir export --genesis net/genesis.json; }
query orders --csv
[ "$(cut -d, -f6 out | sort | uniq -c | tr -s ' \n' ' ')" = " 1 expire 1 kind 2 new 2 trade " ] ||
    { wrong "order events"; cat out; }
query orders --limit 3 --json
[ "$(field out "len(d['items']), d['next']")" = "(3, '3')" ] || wrong "a page of three"
query orders --after 3 --json
[ "$(field out "d['items'][0]['number']")" = 4 ] || wrong "the page behind it"
query trades --csv
grep -q '^1,.*,west,up,1736942400000,dso,agg-a,bat,agg-a,1,2,2000,' out || { wrong trades; cat out; }
query deliveries --csv
grep -q '^1,refunded,west,up,1736942400000,dso,agg-a,bat,2000,0,0,0,' out ||
    { wrong deliveries; cat out; }
query fees --json
[ "$(field out "len([i for i in d['items'] if i['kind'] == 'transaction']) > 5")" = True ] || wrong fees
query capacity --csv
grep -q '^1,west,up,1736942400000,agg-a,1,10000,8000,2000,2000,0$' out || { wrong capacity; cat out; }
query report --csv report
head -1 report/findings.csv | grep -q '^finding,market,' || wrong "findings.csv"
grep -q '^withheld,west,up,1736942400000,agg-a,,0,1,0,8000,2000,800,' report/findings.csv ||
    { wrong findings; cat report/findings.csv; }
grep -q '^west,up,1736942400000,true,1,4000,2000,2000,10000,10000,10000,high,0,0,0,1,agg-a$' \
    report/concentration.csv || { wrong concentration; cat report/concentration.csv; }

# --- the same from the running node ---------------------------------------------------------------
# what, file of an audit's rows, file of a node's: the columns that both have, line by line.
same_rows() {
    python3 - "$@" <<'END' || wrong "$1: the node's rows are not the audit's"
import csv, sys
what, audit, node = sys.argv[1:]
one, two = ([*csv.DictReader(open(name))] for name in (audit, node))
skip = {"number", "open_wh", "device_owner"}
columns = [c for c in one[0] if c not in skip] if one else []
if what == "trades":
    assert [r["number"] for r in one] == [r["deal"] for r in two], "numbers of deals"
assert one and len(one) == len(two), (len(one), len(two))
for a, b in zip(one, two):
    for c in columns:
        assert a[c] == b[c], (c, a, b)
END
}
ask() { must "$*" flex --node "$audit" --no-verify "$@"; }
query orders --csv
cp out audit.csv
ask order events --to-height "$behind" --csv
same_rows orders audit.csv out
cp out whole.csv
head -1 whole.csv >pages.csv
next=1-0
while [ -n "$next" ]; do # a row at a time
    ask order events --to-height "$behind" --limit 1 --after "$next" --csv
    tail -n +2 out >>pages.csv
    next=$(sed -n 's/^there is more: --after //p' err)
done
cmp -s whole.csv pages.csv || { wrong "pages of one row"; diff whole.csv pages.csv; }
ask order events --participant agg-a --market west --json
[ "$(field out "{i['participant'] for i in d['items']} == {'agg-a'} and not d['proof_verified'] and int(d['height']) >= $behind")" = True ] ||
    { wrong "one participant's events"; cat out; }
query trades --csv
cp out audit.csv
ask deal trades --to-height "$behind" --csv
same_rows trades audit.csv out
query fees --csv
cp out audit.csv
ask token fees --to-height "$behind" --csv
same_rows fees audit.csv out
for bad in 'limit=0' 'limit=1001' 'limit=' 'limit=-1' 'from_height=0' 'from_height=9&to_height=8' \
    'market=No%20name' 'participant=' 'order=0' 'order=x' 'cursor=5' 'cursor=05-0' 'cursor=0-0' \
    'from_height=9&cursor=8-0' 'to_height=7&cursor=8-0' 'from=1' 'unknown=1'; do
    code=$(curl -s --max-time 5 -o answer -w '%{http_code}' "$audit/v1/order-events?$bad")
    [ "$code" = 400 ] && [ "$(field answer "d['error']['code'][:4]")" = bad_ ] ||
        wrong "/v1/order-events?$bad: $code $(cat answer)"
done
code=$(curl -s --max-time 5 -o answer -w '%{http_code}' "$audit/v1/fees?order=1")
[ "$code" = 400 ] || wrong "fees of an order: $code"
code=$(curl -s --max-time 5 -D headers -o answer -w '%{http_code}' "$audit/v1/trades?cursor=99999999-0")
[ "$code" = 503 ] && grep -q '"retry"' answer && grep -qi '^Retry-After: 1' headers || wrong "a cursor beyond the tip: $code $(cat answer)"

[ "$failed" -eq 0 ] && echo "audit: read-only, three days caught up at height $behind, every query answered"
exit "$failed"
