#!/usr/bin/env bash
# Keys at a terminal and by scripts. Usage: test_keys.sh BUILD
exec python3 "$(dirname "$0")/test_keys.py" "$1"
