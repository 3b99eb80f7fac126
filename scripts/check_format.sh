#!/usr/bin/env bash
# Layout as .clang-format says; no trailing blanks, tabs only where make needs them, a newline at
# every file's end.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0
if ! command -v clang-format >/dev/null; then
    echo "clang-format is missing: make deps"
    exit 1
fi
mapfile -t sources < <(git ls-files '*.c' '*.h')
clang-format --dry-run --Werror "${sources[@]}" || failed=1
mapfile -t texts < <(git ls-files '*.c' '*.h' '*.sh' '*.md' '*.mk' Makefile)
if grep -nE ' +$' "${texts[@]}"; then
    echo "trailing blanks"
    failed=1
fi
for file in "${texts[@]}"; do
    if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then
        echo "$file: no newline at the end"
        failed=1
    fi
done
exit $failed
