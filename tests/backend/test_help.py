"""Help: as wide as the terminal, in words for people, with examples; and the manual page."""

from __future__ import annotations

import argparse
import functools
import shutil
import subprocess

import pytest

from backend import helptext
from backend.arguments import parser
from backend.examples import EXAMPLES, GENERAL
from backend.manpage import roff
from backend.manual import Page, chapters, pages
from tests.backend.test_cli import Berth, berth

__all__ = ["berth"]


@functools.cache
def root() -> argparse.ArgumentParser:
    return parser()


@functools.cache
def every() -> tuple[Page, ...]:
    return tuple(pages(root()))


def shown(page: Page, cells: int) -> str:
    return helptext.verb(page, EXAMPLES.get(" ".join(page.words), ()), cells)


@pytest.mark.parametrize("cells", [30, 80, 100])
def test_no_line_is_wider_than_the_terminal(cells: int) -> None:
    commands = {line for examples in (GENERAL, *EXAMPLES.values()) for line, _ in examples}
    for page in every()[1:]:
        for line in shown(page, cells).splitlines():
            alone = line.strip() in commands or " " not in line.strip() or line.startswith(("usage:", "  -"))
            assert len(line) <= cells or alone, (page.words, line)


def test_every_verb_says_what_it_is_about_and_what_each_option_does() -> None:
    for page in every()[1:]:
        assert page.about, page.words
        for names, about in (*page.options, *page.arguments):
            assert about, (page.words, names)
            assert "%(" not in about and "%%" not in about, (page.words, about)


def test_nothing_of_argparse_shows_through() -> None:
    for page in every()[1:]:
        text = shown(page, 80)
        for noise in ("positional arguments", "show this help message", "{auto,", "==SUPPRESS=="):
            assert noise not in text, page.words


def test_the_overview_has_each_verb_once_in_a_chapter() -> None:
    found = [name for chapter in chapters(root().groups) for name, _ in chapter.verbs]  # type: ignore[attr-defined]
    assert sorted(found) == sorted({page.words[0] for page in every()[1:]})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("contxt",), "berth has no verb 'contxt'. Did you mean 'context'?\nTry: berth --help"),
        (("context", "shw"), "berth context has no verb 'shw'. Did you mean 'show'?"),
        (("images", "buld"), "berth images has no verb 'buld'. Did you mean 'build'?"),
        (("queue",), "berth queue needs a verb: status, pause, drain, resume"),
        (("help", "context", "nope"), "berth context has no verb 'nope'."),
        (("up", "--pul"), "unrecognized arguments: --pul. Did you mean '--pull'?\nTry: berth up --help"),
        (("_nothing",), "berth has no verb '_nothing'."),
    ],
)
def test_who_mistypes_is_told_what_is_near(berth: Berth, words: tuple[str, ...], expected: str) -> None:
    done = berth(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr


def test_help_is_a_verb_too_and_as_wide_as_the_terminal(berth: Berth) -> None:
    assert berth("help", "context", "show").stdout == berth("context", "show", "--help").stdout
    assert berth("help").stdout == berth("--help").stdout
    assert "usage: berth images build RECIPE... [options]" in berth("help", "images", "build").stdout
    narrow, code = berth.terminal("help", "job", "wait", columns=60, NO_COLOR="1")
    assert code == 0
    assert max(map(len, narrow.splitlines())) <= 60
    assert "\x1b" not in narrow and "\x1b[1mOptions:\x1b[0m" in berth.terminal("help", "run")[0]


def test_the_manual_page_holds_every_verb_and_no_formatter_complains() -> None:
    page = roff(root())
    assert page == roff(parser())
    for each in every()[1:]:
        assert f"berth {' '.join(each.words)}".replace("-", "\\-") in page, each.words
    checkers = {"mandoc": ["-Tlint", "-Wwarning"], "groff": ["-man", "-ww", "-z"]}
    found = next((name for name in checkers if shutil.which(name)), None)
    if found is None:
        pytest.skip("neither mandoc nor groff is installed")
    done = subprocess.run(
        [found, *checkers[found]], input=page, capture_output=True, text=True, timeout=60, check=False
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if "missing date" not in line]
    assert said == []
