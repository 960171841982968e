"""What berth notes in a job's comment: what its script runs, for lists. Anybody can read it, and forge it."""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache

import msgspec

_MARK = "berth:"
_LONGEST = 4096


class Meta(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Of one job."""

    kind: str = ""
    """How it runs: docker, pyxis, edf, or bare; empty where berth did not submit it."""
    image: str = ""
    command: str = ""
    project: str = ""
    tty: bool = False
    retries: int = 0
    gpus: int = 0
    """As asked at submit: a database tells of GPUs only where its administrator said so."""
    key: str = ""
    """By which it was submitted: a submit without an answer is found again by it."""
    outfile: str = ""
    """Where its output went, if not to our own folder: no database tells."""


NONE = Meta()


def comment(meta: Meta) -> str:
    """As sbatch takes it: one word without quotes."""
    return _MARK + base64.urlsafe_b64encode(msgspec.json.encode(meta)).decode().rstrip("=")


@lru_cache(1024)
def read_comment(text: str) -> Meta:
    """Of a comment; `NONE` for other people's."""
    if not text.startswith(_MARK) or len(text) > _LONGEST:
        return NONE
    coded = text.removeprefix(_MARK)
    try:
        data = base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4))
        return msgspec.json.decode(data, type=Meta)
    except (binascii.Error, msgspec.MsgspecError, ValueError):
        return NONE
