"""How long to wait before the next attempt: pure, so that its promises can be tested."""

from __future__ import annotations

import random

from backend.errors import HostError, HostKeyChanged, HostKeyUnknown, LoginRefused

NETWORK_MAX = 8.0
"""Seconds between attempts while a host does not answer. With the 5 s a connection may take to fail this
keeps the promise that a host is back on the screen within 15 s of its return, however long it was away."""
REFUSED_MAX = 60.0
"""Seconds between attempts where a person has to act first: servers lock out who knocks too often."""


def delay(error: HostError, attempt: int) -> float:
    """Seconds until the next attempt after the `attempt`-th failure in a row (from 1), with jitter.

    Never more than the maximum of its kind; at least 60 % of it, so that hosts behind one fault spread out.
    """
    patient = isinstance(error, LoginRefused | HostKeyUnknown | HostKeyChanged)
    first, longest = (5.0, REFUSED_MAX) if patient else (1.0, NETWORK_MAX)
    full: float = min(longest, first * 2.0 ** min(attempt - 1, 10))
    return full * random.uniform(0.6, 1.0)  # noqa: S311  # jitter, not a secret
