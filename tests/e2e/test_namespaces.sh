#!/usr/bin/env bash
# Four validators in four network namespaces, 40 ms one way and 1 % loss between them: the chain goes on, a
# payment is final, and a validator that is cut off for a while comes back. The delay and the loss are of frames,
# below TCP (lossy_hub.py). Needs root, ip and /dev/net/tun; where they are not to be had it says so and exits 77: not run, and not passed.
# Usage: test_namespaces.sh BUILD [SECONDS], and with SECONDS somebody is cut off, too
set -euo pipefail
bin=$(cd "$1/bin" && pwd)
seconds=${2:-4}
not_here() { echo "NOT RUN: $*"; exit 77; }
[ "$(id -u)" = 0 ] || not_here "network namespaces need root"
command -v ip >/dev/null || not_here "no ip (iproute2)"
[ -w /dev/net/tun ] || not_here "no /dev/net/tun"
here=$PWD
id=fx$$
dir=$(mktemp -d /tmp/flex-e2e-namespaces-XXXXXX)
pids=()
PATH=$bin:$PATH
finish() {
    [ "${#pids[@]}" -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    wait
    if [ "$1" -ne 0 ] && [ "$1" -ne 77 ]; then tail -n 8 "$dir"/*.log 2>/dev/null || true; fi
    for i in 0 1 2 3; do ip netns del "$id-$i" 2>/dev/null || true; done
    rm -rf "$dir"
}
trap 'finish $?' EXIT
fail() { echo "FAILED: $*"; exit 1; }
cd "$dir"

names=()
for i in 0 1 2 3; do
    ip netns add "$id-$i" 2>/dev/null || not_here "the kernel gives no network namespaces"
    names+=("$id-$i")
done
python3 "$here/tests/e2e/lossy_hub.py" 40 1 "$dir/cut" "${names[@]}" >hub.out 2>hub.log &
pids+=($!)
for _ in $(seq 50); do grep -q ready hub.out && break; sleep 0.1; done
grep -q ready hub.out || not_here "no TAP devices: $(tail -n 1 hub.log)"
for i in 0 1 2 3; do
    ip -n "$id-$i" addr add "10.77.0.$((i + 1))/24" dev eth0
    ip -n "$id-$i" link set lo up
    ip -n "$id-$i" link set eth0 up
done
within() { ip netns exec "$id-$1" "${@:2}"; }
ping=$(within 0 python3 - <<'PY'
import socket, time
# No ping in every image: the time of a refused connection is one round trip.
begun = time.monotonic()
try:
    socket.create_connection(("10.77.0.2", 9), timeout=5)
except OSError:
    pass
print(int((time.monotonic() - begun) * 1000))
PY
)
[ "$ping" -ge 60 ] || fail "a round trip takes $ping ms: nothing is delayed"

# --- homes, as the guide makes them
keys=() peers=()
for i in 0 1 2 3; do
    ca=(--ca-certificate n0/tls/ca.pem --ca-key n0/tls/ca.key)
    [ $i = 0 ] && ca=(--new-ca namespaces)
    keys+=("$(flexd init --home n$i --name n$i --role validator --listen-p2p 0.0.0.0:7400 \
        --listen-api 127.0.0.1:8400 "${ca[@]}" --json | jq -r .key)")
    peers+=(--peer "${keys[$i]}@10.77.0.$((i + 1)):7400")
done
python3 "$here/tests/e2e/ledger.py" genesis "${keys[@]}" >genesis.json
for i in 0 1 2 3; do flexd join --home n$i --genesis genesis.json "${peers[@]}" >/dev/null; done
for i in 0 1 2 3; do
    # Not through a function, whose shell would be killed in flexd's place.
    ip netns exec "$id-$i" "$bin/flexd" start --home n$i >>n$i.log 2>&1 &
    pids+=($!)
done
height() { within "$1" curl -s --max-time 2 http://127.0.0.1:8400/v1/status | jq -r '.height // "0"' 2>/dev/null || echo 0; }
reaches() { # NODE HEIGHT SECONDS
    local limit=$((SECONDS + $3)) now=0
    until now=$(height "$1"); [ "${now:-0}" -ge "$2" ]; do
        [ $SECONDS -lt $limit ] || fail "n$1 is at height $now, not at $2 within $3 s"
        sleep 0.2
    done
}
for i in 0 1 2 3; do reaches $i 2 30; done

# --- for a while: each node commits, and a payment is final and proven
from=$(height 0)
chain=$(within 0 curl -s http://127.0.0.1:8400/v1/status | jq -r .genesis)
python3 "$here/tests/e2e/ledger.py" mint mint.bin "$chain" bank 1 dso 1000000 receipt
within 0 curl -s --data-binary @mint.bin http://127.0.0.1:8400/v1/transactions | jq -e .id >/dev/null || fail "not taken"
sleep "$seconds"
to=$(height 0)
[ "$to" -ge $((from + seconds / 2)) ] || fail "$((to - from)) blocks in $seconds s"
for i in 0 1 2 3; do
    reaches $i "$to" 10
    balance=$(within $i flex --genesis genesis.json --json account show dso | jq -r .balance_ueur)
    [ "$balance" = 1000000 ] || fail "n$i: dso has $balance"
done

# --- one is cut off, the three go on; it comes back and catches up
if [ $# -gt 1 ]; then
    echo 3 >cut
    cut=$(height 0)
    reaches 0 $((cut + 3)) 40
    rm cut
    reaches 3 $((cut + 3)) 40
fi
echo "four namespaces, 40 ms and 1 % loss: $((to - from)) blocks in $seconds s, round trip $ping ms"
