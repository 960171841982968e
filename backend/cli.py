"""The command line: `berth` opens the dashboard, `berth VERB` does one thing and ends.

Standard output is data, standard error is talk. Exit codes: 0 done, 1 failed, 2 usage or configuration,
3 host unreachable, 4 no such target, 5 refused, 130 cancelled (and 141 where nobody reads the output).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from backend.errors import BerthError, UsageError, exit_code_for
from backend.text import printable

if TYPE_CHECKING:
    from backend.config import Config

Dashboard = Callable[["Config", bool], int]
"""Opens the dashboard, read-only or not; its exit code. The backend does not know the screen."""

CLOSED_PIPE = 141
"""As the shell says it of any program that a closed pipe ended: 128 + SIGPIPE."""

_LISTS = {
    "hosts": ("hosts: state, load, memory, GPUs, containers", "all hosts with their state and load"),
    "gpus": ("GPUs: who uses them, which are free", "all GPUs with their load, memory, users and processes"),
    "ps": ("containers of all hosts", "all containers with their state, load, memory, GPUs and owner"),
    "contexts": (
        "contexts and the state of their containers",
        "all contexts with the state of their container",
    ),
    "sessions": ("tmux sessions of all hosts", "all tmux sessions with what runs in them"),
}
_ABOUT = """\
Every host, GPU and container of your servers on one screen.
Without a verb, berth opens the dashboard."""
_EPILOG = """\
lists:
{lists}

checks:
  doctor      what stands between berth and a host, step by step, and how to mend it

shell:
  completion  completion for bash, zsh or fish

examples:
  berth                                  open the dashboard
  berth gpus                             where is a GPU free?
  berth ps --host h100-1 --json          its containers as JSON
  berth hosts --watch --json             one JSON array per line whenever something changed
  berth doctor h100-1                    why does this host not work?
  source <(berth completion bash)        complete verbs, options and hosts

configuration: {directory}
  hosts.yaml, contexts/NAME.yaml and settings.yaml; elsewhere by --config or BERTH_CONFIG_DIR.
  Without any file berth shows this machine.

exit codes: 0 done, 1 failed, 2 usage or configuration, 3 host unreachable, 4 no such target,
            5 refused, 130 cancelled"""


def main(argv: Sequence[str] | None = None, *, dashboard: Dashboard | None = None) -> int:
    """Run one command line; its exit code."""
    try:
        code = _run(argv, dashboard)
        sys.stdout.flush()
    except BerthError as error:
        _say(str(error))
        return exit_code_for(error)
    except KeyboardInterrupt as error:
        return exit_code_for(error)
    except BrokenPipeError:
        # Or the interpreter would fail at its end, when it flushes what nobody reads.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    return code


def _run(argv: Sequence[str] | None, dashboard: Dashboard | None) -> int:
    options = parser().parse_args(argv)
    if options.verb is None:
        return _open_dashboard(options, dashboard)
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


def _open_dashboard(options: argparse.Namespace, dashboard: Dashboard | None) -> int:
    if dashboard is None or not all(
        stream and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)
    ):
        raise UsageError(
            "the dashboard needs a terminal.",
            hint=f"Without one: berth {'|'.join(_LISTS)} [--json]. See berth --help.",
        )
    return dashboard(_config(options), options.read_only)


def _config(options: argparse.Namespace) -> Config:
    from backend.config import load

    if options.config is not None and not options.config.is_dir():
        raise UsageError(f"--config {options.config}: there is no such folder.")
    return load(options.config)


# --------------------------------------------------------------------------------------------- verbs


def _list(options: argparse.Namespace) -> int:
    import asyncio

    from backend.lists import Request, show

    config = _config(options)
    watch = config.settings.interval if options.watch == 0 else options.watch
    request = Request(
        name=options.verb,
        hosts=tuple(options.host) if options.host else None,
        json=options.json,
        watch=watch,
        timeout=options.timeout,
    )
    return asyncio.run(show(config, request))


def _doctor(options: argparse.Namespace) -> int:
    import asyncio

    from backend.checkup import show

    return asyncio.run(show(_config(options), options.hosts, json=options.json))


def _completion(options: argparse.Namespace) -> int:
    from backend.completion import script

    print(script(parser(), options.shell), end="")
    return 0


def _host_names(options: argparse.Namespace) -> int:
    """For completion: the hosts' names, one per line."""
    print(*(host.name for host in _config(options).hosts), sep="\n")
    return 0


