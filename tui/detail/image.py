"""Details of an image: where it is, how fresh, who uses it, what it runs, and its layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backend import text as words
from backend.errors import BerthError
from backend.imagelines import NAMELESS, ImageLine
from backend.text import printable
from tui import cells
from tui.builds import columns
from tui.columns import Cell
from tui.detail import imagefacts
from tui.detail.page import Page, Sheet, View
from tui.views.imagecells import STYLES, state

if TYPE_CHECKING:
    from backend.images.look import ImageFacts

_HOSTS = 200
_BUILDS = 8
_OURS = "berth."
"""Labels that berth puts on what it builds: what they mean is shown as freshness."""
_FOLDED = 200
"""Characters of a layer's command; `berth image layers --full` shows all of it."""


def page(target: ImageLine, view: View) -> Page:
    """The page of an image."""
    sheet = Sheet()
    _what(sheet, target, view)
    _where(sheet, target, view)
    _builds(sheet, target, view)
    if target.id:
        found = imagefacts.known(target.id)
        if found is None:
            sheet.heading("Layers", (("...", "dim"),))
        elif isinstance(found, BerthError):
            sheet.heading("Layers")
            sheet.text((("! ", "warn"), *cells.plain(found.message)))
        else:
            _runs(sheet, found)
            _layers(sheet, found, view)
    title = cells.join(cells.plain(target.name), cells.plain(target.id[:12], "dim"), state(target))
    return Page(("image", target.name, target.id), title, sheet)


def _what(sheet: Sheet, target: ImageLine, view: View) -> None:
    if target.differs:
        sheet.text((("≠ ", "warn"), ("Other hosts have another image under this name.", "")))
    if target.name == NAMELESS:
        sheet.text((("It has no name: another image took it, or it never had one.", "dim"),))
    if target.recipe:
        sheet.field("recipe", cells.plain(target.recipe, "accent"), state(target))
        if git := imagefacts.git_of(target.recipe):
            sheet.field("git", cells.plain(git, "warn"))
    tags = dict.fromkeys(tag for each in target.places for tag in each.tags)
    if tags:
        sheet.field("tags", *(cells.plain(tag) for tag in tags))
    if target.id:
        sheet.field("id", cells.plain(target.id, "dim"))
    digests = dict.fromkeys(digest for each in target.places for digest in each.digests)
    for digest in digests:
        sheet.field("digest", cells.plain(digest, "dim"))
    shared = next((each.shared_size for each in target.places if each.shared_size is not None), None)
    if target.size is not None:
        note = f"{words.size(shared)} of it shared with other images" if shared else ""
        sheet.field("size", cells.plain(words.size(target.size)), cells.plain(note, "dim") if note else ())
        sheet.field("created", view.clock(target.created_at))
    labels = {key: value for each in target.places for key, value in each.labels.items()}
    shown = {key: value for key, value in labels.items() if not key.startswith(_OURS)}
    if shown:
        sheet.field("labels", *(cells.plain(f"{key}={value}") for key, value in shown.items()))


def _where(sheet: Sheet, target: ImageLine, view: View) -> None:
    if not target.places:
        sheet.text((("No host has it.", "dim"),))
        return
    sheet.heading("On", cells.plain(f"{len(target.places)} host{'s' * (len(target.places) > 1)}", "dim"))
    rows: list[Sequence[Cell]] = [
        (
            cells.plain(each.host, "dim" if each.stale else ""),
            ((f"{each.state or '-'}", STYLES.get(each.state or "", "dim")),),
            cells.plain(", ".join(each.used_by)) if each.used_by else (("nobody", "dim"),),
        )
        for each in target.places[:_HOSTS]
    ]
    sheet.table(("HOST", "STATE", "USED BY"), rows)


def _builds(sheet: Sheet, target: ImageLine, view: View) -> None:
    """What became of its recipe's last builds."""
    found = imagefacts.builds_of(target.recipe)[:_BUILDS]
    if not found:
        return
    sheet.heading("Builds", (("B shows their steps and logs", "dim"),))
    rows: list[Sequence[Cell]] = [
        (
            cells.age(each.created_at, view.now),
            cells.plain(each.host),
            columns.state(each),
            cells.duration(each.seconds),
            cells.plain(columns.said(each), "dim"),
        )
        for each in found
    ]
    sheet.table(("AGO", "HOST", "STATE", "TOOK", "WHY"), rows, ("right", "left", "left", "right"))


def _runs(sheet: Sheet, facts: ImageFacts) -> None:
    sheet.heading("Runs")
    for title, value in (
        ("entrypoint", " ".join(facts.entrypoint)),
        ("command", " ".join(facts.command)),
        ("user", facts.user),
        ("workdir", facts.workdir),
        ("ports", " ".join(facts.ports)),
        ("volumes", " ".join(facts.volumes)),
        ("platform", facts.platform),
        ("author", facts.author),
    ):
        if value:
            sheet.field(title, cells.plain(value))
    if facts.env:
        sheet.field("env", *(cells.plain(each) for each in facts.env))


def _layers(sheet: Sheet, facts: ImageFacts, view: View) -> None:
    real = sum(step.size > 0 for step in facts.layers)
    sheet.heading("Layers", cells.plain(f"{real} with data, the lowest first", "dim"))
    rows: list[Sequence[Cell]] = [
        (
            cells.size(step.size) if step.size else (("", ""),),
            cells.age(step.created_at, view.now),
            _command(step.command or step.comment, bool(step.size)),
        )
        for step in facts.layers
    ]
    sheet.table(("SIZE", "MADE", "COMMAND"), rows, ("right", "right"))


def _command(text: str, data: bool) -> Cell:
    first, _, rest = printable(text, _FOLDED).partition(" ")
    return ((first, "accent" if data else "dim"), (f" {rest}" if rest else "", "" if data else "dim"))
