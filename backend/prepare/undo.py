"""What has to be done so that nothing is left of what prepare made, but for what was changed since. Pure."""

from __future__ import annotations

from typing import Any

from backend.prepare import blocks, packages
from backend.prepare.plan import OUR_FOLDERS, Plan, Step, diff, shown
from backend.prepare.seen import Entry, Seen
from backend.prepare.wanted import MANIFEST, OURS


def unprepare(seen: Seen, *, remove_packages: bool = False) -> Plan:
    """Take away what berth made, and nothing that was changed since."""
    plan = Plan()
    for made in reversed(seen.made):
        if made.kind == "git":
            _git_away(plan, seen, made)
        elif made.kind == "packages":
            _packages_away(plan, seen, made, remove_packages)
    for made in reversed(seen.made):
        if made.kind == "block":
            _block_away(plan, seen, made)
        elif made.kind in ("file", "key"):
            _file_away(plan, seen, made)
        elif made.kind == "mode" and seen.at(made.path).mode == 0o700:
            wire = {"do": "chmod", "path": made.path, "mode": made.was, "forget": _as_entry(made)}
            plan.files.append(Step(wire, f"give {shown(made.path)}/ its mode {made.was:o} again"))
    folders = [made for made in reversed(seen.made) if made.kind == "folder"]
    for made in sorted(folders, key=lambda made: made.path in OUR_FOLDERS):
        if made.path == OURS:
            plan.files.append(Step({"do": "manifest", "path": MANIFEST}, ""))
        _folder_away(plan, seen, made)
    if seen.made and not any(step.wire["do"] == "manifest" for step in plan.files):
        plan.files.append(Step({"do": "manifest", "path": MANIFEST}, ""))
    return plan


def _as_entry(made: Entry) -> dict[str, Any]:
    return {"kind": made.kind, **{
        name: value for name in ("path", "key", "names") if (value := getattr(made, name))
    }}  # fmt: skip


def _git_away(plan: Plan, seen: Seen, made: Entry) -> None:
    forget = _as_entry(made)
    if seen.git.get(made.key) != made.value:
        plan.notes.append(f"git's {made.key} was changed since: left as it is")
        plan.files.append(Step({"do": "nothing", "path": "", "forget": forget}, ""))
        return
    wire = {"do": "git_unset", "key": made.key, "value": made.value, "empty": made.created, "forget": forget}
    plan.before.append(Step(wire, f"take {made.key} out of git's configuration"))


def _packages_away(plan: Plan, seen: Seen, made: Entry, remove: bool) -> None:
    names, forget = made.names.split(), _as_entry(made)
    if made.manager not in packages.MANAGERS or not names:
        return
    argv = packages.remove(made.manager, names, sudo=not seen.root)
    if remove and (seen.root or seen.sudo):
        plan.before.append(
            Step({"do": "command", "argv": argv, "forget": forget}, f"remove packages: {' '.join(argv[-1])}")
        )
        return
    said = "sudo " + " ".join(packages.remove(made.manager, names)[-1])
    plan.notes.append(f"packages stay, others may use them by now: {made.names}; to remove them: {said}")
    plan.files.append(Step({"do": "nothing", "path": "", "forget": forget}, ""))


def _block_away(plan: Plan, seen: Seen, made: Entry) -> None:
    place, forget = seen.at(made.path), _as_entry(made)
    wire: dict[str, Any]
    try:
        found = blocks.find(place.text) if place.kind == "file" else None
    except blocks.Broken:
        found = None
        plan.notes.append(
            f"{shown(made.path)}: berth's markers do not stand as a pair any more: left as it is"
        )
    if found is None or blocks.digest(found.text) != made.sha or not place.writable:
        if found is not None:
            plan.notes.append(
                f"{shown(made.path)}: what is between berth's markers was changed since: left as it is"
            )
        plan.files.append(Step({"do": "nothing", "path": "", "forget": forget}, ""))
        return
    text = blocks.take(place.text, joined=made.joined)
    if not text and made.created:
        wire = {"do": "remove", "path": made.path, "was": place.sha, "forget": forget}
        plan.files.append(Step(wire, f"remove {shown(made.path)}", tuple(diff(made.path, place.text, ""))))
        return
    wire = {"do": "write", "path": made.path, "was": place.sha, "text": text, "forget": forget}
    wire["mode"] = place.mode
    plan.files.append(
        Step(wire, f"take berth's lines out of {shown(made.path)}", tuple(diff(made.path, place.text, text)))
    )


def _file_away(plan: Plan, seen: Seen, made: Entry) -> None:
    place, forget = seen.at(made.path), _as_entry(made)
    if place.kind != "file" or place.sha != made.sha:
        if place.kind != "missing":
            plan.notes.append(f"{shown(made.path)} was changed since berth wrote it: left as it is")
        plan.files.append(Step({"do": "nothing", "path": "", "forget": forget}, ""))
        return
    says = f"remove {shown(made.path)}"
    if made.kind == "key":
        says += " and its public part; what trusts it will not let you in any more"
        public = f"{made.path}.pub"
        if seen.at(public).kind == "file":
            plan.files.append(Step({"do": "remove", "path": public, "was": seen.at(public).sha}, ""))
    wire = {"do": "remove", "path": made.path, "was": place.sha, "forget": forget}
    plan.files.append(Step(wire, says))


def _folder_away(plan: Plan, seen: Seen, made: Entry) -> None:
    forget = _as_entry(made)
    if seen.at(made.path).kind != "folder":
        plan.files.append(Step({"do": "nothing", "path": "", "forget": forget}, ""))
        return
    wire = {"do": "rmdir", "path": made.path, "forget": forget}
    plan.files.append(Step(wire, f"remove {shown(made.path)}/ if it is empty"))
