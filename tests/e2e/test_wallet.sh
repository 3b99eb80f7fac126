#!/usr/bin/env bash
# The wallet against real processes: one deal from request to proven delivery, its bill, its proof, an
# export, and every exit code that docs/wallet.md promises. Usage: test_wallet.sh BUILD
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
e2e_begin wallet "$1"
liar=
at_end() { [ -z "$liar" ] || kill "$liar" 2>/dev/null; }
flip() { # FILE OFFSET: changes the lowest bit of one byte
    python3 - "$1" "$2" <<'PY'
import sys
path, at = sys.argv[1], int(sys.argv[2])
data = bytearray(open(path, "rb").read())
data[at] ^= 1
open(path, "wb").write(data)
PY
}

devnet --simulated-time 2025-01-15T08:00:00Z

for who in dso agg-a operator meters; do
    want 0 mint person treasurer token mint --to $who --amount 10 --reference "receipt $who"
    has "proven from the genesis file"
done
want 1 "a receipt used twice" person treasurer token mint --to dso --amount 10 --reference "receipt dso"
has exists_already
want 1 "not a treasurer" person dso --json token mint --to dso --amount 1 --reference x
has '"code":"not_permitted"'
want 1 "not enough" person dso token transfer --to agg-a --amount 1000
has insufficient_funds
want 2 "bad amount" person dso token transfer --to agg-a --amount 1,5
want 2 "no id" person dso --json order show abc
has '"code":"bad_id"'
want 1 "no money for the fee" person agg-b token transfer --to dso --amount 1
has "flex: hint: flex account show"
want 0 "a key that nobody knows" flex --home "$dir/stranger" key new --no-passphrase
want 1 "a stranger's balance" flex --home "$dir/stranger" --node "$node" account show
has "flex participant register NAME"
lies() { # NAME [LIE]: another node that lies, at liar.url
    [ -n "$liar" ] && kill "$liar"
    : >liar.url
    python3 "$root/tests/e2e/helpers/liar.py" "$node" "$@" >liar.url &
    liar=$!
    for _ in $(seq 50); do [ -s liar.url ] || sleep 0.1; done
}
lies agg-a
want 0 "a node that lies, but not about this" flex --home "$dir/net/wallets/dso" --node "$(cat liar.url)" \
    account show agg-a
want 4 "a node that shows another's balance as mine" flex --home "$dir/net/wallets/dso" \
    --node "$(cat liar.url)" account show
want 0 "an honest one" person dso account show
want 3 "no node" flex --home "$dir/net/wallets/dso" --node http://127.0.0.1:1 account show

want 0 market person operator market create west --zone west --opens 2025-01-01 --closes 2026-01-01 \
    --price-max 2.00
want 0 "meter key" flex meter new-key --out bat.meter --json
key=$(python3 -c 'import json; print(json.load(open("out"))["public_key"])')
want 0 register person agg-a asset register bat --type storage --max-power-w 10000 --connection-w 11000 \
    --grid-node n1 --feeder f1 --zone west --meter-key "$key"
want 0 prequalify person dso asset prequalify bat
want 0 enrol person agg-a asset enrol bat --market west
want 0 request person dso order request --market west --direction up --start 2025-01-15T10:00Z \
    --quantity-wh 4000 --price 0.30
want 0 "a request that trades whole" person dso order request --market west --direction up \
    --start 2025-01-15T12:00Z --quantity-wh 4000 --price 0.10 --indivisible
want 0 "less of it" person dso order replace 2 --quantity-wh 2000
want 0 "the same order" person dso --json order show 2
has '"open_wh":"2000"'
has '"indivisible":true'
want 0 "dearer and divisible" person dso order replace 2 --price 0.11 --divisible
want 1 "what was replaced" person dso order replace 2 --price 0.12
has order_not_open
want 0 "another order" person dso --json order show 3
has '"price_ueur_per_kwh":"110000"'
has '"indivisible":false'
want 2 "both at once" person dso order replace 3 --divisible --indivisible
want 0 "its end" person dso order cancel 3
echo "500 500 500" >plan
want 2 "a schedule too short" person agg-a order offer --market west --direction up \
    --start 2025-01-15T10:00Z --quantity-wh 4000 --price 0.20 --device bat --schedule plan
echo "500 500 500 500" >plan
want 0 offer person agg-a order offer --market west --direction up --start 2025-01-15T10:00Z \
    --quantity-wh 4000 --price 0.20 --device bat --schedule plan
want 0 deal person agg-a --json deal show 1
has '"state":"matched"'
want 1 "no such deal" person agg-a deal show 2
has unknown_deal

clock 2025-01-15T11:01:00Z
echo "-500 -500 -500 0" >profile
want 0 readings flex meter read --key bat.meter --device bat --start 2025-01-15T10:00Z \
    --profile profile --out readings.json
want 0 batch person meters meter batch --id west readings.json
want 2 "a correction without a reason" person meters meter batch --id west readings.json
want 0 reveal person meters meter reveal --id west --device bat --from 2025-01-15T10:00Z \
    --until 2025-01-15T11:00Z --out reveal.json
