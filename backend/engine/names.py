"""Names that engines accept, checked here so that nothing else ever reaches a path, a query or a command.

The grammar of image references is the one of distribution/reference; that of containers is Docker's.
"""

from __future__ import annotations

import re

from backend.errors import UsageError

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_PART}(?:/{_PART})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?", re.ASCII
)
_CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", re.ASCII)
_ID = re.compile(r"[0-9a-f]{64}")
_ID_PREFIX = re.compile(r"[0-9a-f]{4,64}")
_NAME_LIMIT = 255


def split_reference(text: str) -> tuple[str, str]:
    """An image's name and its tag, `latest` where none is given. Raises `UsageError`."""
    match = _REFERENCE.fullmatch(text) if len(text) <= 2 * _NAME_LIMIT else None
    if match is None or len(match["name"]) > _NAME_LIMIT:
        hint = "Write `[registry[:port]/]name[:tag]` in lower case: letters, digits, `.`, `_` and `-`."
        raise UsageError(f"{text!r} cannot be an image's name.", hint=hint)
    return match["name"], match["tag"] or "latest"


def container_name(text: str) -> str:
    """The text, if a container can have it as name. Raises `UsageError`."""
    if not _CONTAINER.fullmatch(text) or len(text) > _NAME_LIMIT:
        hint = "Two or more letters, digits, `_`, `.` and `-`, the first a letter or a digit."
        raise UsageError(f"{text!r} cannot be a container's name.", hint=hint)
    return text


def is_container(text: str) -> bool:
    """Whether a container could have that name or id at all."""
    return _CONTAINER.fullmatch(text) is not None and len(text) <= _NAME_LIMIT


def is_id(text: str) -> bool:
    """Whether it is a full id."""
    return _ID.fullmatch(text) is not None


def is_id_prefix(text: str) -> bool:
    """Whether it may be the start of an id: four or more hexadecimal digits."""
    return _ID_PREFIX.fullmatch(text) is not None
