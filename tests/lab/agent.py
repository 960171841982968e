"""The agent as hosts keep it."""

from __future__ import annotations

import functools
import zlib

from backend import loader
from backend.bundle import agent_zipapp


@functools.cache
def kept_agent() -> bytes:
    """What stands in `~/.cache/berth` once berth was there: compiled, or each start takes twice as long."""
    data = agent_zipapp()[0]
    return loader.compiled(data, zlib.crc32(data))
