"""What has to be done so that a host is as it is wanted, step by step, with words for people. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from backend.prepare import blocks, packages
from backend.prepare.seen import Place, Seen
from backend.prepare.wanted import KEY, MANIFEST, OURS, Hook, Wanted, hooks

_FILE_MODE = 0o644
OUR_FOLDERS = (OURS.partition("/")[0], OURS.rpartition("/")[0], OURS)
"""Those that berth's own files need, outermost first."""


@dataclass(frozen=True)
class Step:
    """One change."""

    wire: dict[str, Any]
    """What the host's side is told, but for its number."""
    says: str
    """`make ~/shared/bin`."""
    diff: tuple[str, ...] = ()
    """Of a file: its lines that come and go."""


@dataclass
class Plan:
    """All changes in their order, and what cannot be done."""

    before: list[Step] = field(default_factory=list)
    """Each for itself, before the files."""
    files: list[Step] = field(default_factory=list)
    """All or none of them."""
    after: list[Step] = field(default_factory=list)
    """Each for itself, after the files."""
    notes: list[str] = field(default_factory=list)
    """What is left as it is, and why; what is missing, and who can do something about it."""

    @property
    def steps(self) -> list[Step]:
        """All, in their order, but for the manifest."""
        return [each for each in (*self.before, *self.files, *self.after) if each.says]


def entry(**values: Any) -> dict[str, Any]:
    """A manifest's entry as the host's side writes it."""
    return values


def prepare(wanted: Wanted, seen: Seen, address: str) -> Plan:
    """What is missing on a host; nothing where it is prepared."""
    plan = Plan()
    _folders(plan, wanted, seen)
    for path, text in wanted.files.items():
        _file(plan, seen, path, text)
    kinds = {path: place.kind for path, place in seen.files.items()}
    ours = {each.path for each in seen.made if each.kind == "block" and each.created}
    for hook in hooks({path: kind for path, kind in kinds.items() if path not in ours}, seen.shell):
        _hook(plan, seen, hook)
    if wanted.key:
        _key(plan, seen, address)
    _packages(plan, seen)
    _git(plan, wanted, seen)
    return finished(plan)


def finished(plan: Plan) -> Plan:
    """The plan, with the manifest written after its files."""
    if plan.files:
        plan.files.append(Step({"do": "manifest", "path": MANIFEST}, ""))
    return plan


def toolkit(seen: Seen, folder: str, files: dict[str, str]) -> Plan:
    """The scripts of the toolkit in a folder, wherever that is; they can be run."""
    plan = Plan()
    for path in OUR_FOLDERS:
        if seen.at(path).kind == "missing":
            _make(plan, path, 0o755)
    if seen.at(folder).kind == "missing":
        _make(plan, folder, 0o755)
    for path, text in files.items():
        _file(plan, seen, path, text, 0o755)
    return finished(plan)


def _make(plan: Plan, path: str, mode: int) -> None:
    says = f"make {shown(path)}/" + (f" with mode {mode:o}" if mode != 0o755 else "")
    record = entry(kind="folder", path=path)
    plan.files.append(Step({"do": "folder", "path": path, "mode": mode, "record": record}, says))


def shown(path: str) -> str:
    """A path for people: below the home, or as it is."""
    return path if path.startswith("/") else f"~/{path}"


def _folders(plan: Plan, wanted: Wanted, seen: Seen) -> None:
    blocked: list[str] = []
    for path, mode in wanted.folders.items():
        place = seen.at(path)
        if any(path.startswith(f"{each}/") for each in blocked):
            continue
        if place.kind == "missing":
            _make(plan, path, mode)
        elif place.kind == "folder":
            if mode == 0o700 and place.mode != mode and path != ".ssh":
                record = entry(kind="mode", path=path, was=place.mode)
                says = f"give {shown(path)}/ mode 700, it has {place.mode:o}"
                plan.files.append(Step({"do": "chmod", "path": path, "mode": mode, "record": record}, says))
        elif not (place.kind == "link" and place.folder):
            blocked.append(path)
            plan.notes.append(f"{shown(path)} is there and is no folder: nothing is made of it or in it")


def _file(plan: Plan, seen: Seen, path: str, text: str, mode: int = _FILE_MODE) -> None:
    """A file that is all ours."""
    place = seen.at(path)
    if place.kind == "file" and place.text == text and place.mode & 0o777 == mode:
        return
    if place.kind != "missing":
        known = [each.sha for each in seen.made if each.kind == "file" and each.path == path]
        if place.kind != "file" or place.sha not in known:
            plan.notes.append(f"{shown(path)} was changed since berth wrote it: left as it is")
            return
    record = entry(kind="file", path=path, sha=blocks.digest(text))
    plan.files.append(write(path, place, text, mode, record))


