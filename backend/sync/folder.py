"""`pushdir` and `pulldir`: one folder takes the place of another, at once, when all of it has arrived."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import structs

from backend import rsync
from backend.config import Keeping, SyncProfile, SyncRule, state_dir
from backend.errors import ActionFailed, BerthError, NoSuchTarget, Refused, UsageError
from backend.sync.engine import Done, HostSync, Progress, Wish, new_run, owner
from backend.sync.looking import Paths
from backend.sync.model import Kind, Plan, Way, size_of
from backend.sync.plan import Options
from backend.sync.transfer import PROGRESS, explained
from backend.text import size

if TYPE_CHECKING:
    from backend.sync.many import Many

LAST = "last-folder"
_DOES: tuple[Kind, ...] = ("new", "changed", "deleted", "kind")
"""Changes for which the folder is replaced."""


def rule_of(said: str) -> SyncRule:
    """The rule for a folder as it is written: below both homes, or the same full path on both sides.

    `./x` starts at the current folder. Raises `UsageError`.
    """
    home = os.path.expanduser("~")
    path = os.path.expanduser(said)
    if said in (".", "..") or said.startswith(("./", "../")):
        path = os.path.join(os.getcwd(), said)
    path = os.path.normpath(os.path.join(home, path))
    if path.startswith(home.rstrip("/") + "/"):
        path = os.path.relpath(path, home)
    elif path == home or path.count("/") < 2:
        raise UsageError(f"{said!r} would replace all of {path}.", hint="Name a folder in it.")
    return SyncRule(source=path, target=path, delete=True, update=False)


def wish(said: str, verb: Way, keeping: Keeping | None = None) -> Wish:
    """What `pushdir` and `pulldir` are about. Nothing said: the folder that was replaced last."""
    if not said:
        with suppress(OSError):
            said = (state_dir() / LAST).read_text(encoding="utf-8").strip()
    if not said:
        raise UsageError("no folder is named, and none was used yet.")
    rule = rule_of(said)
    rule = SyncRule(source=rule.source, target=rule.target, delete=True, update=False, direction=verb)
    kept = structs.asdict(keeping) if keeping is not None else {}
    profile = SyncProfile(name=f"{verb}dir", rules=(rule,), **kept)
    return Wish(profile, Options(verb, on_conflict="mine" if verb == "push" else "theirs"))


class FolderSync(HostSync):
    """The same as a `HostSync`, but the folder is replaced as a whole."""

    async def plan(self, paths: Paths | None = None) -> Plan:
        """Look at both sides; the plan says where the old folder is more than is kept."""
        plan = await super().plan(paths)
        lost = self._replaced(plan)
        profile = self.wish.profile
        if plan.refusal or not plan.of(*_DOES) or (profile.keep_days and lost <= profile.keep_size):
            return plan
        pair = self.wish.pairs[0]
        name = pair.there if self._way == "push" else pair.here
        kept = f"{size(lost)} are more than keep_size" if profile.keep_days else "keep_days is 0"
        why = f"replacing {name} cannot be undone: {kept}"
        return structs.replace(plan, final=why)

    @property
    def _way(self) -> Way:
        return "push" if self.wish.options.verb == "push" else "pull"

    def _replaced(self, plan: Plan) -> int:
        """Bytes of the old folder that the new one does not have."""
        return sum(size_of(each.there if each.way == "push" else each.here) for each in plan.changes)

    async def apply(
        self,
        plan: Plan,
        progress: Progress = lambda done, total: None,
        approved: frozenset[tuple[str, int, bytes]] | None = None,
    ) -> Done:
        """Bring the folder over beside the old one, then let them change places."""
        way = self._way
        mine, theirs = self.seen[0]
        source, target = (mine, theirs) if way == "push" else (theirs, mine)
        if not source.there:
            raise NoSuchTarget(f"{source.root} is not there.")
        if plan.refusal:
            raise Refused(f"{self.host}: nothing is replaced: {plan.refusal}")
        if approved is not None and not plan.deletions() <= approved:
            raise Refused(f"{self.host}: more would be deleted than was shown.", hint="Look at it again.")
        done = Done(run="", started_at=datetime.now(UTC))
        if not plan.of(*_DOES):
            self._used()
            return done
        if not self.rsync:
            raise ActionFailed(f"{self.host} has no rsync.", hint="Install it there: sudo apt install rsync")
        receiver = self.receiver(way)
        await receiver.ask("lock", targets=[target.root], owner=owner(self.wish.profile.name))
        try:
            await self._replace(plan, way, done, progress)
        finally:
            with suppress(BerthError, OSError):
                await receiver.ask("unlock")
        self._used()
        if plan.final:
            done.notes.append(f"the old folder was not kept: {plan.final}")
        files = [each for each in plan.changes if not each.folder]
        done.new = sum(each.kind == "new" for each in files)
        done.changed = sum(each.kind in ("changed", "kind") for each in files)
        done.deleted = sum(each.kind == "deleted" for each in files)
        done.size = sum(each.size for each in files if each.kind != "deleted")
        return done

    async def _replace(self, plan: Plan, way: Way, done: Done, progress: Progress) -> None:
        receiver = self.receiver(way)
        mine, theirs = self.seen[0]
        source, target = (mine.root, theirs.root) if way == "push" else (theirs.root, mine.root)
        run = new_run()
        parent, name = os.path.split(target.rstrip("/"))
        staged = os.path.join(parent, f".berth-new-{name}")
        total = sum(each.size for each in plan.of("new", "changed"))
        keep = not plan.final  # as it was shown and agreed to
        await receiver.ask(
            "begin",
            run=run,
            profile=self.wish.profile.name,
            by=owner("").partition(" (")[0],
            at=done.started_at.isoformat(),
            targets=[target],
            bases=[],
            folders=[staged],
            private=[],
            keep=keep,
            size=total,
            beside=[staged],
        )
        await self._carry(way, source, staged, target, lambda moved: progress(min(moved, total), total))
        await receiver.ask("swap", staged=staged, target=target, keep=keep)
        profile = self.wish.profile
        answer, _ = await receiver.ask(
            "finish", bases=[], whole=True, days=profile.keep_days, most=profile.keep_size
        )
        if answer["kept"]:
            done.run, done.kept = run, 1
            done.kept_at[way] = target

    def _used(self) -> None:
        """This folder is meant the next time, where none is named."""
        with suppress(OSError):
            state_dir().mkdir(parents=True, exist_ok=True, mode=0o700)
            (state_dir() / LAST).write_text(self.wish.profile.rules[0].source, encoding="utf-8")

    async def _carry(self, way: Way, source: str, staged: str, target: str, progress: object) -> None:
        link = await self.access.link(self.host)
        argv = ["-rltE", "--delete", "--info=progress2", "--outbuf=N", f"--copy-dest={target}"]
        here, there = (source, staged) if way == "push" else (staged, source)
        ends = [f"{here}/", f"{rsync.REMOTE}:{there}/"]

        def heard(piece: bytes) -> None:
            for match in PROGRESS.finditer(piece):
                progress(int(match[1].replace(b",", b"")))  # type: ignore[operator]

        ended = await rsync.rsync(link, [*argv, *(ends if way == "push" else ends[::-1])], heard=heard)
        if ended.returncode:
            raise explained(self.host, ended)


def as_folders(many: Many) -> None:
    """Let a `Many` replace folders."""
    for host, one in many.hosts.items():
        one.sync = FolderSync(many.access, host, many.wish, many.here)
