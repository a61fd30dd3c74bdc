# Completion of clerksync for fish: clerksync completion fish > ~/.config/fish/completions/clerksync.fish
function __clerksync_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] complete $words[2..-1] 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path (string replace -r '^[^=]*=' '' -- $words[-1])
        else
            echo $line
        end
    end
end
complete -c clerksync -f -a '(__clerksync_complete)'