def write(path: str, place: Place, text: str, mode: int, record: dict[str, Any]) -> Step:
    """The step that gives a file this text."""
    wire = {"do": "write", "path": path, "was": place.sha, "text": text, "mode": mode, "record": record}
    says = f"{'make' if place.kind == 'missing' else 'change'} {shown(path)}"
    return Step(wire, says, tuple(diff(path, place.text, text)))


def _hook(plan: Plan, seen: Seen, hook: Hook) -> None:
    """A block in a file of the user's."""
    place = seen.at(hook.path)
    line = hook.text.split("\n")[1]
    by_hand = f"add this line to it yourself: {line}"
    if place.kind == "link":
        plan.notes.append(f"{shown(hook.path)} is a link to {place.target}: left as it is; {by_hand}")
        return
    if place.kind not in ("file", "missing") or not place.writable:
        why = place.error or "it may not be written"
        plan.notes.append(f"{shown(hook.path)} is left as it is ({why}); {by_hand}")
        return
    try:
        found = blocks.find(place.text)
    except blocks.Broken:
        plan.notes.append(
            f"{shown(hook.path)}: the markers {blocks.BEGIN!r} and {blocks.END!r} do not stand as a pair: "
            f"left as it is; mend them, or {by_hand}"
        )
        return
    if found is not None and found.text == hook.text:
        return
    known = [each for each in seen.made if each.kind == "block" and each.path == hook.path]
    if found is not None and blocks.digest(found.text) not in [each.sha for each in known]:
        plan.notes.append(f"{shown(hook.path)}: what is between berth's markers was changed: left as it is")
        return
    created = place.kind == "missing" or any(each.created for each in known)
    joined = blocks.joined(place.text) if found is None else any(each.joined for each in known)
    sha = blocks.digest(hook.text)
    record = entry(kind="block", path=hook.path, sha=sha, created=created, joined=joined)
    text = blocks.put(place.text, hook.text, top=hook.top)
    mode = place.mode if place.kind == "file" else _FILE_MODE
    plan.files.append(write(hook.path, place, text, mode, record))


def _key(plan: Plan, seen: Seen, address: str) -> None:
    if seen.at(KEY).kind != "missing" or seen.at(f"{KEY}.pub").kind != "missing":
        public = seen.at(f"{KEY}.pub").text.strip()
        plan.notes.append(f"~/{KEY} is there already" + (f"; its public part: {public}" if public else ""))
        return
    wire = {
        "do": "key_make",
        "path": KEY,
        "comment": f"berth deploy key of {seen.user}@{address}",
        "record": entry(kind="key", path=KEY),
    }
    plan.after.append(Step(wire, f"make a deploy key without a passphrase, ~/{KEY}"))


def _packages(plan: Plan, seen: Seen) -> None:
    if not seen.missing:
        return
    what = ", ".join(seen.missing)
    if not seen.manager:
        plan.notes.append(f"{what}: not installed, and there is no package manager that berth knows")
        return
    names = packages.named(seen.manager, seen.missing)
    if not seen.root and not seen.sudo:
        plan.notes.append(
            f"{what}: not installed, and you may not install it (sudo wants a password, or is not there); "
            f"an administrator can: {packages.for_people(seen.manager, names)}"
        )
        return
    argv = packages.install(seen.manager, names, sudo=not seen.root)
    record = entry(kind="packages", names=" ".join(names), manager=seen.manager)
    plan.after.append(
        Step({"do": "command", "argv": argv, "record": record}, f"install {what}: {' '.join(argv[-1])}")
    )


def _git(plan: Plan, wanted: Wanted, seen: Seen) -> None:
    if not wanted.git:
        return
    if "git" not in seen.programs and not ("git" in seen.missing and plan.after):
        plan.notes.append("git is not installed: its configuration was not looked at")
        return
    if seen.at(".gitconfig").kind == "link":
        plan.notes.append(f"~/.gitconfig is a link to {seen.at('.gitconfig').target}: left as it is")
        return
    for key, value in wanted.git.items():
        if seen.git.get(key) is None:
            made = seen.at(".gitconfig").kind == "missing"
            record = entry(kind="git", key=key, value=value, created=made)
            says = f"set git's {key} to {value}, it is not set"
            plan.after.append(Step({"do": "git_set", "key": key, "value": value, "record": record}, says))


def diff(path: str, old: str, new: str) -> Iterator[str]:
    """Lines that come and go, as `diff -u` shows them."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm="")
    for number, line in enumerate(lines):
        if number > 1:  # the names stand in the step's words
            yield line
