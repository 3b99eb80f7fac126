#!/usr/bin/env bash
# One market day on a network of real processes: four validators (DSO, two aggregators, market
# operator) and the regulator's audit node, each step by the wallet. Everything that the day promises
# is checked on the way; the first broken promise ends it with exit 1.
#
#   examples/day/run.sh BUILD [DATA] [ONESHOT] [DIR]
#
# DATA: a folder with simbench/ and opsd/ (else the bundled figures). ONESHOT: stop at the end.
# DIR: where the network lives and what it leaves behind goes (BUILD/run).
set -euo pipefail
cd "$(dirname "$0")/../.."

build=${1:?build folder}
data=${2:-}
oneshot=${3:-}
dir=${4:-$build/run}
bin=$PWD/$build/bin
flex=$bin/flex
here=examples/day
day=2026-12-01
zone=lv1
market=lv1-hourly

if [ -n "$data" ]; then
    feeder=$here/simbench.json
    [ -d "$data/simbench" ] || { echo "run: no $data/simbench; DATA names a folder that holds simbench/ and opsd/" >&2; exit 2; }
else
    feeder=$here/bundled.json
    data=$here/data
fi

# shellcheck source=examples/day/lib.sh
. "$here/lib.sh"
# shellcheck source=examples/day/steps.sh
. "$here/steps.sh"
# shellcheck source=examples/day/settle.sh
. "$here/settle.sh"

start_network
onboard_participants
open_market
find_need
register_devices
place_requests
refuse_bad_input
kill_one_validator
place_offers
restart_killed
check_matching
halt_and_resume
deliver
prove_deliveries
pass_deadline
end_the_day
bills
audit_everything
write_summary

say "Every promise kept"
note "$dir/summary.json, the export in $dir/export, bills and digest beside them"
if [ "$oneshot" = 1 ]; then
    exit 0
fi
note "the network stays up; look around, for example:"
note "  $flex --home $dir/wallets/dso --node ${api[dso]} deal list"
note "  curl ${api[audit]}/v1/status"
note "Ctrl-C stops it"
trap 'stop_network; exit 0' INT TERM
while sleep 1; do :; done
