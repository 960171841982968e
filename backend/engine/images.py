"""Images, as far as actions on containers and contexts need them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct

from backend.engine import faults
from backend.engine.caller import Caller
from backend.engine.lane import Lane
from backend.engine.names import split_reference
from backend.errors import BerthError, EngineError
from backend.text import printable
from backend.whole import whole

_COMMIT_GRACE = 30.0
"""Seconds a cancel waits for a commit that the engine cannot be told to stop."""


class PullProgress(Struct, frozen=True):
    """One line of a pull or push."""

    status: str
    layer: str = ""
    done: int | None = None
    """Bytes of this layer."""
    total: int | None = None


class _Id(Struct, frozen=True):
    Id: str


class Images(Caller):
    """The part of the client that deals with images."""

    async def images(self) -> list[dict[str, Any]]:
        """All tagged and dangling images, in the engine's own words."""
        return await self.call(
            "list images", lambda lane: msgspec.convert(lane.images(), list[dict[str, Any]])
        )

    async def inspect_image(self, image: str) -> dict[str, Any]:
        """Everything the engine knows of an image. Raises `NoSuchTarget`."""

        def ask(lane: Lane) -> dict[str, Any]:
            found: object = lane.inspect_image(image)  # type: ignore[no-untyped-call]
            return msgspec.convert(found, dict[str, Any])

        return await self.call(f"look at image {image}", ask)

    async def image_history(self, image: str) -> list[dict[str, Any]]:
        """How it was made, the newest step first, in the engine's own words. Raises `NoSuchTarget`."""

        def ask(lane: Lane) -> list[dict[str, Any]]:
            found: object = lane.history(image)  # type: ignore[no-untyped-call]
            return msgspec.convert(found, list[dict[str, Any]])

        return await self.call(f"look at the layers of {image}", ask)

    async def tag(self, image: str, reference: str) -> None:
        """Give an image another name. Raises `UsageError` for one that cannot be."""
        name, tag = split_reference(reference)
        await self.call(f"tag {reference}", lambda lane: lane.tag(image, name, tag))

    async def remove_image(self, image: str, *, force: bool = False) -> list[dict[str, Any]]:
        """Remove a name, and the image with its last one; what went, `{"Untagged": ...}`, `{"Deleted": ...}`.

        Large images take their time: a minute is allowed.
        """

        def work(lane: Lane) -> list[dict[str, Any]]:
            went = lane.remove_image(image, force=force)
            return msgspec.convert(went or [], list[dict[str, Any]])

        return await self.call(f"remove image {image}", work, timeout=60)

    async def pull(self, reference: str) -> AsyncIterator[PullProgress]:
        """Fetch an image from its registry. Raises `EngineError` with the registry's complaint."""
        name, tag = split_reference(reference)

        def work(lane: Lane) -> Iterator[Any]:
            return iter(lane.pull(name, tag=tag, stream=True, decode=True))

        async for line in self.stream(f"pull {reference}", work):
            yield _progress(line, self.host)

    async def push(self, reference: str) -> AsyncIterator[PullProgress]:
        """Give an image to its registry. Raises `EngineError` with the registry's complaint.

        Credentials are those of this machine's ~/.docker/config.json, by its credential helper where it has
        one; they travel in a header of this one request.
        """
        name, tag = split_reference(reference)

        def work(lane: Lane) -> Iterator[Any]:
            return iter(lane.push(name, tag=tag, stream=True, decode=True))

        async for line in self.stream(f"push {reference}", work):
            yield _progress(line, self.host)

    async def commit(
        self,
        container: str,
        reference: str,
        *,
        message: str = "",
        author: str = "",
        pause: bool = True,
        changes: Sequence[str] = (),
    ) -> str:
        """Make an image of a container, named `reference` once it is complete; its id.

        An engine cannot be told to stop a commit. A cancel therefore waits for its end, at most half a
        minute, and removes the nameless image.
        """
        name, tag = split_reference(reference)

        def work(lane: Lane) -> str:
            made = lane.commit(
                container,
                message=message or None,
                author=author or None,
                pause=pause,
                changes="\n".join(changes) or None,
            )
            return msgspec.convert(made, _Id).Id

        committing = asyncio.create_task(self.call(f"commit to {reference}", work, timeout=None))
        try:
            image = await asyncio.shield(committing)
            await whole(self.call(f"tag {reference}", lambda lane: lane.tag(image, name, tag)))
        except BaseException:
            await whole(self._take_back(committing))
            raise
        return image

    async def _take_back(self, committing: asyncio.Task[str]) -> None:
        """Remove what a commit made that nobody wants any more."""
        try:
            async with asyncio.timeout(_COMMIT_GRACE):
                image = await asyncio.shield(committing)
                await self.remove_image(image)
        except (BerthError, TimeoutError):
            committing.cancel()


def _progress(line: Any, host: str) -> PullProgress:
    if not isinstance(line, dict):
        return PullProgress(status="")
    if error := line.get("error"):
        said = printable(str(error), 600)
        raise EngineError(f"{host}: {said}", hint=faults.hint(said))
    detail = line.get("progressDetail")
    done = total = None
    if isinstance(detail, dict):
        with suppress(msgspec.ValidationError):
            done = msgspec.convert(detail.get("current"), int | None)
            total = msgspec.convert(detail.get("total"), int | None)
    return PullProgress(str(line.get("status", "")), str(line.get("id", "")), done, total)
