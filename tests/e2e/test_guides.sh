#!/usr/bin/env bash
# The wallet's and the auditor's guide as a reader types them: every block marked sh, in order, in one
# shell that stops at the first command that fails. Only the devnet's directory is another one. Blocks
# marked text or json are not typed. Usage: test_guides.sh BUILD
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
e2e_begin guides "$1"
PATH=$bin:$PATH
export HOME=$dir/home
mkdir "$HOME"
at_end() { flex devnet stop --dir "$dir/dev" >/dev/null 2>&1; }

blocks() { # FILE
    awk '/^```/ { if (inside) inside = 0; else inside = ($0 == "```sh"); next } inside' "$1" |
        sed "s|/tmp/dev|$dir/dev|g"
}
{
    echo 'set -euo pipefail'
    blocks "$root/docs/wallet.md"
    blocks "$root/docs/auditor.md"
} >typed
commands=$(grep -c '^ *flex ' typed)
if [ "$commands" -lt 35 ]; then
    echo "FAILED: only $commands commands found in the guides"
    exit 1
fi
if ! bash -x typed >out 2>err; then
    echo "FAILED: the guides stop working at"
    tail -n 12 err
    exit 1
fi
holds() { # WHAT FILE
    grep -qF -- "$1" "$2" || { echo "FAILED: no '$1' in $2"; tail -n 20 "$2"; exit 1; }
}
holds "state                settled" out
holds "received             1.00 EUR" out
holds '"ok":true' out
[ "$(wc -l <january/deals.csv)" -eq 2 ] || { echo "FAILED: january/deals.csv has not one deal"; exit 1; }
echo "passed: $commands commands of two guides work as written"
