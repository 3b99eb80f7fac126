#!/usr/bin/env bash
# usage: same_digest.sh FLEXSIM OTHER: two builds of flexsim must see the same runs.
set -euo pipefail
for arguments in "--seed 1 --seeds 40" "--nodes 7 --seed 1 --seeds 10"; do
    # shellcheck disable=SC2086
    if [ "$("$1" $arguments)" != "$("$2" $arguments)" ]; then
        printf 'flexsim %s: %s and %s differ\n' "$arguments" "$1" "$2"
        exit 1
    fi
done
