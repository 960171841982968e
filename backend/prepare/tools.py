"""`berth install` and `berth uninstall`: packages, the toolkit and the tuned environment in a container."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend import toolkit
from backend.actions.container_look import Lines
from backend.errors import ActionFailed, UsageError
from backend.prepare import blocks, host, inside, packages, plan
from backend.prepare.inside import Inside, Manifest
from backend.prepare.work import as_data, perform, show
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.engine import EngineClient
    from backend.model import ContainerRow

RC = ".bashrc"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,99}")
_PART = "bin"


@dataclass(frozen=True)
class Asked:
    """What is to be installed."""

    packages: tuple[str, ...]
    """By Debian's names."""
    environment: bool = True
    """The toolkit, and that shells load it."""
    user: str = ""
    """Whose shells; empty: the context's user, else the container's own."""
    dry_run: bool = False


def packages_of(names: Sequence[str]) -> tuple[str, ...]:
    """Names of packages that people typed. Raises `UsageError` for what cannot be one."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name[:60]!r} cannot be a package's name.")
    return tuple(names)


def hook(shared: str) -> str:
    """The block in ~/.bashrc inside; the profile `raw` switches it off (`berth context toggle`)."""
    folder = f'"$HOME"/{shlex.quote(shared)}'
    load = f"[ ! -r {folder}/bin/contenv ] || {{ BERTH_SHARED={folder}; . {folder}/bin/contenv; }}"
    return blocks.render(f'[ "${{BERTH_PROFILE:-tuned}}" = raw ] || {load}')


class Install:
    """One container being given tools."""

    def __init__(self, ctx: ActionContext, row: ContainerRow, engine: EngineClient, asked: Asked) -> None:
        self.ctx, self.row, self.engine, self.asked = ctx, row, engine, asked
        self.where = f"{row.name} on {row.host}"
        self.shared = ctx.config.settings.folders.shared
        self.user = asked.user or _user(ctx, row)
        self.id = row.id or row.name
        self.changes: list[str] = []
        self.notes: list[str] = []

    async def run(self) -> str:
        """Look, say what will be done, do it; what was done, in one line."""
        folder = f"{self.shared}/{_PART}"
        paths = [RC, self.shared, folder, *(f"{folder}/{name}" for name in toolkit.TOOLS)]
        found = await inside.look(self.engine, self.id, self.user, paths)
        steps = [*await self._packages(found)]
        if self.asked.environment:
            steps += await self._environment(found)
        self.ctx.give({"dry_run": self.asked.dry_run, "changes": self.changes, "notes": self.notes})
        for note in self.notes:
            self.ctx.report(f"note: {note}")
        left = f"; {len(self.notes)} noted above" if self.notes else ""
        if not steps:
            return f"{self.where} has it all already{left}"
        if self.asked.dry_run:
            for change in self.changes:
                self.ctx.report(change)
            return f"{len(steps)} steps would be done in {self.where}{left}"
        for number, (says, step) in enumerate(steps, 1):
            self.ctx.report(f"step {number} of {len(steps)}: {says}")
            await step()
        return f"{self.where}: {len(steps)} step{'' if len(steps) == 1 else 's'} done{left}"

    # ------------------------------------------------------------------------------- packages

    async def _packages(self, found: Inside) -> list[Any]:
        wanted = self.asked.packages
        if not wanted:
            return []
        if not found.manager:
            self.notes.append(
                f"no package manager that berth knows is inside: {', '.join(wanted)} not installed"
            )
            return []
        names = packages.named(found.manager, wanted)
        gone = await inside.missing(self.engine, self.id, found.manager, names)
        if not gone:
            return []
        commands = packages.install(found.manager, gone)
        self.changes.append(f"install {', '.join(gone)}: {shlex.join(commands[-1])}")
        return [(f"install {', '.join(gone)}", lambda: self._install(found, gone, commands))]

    async def _install(self, found: Inside, names: list[str], commands: list[list[str]]) -> None:
        environment = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        for argv in commands:
            lines = Lines(self.ctx)
            done = await self.engine.exec(self.id, argv, user="0", env=environment, output=lines.feed)
            lines.end()
        if done.exit_code:
            raise ActionFailed(
                f"{self.where}: {shlex.join(argv)} ended with {done.exit_code}.",
                hint="Can it reach its package servers? Its own words are above.",
            )
        record = found.installed
        record.packages = sorted({*record.packages, *names})
        await self._write(found, {}, record)

    # ---------------------------------------------------------------------------- environment

    async def _environment(self, found: Inside) -> list[Any]:
        steps: list[Any] = []
        outside = inside.mounted(await self.engine.inspect(self.id), f"{found.home}/{self.shared}")
        files: dict[str, tuple[bytes, int]] = {}
        record = dataclasses.replace(found.installed)
        if outside:
            steps += await self._on_host(outside)
        else:
            files = self._toolkit(found, record)
        files |= await self._hook(found, record)
        if files:
            names = [path.rpartition("/")[2] for path in files]
            steps.append((f"write {', '.join(names)}", lambda: self._write(found, files, record)))
        return steps

    async def _on_host(self, folder: str) -> list[Any]:
        """The toolkit in the host's folder that the container has mounted, as its user there."""
        link = await self.ctx.link(self.row.host)
        names = {f"{folder}/{_PART}/{name}": toolkit.source(file) for name, file in toolkit.TOOLS.items()}
        seen = await host.look(link, [*plan.OUR_FOLDERS, f"{folder}/{_PART}", *names])
        if seen.problem:
            self.notes.append(f"your home on {self.row.host}: {seen.problem}; the toolkit was not written")
            return []
        made = plan.toolkit(seen, f"{folder}/{_PART}", names)
        self.notes += made.notes
        self.changes += [f"on {self.row.host}: {line}" for line in show(made) if not line.startswith("note")]
        if not made.steps:
            return []
        return [(f"put the toolkit into {folder}/{_PART} of {self.row.host}", lambda: self._perform(made))]

    async def _perform(self, made: plan.Plan) -> None:
        kept, self.ctx.data = self.ctx.data, as_data(made, dry_run=False)
        try:
            await perform(self.ctx, self.row.host, made)
        finally:
            self.ctx.data = kept

    def _toolkit(self, found: Inside, record: Manifest) -> dict[str, tuple[bytes, int]]:
        """The scripts that are not there yet, or are ours of an older berth."""
        files: dict[str, tuple[bytes, int]] = {}
        record.files = dict(record.files)
        for name, file in toolkit.TOOLS.items():
            path, data = f"{self.shared}/{_PART}/{name}", toolkit.source(file).encode()
            sum_ = inside.digest(data)
            if found.sums.get(path) == sum_:
                record.files.setdefault(path, sum_)
                continue
            if path in found.kinds and found.sums.get(path) != record.files.get(path, "-"):
                self.notes.append(f"~/{path} is not as berth wrote it: left as it is")
                continue
            files[path] = (data, 0o755)
            record.files[path] = sum_
            self.changes.append(f"write ~/{path}")
        new = [path for path in (self.shared, f"{self.shared}/{_PART}") if path not in found.kinds]
        record.folders = list(dict.fromkeys([*record.folders, *(new if files else ())]))
        return files

    async def _hook(self, found: Inside, record: Manifest) -> dict[str, tuple[bytes, int]]:
        """~/.bashrc inside with our block, where it has to be written."""
        lines = hook(self.shared)
        if not found.bash:
            self.notes.append("there is no bash inside: shells there load no environment by themselves")
            return {}
        if found.kinds.get(RC, "file") != "file":
            self.notes.append(
                f"~/{RC} inside is a {found.kinds[RC]}: left as it is; add to it: {lines.split(chr(10))[1]}"
            )
            return {}
        text = await inside.text_of(self.engine, self.id, self.user, RC)
        try:
            block = blocks.find(text)
        except blocks.Broken:
            self.notes.append(f"~/{RC} inside: berth's markers do not stand as a pair: left as it is")
            return {}
        if block is not None and block.text == lines:
            return {}
        if block is not None and blocks.digest(block.text) != record.block:
            self.notes.append(f"~/{RC} inside: what is between berth's markers was changed: left as it is")
            return {}
        if block is None:
            record.created, record.joined = RC not in found.kinds, blocks.joined(text)
        record.block = blocks.digest(lines)
        self.changes.append(f"let shells load the environment, in ~/{RC}: {lines.split(chr(10))[1]}")
        return {RC: (_bytes(blocks.put(text, lines)), await self._mode(f"{found.home}/{RC}"))}

    async def _mode(self, path: str) -> int:
        status = await self.engine.stat(self.id, path)
        return status.mode & 0o777 if status else 0o644

    async def _write(self, found: Inside, files: dict[str, tuple[bytes, int]], record: Manifest) -> None:
        record.packages = found.installed.packages
        files = files | {inside.MANIFEST: (record.text().encode(), 0o644)}
        await inside.place(self.engine, self.id, self.user, found, files)


