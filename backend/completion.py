"""Completion for shells, generated from the command line's own parser: what it knows is what is completed.

Names of hosts are asked of `berth _hosts` while the person types. They come from a file, so they are never
put where a shell would expand them.
"""

from __future__ import annotations

import argparse
import shlex
from typing import NamedTuple

from backend.arguments import HOSTS


class Option(NamedTuple):
    """A flag of a verb."""

    flag: str
    help: str
    takes: str
    """What has to follow it: nothing, `HOST`, `DIR` or something that cannot be completed."""


class Verb(NamedTuple):
    """A verb with what may follow it; the name is empty for berth itself."""

    name: str
    help: str
    options: tuple[Option, ...]
    words: tuple[str, ...] = ()
    """Fixed words that may follow."""
    hosts: bool = False
    """Whether names of hosts may follow."""


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The completion script for bash, zsh or fish."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](_verbs(parser))


def _verbs(parser: argparse.ArgumentParser) -> list[Verb]:
    found = [_verb("", "", parser)]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, child in action.choices.items():
                found.append(_verb(name, helps.get(name, ""), child))
            found[0] = found[0]._replace(words=tuple(verb.name for verb in found[1:]))
    return found


def _verb(name: str, help: str, parser: argparse.ArgumentParser) -> Verb:
    options: list[Option] = []
    words: list[str] = []
    hosts = False
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            words += action.choices
            continue
        if not action.option_strings:
            words += map(str, action.choices or ())
            hosts = hosts or action.metavar == "HOST"
            continue
        takes = "" if action.nargs in (0, "?") else str(action.metavar or "VALUE")
        flag = max(action.option_strings, key=len)
        options.append(Option(flag, (action.help or "").split(";")[0].split(" (")[0], takes))
    return Verb(name, help, tuple(options), tuple(words), hosts)


def _flags(verbs: list[Verb], takes: str) -> list[str]:
    """Flags followed by that, over all verbs."""
    return list(dict.fromkeys(o.flag for verb in verbs for o in verb.options if o.takes == takes))


def _others(verbs: list[Verb]) -> list[str]:
    """Flags that are followed by something nobody can complete."""
    return list(
        dict.fromkeys(o.flag for verb in verbs for o in verb.options if o.takes not in ("", "HOST", "DIR"))
    )


def _bash(verbs: list[Verb]) -> str:
    names = "|".join(verbs[0].words)
    cases = [
        f"        {verb.name or chr(39) * 2}) "
        f"words={shlex.quote(' '.join((*verb.words, *(o.flag for o in verb.options))))}; "
        f"hosts={'yes' if verb.hosts else ''} ;;"
        for verb in verbs
    ]
    return f"""\
# bash completion for berth
_berth() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} verb= words= hosts= word
    COMPREPLY=()
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case $word in {names}) verb=$word; break ;; esac
    done
    case $prev in
        {"|".join(_flags(verbs, "DIR"))})
            compopt -o filenames 2>/dev/null
            while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -d -- "$cur")
            return ;;
        {"|".join(_others(verbs))}) return ;;
    esac
    case $verb in
{chr(10).join(cases)}
    esac
    case $prev in {"|".join(_flags(verbs, "HOST"))}) words= hosts=yes ;; esac
    for word in $words; do
        if [[ $word == "$cur"* ]]; then COMPREPLY+=("$word"); fi
    done
    if [[ $hosts ]]; then
        while IFS= read -r word; do
            if [[ $word == "$cur"* ]]; then COMPREPLY+=("$(printf %q "$word")"); fi
        done < <("${{COMP_WORDS[0]}}" {HOSTS} 2>/dev/null)
    fi
}}
complete -F _berth berth
"""


def _described(word: str, help: str) -> str:
    """`word:help` as zsh's _describe wants it."""
    escaped = word.replace(":", "\\:")
    return shlex.quote(f"{escaped}:{help}")


def _zsh(verbs: list[Verb]) -> str:
    helps = {verb.name: verb.help for verb in verbs}
    cases = [
        f"        ({verb.name or chr(39) * 2})\n"
        f"            found=({' '.join(_described(word, helps.get(word, '')) for word in verb.words)})\n"
        f"            flags=({' '.join(_described(o.flag, o.help) for o in verb.options)})\n"
        f"            hosts={'yes' if verb.hosts else ''} ;;"
        for verb in verbs
    ]
    return f"""\
#compdef berth
_berth() {{
    local verb= word hosts=
    local -a found flags
    for word in "${{(@)words[2,CURRENT-1]}}"; do
        case $word in ({"|".join(verbs[0].words)}) verb=$word; break ;; esac
    done
    case ${{words[CURRENT-1]}} in
        ({"|".join(_flags(verbs, "DIR"))}) _files -/; return ;;
        ({"|".join(_others(verbs))}) return ;;
        ({"|".join(_flags(verbs, "HOST"))}) compadd -- "${{(@f)$($words[1] {HOSTS} 2>/dev/null)}}"; return ;;
    esac
    case $verb in
{chr(10).join(cases)}
    esac
    (( $#found )) && _describe 'berth' found
    [[ -n $hosts ]] && compadd -- "${{(@f)$($words[1] {HOSTS} 2>/dev/null)}}"
    _describe -o 'option' flags
}}
if [[ $funcstack[1] == _berth ]]; then _berth "$@"; else compdef _berth berth; fi
"""


def _fish(verbs: list[Verb]) -> str:
    out = ["# fish completion for berth", "complete -c berth -f"]
    names = " ".join(verbs[0].words)
    helps = {verb.name: verb.help for verb in verbs}
    for verb in verbs:
        when = (
            f"__fish_seen_subcommand_from {verb.name}"
            if verb.name
            else f"not __fish_seen_subcommand_from {names}"
        )
        start = f"complete -c berth -n {shlex.quote(when)}"
        for word in verb.words:
            out.append(f"{start} -a {word} -d {shlex.quote(helps.get(word, ''))}")
        if verb.hosts:
            out.append(f"{start} -a '(berth {HOSTS} 2>/dev/null)' -d host")
        for option in verb.options:
            takes = {
                "": "",
                "HOST": f" -x -a '(berth {HOSTS} 2>/dev/null)'",
                "DIR": " -x -a '(__fish_complete_directories)'",
            }
            end = takes.get(option.takes, " -x")
            out.append(f"{start} -l {option.flag.removeprefix('--')}{end} -d {shlex.quote(option.help)}")
    return "\n".join(out) + "\n"
