#!/usr/bin/env bash
# The consensus core and its specification point at each other: every clause that is defined in
# docs/spec/consensus.md is cited by a comment in consensus/, and every citation names a clause that
# is defined. A definition is a bullet that opens with the bold label: - **[C-NAME]** ...
set -eu
cd "$(dirname "$0")/.."
spec=docs/spec/consensus.md
defined=$(grep -oE '^- \*\*\[C-[A-Z.]+\]\*\*' "$spec" | grep -oE 'C-[A-Z.]+' | sort)
cited=$(grep -ohE '\[C-[A-Z.]+\]' consensus/*.c consensus/*.h | grep -oE 'C-[A-Z.]+' | sort -u)
mentioned=$(grep -ohE '\[C-[A-Z.]+\]' "$spec" | grep -oE 'C-[A-Z.]+' | sort -u)
failed=0
complain() {
    echo "check_clauses: $1" >&2
    failed=1
}
[ -n "$defined" ] || complain "no clause is defined in $spec"
for clause in $(uniq -d <<<"$defined"); do
    complain "[$clause] is defined twice in $spec"
done
for clause in $(comm -23 <(sort -u <<<"$defined") <(echo "$cited")); do
    complain "[$clause] is defined in $spec, but no code cites it"
done
for clause in $(comm -13 <(sort -u <<<"$defined") <(echo "$cited")); do
    complain "[$clause] is cited in consensus/, but $spec does not define it"
done
for clause in $(comm -13 <(sort -u <<<"$defined") <(echo "$mentioned")); do
    complain "[$clause] is mentioned in $spec, but never defined"
done
exit "$failed"
