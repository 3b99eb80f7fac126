# shellcheck shell=bash
# The steps of the day in their order (run.sh). Each is made of calls of the wallet, as people would
# make them; what must come of it is checked with `promise` and `refused` (lib.sh).

# id  owner manager type max_power_w price_eur_per_kwh delivered_permille
# What each customer does on the day is declared here: the meters are simulated. The battery stands
# behind the household's meter, so its readings are the household's registers less what it delivers.
devices=(
    "ev-hub-1     anna  agg-a ev        22000 0.24 1000"
    "ev-hub-2     bert  agg-a ev        11000 0.28 600"
    "heat-pump-1  carla agg-b heat_pump  6000 0.26 1000"
    "heat-pump-2  bert  agg-b heat_pump  6000 0.30 0"
    "home-battery anna  -     storage    5000 0.32 1000"
)
step_wh=4 # the market's quantity step
bid=0.40  # what the DSO pays at most, EUR per kWh
next_day=$(date -u -d "$day + 1 day" +%F)

onboard_participants() {
    say "Onboarding: the treasurer mints euros, customers join"
    does treasurer token mint --to operator --amount 1.00 --reference bank-0001
    does treasurer token mint --to dso --amount 60.00 --reference bank-0002
    local who
    for who in agg-a agg-b meters; do
        does treasurer token mint --to "$who" --amount 0.50 --reference "bank-$who"
    done
    for who in anna bert carla; do
        mkdir -p "$dir/wallets/$who"
        cp "$dir/genesis.json" "$dir/wallets/$who/genesis.json"
        does "$who" key new --no-passphrase
        does operator participant register "$who" --roles prosumer \
            --key "$(wallet "$who" key show | field .public_key)"
        does treasurer token mint --to "$who" --amount 0.10 --reference "bank-$who"
    done
    promise "the DSO holds 60 EUR" \
        test "$(wallet dso account show dso | field .balance_ueur)" = 60000000
}

open_market() {
    say "The market: hourly products of four quarter hours in zone $zone"
    does operator market create "$market" --zone "$zone" --opens "${day}T00:00:00Z" \
        --closes "2027-12-31T00:00:00Z" --gate-closure 1h --proof-deadline 3h \
        --quantity-step-wh "$step_wh" --quantity-min-wh "$step_wh" --price-max 1.00
}

register_devices() {
    say "Devices: registered by their owners, delegated, prequalified by the DSO, enrolled"
    local row id owner manager type power at=0
    mkdir -p "$dir/meters"
    for row in "${devices[@]}"; do
        read -r id owner manager type power _ <<<"$row"
        does meters meter new-key --out "$dir/meters/$id.key"
        does "$owner" asset register "$id" --type "$type" --max-power-w "$power" \
            --connection-w 30000 --grid-node "$(field ".nodes[$at]" <"$dir/need.json")" --feeder "$zone" --zone "$zone" \
            --meter-key "$(field .public_key <"$dir/meters/$id.key")"
        at=$((at + 1))
        if [ "$manager" != - ]; then
            does "$owner" asset delegate "$id" --to "$manager" --from "${day}T00:00:00Z" \
                --until "${next_day}T00:00:00Z"
            does "$manager" asset accept-delegation "$id"
        fi
        does dso asset prequalify "$id"
        does "$owner" asset enrol "$id" --market "$market"
        note "$id: $type of $owner, offered by ${manager/#-/$owner}"
    done
}

