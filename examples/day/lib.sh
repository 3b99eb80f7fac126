# shellcheck shell=bash
# The steps of the day (run.sh), one function each, and the few helpers that they share. Every step
# is a call of the wallet, as a person would make it; what it must lead to is checked with `promise`.

declare -A api      # node name -> its HTTP address
declare -A key_of   # device -> its meter's key file

say() { printf '\n== %s\n' "$*"; }
note() { printf '   %s\n' "$*"; }
broken() {
    printf '\nday: BROKEN PROMISE: %s\n' "$*" >&2
    printf 'day: node logs are in %s/nodes, what was said last is above\n' "$dir" >&2
    exit 1
}
promise() { # what, then a test
    local what=$1
    shift
    "$@" || broken "$what ($*)"
    note "kept: $what"
}

# The wallet of WHO, against WHO's own node where it runs one, else aggregator A's.
wallet() {
    local who=$1
    shift
    "$flex" --home "$dir/wallets/$who" --node "${api[${node_of[$who]:-agg-a}]}" --json "$@"
}
declare -A node_of=([dso]=dso [agg-a]=agg-a [agg-b]=agg-b [operator]=operator [regulator]=regulator)

# Runs a wallet command that must be refused with exit code and error name as given.
refused() {
    local exit_code=$1 code=$2 output status=0
    shift 2
    output=$(wallet "$@" 2>"$dir/refused.err") || status=$?
    [ "$status" -eq "$exit_code" ] || broken "expected exit $exit_code, got $status: $* $output"
    [ "$(jq -r .error.code <<<"$output")" = "$code" ] || broken "expected $code: $* $output"
    note "refused as it must be: $code ($(jq -r .error.reason <<<"$output"))"
}

field() { jq -r "$1"; }
node_field() { # node, field
    "$flex" devnet status --dir "$dir" --json | jq -r --arg n "$1" ".nodes[]|select(.name==\$n)|.$2"
}
height_of() { curl -fsS -m 2 "${api[$1]}/v1/status" | jq -r .height; }

# Moves the network's simulated clock and waits until the chain itself has got there.
clock_to() {
    "$flex" devnet time --dir "$dir" --set "$1" --json >/dev/null
    note "clock: $1"
}

# Waits up to SECONDS until the test holds.
within() {
    local seconds=$1 end
    shift
    end=$((SECONDS + seconds))
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

start_network() {
    say "Network: four validators and the regulator's audit node, each a process of its own"
    rm -rf "$dir"
    mkdir -p "$dir"
    "$flex" devnet start --dir "$dir" --validators 4 --audit 1 --simulated-time "${day}T08:00:00Z"
    trap stop_network EXIT
    local name address
    while read -r name address; do
        api[$name]=$address
    done < <("$flex" devnet status --dir "$dir" --json | jq -r '.nodes[]|"\(.name) \(.api)"')
    cp "$dir/genesis.json" "$dir/genesis.trusted.json"
    note "${#api[@]} nodes answer; the genesis file is $dir/genesis.json"
}

stop_network() {
    "$flex" devnet stop --dir "$dir" >/dev/null 2>&1 || true
}

onboard_participants() {
    say "Onboarding: money for the DSO, a prosumer and a customer join"
    wallet treasurer token mint --to operator --amount 1.00 --receipt "bank-0001" >/dev/null
    wallet treasurer token mint --to dso --amount 60.00 --receipt "bank-0002" >/dev/null
    local who
    for who in agg-a agg-b meters; do
        wallet treasurer token mint --to "$who" --amount 0.50 --receipt "bank-$who" >/dev/null
    done
    for who in anna bert carla; do
        "$flex" --home "$dir/wallets/$who" --json key new --no-passphrase >"$dir/$who.key.json"
        cp "$dir/genesis.json" "$dir/wallets/$who/genesis.json"
        wallet operator participant register --id "$who" --roles prosumer \
            --key "$(field .public_key <"$dir/$who.key.json")" >/dev/null
        wallet treasurer token mint --to "$who" --amount 0.10 --receipt "bank-$who" >/dev/null
    done
    promise "the DSO holds 60 EUR" \
        test "$(wallet dso account show dso | field .balance_ueur)" = 60000000
}

# device owner manager type max_power_w price_eur_per_kwh delivered_permille
# What each customer does on the day is declared here, not measured: the meters are simulated. The
# household's readings are the bundled or real registers less what its battery delivers.
devices=(
    "ev-hub-1     anna  agg-a ev        22000 0.24 1000"
    "ev-hub-2     bert  agg-a ev        11000 0.28 600"
    "heat-pump-1  carla agg-b heat_pump  6000 0.26 1000"
    "heat-pump-2  bert  agg-b heat_pump  6000 0.30 0"
    "home-battery anna  -     storage    5000 0.32 1000"
)

register_devices() {
    say "Devices: registered by their owners, delegated, prequalified by the DSO"
    local row id owner manager type power node=0
    for row in "${devices[@]}"; do
        read -r id owner manager type power _ <<<"$row"
        "$flex" meter new-key --out "$dir/meters/$id.key" --json >"$dir/$id.meter.json"
        wallet "$owner" asset register --id "$id" --type "$type" --max-power-w "$power" \
            --connection-w 30000 --node "node-$((node += 1))" --feeder "$zone" --zone "$zone" \
            --meter-key "$(field .public_key <"$dir/$id.meter.json")" >/dev/null
        if [ "$manager" != - ]; then
            wallet "$owner" asset delegate --device "$id" --manager "$manager" \
                --from "${day}T00:00:00Z" --until "2026-12-02T00:00:00Z" >/dev/null
            wallet "$manager" asset accept-delegation --device "$id" >/dev/null
        fi
        wallet dso asset prequalify --device "$id" >/dev/null
    done
}
