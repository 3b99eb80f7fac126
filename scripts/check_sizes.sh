#!/usr/bin/env bash
# Functions up to 70 lines, sources up to 800, tests up to 1500; every source opens by saying what it
# is for.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0
while IFS= read -r file; do
    lines=$(wc -l <"$file")
    most=800
    case $file in tests/*) most=1500 ;; esac
    if [ "$lines" -gt "$most" ]; then
        echo "$file: $lines lines, at most $most"
        failed=1
    fi
    if ! head -n 1 "$file" | grep -q '^/\*'; then
        echo "$file:1: no opening comment"
        failed=1
    fi
    # A function's body stands between a brace alone in column 0 and the next one that closes there.
    awk -v file="$file" '
        /^{/ { start = NR }
        /^}/ { if (start && NR - start - 1 > 70) { printf "%s:%d: function of %d lines, at most 70\n", file, start, NR - start - 1; bad = 1 }
               start = 0 }
        END { exit bad }' "$file" || failed=1
done < <(git ls-files '*.c' '*.h')
exit $failed
