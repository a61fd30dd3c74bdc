# Completion of clerksync for bash: source <(clerksync completion bash)
_clerksync() {
	local line word current=${COMP_WORDS[COMP_CWORD]}
	COMPREPLY=()
	while IFS= read -r line; do
		word=${line%%$'\t'*}
		if [ "$word" = :files ]; then
			[ "$current" = = ] && current=
			while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$current")
			compopt -o filenames 2>/dev/null
		else
			COMPREPLY+=("$word")
		fi
	done < <("${COMP_WORDS[0]}" complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _clerksync clerksync
