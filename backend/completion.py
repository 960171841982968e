"""Completion for shells, generated from the command line's own parser: what it knows is what is completed.

Names of hosts and contexts are asked of `berth _hosts` and `berth _contexts` while the person types. They
come from files, so they are never put where a shell would expand them.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from backend.arguments import CONTEXTS, HOSTS

ASKED = {"HOST": HOSTS, "CONTEXT": CONTEXTS, "HOST/NAME": CONTEXTS}
"""What may stand in a place, by its metavar, and the hidden verb that lists it: a container may also be
named by its context, without asking any host for its containers."""
DIRECTORY = "DIR"


class Option(NamedTuple):
    """A flag of a verb."""

    flag: str
    help: str
    takes: str
    """What has to follow it: nothing, a key of `ASKED`, `DIR` or something that cannot be completed."""


class Verb(NamedTuple):
    """A verb with what may follow it; the name is empty for berth itself."""

    name: str
    """`context show` for one of several words."""
    help: str
    options: tuple[Option, ...]
    words: tuple[str, ...] = ()
    """Fixed words that may follow."""
    asks: tuple[str, ...] = ()
    """Hidden verbs that list what may follow."""
    nested: bool = False
    """Whether the words are verbs."""


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The completion script for bash, zsh or fish."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](_verbs(parser))


def _verbs(parser: argparse.ArgumentParser) -> list[Verb]:
    """Berth itself, then all verbs, those of several words after their first."""
    return list(_walk("", "", parser))


def _walk(name: str, help: str, parser: argparse.ArgumentParser) -> Iterator[Verb]:
    options: list[Option] = []
    words: list[str] = []
    asks: list[str] = []
    children: list[tuple[str, str, argparse.ArgumentParser]] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            children += [(word, helps.get(word, ""), child) for word, child in action.choices.items()]
            continue
        if not action.option_strings:
            words += map(str, action.choices or ())
            asks += [verb for place, verb in ASKED.items() if action.metavar == place]
            continue
        takes = "" if action.nargs in (0, "?") else str(action.metavar or "VALUE")
        flag = max(action.option_strings, key=len)
        options.append(Option(flag, (action.help or "").split(";")[0].split(" (")[0], takes))
    words += [word for word, _, _ in children]
    yield Verb(name, help, tuple(options), tuple(words), tuple(asks), bool(children))
    for word, about, child in children:
        yield from _walk(f"{name} {word}".strip(), about, child)


def _flags(verbs: list[Verb], takes: str) -> list[str]:
    """Flags followed by that, over all verbs."""
    return list(dict.fromkeys(o.flag for verb in verbs for o in verb.options if o.takes == takes))


def _others(verbs: list[Verb]) -> list[str]:
    """Flags that are followed by something nobody can complete."""
    known = {"", DIRECTORY, *ASKED}
    some = {o.flag for verb in verbs for o in verb.options if o.takes in known}
    flags = (o.flag for verb in verbs for o in verb.options if o.takes not in known)
    return list(dict.fromkeys(flag for flag in flags if flag not in some))


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


def _bash(verbs: list[Verb]) -> str:
    names = "|".join(verbs[0].words)
    cases = [
        f"        {shlex.quote(verb.name)}) "
        f"words={shlex.quote(' '.join((*verb.words, *(o.flag for o in verb.options))))}; "
        f"asks={shlex.quote(' '.join(verb.asks))} ;;"
        for verb in verbs
    ]
    asking = [f"        {'|'.join(flags)}) words= asks={verb} ;;" for verb, flags in _asking(verbs).items()]
    return f"""\
# bash completion for berth
_berth() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} verb= words= asks= word
    COMPREPLY=()
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        if [[ $verb ]]; then
            case "$verb $word" in {"|".join(map(shlex.quote, _several(verbs)))}) verb="$verb $word" ;; esac
            break
        fi
        case $word in {names}) verb=$word ;; esac
    done
    case $prev in
        {"|".join(_flags(verbs, DIRECTORY))})
            compopt -o filenames 2>/dev/null
            while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -d -- "$cur")
            return ;;
        {"|".join(_others(verbs))}) return ;;
    esac
    case $verb in
{chr(10).join(cases)}
    esac
    case $prev in
{chr(10).join(asking)}
    esac
    for word in $words; do
        if [[ $word == "$cur"* ]]; then COMPREPLY+=("$word"); fi
    done
    if [[ $asks ]]; then
        while IFS= read -r word; do
            if [[ $word && $word == "$cur"* ]]; then COMPREPLY+=("$(printf %q "$word")"); fi
        done < <("${{COMP_WORDS[0]}}" "$asks" 2>/dev/null)
    fi
}}
complete -F _berth berth
"""


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


def _zsh(verbs: list[Verb]) -> str:
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
    return f"""\
#compdef berth
_berth_names() {{
    compadd -- "${{(@f)$($words[1] $1 2>/dev/null)}}"
}}
_berth() {{
    local verb= word asks=
    local -a found flags
    for word in "${{(@)words[2,CURRENT-1]}}"; do
        if [[ -n $verb ]]; then
            case "$verb $word" in ({"|".join(map(shlex.quote, _several(verbs)))}) verb="$verb $word" ;; esac
            break
        fi
        case $word in ({"|".join(verbs[0].words)}) verb=$word ;; esac
    done
    case ${{words[CURRENT-1]}} in
        ({"|".join(_flags(verbs, DIRECTORY))}) _files -/; return ;;
        ({"|".join(_others(verbs))}) return ;;
{chr(10).join(asking)}
    esac
    case $verb in
{chr(10).join(cases)}
    esac
    (( $#found )) && _describe 'berth' found
    [[ -n $asks ]] && _berth_names $asks
    _describe -o 'option' flags
}}
if [[ $funcstack[1] == _berth ]]; then _berth "$@"; else compdef _berth berth; fi
"""


def _fish(verbs: list[Verb]) -> str:
    out = ["# fish completion for berth", "complete -c berth -f"]
    for verb in verbs:
        seen = [f"__fish_seen_subcommand_from {word}" for word in verb.name.split()]
        if verb.nested:
            seen.append(f"not __fish_seen_subcommand_from {' '.join(verb.words)}")
        start = f"complete -c berth -n {shlex.quote('; and '.join(seen))}"
        for word in verb.words:
            out.append(f"{start} -a {word} -d {shlex.quote(_helps(verbs, verb).get(word, ''))}")
        for hidden in verb.asks:
            out.append(f"{start} -a '(berth {hidden} 2>/dev/null)'")
        for option in verb.options:
            takes = {"": "", DIRECTORY: " -x -a '(__fish_complete_directories)'"}
            takes |= {place: f" -x -a '(berth {hidden} 2>/dev/null)'" for place, hidden in ASKED.items()}
            end = takes.get(option.takes, " -x")
            out.append(f"{start} -l {option.flag.removeprefix('--')}{end} -d {shlex.quote(option.help)}")
    return "\n".join(out) + "\n"
