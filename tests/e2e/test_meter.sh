#!/usr/bin/env bash
# A meter operator's day against real processes: files with faults, fingerprints posted once each whatever
# dies in between, readings asked for by those who may and those who may not, a late one and a corrected
# one, copies verified, trades settled against meters, days erased. Usage: test_meter.sh BUILD
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
e2e_begin meter "$1"
crash=$build/tests/e2e/meterd_crash
service_pid=""
at_end() {
    [ -z "$service_pid" ] || kill -9 "$service_pid" 2>/dev/null || true
}

devnet --simulated-time 2025-01-15T08:00:00Z
md() { "$bin/flexmeterd" "$1" --home net/wallets/meters --node "$node" --json "${@:2}"; }
is() { jq -e "$1" "$2" >/dev/null || fail "$1: $(cat "$2")"; }
nonce() { curl -s "$node/v1/accounts/meters" | jq -r .nonce; }

mint 10 dso agg-a agg-b operator meters
as operator market create west --zone west --opens 2025-01-01 --closes 2026-01-01 --price-max 2 \
    --proof-deadline 4d >/dev/null
mkdir keys
for device in bat-1 bat-2; do
    flex meter new-key --out keys/$device.meter --json >meter.json
    as agg-a asset register $device --type storage --max-power-w 10000 --connection-w 11000 \
        --grid-node n1 --feeder f1 --zone west --meter-key "$(jq -r .public_key meter.json)" >/dev/null
    as dso asset prequalify $device >/dev/null
    as agg-a asset enrol $device --market west >/dev/null
done
echo "0 0 0 0" >plan
at="--direction up --start 2025-01-15T11:00Z --quantity-wh 4000 --price 0.30"
# shellcheck disable=SC2086
as agg-a order offer --market west $at --device bat-1 --schedule plan >/dev/null
# shellcheck disable=SC2086
as dso order request --market west $at >/dev/null
[ "$(as dso deal show 1 | jq -r .state)" = matched ] || fail "a deal"

# --- a file with faults, and a crash at each point ----------------------------------------------
md init --prefix west --zone cet --grace 30m >/dev/null
refused_by archive md init
md registry >registry.json && is '.meters == "2"' registry.json
clock 2025-01-15T13:01:00Z
hour() { # START-OF-HOUR WH DEVICE...: four quarter hours each
    for quarter in 00 15 30 45; do for device in "${@:3}"; do echo "$device,2025-01-15T$1:$quarter:00Z,$2"; done; done
}
{ echo device,start,net_wh; hour 11 -1000 bat-1 bat-2; echo "bat-9,2025-01-15T11:00:00Z,1"; } >first.csv
refused_by unknown_device md ingest --keys keys first.csv
is '.files[0].stored == "8" and .files[0].refused[0].line == "10"' refused.json
before=$(nonce)
for point in signed kept sent settled; do
    md commit --keep --all >/dev/null
    "$crash" net/wallets/meters "$node" $point >crash.txt 2>&1 && fail "$point was not reached: $(cat crash.txt)"
    md commit >commit.json
    md status >status.json && is '.batches_final == "4" and .queued_batches == "0" and .transactions_out == "0"' status.json
    [ "$(nonce)" = $((before + 1)) ] || fail "$point: $(($(nonce) - before)) transactions instead of 1"
    # The next point gets four batches of its own: another hour's, in an archive of its own.
    case $point in signed) hour=10 ;; kept) hour=09 ;; sent) hour=08 ;; settled) break ;; esac
    mv net/wallets/meters/meterd "archive.$point"
    md init --prefix "west-$point" >/dev/null && md registry >/dev/null
    { echo device,start,net_wh; hour $hour -1000 bat-1 bat-2; } >next.csv
    md ingest --keys keys next.csv >/dev/null
    before=$(nonce)
done
curl -s "$node/v1/batches?limit=100" >batches.json
is '.items | length == 16 and all(.[]; .revision == 0)' batches.json
rm -rf net/wallets/meters/meterd && mv archive.signed net/wallets/meters/meterd

