"""Pages name what there is: findings of the doctor, errors, settings, files that links lead to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backend import doctor, errors, shipping
from backend.building import records
from backend.queues import base
from tests.docs.commands import PAGES, ROOT


def headings(page: Path) -> list[str]:
    """Anchors of a page, as forges make them of headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    found: list[str] = []
    for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
        count = sum(
            each == plain or re.fullmatch(rf"{re.escape(plain)}-\d+", each) is not None for each in found
        )
        found.append(f"{plain}-{count}" if count else plain)
    return found


def steps() -> list[str]:
    every = (doctor._NETWORK_STEPS, doctor._HOST_STEPS, doctor._QUEUE_STEPS, doctor._CLUSTER_STEPS)
    return [*(step for some in every for step in some), "doctor"]


@pytest.mark.parametrize("step", steps())
def test_each_step_of_the_doctor_has_its_section(step: str) -> None:
    page, _, anchor = doctor.section(step).partition("#")
    assert anchor in headings(ROOT / page)


def kinds(of: type[errors.BerthError]) -> set[type[errors.BerthError]]:
    return {of, *(each for kind in of.__subclasses__() for each in kinds(kind))}


def test_each_error_has_its_section_with_its_exit_code() -> None:
    known = (shipping.NoPython, records.BuildFailed, base.Unanswered)
    text = (ROOT / doctor.PAGE).read_text("utf-8")
    for kind in kinds(errors.BerthError) - {errors.BerthError, errors.HostError}:
        if kind.__module__ == "backend.errors" or kind in known:
            section = re.search(rf"^### {kind.title}\n\nExit code (\d)\.", text, re.MULTILINE)
            assert section, kind.title
            assert int(section[1]) == kind.exit_code, kind.title


def test_a_finding_names_its_section_where_it_failed() -> None:
    said: list[doctor.Check] = []
    from backend.config import HostConfig

    examination = doctor._Examination(HostConfig(name="h", host="192.0.2.1"), said.append)
    examination._say("queue dir", False, "it is a link")
    examination._say("tmux", None, "not installed")
    assert [each.see for each in said] == ["docs/troubleshooting.md#queue-dir", ""]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor and file.suffix == ".md":
            assert anchor in headings(file), f"{page.name}: {target}"


def test_every_page_can_be_found_from_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text("utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_say_nothing_of_the_place_they_were_written_at(page: Path) -> None:
    assert str(ROOT) not in page.read_text("utf-8")
