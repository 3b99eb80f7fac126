#!/usr/bin/env bash
# run.sh PROGRAM: the constant-time check, and that it can fail.
set -uo pipefail
cd "$(dirname "$0")/../.."
check=(valgrind -q --error-exitcode=9 --suppressions=tests/ct/public.supp)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

"${check[@]}" "$1" leak >"$log" 2>&1
if [ $? -ne 9 ]; then
    echo "ctime: a deliberate leak was NOT found; the check proves nothing"
    cat "$log"
    exit 1
fi
if ! "${check[@]}" "$1" >"$log" 2>&1; then
    cat "$log"
    echo "ctime: FAILED: time depends on a secret"
    exit 1
fi
echo "ctime: Schnorr and Ed25519 keys and signatures, hex, sealing and wiping of secrets: no dependence found; a deliberate leak was"
