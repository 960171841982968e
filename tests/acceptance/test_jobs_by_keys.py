"""The queue in the dashboard, by keys alone: a new job, its output, hold, move, kill, and a paused queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.acceptance.terminal import Terminal, match
from tests.lab import Host, Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

SCRIPT = 'sh -c "i=0; while true; do i=$((i+1)); echo step $i; sleep 0.2; done"'


@pytest.fixture
def host(lab: Lab) -> Iterator[Host]:
    """A host whose queue is empty and open, before and after."""
    found = lab.host("h1")
    yield found
    if left := found.docker("ps", "-q", "--filter", "label=berth.job").split():
        found.docker("kill", *left, check=False)


def new_job(it: Terminal, name: str, script: str) -> None:
    it.keys("n")
    it.until("╭─ New job ")
    for value in (script, "h1", "busybox:latest", "", "1", "", "", name):
        it.text(value)
        it.keys("Tab")
    it.keys("C-s")
    it.until(match(r"is queued on h1"))


def test_a_days_jobs_by_keys_alone(lab: Lab, host: Host, terminal: Callable[..., Terminal]) -> None:
    it = terminal(size=(150, 46))
    it.line("berth")
    it.until("3 hosts · ")
    it.keys("5")
    it.until("The jobs of all queues")
    new_job(it, "first", SCRIPT)
    it.until(match(r"first +alice +running"), seconds=60)
    the_output_is_followed(it)
    the_queue_is_paused(it)
    waiting_jobs_are_held_moved_and_ended(it)
    it.keys("q")
    it.until_prompt()
    assert it.told("alternate_on") == "0"


def the_output_is_followed(it: Terminal) -> None:
    it.keys("g", "l")
    it.until("● following")
    it.until(match(r"^ ?step 2$"), seconds=60)
    it.until(match(r"^ ?step 9$"), seconds=60)
    it.keys("/")
    it.line("step 5")
    it.until("1 of ")
    it.keys("Escape", "Escape")
    it.until("│  HOST")


def the_queue_is_paused(it: Terminal) -> None:
    choose(it, "1", "h1", "pause queue")
    it.until("╭─ Pause queue h1")
    it.text("new disk")
    it.keys("C-s")
    it.until("Nothing more starts, for nobody")
    it.keys("Tab", "Enter")
    it.until("the queue of h1 is paused")
    it.keys("5")
    new_job(it, "second", "sleep 300")
    it.until(match(r"second +alice +queued +#1.*paused"), seconds=60)


def waiting_jobs_are_held_moved_and_ended(it: Terminal) -> None:
    new_job(it, "third", "sleep 300")
    it.until(match(r"third +alice +queued +#2"), seconds=60)
    it.keys("G")
    it.until(match(r"job \d+ +third"))
    it.keys("K")
    it.until("goes before job")
    it.until(match(r"third +alice +queued +#1(?s:.*)second +alice +queued +#2"), seconds=60)
    it.keys("h")
    it.until(match(r"third +alice +held"), seconds=60)
    it.keys("H")
    it.until(match(r"third +alice +queued"), seconds=60)
    kill(it, "third")
    choose(it, "1", "h1", "resume queue")
    it.until("the queue of h1 goes on")
    it.keys("5")
    it.until(match(r"second +alice +running"), seconds=60)
    for name in ("first", "second"):
        kill(it, name)


def kill(it: Terminal, name: str) -> None:
    it.keys("/")
    it.line(f"name:{name}")
    it.until(match(rf"job \d+ +{name}"))
    it.keys("C-k")
    it.until(match(rf"End job \d+ \({name}\) of alice on h1"))
    it.keys("Tab", "Enter")
    it.until(match(rf"{name} +alice +cancelled +cancelled by alic"), seconds=60)
    it.keys("Escape")
    it.until(match(r"╭─ Jobs \d+ ─"))


def choose(it: Terminal, view: str, row: str, action: str) -> None:
    """From the menu of a row."""
    it.keys(view, "g")
    it.until(match(rf"╭─ {row} "))
    it.keys("x")
    it.until("type to find")
    it.text(action)
    it.until(match(rf"{action}"))
    it.keys("Enter")
