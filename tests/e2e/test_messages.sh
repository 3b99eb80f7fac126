#!/usr/bin/env bash
# What the programs say to wrong input, a row each: the exit code of docs/spec/config.md and flex(1), a sentence
# that names what is wrong, once, and nothing made. Then the key's way into a signer, and a flexd that will
# not have both. Usage: test_messages.sh BUILD
set -euo pipefail
. tests/e2e/lib.sh
e2e_begin messages "$1"
echo old >old; echo new >new
"$bin/flexd" init --home node --new-ca c >/dev/null

# row CODE TEXT PROGRAM ARGUMENTS...: TEXT stands in what it says, in one line that has no name twice
row() {
    local wanted=$1 text=$2 code=0
    shift 2
    "$bin/$1" "${@:2}" >out 2>&1 </dev/null 3<old 4<new || code=$?
    [ "$code" = "$wanted" ] || fail "$*: exit $code, not $wanted: $(cat out)"
    grep -qF -- "$text" out || fail "$*: does not say '$text': $(cat out)"
}
row 2 "--ca nofile: No such file" flex --ca nofile --node https://127.0.0.1:1 order list
row 3 "no_node" flex --node http://127.0.0.1:1 order list
row 2 "--ca-certificate nowhere: No such file" flexd init --home made --ca-certificate nowhere --ca-key nowhere
row 2 "--ca-key nowhere: No such file" flexd join --home node --ca-certificate old --ca-key nowhere
row 2 "--ca-certificate x: No such file" flexd rotate --home node --ca-certificate x --ca-key y
[ ! -e node/node.key.next ] || fail "a key was made for a command that could not be done"
row 2 "nofile: No such file" flexd init --home made --genesis nofile
row 2 "--role: must be validator or audit" flexd init --home made --role king
row 2 "--peer zz: must be KEY@HOST:PORT" flexd init --home made --peer zz
row 1 "in use already; nothing was changed" flexd init --home node
row 2 "there is none; flexd init makes a home" flexd check --home nohome
row 2 "there is none; flexd init makes a home" flexd backup --home nohome --out b
row 2 "there is none; flexd init makes a home" flexd rotate --home nohome
row 2 "nope: there is no backup.json in it" flexd restore --from nope --home made
[ "$(grep -o nope out | wc -l)" = 1 ] || fail "the path twice: $(cat out)"
row 2 "is required" flexd restore --home made
row 2 "unknown option --bogus" flexd start --home node --bogus
row 2 "there is no key here yet: flexsignd init" flexsignd start --home nohome --socket s
row 2 "no such user" flexsignd start --home nohome --socket s --node-user nobodyx
row 2 "no passphrase on file descriptor 99" flexsignd init --home made --passphrase-fd 99
[ ! -e made/votes ] && [ ! -e made/key.json ] || fail "an init that failed left something"
row 3 "no_signer" flexsignd status --socket nosuch
[ ! -e made/flexd.json ] && [ ! -e made/node.key ] || fail "a command that was refused made a home"

