"""Building images through the engine's API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import IO, Any

from backend.engine.caller import Caller
from backend.engine.lane import Lane
from backend.engine.names import split_reference
from backend.errors import EngineError
from backend.text import printable


class Builds(Caller):
    """The part of the client that builds."""

    async def build(
        self, context: IO[bytes], reference: str, *, dockerfile: str, labels: Mapping[str, str] | None = None
    ) -> AsyncIterator[str]:
        """Build an image of a context (a tar, read while it is sent) and name it; what the builder says.

        Closing the iteration ends the build: the engine stops when its client goes away. Intermediate
        containers are removed, whatever happens. Raises `EngineError` with the step that failed.
        """
        name, tag = split_reference(reference)

        def work(lane: Lane) -> Iterator[Any]:
            return iter(
                lane.build(
                    fileobj=context,
                    custom_context=True,
                    dockerfile=dockerfile,
                    tag=f"{name}:{tag}",
                    labels=dict(labels or {}),
                    rm=True,
                    forcerm=True,
                    decode=True,
                )
            )

        async for line in self.stream(f"build {reference}", work):
            if not isinstance(line, dict):
                continue
            if error := line.get("error"):
                raise EngineError(f"{self.host}: {printable(str(error), 600)}")
            if text := line.get("stream") or line.get("status"):
                yield str(text)
