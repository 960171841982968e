"""Package managers: how each installs and removes, and what packages are called there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MANAGERS = ("apt-get", "dnf", "yum", "zypper", "apk")
"""Programs, in the order they are looked for."""

_OTHERS: dict[str, dict[str, str]] = {
    "ca-certificates": {},
    "openssh-client": {"dnf": "openssh-clients", "yum": "openssh-clients", "zypper": "openssh-clients"},
    "procps": {"dnf": "procps-ng", "yum": "procps-ng"},
    "vim": {"dnf": "vim-enhanced", "yum": "vim-enhanced"},
    "xz-utils": {"dnf": "xz", "yum": "xz", "zypper": "xz", "apk": "xz"},
    "iproute2": {"dnf": "iproute", "yum": "iproute"},
    "build-essential": {"dnf": "gcc-c++", "yum": "gcc-c++", "zypper": "gcc-c++", "apk": "build-base"},
    "python3-venv": {"dnf": "python3", "yum": "python3", "zypper": "python3", "apk": "python3"},
    "python3-pip": {"apk": "py3-pip"},
    "ninja-build": {"zypper": "ninja", "apk": "ninja"},
}
"""Debian's name -> another family's, where it is another."""

_INSTALL: dict[str, tuple[tuple[str, ...], ...]] = {
    "apt-get": (("apt-get", "update", "-q"), ("apt-get", "install", "-y", "-q", "--no-install-recommends")),
    "dnf": (("dnf", "-y", "install"),),
    "yum": (("yum", "-y", "install"),),
    "zypper": (("zypper", "--non-interactive", "install"),),
    "apk": (("apk", "add", "--no-cache"),),
}
_REMOVE: dict[str, tuple[str, ...]] = {
    "apt-get": ("apt-get", "remove", "-y", "-q"),
    "dnf": ("dnf", "-y", "remove"),
    "yum": ("yum", "-y", "remove"),
    "zypper": ("zypper", "--non-interactive", "remove"),
    "apk": ("apk", "del"),
}


def named(manager: str, names: Iterable[str]) -> tuple[str, ...]:
    """What a manager calls these packages of Debian's, each once."""
    return tuple(dict.fromkeys(_OTHERS.get(name, {}).get(manager, name) for name in names))


def install(manager: str, names: Sequence[str], *, sudo: bool = False) -> list[list[str]]:
    """The commands that install them, one after the other; the last one's exit code counts."""
    *first, last = _INSTALL[manager]
    front = ["sudo", "-n"] if sudo else []
    return [*([*front, *each] for each in first), [*front, *last, *names]]


def remove(manager: str, names: Sequence[str], *, sudo: bool = False) -> list[list[str]]:
    """The command that removes them."""
    return [[*(["sudo", "-n"] if sudo else []), *_REMOVE[manager], *names]]


def for_people(manager: str, names: Sequence[str]) -> str:
    """What an administrator would type."""
    return "sudo " + " ".join(install(manager, names)[-1])
