#!/usr/bin/env bash
# Forecasts, dispatch, data sheets and the import of a registry against real processes
# (docs/spec/plans.md): what is published, answered, compared, hidden and imported, and what is refused.
# Usage: test_plans.sh BUILD
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
e2e_begin plans "$1"
meter_key() { # NAME: makes a meter's key file and prints the public key
    flex meter new-key --out "$1.meter" --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["public_key"])'
}

devnet --simulated-time 2025-01-15T08:00:00Z
mint 100 dso agg-a agg-b operator meters

# --- forecasts
echo "100 200 # the first hour
300,400" >values
want 0 "publish" person agg-a --json forecast publish --series pv --place west --kind generation \
    --start 2025-01-16 --interval 1h --values values --out pv0.json
has '"forecast":"agg-a/pv/1736985600000/0"'
want 2 "the file is never replaced" person agg-a forecast publish --series pv --place west \
    --kind generation --start 2025-01-16 --interval 1h --values values --out pv0.json
printf 'at;wh\n0;7\n1;-8\n' >values.csv
want 0 "the next version, from a column" person agg-a --json forecast publish --series pv --place west \
    --kind generation --start 2025-01-16 --interval 1h --values values.csv --column wh --out pv1.json
has 'agg-a/pv/1736985600000/1'
want 1 "a version of another kind" person agg-a --json forecast publish --series pv --place west \
    --start 2025-01-16 --interval 1h --values values --out pv2.json
has '"code":"bad_parameter"'
[ ! -e pv2.json ] || { echo "FAILED: the file of a refused forecast stays"; failed=1; }
want 1 "a forecast of yesterday" person agg-a forecast publish --series pv --place west --kind generation \
    --start 2025-01-14 --interval 1h --values values --out pv3.json
has too_late
want 2 "no number" person agg-a forecast publish --series pv --place west --start 2025-01-16 \
    --values pv0.json --out pv3.json
want 0 "verify the first, by anybody" person dso --json forecast verify pv0.json
has '"superseded":true'
want 0 "verify the second" person dso --json forecast verify pv1.json
has '"superseded":false'
sed 's/"300"/"301"/' pv0.json >other.json
want 4 "one value changed" person dso forecast verify other.json
sed 's/"version":0/"version":1/; s/"agg-a"/"agg-b"/' pv0.json >other.json
want 4 "another publisher" person dso forecast verify other.json
want 0 list person dso --json forecast list
has '"id":"agg-a/pv/1736985600000/1"'
want 0 "proof file" person dso proof get forecast agg-a/pv/1736985600000/0 --out forecast.proof
want 0 "verify it offline" flex proof verify forecast.proof --genesis net/genesis.json

# The hashes, from the text of docs/spec/plans.md and encoding.md alone.
python3 - <<'PYTHON' || { echo "FAILED: the forecast's hash is not the specification's"; failed=1; }
import hashlib, json, struct
def name(text): return text.encode().ljust(24, b"\0")
file = json.load(open("pv0.json"))
action = file["forecast"]
kinds = ["net", "consumption", "generation"]
head = (b"\0" + bytes.fromhex(file["salt"]) + name(file["publisher"]) +
        name(action["series"]) + name(action["place"]) + bytes([kinds.index(action["kind"])]) +
        struct.pack(">qqII", int(action["start_ms"]), int(action["interval_ms"]),
                    int(action["count"]), int(action["version"])))
body = b"".join(struct.pack(">q", int(value)) for value in file["values_wh"])
digest = hashlib.blake2b(head + body, digest_size=32, person=b"flex/series/1").hexdigest()
assert digest == action["values"], (digest, action["values"])
PYTHON

