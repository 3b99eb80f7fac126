# fish completion for flex. All it offers comes from "flex complete" (tools/cli_complete.c).
function __flex_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    for line in ($before[1] complete $before[2..-1] "$current" 2>/dev/null)
        switch $line
            case ':file'
                __fish_complete_path "$current"
            case ':dir'
                __fish_complete_directories "$current"
            case '*'
                echo $line
        end
    end
end
complete -c flex -f -a '(__flex_complete)'
