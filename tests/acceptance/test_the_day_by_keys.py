"""Push, watch, pull, Jupyter, a command everywhere, disk: by keys alone, in the real dashboard."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.acceptance.terminal import Terminal, match
from tests.acceptance.the_day import SLOW, WORK, Day, cell
from tests.lab.machine import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


def test_the_rest_of_the_day_by_keys(day: Day, tmp_path: Path) -> None:
    with Terminal(tmp_path, day.env, size=(150, 46)) as it:
        it.line("berth")
        it.until("3 hosts · ", seconds=SLOW)
        for name in day.names:
            it.until(match(rf"{name} +up "), seconds=SLOW)
        push_with_a_preview(it, day)
        watch(it, day)
        pull(it, day)
        run_a_cell_in_jupyter(it, day)
        run_a_command_everywhere(it, day)
        find_the_biggest_user(it, day)
        prune_with_a_preview(it, day)
        it.keys("q")
        it.until_prompt()
    assert day.goes_on() == [], "nothing is left of what was opened"


def push_with_a_preview(it: Terminal, day: Day) -> None:
    for _ in day.hosts:
        it.keys("Space", "Down")
    it.until("3 marked")
    it.keys("y")
    it.until("push code · ready", seconds=SLOW)  # the profile that names these hosts
    for name in day.names:
        it.until(match(rf"{name} +ready +3 +0 +0 +0 .*3 new"))
    it.until(match(r"\+ new +push .* src/model\.py|/src/model\.py"))
    assert ".pt" not in it.screen() and day.is_nowhere()
    it.keys("s")
    it.until("push code · done · 3 of 3 hosts done", seconds=SLOW)
    assert day.is_pushed()


def watch(it: Terminal, day: Day) -> None:
    it.keys("w")
    for name in day.names:
        it.until(match(rf"{name} +watching"), seconds=SLOW)
    day.goes_everywhere("src/model.py", "LAYERS = 24\n")
    for name in day.names:
        it.until(match(rf"{name} +watching .*:\d\d model\.py"), seconds=SLOW)
    it.keys("Escape")
    it.until("It goes on while berth runs")
    it.until("─ Fleet ")
    day.goes_everywhere("src/later.py", "# the page is closed\n")
    it.keys("y")
    it.until(match(rf"{day.names[0]} +watching .*:\d\d later\.py"), seconds=SLOW)
    it.keys("C-k")
    it.until("push code · ready", seconds=SLOW)
    day.write("src/model.py", "LAYERS = 36\n")
    it.keys("r")
    for name in day.names:
        it.until(match(rf"{name} +ready .*1 changed"), seconds=SLOW)
    assert all(day.text(host, "src/model.py") == "LAYERS = 24\n" for host in day.hosts)


def pull(it: Terminal, day: Day) -> None:
    it.keys("p")
    it.until("╭─ Sync ")
    it.keys("j", "Enter")
    it.until("pull results · ready", seconds=SLOW)
    for name in day.names:
        it.until(match(rf"{name} +ready +1 "), seconds=SLOW)
    assert day.pulled() == {}
    it.keys("s")
    it.until("pull results · done · 3 of 3 hosts done", seconds=SLOW)
    assert day.pulled() == day.expected
    it.keys("Escape")
    it.until("─ Fleet ")
    it.keys("Escape")
    it.until_gone("● ")


def run_a_cell_in_jupyter(it: Terminal, day: Day) -> None:
    it.keys("4", "/")
    it.line("train")
    it.until(match(r"train +h1 .* running"), seconds=SLOW)
    it.until("─ train ")
    it.keys("t")
    it.until("─ Tunnel to train ")
    it.line("lab")
    it.until("starting lab in train", seconds=SLOW)
    it.until(match(r"lab of h1/train is at 127\.0\.0\.1:\d+"), seconds=SLOW)
    it.keys("9")
    it.until(match(r"up +http://127\.0\.0\.1:\d+/lab +lab +h1"))
    it.keys("b")
    wait_for(day.opened.exists, "the browser to be started")
    page = day.opened.read_text().strip()
    assert page.startswith("file://") and "token" not in page
    assert cell(page) == "I am 42" and day.kernel_said() == "written by a kernel"
    assert "token" not in it.screen()
    it.keys("s")
    it.until("None is open")
    assert "jupyterlab" in day.first.docker("top", "train")  # it runs on, for the next time
    it.keys("1")
    it.until("─ Fleet ")


def run_a_command_everywhere(it: Terminal, day: Day) -> None:
    it.keys("@")
    it.until("a command for all hosts")
    it.line(f"cat {WORK}/project/src/later.py; echo from {{host}} >{WORK}/was-here")
    it.until("3 of 3 ended with 0", seconds=SLOW)
    assert len(re.findall("# the page is closed", it.screen())) == 1, "what is the same is shown once"
    for host in day.hosts:
        assert host.run(["cat", f"{WORK}/was-here"], user="alice").stdout == f"from {host.name}\n"
    it.keys("Escape")
    it.until("─ Fleet ")


def find_the_biggest_user(it: Terminal, day: Day) -> None:
    it.keys("/")
    it.line(day.first.name)
    it.keys("D")
    it.until(match(r"srv/ +11\.0 M"), seconds=SLOW)
    it.keys("/")
    it.line("srv")
    it.keys("Enter")
    it.until(f"{day.first.name}:/srv")
    it.until(match(r"bob/ +9\.0 M"))
    it.keys("w")
    found = it.until(match(r"bob +9\.0 M.*/srv/bob 9\.0 M"))
    assert found.index("bob ") < found.index("alice "), "the biggest comes first"
    it.keys("w")
    it.until(match(r"alice/ +2\.0 M"))


def prune_with_a_preview(it: Terminal, day: Day) -> None:
    lost = day.lost_image()
    assert lost in day.images()
    it.keys("P")
    it.until("─ Prune on ")
    it.keys("Enter")
    it.until(match(r"image .*frees 5\.0 M"), seconds=SLOW)
    it.until(match(r"Remove 1 thing"))
    assert lost in day.images()
    it.keys("y")
    it.until("removed 1 thing, 5.0 M free", seconds=SLOW)
    assert lost not in day.images() and "work" in day.first.docker("images")
    day.first.docker("rmi", "work:1")
    it.keys("Escape")
    it.until(f"{day.first.name}:/srv")
    it.keys("Escape")
    it.until("─ Fleet ")