# --- import
bat=$(meter_key bat)
{
    echo "id,type,max_power_w,connection_w,capacity_wh,node,feeder,zone,meter_key"
    echo "bat,storage,10000,11000,20000,n1,f1,west,$bat"
    for i in $(seq 130); do
        echo "load-$i,load,500,11000,,n$i,f1,west,$bat"
    done
} >fleet.csv
sed 's/load-7,load,500/load-7,lode,5x0/; s/^load-9,/load-8,/; s/f1,west,'"$bat"'$/&/' fleet.csv >bad.csv
want 2 "rows with faults" person agg-a --json asset import bad.csv
has 'bad.csv:9: type'
has 'bad.csv:9: max_power_w'
has 'bad.csv:11: id: load-8 stands in line 10 already'
sed '1s/zone/zome/' fleet.csv >bad.csv
want 2 "a column that there is none of" person agg-a asset import bad.csv
has "bad.csv:1: there is no column 'zome'"
has "bad.csv:1: column zone is missing"
want 0 "the registry signs" person dso asset sign fleet.csv --out fleet.sig
want 4 "another's signature" person agg-a asset import fleet.csv --signature fleet.sig --signer operator
has bad_signature
{ cat fleet.csv; echo "load-x,load,500,11000,,n1,f1,west,$bat"; } >longer.csv
want 4 "a file that was changed" person agg-a asset import longer.csv --signature fleet.sig --signer dso
want 0 "a dry run" person agg-a --json asset import fleet.csv --signature fleet.sig --signer dso --dry-run
has '"to_register":131'
want 1 "nothing was sent" person agg-a asset show bat
want 0 "import" person agg-a --json asset import fleet.csv --signature fleet.sig --signer dso
has '"registered":131'
has '"first_line":130'
want 0 "again: nothing to do" person agg-a --json asset import fleet.csv
has '"skipped":131'
want 0 "it goes on behind what is there" person agg-a --json asset import longer.csv
has '"registered":1'
sed 's/load-3,load,500/load-3,load,501/' fleet.csv >bad.csv
want 1 "other data than the ledger's" person agg-a asset import bad.csv
has 'bad.csv:5: load-3 is on the ledger, otherwise than here'
want 1 "somebody else's devices" person agg-b asset import fleet.csv
has exists_already

# --- data sheets
printf 'name,personal,value\nstreet,yes,Long Road 7\nconnection_status,no,connected\nowner,yes,J. Doe\n' >sheet.csv
want 0 "make a sheet" person agg-a --json asset sheet make sheet.csv --device bat --out bat.sheet
cp out sheet.json
want 4 "it is not on the ledger yet" person dso asset sheet verify bat.sheet
want 0 "set it" person agg-a asset sheet set bat.sheet
want 1 "not the owner" person agg-b asset sheet set bat.sheet
has not_owner
want 0 "verify it" person dso asset sheet verify bat.sheet
want 0 "hide what is personal" person agg-a --json asset sheet hide bat.sheet --out public.sheet
has '"hidden":2'
grep -q "Long Road\|Doe" public.sheet && { echo "FAILED: a hidden field is there"; failed=1; }
grep -q "connected" public.sheet || { echo "FAILED: a public field is not there"; failed=1; }
want 0 "the copy verifies too" person dso asset sheet verify public.sheet
sed 's/connected/planned!!/' public.sheet >other.sheet
want 4 "a field that was changed" person dso asset sheet verify other.sheet
python3 - <<'PYTHON' || { echo "FAILED: the sheet's hash is not the specification's"; failed=1; }
import hashlib, json, struct
def tagged(data): return hashlib.blake2b(data, digest_size=32, person=b"flex/sheet/1").digest()
def digest(file):
    sheet, whole = json.load(open(file)), b""
    for field in sheet["fields"]:
        name = bytes([len(field["name"])]) + field["name"].encode()
        value = field.get("value", "").encode()
        whole += name + (bytes.fromhex(field["hash"]) if "hash" in field else tagged(
            b"\0" + bytes.fromhex(field["salt"]) + name + struct.pack(">H", len(value)) + value))
    return tagged(b"\1" + sheet["device"].encode().ljust(24, b"\0") + whole).hex()
