"""Completion scripts for bash, zsh and fish, made of what `completion` knows of the verbs."""

from __future__ import annotations

import re
import shlex

from backend.completion import DIRECTORY, FILES, Verb
from backend.names import PLACES as ASKED


def _flags(verbs: list[Verb], takes: str) -> list[str]:
    """Flags followed by that, over all verbs."""
    found = (o for verb in verbs for o in verb.options if o.takes == takes)
    return list(dict.fromkeys(name for option in found for name in option.names))


def _others(verbs: list[Verb]) -> list[str]:
    """Flags that are followed by something nobody can complete."""
    known = {"", DIRECTORY, *FILES, *ASKED}
    every = [option for verb in verbs for option in verb.options]
    some = {name for option in every if option.takes in known for name in option.names}
    others = (name for option in every if option.takes not in known for name in option.names)
    return list(dict.fromkeys(name for name in others if name not in some))


def _asking(verbs: list[Verb]) -> dict[str, list[str]]:
    """Hidden verb to the flags that are followed by what it lists."""
    found: dict[str, list[str]] = {}
    for place, verb in ASKED.items():
        if flags := _flags(verbs, place):
            found.setdefault(verb, []).extend(flags)
    return found


def _several(verbs: list[Verb]) -> list[str]:
    """Verbs of several words."""
    return [verb.name for verb in verbs if " " in verb.name]


def _filled(script: str, **parts: str) -> str:
    """A script with its `@names@` replaced."""
    return re.sub(r"@([a-z]+)@", lambda match: parts[match[1]], script)


_BASH = """\
# bash completion for berth
_berth() {
    # words as they were typed: bash itself breaks `host:8` and `a=b` into several
    local line=${COMP_LINE:0:COMP_POINT} verb= words= flags= asks= word before= value=
    local cur=${line##*[[:space:]]} prev= config=
    local -a typed
    IFS=$' \\t\\n' read -r -a typed <<<"${line%"$cur"}"
    COMPREPLY=()
    for word in "${typed[@]:1}"; do
        prev=$word
        if [[ $word == -- ]]; then return; fi
        if [[ $before == --config ]]; then config=$word; before=; continue; fi
        before=$word
        if [[ $value ]]; then continue; fi
        if [[ $verb ]]; then
            case "$verb $word" in @several@) verb="$verb $word" ;; esac
            value=1
        else
            case $word in @names@) verb=$word ;; esac
        fi
    done
    case $prev in
        @directory@)
            compopt -o filenames 2>/dev/null
            while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -d -- "$cur")
            return ;;
        @others@) return ;;
    esac
    case $verb in
@cases@
    esac
    case $prev in
@asking@
    esac
    if [[ $cur == -* || ! $words$asks ]]; then words=$flags; fi
    for word in $words; do
        if [[ $word == "$cur"* ]]; then COMPREPLY+=("$word"); fi
    done
    if [[ $asks && $cur != -* ]]; then
        for value in $asks; do
            while IFS= read -r word; do
                if [[ $word && $word == "$cur"* ]]; then COMPREPLY+=("$(printf %q "$word")"); fi
            done < <("${COMP_WORDS[0]}" ${config:+--config "$config"} "$value" 2>/dev/null)
        done
    fi
    if [[ $cur == *[:=]* && $COMP_WORDBREAKS == *:* ]]; then  # what bash takes for another word stays
        before=${cur%"${cur##*[:=]}"}
        for value in "${!COMPREPLY[@]}"; do COMPREPLY[value]=${COMPREPLY[value]#"$before"}; done
    fi
}
complete -o bashdefault -o default -F _berth berth
"""


def bash(verbs: list[Verb]) -> str:
    """The script for bash."""
    cases = [
        f"        {shlex.quote(verb.name)}) "
        f"words={shlex.quote(' '.join(verb.words))}; "
        f"flags={shlex.quote(' '.join(o.flag for o in verb.options))}; "
        f"asks={shlex.quote(' '.join(verb.asks))} ;;"
        for verb in verbs
    ]
    asking = [
        f"        {'|'.join(flags)}) words= flags= asks={verb} ;;" for verb, flags in _asking(verbs).items()
    ]
    return _filled(
        _BASH,
        several="|".join(map(shlex.quote, _several(verbs))),
        names="|".join(verbs[0].words),
        directory="|".join(_flags(verbs, DIRECTORY)),
        others="|".join([*_others(verbs), *(flag for place in FILES for flag in _flags(verbs, place))]),
        cases="\n".join(cases),
        asking="\n".join(asking),
    )


def _described(word: str, help: str) -> str:
    """`word:help` as zsh's _describe wants it."""
    escaped = word.replace(":", "\\:")
    return shlex.quote(f"{escaped}:{help}")