mv net/wallets/meters/key.json own.key && cp net/wallets/agg-a/key.json net/wallets/meters/
refused_by other_operator md commit
mv own.key net/wallets/meters/key.json

# --- serve: the inbox, and who may ask -----------------------------------------------------------
faults=$dir/faults.control
head -c 512 /dev/zero >"$faults"
FAULTS_CONTROL=$faults LD_PRELOAD=$build/tests/e2e/faults.so "$bin/flexmeterd" serve --home net/wallets/meters --node "$node" --port 0 --every 200ms --keys "$dir/keys" >serve.out 2>serve.err &
service_pid=$!
for _ in $(seq 100); do grep -q listening serve.out && break; sleep 0.1; done
service=http://127.0.0.1:$(sed -n 's/.*port \([0-9]*\)$/\1/p' serve.out)
ask() { as "$1" meter fetch --service "$service" --operator meters --device bat-1 "${@:2}"; }
eleven="--from 2025-01-15T11:00Z --until 2025-01-15T12:00Z"
# shellcheck disable=SC2086
ask agg-a $eleven --out own.json >fetched.json && is '.readings == "4" and .proof_verified' fetched.json
# shellcheck disable=SC2086
ask dso $eleven --deal 1 --out deal.json >fetched.json && is '.readings == "4"' fetched.json
# shellcheck disable=SC2086
refused_by not_permitted ask dso $eleven --out no.json
refused_by not_permitted ask dso --from 2025-01-15T10:45Z --until 2025-01-15T12:00Z --deal 1 --out no.json
# shellcheck disable=SC2086
refused_by not_permitted ask agg-b $eleven --deal 1 --out no.json
# shellcheck disable=SC2086
refused_by other_service as agg-a meter fetch --service "$service" --operator others --device bat-1 $eleven --out no.json
[ ! -e no.json ] || fail "something was kept"
# shellcheck disable=SC2086
ask regulator $eleven --out all.json >/dev/null || fail "the regulator"

# --- a late reading and a correction, through the inbox ------------------------------------------
# The archive takes nothing meanwhile (word 11 of the control page, MAP_FULL_COMMITS: so many commits fail).
full() { printf "$1" | dd of="$faults" bs=8 seek=11 conv=notrunc status=none; }
full '\377\377\0\0\0\0\0\0'
{ echo device,start,net_wh; hour 12 -250 bat-1; } >net/wallets/meters/meterd/inbox/.twelve
mv net/wallets/meters/meterd/inbox/.twelve net/wallets/meters/meterd/inbox/twelve.csv
wait_for() { for _ in $(seq 150); do md status >status.json 2>/dev/null; jq -e "$1" status.json >/dev/null && return; sleep 0.2; done; fail "$1: $(cat status.json)"; }
for _ in $(seq 150); do grep -q 'twelve.csv stays in the inbox' serve.err && break; sleep 0.1; done
grep -q 'database is full' serve.err || fail "nothing is said of the full archive: $(cat serve.err)"
[ -e net/wallets/meters/meterd/inbox/twelve.csv ] || fail "a good file was moved away for a full archive"
full '\0\0\0\0\0\0\0\0'
wait_for '.readings == "12"'
for _ in $(seq 50); do [ -e net/wallets/meters/meterd/inbox/twelve.csv ] || break; sleep 0.1; done
[ -z "$(find net/wallets/meters/meterd -name 'twelve*')" ] || fail "a file that was taken whole is still there"
flex devnet time --dir net --set 2025-01-15T13:40:00Z >/dev/null
wait_for '.batches_final == "8"'
{ echo device,start,net_wh; hour 12 -300 bat-2; } >late.csv
md ingest --keys keys late.csv >late.json && is '.files[0].late == "4"' late.json
wait_for '.batches_final == "12" and .uncommitted_intervals == "0"'
{ echo device,start,net_wh; echo "bat-1,2025-01-15T12:00:00Z,-200"; } >wrong.csv
refused_by reading_conflict md ingest --keys keys wrong.csv
md ingest --keys keys --correction "meter swapped" wrong.csv >/dev/null
wait_for '.batches_final == "13" and .uncommitted_intervals == "0"'
ask agg-a --from 2025-01-15T12:00Z --until 2025-01-15T13:00Z --out twelve.json >/dev/null
is '[.readings[].reading.net_wh] == ["-200","-250","-250","-250"]' twelve.json
kill -9 "$service_pid"; wait "$service_pid" 2>/dev/null || true; service_pid=""