wanted = json.load(open("sheet.json"))["address_hash"]
assert digest("bat.sheet") == digest("public.sheet") == wanted
PYTHON
want 0 "hide one" person agg-a --json asset sheet hide bat.sheet --fields owner --out one.sheet
has '"hidden":1'
want 2 "hide what is not there" person agg-a asset sheet hide bat.sheet --fields nobody --out none.sheet

# --- dispatch
want 0 market person operator market create west --zone west --opens 2025-01-01 --closes 2026-01-01 \
    --price-max 2.00
want 0 prequalify person dso asset prequalify bat
want 0 enrol person agg-a asset enrol bat --market west
want 0 request person dso order request --market west --direction up --start 2025-01-15T10:00Z \
    --quantity-wh 4000 --price 0.30
echo "500 500 500 500" >plan
want 0 offer person agg-a order offer --market west --direction up --start 2025-01-15T10:00Z \
    --quantity-wh 4000 --price 0.20 --device bat --schedule plan
want 0 deal person agg-a --json deal show 1
echo "-400 -400 -500 -500" >setpoints
want 1 "not a party" person agg-b dispatch send --device bat --deal 1 --start 2025-01-15T10:00Z \
    --setpoints setpoints --out first.json
has not_permitted
want 0 "send" person dso --json dispatch send --device bat --deal 1 --start 2025-01-15T10:00Z \
    --setpoints setpoints --out first.json
has '"dispatch":"bat/1736935200000/0"'
echo "-500 -500 -500 -500" >setpoints
want 0 "a newer one" person dso --json dispatch send --device bat --deal 1 --start 2025-01-15T10:00Z \
    --setpoints setpoints --out second.json
want 1 "the first is out of date" person agg-a dispatch ack first.json
has superseded
want 1 "the buyer does not run the device" person dso dispatch ack second.json
has not_yours_to_offer
want 0 "acknowledge" person agg-a dispatch ack second.json
want 1 "twice" person agg-a dispatch ack second.json --refuse
has exists_already
want 0 list person dso --json dispatch list
has '"answer":"accepted"'

clock 2025-01-15T11:01:00Z
want 1 "too late for another" person dso dispatch send --device bat --deal 1 --start 2025-01-15T10:00Z \
    --setpoints setpoints --out third.json
has too_late
echo "-500 -480 -500 0" >profile
want 0 readings flex meter read --key bat.meter --device bat --start 2025-01-15T10:00Z \
    --profile profile --out readings.json
want 0 compare person agg-a --json dispatch compare 1 --setpoints second.json --csv compare.csv readings.json
tr -d '\r' <compare.csv | diff - <(cat <<'CSV'
start_ms,traded_wh,declared_wh,setpoint_wh,metered_wh,setpoint_error_wh,delivered_wh
1736935200000,1000,500,-500,-500,0,1000
1736936100000,1000,500,-500,-480,20,980
1736937000000,1000,500,-500,-500,0,1000
1736937900000,1000,500,-500,0,500,500
CSV
) || { echo "FAILED: compare.csv"; failed=1; }
want 0 "the buyer has neither schedule nor readings" person dso --json dispatch compare 1 --setpoints second.json
has '"setpoint_wh":"-500"'
grep -q declared_wh out && { echo "FAILED: the buyer sees a schedule"; failed=1; }
sed 's/"-480"/"-500"/' readings.json >changed.json
want 4 "a reading that was changed" person agg-a dispatch compare 1 --setpoints second.json changed.json
want 0 "the first one shows as superseded" person agg-a --json dispatch compare 1 --setpoints first.json
has '"superseded":true'
sed 's/"-500","-500"/"-500","-501"/' second.json >changed.json
want 4 "set-points that were changed" person agg-a dispatch compare 1 --setpoints changed.json

[ "$failed" -eq 0 ] && echo "plans: forecasts, instructions, sheets and a registry, kept and checked"
exit "$failed"
