"""What all of the model is made of: numbers, times and texts that are checked as they are read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A number of things or bytes: never negative, and never so large that arithmetic with floats fails."""
Moment = Annotated[datetime, Meta(tz=True)]
"""A time that says its offset; agents send UTC."""
Percent = Annotated[float, Meta(ge=0, le=100)]
"""0-100."""
Short = Annotated[str, Meta(max_length=4096)]
"""A name or a line of text: a host cannot make us keep a megabyte of it."""