# --- coupled auctions: portfolios, networks, problems and results --------------------------------
grid=$root/examples/grid/cigre-lv
flex grid rows --branches "$grid/branches.csv" --nodes "$grid/nodes.csv" --slack r0 --out net.json >/dev/null
place() { # TEXT JQ: a portfolio bent by a jq program is refused with that text, before any node is asked
    jq -nc '{bids:[{id:"p",side:"sell",interval:0,quantity:"500",price:"100000",device:"bat",schedule:"5"},
        {id:"q",side:"sell",interval:1,quantity:"500",price:"100000",device:"bat",schedule:"5"}],
        links:[{type:"and",bids:["p","q"]}]} | '"$2" >bad.json
    row 2 "bad_file: bad.json: $1" flex --node http://127.0.0.1:1 coupled place cpl 2025-01-15T11:00Z bad.json
    "$bin/flex" --json --node http://127.0.0.1:1 coupled place cpl 2025-01-15T11:00Z bad.json 2>/dev/null >out || true
    [ "$(jq -sc 'length, .[0].error.code' out | tr '\n' ' ')" = '1 "bad_file" ' ] || fail "$2: $(cat out)"
}
row 2 "nofile: No such file" flex coupled place cpl 2025-01-15T11:00Z nofile
row 3 "no_node" flex --node http://127.0.0.1:1 coupled list
row 2 "FILE is missing" flex coupled place cpl 2025-01-15T11:00Z
row 2 "START: 'noon'" flex coupled show cpl noon
place "must be an object" '[.]'
place "bids: is missing, empty" '{}'
place "bids: is missing, empty" '.bids = []'
place "bids[0]: must be an object" '.bids = [7]'
place "more: unknown key" '.more = 1'
place "links: must be an array" '.links = {}'
place "links: must be an array" '.links = null'
place "bids[1].id: another bid has this id" '.bids[1].id = "p"'
place "bids[0].id: is missing" 'del(.bids[0].id)'
place "bids[0].quantity: must be a decimal" '.bids[0].quantity = 500'
place "bids[0].quantity: must be above 0" '.bids[0].quantity = "0"'
place "bids[0].quantity: must be a decimal" '.bids[0].quantity = "9223372036854775808"'
place "bids[0].price: must be a decimal" '.bids[0].price = "0.30"'
place "bids[0].min_quantity: lies between 0 and" '.bids[0].min_quantity = "501"'
place "bids[0].min_quantity: lies between 0 and" '.bids[0].min_quantity = "-1"'
place "bids[0].side: must be one of buy sell" '.bids[0].side = "sel"'
place "bids[0].interval: must be a whole number" '.bids[0].interval = "0"'
place "bids[0].interval: is over 65535" '.bids[0].interval = 70000'
place "bids[0].device: must be a name" '.bids[0].device = "Bat 1"'
place "bids[0].device: is missing: a sell names" 'del(.bids[0].device)'
place "bids[0].node: a bid names either a device" '.bids[0].node = "f1"'
place "bids[0].node: a bid names either a device" '.bids[0] |= (.side = "buy" | del(.device))'
place "bids[0].schedule: only sells" '.bids[0].side = "buy"'
place "bids[0].indivisible: must be true or false" '.bids[0].indivisible = "yes"'
place "bids[0].agent: unknown key" '.bids[0].agent = "a"'
place "links[0]: must be an object" '.links = [7]'
place "links[0].type: must be one of" '.links[0].type = "nor"'
place "links[0]: names a bid that is not in this file" '.links[0].bids = ["p", "z"]'
place "links[0].bids: is missing or no array" '.links[0].bids = "p"'
place "links[0].op: is missing" '.links[0] = {type:"sum", bids:["p"], quantity:"1"}'
load() { # TEXT VERB JQ
    jq -c "$3" net.json >bad.json
    row 2 "bad_file: bad.json: $1" flex --node http://127.0.0.1:1 network "$2" lv1 bad.json
}
load "rows[1]: rhs: taking nothing breaks it" rows '.rows[1].rhs = "-1"'
load "rows[0]: rhs: a decimal string" rows '.rows[0].rhs = 1'
load "rows[0]: op: not one of" rows '.rows[0].op = "<"'
load "rows[0]: unknown key \"limits\"" rows '.rows[0].limits = {"0":"1"}'
load "rows[0]: must be an object" rows '.rows = [7]'
load "rows[0]: carrier: is missing" rows '.rows = [{id:"a"}]'
load "rows[0]: names a node twice" rows '.rows = [{id:"a",carrier:"el",op:"<=",rhs:"1",coefs:[{node:"b",value:"1"},{node:"b",value:"2"}]}]'
load 'wanted {"rows":[...]}' rows '.rows = []'
load "rows[128]: one transaction holds 128" rows '.rows = [range(129) as $i | .rows[0]]'
load 'wanted {"slack","lines","rows"}' load 'del(.lines)'
load "'R0' is no name" load '.slack = "R0"'
load "'' is no name" load 'del(.slack)'
load "lines[0]: capacity: must be W" load '.lines[0].capacity = "-1"'
load "lines[0]: carrier: must be a name" load '.lines[0].carrier = ""'
row 2 "too_large" flex --node http://127.0.0.1:1 network load lv1 <(jq -c '.rows = [range(128) as $i | .rows[0]]' net.json)
row 2 "nofile: No such file" flex network load lv1 nofile
row 0 '"id":	"row-5"' flex network load lv1 net.json --dry-run
"$bin/flex" --json network load lv1 net.json --dry-run | jq -e '[.actions[].type] | group_by(.) | map([.[0], length]) ==
    [["network_line", 18], ["network_node", 19], ["network_row", 5]]' >/dev/null || fail "what load sends"
