"""One run of one verb: from words to targets, from targets to results and an exit code."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from backend.actions.registry import Action
from backend.actions.runner import Result, label, refuse_read_only
from backend.errors import BerthError, UsageError
from backend.verbs import CP, dest

if TYPE_CHECKING:
    from backend.config import Config


async def run_verb(args: argparse.Namespace, config: Config, rest: Sequence[str] = ()) -> int:
    """Run the action that was named; the exit code, the worst of all targets'. Raises `BerthError`s."""
    from backend.access import StandaloneAccess
    from backend.actions import ACTIONS
    from backend.talk import Talk

    if args.action == CP:
        _read_cp(args)
    action = ACTIONS[args.action]
    if args.read_only:
        config = replace(config, settings=replace(config.settings, read_only=True))
    options = _sorted(action, options_of(action, args, rest), config)
    if config.settings.read_only:
        refuse_read_only(action, None, config, options)
    talk = Talk(action, json=getattr(args, "json", False), yes=getattr(args, "yes", False))
    options |= {param.name: talk.secret(param) for param in action.params if param.option.secret}
    async with StandaloneAccess(config) as access:
        targets, failed = await _targets(action, args, config, access)
        for target in targets:
            refuse_read_only(action, target, config, options)
        if action.streams:
            said = [talk.fail(each) for each in failed]
            return max(*said, await _stream(action)(access, targets, json=args.json, **options), 0)
        if action.terminal and targets and not options.get("detach") and all(map(action.applies, targets)):
            from backend.terminal.tty import require

            require()  # what it makes first would be left behind, and told as done
        if not await _unasked(action, args, targets, access):
            await talk.agree([target for target in targets if action.applies(target)])
        results = await talk.perform(config, access, targets, options)
        if action.terminal and results and (terminal := results[0].terminal) is not None:
            from backend.terminal import run_terminal

            return await run_terminal(terminal, access)
    return talk.close([*failed, *results])


def _stream(action: Action) -> Callable[..., Awaitable[int]]:
    """What writes an action's standard output for all targets together."""
    found: Callable[..., Awaitable[int]] = _named(action.streams)
    return found


def _named(place: str) -> Any:
    from importlib import import_module

    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


async def _unasked(action: Action, args: argparse.Namespace, targets: Sequence[Any], access: Any) -> bool:
    """Whether the one target was named so exactly, and is so much the person's own, that nothing is asked."""
    from backend.targets import is_pattern

    words = _words(action, args.targets) if action.unasked else []
    if len(words) != 1 or len(targets) != 1 or is_pattern(words[0]):
        return False
    return bool(await _named(action.unasked)(access, targets[0]))


async def _targets(
    action: Action, args: argparse.Namespace, config: Config, access: Any
) -> tuple[list[Any], list[Result]]:
    """The rows that were named, each once; words that name nothing become failed results of their own."""
    if action.on is None:
        return [None], []
    from backend.targets import resolve

    kind: type = action.on
    words = list(dict.fromkeys(_words(action, args.targets)))

    async def one(word: str) -> list[Any] | BerthError:
        try:
            hosts = getattr(args, "image_hosts", None) or ()
            return await resolve(kind, word, config, access, look=not action.terminal, hosts=hosts)
        except BerthError as error:
            return error

    answers = await asyncio.gather(*(one(word) for word in words))
    rows: dict[tuple[Any, ...], Any] = {}
    failed: list[Result] = []
    for word, answer in zip(words, answers, strict=True):
        if isinstance(answer, BerthError):
            failed.append(Result(Word(word), error=answer))
            continue
        for row in answer:
            rows.setdefault((label(row), getattr(row, "id", "")), row)
    if len(rows) > 1 and not action.bulk:
        raise UsageError(f"{action.title} takes one target, not {len(rows)}.")
    if not rows and len(failed) == 1 and failed[0].error is not None:
        raise failed[0].error
    return list(rows.values()), failed


def _words(action: Action, said: Any) -> list[str]:
    """The targets that were named; of contexts the one used last where none was."""
    from backend.verbs import takes_last

    words = [said] if isinstance(said, str) else list(said or ())
    if words or not takes_last(action):
        return words
    from backend.lastcontext import last_context

    if last := last_context():
        return [last]
    raise UsageError("no context is named, and none was used yet.", hint="Name one; see berth contexts.")


class Word:
    """A target that could not be found: what was said."""

    def __init__(self, name: str) -> None:
        self.name = name


def options_of(action: Action, args: argparse.Namespace, rest: Sequence[str]) -> dict[str, Any]:
    """What was said on the command line, by the names of the action's parameters."""
    options: dict[str, Any] = {}
    for param in action.params:
        said = getattr(args, dest(param), None)
        if param.option.many:
            said = list(rest) if said is None else said[said[:1] == ["--"] :]
        if said is not None:
            options[param.name] = tuple(said) if param.many else said
    return options


def _sorted(action: Action, options: dict[str, Any], config: Config) -> dict[str, Any]:
    """`push --host h1 train`: a word behind hosts that names none is the verb's own, if it has none yet."""
    hosts = options.get("host")
    free = [each.name for each in action.params if each.option.positional and each.name not in options]
    if not isinstance(hosts, tuple) or len(hosts) < 2 or len(free) != 1:
        return options
    *first, last = hosts
    if last.startswith("tag:") or any(fnmatchcase(host.name, last) for host in config.hosts):
        return options
    return options | {"host": tuple(first), free[0]: last}


def _read_cp(args: argparse.Namespace) -> None:
    """Make of `cp` what it says: `copy-out` or `copy-in`. Raises `UsageError`."""
    source, target = _container_path(args.source), _container_path(args.target)
    if (source is None) == (target is None):
        raise UsageError(
            "cp copies between this machine and one container.",
            hint="Write berth cp HOST/NAME:PATH TARGET, or berth cp SOURCE HOST/NAME:PATH.",
        )
    if source is not None:
        args.action, args.targets, args.option_source = "copy-out", [source[0]], source[1]
        args.option_target = args.target
    elif target is not None:
        args.action, args.targets, args.option_target = "copy-in", [target[0]], target[1]
        args.option_source = args.source
    args.option_overwrite = args.overwrite


def _container_path(text: str) -> tuple[str, str] | None:
    """`HOST/NAME:PATH` in its parts; None for a path here."""
    name, colon, path = text.partition(":")
    return None if not colon or not name or name[0] in "/.~" else (name, path or "/")