sed 's/"net_wh":"-500"/"net_wh":"-501"/' reveal.json >changed.json
want 1 "a reading that was changed" person agg-a deal prove --deal 1 --readings changed.json
want 2 "the buyer has no schedule" person dso deal prove --deal 1 --readings reveal.json
want 0 prove person agg-a --json deal prove --deal 1 --readings reveal.json
has '"delivered_wh":"3500"'
has '"paid_ueur":"875000"'
has '"refunded_ueur":"125000"'
want 1 "proven twice" person agg-a deal prove --deal 1 --readings reveal.json
has deal_not_open
want 0 bill person agg-a --json bill show --from 2025-01-15 --to 2025-01-16 --csv bill.csv
has '"received_ueur":"875000"'
grep -q '^1,seller,partial,west,energy,up,bat,dso,agg-a,1736935200000,4000,3500,3500,,250000,1000000,875000,125000,10000,' \
    bill.csv || { echo "FAILED: bill.csv"; cat bill.csv; failed=1; }
want 0 "the buyer's bill" person dso --json bill show --from 2025-01-15 --to 2025-01-16 --csv bill.csv
grep -q '^1,buyer,partial,.*,1000000,875000,125000,0,' bill.csv ||
    { echo "FAILED: the buyer's bill has the seller's fee"; cat bill.csv; failed=1; }
want 0 "with meters, as files" person agg-a --json bill show agg-a --from 2025-01-15 --to 2025-01-16 \
    --export billing readings.json reveal.json
has '"exported_wh":"1500"'
has '"missing":"92"'
has '"metered_net_wh":"-1500"'
cp out bill_of_node
grep -q $'^height,time_ms,.*,balance_ueur\r$' billing/lines.csv && [ "$(ls billing | wc -l)" = 5 ] ||
    { echo "FAILED: billing files"; head billing/*; failed=1; }
want 4 "a meter reading that was changed" person agg-a bill show agg-a --from 2025-01-15 --to 2025-01-16 changed.json
has bad_reading

bill_by_liar() { flex --home "$dir/net/wallets/dso" --node "$(cat liar.url)" --json \
    bill show "$1" --from 2025-01-15 --to 2025-01-16; }
for lie in deals orders; do
    lies operator $lie
    want 4 "a bill with another's $lie" bill_by_liar operator
    has proof_failed
done
lies agg-a hidden
want 4 "a bill that lacks a movement" bill_by_liar agg-a
lies agg-a amount
want 4 "a bill with another amount" bill_by_liar agg-a
has proof_failed
lies agg-a older
want 4 "a bill that begins too late" bill_by_liar agg-a
lies operator twice
want 3 "a bill with everything twice" bill_by_liar agg-a
has bad_answer
want 3 "a list with everything twice" flex --home "$dir/net/wallets/dso" --node "$(cat liar.url)" \
    deal list

want 0 "get a proof" person dso proof get deal 1 --out deal.proof
want 0 "verify it" flex proof verify deal.proof --genesis net/genesis.json
for at in 0 20 200 600 1500; do
    cp deal.proof bad.proof
    flip bad.proof $at
    want 4 "a proof with byte $at changed" flex proof verify bad.proof --genesis net/genesis.json
done
sed 's/"max_idle_ms":[^,]*/"max_idle_ms":999/' net/genesis.json >other.json
want 4 "a proof under another genesis" flex proof verify deal.proof --genesis other.json
want 4 "a node of another chain" flex --home "$dir/none" --genesis other.json --node "$node" \
    deal show 1

want 0 export person dso audit export --dir export
want 0 "verify the export" flex audit verify --dir export --genesis net/genesis.json --json
want 0 "a bill from the export" flex --genesis net/genesis.json --json bill audit agg-a --dir export \
    --from 2025-01-15 --to 2025-01-16 readings.json
cp out bill_of_export
python3 - <<'PYTHON' || { echo "FAILED: node's bill and export's differ"; failed=1; }
import json
node, export = (json.load(open(f"bill_of_{source}")) for source in ("node", "export"))
for part in ("lines", "by_kind", "deals", "orders", "totals", "energy", "meters"):
    assert node[part] == export[part], part
assert node["statement"]["opening_ueur"] == export["statement"]["opening_ueur"]
total = sum(int(line["amount_ueur"]) for line in node["lines"])
assert int(node["statement"]["opening_ueur"]) + total == int(node["statement"]["closing_ueur"])
assert {"deal_paid", "transaction_fee"} <= {line["kind"] for line in node["lines"]}
PYTHON
has '"ok":true'
want 0 report flex audit report --dir export --genesis net/genesis.json --json
has '"minted_ueur":"40000000"'
size=$(stat -c %s export/blocks/000/000.blk)
flip export/blocks/000/000.blk $((size / 2))
want 4 "an export with a changed byte" flex audit verify --dir export --genesis net/genesis.json \
    --json
has '"ok":false'
flip export/blocks/000/000.blk $((size / 2))

want 0 kill flex devnet kill --dir net --node agg-b
want 0 "three validators go on" person dso token transfer --to agg-a --amount 0.5
want 0 "start it again" flex devnet start-node --dir net --node agg-b
want 0 "export goes on" person dso audit export --dir export
want 0 "verify what was added" flex audit verify --dir export --genesis net/genesis.json
want 0 stop flex devnet stop --dir net
want 0 status flex devnet status --dir net --json
has '"pid":null'

[ "$failed" -eq 0 ] && echo "wallet: one deal proven, every exit code as promised"
exit "$failed"