row 2 "closes a loop" flex grid rows --branches <(cat "$grid/branches.csv"; echo r18,r0,0.1,0.1,1) \
    --nodes "$grid/nodes.csv" --slack r0
row 2 "--mtu is whole seconds" flex grid rows --branches x --nodes y --slack r0 --mtu 25h
row 2 "no_genesis" flex audit coupled --dir nodir --genesis nofile
row 2 "--dir is missing" flex audit coupled
echo '{"format":"flexclear/1","mechanism":"coupled","bids":[],"network":{"slack":"a"}}' >problem.json
"$bin/flexclear" problem.json >result.json
row 2 "format: is that of a result" flexclear --verify result.json problem.json
row 4 "certificate.duals: is missing" flexclear --verify problem.json problem.json
"$bin/flexclear" --verify problem.json result.json || fail "a result of flexclear"

# --- the key moves into the signer ---------------------------------------------------------------
row 2 "genesis.json" flexsignd init --home signer --node-home node --passphrase-fd 3
[ -e node/node.key ] && [ ! -e signer/votes ] || fail "an init that failed kept what it made, or the key"
devnet
for noun in order deal; do
    row 1 "unknown_market: nope" flex --home net/wallets/dso --node "$node" $noun list --market nope
done
"$bin/flexsignd" init --home early --node-home net/nodes/dso --passphrase-fd 3 3<old >out 2>&1 && fail "of a node that runs"
grep -q "the node runs: stop it first" out || fail "$(cat out)"
[ ! -e early ] || fail "an init that was refused left a home"
# A home is one process's, also when its database is moved away under it.
mv net/nodes/dso/data net/nodes/dso/data.aside
row 3 "another process runs this home" flexd start --home net/nodes/dso
[ ! -e net/nodes/dso/data ] || fail "a second node began anew"
"$bin/flexsignd" init --home early --node-home net/nodes/dso --passphrase-fd 3 3<old >out 2>&1 && fail "of a node that runs"
grep -q "the node runs: stop it first" out || fail "$(cat out)"
mv net/nodes/dso/data.aside net/nodes/dso/data
"$bin/flex" devnet stop --dir net >/dev/null
key=$("$bin/flexsignd" init --home signer --node-home net/nodes/dso --passphrase-fd 3 --json 3<old | jq -r .key)
[ ! -e net/nodes/dso/node.key ] && [ -e net/nodes/dso/node.key.moved ] || fail "the node keeps its key"
row 2 "node.key" flexd start --home net/nodes/dso
jq --arg k "$key" --arg s "$dir/socket" '.signer = {socket: $s, key: $k}' net/nodes/dso/flexd.json >c && cp c net/nodes/dso/flexd.json
cp net/nodes/dso/node.key.moved net/nodes/dso/node.key
row 2 "a key beside a signer" flexd start --home net/nodes/dso
rm net/nodes/dso/node.key

# --- another passphrase --------------------------------------------------------------------------
row 2 "the passphrase is wrong" flexsignd passphrase --home signer --passphrase-fd 4 --new-passphrase-fd 3
row 0 "$key" flexsignd passphrase --home signer --passphrase-fd 3 --new-passphrase-fd 4
row 2 "the passphrase is wrong" flexsignd prove-key dso --home signer --genesis net/genesis.json --passphrase-fd 3
row 0 "proof" flexsignd prove-key dso --home signer --genesis net/genesis.json --passphrase-fd 4
echo "wrong input is named; a node's key moved into its signer, and no flexd has both; another passphrase"
