"""How Slurm writes records, numbers, times and GPUs. Pure."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

MB = 1024**2
_UNITS = {"": MB, "K": 1024, "M": MB, "G": 1024**3, "T": 1024**4, "P": 1024**5}
_NOTHING = frozenset(("", "N/A", "n/a", "(null)", "None", "Unknown", "NONE", "None assigned"))


def separator() -> str:
    """What ends a field. Nobody can have put it into a job's name."""
    return f"\x1f{secrets.token_hex(3)}\x1f"


def format_of(fields: Iterable[str], end: str) -> str:
    """The argument of --Format."""
    return ",".join(f"{field}:{end}" for field in fields)


def records(output: str, fields: Sequence[str], end: str) -> list[dict[str, str]]:
    """Records of as many fields; what is cut short is left out."""
    parts = output.split(end)
    parts.pop()  # what follows the last separator
    size = len(fields)
    found = []
    for start in range(0, len(parts) - size + 1, size):
        values = parts[start : start + size]
        values[0] = values[0].lstrip("\n")
        found.append(dict(zip(fields, (value.rstrip(" ") for value in values), strict=True)))
    return found


def known(text: str) -> str:
    """Slurm's words for nothing -> nothing."""
    return "" if text in _NOTHING else text


def count(text: str) -> int:
    """A number, 0 for what is none."""
    return int(text) if text.isdecimal() and len(text) < 16 else 0


@lru_cache(4096)
def moment(text: str) -> datetime | None:
    """SLURM_TIME_FORMAT=%s."""
    if not text.isdecimal() or not 0 < len(text) < 12:
        return None
    return datetime.fromtimestamp(int(text), UTC)


@lru_cache(4096)
def span(text: str) -> float | None:
    """Seconds of `D-HH:MM:SS`, `HH:MM:SS`, `MM:SS`; None for UNLIMITED and what is no time."""
    match = re.fullmatch(r"(?:(\d{1,6})-)?(?:(\d{1,6}):)?(\d{1,6}):(\d\d)", text, re.ASCII)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


@lru_cache(4096)
def amount(text: str) -> int:
    """Bytes of `300M`, `4G`, `16000` (MB)."""
    match = re.fullmatch(r"(\d{1,15})(?:\.(\d{1,6}))?([KMGTP]?)[nc]?", text, re.ASCII)
    if match is None:
        return 0
    return int(float(f"{match[1]}.{match[2] or 0}") * _UNITS[match[3]])


@lru_cache(4096)
def gpus(tres: str) -> int:
    """How many GPUs `gres:gpu:h100:2`, `gres/gpu=2,gres/gpu:h100=2`, `gpu:a100:4(S:0-1),gpu:t4:1` are."""
    plain, typed = 0, 0
    for item in re.sub(r"\([^)]*\)", "", tres).split(","):
        match = re.fullmatch(r"(?:gres[:/])?gpu(:[A-Za-z][^:=]*)?(?:[:=](\d{1,6}))?", item, re.ASCII)
        if match is not None:
            number = int(match[2]) if match[2] else 1
            plain, typed = (plain, typed + number) if match[1] else (plain + number, typed)
    return plain or typed
