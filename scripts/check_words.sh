#!/usr/bin/env bash
# Words that must not stand in the code: raw fields of unit types outside base/, floating point in
# the state machine, functions that no bounded program needs, unfinished work. (That a switch over an enum
# lists every value is the compiler's to check: -Wswitch-enum.)
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0

complain() { # what, grep output
    if [ -n "$2" ]; then
        printf '%s\n^ %s\n' "$2" "$1"
        failed=1
    fi
}
product=$(git ls-files '*.c' '*.h' | grep -vE '^tests/')
pure=$(git ls-files 'base/*.[ch]' 'consensus/*.[ch]' 'contracts/*.[ch]')

complain "the raw fields of units belong to base/ (use the accessors of base/units.h)" \
    "$(grep -nE '(\.|->)raw_' $(grep -vE '^base/' <<<"$product") /dev/null)"
complain "floating point has no place in the state machine" \
    "$(grep -nE '\b(float|double)\b' $pure /dev/null | grep -vE '^\S+\s*(/?\*|//)|\*.*\b(float|double)\b')"
complain "unbounded or locale-dependent functions" \
    "$(grep -nE '\b(gets|strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atof|alloca|rand|srand|setlocale|strtod|gmtime|localtime|asctime|ctime|system|popen)\(' $product /dev/null)"
complain "changes belong into the history, open work into an issue" \
    "$(grep -nE '\b(TODO|FIXME|XXX|HACK)\b' $product /dev/null)"
exit $failed