async def uninstall(ctx: ActionContext, row: ContainerRow, *, user: str, dry_run: bool) -> str:
    """Take the toolkit and the environment out of a container again; what was changed since stays."""
    engine = await ctx.engine(row.host)
    who, container = user or _user(ctx, row), row.id or row.name
    found = await inside.look(engine, container, who, [RC, inside.MANIFEST])
    record, where = found.installed, f"{row.name} on {row.host}"
    notes: list[str] = []
    text = await inside.text_of(engine, container, who, RC) if record.block else ""
    without = _without(text, record, notes)
    gone = [path for path, total in record.files.items() if found.sums.get(path) == total]
    notes += [
        f"~/{path} was changed since berth wrote it: left as it is"
        for path in record.files
        if path not in gone and path in found.kinds
    ]
    shared = ctx.config.settings.folders.shared
    if outside := inside.mounted(await engine.inspect(container), f"{found.home}/{shared}"):
        notes.append(f"the toolkit in {outside}/{_PART} of {row.host} stays, other containers may use it")
    if record.packages:
        notes.append(f"packages stay: {' '.join(record.packages)}")
    changes = [
        *([f"take berth's lines out of ~/{RC}"] if without is not None else []),
        *(f"remove ~/{path}" for path in gone),
    ]
    ctx.give({"dry_run": dry_run, "changes": changes, "notes": notes})
    for line in [*changes, *(f"note: {note}" for note in notes)]:
        ctx.report(line)
    if inside.MANIFEST not in found.kinds:
        return f"berth install put nothing into the home of {where}"
    if dry_run:
        return f"{len(changes)} changes would be made in {where}"
    await ctx.agree(f"Take berth's toolkit and environment out of {where}?", f"{where} was left as it is.")
    if without or (without == "" and not record.created):
        status = await engine.stat(container, f"{found.home}/{RC}")
        mode = status.mode & 0o777 if status else 0o644
        await inside.place(engine, container, who, found, {RC: (_bytes(without), mode)})
    elif without is not None:
        gone.append(RC)
    await inside.remove(engine, container, who, [*gone, inside.MANIFEST, *reversed(record.folders)])
    return f"the environment is out of {where}"


def _without(text: str, record: Manifest, notes: list[str]) -> str | None:
    """~/.bashrc without our block; None: it stays as it is."""
    try:
        block = blocks.find(text)
    except blocks.Broken:
        block = None
    if block is None or blocks.digest(block.text) != record.block:
        if record.block:
            notes.append(f"~/{RC}: what is between berth's markers is not as it was: left as it is")
        return None
    return blocks.take(text, joined=record.joined)


def _bytes(text: str) -> bytes:
    """A file's text as it was read."""
    return text.encode("utf-8", "surrogateescape")


def _user(ctx: ActionContext, row: ContainerRow) -> str:
    """Who shells inside run as: the context says, else the image."""
    named = next((each for each in ctx.config.contexts if each.name == row.context), None)
    return printable(named.user) if named else ""