# --- copies ---------------------------------------------------------------------------------------
md export --from 2025-01-15 --until 2025-01-16 --out copy.csv >exported.json && is '.readings == "16"' exported.json
as dso meter verify copy.csv >verified.json && is '.as_fingerprinted and .readings == "16"' verified.json
sed '7s/,-[0-9]*,/,-1001,/' copy.csv >forged.csv
refused_by wrong_reading as dso meter verify forged.csv && is '.line == "7"' refused.json
as dso meter verify own.json twelve.json >verified.json && is '.readings == "8"' verified.json
printf 'device,start,net_kwh\nbat-1,2025-01-15T11:15:00Z,-1\nbat-1,2025-01-15T11:30:00Z,-1.001\n' >plain.csv
refused_by wrong_reading as dso meter verify plain.csv --readings own.json && is '.line == "3"' refused.json

# --- the deal is proven with what was fetched; trades are verified and settled ------------------------
as agg-a deal prove --deal 1 --readings own.json | jq -e '.deal.credited_wh == "4000"' >/dev/null || fail "proven"
flex --node "$node" deal trades --csv >trades.csv 2>/dev/null
as dso deal verify trades.csv >verified.json && is '.as_fingerprinted and .trades == "1"' verified.json
sed 's/,4000,/,4001,/' trades.csv >forged.csv
refused_by wrong_trade as dso deal verify forged.csv && is '.line == "2"' refused.json
as dso deal list >deals.json && as dso deal verify deals.json >/dev/null || fail "a list as JSON"
as dso meter settle --trades trades.csv --price 0.10 own.json >settled.json
is '[.items[] | select(.participant == "agg-a") | .difference_wh] == ["0","0","0","0"]' settled.json
is '[.items[] | select(.participant == "dso") | .complete] | any | not' settled.json

# --- erased: the fingerprint stays and proves nothing ----------------------------------------------------
faults=$dir/faults.control
head -c 512 /dev/zero >"$faults"
FAULTS_CONTROL=$faults LD_PRELOAD=$build/tests/e2e/faults.so "$bin/flexmeterd" serve --home net/wallets/meters --node "$node" --port 0 --every 1h >serve.out 2>serve.err &
service_pid=$!
for _ in $(seq 100); do grep -q listening serve.out && break; sleep 0.1; done
service=http://127.0.0.1:$(sed -n 's/.*port \([0-9]*\)$/\1/p' serve.out)
erase() { as "$1" meter erase --service "$service" --operator meters --device bat-1 --from 2025-01-15 --until 2025-01-16; }
refused_by not_permitted erase agg-b
erase agg-a >erased.json && is '.erased_readings == "8"' erased.json
# shellcheck disable=SC2086
ask agg-a $eleven --out gone.json >gone.txt && is '.readings == "0" and .erased == 4 and .pending == 0' gone.txt
refused_by unknown_device md erase --device bat-11 --from 2025-01-15 --until 2025-01-16
refused_by erased md ingest --keys keys --correction "again" first.csv
md export --from 2025-01-15 --until 2025-01-16 --out copy.csv >/dev/null
as dso meter verify copy.csv >verified.json && is '.as_fingerprinted and .erased == "8"' verified.json
kill "$service_pid"; wait "$service_pid" || fail "a clean stop"; service_pid=""
as dso audit export --dir export >/dev/null
flex audit verify --dir export --genesis net/genesis.json --json | jq -e .ok >/dev/null || fail "audit"
echo "meters: posted once whatever dies, given to whom the ledger says, verified, settled, erased"
