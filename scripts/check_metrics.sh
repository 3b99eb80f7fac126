#!/usr/bin/env bash
# Every metric that the dashboard, the alerts or a guide names is one that /metrics prints.
set -euo pipefail
cd "$(dirname "$0")/.."
printed=$(sed -n 's/^ *{"\([a-z_]*\)", "\(gauge\|counter\)".*/flexd_\1/p; s/^ *{"\([a-z_]*\)", "summary".*/flexd_\1_sum\nflexd_\1_count/p' node/api_status.c node/figures.c | sort -u)
[ "$(wc -l <<<"$printed")" -gt 20 ] || { echo "node/api_status.c: no metrics found; has the table moved?"; exit 1; }
named=$(grep -ohE 'flexd_[a-z_]+[a-z]' docs/monitoring/* docs/operator.md | sort -u)
unknown=$(comm -13 <(echo "$printed") <(echo "$named"))
[ -z "$unknown" ] || { echo "no such metric: $unknown"; exit 1; }
python3 -c 'import json; json.load(open("docs/monitoring/grafana.json"))'
