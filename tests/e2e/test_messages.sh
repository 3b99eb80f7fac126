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

# --- the key moves into the signer ---------------------------------------------------------------
row 2 "genesis.json" flexsignd init --home signer --node-home node --passphrase-fd 3
[ -e node/node.key ] && [ ! -e signer/votes ] || fail "an init that failed kept what it made, or the key"
devnet
for noun in order deal; do
    row 1 "unknown_market: nope" flex --home net/wallets/dso --node "$node" $noun list --market nope
done
"$bin/flexsignd" init --home early --node-home net/nodes/dso --passphrase-fd 3 3<old >out 2>&1 && fail "of a node that runs"
grep -q "the node runs: stop it first" out || fail "$(cat out)"
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
