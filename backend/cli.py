"""The command line: `berth` opens the dashboard, `berth VERB` does one thing and ends.

Standard output is data, standard error is talk. Exit codes: 0 done, 1 failed, 2 usage or configuration,
3 host unreachable, 4 no such target, 5 refused, 130 cancelled (128 + n by signal n; 141 where
nobody reads the output).
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from backend.arguments import LISTS, is_fixed, parser, words
from backend.errors import BerthError, UsageError, exit_code_for
from backend.text import printable

if TYPE_CHECKING:
    from backend.config import Config

Dashboard = Callable[["Config", bool], int]
"""Opens the dashboard, read-only or not; its exit code. The backend does not know the screen."""

CLOSED_PIPE = 141
"""What a shell says of any program that a closed pipe ended: 128 + SIGPIPE."""


def main(argv: Sequence[str], *, dashboard: Dashboard | None = None) -> int:
    """Run one command line; its exit code."""
    if sys.stdout is None:  # `berth hosts >&-`
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a locale that lacks a character is no reason to fail
    try:
        try:
            return _run(list(argv), dashboard)
        finally:
            sys.stdout.flush()
    except BerthError as error:
        _say(str(error))
        return exit_code_for(error)
    except KeyboardInterrupt as error:
        return exit_code_for(error)
    except BrokenPipeError:
        _abandon_output()
        return CLOSED_PIPE
    except Exception as error:
        return _bug(error)


def _run(argv: list[str], dashboard: Dashboard | None) -> int:
    left = words(argv)
    if len(left) == 1 and left[0].startswith("_"):
        return _names(argv)
    if left[:1] == ["help"] and not {"-h", "--help"} & set(left):
        return _run([*argv[: len(argv) - len(left)], *left[1:], "--help"], dashboard)
    if not is_fixed(argv):
        return _act(argv)
    options = parser(actions=False).parse_args(argv)
    if options.verb is None:
        return _open_dashboard(options, dashboard)
    return _RUN[options.verb](options)


def _act(argv: list[str]) -> int:
    """A verb that an action gives."""
    from backend import ending
    from backend.actions import ALONE, load
    from backend.verbrun import run_verb
    from backend.verbs import split

    argv = spelled(argv)
    _short_run()
    verb = next((said for many in (2, 1) if (said := " ".join(words(argv)[:many])) in ALONE), None)
    argv, rest = split(argv, words(argv), load(verb))
    if words(argv) == [] and {"-h", "--help"} & set(argv):
        from backend.actions.commands import offer

        offer()
    options = parser(separated=rest is not None, verb=verb).parse_args(argv)
    gc.enable()
    return ending.run(run_verb(options, _prepare(options), rest or ()))


def spelled(argv: list[str]) -> list[str]:
    """A command line with what people may leave out, and rp's words for things, as the parser wants them."""
    if words(argv)[:1] in (["run"], ["shell"], ["kill"], ["enter"]):
        from backend.projects.rpargs import translate

        argv = translate(argv, len(argv) - len(words(argv)))
    if words(argv)[:1] == ["sync"]:
        from backend.sync import spelled_out

        argv = spelled_out(argv, len(argv) - len(words(argv)))
    if words(argv)[:1] == ["disk"]:
        from backend.disk import spelled_out as to_show

        argv = to_show(argv, len(argv) - len(words(argv)))
    if words(argv)[:1] == ["do"]:
        from backend.actions.commands import prepare

        prepare(argv)
    if words(argv)[:1] == ["tunnel"]:
        from backend.tunnels import spelled_out as to_hold

        argv = to_hold(argv, len(argv) - len(words(argv)))
    return argv


def _short_run() -> None:
    """Looking for garbage would cost more than it frees."""
    gc.freeze()
    gc.disable()


def _open_dashboard(options: argparse.Namespace, dashboard: Dashboard | None) -> int:
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if dashboard is None or not all(stream and stream.isatty() for stream in streams):
        raise UsageError(
            "the dashboard needs a terminal.",
            hint=f"Without one: berth {'|'.join(LISTS)} [--json]. See berth --help.",
        )
    return dashboard(_prepare(options), options.read_only)


