#!/usr/bin/env bash
# Read access by role: every route against every role, nothing signed twice, no trace of what is others'.
# Usage: test_access.sh BUILD
set -euo pipefail
exec python3 "$(dirname "$0")/access.py" "$1"