def _helps(verbs: list[Verb], of: Verb) -> dict[str, str]:
    """Word to what it does, of the verbs below one."""
    return {
        verb.name.rpartition(" ")[2]: verb.help for verb in verbs if verb.name.rpartition(" ")[0] == of.name
    }


def _all_described(verbs: list[Verb], of: Verb) -> str:
    helps = _helps(verbs, of)
    return " ".join(_described(word, helps.get(word, "")) for word in of.words)


_ZSH = """\
#compdef berth
_berth_names() {
    local kind
    local -a given
    local at=${words[(I)--config]}
    (( at && at < CURRENT - 1 )) && given=(--config "${(Q)words[at+1]}")
    for kind in $@; do
        compadd -- "${(@f)$($words[1] $given $kind 2>/dev/null)}"
    done
}
_berth() {
    local verb= word asks=
    local -a found flags
    for word in "${(@)words[2,CURRENT-1]}"; do
        [[ $word == -- ]] && { _files; return }
        if [[ -n $verb && $verb != *' '* ]]; then
            case "$verb $word" in (@several@) verb="$verb $word" ;; esac
        elif [[ -z $verb ]]; then
            case $word in (@names@) verb=$word ;; esac
        fi
    done
    case ${words[CURRENT-1]} in
        (@directory@) _files -/; return ;;
        (@files@) _files; return ;;
        (@others@) return ;;
@asking@
    esac
    case $verb in
@cases@
    esac
    (( $#found )) && _describe 'berth' found
    [[ -n $asks ]] && _berth_names ${=asks}
    _describe -o 'option' flags
    (( compstate[nmatches] )) || _files
}
if [[ $funcstack[1] == _berth ]]; then _berth "$@"; else compdef _berth berth; fi
"""


def zsh(verbs: list[Verb]) -> str:
    """The script for zsh."""
    cases = [
        f"        ({shlex.quote(verb.name)})\n"
        f"            found=({_all_described(verbs, verb)})\n"
        f"            flags=({' '.join(_described(o.flag, o.help) for o in verb.options)})\n"
        f"            asks={shlex.quote(' '.join(verb.asks))} ;;"
        for verb in verbs
    ]
    asking = [
        f"        ({'|'.join(flags)}) _berth_names {verb}; return ;;"
        for verb, flags in _asking(verbs).items()
    ]
    return _filled(
        _ZSH,
        several="|".join(map(shlex.quote, _several(verbs))),
        names="|".join(verbs[0].words),
        directory="|".join(_flags(verbs, DIRECTORY)),
        files="|".join(flag for place in FILES for flag in _flags(verbs, place)),
        others="|".join(_others(verbs)),
        asking="\n".join(asking),
        cases="\n".join(cases),
    )


_FISH_NAMES = """\
# fish completion for berth
function __berth_names
    set -l typed (commandline -opc)
    set -l given
    if set -l at (contains -i -- --config $typed); and test $at -lt (count $typed)
        set given --config $typed[(math $at + 1)]
    end
    $typed[1] $given $argv[1] 2>/dev/null
end
function __berth_at  # whether these are the words of the verb; --only: and nothing follows them yet
    set -l typed (commandline -opc)
    set -l found
    set -l value 0
    for word in $typed[2..-1]
        if test $value = 1
            set value 0
            continue
        end
        switch $word
            case --config
                set value 1
            case '-*'
            case '*'
                set -a found $word
        end
    end
    if test "$argv[1]" = --only
        set -e argv[1]
        test (count $found) -eq (count $argv); or return 1
    end
    for at in (seq (count $argv))
        test "$found[$at]" = "$argv[$at]"; or return 1
    end
end"""


def fish(verbs: list[Verb]) -> str:
    """The script for fish."""
    out = [_FISH_NAMES, "complete -c berth -f"]
    for verb in verbs:
        only = "--only " if verb.nested else ""
        start = f"complete -c berth -n {shlex.quote(f'__berth_at {only}{verb.name}'.strip())}"
        for word in verb.words:
            out.append(f"{start} -a {word} -d {shlex.quote(_helps(verbs, verb).get(word, ''))}")
        for hidden in verb.asks:
            out.append(f"{start} -a '(__berth_names {hidden})'")
        for option in verb.options:
            takes = {"": "", DIRECTORY: " -x -a '(__fish_complete_directories)'"}
            takes |= {place: f" -x -a '(__berth_names {hidden})'" for place, hidden in ASKED.items()}
            takes |= dict.fromkeys(FILES, " -r -F")
            end = takes.get(option.takes, " -x")
            short = f" -s {option.short[1:]}" if option.short else ""
            long = option.flag.removeprefix("--")
            out.append(f"{start} -l {long}{short}{end} -d {shlex.quote(option.help)}")
    return "\n".join(out) + "\n"