find_need() {
    say "The DSO's outlook: is the feeder's transformer overloaded today?"
    wallet dso grid need --feeder "$feeder" --data "$data" --stress "$here/stress.csv" \
        --step-wh "$step_wh" >"$dir/need.json" 2>/dev/null || broken "no outlook"
    note "overloaded with $(field .factor <"$dir/need.json") times the declared stress of" \
        "$(field '[.stress[]|"\(.power_w) W of \(.kind)"]|join(" and ")' <"$dir/need.json")" \
        "at each of $(field '.nodes|length' <"$dir/need.json") nodes"
    worst=$(field '.requests|map(select(.direction=="up"))|max_by(.excess_w|tonumber).from' <"$dir/need.json")
    worst_wh=$(field ".requests[]|select(.from==\"$worst\" and .direction==\"up\").quantity_wh" <"$dir/need.json")
    note "worst in the hour from $worst: $worst_wh Wh less consumption are needed"
    promise "there is a need" test "$worst_wh" -gt 0
    start=${day}T$worst:00Z
    start_s=$(date -u -d "$start" +%s)
    first_quarter=$((10#${worst%:*} * 4))
}

place_requests() {
    say "The DSO's zonal requests, with the money in escrow"
    local from wh
    while read -r from wh; do
        does dso order request --market "$market" --direction up --start "${day}T$from:00Z" \
            --quantity-wh "$wh" --price "$bid"
        note "up-regulation of $wh Wh from $from, at most $bid EUR/kWh"
    done < <(field '.requests[]|select(.direction=="up")|"\(.from) \(.quantity_wh)"' <"$dir/need.json")
}

# What the device would consume in each quarter hour of the worst hour without any market.
schedule_of() { # device, max power
    local quarter
    for quarter in 0 1 2 3; do
        if [ "$1" = home-battery ]; then
            jq -r ".household_wh[$((first_quarter + quarter))]" <"$dir/need.json"
        else
            echo $(($2 / 4))
        fi
    done
}

offer() { # who, device, quantity, price
    does "$1" order offer --market "$market" --direction up --start "$start" --device "$2" \
        --quantity-wh "$3" --price "$4" --schedule "$dir/schedules/$2"
    note "$1 offers $3 Wh of $2 at $4 EUR/kWh"
}

place_offers() {
    say "Offers of two aggregators and a prosumer"
    mkdir -p "$dir/schedules"
    local row id owner manager power price share
    # A fifth each and a little more, so that the dearest is cut.
    share=$(((worst_wh / ${#devices[@]} + 40) / step_wh * step_wh))
    for row in "${devices[@]}"; do
        read -r id owner manager _ power price _ <<<"$row"
        schedule_of "$id" "$power" >"$dir/schedules/$id"
        [ "$manager" != - ] || manager=$owner
        offer "$manager" "$id" "$share" "$price"
    done
}

refuse_bad_input() {
    say "What must be refused"
    local envelope=$dir/envelope.tx tampered=$dir/tampered.tx
    mkdir -p "$dir/schedules"
    schedule_of ev-hub-1 22000 >"$dir/schedules/ev-hub-1"
    note "aggregator B offers a car of aggregator A's portfolio"
    refused 1 not_yours_to_offer agg-b order offer --market "$market" --direction up \
        --start "$start" --device ev-hub-1 --quantity-wh 1000 --price 0.20 \
        --schedule "$dir/schedules/ev-hub-1"
    note "more than the device's power"
    refused 1 over_device_power agg-a order offer --market "$market" --direction up \
        --start "$start" --device ev-hub-2 --quantity-wh 12000 --price 0.20 \
        --schedule "$dir/schedules/ev-hub-1"
    note "a transaction that was final already, once more"
    does dso token transfer --to meters --amount 0.01 --save-envelope "$envelope"
    refused 1 tx_nonce_used dso tx send "$envelope"
    note "the same with one bit of the signature flipped"
    flip_signature_bit "$envelope" "$tampered"
    refused 1 tx_bad_signature dso tx send "$tampered"
    note "a write to the audit node"
    node_of[dso]=audit
    refused 1 read_only dso token transfer --to meters --amount 0.01
    node_of[dso]=dso
}

# The envelope is a sized body, the 64 bytes of the signature, a sized witness.
flip_signature_bit() {
    local size byte
    size=$(od -An -tu1 -N4 "$1" | awk '{print $1*16777216 + $2*65536 + $3*256 + $4}')
    cp "$1" "$2"
    byte=$(od -An -tu1 -j$((4 + size)) -N1 "$1")
    printf '%b' "\\x$(printf %02x $((byte ^ 1)))" |
        dd of="$2" bs=1 seek=$((4 + size)) conv=notrunc status=none
}

kill_one_validator() {
    say "kill -9 of aggregator B's validator, in the middle of the market"
    killed_pid=$(pid_of agg-b)
    kill -9 "$killed_pid"
    node_of[agg-b]=operator # its wallet goes to another node meanwhile
    note "process $killed_pid is gone; the other three go on"
}

restart_killed() {
    local target
    target=$(height_of operator)
    does operator devnet start-node --dir "$dir" --node agg-b
    within 30 reached agg-b "$target" || broken "agg-b did not catch up with height $target"
    node_of[agg-b]=agg-b
    promise "the killed validator is a new process" test "$(pid_of agg-b)" != "$killed_pid"
    promise "it has caught up with height $target and is ready" within 30 is_ready agg-b
    recovered=true
}

check_matching() {
    say "Matching, on every node alike"
    wallet dso deal list >"$dir/matched.json"
    field '.items[]|"   deal \(.id): \(.seller) sells \(.contracted_wh) Wh of \(.device) at \(.price_ueur_per_kwh) ueur/kWh, \(.escrow_ueur) ueur in escrow"' <"$dir/matched.json"
    promise "five deals" test "$(field '.items|length' <"$dir/matched.json")" = "${#devices[@]}"
    promise "together exactly what the DSO asked for" \
        test "$(field '[.items[].contracted_wh|tonumber]|add' <"$dir/matched.json")" = "$worst_wh"
    promise "all of their money is in escrow" \
        test "$(field '[.items[]|select(.state=="matched")]|length' <"$dir/matched.json")" = "${#devices[@]}"
}

halt_and_resume() {
    say "Two of four stopped: the chain halts, loses nothing, and resumes"
    local id before status=0 output
    kill -9 "$(pid_of agg-b)" "$(pid_of agg-a)"
    before=$(height_of operator)
    output=$(wallet meters token transfer --to carla --amount 0.01 --timeout 3s 2>&1) || status=$?
    id=$(grep -oE '[0-9a-f]{64}' <<<"$output" | head -n 1)
    promise "no transaction becomes final" test "$status" -eq 3 -a -n "$id"
    promise "no block becomes final" test "$(height_of operator)" -le $((before + 1))
    does operator devnet start-node --dir "$dir" --node agg-a
    does operator devnet start-node --dir "$dir" --node agg-b
    output=$(wallet meters tx wait "$id" --timeout 60s) || broken "lost: $id $output"
    promise "the transaction that waited is final, with its proof" \
        test "$(field '"\(.status) \(.proof_verified)"' <<<"$output")" = "ok true"
}
