"""How images are called: what an engine takes as a name, and the naming rule of stacks.

A layer on an image from a registry, `nvidia/cuda:11.8.0-devel-ubuntu22.04` + `ssh`:
`MAINTAINER/cuda1180-ubuntu2204_ssh:TAG`: the last part of the repository, its tag without dots and without
`devel`, then the layer. A layer on a layer adds its own name: `MAINTAINER/cuda1180-ubuntu2204_ssh_mamba:TAG`.
"""

from __future__ import annotations

import re
from functools import lru_cache

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_NAME = re.compile(rf"(?:{_DOMAIN}/)?{_PART}(?:/{_PART})*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")
_LOCAL = "localhost/"
_LONGEST = 255
_PLAIN_WORDS = frozenset({"devel", "latest"})
"""Parts of a base's tag that its layers are not named by."""


def split(reference: str) -> tuple[str, str, str]:
    """Name, tag and digest; what is not written is empty."""
    rest, _, digest = reference.partition("@")
    front, slash, last = rest.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{front}{slash}{last}", tag, digest


@lru_cache(maxsize=4096)
def problem(reference: str) -> str:
    """Why an engine would not take this as an image; nothing if it would."""
    name, tag, digest = split(reference)
    if not _NAME.fullmatch(name):
        return "is no name of an image: lower case letters and digits, with . _ - and / between them, are."
    if len(name) > _LONGEST:
        return f"is longer than {_LONGEST} characters."
    if (tag or reference.endswith(":")) and not TAG.fullmatch(tag):
        return "has a tag that no engine takes: letters, digits, _ . and -, 128 at most."
    if digest and not _DIGEST.fullmatch(digest):
        return "has a digest that is none."
    return ""


def proposed(text: str) -> str:
    """A name as near to this as an engine takes."""
    name, tag, _ = split(text.lower())
    parts = [_clean(part) for part in name.split("/")]
    found = "/".join(part for part in parts if part)[:_LONGEST].rstrip("/._-") or "image"
    return f"{found}:{proposed_tag(tag)}" if tag else found


def proposed_tag(text: str) -> str:
    """A tag as near to this as an engine takes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).lstrip(".-")[:128] or "latest"


def _clean(part: str) -> str:
    part = re.sub(r"[^a-z0-9._-]+", "-", part).strip("._-")
    return re.sub(r"[._-]{2,}", lambda match: match[0] if set(match[0]) == {"-"} else match[0][0], part)


def with_tag(reference: str) -> str:
    """The reference with the tag that an engine assumes."""
    _, tag, digest = split(reference)
    return reference if tag or digest else f"{reference}:latest"


def is_local(reference: str) -> bool:
    """Whether it says itself that no registry has it."""
    return reference.startswith(_LOCAL)


def bare(reference: str) -> str:
    """Without the `localhost/` that Podman puts before what was made here."""
    return reference.removeprefix(_LOCAL)


def has_registry(reference: str) -> bool:
    """Whether it names a registry: then it is no recipe's."""
    first, slash, _ = reference.partition("/")
    return bool(slash) and first != "localhost" and ("." in first or ":" in first or first != first.lower())


def of_base(reference: str) -> str:
    """What the layers on an image from a registry are named by: `cuda1180-ubuntu2204`."""
    name, tag, _ = split(reference)
    last = name.rpartition("/")[2]
    words = [word.replace(".", "").lower() for word in tag.split("-")]
    words = [word for word in words if word and word not in _PLAIN_WORDS]
    if not words:
        return last
    joint = "" if words[0][0].isdigit() else "-"
    return _clean(last + joint + "-".join(words))


def of_layer(base: str, layer: str, *, local: bool) -> str:
    """Name without maintainer and tag. `base`: its reference; `local`: it is a layer of the stack itself."""
    front = split(base)[0].rpartition("/")[2] if local else of_base(base)
    return f"{front}_{layer}"
