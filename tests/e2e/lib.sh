# What the end-to-end scripts share; they source it behind their `set` line and call e2e_begin first.
#
# There is one directory per run, which is also the current one, and it goes away with the script. A devnet
# stands in ./net and is stopped at the end, come what may. Two ways to check: scripts under `set -e` call
# `fail`; those that go on after a failure count it in `failed` (want, has) and exit with that.
# A script that holds more than a devnet defines at_end anew.
# shellcheck shell=bash disable=SC2034 # variables here are for the scripts
failed=0
node=

# e2e_begin NAME BUILD
e2e_begin() {
    bin=$(cd "$2/bin" && pwd)
    build=$(cd "$2" && pwd)
    root=$PWD
    dir=$(mktemp -d "/tmp/flex-e2e-$1-XXXXXX")
    trap 'e2e_end $?' EXIT
    cd "$dir" || exit 1
}
at_end() { :; }
e2e_end() {
    if [ "$1" -ne 0 ]; then tail -n 15 "$dir"/net/nodes/*/*.log "$dir"/serve.* 2>/dev/null || true; fi
    at_end || true
    "$bin/flex" devnet stop --dir "$dir/net" >/dev/null 2>&1 || true
    rm -rf "$dir"
}
flex() { "$bin/flex" "$@"; }
fail() { echo "FAILED: $*"; exit 1; }

# devnet OPTIONS...: a network in ./net, described in start.json; $node is its first node.
devnet() {
    flex devnet start --dir net --json "$@" >start.json || fail "no devnet: $(cat start.json)"
    node=$(jq -r '.nodes[0].api' start.json)
}
# clock TIME: sets the devnet's time; every node that runs has it when this ends, so the next block carries it.
clock() {
    local wanted api limit=$((SECONDS + 60))
    flex devnet time --dir net --set "$1" >/dev/null || fail "time $1"
    wanted=$(($(date -u -d "$1" +%s) * 1000))
    for api in $(flex devnet status --dir net --json | jq -r '.nodes[] | select(.pid != null) | .api'); do
        until [ "$(curl -fsS "$api/v1/status" | jq -r .time_ms)" -ge $wanted ] 2>/dev/null; do
            [ $SECONDS -lt $limit ] || fail "$api does not take the time $1"
            sleep 0.1
        done
    done
}
# person WHO ARGUMENTS...: flex in the wallet of one of the devnet's, for people; as: with --json.
person() { flex --home "$dir/net/wallets/$1" --node "$node" "${@:2}"; }
as() { person "$1" --json "${@:2}"; }
# The same in place of the shell, to be put into the background and sent signals.
exec_as() { exec "$bin/flex" --home "$dir/net/wallets/$1" --node "$node" "${@:2}"; }
# mint EUR WHO...
mint() {
    local eur=$1 who
    shift
    for who in "$@"; do
        as treasurer token mint --to "$who" --amount "$eur" --reference "receipt $who" >/dev/null || fail "mint $who"
    done
}
# refused CODE WHO ARGUMENTS...: the wallet's command fails and gives that code, of its own or of one of the
# rows or files that it was about; refused_by: any command.
refused_by() {
    "${@:2}" >refused.json 2>/dev/null && fail "not refused: ${*:2}"
    jq -e --arg c "$1" '[.. | objects | .code] | index($c)' refused.json >/dev/null || fail "not $1: $(cat refused.json)"
}
refused() { refused_by "$1" as "${@:2}"; }
# battery WHO DEVICE MARKET...: one with a meter's key in DEVICE.meter, prequalified and enrolled.
battery() {
    local market
    flex meter new-key --out "$2.meter" --json >meter.json
    as "$1" asset register "$2" --type storage --max-power-w 10000 --connection-w 11000 \
        --grid-node n1 --feeder f1 --zone west --meter-key "$(jq -r .public_key meter.json)" >/dev/null
    as dso asset prequalify "$2" >/dev/null
    for market in "${@:3}"; do as "$1" asset enrol "$2" --market "$market" >/dev/null; done
}

# want CODE WHAT COMMAND...: runs it with its output in ./out and ./err; another exit code is a failure
# that the script survives.
want() {
    local code=$1 what=$2
    shift 2
    "$@" >"$dir/out" 2>"$dir/err"
    local got=$?
    if [ "$got" -ne "$code" ]; then
        echo "FAILED $what: exit $got, not $code: $*"
        cat "$dir/out" "$dir/err"
        failed=1
    fi
}
# has TEXT: the last wanted command printed it.
has() {
    if ! grep -qF -- "$1" "$dir/out" "$dir/err"; then
        echo "FAILED: no '$1' in"
        cat "$dir/out" "$dir/err"
        failed=1
    fi
}
