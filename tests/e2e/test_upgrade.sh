#!/usr/bin/env bash
# The validators vote in rules 2 from a height on, while payments go on. Two of four run the next release
# by then; the other two and the audit node stop in front of that block, with exit code 5 and a sentence,
# as often as they are started; with the next release they go on, and so does the chain, under the new
# rule. Its export verifies with the new program, and the old one says why it can't. "The next release" is
# the same source linked with a second version (tests/lib/preview). Usage: test_upgrade.sh BUILD
set -euo pipefail
bin=$(cd "$1/bin" && pwd)
new=$(cd "$1/tests/preview" && pwd)
dir=$(mktemp -d /tmp/flex-e2e-upgrade-XXXXXX)
flex() { "$bin/flex" "$@"; }
finish() {
    if [ "$1" -ne 0 ]; then tail -n 15 "$dir"/net/nodes/*/*.log 2>/dev/null || true; fi
    flex devnet stop --dir "$dir/net" >/dev/null 2>&1 || true
    rm -rf "$dir"
}
trap 'finish $?' EXIT
fail() { echo "FAILED: $*"; exit 1; }
cd "$dir"
[ "$("$bin/flexd" --version | grep -c ', rules 1$')" = 1 ] || fail "today's program has rules 1"
[ "$("$new/flexd" --version | grep -c ', rules 2$')" = 1 ] || fail "the next one has rules 2"

flex devnet start --dir net --audit 1 --json >start.json
api() { jq -r --arg n "$1" '.nodes[] | select(.name == $n) | .api' start.json; }
status() { curl -s --max-time 5 "$(api "$1")/v1/status"; }
height() { status "$1" | jq -r '.height | tonumber'; }
pid_of() { flex devnet status --dir net --json | jq -r --arg n "$1" '.nodes[] | select(.name == $n) | .pid'; }
stopped() { [ "$(pid_of "$1")" = null ]; }
level() { [ "$(height "$1")" -ge "$(height dso)" ]; }
# until SECONDS TEXT COMMAND...
until_true() {
    local limit=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $limit ] || fail "$what"
        sleep 0.2
    done
}
audit=$(jq -r '.nodes[] | select(.role == "audit") | .name' start.json)
first=dso
as() { flex --home "net/wallets/$1" --node "$(api $first)" --json "${@:2}"; }
upgrade() { # the node's program is replaced while it is down
    flex devnet kill --node "$1" --dir net >/dev/null 2>&1 || true
    FLEXD="$new/flexd" flex devnet start-node --node "$1" --dir net >/dev/null || fail "start of $1"
}
for who in dso agg-a agg-b; do
    as treasurer token mint --to $who --amount 100 --reference "$who" >/dev/null
done
as dso token transfer --to agg-a --amount 0.0005 >/dev/null || fail "a small payment under rules 1"

# --- the vote ---------------------------------------------------------------------------------
as dso governance upgrade --rules 2 --height "$(height dso)" >/dev/null && fail "a height that is past"
as dso governance upgrade --rules 1 --cancel >/dev/null && fail "nothing waits"
at=$(($(height dso) + 45))
as dso governance upgrade --rules 2 --height $at >/dev/null || fail "the proposal"
for who in agg-a agg-b; do as $who governance vote 1 yes >/dev/null || fail "vote of $who"; done
status dso | jq -e --arg h $at '.rules == 1 and .next_rules == 2 and .rules_height == $h' >/dev/null ||
    fail "status does not show the upgrade"
metric() { curl -s --max-time 5 "$(api "$1")/metrics" | awk -v n="flexd_$2" '$1 == n {print $2}'; }
[ "$(metric dso rules_next)" = 2 ] && [ "$(metric dso rules_known)" = 1 ] || fail "metrics"
until_true 10 "agg-b warns" grep -q "unusual: rules 2 hold from block $at on, this program has those up to 1" net/nodes/agg-b/flexd.log

# --- two of four in time, one after the other ---------------------------------------------------
for node in dso agg-a; do
    upgrade $node
    until_true 20 "$node is ready" curl -sf "$(api $node)/ready"
done
[ "$(metric dso rules_known)" = 2 ] || fail "the next release's metrics"
last=0
for _ in $(seq 200); do
    last=$(height dso)
    [ "$last" -lt $((at - 1)) ] || break
    as dso token transfer --to agg-a --amount 0.0005 >/dev/null 2>&1 || true
done
for node in agg-b operator "$audit"; do
    until_true 30 "$node did not stop" stopped "$node"
    until_true 30 "$node says why" grep -q "the chain goes on under rules 2 from block $at" "net/nodes/$node/flexd.log"
    code=0
    "$bin/flexd" start --home "net/nodes/$node" >again.log 2>&1 || code=$?
    [ $code = 5 ] || { cat again.log; fail "$node started again: exit $code"; }
    grep -q "Nothing is lost: the home is at block $((at - 1))" again.log || { cat again.log; fail "$node is at another block"; }
done
[ "$(height dso)" = $((at - 1)) ] || fail "two of four went on alone"

# --- they come late, and all go on ---------------------------------------------------------------
for node in agg-b operator "$audit"; do upgrade "$node"; done
as dso token transfer --to agg-a --amount 0.5 >/dev/null || fail "a payment under rules 2"
as dso token transfer --to agg-a --amount 0.0005 >small.json && fail "the new rule does not hold"
grep -q bad_parameter small.json || { cat small.json; fail "another error"; }
status dso | jq -e '.rules == 2 and .next_rules == null' >/dev/null || fail "status after the upgrade"
as dso governance upgrade --rules 1 --height $((at + 1000)) >/dev/null && fail "a way back"

# --- history again ------------------------------------------------------------------------------
flex devnet kill --node "$audit" --dir net >/dev/null
rm -r "net/nodes/$audit/data"
FLEXD="$new/flexd" flex devnet start-node --node "$audit" --dir net >/dev/null
until_true 30 "the audit node replays" level "$audit"
"$new/flex" --node "$(api "$audit")" audit export --dir export --genesis net/genesis.json >/dev/null || fail "export"
"$new/flex" audit verify --dir export --genesis net/genesis.json >/dev/null || fail "the new program verifies"
code=0
flex audit verify --dir export --genesis net/genesis.json >old.out 2>&1 || code=$?
[ $code != 0 ] && grep -q "newer rules than this program has" old.out || { cat old.out; fail "the old program says why"; }
for node in dso agg-a agg-b operator "$audit"; do
    broken=$(metric "$node" log_broken_lines)
    [ "${broken:-0}" = 0 ] || fail "broken log lines of $node"
done
echo "rules 2 voted in: late nodes stopped before block $at with exit 5, all went on, history verifies"
