#!/usr/bin/env bash
# A new node joins from a snapshot under load, beside a liar, killed in the middle; validators that lost
# their data come back by one. `make test-all` adds the pruning of two months. Usage: test_snapshot.sh BUILD
set -euo pipefail
exec python3 "$(dirname "$0")/snapshot.py" "$1" --seed "${NEMESIS_SEED:-1}" --part join
