#!/usr/bin/env bash
# A sample of the nemesis for `make test`: the scenarios that a voting rule or a write rule would fail
# first. `make nemesis` runs all of them. Usage: test_nemesis.sh BUILD
set -euo pipefail
seed=${NEMESIS_SEED:-1}
exec python3 "$(dirname "$0")/nemesis.py" "$1" --seed "$seed" \
    --scenario kill_at_boundaries,kill_all_at_boundaries,old_disk,sync_fails,store_full,wrong_permissions,half_open_clients,signer_old_node,intruders,gossip_once
