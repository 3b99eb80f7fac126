#!/usr/bin/env bash
# Completion in bash, zsh and fish, each in the shell itself: nouns, verbs, options, values, files.
# Usage: test_completion.sh BUILD
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
e2e_begin completion "$1"
here=$root/tools/completion
PATH=$bin:$PATH
export PATH here
touch genesis-one.json
mkdir genesis-dir
same() { [ "$2" = "$3" ] || fail "$1: '$2' is not '$3'"; }

# in_bash WORDS...: the last is the one being typed, taken apart at "=" as bash does.
in_bash() {
    # shellcheck disable=SC2016
    bash --norc -c 'source "$here/flex.bash"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _flex; echo "${COMPREPLY[*]}"' bash "$@"
}
# shellcheck disable=SC2016
in_zsh() {
    zsh -f -c 'autoload -Uz compinit; compinit -u -d ./dump; source "$here/_flex"
        _describe() { print -- "${(@P)2%%:*}" }; _files() { print FILES "$@" }
        words=("$@"); CURRENT=$#; _flex' zsh "$@"
}
# shellcheck disable=SC2016
in_fish() { HOME=$dir fish --no-config -c 'source $here/flex.fish; complete -C $argv[1]' "$1" | cut -f1 | tr '\n' ' ' | sed 's/ $//'; }

same "bash noun" "$(in_bash flex gov)" governance
same "zsh noun" "$(in_zsh flex gov)" governance
same "fish noun" "$(in_fish 'flex gov')" governance
same "bash verb" "$(in_bash flex market cr)" create
same "zsh verb" "$(in_zsh flex market cr)" create
same "fish verb" "$(in_fish 'flex market cr')" create
same "bash option" "$(in_bash flex market create x --mech)" --mechanism
same "zsh option" "$(in_zsh flex market create x --mech)" --mechanism
same "fish option" "$(in_fish 'flex market create x --mech')" --mechanism
same "bash value" "$(in_bash flex market create --mechanism = book)" "book_batch book_sequential"
same "bash value, spaced" "$(in_bash flex market create --mechanism book)" "book_batch book_sequential"
same "zsh value" "$(in_zsh flex market create --mechanism book)" "book_batch book_sequential"
same "fish value" "$(in_fish 'flex market create --mechanism book')" "book_batch book_sequential"
same "bash file" "$(in_bash flex --genesis genesis-o)" genesis-one.json
same "bash directory" "$(in_bash flex audit verify --dir genesis-)" genesis-dir
same "zsh file" "$(in_zsh flex --genesis '')" "FILES"
same "zsh directory" "$(in_zsh flex audit verify --dir '')" "FILES -/"
same "fish file" "$(in_fish 'flex --genesis genesis-o')" genesis-one.json
same "a given option is not offered again" "$(in_bash flex market create --zone west --zo)" --zones
same "behind --" "$(in_bash flex market show -- --)" ""
same "nothing to say" "$(flex complete nonsense '')$(flex complete)" "$(flex complete '')"
! flex complete market create '' | grep -q '^--' || fail "options before a word that must come"
echo "completion: bash, zsh and fish offer what the tables say"
