"""What is written in another terminal while the dashboard runs."""

from __future__ import annotations

from pathlib import Path

from tests.tui.helpers import dashboard, three


async def test_contexts_and_profiles_that_are_written_elsewhere_are_seen(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text("hosts: {h1: {host: h1}, h2: {host: h2}}\n")
    (tmp_path / "contexts").mkdir()
    async with dashboard(three(), tmp_path, size=(120, 50)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("4")
        assert board.names == []
        there = tmp_path / "contexts" / "there.yaml"
        there.write_text("host: h1\nimage: busybox\n")
        await board.until(lambda: board.names == ["there"])
        there.write_text("host: h1\nimage: [\n")
        await board.until(lambda: "there.yaml" in board.text)
        assert board.names == ["there"], "what is wrong is told, and what was right stays"
        there.unlink()
        (tmp_path / "sync.yaml").write_text("profiles: {code: {rules: [{source: ~/code, target: code}]}}\n")
        await board.until(lambda: board.names == [])
        await board.until(lambda: "code" in [profile.name for profile in board.app.config.profiles])