def _prepare(options: argparse.Namespace) -> Config:
    """The configuration; from here on what parts of berth log goes to berth.log, not to the terminal."""
    from backend import log
    from backend.config import load

    if options.config is not None and not options.config.is_dir():
        raise UsageError(f"--config {options.config}: there is no such folder.")
    config = load(options.config)
    log.install()
    return config


def _list(options: argparse.Namespace) -> int:
    if options.watch is None:
        _short_run()
    from backend import ending
    from backend.lists import Request, show

    config = _prepare(options)
    request = Request(
        name=options.verb,
        hosts=tuple(options.host) if options.host else None,
        json=options.json,
        watch=config.settings.interval if options.watch == 0 else options.watch,
        timeout=options.timeout,
    )
    return ending.run(show(config, request))


def _doctor(options: argparse.Namespace) -> int:
    from backend import ending
    from backend.checkup import show

    return ending.run(show(_prepare(options), options.hosts, json=options.json))


def _activity(options: argparse.Namespace) -> int:
    from backend.past import show

    return show(_prepare(options), hosts=options.host, limit=options.limit, json=options.json)


def _completion(options: argparse.Namespace) -> int:
    from backend.actions import commands, load
    from backend.completion import script

    load()
    commands.offer()
    print(script(parser(), options.shell), end="")
    return 0


def _serve(options: argparse.Namespace) -> int:
    from backend import ending
    from backend.web.serve import Request, show

    request = Request(
        bind=options.bind,
        port=options.port,
        tabs=options.tabs,
        read_only=options.read_only,
        browser=options.open,
    )
    return ending.run(show(_prepare(options), request))


def _man(options: argparse.Namespace) -> int:
    from backend.manpage import roff

    print(roff(parser()), end="")
    return 0


def _jobs(options: argparse.Namespace) -> int:
    from backend import ending
    from backend.joblist import Request, show

    config = _prepare(options)
    request = Request(
        hosts=tuple(options.host) if options.host else None,
        which="all" if options.all else "ended" if options.ended else "unfinished",
        owner=options.owner,
        limit=options.limit,
        json=options.json,
        watch=max(1.0, config.settings.interval) if options.watch == 0 else options.watch,
        timeout=options.timeout,
    )
    return ending.run(show(config, request))


def _tunnels(options: argparse.Namespace) -> int:
    from backend import ending
    from backend.tunnels.lists import show

    config = _prepare(options)
    watch = config.settings.interval if options.watch == 0 else options.watch
    return ending.run(show(config, hosts=options.host, json=options.json, watch=watch))


_RUN: dict[str, Callable[[argparse.Namespace], int]] = {
    **dict.fromkeys(LISTS, _list),
    "jobs": _jobs,
    "tunnels": _tunnels,
    "activity": _activity,
    "doctor": _doctor,
    "serve": _serve,
    "completion": _completion,
    "man": _man,
}


def _names(argv: list[str]) -> int:
    """For completion: what may stand in a place, one name per line."""
    from pathlib import Path

    from backend.config import load
    from backend.names import KINDS, known

    *before, verb = argv
    folder = before[before.index("--config") + 1 :][:1] if "--config" in before else []
    if verb not in KINDS:
        raise UsageError(f"berth has no verb {verb!r}.")
    for name in known(verb, load(Path(folder[0]) if folder else None)):
        print(name)
    return 0


def _bug(error: Exception) -> int:
    """Not one of our errors: one line for the person, the rest for the log."""
    import logging

    from backend import log

    log.install()
    logging.getLogger("berth").error("bug", exc_info=error)
    if isinstance(error, OSError) and error.filename is None:  # a full disk behind `>`
        _abandon_output()
        _say(f"{error.strerror or error}.")
    else:
        _say(f"{type(error).__name__}: {error}. This is a bug in berth; details are in {log.path()}.")
    return exit_code_for(error)


def _abandon_output() -> None:
    """Or the interpreter would fail at its end, when it flushes what cannot be written."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _say(message: str) -> None:
    print(f"berth: {printable(message)}", file=sys.stderr)
