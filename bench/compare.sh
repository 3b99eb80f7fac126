#!/usr/bin/env bash
# A central database and a replicated store beside the ledger, on this machine, in this hour.
#
#   bench/compare.sh
#   RUNS=3 SECONDS_EACH=20 CLIENTS=32 ACCOUNTS=100000 OUT=FILE BUILD=DIR
#
# PostgreSQL: one node, synchronous_commit on, in a directory of its own, as an unprivileged user. The
# settlement that flexbench's orders end in, as pgbench runs it: lock the deal, take from the buyer's escrow, pay
# the seller, close the deal, write the journal; once as five statements from the client, once as one stored
# call. etcd: three members, small puts (tests/bench/bench_etcd.c, over HTTP), and `etcdctl check perf`, which
# speaks gRPC but at a fixed rate. flexbench: four validators, single and batch. Neither of the others signs
# anything, proves anything, or survives a node that lies. Load drivers run on the same processors everywhere.
#
# What is not installed is skipped, and said so on standard error and in the JSON. Medians of RUNS runs each;
# the JSON has every run.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
bench_need jq
runs=${RUNS:-3}
seconds=${SECONDS_EACH:-20}
clients=${CLIENTS:-32}
accounts=${ACCOUNTS:-100000}
out=${OUT:-$bench_build/bench-compare.json}
dir=$(mktemp -d "${TMPDIR:-/tmp}/flex-bench-compare-XXXXXX")
chmod 755 "$dir"
results=$dir/results # one JSON object a line: {"what", "run", figures}
: >"$results"
skipped=()
pids=()

finish() {
    for pid in "${pids[@]}"; do kill -INT "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$dir"
}
trap finish EXIT
skip() { bench_say "SKIPPED: $*"; skipped+=("$*"); }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# Root must not run a database server; anybody else is unprivileged already.
as=()
[ "$(id -u)" -ne 0 ] || as=(setpriv --reuid nobody --regid nogroup --clear-groups --)
note() { jq -nc --arg what "$1" --argjson run "$2" --argjson figures "$3" '{$what, $run} + $figures' >>"$results"; }

# --- PostgreSQL -------------------------------------------------------------------------------------

