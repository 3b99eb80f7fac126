#!/usr/bin/env bash
# The HTTP API: bad requests, limits per address and key, web pages, TLS and its reload.
# Usage: test_http.sh BUILD
set -euo pipefail
exec python3 "$(dirname "$0")/http_api.py" "$1"
