# bash completion for flex. All it offers comes from "flex complete" (tools/cli_complete.c).
_flex() {
    local current=${COMP_WORDS[COMP_CWORD]} line
    local -a words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    # bash takes "--kind=limit" apart at the "=": put it together again.
    if [[ $COMP_WORDBREAKS == *=* ]]; then
        local -a joined=()
        for line in "${words[@]}"; do
            if [[ ${#joined[@]} -gt 0 && ($line == '=' || ${joined[-1]} == --*=) ]]; then
                joined[-1]+=$line
            else
                joined+=("$line")
            fi
        done
        words=("${joined[@]}")
    fi
    [[ $current == '=' ]] && current=
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
        :file) compopt -o filenames 2>/dev/null
            mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$current") ;;
        :dir) compopt -o filenames 2>/dev/null
            mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- "$current") ;;
        *)
            line=${line%%$'\t'*}
            [[ $line == --*=* && $COMP_WORDBREAKS == *=* ]] && line=${line#*=}
            COMPREPLY+=("$line") ;;
        esac
    done < <("${COMP_WORDS[0]}" complete "${words[@]}" 2>/dev/null)
}
complete -F _flex flex