postgres_bin() {
    local found
    for found in /usr/lib/postgresql/*/bin; do [ -x "$found/initdb" ] && bin=$found; done
    [ -n "${bin:-}" ] && command -v pgbench >/dev/null
}

postgres_schema() {
    cat <<SQL
CREATE TABLE account (id int PRIMARY KEY, free bigint NOT NULL, escrow bigint NOT NULL) WITH (fillfactor = 50);
CREATE TABLE deal (id int PRIMARY KEY, buyer int NOT NULL, seller int NOT NULL, ueur bigint NOT NULL,
                   settled int NOT NULL) WITH (fillfactor = 50);
CREATE TABLE journal (id bigserial PRIMARY KEY, deal int NOT NULL, ueur bigint NOT NULL, at timestamptz NOT NULL);
INSERT INTO account SELECT i, 1000000000, 1000000000 FROM generate_series(1, $accounts) i;
INSERT INTO deal SELECT i, i, i % $accounts + 1, 250, 0 FROM generate_series(1, $accounts) i;
CREATE FUNCTION settle(wanted int) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE d deal; BEGIN
    SELECT * INTO STRICT d FROM deal WHERE id = wanted FOR UPDATE;
    UPDATE account SET escrow = escrow - d.ueur WHERE id = d.buyer AND escrow >= d.ueur;
    UPDATE account SET free = free + d.ueur WHERE id = d.seller;
    UPDATE deal SET settled = settled + 1 WHERE id = d.id;
    INSERT INTO journal (deal, ueur, at) VALUES (d.id, d.ueur, now());
END \$\$;
ANALYZE;
SQL
}

postgres_scripts() {
    cat >"$dir/five.sql" <<SQL
\set deal random(1, $accounts)
\set seller :deal % $accounts + 1
BEGIN;
SELECT buyer, seller, ueur FROM deal WHERE id = :deal FOR UPDATE;
UPDATE account SET escrow = escrow - 250 WHERE id = :deal AND escrow >= 250;
UPDATE account SET free = free + 250 WHERE id = :seller;
UPDATE deal SET settled = settled + 1 WHERE id = :deal;
INSERT INTO journal (deal, ueur, at) VALUES (:deal, 250, now());
COMMIT;
SQL
    printf '\\set deal random(1, %s)\nSELECT settle(:deal);\n' "$accounts" >"$dir/stored.sql"
}

# Money moved is money journalled, and none came or went.
postgres_check() {
    local wrong
    wrong=$("${sql[@]}" -Atc "SELECT (SELECT sum(free + escrow) FROM account) - 2000000000::numeric * $accounts,
        (SELECT sum(escrow) FROM account) - 1000000000::numeric * $accounts + (SELECT sum(ueur) FROM journal),
        (SELECT sum(settled) FROM deal) - (SELECT count(*) FROM journal)")
    [ "$wrong" = "0|0|0" ] || { bench_say "PostgreSQL's books do not balance: $wrong"; exit 1; }
}

run_postgres() {
    local port data=$dir/postgres what kind run text
    port=$(free_port)
    mkdir "$data" "$dir/socket"
    [ "$(id -u)" -ne 0 ] || chown nobody "$data" "$dir/socket"
    "${as[@]}" "$bin/initdb" -D "$data" -U bench --auth=trust >"$dir/initdb.log" 2>&1 ||
        { skip "PostgreSQL: initdb: $(tail -n 1 "$dir/initdb.log")"; return; }
    "${as[@]}" "$bin/postgres" -D "$data" -p "$port" -k "$dir/socket" -c listen_addresses=127.0.0.1 \
        -c synchronous_commit=on -c fsync=on -c shared_buffers=256MB -c max_connections=200 \
        >"$dir/postgres.log" 2>&1 &
    pids+=($!)
    sql=(psql -h 127.0.0.1 -p "$port" -U bench -q -v ON_ERROR_STOP=1 postgres)
    for _ in $(seq 300); do "${sql[@]}" -c 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.1; done
    postgres_schema | "${sql[@]}" >/dev/null
    postgres_scripts
    [ "$("${sql[@]}" -Atc 'SHOW synchronous_commit')" = on ] || { bench_say "synchronous_commit is off"; exit 1; }
    for run in $(seq "$runs"); do
        for kind in five stored; do
            what="PostgreSQL, $([ $kind = five ] && echo 'five statements' || echo 'one stored call')"
            bench_say "$what, run $run"
            text=$(pgbench -h 127.0.0.1 -p "$port" -U bench -n -M prepared -f "$dir/$kind.sql" -c "$clients" -j 2 \
                -T "$seconds" -l --log-prefix="$dir/pgbench" postgres 2>&1) || { bench_say "$text"; exit 1; }
            note "$what" "$run" "$(cat "$dir"/pgbench.* | awk '{ print $3 }' | sort -n | awk -v tps="$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' <<<"$text")" '
                { v[NR] = $1 } END { printf "{\"per_s\":%s,\"p50_ms\":%.2f,\"p99_ms\":%.2f}", tps, v[int(NR / 2) + 1] / 1000, v[NR - int(NR / 100)] / 1000 }')"
            rm -f "$dir"/pgbench.*
        done
    done
    postgres_check
    kill -INT "${pids[-1]}"
    wait "${pids[-1]}" || true
    unset 'pids[-1]'
}

# --- etcd -------------------------------------------------------------------------------------------

run_etcd() {
    local i client=() peer=() cluster="" endpoints="" driver=$bench_build/tests/bench/bench_etcd run first=${#pids[@]}
    for i in 0 1 2; do
        client+=("$(free_port)")
        peer+=("$(free_port)")
        cluster+=${cluster:+,}m$i=http://127.0.0.1:${peer[i]}
        endpoints+=${endpoints:+,}http://127.0.0.1:${client[i]}
    done
    for i in 0 1 2; do
        mkdir -m 700 "$dir/etcd$i"
        [ "$(id -u)" -ne 0 ] || chown nobody "$dir/etcd$i"
        "${as[@]}" etcd --name m$i --data-dir "$dir/etcd$i" --initial-cluster "$cluster" --initial-cluster-state new \
            --listen-peer-urls "http://127.0.0.1:${peer[i]}" --initial-advertise-peer-urls "http://127.0.0.1:${peer[i]}" \
            --listen-client-urls "http://127.0.0.1:${client[i]}" --advertise-client-urls "http://127.0.0.1:${client[i]}" \
            >"$dir/etcd$i.log" 2>&1 &
        pids+=($!)
    done
    for _ in $(seq 300); do ETCDCTL_API=3 etcdctl --endpoints "$endpoints" endpoint health >/dev/null 2>&1 && break; sleep 0.1; done
    ETCDCTL_API=3 etcdctl --endpoints "$endpoints" endpoint health >/dev/null 2>&1 ||
        { skip "etcd: $(tail -n 1 "$dir/etcd0.log")"; return; }
    for run in $(seq "$runs"); do
        bench_say "etcd, run $run"
        note "etcd, three members, small puts (HTTP)" "$run" \
            "$("$driver" "$seconds" $((2 * clients)) "${client[@]}" | jq -c '{per_s: .puts_per_s, p50_ms, p99_ms}')"
    done
    if [ "$seconds" -ge 10 ]; then
        bench_say "etcdctl check perf, a minute"
        checked=$(ETCDCTL_API=3 etcdctl --endpoints "$endpoints" check perf --load=xl 2>&1 | grep -aoE '(PASS|FAIL): .*' | tail -n 4 | tr '\n' ';') || true
    fi
    for pid in "${pids[@]:first}"; do kill -TERM "$pid"; wait "$pid" 2>/dev/null || true; done
    pids=("${pids[@]:0:first}")
}

# --- the ledger -------------------------------------------------------------------------------------

run_flexbench() {
    local run mode
    for run in $(seq "$runs"); do
        for mode in single batch; do
            note "Flexledger, four validators, $mode" "$run" "$(bench_flexbench --mode $mode --seconds "$seconds" \
                --accounts "$accounts" 2>"$dir/flexbench.log" | jq -c '{per_s: .tx_per_s, actions_per_s, ratio,
                p50_ms: .latency_ms.p50, p99_ms: .latency_ms.p99, anon_mb_max, ledger_bytes_per_tx}')"
        done
    done
}

checked=
began=$(bench_machine)
if postgres_bin; then run_postgres; else skip "PostgreSQL: apt-get install postgresql-15"; fi
if ! command -v etcd >/dev/null || ! command -v etcdctl >/dev/null; then skip "etcd: apt-get install etcd-server etcd-client"
elif [ ! -x "$bench_build/tests/bench/bench_etcd" ]; then skip "etcd: make $bench_build/tests/bench/bench_etcd"
else run_etcd; fi
run_flexbench

jq -s --argjson began "$began" --argjson ended "$(bench_machine)" --arg checked "$checked" --arg runs "$runs" --arg seconds "$seconds" \
    --arg clients "$clients" --argjson skipped "$(printf '%s\n' "${skipped[@]}" | jq -Rsc 'split("\n") | map(select(. != ""))')" '
    def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2] + .[length / 2 - 1]) / 2 end;
    {began: $began, ended: $ended, runs: ($runs | tonumber), seconds: ($seconds | tonumber), clients: ($clients | tonumber),
     $skipped, etcdctl_check_perf_xl: $checked, all: .,
     medians: [group_by(.what)[] | {what: .[0].what, per_s: (map(.per_s) | median), p50_ms: (map(.p50_ms) | median),
        p99_ms: (map(.p99_ms) | median), actions_per_s: (map(.actions_per_s // empty) | if length > 0 then median else null end)}]}' \
    "$results" >"$out"
[ "$(jq '.medians | length' "$out")" -gt 0 ] || { bench_say "nothing was measured"; exit 1; }
jq -r '(["what", "a second", "p50 ms", "p99 ms", "orders a second"] | @tsv), (.medians[] | [.what, .per_s, .p50_ms, .p99_ms, .actions_per_s // ""] | @tsv)' "$out" | column -ts $'\t'
[ -z "$checked" ] || echo "etcdctl check perf --load=xl: $checked"
for what in "${skipped[@]}"; do echo "SKIPPED: $what"; done
bench_say "every run is in $out"