# -------------------------------------------------------------------------------------------- parser


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = _Parser(
        prog="berth",
        usage="berth [VERB] [options]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=_ABOUT,
        allow_abbrev=False,
    )
    _common(root)
    root.add_argument("--version", action=_Version, nargs=0, help="show the version and end")
    verbs = root.add_subparsers(dest="verb", metavar="VERB", help=argparse.SUPPRESS, parser_class=_Parser)
    for name, (short, about) in _LISTS.items():
        _list_options(_verb(verbs, name, _list, short, f"List {about}."))
    doctor = _verb(
        verbs,
        "doctor",
        _doctor,
        "what stands between berth and a host",
        "Check hosts step by step: name, connection, "
        "host key, login, python3, engine, GPU driver, tmux. What fails is shown with the way to mend it.",
    )
    doctor.add_argument("hosts", nargs="*", metavar="HOST", help="hosts to check (default: all)")
    doctor.add_argument("--json", action="store_true", help="print one JSON array of all checks")
    completion = _verb(
        verbs,
        "completion",
        _completion,
        "completion for a shell",
        "Print a completion script: "
        "`source <(berth completion bash)` in ~/.bashrc, the same with zsh in ~/.zshrc after compinit, "
        "`berth completion fish | source` in config.fish.",
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")
    _verb(verbs, "_hosts", _host_names, argparse.SUPPRESS, "")
    return root


def _verb(verbs: Any, name: str, run: Callable[[argparse.Namespace], int], short: str, about: str) -> _Parser:
    made: _Parser = verbs.add_parser(name, help=short, description=about, allow_abbrev=False)
    made.set_defaults(run=run)
    _common(made, again=True)
    return made


def _common(to: argparse.ArgumentParser, again: bool = False) -> None:
    """Options that may stand before and after the verb; `again`: what stood before it is kept."""
    keep = argparse.SUPPRESS
    to.add_argument(
        "--config",
        type=Path,
        metavar="DIR",
        default=keep if again else None,
        help="folder of the configuration",
    )
    to.add_argument(
        "--read-only",
        action="store_true",
        default=keep if again else False,
        help="offer nothing that changes anything",
    )


def _list_options(to: argparse.ArgumentParser) -> None:
    to.add_argument("--json", action="store_true", help="print one JSON array; with --watch one per line")
    to.add_argument(
        "--host", nargs="+", action="extend", metavar="HOST", help="only these hosts; may be given repeatedly"
    )
    to.add_argument(
        "--watch",
        nargs="?",
        const=0.0,
        type=_seconds(0.5, 60),
        metavar="SECONDS",
        help="go on until Ctrl+C, print again whenever something changed; hosts are sampled every SECONDS "
        "(0.5-60, default: the interval of settings.yaml)",
    )
    to.add_argument(
        "--timeout",
        type=_seconds(0.1, 3600),
        default=10.0,
        metavar="SECONDS",
        help="how long hosts may take to answer (default: 10)",
    )


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def read(written: str) -> float:
        try:
            seconds = float(written)
        except ValueError:
            seconds = -1.0
        if not low <= seconds <= high:
            raise argparse.ArgumentTypeError(f"{written!r} is not {low:g}-{high:g} seconds")
        return seconds

    return read


class _Parser(argparse.ArgumentParser):
    """Argparse, with help that shows verbs in groups and errors that say what to do."""

    def format_help(self) -> str:
        """The help; that of `berth` itself looks up where the configuration is."""
        if self.prog == "berth":
            from backend.config import config_dir

            lists = "\n".join(f"  {name:<10}  {short}" for name, (short, _) in _LISTS.items())
            self.epilog = _EPILOG.format(lists=lists, directory=config_dir())
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Usage errors end with 2, like errors of the configuration."""
        self.exit(2, f"berth: {printable(message)}\nTry: {self.prog} --help\n")


class _Version(argparse.Action):
    """--version, looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("berth")
        except PackageNotFoundError:
            number = "(not installed)"
        print(f"berth {number}")
        parser.exit()


def _say(message: str) -> None:
    print(f"berth: {printable(message)}", file=sys.stderr)
