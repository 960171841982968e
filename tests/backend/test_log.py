"""berth.log is read with a pager: what a host said in it must not speak to the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import log


@pytest.fixture
def logger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    root = logging.getLogger()
    before = list(root.handlers)
    log.install()
    yield logging.getLogger("berth.test")
    root.handlers[:] = before


def test_host_text_in_the_log_is_harmless(logger: logging.Logger) -> None:
    try:
        raise ValueError("\x1b]0;owned\x07\x1b[2J\u202eevil\r2026-01-01 ERROR fake")
    except ValueError:
        logger.exception("of %s", "h1\x1b[31m")
    written = log.path().read_text()
    assert not any(ord(char) < 32 and char != "\n" for char in written)
    assert "\u202e" not in written
    assert "berth.test: of h1\nTraceback (most recent call last):\n" in written
    assert "    raise ValueError(" in written


def test_a_record_does_not_fill_the_disk(logger: logging.Logger) -> None:
    logger.error("%s", "x\n" * 10_000_000)
    assert log.path().stat().st_size < 200_000
