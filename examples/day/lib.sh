# shellcheck shell=bash
# What the steps of the day share: the wallets, promises and refusals, the clock, the network.

declare -A api                       # node name -> its HTTP address
declare -A node_of=([dso]=dso [agg-a]=agg-a [agg-b]=agg-b [operator]=operator [regulator]=audit)

say() { printf '\n== %s\n' "$*"; }
note() { printf '   %s\n' "$*"; }

broken() {
    printf '\nday: BROKEN PROMISE: %s\n' "$*" >&2
    printf 'day: the nodes'\'' logs are %s/nodes/*/flexd.log\n' "$dir" >&2
    exit 1
}

promise() { # what, then a command that must succeed
    local what=$1
    shift
    "$@" || broken "$what ($*)"
    note "kept: $what"
}

# The wallet of WHO, against WHO's own node where it runs one, else the market operator's.
wallet() {
    local who=$1
    shift
    "$flex" --home "$dir/wallets/$who" --node "${api[${node_of[$who]:-operator}]}" --json "$@" ||
        return $?
}

# The same for a step that must succeed; its JSON goes nowhere, its failure ends the day.
does() {
    local output
    output=$(wallet "$@" 2>&1) || broken "$* failed: $output"
}

field() { jq -r "$1"; }

# EXIT CODE WHO...: a wallet command that must be refused with that exit code and error.
refused() {
    local exit_code=$1 code=$2 output status=0
    shift 2
    output=$(wallet "$@" 2>"$dir/refused.txt") || status=$?
    [ "$status" -eq "$exit_code" ] && [ "$(field .error.code <<<"$output")" = "$code" ] ||
        broken "wanted exit $exit_code and $code, got exit $status: $* -> $output"
    note "refused, as it must be: $code: $(field .error.reason <<<"$output")"
}

status_of() { curl -fsS -m 2 "${api[$1]}/v1/status" 2>/dev/null; }
height_of() { status_of "$1" | field .height; }
pid_of() {
    "$flex" devnet status --dir "$dir" --json | jq -r --arg n "$1" '.nodes[]|select(.name==$n)|.pid'
}
is_ready() { curl -fsS -m 2 -o /dev/null "${api[$1]}/ready" 2>/dev/null; }
reached() { # node, height
    local now
    now=$(height_of "$1") && [ "$now" -ge "$2" ]
}

within() { # seconds, then a command that must succeed before they are over
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

time_reached() { [ "$(status_of operator | field .block_time_ms)" -ge "$1" ]; }

# Moves the network's simulated clock and waits until a block has that time.
clock_to() {
    local ms
    ms=$(date -u -d "$1" +%s)000
    does operator devnet time --dir "$dir" --set "$1"
    within 60 time_reached "$ms" || broken "the chain does not reach $1"
    note "it is $1"
}

start_network() {
    say "The network: four validators and the regulator's audit node, a process each"
    rm -rf "$dir"
    mkdir -p "$dir"
    trap stop_network EXIT
    "$flex" devnet start --dir "$dir" --validators 4 --audit 1 --genesis-spec "$here/genesis.json" \
        --simulated-time "${day}T08:00:00Z" >/dev/null
    local name address
    while read -r name address; do
        api[$name]=$address
        note "$name at $address"
    done < <("$flex" devnet status --dir "$dir" --json | field '.nodes[]|"\(.name) \(.api)"')
    promise "five nodes answer" test "${#api[@]}" -eq 5
}

stop_network() {
    "$flex" devnet stop --dir "$dir" >/dev/null 2>&1 || true
}
