"""What an importer finds: drafts of hosts and contexts, and what it could not translate."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class HostDraft(Struct, frozen=True, kw_only=True):
    """A host as it would stand in hosts.yaml."""

    name: str
    values: dict[str, Any]
    source: str
    """File it was read from."""


class ContextDraft(Struct, frozen=True, kw_only=True):
    """A context as its file would say it."""

    name: str
    values: dict[str, Any]
    source: str


class Imported(Struct, frozen=True, kw_only=True):
    """All that one importer found. Nothing is written yet."""

    hosts: tuple[HostDraft, ...] = ()
    contexts: tuple[ContextDraft, ...] = ()
    notes: tuple[str, ...] = ()
    """`file:line: what was not translated, and why`."""
