# bash completion for seep. Commands and options are asked of seep itself, so they are never out of date.

_seep_commands() {
    "$1" help 2>/dev/null | sed -n 's/^  \([a-z]\{2,\}\)  .*/\1/p' | grep -vx seep
}

# _seep_options SEEP COMMAND: "--name" or "--name=" a line; "--name=a|b" becomes one line a choice
_seep_options() {
    "$1" "$2" --help 2>/dev/null |
        sed -n 's/^  \(-[a-zA-Z], \)\{0,1\}\(--[a-z-]*=\{0,1\}[^ ]*\).*/\2/p' |
        while IFS= read -r option; do
            case $option in
            *=*'|'*) tr '|' '\n' <<<"${option#*=}" | sed "s/^/${option%%=*}=/" ;;
            *=*) printf '%s=\n' "${option%%=*}" ;;
            *) printf '%s\n' "$option" ;;
            esac
        done
}

_seep() {
    local seep=${COMP_WORDS[0]} command= word i
    local current=${COMP_LINE:0:COMP_POINT}

    current=${current##*[[:space:]]}
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == [a-z]* && ${COMP_WORDS[i - 1]} != = ]]; then
            command=$word
            break
        fi
    done

    if [[ -z $command ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_seep_commands "$seep") --help --version" -- "$current")
        return
    fi
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_seep_options "$seep" "$command")" -- "$current")
        # With "=" among the word breaks, bash replaces only what stands behind it.
        if [[ $current == *=* && $COMP_WORDBREAKS == *=* ]]; then
            COMPREPLY=("${COMPREPLY[@]#*=}")
        fi
        [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
        return
    fi
    case $command in
    help) mapfile -t COMPREPLY < <(compgen -W "$(_seep_commands "$seep")" -- "$current") ;;
    diff | report) mapfile -t COMPREPLY < <(compgen -f -X '!*.seep' -- "$current"; compgen -d -- "$current") ;;
    mode) mapfile -t COMPREPLY < <(compgen -W "lite off full sample=512K $(ps -eo comm= 2>/dev/null)" -- "$current") ;;
    flags) mapfile -t COMPREPLY < <(compgen -W '+ust -ust' -- "$current"; compgen -f -- "$current") ;;
    attach | core | detach | mark | snap | top) mapfile -t COMPREPLY < <(compgen -W "$(ps -eo comm= 2>/dev/null)" -- "$current") ;;
    *) mapfile -t COMPREPLY < <(compgen -c -f -- "$current") ;;
    esac
}

complete -F _seep -o filenames seep
