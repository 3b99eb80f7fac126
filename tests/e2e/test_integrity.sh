#!/usr/bin/env bash
# Flipped bits in databases of real nodes: found, refused, repaired, never answered wrongly. `make
# integrity` tries many more. Usage: test_integrity.sh BUILD
set -euo pipefail
exec python3 "$(dirname "$0")/integrity.py" "$1" --flips "${FLIPS:-8}"
