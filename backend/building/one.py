"""One recipe on one host: is it fresh, is its base there, bring its context, build, check."""

from __future__ import annotations

import asyncio
import getpass
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.building import fresh
from backend.building.bases import Bases
from backend.building.model import BuildState, Request
from backend.building.records import Record
from backend.errors import ActionFailed, BerthError, EngineError, HostError, NoSuchTarget, Refused
from backend.recipes.model import Rendered
from backend.whole import whole

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.building import remote
    from backend.building.following import Following
    from backend.building.glance import Engine, Glance, Looks

Say = Callable[[str], None]


class One:
    """A build that is to be done, or proves not to be needed."""

    def __init__(
        self,
        record: Record,
        rendered: Rendered,
        request: Request,
        *,
        source: Path | None,
        sending: asyncio.Semaphore | None = None,
    ) -> None:
        """`source`: the Dockerfile that people know."""
        self.record = record
        self.rendered = rendered
        self._request = request
        self._source = str(source or "")
        self._bases: dict[str, str] = {}
        self.sending = sending or asyncio.Semaphore(1)
        """Contexts that are on their way to the host at a time."""
        try:
            self._dockerfile = rendered.dockerfile.read_text("utf-8", "replace")
        except OSError as error:
            raise ActionFailed(f"{rendered.dockerfile} cannot be read: {error.strerror}.") from None

    async def stale(self, engine: Looks, bases: Bases) -> str:
        """Why it has to be built; empty where it is fresh. Looks at the engine, changes nothing."""
        if self._request.force or self._request.no_cache:
            return "it is asked for"
        ids = await asyncio.gather(*(bases.identity(engine, each) for each in self.rendered.images))
        self._bases = {name: id for name, id in zip(self.rendered.images, ids, strict=True) if id}
        try:
            found = await engine.inspect_image(self.rendered.tags[0])
        except NoSuchTarget:
            found = None
        why = fresh.reason(found, self.rendered, self._dockerfile, self._bases)
        if found is not None and not why:
            why = _nameless(found, self.rendered.tags[1:])
            self.record.update(self.record.build.to(self.record.build.state, image_id=str(found.get("Id"))))
        return why

    async def build(
        self, access: Access, bases: Bases, say: Say, *, lost: str, look: Glance | None = None
    ) -> None:
        """Build it. Raises what went wrong; a cancel ends the build on its host, whole."""
        from backend.building import remote
        from backend.building.following import Following

        record = self.record
        record.update(record.build.to(BuildState.SENDING))
        engine = await self._standing(access, bases, say, look)
        following = Following(record, self._dockerfile, say, source=self._source)
        asked = {
            "image": self.rendered.tags[0],
            "digest": self.rendered.digest,
            "recipe": self.rendered.recipe,
            "who": f"{getpass.getuser()}@{socket.gethostname()}",
            "mode": lost,
            "builder": self._builder(),
        }
        try:
            async with remote.begin(engine, **asked) as conversation:
                try:
                    if not await self._begin(conversation, following, engine, access, bases):
                        return
                    conversation.beat()
                    await following.events(conversation)
                except asyncio.CancelledError:
                    await whole(self._cancel(conversation))
                    raise
        except HostError as error:
            await self._lost(access, following, say, error)
        end = following.outcome()
        record.update(record.build.to(record.build.state, image_id=end.image, builder=end.builder))

    async def _standing(self, access: Access, bases: Bases, say: Say, look: Glance | None) -> Engine:
        """The engine to build with, once it has all that the image stands on."""
        if look is not None:
            with suppress(EngineError):
                await look.learn()
                look.forget()  # others may have removed or replaced one since the first look
                ids = [await bases.identity(look, each) for each in self.rendered.images]
                if all(ids):
                    self._bases = dict(zip(self.rendered.images, ids, strict=True))
                    return look
        engine = await access.engine(self.record.build.host)
        for reference in self.rendered.images:
            self._bases[reference] = await bases.have(engine, reference, say)
        return engine

    def _builder(self) -> str:
        if self._request.builder != "auto":
            return self._request.builder
        return "buildkit" if self.rendered.secrets or self.rendered.buildkit else "auto"

    async def _begin(
        self,
        conversation: remote.Remote,
        following: Following,
        engine: Engine,
        access: Access,
        bases: Bases,
    ) -> bool:
        """Wait for our turn and hand it over; False where somebody else built the same meanwhile."""
        from backend.building import remote, stage

        record, say = self.record, following.say
        secrets = {name: stage.secret(name, told) for name, told in self.rendered.secrets.items()}
        waited = False
        async for event in conversation.events():
            if isinstance(event, remote.Waiting):
                waited = True
                say(f"{event.who} builds {self.rendered.tags[0]} there: waiting")
                record.update(record.build.to(BuildState.WAITING, why=f"{event.who} builds it"))
            elif isinstance(event, remote.Running):  # joined
                record.update(record.build.to(BuildState.BUILDING, run=event.id, why="joined"))
                say("another berth of yours builds the same: joined")
                return True
            elif isinstance(event, remote.Send):
                if waited and not await self.stale(await access.engine(engine.host), bases):
                    record.update(record.build.to(BuildState.FRESH, why="somebody else built it"))
                    return False
                record.update(record.build.to(BuildState.SENDING))
                async with self.sending:
                    sent = await stage.bring(
                        engine.link,
                        self.rendered.folder,
                        f"{event.folder}/tree",
                        there=event.rsync,
                        say=say,
                        linked=self.rendered.linked,
                    )
                following.begin(event.builder)
                record.update(record.build.to(BuildState.SENDING, sent=sent, builder=event.builder))
                await conversation.say({"build": self._specification(secrets, event.builder)})
                return True
        raise ActionFailed(f"{engine.host}: the build did not begin.")

    def _specification(self, secrets: dict[str, bytes], builder: str) -> dict[str, object]:
        from backend.building import dockerlines, remote

        rendered, dockerfile = self.rendered, self._dockerfile
        labels = fresh.labels(rendered, dockerfile, self._bases)
        if builder == "classic" and not rendered.target:
            labelled = dockerlines.with_labels(dockerfile, labels)
            if labelled is not None:
                dockerfile, labels = labelled, {}
        return remote.specification(
            dockerfile=dockerfile,
            tags=rendered.tags,
            args=rendered.build_args,
            labels=labels,
            secrets=secrets,
            target=rendered.target,
            platform=rendered.platform,
            no_cache=bool(rendered.no_cache) or self._request.no_cache,
        )

    async def _cancel(self, conversation: remote.Remote) -> None:
        if self.record.build.run:
            await conversation.cancel()

    async def _lost(self, access: Access, following: Following, say: Say, error: HostError) -> None:
        """The link is gone: the build goes on there, and is found again when the host comes back."""
        record = self.record
        if not record.build.run:
            raise error
        say(f"{error.message} Waiting for the host to come back")
        record.update(record.build.to(BuildState.DETACHED, error=error.message))
        try:
            await following.again(access, record.build.host, record.build.run)
        except asyncio.CancelledError:
            await whole(self._cancel_there(access))
            raise
        record.update(record.build.to(BuildState.BUILDING, error=""))

    async def _cancel_there(self, access: Access) -> None:
        from backend.building import remote

        try:
            async with asyncio.timeout(20.0):
                link = await access.link(self.record.build.host)
                await remote.cancel(link, self.record.build.run)
        except (BerthError, TimeoutError):
            pass  # the record says that it goes on

    async def finish(self, access: Access, say: Say) -> None:
        """After it was built: prove that no private key is in it, where something private went by."""
        rendered, record = self.rendered, self.record
        check = self._request.check
        if check is None:
            check = bool(rendered.secrets)
        if not check:
            return
        from backend.images import keys

        engine = await access.engine(record.build.host)
        record.update(record.build.to(BuildState.CHECKING))
        say("looking for private keys in what was built")
        finds = await keys.find(engine, rendered.tags[0], "image")
        for each in finds:
            say(str(each) + ("" if each.blocking else "  (noted only)"))
        try:
            keys.refuse(finds, rendered.tags[0])
        except Refused:
            for tag in rendered.tags:
                with suppress(BerthError):
                    await engine.remove_image(tag)
            raise


def _nameless(found: dict[str, Any], tags: Sequence[str]) -> str:
    """Why an image that is fresh has to be built all the same: it lacks a name. Podman's names are longer."""
    has = [str(each) for each in found.get("RepoTags") or ()]
    for tag in tags:
        if not any(each == tag or each.endswith(f"/{tag}") for each in has):
            return f"it is not called {tag} yet"
    return ""
