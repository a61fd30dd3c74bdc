#compdef clerksync
# Completion of clerksync for zsh: source <(clerksync completion zsh)
_clerksync() {
	local line
	local -a found
	for line in ${(f)"$("${words[1]}" complete "${(@)words[2,CURRENT]}" 2>/dev/null)"}; do
		if [[ $line == :files ]]; then
			compset -P '*='
			_files
			return
		fi
		if [[ $line == *$'\t'* ]]; then
			found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
		else
			found+=("${line//:/\\:}")
		fi
	done
	(( $#found )) && _describe -V clerksync found
}
if [[ $funcstack[1] == _clerksync ]]; then
	_clerksync "$@"
else
	compdef _clerksync clerksync
fi
