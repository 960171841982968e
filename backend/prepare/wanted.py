"""What a prepared host has: folders, lines in configuration files, packages, git configuration. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from backend.config import Folders
from backend.prepare.blocks import render

OURS = ".local/share/berth"
"""Where the files that are all ours lie in the home."""
MANIFEST = f"{OURS}/prepared.json"
SHELL = f"{OURS}/shell.sh"
TMUX = f"{OURS}/tmux.conf"
KEY = ".ssh/berth_deploy"
SECRET = "secret"  # noqa: S105  # a folder
SHARED = ("bin", "notebook", "script", "tests", "env", "pythonenv", SECRET)
"""Below the shared folder."""
LOGIN = (".bash_profile", ".bash_login", ".profile")
"""What bash reads of these when it is a login shell: the first there is."""

_PATHS = """\
# Made by berth prepare; berth unprepare takes it away. What you add belongs into ~/.bashrc.
for berth_folder in {folders}; do
    case ":$PATH:" in
        *":$berth_folder:"*) ;;
        *) PATH="$berth_folder:$PATH" ;;
    esac
done
unset berth_folder
export PATH
"""
_HOOK = render(f'[ ! -r "$HOME/{SHELL}" ] || . "$HOME/{SHELL}"')
_LOGIN_HOOK = render('if [ -n "$BASH_VERSION" ] && [ -r "$HOME/.bashrc" ]; then . "$HOME/.bashrc"; fi')
_TMUX_HOOK = render(f"source-file -q ~/{TMUX}")
_TMUX = """\
# Made by berth prepare; berth unprepare takes it away. What your own tmux.conf says comes later and wins.
set -g mouse on
set -g history-limit 50000
set -g set-titles on
set -g focus-events on
set -s escape-time 10
set -s set-clipboard on
"""


@dataclass(frozen=True)
class Hook:
    """A block of ours in a file of the user's."""

    path: str
    text: str
    top: bool = False
    """At the file's top, so that what the user says later wins."""


@dataclass(frozen=True)
class Wanted:
    """What is to be there; paths are below the home."""

    folders: Mapping[str, int]
    """Path to its mode, parents first."""
    files: Mapping[str, str]
    """Path to its text: files that are all ours."""
    packages: tuple[str, ...] = ()
    git: Mapping[str, str] = field(default_factory=dict)
    key: bool = False
    """A deploy key."""


def wanted(names: Folders, *, packages: tuple[str, ...], git: Mapping[str, str], key: bool = False) -> Wanted:
    """All of it for a host, with these names of folders."""
    folders = dict.fromkeys(
        (names.mirror, names.shared, *(f"{names.shared}/{each}" for each in SHARED)), 0o755
    )
    folders[f"{names.shared}/{SECRET}"] = 0o700
    folders |= dict.fromkeys((names.sharedump, ".local", ".local/share", OURS), 0o755)
    if key:
        folders[".ssh"] = 0o700
    on_path = (names.mirror, f"{names.shared}/bin")
    paths = " ".join(f'"$HOME"/{shlex.quote(each)}' for each in on_path)
    return Wanted(
        folders=folders
        | dict.fromkeys((".local", ".local/share", OURS), 0o755)
        | ({".ssh": 0o700} if key else {}),
        files={SHELL: _PATHS.format(folders=paths), TMUX: _TMUX},
        packages=packages,
        git=git,
        key=key,
    )


CANDIDATES = (".bashrc", ".zshrc", *LOGIN, ".tmux.conf", ".config/tmux/tmux.conf", ".gitconfig")
"""Files that have to be looked at before it can be said which get a hook."""


def hooks(kinds: Mapping[str, str], shell: str) -> tuple[Hook, ...]:
    """The hooks for a user whose files are of these kinds (`missing`, `file`, ...) and who has that shell."""
    found = [Hook(".bashrc", _HOOK)]
    if shell.endswith("/zsh"):
        found.append(Hook(".zshrc", _HOOK))
    if all(kinds.get(path, "missing") == "missing" for path in LOGIN):
        found.append(Hook(".profile", _LOGIN_HOOK))  # else no login shell would read ~/.bashrc
    newer = kinds.get(".tmux.conf") == "missing" and kinds.get(".config/tmux/tmux.conf") != "missing"
    found.append(Hook(".config/tmux/tmux.conf" if newer else ".tmux.conf", _TMUX_HOOK, top=True))
    return tuple(found)
